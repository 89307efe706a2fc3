"""A registry that only remembers, for worlds without an MLflow."""

from collections import defaultdict
from dataclasses import dataclass, field

from mlops_tui.demo.past import World
from mlops_tui.demo.registry import InUse
from mlops_tui.demo.story import Model


@dataclass(slots=True)
class Ledger:
    """Implements `Registry`."""

    entries: list[tuple[object, ...]] = field(default_factory=list)
    stages: dict[tuple[str, int], str] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    registered: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def start_run(self, model: Model, name: str, commit: str, params: dict[str, str], at: int) -> str:
        self.entries.append(("run", model.name, commit, at))
        return f"{len(self.entries):032x}"

    async def log(self, run_id: str, metrics: dict[str, float], step: int, at: int) -> None:
        self.entries.append(("metrics", run_id, step, tuple(metrics.items())))

    async def end_run(self, run_id: str, status: str, at: int) -> None:
        self.entries.append(("end", run_id, status, at))

    async def register(self, model: Model, run_id: str, description: str, tags: dict[str, str]) -> int:
        self.registered[model.name] += 1
        self.entries.append(("version", model.name, run_id))
        return model.versions + self.registered[model.name]

    async def set_stage(self, model: Model, version: int, stage: str, *, archive: bool) -> None:
        if archive:
            for other in await self.in_stage(model, stage):
                self.stages[model.name, other] = "Archived"
        self.stages[model.name, version] = stage
        self.entries.append(("stage", model.name, version, stage))

    async def set_alias(self, model: Model, alias: str, version: int) -> None:
        self.aliases[model.name, alias] = version
        self.entries.append(("alias", model.name, alias, version))

    async def set_tag(self, model: Model, version: int, key: str, value: str) -> None:
        self.entries.append(("tag", model.name, version, key, value))

    async def in_use(self, model: Model) -> InUse:
        production = max(await self.in_stage(model, "Production"), default=None)
        return InUse(self.champion(model), production, self.aliases.get((model.name, "previous"), model.champion - 1))

    async def in_stage(self, model: Model, stage: str) -> list[int]:
        first = dict.fromkeys(range(1, model.versions + 1), "Archived")
        first |= {model.challenger: "Staging"} | {model.champion: "Production"}
        known = first | {version: there for (name, version), there in self.stages.items() if name == model.name}
        return sorted(version for version, there in known.items() if there == stage)

    def champion(self, model: Model) -> int:
        return self.aliases.get((model.name, "champion"), model.champion)


def counts(world: World, ledger: Ledger) -> tuple[int, int, int]:
    """Return figures that grow with every change of the world."""
    return world.github.revision, world.cluster.store.version, len(ledger.entries)
