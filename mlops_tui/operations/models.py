"""What the verbs for model versions share: what serves an environment, and what a version has to show for it."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mlops_tui.config.settings import EnvironmentSettings
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, Missing, SourceError
from mlops_tui.domain.gate import Measured, judge_gates
from mlops_tui.domain.operation import Concern, GateResult, PlanRequest
from mlops_tui.operations.base import Place, environment_of
from mlops_tui.operations.systems import Json, RegistrySystem

SERVING_STAGES: Final = ("Staging", "Production")
"""The stages that an environment may serve from."""
ARCHIVED: Final = "Archived"
ELSEWHERE: Final = (ARCHIVED, "Staging", "None")
"""The stages that a version can be taken away to."""
MARK: Final = "mlops_tui.promoted_"
"""How the tags begin that a promotion leaves on its version."""
PATIENCE: Final = 30.0
"""Seconds for the look at the end."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What matters of a model's versions to one move of one of them.

    Attributes:
        staged: The versions in the environment's stage.
        aliased: The version that holds the environment's alias.
        stage: The stage of the version that is moved; `aliases` are its aliases, sorted.
    """

    staged: frozenset[int] = frozenset()
    aliased: int | None = None
    stage: str = "None"
    aliases: tuple[str, ...] = ()

    @property
    def holder(self) -> int | None:
        """The version that serves: the alias's, else the newest in the stage."""
        return self.aliased if self.aliased is not None else max(self.staged, default=None)


@dataclass(frozen=True, slots=True)
class Target:
    """A version as it was when the plan was made, and where it is to serve.

    Attributes:
        stage: The environment's stage; empty where it has none. `alias` likewise.
        versions: All of the model's versions, by number, newest first.
    """

    registry: RegistrySystem
    clock: Clock
    environment: str
    settings: EnvironmentSettings
    model: str
    version: int
    stage: str
    alias: str
    versions: Mapping[int, Json]

    @property
    def serving(self) -> Serving:
        """What served when the plan was made."""
        return self.serving_in(self.versions)

    @property
    def body(self) -> Json | None:
        """The version itself; `None` where there is none."""
        return self.versions.get(self.version)

    @property
    def lock(self) -> str:
        """The namespace whose release lock stands for the environment; empty where it names none."""
        return next((name for name in self.settings.namespaces if name != "*"), "")

    async def look(self) -> Serving:
        """Return what serves now."""
        return self.serving_in(by_number(await self.registry.versions(self.model)))

    def serving_in(self, versions: Mapping[int, Json]) -> Serving:
        """Return what serves where these are all versions."""
        own = versions.get(self.version, {})
        return Serving(
            frozenset(
                number for number, body in versions.items() if self.stage and body["current_stage"] == self.stage
            ),
            next((n for n, body in versions.items() if self.alias and self.alias in body["aliases"]), None),
            str(own.get("current_stage", "None")),
            tuple(sorted(own.get("aliases", ()))),
        )

    def names(self) -> str:
        """Return what the environment serves from: `Production, champion`."""
        return ", ".join(filter(None, (self.stage, self.alias)))


def by_number(versions: Iterable[Json]) -> dict[int, Json]:
    """Return versions by their numbers."""
    return {int(body["version"]): body for body in versions}


def parse_version(request: PlanRequest) -> tuple[str, int]:
    """Return a request's model and version. Raises `ConfigError`."""
    model, at, number = request.target.rpartition("@")
    number = number.removeprefix("v")
    if not at or not model or not number.isascii() or not number.isdigit():
        raise ConfigError(f"{request.verb} {request.target}: the target is MODEL@VERSION", "such as fraud-detector@7")
    return model, int(number)


def serving_environment(request: PlanRequest, place: Place) -> str:
    """Return the environment that a model is to serve in. Raises `ConfigError` where it is not clear."""
    serve = [name for name, settings in place.environments.items() if settings.stage or settings.alias]
    name = serve[0] if not request.environment and len(serve) == 1 else environment_of(request, place)
    settings = place.environments[name]
    if not settings.stage and not settings.alias:
        hint = f'environments.{name}.alias = "champion", or stage = "Production", says it'
        raise ConfigError(f"{request.verb} {request.target}: nothing says what is approved for {name}", hint)
    return name


def stage_of(environment: str, settings: EnvironmentSettings) -> str:
    """Return an environment's stage as MLflow writes it; empty where it has none. Raises `ConfigError`."""
    if not settings.stage:
        return ""
    stage = settings.stage.capitalize()
    if stage not in SERVING_STAGES:
        raise ConfigError(
            f"environments.{environment}.stage: {settings.stage} approves nothing",
            f"one of {', '.join(SERVING_STAGES)}",
        )
    return stage


async def find(place: Place, environment: str, model: str, version: int) -> Target:
    """Return a version and what serves an environment; nothing does where that is empty.

    Raises:
        ConfigError: The environment's stage is none to serve from, or no registry belongs to it.
        SourceError: There is no such model, or the registry does not say.
    """
    settings = place.environments.get(environment, EnvironmentSettings())
    registry = place.systems.registry(environment)
    stage = stage_of(environment, settings)
    versions = by_number(await registry.versions(model))
    return Target(registry, place.clock, environment, settings, model, version, stage, settings.alias or "", versions)


