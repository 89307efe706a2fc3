"""Where operations are planned and carried out: the five steps, once, for every verb."""

import asyncio
import contextlib
import getpass
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, Conflict, MlopsTuiError, OutcomeUnknown, Refused
from mlops_tui.domain.operation import (
    Confirmation,
    OperationRow,
    OperationState,
    Plan,
    PlanRequest,
    judge_operation,
)
from mlops_tui.operations import guard
from mlops_tui.operations.base import Draft, NotVerified, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.lock import ReleaseLock

log = logging.getLogger(__name__)

PLANS = 50
"""Plans kept for confirmation; older ones have to be made anew."""
LONGEST = timedelta(hours=12)
"""After which an operation no longer runs, even if a process has the same number."""
TELLING_SECONDS = 10.0
"""How long an engine that is left waits for the notifications of operations that are over."""
PROGRESS_LINES = 30
"""Lines of progress that an operation keeps."""
SOURCE = "operations"
"""The id under which operations are on the board."""

Tell = Callable[[OperationRow], None]
Notify = Callable[[Record], Awaitable[None]]


def operator() -> str:
    """Return who is at the keyboard, as the journal names them: `$MLOPS_TUI_ACTOR`, or the user's name."""
    with contextlib.suppress(KeyError, OSError):
        return os.environ.get("MLOPS_TUI_ACTOR") or getpass.getuser()
    return "unknown"


@dataclass(slots=True)
class _Planned:
    plan: Plan
    draft: Draft
    verb: Verb


