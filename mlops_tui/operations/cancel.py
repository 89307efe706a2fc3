"""`cancel`: a workflow run ends before it is done."""

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.operation import Change, Concern, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.repositories import gh, look, poll
from mlops_tui.operations.runs import TARGET, Target, find, forbidden, state_of, unchanged
from mlops_tui.operations.systems import Json


class Cancel(Verb):
    """Cancels a run."""

    name = "cancel"
    kind = RowKind.RUN
    target = TARGET
    summary = "Cancel a workflow run"

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        jobs = await target.forge.jobs(target.repository, target.id)
        running = [job for job in jobs if job.get("status") == "in_progress"]
        left = [job for job in jobs if job.get("status") != "completed"]
        return Draft(
            title=f"Cancel {target.name} in {target.repository}",
            name=target.name,
            environment=target.environment,
            changes=tuple(Change(what=str(job["name"]), before=state_of(job), after="cancelled") for job in left),
            warnings=tuple(
                Concern(text=f"{job['name']} is under way and stops where it is", hint="look at what it has changed")
                for job in running
                if "deploy" in str(job["name"]).casefold()
            ),
            refusals=await forbidden(target, place),
            idle=f"it has ended: {state_of(target.body)}" if target.status == "completed" else "",
            steps=(_step(target, place),),
            command=gh(place, target.repository, "run", "cancel", str(target.id)),
            undo=request.model_copy(update={"verb": "rerun", "parameters": {"what": "all"}}),
            patience=120.0,
            facts={"attempt": str(target.attempt)},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        return _cancelled((await find(record.request, place)).body)


def _cancelled(run: Json) -> bool | None:
    """Whether a run was cancelled; `None` while it has not ended."""
    return None if run.get("status") != "completed" else run.get("conclusion") == "cancelled"


def _step(target: Target, place: Place) -> Step:
    title = f"cancel {target.name}"

    async def act(execution: Execution) -> None:
        await unchanged(target, title)
        await target.forge.cancel(target.repository, target.id)

    async def seen() -> bool | None:
        return _cancelled(await target.now())

    async def happened() -> bool | None:
        return await look(place.clock, seen)

    async def verify(execution: Execution) -> str:
        async for run in poll(execution, target.now):
            ended = _cancelled(run)
            execution.say(f"{target.name} is {state_of(run)}")
            if ended:
                return f"{target.name} is cancelled: {target.url}"
            if ended is False:
                raise NotVerified(f"{target.name} had ended by itself before it could be cancelled: {state_of(run)}")
        raise NotVerified(f"{target.name} cannot be followed any more")

    return Step(title, act, happened, verify)
