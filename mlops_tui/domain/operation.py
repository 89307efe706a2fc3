"""Changes that a person makes: what is asked for, what it would do, how it is confirmed, how it goes.

An operation is planned against the world as it is, confirmed, executed under preconditions, verified and recorded. What
passes between the screen, the command line and the engine is here; the verbs themselves are in `operations`.
"""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import Attention, BaseRow, Frozen, Mark, RowKind
from mlops_tui.domain.text import Block, Line


class FieldKind(StrEnum):
    """How a field of a plan is filled in."""

    NUMBER = "number"
    LINE = "line"
    BLOCK = "block"
    """Text of several lines, Markdown."""
    CHOICE = "choice"


class Choice(Frozen):
    """One of the values that a field may have."""

    value: str
    label: Line
    note: Line = ""
    """What tells it from the others: an image, an age, a cause."""


class PlanField(Frozen):
    """Something that the person may still decide; changing it makes a new plan.

    Attributes:
        name: The parameter that it sets.
        value: What this plan is made with.
        least: The smallest number; `most` the largest.
    """

    name: str
    label: Line
    kind: FieldKind
    value: str = ""
    choices: tuple[Choice, ...] = ()
    least: int | None = None
    most: int | None = None


class Change(Frozen):
    """One thing that would be different afterwards."""

    what: Line
    before: Line
    after: Line


class GateResult(Frozen):
    """One condition for a promotion, and whether it holds.

    Attributes:
        passed: `None` where it cannot be told, which never counts as passed.
        evidence: Value, comparator, threshold and champion, as a person reads them.
    """

    name: Line
    passed: bool | None
    evidence: Line


class Concern(Frozen):
    """Something to know before going on, and what to do about it.

    Attributes:
        permission: Whether it is a permission that is missing.
    """

    text: Line
    hint: Line = ""
    permission: bool = False


class Demand(Frozen):
    """What a confirmation has to hold beyond a yes.

    Attributes:
        typed: This text, typed; empty where a yes is enough.
        reason: Whether a written reason is needed; `because` says why.
        override: The freeze window that has to be named; empty where there is none.
    """

    typed: Line = ""
    reason: bool = False
    because: tuple[Line, ...] = ()
    override: Line = ""


class PlanRequest(Frozen):
    """What somebody wants to do, to one thing that is named once and for all.

    Attributes:
        verb: The operation's name: `promote`, `scale`.
        target: The thing's address, in the words of its kind: `ml/fraud-api`, `fraud-detector@7`, `acme/fraud#12`.
        environment: Where, for what is in several; empty where the target tells.
        parameters: By the names of the operation's parameters.
        row: The key of the row on the board that the target was taken from; empty for one named by hand.
    """

    verb: str
    target: str
    environment: str = ""
    parameters: dict[str, str] = {}
    row: str = ""


class Plan(Frozen):
    """What an operation would do, frozen at the moment of asking.

    Attributes:
        id: By which it is executed, once.
        title: The whole of it in one sentence: `Scale ml/fraud-api from 4 to 6 replicas`.
        name: The target as a person calls it.
        gates: Conditions, failed ones too: those ask for a reason.
        warnings: What might undo or spoil it.
        refusals: Why it cannot be executed; empty if it can.
        idle: Why there is nothing to do; empty if there is.
        steps: What will be done, in order.
        command: The same by the systems' own tools.
        preview: The text that would be posted, for those that post one.
        undo: What would undo it; `None` where nothing does.
    """

    id: str
    request: PlanRequest
    title: Line
    name: Line
    environment: Line = ""
    protected: bool = False
    fields: tuple[PlanField, ...] = ()
    changes: tuple[Change, ...] = ()
    gates: tuple[GateResult, ...] = ()
    warnings: tuple[Concern, ...] = ()
    refusals: tuple[Concern, ...] = ()
    idle: Line = ""
    steps: tuple[Line, ...] = ()
    command: Block = ""
    preview: Block = ""
    demand: Demand = Demand()
    undo: PlanRequest | None = None
    planned_at: AwareDatetime


class Confirmation(Frozen):
    """A person's yes.

    Attributes:
        patience: Seconds that verification may take, where not what the verb thinks right; at 0 nobody waits for it.
    """

    typed: str = ""
    reason: Line = ""
    override: Line = ""
    patience: float | None = None


class OperationState(StrEnum):
    """Where an operation is."""

    RUNNING = "running"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Something was asked for, and whether it happened could not be found out."""
    INTERRUPTED = "interrupted"
    """An earlier sitting ended between asking and knowing."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (OperationState.RUNNING, OperationState.VERIFYING)


class OperationRow(BaseRow):
    """An operation that runs or ran, here or in an earlier sitting."""

    kind: Literal[RowKind.OPERATION] = RowKind.OPERATION
    id: str
    verb: str
    title: Line
    name: Line
    environment: Line = ""
    state: OperationState
    by: Line
    reason_given: Line = ""
    """The reason that the person gave."""
    step: Line = ""
    """What is being done, or was last."""
    done: int = 0
    """Of `of` steps; verification counts by what is ready."""
    of: int = 0
    limit: float | None = None
    """Seconds that verification may take."""
    progress: tuple[Line, ...] = ()
    """What verification saw, the newest last: the lines of `kubectl rollout status`."""
    outcome: Line = ""
    next: Line = ""
    """What to do next, after an end that is not the wished one."""
    exit_code: int = 0
    """What a command that carried it out exits with."""
    target_row: str = ""
    undo: PlanRequest | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None


_MARKS = {
    OperationState.RUNNING: (Mark.RUNNING, Attention.INFO),
    OperationState.VERIFYING: (Mark.RUNNING, Attention.INFO),
    OperationState.DONE: (Mark.OK, Attention.OK),
    OperationState.FAILED: (Mark.BAD, Attention.BAD),
    OperationState.REFUSED: (Mark.WARN, Attention.INFO),
    OperationState.UNKNOWN: (Mark.UNKNOWN, Attention.BAD),
    OperationState.INTERRUPTED: (Mark.UNKNOWN, Attention.BAD),
}


def judge_operation(state: OperationState) -> tuple[Mark, Attention]:
    """Return how an operation in this state is shown, and how much it wants to be looked at."""
    return _MARKS[state]