class Desk:
    """Plans, executes and records.

    Args:
        verbs: By name.
        tell: Called with every change of an operation.
        notify: Called with every outcome; what it raises is said in the log and changes nothing.
    """

    def __init__(self, place: Place, verbs: Iterable[Verb], *, tell: Tell, notify: Notify) -> None:
        self._place = place
        self._verbs = {verb.name: verb for verb in verbs}
        self._tell = tell
        self._notify = notify
        self._plans: dict[str, _Planned] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        """Operations that have sent everything and wait for its effect."""
        self._ended: set[str] = set()
        """Operations that are over, and of which others are still being told."""

    @property
    def running(self) -> int:
        """How many operations have not ended."""
        return len(self._running)

    async def plan(self, request: PlanRequest) -> Plan:
        """Look at the world and return what the request would do.

        Raises:
            ConfigError: The verb, the target or a parameter is not one.
            SourceError: A system does not answer, or does not have the target.
        """
        verb = self._verbs.get(request.verb)
        if verb is None:
            raise ConfigError(f"there is no operation {request.verb}")
        unknown = request.parameters.keys() - {parameter.name for parameter in verb.parameters}
        if unknown:
            raise ConfigError(f"{verb.name} knows no {', '.join(sorted(unknown))}")
        draft = await verb.plan(request, self._place)
        plan = Plan(
            id=secrets.token_hex(8),
            request=request,
            title=draft.title,
            name=draft.name,
            environment=draft.environment,
            protected=guard.protected(self._place.environments, draft.environment),
            fields=draft.fields,
            changes=draft.changes,
            gates=draft.gates,
            warnings=draft.warnings,
            refusals=guard.refusals(draft, self._place),
            idle=draft.idle,
            steps=tuple(step.title for step in draft.steps),
            command=draft.command,
            preview=draft.preview,
            demand=guard.demand(draft, self._place),
            undo=draft.undo,
            planned_at=self._place.clock.now(),
        )
        self._plans[plan.id] = _Planned(plan, draft, verb)
        while len(self._plans) > PLANS:
            del self._plans[next(iter(self._plans))]
        return plan

    def execute(self, plan_id: str, confirmation: Confirmation) -> OperationRow:
        """Begin to carry out a plan, and return the operation as it begins; what becomes of it is told.

        Raises:
            Refused: The rules forbid it, or the confirmation lacks something. The refusal is in the journal; after a
                lack the plan can be confirmed again.
            JournalError: The journal cannot be written; nothing is sent.
        """
        planned = self._plans.get(plan_id)
        if planned is None:
            raise Refused("this plan was carried out already, or is too old", "plan it again")
        plan, draft = planned.plan, planned.draft
        operation = _Operation(plan, draft, confirmation, self._place.clock, self._tell)
        try:
            forbidden = guard.refusals(draft, self._place)
            if forbidden:
                raise Refused(f"{plan.title}: {forbidden[0].text}", forbidden[0].hint)
            if draft.idle:
                raise Refused(f"{plan.title}: nothing to do: {draft.idle}")
            guard.check(confirmation, guard.demand(draft, self._place))
        except Refused as refusal:
            self._record(operation, "refusal", OperationState.REFUSED, refusal.message)
            raise
        del self._plans[plan_id]
        self._record(operation, "intent")
        operation.publish()
        task = asyncio.create_task(self._carry_out(operation), name=f"operation {operation.id}")
        self._running[operation.id] = task
        task.add_done_callback(lambda _: self._running.pop(operation.id, None))
        return operation.row

    async def settle(self) -> None:
        """Look up what became of the operations that an earlier sitting began and did not end; tell and record it."""
        for record in self._place.journal.open_intents():
            if _still_runs(record, self._place.clock.now()):
                continue
            verb = self._verbs.get(record.request.verb)
            happened: bool | None = None
            if verb is not None:
                with contextlib.suppress(MlopsTuiError):
                    happened = await verb.happened(record, self._place)
            self._tell(_interrupted(record, happened))
            if happened is not None:
                state = OperationState.DONE if happened else OperationState.FAILED
                said = "it had taken effect" if happened else "it had not taken effect"
                self._place.journal.append(
                    record.model_copy(
                        update={"event": "resolved", "state": state, "outcome": said, "at": self._place.clock.now()}
                    )
                )

    def past(self, limit: int = 100) -> None:
        """Tell of the newest operations of earlier sittings, oldest first."""
        ended = [record for record in self._place.journal.records() if record.event in ("outcome", "resolved")]
        for record in ended[-limit:]:
            self._tell(row_of(record))

    async def close(self) -> None:
        """Stop waiting for what runs: the journal has it, and the next start looks it up."""
        telling = [task for name, task in self._running.items() if name in self._ended]
        if telling:
            await asyncio.wait(telling, timeout=TELLING_SECONDS)
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, operation: "_Operation") -> None:
        state, outcome, code = OperationState.FAILED, "", 0
        try:
            async with self._lock_of(operation):
                outcome = await self._take_steps(operation)
            state = OperationState.DONE
        except asyncio.CancelledError:
            raise
        except OutcomeUnknown as error:
            state, outcome, code = OperationState.UNKNOWN, _sentence(error), error.exit_code
        except Refused as error:
            state, outcome, code = OperationState.REFUSED, _sentence(error), error.exit_code
        except Conflict as error:
            outcome, code = f"stopped, since the world has moved: {_sentence(error)}", error.exit_code
        except MlopsTuiError as error:
            outcome, code = _sentence(error), error.exit_code
        except Exception as error:
            log.exception("operation %s", operation.id)
            state, outcome, code = OperationState.UNKNOWN, f"internal error: {type(error).__name__}", 6
        self._waiting.discard(operation.id)
        operation.end(state, outcome, code)
        record = self._record(operation, "outcome", state, operation.row.outcome)
        self._ended.add(operation.id)
        operation.publish()
        if record is not None:
            await self._tell_others(record)
        self._ended.discard(operation.id)

    async def _take_steps(self, operation: "_Operation") -> str:
        outcome = ""
        for number, step in enumerate(operation.draft.steps):
            operation.enter(number, step, OperationState.RUNNING)
            try:
                await step.act(operation)
            except OutcomeUnknown as error:
                await self._find_out(operation, step, error)
            operation.holds.append(step.title)
            if step.verify is not None and operation.patience > 0:
                operation.enter(number, step, OperationState.VERIFYING)
                last = number == len(operation.draft.steps) - 1
                (self._waiting.add if last else self._waiting.discard)(operation.id)
                outcome = await self._verify(operation, step) or outcome
        return outcome or operation.plan.title

    @staticmethod
    async def _find_out(operation: "_Operation", step: Step, error: OutcomeUnknown) -> None:
        """Look whether a write without an answer took effect; return if it did."""
        operation.say("no answer: looking whether it happened")
        happened: bool | None = None
        with contextlib.suppress(MlopsTuiError):
            happened = await step.happened()
        if happened is False:
            raise Conflict(f"{error.message}; it did not happen", "plan it again") from error
        if happened is None:
            raise error

    @staticmethod
    async def _verify(operation: "_Operation", step: Step) -> str:
        assert step.verify is not None
        try:
            async with asyncio.timeout(operation.patience):
                return await step.verify(operation)
        except TimeoutError:
            raise NotVerified(
                f"{step.title}: accepted, but not done after {operation.patience:g} s",
                "it may still come: look at the row",
            ) from None

    def _lock_of(self, operation: "_Operation") -> contextlib.AbstractAsyncContextManager[None]:
        draft = operation.draft
        settings = self._place.environments.get(draft.environment)
        if not draft.lock or settings is None or not settings.lock:
            return contextlib.nullcontext()
        cluster = self._place.systems.cluster(draft.environment)
        clock, by = self._place.clock, f"{operation.by}@{socket.gethostname()}"
        return ReleaseLock(cluster, draft.lock, by, operation.id, clock, over=self._waiting)

    def _record(
        self, operation: "_Operation", event: str, state: OperationState | None = None, outcome: str = ""
    ) -> Record | None:
        record = operation.record(event, state, outcome)
        if event == "intent":
            return self._place.journal.append(record)
        try:
            return self._place.journal.append(record)
        except MlopsTuiError as error:
            # It happened, or was refused, whether or not it could be written down: say so, and go on.
            log.error("%s", error.message)
            operation.say(f"not in the journal: {error.message}")
            return None

    async def _tell_others(self, record: Record) -> None:
        try:
            await self._notify(record)
        except Exception as error:  # noqa: BLE001 - what was done is done, whoever hears of it
            log.warning("the notification failed: %s", type(error).__name__)


