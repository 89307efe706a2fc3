"""`promote`: a model version begins to serve an environment, by its stage, its alias, or both."""

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Parameter, Place, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.models import (
    ELSEWHERE,
    PATIENCE,
    Target,
    find,
    gates_of,
    not_there,
    parse_version,
    serving_environment,
    shared,
    untidy,
    versions_in_words,
)
from mlops_tui.operations.moves import facts_of, make_serve, serves

_ANSWERS = ("yes", "no")


class Promote(Verb):
    """Moves a version to the environment's stage, archives what was there, and points the environment's alias at it."""

    name = "promote"
    kind = RowKind.VERSION
    target = "MODEL@VERSION"
    address = "{model}@{version}"
    summary = "Approve a model version for an environment"
    parameters = (
        Parameter("archive", "whether what was in the stage is archived: yes, the default, or no", FieldKind.CHOICE),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        model, version = parse_version(request)
        archive = self._archive(request)
        target = await find(place, serving_environment(request, place), model, version)
        title = f"Promote {model} v{version} to {target.environment}"
        impossible = not_there(target)
        gates, ungated = await gates_of(target, place) if target.body is not None else ((), ())
        moving = make_serve(target, title, archive=archive)
        warnings, refusals = shared(target, place, target.stage, target.alias)
        return Draft(
            title=title,
            name=f"{model}@{version}",
            environment=target.environment,
            fields=_fields(target, archive=archive),
            changes=moving.changes,
            gates=gates,
            warnings=(*ungated, *_beside(target, archive=archive), *untidy(target), *_older(target), *warnings),
            refusals=(*impossible, *refusals),
            idle="" if impossible else moving.idle,
            steps=() if impossible else moving.steps,
            command=moving.command,
            undo=_undo(request, target),
            lock=target.lock,
            patience=PATIENCE,
            facts=facts_of(target, archive=archive),
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        model, version = parse_version(record.request)
        target = await find(place, record.environment, model, version)
        return serves(record, target.serving)

    def _archive(self, request: PlanRequest) -> bool:
        answer = self.parameter(request, "archive").lower() or "yes"
        if answer not in _ANSWERS:
            raise ConfigError(f"promote {request.target}: archive is yes or no, not {answer}")
        return answer == "yes"


def _undo(request: PlanRequest, target: Target) -> PlanRequest | None:
    """Return what puts back what serves today; where nothing does, what takes the version away again."""
    holder = target.serving.holder
    row = request.row
    if holder is None and target.serving.stage in ELSEWHERE:
        back = {"stage": target.serving.stage}
        return PlanRequest(
            verb="archive", target=request.target, environment=target.environment, parameters=back, row=row
        )
    if holder in (None, target.version):
        return None
    parameters = {"to_version": str(holder)}
    return PlanRequest(
        verb="restore", target=target.model, environment=target.environment, parameters=parameters, row=row
    )


def _fields(target: Target, *, archive: bool) -> tuple[PlanField, ...]:
    others = target.serving.staged - {target.version}
    if not others:
        return ()
    return (
        PlanField(
            name="archive",
            label=f"Archive {versions_in_words(others)}",
            kind=FieldKind.CHOICE,
            value="yes" if archive else "no",
            choices=tuple(Choice(value=answer, label=answer) for answer in _ANSWERS),
        ),
    )


def _beside(target: Target, *, archive: bool) -> tuple[Concern, ...]:
    others = target.serving.staged - {target.version}
    if archive or not others:
        return ()
    text = f"{versions_in_words(others)} will be in {target.stage} too: two languages for one thing, and two answers"
    return (Concern(text=text, hint="archive what was there"),)


def _older(target: Target) -> tuple[Concern, ...]:
    holder = target.serving.holder
    if holder is None or holder <= target.version:
        return ()
    text = f"v{target.version} is older than v{holder}, which is approved today"
    return (Concern(text=text, hint="restore goes back to what served before"),)
