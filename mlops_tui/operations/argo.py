"""An Argo Rollout's update: on to the next step or to the end, back, or once more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Step
from mlops_tui.operations.rollouts import Target, gitops, leave_event, not_permitted, patch, settled
from mlops_tui.operations.routes import ROLLOUTS
from mlops_tui.operations.systems import Json

PROMOTE, FULLY, ABORT, RETRY = "promote", "promote-full", "abort", "retry"
ACTIONS: Final = {
    PROMOTE: "go on from the pause, or past the step",
    FULLY: "skip the steps, pauses and analyses that are left",
    ABORT: "send everything back to the stable version",
    RETRY: "begin an aborted update once more",
}
_UNDO: Final = {PROMOTE: ABORT, ABORT: RETRY, RETRY: ABORT}
"""What takes an action back while the update is under way."""
_DONE: Final = {PROMOTE: "Promoted", FULLY: "FullyPromoted", ABORT: "Aborted", RETRY: "Retried"}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an update is.

    Attributes:
        step: The index of the canary's step; `None` where there are no steps.
        steps: How many there are.
        pauses: Why it waits, as the controller says it.
        held: Whether somebody has paused it in its specification.
        hash: Of the version that is rolled out; `stable` of the one that serves.
    """

    phase: str
    step: int | None
    steps: int
    pauses: tuple[str, ...]
    held: bool
    aborted: bool
    fully: bool
    hash: str
    stable: str

    @property
    def complete(self) -> bool:
        return bool(self.stable) and self.stable == self.hash

    def __str__(self) -> str:
        place = f", step {self.step} of {self.steps}" if self.step is not None and not self.complete else ""
        pause = f" ({', '.join(self.pauses)})" if self.pauses else ""
        return f"{self.phase}{place}{pause}"


def progress_of(body: Json) -> Progress:
    """Return where a Rollout's update is."""
    spec, status = body["spec"], body.get("status") or {}
    steps = len(((spec.get("strategy") or {}).get("canary") or {}).get("steps") or ())
    return Progress(
        phase=str(status.get("phase") or "Unknown"),
        step=int(status.get("currentStepIndex") or 0) if steps else None,
        steps=steps,
        pauses=tuple(str(pause.get("reason", "")) for pause in status.get("pauseConditions") or ()),
        held=bool(spec.get("paused")),
        aborted=bool(status.get("abort")),
        fully=bool(status.get("promoteFull")),
        hash=str(status.get("currentPodHash", "")),
        stable=str(status.get("stableRS", "")),
    )


async def plan_update(request: PlanRequest, target: Target, do: str) -> Draft:
    """Return what moves a Rollout's update."""
    before = progress_of(target.body)
    do = do or (RETRY if before.aborted else PROMOTE)
    if do not in ACTIONS:
        raise ConfigError(f"traffic {request.target}: {do} is nothing to do", f"one of: {', '.join(ACTIONS)}")
    title = f"{do.replace('promote-full', 'fully promote').capitalize()} the update of {target.address}"
    steps = _steps(target, before, do, title)
    needs = [("patch", ROLLOUTS, "status" if where else "") for where, _ in _writes(before, do)]
    undo = _UNDO.get(do)
    return Draft(
        title=title,
        name=target.address,
        environment=target.environment,
        fields=(
            PlanField(
                name="do",
                label="Do",
                kind=FieldKind.CHOICE,
                value=do,
                choices=tuple(Choice(value=each, label=each, note=note) for each, note in ACTIONS.items()),
            ),
        ),
        changes=_changes(target, before, do),
        warnings=(*gitops(target), *_losses(before, do)),
        refusals=await not_permitted(target, *needs),
        idle=_idle(before, do),
        steps=steps,
        command=_command(target, do),
        undo=request.model_copy(update={"environment": target.environment, "parameters": {"do": undo}})
        if undo
        else None,
        lock=target.namespace,
        patience=600.0,
        facts={
            "route": f"rollout/{target.name}",
            "do": do,
            "step": str(before.step if before.step is not None else ""),
            "waits": "yes" if before.pauses or before.held else "no",
            "hash": before.hash,
        },
    )


def has_happened(body: Json, facts: dict[str, str]) -> bool | None:
    """Say by what is so now whether an action took effect; `None` where it cannot be told any more."""
    now = progress_of(body)
    if now.hash != facts["hash"]:
        return None
    step = int(facts["step"]) if facts["step"] else None
    return _took_effect(facts["do"], step, now, waited=facts["waits"] == "yes")


def _took_effect(do: str, step: int | None, now: Progress, *, waited: bool) -> bool:
    match do:
        case "promote":
            moved = now.step is not None and step is not None and now.step > step
            return now.complete or moved or (waited and not now.pauses and not now.held and not now.aborted)
        case "promote-full":
            return now.complete or now.fully
        case "abort":
            return now.aborted
        case _:
            return not now.aborted


def _idle(before: Progress, do: str) -> str:
    if do == RETRY:
        return "" if before.aborted else "it is not aborted"
    if before.complete:
        return "nothing is being rolled out"
    if do == ABORT:
        return "it is aborted already" if before.aborted else ""
    if do == FULLY:
        return "it is being fully promoted already" if before.fully else ""
    return "" if _writes(before, do) else "it waits for nobody"


