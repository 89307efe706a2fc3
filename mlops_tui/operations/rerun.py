"""`rerun`: a workflow run again: all of it, what failed of it, or one job."""

from collections.abc import Sequence

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.repositories import gh, look, poll
from mlops_tui.operations.runs import TARGET, Target, find, forbidden, state_of, unchanged
from mlops_tui.operations.systems import Json

WHAT = {"all": "all jobs", "failed": "the failed jobs", "job": "one job"}
FAILED = frozenset({"failure", "cancelled", "timed_out"})
"""Conclusions of jobs that GitHub runs again with the failed ones."""
QUEUE = 60.0
"""Seconds that a new attempt may be queued before it counts as begun: runners may be busy for hours."""


class Rerun(Verb):
    """Begins a new attempt of a run."""

    name = "rerun"
    kind = RowKind.RUN
    target = TARGET
    summary = "Run a workflow run, its failed jobs or one job again"
    parameters = (
        Parameter("what", "all, failed or job; what failed, if not given", FieldKind.CHOICE),
        Parameter("job", "the job, by name or id, where it is one", FieldKind.CHOICE),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        jobs = await target.forge.jobs(target.repository, target.id)
        failed = [job for job in jobs if job.get("conclusion") in FAILED]
        asked = self.parameter(request, "job")
        what = self.parameter(request, "what") or ("job" if asked else "failed" if failed else "all")
        if what not in WHAT:
            raise ConfigError(f"rerun {request.target}: {what} cannot be run again", f"one of: {', '.join(WHAT)}")
        job = _job(asked, request, jobs, failed) if what == "job" else None
        again = {"all": jobs, "failed": failed, "job": [job] if job else []}[what]
        words = f"the job {job['name']}" if job else WHAT[what]
        title = f"Rerun {words} of {target.name} in {target.repository}"
        return Draft(
            title=title,
            name=target.name,
            environment=target.environment,
            fields=_fields(what, job, jobs),
            changes=(
                Change(what="attempt", before=str(target.attempt), after=str(target.attempt + 1)),
                *(Change(what=str(each["name"]), before=state_of(each), after="runs again") for each in again),
            ),
            warnings=(),
            refusals=(*await forbidden(target, place), *_impossible(target, what, again)),
            steps=(_step(target, what, job, f"rerun {words}", place),),
            command=_command(target, what, job, place),
            undo=request.model_copy(update={"verb": "cancel", "parameters": {}}),
            patience=300.0,
            facts={"attempt": str(target.attempt), "what": what, "job": str(job["name"]) if job else ""},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        target = await find(record.request, place)
        return _begun(target.body, int(record.facts.get("attempt", target.attempt)), target.login)


def _job(asked: str, request: PlanRequest, jobs: Sequence[Json], failed: Sequence[Json]) -> Json | None:
    """Return the job that is asked for, else the first that failed; `None` where there is none."""
    if not asked:
        return next(iter((*failed, *jobs)), None)
    for job in jobs:
        if asked in (str(job["id"]), job["name"]):
            return job
    names = ", ".join(str(job["name"]) for job in jobs)
    raise ConfigError(f"rerun {request.target}: there is no job {asked}", f"there are: {names}")


def _fields(what: str, job: Json | None, jobs: Sequence[Json]) -> tuple[PlanField, ...]:
    kinds = tuple(Choice(value=value, label=label) for value, label in WHAT.items())
    fields = [PlanField(name="what", label="Rerun", kind=FieldKind.CHOICE, value=what, choices=kinds)]
    if job is not None:
        named = tuple(Choice(value=str(each["name"]), label=str(each["name"]), note=state_of(each)) for each in jobs)
        fields.append(
            PlanField(name="job", label="Job", kind=FieldKind.CHOICE, value=str(job["name"]), choices=named)
        )  # fmt: skip
    return tuple(fields)


def _impossible(target: Target, what: str, again: Sequence[Json]) -> tuple[Concern, ...]:
    if target.status != "completed":
        return (Concern(text=f"it is {state_of(target.body)}", hint="wait for its end, or cancel it first"),)
    if what == "failed" and not again:
        return (Concern(text="no job of it failed", hint="run all of it again, or one job"),)
    return ()


def _begun(run: Json, before: int, login: str) -> bool | None:
    """Whether there is an attempt of ours after `before`; `None` while there is none at all."""
    if int(run.get("run_attempt") or 1) <= before:
        return None
    actor = str((run.get("triggering_actor") or {}).get("login") or "")
    return not login or not actor or actor == login


def _step(target: Target, what: str, job: Json | None, title: str, place: Place) -> Step:
    async def act(execution: Execution) -> None:
        await unchanged(target, title)
        number = int(job["id"]) if job else None
        await target.forge.rerun(target.repository, target.id, failed_only=what == "failed", job=number)

    async def seen() -> bool | None:
        return _begun(await target.now(), target.attempt, target.login)

    async def happened() -> bool | None:
        return await look(place.clock, seen)

    async def verify(execution: Execution) -> str:
        started = execution.clock.monotonic()
        async for run in poll(execution, target.now):
            attempt = int(run.get("run_attempt") or 1)
            if attempt <= target.attempt:
                execution.say("GitHub has not begun a new attempt yet")
                continue
            said = f"attempt {attempt} of {target.name} is {state_of(run)}"
            execution.say(said)
            queued = run.get("status") in ("queued", "requested", "pending")
            if not queued or execution.clock.monotonic() - started >= QUEUE:
                return f"{said}: {target.url}"
        raise NotVerified(f"{target.name} cannot be followed any more")

    return Step(title, act, happened, verify)


def _command(target: Target, what: str, job: Json | None, place: Place) -> str:
    which = {
        "all": [str(target.id)],
        "failed": [str(target.id), "--failed"],
        "job": ["--job", str((job or {}).get("id"))],
    }
    return gh(place, target.repository, "run", "rerun", *which[what])