@dataclass(slots=True)
class _Operation:
    """One operation under way; implements `Execution`."""

    plan: Plan
    draft: Draft
    confirmation: Confirmation
    clock: Clock
    tell: Tell
    operation: str = field(default_factory=lambda: secrets.token_hex(6))
    by: str = field(default_factory=operator)
    holds: list[str] = field(default_factory=list)
    row: OperationRow = field(init=False)

    def __post_init__(self) -> None:
        mark, attention = judge_operation(OperationState.RUNNING)
        now = self.clock.now()
        self.row = OperationRow(
            key=f"{SOURCE}/{self.operation}",
            source=SOURCE,
            mark=mark,
            attention=attention,
            id=self.operation,
            verb=self.plan.request.verb,
            title=self.plan.title,
            name=self.plan.name,
            environment=self.plan.environment,
            state=OperationState.RUNNING,
            by=self.by,
            reason_given=self.confirmation.reason,
            of=len(self.draft.steps),
            limit=self.draft.patience,
            target_row=self.plan.request.row,
            undo=self.plan.undo,
            started_at=now,
            updated_at=now,
        )

    @property
    def id(self) -> str:
        return self.operation

    @property
    def reason(self) -> str:
        return self.confirmation.reason

    @property
    def patience(self) -> float:
        asked = self.confirmation.patience
        return self.draft.patience if asked is None else asked

    def say(self, line: str) -> None:
        if self.row.progress[-1:] != (line,):
            self._change(progress=(*self.row.progress, line)[-PROGRESS_LINES:])

    def count(self, done: int, of: int) -> None:
        self._change(done=done, of=of)

    def enter(self, number: int, step: Step, state: OperationState) -> None:
        """Note that a step is taken, or verified."""
        self._change(state=state, step=step.title, done=number, of=len(self.draft.steps))

    def end(self, state: OperationState, outcome: str, code: int) -> None:
        """Note the end."""
        mark, attention = judge_operation(state)
        left = [step.title for step in self.draft.steps[len(self.holds) :]]
        done = len(self.holds)
        next_ = ""
        if state is not OperationState.DONE and self.holds and left:
            # Half-way is the state that nobody can guess: say exactly what holds and what does not.
            outcome = f"{outcome}; done: {', '.join(self.holds)}; not done: {', '.join(left)}"
            next_ = "plan it again to finish" + (", or undo it" if self.plan.undo else "")
        elif state is OperationState.FAILED and self.holds:
            next_ = "everything was sent: look at the row" + (", or undo it" if self.plan.undo else "")
        elif state is OperationState.UNKNOWN:
            next_ = "look at the row before anything is tried again"
        elif state is OperationState.FAILED:
            next_ = "nothing was changed; plan it again"
        self._change(
            publish=False, state=state, mark=mark, attention=attention, reason=outcome if attention.rank < 2 else "",
            outcome=outcome, next=next_, exit_code=code, done=done, of=len(self.draft.steps), step="",
            ended_at=self.clock.now(),
        )  # fmt: skip

    def publish(self) -> None:
        """Tell whoever looks."""
        self.tell(self.row)

    def record(self, event: str, state: OperationState | None, outcome: str) -> Record:
        """Return the operation as the journal has it."""
        values: Mapping[str, object] = {
            "sequence": 0,
            "at": self.clock.now(),
            "event": event,
            "operation": self.operation,
            "by": self.by,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "request": self.plan.request,
            "title": self.plan.title,
            "name": self.plan.name,
            "environment": self.plan.environment,
            "changes": self.plan.changes,
            "gates": self.plan.gates,
            "facts": dict(self.draft.facts),
            "reason": self.confirmation.reason,
            "override": self.confirmation.override,
            "state": state,
            "outcome": outcome,
            "holds": tuple(self.holds),
            "undo": self.plan.undo,
        }
        return Record.model_validate(values)

    def _change(self, *, publish: bool = True, **values: object) -> None:
        now = self.clock.now()
        self.row = OperationRow.model_validate({**dict(self.row), **values, "updated_at": now})
        if publish:
            self.publish()


