"""Rollouts of Kubernetes Deployments."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import BaseRow, Frozen, RowKind
from mlops_tui.domain.text import Line


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
