"""A registry in memory for the verbs of models: it does what MLflow does, and what a test tells it to do besides."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.domain.errors import Missing, SourceError
from mlops_tui.domain.operation import Confirmation, OperationRow, PlanRequest
from mlops_tui.operations.base import Place, Verb
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.systems import RegistrySystem
from tests.support.clock import ManualClock

Json = dict[str, Any]
YES = Confirmation()
PRODUCTION = {"production": {"stage": "Production", "alias": "champion"}}


class InstantClock(ManualClock):
    """A clock on which waiting takes no time at all."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass
class ScriptedRegistry:
    """Implements `RegistrySystem` for one model, `fraud`, with the writes that it was asked for in `written`.

    Attributes:
        before: Called with every write before it is done; what it raises is raised, and nothing is done.
        after: Called with every write that was done; what it raises is raised.
    """

    bodies: dict[int, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    files: bool | None = True
    written: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda write: None
    after: Callable[[str], None] = lambda write: None

    def add(self, version: int, stage: str = "None", *aliases: str, **values: Any) -> Json:
        """Add a version whose finished run measured `accuracy`, 0.9 where it is not given."""
        accuracy = values.pop("accuracy", 0.9)
        run = {"status": "FINISHED", "lifecycle_stage": "active", "metrics": {"accuracy": accuracy}, "tags": {}}
        self.runs[f"run{version}"] = run
        self.bodies[version] = {
            "name": "fraud", "version": version, "current_stage": stage, "aliases": sorted(aliases), "status": "READY",
            "status_message": "", "source": f"s3://models/{version}", "run_id": f"run{version}", "tags": {}, **values,
        }  # fmt: skip
        return run

    def serving(self) -> tuple[list[int], int | None]:
        """Return what is in Production, and the champion."""
        staged = sorted(n for n, body in self.bodies.items() if body["current_stage"] == "Production")
        return staged, next((n for n, body in self.bodies.items() if "champion" in body["aliases"]), None)

    async def model(self, name: str) -> Json:
        aliases = {alias: number for number, body in self.bodies.items() for alias in body["aliases"]}
        return {"name": self._known(name), "aliases": aliases}

    async def versions(self, name: str) -> list[Json]:
        await asyncio.sleep(0)
        self._known(name)
        return [self._copy(number) for number in sorted(self.bodies, reverse=True)]

    async def version(self, name: str, version: int) -> Json:
        return self._copy(self._number(version))

    async def run(self, run_id: str) -> Json:
        if run_id not in self.runs:
            raise Missing(f"there is no run {run_id}")
        if isinstance(error := self.runs[run_id].get("error"), SourceError):
            raise error
        return self.runs[run_id]

    async def has_artifact(self, name: str, version: int) -> bool | None:
        return self.files

    async def set_stage(self, name: str, version: int, stage: str) -> None:
        def write() -> None:
            self.bodies[self._number(version)]["current_stage"] = stage

        await self._write(f"stage {version} {stage}", write)

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        def write() -> None:
            self._drop(alias)
            body = self.bodies[self._number(version)]
            body["aliases"] = sorted({*body["aliases"], alias})

        await self._write(f"alias {alias} {version}", write)

    async def delete_alias(self, name: str, alias: str) -> None:
        await self._write(f"no alias {alias}", lambda: self._drop(alias))

    async def set_tag(self, name: str, version: int, key: str, value: str) -> None:
        def write() -> None:
            self.bodies[self._number(version)]["tags"][key] = value

        await self._write(f"tag {version} {key}", write)

    async def _write(self, what: str, write: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        self.before(what)
        write()
        self.written.append(what)
        self.after(what)

    def _drop(self, alias: str) -> None:
        for body in self.bodies.values():
            body["aliases"] = [each for each in body["aliases"] if each != alias]

    def _copy(self, number: int) -> Json:
        body = self.bodies[number]
        return {**body, "aliases": list(body["aliases"]), "tags": dict(body["tags"])}

    def _known(self, name: str) -> str:
        if name != "fraud":
            raise Missing(f"there is no model {name}")
        return name

    def _number(self, version: int) -> int:
        if version not in self.bodies:
            raise Missing(f"there is no version {version}")
        return version


@dataclass(frozen=True)
class OneRegistry:
    """Systems of which only the registry is asked for, which is the same in every environment."""

    system: RegistrySystem

    def registry(self, environment: str) -> RegistrySystem:
        return self.system

    def cluster(self, environment: str) -> Any:
        raise AssertionError(environment)

    def forge(self) -> Any:
        raise AssertionError


class Office:
    """A desk with one verb or more before a registry, and what became of every operation.

    Args:
        folder: Where the journal is; two offices in one folder share it.
        models: The settings of models, by name.
    """

    def __init__(
        self,
        registry: RegistrySystem,
        folder: Path,
        *verbs: Verb,
        environments: Mapping[str, Mapping[str, Any]] = PRODUCTION,
        models: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.registry = registry
        named = {name: EnvironmentSettings.model_validate(values) for name, values in environments.items()}
        settings = Settings.model_validate({"mlflow": {"models": models or {}}, "environments": environments})
        self.place = Place(InstantClock(), OneRegistry(registry), settings, named, Journal(folder / "journal.jsonl"))
        self.rows: dict[str, OperationRow] = {}
        self.desk = Desk(self.place, verbs, tell=self._told, notify=_nobody)
        self._ended = asyncio.Event()

    async def do(self, request: PlanRequest, confirmation: Confirmation = YES) -> OperationRow:
        """Plan something, carry it out, and return how it ended."""
        return await self.carry_out((await self.desk.plan(request)).id, confirmation)

    async def carry_out(self, plan: str, confirmation: Confirmation = YES) -> OperationRow:
        """Carry a plan out, and return how it ended."""
        row = self.desk.execute(plan, confirmation)
        async with asyncio.timeout(30):
            while not self.rows[row.key].state.ended:
                self._ended.clear()
                await self._ended.wait()
        return self.rows[row.key]

    def _told(self, row: OperationRow) -> None:
        self.rows[row.key] = row
        self._ended.set()


async def _nobody(record: Any) -> None:
    return None
