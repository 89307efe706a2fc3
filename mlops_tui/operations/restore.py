"""`restore`: an environment goes back to a version of a model that served it before.

Which did is told by the journal, by the tags that promotions leave on versions, and by the alias `previous`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mlops_tui.ages import stamp
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError, Missing, MlopsTuiError, SourceError
from mlops_tui.domain.operation import Choice, Concern, FieldKind, OperationState, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Parameter, Place, Verb
from mlops_tui.operations.journal import Journal, Record
from mlops_tui.operations.models import (
    ARCHIVED,
    MARK,
    PATIENCE,
    Target,
    find,
    gates_of,
    not_there,
    serving_environment,
    shared,
    untidy,
)
from mlops_tui.operations.moves import facts_of, make_serve, serves
from mlops_tui.operations.systems import Json

PREVIOUS = "previous"
"""The alias by which many pipelines keep what served before."""
NOBODY = 0
"""Stands for no version, where there is none to go back to: versions begin at 1."""


@dataclass(frozen=True, slots=True)
class Served:
    """That a version began to serve.

    Attributes:
        over: The version that served until then; `None` where that is not known.
    """

    version: int
    at: datetime
    by: str
    over: int | None


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the versions that served an environment.

    Attributes:
        served: Newest first.
        notes: How each version is known, by version, in the order in which they are offered.
        before: What served before the present version; `NOBODY` where nothing tells.
        problem: Why the journal does not tell.
    """

    served: tuple[Served, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    before: int = NOBODY
    problem: str = ""


class Restore(Verb):
    """Makes a version serve again, after a look whether its run and its files are still there."""

    name = "restore"
    kind = RowKind.VERSION
    target = "MODEL"
    summary = "Go back to the model version that served before"
    parameters = (Parameter("to_version", "the version; the one that served before if not given", FieldKind.CHOICE),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        model, environment = request.target, serving_environment(request, place)
        present = await find(place, environment, model, NOBODY)
        past = past_of(present, place)
        chosen = self._chosen(request) or past.before
        target = replace(present, version=chosen)
        title = f"Roll {model} back to v{chosen} in {environment}" if chosen else f"Roll {model} back in {environment}"
        refusals = await self._refusals(target)
        moving = make_serve(target, title)
        gate_warnings = await _gates(target, place) if target.body is not None else ()
        artifact_warnings, artifact_refusals = await _files(target) if not refusals else ((), ())
        neighbours, forbidden = shared(target, place, target.stage, target.alias)
        return Draft(
            title=title,
            name=model,
            environment=environment,
            fields=(_field(past, target),),
            changes=() if refusals else moving.changes,
            warnings=(*artifact_warnings, *_unknown(past, target), *gate_warnings, *untidy(target), *neighbours),
            refusals=(*refusals, *artifact_refusals, *forbidden),
            idle="" if refusals else moving.idle,
            steps=() if refusals else moving.steps,
            command="" if refusals else moving.command,
            undo=_undo(request, target),
            lock=target.lock,
            patience=PATIENCE,
            facts=facts_of(target, archive=True),
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        # The version of then: planned anew, "the one before" would be another one by now.
        version = int(record.facts["version"])
        target = await find(place, record.environment, record.request.target, version)
        return serves(record, target.serving)

    def _chosen(self, request: PlanRequest) -> int:
        text = self.parameter(request, "to_version").removeprefix("v")
        if text and not (text.isascii() and text.isdigit() and int(text)):
            raise ConfigError(f"restore {request.target}: {text} is no version", "such as --to-version 12")
        return int(text or NOBODY)

    @staticmethod
    async def _refusals(target: Target) -> tuple[Concern, ...]:
        if target.version == NOBODY:
            text = f"nothing tells what served {target.environment} before"
            return (Concern(text=text, hint="name a version: --to-version N"),)
        impossible = not_there(target)
        return impossible if target.body is None else (*impossible, *await _run(target))


async def _run(target: Target) -> tuple[Concern, ...]:
    """Return why the version's run does not let it go back; none where that cannot be told."""
    run_id = (target.body or {})["run_id"]
    if not run_id:
        return ()
    try:
        run = await target.registry.run(run_id)
    except Missing:
        return (Concern(text=f"the run of v{target.version} is gone, and its files with it", hint="choose another"),)
    except SourceError:
        return ()
    if run["lifecycle_stage"] != "active":
        text = f"the run of v{target.version} is deleted"
        return (Concern(text=text, hint=f"mlflow runs restore --run-id {run_id} brings it back, while its files last"),)
    return ()


async def _files(target: Target) -> tuple[tuple[Concern, ...], tuple[Concern, ...]]:
    """Return a warning, or a refusal, where the version's files may not be, or are not there."""
    try:
        there = await target.registry.has_artifact(target.model, target.version)
    except SourceError:
        there = None
    source = (target.body or {})["source"]
    if there is None:
        text = f"nobody here can tell whether the files of v{target.version} are still there"
        return (Concern(text=text, hint=f"look at {source}"),), ()
    if not there:
        return (), (Concern(text=f"the files of v{target.version} are gone: {source}", hint="choose another"),)
    return (), ()


async def _gates(target: Target, place: Place) -> tuple[Concern, ...]:
    """Return the gates that the version does not pass: they are told, and hold nobody up."""
    gates, _ = await gates_of(target, place)
    return tuple(Concern(text=f"gate {gate.name}: {gate.evidence}") for gate in gates if gate.passed is not True)


def _unknown(past: Past, target: Target) -> tuple[Concern, ...]:
    found = [Concern(text=past.problem)] if past.problem else []
    if target.body is not None and target.version not in past.notes and target.version != target.serving.holder:
        found.append(Concern(text=f"nothing tells that v{target.version} ever served {target.environment}"))
    return tuple(found)


def past_of(present: Target, place: Place) -> Past:
    """Return what is known of the versions that served the environment before the present one."""
    problem = ""
    try:
        told = _journal(place.journal, present)
    except MlopsTuiError as error:
        told, problem = [], error.message
    # A promotion of ours is in both: the journal's is the first.
    served = sorted([*told, *_tags(present)], key=lambda one: one.at, reverse=True)
    now = place.clock.now()
    holder = present.serving.holder
    notes: dict[int, str] = {}
    for one in served:
        notes.setdefault(one.version, f"serving from {stamp(one.at, now)}, promoted by {one.by or 'somebody'}")
    for one in served:
        if one.over is not None:
            notes.setdefault(one.over, f"served until {stamp(one.at, now)}")
    previous = next((number for number, body in present.versions.items() if PREVIOUS in body["aliases"]), None)
    if previous is not None:
        notes[previous] = "; ".join(filter(None, (f"alias {PREVIOUS}", notes.get(previous, ""))))
    for number, body in present.versions.items():
        if body["current_stage"] == ARCHIVED:
            notes.setdefault(number, "archived")
    notes = {number: note for number, note in notes.items() if number in present.versions and number != holder}
    return Past(tuple(served), notes, _before(served, holder, previous, notes, present.versions), problem)


def _before(
    served: list[Served],
    holder: int | None,
    previous: int | None,
    notes: Mapping[int, str],
    versions: Mapping[int, Json],
) -> int:
    """Return what served before the present version, by the best that tells it."""
    over = next((one.over for one in served if one.version == holder and one.over in notes), None)
    earlier = next((one.version for one in served if one.version in notes), None)
    # What is archived served once; a version that is newer than the present one may have been turned down.
    archived = next((n for n in versions if n in notes and (holder is None or n < holder)), None)
    candidates = (over, previous if previous in notes else None, earlier, archived)
    return next((number for number in candidates if number is not None), NOBODY)


def _journal(journal: Journal, present: Target) -> list[Served]:
    return [
        Served(int(record.facts["version"]), record.at, record.by, _number(record.facts.get("from", "")))
        for record in journal.records()
        if record.event in ("outcome", "resolved")
        and record.state is OperationState.DONE
        and record.request.verb in ("promote", "restore", "rollback-release")
        and record.environment == present.environment
        and record.facts.get("model") == present.model
    ]


def _tags(present: Target) -> list[Served]:
    found = []
    for number, body in present.versions.items():
        marks = {key.removeprefix(MARK): value for key, value in body["tags"].items() if key.startswith(MARK)}
        # Others may leave the same tags without saying where to.
        if marks.get("to", present.environment) != present.environment:
            continue
        try:
            at = datetime.fromisoformat(marks.get("at", ""))
        except ValueError:
            continue
        if at.tzinfo is not None:
            found.append(Served(number, at, marks.get("by", ""), _number(marks.get("over", ""))))
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _undo(request: PlanRequest, target: Target) -> PlanRequest | None:
    holder = target.serving.holder
    if holder in (None, target.version):
        return None
    return request.model_copy(update={"environment": target.environment, "parameters": {"to_version": str(holder)}})


def _field(past: Past, target: Target) -> PlanField:
    notes = dict(past.notes)
    if target.version != NOBODY:
        notes.setdefault(target.version, "approved now" if target.version == target.serving.holder else "")
    return PlanField(
        name="to_version",
        label="Version",
        kind=FieldKind.CHOICE,
        value=str(target.version or ""),
        choices=tuple(Choice(value=str(number), label=f"v{number}", note=note) for number, note in notes.items()),
    )
