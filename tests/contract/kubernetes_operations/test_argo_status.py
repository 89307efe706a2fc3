"""What is written into an Argo Rollout's status, where nobody else writes: on a real API server without Argo."""

from typing import Any

import pytest

from mlops_tui.domain.operation import Confirmation, OperationState
from tests.contract.kubernetes_operations.conftest import Bench, get, post
from tests.contract.kubernetes_source.harness import Server

STEPS = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]
PAUSE = {"reason": "CanaryPauseStep", "startTime": "2026-11-20T14:00:00Z"}
WAITING = {"phase": "Paused", "currentStepIndex": 1, "pauseConditions": [PAUSE], "controllerPause": True}
RUNNING = {"phase": "Progressing", "currentStepIndex": 1}
ABORTED = {"phase": "Degraded", "currentStepIndex": 0, "abort": True, "abortedAt": "2026-11-20T14:00:00Z"}


@pytest.mark.parametrize("server", ["real_server"], indirect=True)
@pytest.mark.parametrize(
    ("do", "before", "spec", "field", "value"),
    [
        ("promote", WAITING, {}, "pauseConditions", None),
        ("promote", WAITING, {"paused": True}, "pauseConditions", None),
        ("promote", RUNNING, {}, "currentStepIndex", 2),
        ("promote-full", WAITING, {}, "promoteFull", True),
        ("abort", WAITING, {}, "abort", True),
        ("retry", ABORTED, {}, "abort", False),
    ],
)
async def test_the_status_is_written_as_argos_own_tool_does(
    bench: Bench,
    server: Server,
    with_custom_resources: None,
    do: str,
    before: dict[str, Any],
    spec: dict[str, Any],
    field: str,
    value: Any,
) -> None:
    group = "argoproj.io/v1alpha1"
    named = {"apiVersion": group, "kind": "Rollout", "metadata": {"name": "embedder"}}
    await post(server, group, "rollouts", {**named, "spec": {"strategy": {"canary": {"steps": STEPS}}, **spec}})
    status = {**before, "currentPodHash": "b", "stableRS": "a"}
    answer = await server._http.patch(
        f"/apis/{group}/namespaces/{server.namespace}/rollouts/embedder/status",
        json={"status": status},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.is_success, answer.text
    row = await bench.carry_out(await bench.plan("traffic", "embedder", do=do), Confirmation(patience=0))
    assert row.state is OperationState.DONE, row.outcome
    left = await get(server, f"{group} rollouts/embedder")
    assert left["status"].get(field) == value
    assert not left["spec"].get("paused")
    assert {key: left["status"].get(key) for key in status if key != field} == {
        key: each for key, each in status.items() if key != field
    }
