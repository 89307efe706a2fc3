"""Rollouts of Kubernetes Deployments."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime

from mlops_tui.domain.base import Attention, BaseRow, Frozen, Mark, RowKind
from mlops_tui.domain.text import Line

DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
"""The Progressing condition's reason once a rollout took longer than `progressDeadlineSeconds`."""
ROLLED_OUT = "NewReplicaSetAvailable"
"""The Progressing condition's reason from the end of a rollout to the start of the next."""

CREATE_FAILED = "FailedCreate"
"""The ReplicaFailure condition's reason while a quota, an admission webhook or a missing account refuses pods."""


class RolloutPhase(StrEnum):
    """Where a rollout is, by the rules of `kubectl rollout status`."""

    COMPLETE = "complete"
    NOT_OBSERVED = "not observed"
    UPDATING = "updating"
    TERMINATING = "terminating"
    WAITING = "waiting"
    FAILED = "failed"


class Condition(Frozen):
    """A condition of the Deployment's status."""

    type: Line
    status: Line
    reason: Line = ""
    message: Line = ""


class RolloutRow(BaseRow):
    """One Deployment and the state of its rollout."""

    kind: Literal[RowKind.ROLLOUT] = RowKind.ROLLOUT
    environment: Line
    context: Line
    namespace: Line
    name: Line
    uid: str
    generation: int
    resource_version: str
    phase: RolloutPhase
    message: Line
    """The sentence that `kubectl rollout status` prints."""
    paused: bool
    desired: int
    total: int
    updated: int
    ready: int
    available: int
    images: tuple[Line, ...]
    """One a container, in the template's order."""
    revision: int | None
    change_cause: Line = ""
    conditions: tuple[Condition, ...] = ()
    labels: dict[Line, Line] = {}
    """Labels of the Deployment and of its pod template, the latter winning."""
    created_at: AwareDatetime | None = None


class RolloutVerdict(NamedTuple):
    """How a rollout is shown."""

    mark: Mark
    attention: Attention
    reason: str


def rollout_status(deployment: Mapping[str, Any]) -> tuple[RolloutPhase, str]:
    """Return the phase of a Deployment, as the API server gives it, and the sentence of `kubectl rollout status`."""
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    name = f'deployment "{metadata["name"]}"'
    if metadata.get("generation", 0) > status.get("observedGeneration", 0):
        return RolloutPhase.NOT_OBSERVED, "Waiting for deployment spec update to be observed..."
    if _progress_reason(status.get("conditions") or ()) == DEADLINE_EXCEEDED:
        return RolloutPhase.FAILED, f"{name} exceeded its progress deadline"
    desired = desired_replicas(deployment)
    total, updated, available = (status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas"))
    waiting = f"Waiting for {name} rollout to finish:"
    if updated < desired:
        return RolloutPhase.UPDATING, f"{waiting} {updated} out of {desired} new replicas have been updated..."
    if total > updated:
        return RolloutPhase.TERMINATING, f"{waiting} {total - updated} old replicas are pending termination..."
    if available < updated:
        return RolloutPhase.WAITING, f"{waiting} {available} of {updated} updated replicas are available..."
    return RolloutPhase.COMPLETE, f"{name} successfully rolled out"


def desired_replicas(deployment: Mapping[str, Any]) -> int:
    """Return how many pods the Deployment asks for; the API's default is one."""
    replicas = (deployment.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _progress_reason(conditions: Iterable[Mapping[str, Any]]) -> str:
    return next((str(found.get("reason", "")) for found in conditions if found.get("type") == "Progressing"), "")


def judge_rollout(
    phase: RolloutPhase, *, paused: bool, desired: int, ready: int, available: int, conditions: Sequence[Condition]
) -> RolloutVerdict:
    """Return how a rollout in `phase` is shown, and why it wants attention: a narrow column shows the first words."""
    ratio = f"{ready}/{desired}"
    failure = next((found for found in conditions if found.type == "ReplicaFailure" and found.status == "True"), None)
    if phase is RolloutPhase.FAILED:
        cause = _cause(failure) if failure else "progress deadline exceeded"
        return RolloutVerdict(Mark.BAD, Attention.BAD, f"stuck {ratio}: {cause}")
    if paused:
        return RolloutVerdict(Mark.PAUSED, Attention.WARN, "paused")
    if phase is RolloutPhase.COMPLETE:
        if desired == 0:
            return RolloutVerdict(Mark.OK, Attention.INFO, "scaled to zero")
        return RolloutVerdict(Mark.OK, Attention.OK, "")
    if failure:
        return RolloutVerdict(Mark.WARN, Attention.WARN, f"blocked {ratio}: {_cause(failure)}")
    progress = next((found.reason for found in conditions if found.type == "Progressing"), "")
    if phase is RolloutPhase.WAITING and progress == ROLLED_OUT:
        # The rollout was complete before, so these pods were lost, or are being added: nothing is rolling.
        attention = Attention.WARN if available else Attention.BAD
        return RolloutVerdict(Mark.BAD, attention, f"{available}/{desired} available")
    return RolloutVerdict(Mark.RUNNING, Attention.INFO, f"{phase} {ratio}")


def _cause(failure: Condition) -> str:
    return "pods cannot be created" if failure.reason == CREATE_FAILED else failure.reason or failure.message