def _writes(before: Progress, do: str) -> list[tuple[str, list[Json]]]:
    """Return the subresource and the JSON patch of each write, as `kubectl argo rollouts` would send them."""
    if do == FULLY:
        return [("status", [{"op": "add", "path": "/status/promoteFull", "value": True}])]
    if do in (ABORT, RETRY):
        return [("status", [{"op": "add", "path": "/status/abort", "value": do == ABORT}])]
    made: list[tuple[str, list[Json]]] = []
    if before.pauses:
        made.append(("status", [{"op": "remove", "path": "/status/pauseConditions"}]))
    elif before.step is not None and not before.held:
        beyond = min(before.step + 1, before.steps)
        made.append(("status", [{"op": "add", "path": "/status/currentStepIndex", "value": beyond}]))
    if before.held:
        made.append(("", [{"op": "replace", "path": "/spec/paused", "value": False}]))
    return made


def _steps(target: Target, before: Progress, do: str, title: str) -> tuple[Step, ...]:
    writes = _writes(before, do)
    words = {"status": f"{do} {target.address}", "": f"unpause {target.address}"}
    steps = []
    for index, (subresource, operations) in enumerate(writes):
        last = index == len(writes) - 1
        steps.append(_step(target, before, do, words[subresource], title, subresource, operations, verified=last))
    return tuple(steps)


def _step(
    target: Target, before: Progress, do: str, name: str, title: str, subresource: str, operations: list[Json],
    *, verified: bool,
) -> Step:  # fmt: skip
    def prepare(now: Json) -> list[Json]:
        present = progress_of(now)
        # The first of two writes ends a pause: what it has moved is no stranger's doing.
        if subresource and _identity(present) != _identity(before):
            raise Conflict(f"{title}: it has moved since the plan: {present}", "plan it again")
        return operations

    async def act(execution: Execution) -> None:
        await patch(target, prepare, title, subresource=subresource)
        if verified:
            await leave_event(target, execution, _DONE[do], f"{do} at {before}")

    def look(now: Json) -> bool:
        if not subresource:
            return not now["spec"].get("paused")
        return _took_effect(do, before.step, progress_of(now), waited=bool(before.pauses))

    async def happened() -> bool | None:
        return await settled(target, look)

    async def verify(execution: Execution) -> str:
        return await _follow(target, execution, before, do)

    return Step(name, act, happened, verify if verified else None)


def _identity(progress: Progress) -> tuple[object, ...]:
    return progress.step, progress.pauses, progress.aborted, progress.fully, progress.hash


async def _follow(target: Target, execution: Execution, before: Progress, do: str) -> str:
    async for body in target.cluster.watch(ROLLOUTS, target.namespace, target.name):
        if body is None:
            raise NotVerified(f"{target.address} is gone")
        now = progress_of(body)
        execution.say(f"{now}{_message(body)}")
        if now.hash != before.hash:
            raise NotVerified(f"somebody has begun another update of {target.address}", "look at the row")
        if now.step is not None:
            execution.count(now.steps if now.complete else now.step, now.steps)
        if do != ABORT and now.aborted and not (do == RETRY and now.phase == "Degraded"):
            raise NotVerified(f"the update of {target.address} was aborted{_message(body)}", "look at the row")
        if _REACHED[do](before, now, body):
            return f"{target.address} is {now}"
    raise NotVerified(f"{target.address} cannot be watched any more")


def _message(body: Json) -> str:
    message = (body.get("status") or {}).get("message")
    return f": {message}" if message else ""


def _promoted(before: Progress, now: Progress, body: Json) -> bool:
    if now.step is None or before.step is None:
        return now.complete
    return now.complete or now.step > before.step


def _fully(before: Progress, now: Progress, body: Json) -> bool:
    return now.complete and now.phase == "Healthy"


def _aborted(before: Progress, now: Progress, body: Json) -> bool:
    """Say whether the controller has aborted, and nothing goes to the new version any more."""
    status, strategy = body.get("status") or {}, body["spec"].get("strategy") or {}
    if not now.aborted or not status.get("abortedAt"):
        return False
    canary = strategy.get("canary")
    if canary is None:
        return bool((status.get("blueGreen") or {}).get("activeSelector", now.stable) == now.stable)
    if not canary.get("trafficRouting"):
        return not status.get("updatedReplicas")
    weights = (status.get("canary") or {}).get("weights") or {}
    return not (weights.get("canary") or {}).get("weight")


def _retried(before: Progress, now: Progress, body: Json) -> bool:
    return not now.aborted and not (body.get("status") or {}).get("abortedAt") and now.phase != "Degraded"


_REACHED: Final[dict[str, Callable[[Progress, Progress, Json], bool]]] = {
    PROMOTE: _promoted,
    FULLY: _fully,
    ABORT: _aborted,
    RETRY: _retried,
}


def _changes(target: Target, before: Progress, do: str) -> tuple[Change, ...]:
    after = {
        PROMOTE: "on to what comes next" if before.step is None else f"on after step {before.step} of {before.steps}",
        FULLY: "Healthy, all on the new version",
        ABORT: "Degraded (aborted), all on the stable version",
        RETRY: "Progressing, from the first step",
    }
    return (Change(what="update", before=str(before), after=after[do]),)


def _losses(before: Progress, do: str) -> tuple[Concern, ...]:
    if do == FULLY and not before.complete:
        left = f"{before.steps - (before.step or 0)} steps are" if before.step is not None else "what is left is"
        return (Concern(text=f"{left} skipped, with their pauses and analyses"),)
    if do == ABORT:
        hint = "put the old template back to end the update for good"
        return (Concern(text="the specification still asks for the new version: a retry begins it again", hint=hint),)
    return ()


def _command(target: Target, do: str) -> str:
    words = {PROMOTE: ["promote"], FULLY: ["promote", "--full"], ABORT: ["abort"], RETRY: ["retry", "rollout"]}[do]
    return target.kubectl("argo", "rollouts", *words, target.name)