def not_there(target: Target) -> tuple[Concern, ...]:
    """Return why a version cannot serve whatever its metrics are."""
    body = target.body
    if body is None:
        known = ", ".join(map(str, list(target.versions)[:10])) or "none"
        return (Concern(text=f"{target.model} has no version {target.version}", hint=f"the newest are: {known}"),)
    found = []
    if body["status"] != "READY":
        why = f": {body['status_message']}" if body["status_message"] else ""
        found.append(Concern(text=f"v{target.version} is {body['status']}{why}", hint="wait until it is READY"))
    if target.stage == "Staging" and body["current_stage"] == "Production":
        found.append(
            Concern(
                text=f"v{target.version} is in Production: moving it to Staging takes it out of there",
                hint="archive it with the stage Staging, if that is meant",
            )
        )
    return tuple(found)


def shared(target: Target, place: Place, *names: str) -> tuple[list[Concern], list[Concern]]:
    """Return warnings and refusals for the other environments that serve from one of these stages and aliases.

    What is protected, or read-only, is so by whatever name it is reached.
    """
    warnings, refusals = [], []
    for name, settings in _neighbours(target, place):
        common = {(settings.stage or "").capitalize(), settings.alias or ""} & set(names) - {""}
        if not common:
            continue
        text = f"{name} is approved by {' and '.join(sorted(common))}"
        if settings.read_only:
            refusals.append(Concern(text=f"{text}, and is read-only"))
        elif settings.protected and not target.settings.protected:
            refusals.append(Concern(text=f"{text}, and is protected", hint=f"do it in {name}"))
        else:
            warnings.append(Concern(text=text, hint="it changes with this"))
    return warnings, refusals


def _neighbours(target: Target, place: Place) -> list[tuple[str, EnvironmentSettings]]:
    """Return the other environments of the same registry."""
    found = []
    for name, settings in place.environments.items():
        with contextlib.suppress(ConfigError):
            if name != target.environment and place.systems.registry(name) is target.registry:
                found.append((name, settings))
    return found


def untidy(target: Target) -> tuple[Concern, ...]:
    """Return a warning where it is not clear what serves today."""
    serving = target.serving
    found = []
    if len(serving.staged) > 1:
        found.append(Concern(text=f"{together(serving.staged)} in {target.stage} today"))
    if target.stage and serving.aliased is not None and serving.staged and serving.aliased not in serving.staged:
        staged = versions_in_words(serving.staged)
        found.append(Concern(text=f"{target.alias} is v{serving.aliased} today, but {target.stage} is {staged}"))
    return tuple(found)


async def measure(target: Target, version: int) -> Measured:
    """Return what a version's run measured, and why that cannot be relied upon."""
    run_id = target.versions[version]["run_id"]
    if not run_id:
        return Measured(version, doubt="it has no run")
    try:
        run = await target.registry.run(run_id)
    except Missing:
        return Measured(version, doubt="its run is gone")
    except SourceError as error:
        return Measured(version, doubt=f"its run cannot be read: {error.message}")
    doubt = ""
    if run["lifecycle_stage"] != "active":
        doubt = "its run is deleted"
    elif run["status"] != "FINISHED":
        doubt = f"its run is {run['status']}"
    return Measured(version, run["metrics"], doubt)


async def gates_of(target: Target, place: Place) -> tuple[tuple[GateResult, ...], tuple[Concern, ...]]:
    """Return how a version does at its model's gates, and what to know where there are none."""
    rule = place.settings.mlflow.models.get(target.model)
    candidate = await measure(target, target.version)
    if rule is None or not rule.gates:
        where = f'[mlflow.models."{target.model}".gates.METRIC]'
        warnings = [Concern(text=f"no gate is configured for {target.model}", hint=f"{where} at_least = … makes one")]
        return (), (*warnings, *([Concern(text=candidate.doubt)] if candidate.doubt else []))
    holder = target.serving.holder
    champion = await measure(target, holder) if holder not in (None, target.version) else None
    return judge_gates(rule, candidate, champion), ()


def versions_in_words(versions: Iterable[int | None]) -> str:
    """Return `v11`, `v11 and v12`, `v11, v12 and v13`."""
    *some, last = [f"v{number}" for number in sorted(number for number in versions if number is not None)]
    return f"{', '.join(some)} and {last}" if some else last


def together(versions: Iterable[int]) -> str:
    """Return `v11 and v12 are both`, of three `v11, v12 and v13 are all`."""
    numbers = list(versions)
    return f"{versions_in_words(numbers)} are {'both' if len(numbers) == 2 else 'all'}"


def or_none(versions: Iterable[int | None]) -> str:
    """Return versions in words, `nothing` where there are none."""
    found = list(versions)
    return versions_in_words(found) if found else "nothing"


def stage_in_words(stage: str) -> str:
    """Return a stage, `none` for the one that MLflow calls None."""
    return "none" if stage == "None" else stage
