"""`archive`: a model version is taken out of its stage, and out of the environment that it serves."""

from mlops_tui.config.settings import EnvironmentSettings
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Parameter, Place, Step, Verb, environment_of
from mlops_tui.operations.journal import Record
from mlops_tui.operations.models import (
    ARCHIVED,
    ELSEWHERE,
    PATIENCE,
    Target,
    by_number,
    find,
    parse_version,
    shared,
    stage_in_words,
    versions_in_words,
)
from mlops_tui.operations.moves import Moves, call, python
from mlops_tui.operations.systems import Json


class Archive(Verb):
    """Moves a version out of its stage, and removes the environment's alias from it."""

    name = "archive"
    kind = RowKind.VERSION
    target = "MODEL@VERSION"
    address = "{model}@{version}"
    summary = "Take a model version out of its stage and out of service"
    parameters = (Parameter("stage", f"where to: {', '.join(ELSEWHERE)}; the first if not given", FieldKind.CHOICE),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        model, version = parse_version(request)
        stage = self._stage(request)
        target = await find(place, await self._environment(request, place, model, version), model, version)
        title = f"{'Archive' if stage == ARCHIVED else 'Demote'} {model} v{version}"
        if stage != ARCHIVED:
            title += f" to {stage_in_words(stage)}"
        body = target.body
        moves, drops = body is not None and target.serving.stage != stage, target.serving.aliased == version
        touched = (target.serving.stage if moves else "", target.alias if drops else "")
        warnings, refusals = shared(target, place, *touched)
        missing = () if body is not None else (Concern(text=f"{model} has no version {version}"),)
        return Draft(
            title=title,
            name=f"{model}@{version}",
            environment=target.environment,
            fields=(_field(stage),),
            changes=_changes(target, stage, moves=moves, drops=drops),
            warnings=(*_served(target, moves=moves, drops=drops), *_kept(target, stage), *warnings),
            refusals=(*missing, *refusals),
            idle="" if moves or drops or missing else f"v{version} is {stage_in_words(stage)} already",
            steps=_steps(target, title, stage, moves=moves, drops=drops),
            command=_command(target, stage, moves=moves, drops=drops),
            undo=_undo(request, target, drops=drops),
            lock=target.lock,
            patience=PATIENCE,
            facts={
                "model": model,
                "version": str(version),
                "from": target.serving.stage,
                "stage": stage,
                "alias": target.alias if drops else "",
            },
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        model, version = parse_version(record.request)
        serving = (await find(place, record.environment, model, version)).serving
        moved, dropped = serving.stage == record.facts["stage"], serving.aliased != version
        if moved and (dropped or not record.facts["alias"]):
            return True
        untouched = serving.stage == record.facts["from"] and not (dropped and record.facts["alias"])
        return False if untouched else None

    def _stage(self, request: PlanRequest) -> str:
        stage = self.parameter(request, "stage").capitalize() or ARCHIVED
        if stage not in ELSEWHERE:
            raise ConfigError(f"archive {request.target}: there is no {stage} here", f"one of {', '.join(ELSEWHERE)}")
        return stage

    @staticmethod
    async def _environment(request: PlanRequest, place: Place, model: str, version: int) -> str:
        """Return the environment that the version serves where none is named; empty for one that serves none."""
        if request.environment or len(place.environments) == 1:
            return environment_of(request, place)
        body = by_number(await place.systems.registry("").versions(model)).get(version)
        serves = [name for name, settings in place.environments.items() if body and _approves(settings, body)]
        if len(serves) > 1:
            raise ConfigError(f"{request.target}: which environment?", f"--env with one of: {', '.join(serves)}")
        return serves[0] if serves else ""


def _approves(settings: EnvironmentSettings, body: Json) -> bool:
    staged = bool(settings.stage) and body["current_stage"] == str(settings.stage).capitalize()
    return staged or bool(settings.alias and settings.alias in body["aliases"])


def _steps(target: Target, title: str, stage: str, *, moves: bool, drops: bool) -> tuple[Step, ...]:
    made = Moves(target, title)
    if drops:
        # First: whoever follows the alias is never led to a version that is archived.
        made.drop_alias()
    if moves:
        made.to_stage(target.version, stage)
    if made.steps:
        made.look_again(f"{target.model} v{target.version} is {stage_in_words(stage)}")
    return tuple(made.steps)


def _command(target: Target, stage: str, *, moves: bool, drops: bool) -> str:
    commands = []
    if drops:
        commands.append(call("delete_registered_model_alias", target.model, target.alias))
    if moves:
        commands.append(call("transition_model_version_stage", target.model, str(target.version), stage))
    return python(commands) if commands else ""


def _changes(target: Target, stage: str, *, moves: bool, drops: bool) -> tuple[Change, ...]:
    found = []
    if drops:
        found.append(Change(what=f"alias {target.alias}", before=f"v{target.version}", after="none"))
    if moves:
        before, after = stage_in_words(target.serving.stage), stage_in_words(stage)
        found.append(Change(what=f"v{target.version}", before=before, after=after))
    return tuple(found)


def _served(target: Target, *, moves: bool, drops: bool) -> tuple[Concern, ...]:
    """Return a warning where the version is what an environment approves."""
    serving = target.serving
    leaves = moves and target.version in serving.staged
    if not leaves and not drops:
        return ()
    rest = serving.staged - {target.version} if target.stage else frozenset()
    then = f"{versions_in_words(rest)} stays in {target.stage}" if rest else "nothing will be approved there"
    return (
        Concern(
            text=f"v{target.version} is what {target.environment} approves: {then}",
            hint="promote another version instead, or restore the one before",
        ),
    )


def _kept(target: Target, stage: str) -> tuple[Concern, ...]:
    """Return a warning where aliases go on pointing at a version that is archived."""
    kept = [alias for alias in target.serving.aliases if alias != target.alias]
    if stage != ARCHIVED or not kept:
        return ()
    return (Concern(text=f"{', '.join(kept)} will go on pointing at v{target.version}"),)


def _undo(request: PlanRequest, target: Target, *, drops: bool) -> PlanRequest | None:
    before, row = target.serving.stage, request.row
    if drops or target.version in target.serving.staged:
        parameters = {"to_version": str(target.version)}
        return PlanRequest(
            verb="restore", target=target.model, environment=target.environment, parameters=parameters, row=row
        )
    if before not in ELSEWHERE:
        return None
    return request.model_copy(update={"environment": target.environment, "parameters": {"stage": before}})


def _field(stage: str) -> PlanField:
    return PlanField(
        name="stage",
        label="To",
        kind=FieldKind.CHOICE,
        value=stage,
        choices=tuple(Choice(value=each, label=stage_in_words(each)) for each in ELSEWHERE),
    )
