"""The rules of `kubectl rollout status`, and how a rollout is judged."""

from typing import Any

import pytest

from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.rollout import Condition, RolloutPhase, judge_rollout, rollout_status


def deployment(replicas: int | None = 3, *, generation: int = 2, reason: str = "", **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": reason}]
    return {
        "metadata": {"name": "fraud-api", "generation": generation},
        "spec": {} if replicas is None else {"replicas": replicas},
        "status": {"observedGeneration": 2, "conditions": conditions, **status},
    }


@pytest.mark.parametrize(
    ("given", "phase", "message"),
    [
        (
            deployment(generation=3, reason="ProgressDeadlineExceeded"),
            RolloutPhase.NOT_OBSERVED,
            "Waiting for deployment spec update to be observed...",
        ),
        (
            deployment(reason="ProgressDeadlineExceeded", updatedReplicas=1),
            RolloutPhase.FAILED,
            'deployment "fraud-api" exceeded its progress deadline',
        ),
        (
            deployment(),
            RolloutPhase.UPDATING,
            'Waiting for deployment "fraud-api" rollout to finish: 0 out of 3 new replicas have been updated...',
        ),
        (
            {**deployment(), "status": {"observedGeneration": 2, "replicas": 5, "updatedReplicas": 3}},
            RolloutPhase.TERMINATING,
            'Waiting for deployment "fraud-api" rollout to finish: 2 old replicas are pending termination...',
        ),
        (
            {
                **deployment(),
                "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 1},
            },
            RolloutPhase.WAITING,
            'Waiting for deployment "fraud-api" rollout to finish: 1 of 3 updated replicas are available...',
        ),
        (
            {
                **deployment(),
                "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
            },
            RolloutPhase.COMPLETE,
            'deployment "fraud-api" successfully rolled out',
        ),
        (deployment(0), RolloutPhase.COMPLETE, 'deployment "fraud-api" successfully rolled out'),
        (
            deployment(None),
            RolloutPhase.UPDATING,
            'Waiting for deployment "fraud-api" rollout to finish: 0 out of 1 new replicas have been updated...',
        ),
        (
            {"metadata": {"name": "fraud-api", "generation": 1}, "spec": {}},
            RolloutPhase.NOT_OBSERVED,
            "Waiting for deployment spec update to be observed...",
        ),
    ],
)
def test_phases_and_sentences(given: dict[str, Any], phase: RolloutPhase, message: str) -> None:
    assert rollout_status(given) == (phase, message)


def judge(phase: RolloutPhase, *conditions: Condition, paused: bool = False, counts: str = "6 3 3") -> tuple[Any, ...]:
    desired, ready, available = map(int, counts.split())
    return tuple(
        judge_rollout(phase, paused=paused, desired=desired, ready=ready, available=available, conditions=conditions)
    )


ROLLED_OUT = Condition(type="Progressing", status="True", reason="NewReplicaSetAvailable")
QUOTA = Condition(type="ReplicaFailure", status="True", reason="FailedCreate", message="exceeded quota")
ODD = Condition(type="ReplicaFailure", status="True", reason="OutOfLuck")
NAMELESS = Condition(type="ReplicaFailure", status="True", message="no luck")
RECOVERED = Condition(type="ReplicaFailure", status="False", reason="FailedCreate")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (judge(RolloutPhase.FAILED), (Mark.BAD, Attention.BAD, "stuck 3/6: progress deadline exceeded")),
        (judge(RolloutPhase.FAILED, QUOTA), (Mark.BAD, Attention.BAD, "stuck 3/6: pods cannot be created")),
        (judge(RolloutPhase.FAILED, ODD), (Mark.BAD, Attention.BAD, "stuck 3/6: OutOfLuck")),
        (judge(RolloutPhase.FAILED, NAMELESS), (Mark.BAD, Attention.BAD, "stuck 3/6: no luck")),
        (judge(RolloutPhase.COMPLETE, paused=True), (Mark.PAUSED, Attention.WARN, "paused")),
        (judge(RolloutPhase.COMPLETE, counts="6 6 6"), (Mark.OK, Attention.OK, "")),
        (judge(RolloutPhase.COMPLETE, counts="0 0 0"), (Mark.OK, Attention.INFO, "scaled to zero")),
        (judge(RolloutPhase.UPDATING), (Mark.RUNNING, Attention.INFO, "updating 3/6")),
        (judge(RolloutPhase.UPDATING, RECOVERED), (Mark.RUNNING, Attention.INFO, "updating 3/6")),
        (judge(RolloutPhase.UPDATING, QUOTA), (Mark.WARN, Attention.WARN, "blocked 3/6: pods cannot be created")),
        (judge(RolloutPhase.WAITING), (Mark.RUNNING, Attention.INFO, "waiting 3/6")),
        (judge(RolloutPhase.WAITING, ROLLED_OUT), (Mark.BAD, Attention.WARN, "3/6 available")),
        (judge(RolloutPhase.WAITING, ROLLED_OUT, counts="6 0 0"), (Mark.BAD, Attention.BAD, "0/6 available")),
    ],
)
def test_what_wants_attention(given: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    assert given == expected