def _sentence(error: MlopsTuiError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _still_runs(record: Record, now: datetime) -> bool:
    """Say whether the process that wrote an intent still lives, on this machine: it will write the outcome."""
    if record.host != socket.gethostname() or not record.process or now - record.at > LONGEST:
        return False
    if record.process == os.getpid():
        return True
    try:
        os.kill(record.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def row_of(record: Record) -> OperationRow:
    """Return an operation of the journal as a row."""
    state = record.state or OperationState.INTERRUPTED
    mark, attention = judge_operation(state)
    return OperationRow(
        key=f"{SOURCE}/{record.operation}",
        source=SOURCE,
        mark=mark,
        attention=attention,
        reason=record.outcome if attention.rank < 2 else "",
        id=record.operation,
        verb=record.request.verb,
        title=record.title,
        name=record.name,
        environment=record.environment,
        state=state,
        by=record.by,
        reason_given=record.reason,
        done=len(record.holds),
        of=len(record.holds),
        outcome=record.outcome,
        target_row=record.request.row,
        undo=record.undo,
        started_at=record.at,
        ended_at=record.at,
        updated_at=record.at,
    )


def _interrupted(record: Record, happened: bool | None) -> OperationRow:
    known = {
        True: (OperationState.DONE, "interrupted; it had taken effect"),
        False: (OperationState.FAILED, "interrupted; it had not taken effect"),
        None: (OperationState.INTERRUPTED, "interrupted; whether it took effect is not known"),
    }
    state, outcome = known[happened]
    next_ = "" if happened else "look at the row, then plan it again if it is still wanted"
    return row_of(record.model_copy(update={"state": state, "outcome": outcome})).model_copy(update={"next": next_})
