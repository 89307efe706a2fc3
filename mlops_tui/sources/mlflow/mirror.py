"""The registry as it was last read, and which of its models changed since somebody was told."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from mlops_tui.sources.mlflow.facts import ModelFacts, RunFacts, VersionFacts


@dataclass(frozen=True, slots=True)
class Heads:
    """The model and the version that changed last: when they are the same as before, nothing else changed."""

    model: ModelFacts | None = None
    version: VersionFacts | None = None


@dataclass(frozen=True, slots=True)
class ModelView:
    """All that the rows of one model are made of; unaffected by later changes of the mirror."""

    name: str
    aliases: dict[int, tuple[str, ...]]
    versions: tuple[VersionFacts, ...]
    runs: dict[str, RunFacts]


@dataclass(slots=True)
class Mirror:
    """What is known of the registry.

    Attributes:
        dirty: Names of models whose rows are to be made again.
        stale: Names of models whose versions are to be read again.
        absent_runs: Runs that the tracking server does not know or show.
        swept_at: When everything was read last, by the monotonic clock; `None` before the first time.
        models_swept_at: When all registered models were read last, likewise.
        is_published: Whether all of it was published once.
    """

    models: dict[str, ModelFacts] = field(default_factory=dict)
    versions: dict[str, dict[int, VersionFacts]] = field(default_factory=dict)
    runs: dict[str, RunFacts] = field(default_factory=dict)
    experiments: list[str] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    absent_runs: set[str] = field(default_factory=set)
    heads: Heads = Heads()
    swept_at: float | None = None
    models_swept_at: float = 0.0
    is_published: bool = False

    @property
    def size(self) -> int:
        """How many versions there are."""
        return sum(map(len, self.versions.values()))

    def put_models(self, models: Iterable[ModelFacts]) -> None:
        """Take in models; those whose versions may be others than before become stale."""
        for model in models:
            known = self.models.get(model.name)
            if known != model:
                self.dirty.add(model.name)
                self.models[model.name] = model
            if known is None or known.updated != model.updated:
                self.stale.add(model.name)
            self.put_versions(model.latest)
            if not set(model.aliases.values()) <= self.versions.get(model.name, {}).keys():
                self.stale.add(model.name)

    def put_versions(self, versions: Iterable[VersionFacts]) -> None:
        """Take in single versions; others stay as they are."""
        for version in versions:
            if version.is_prompt:
                continue
            siblings = self.versions.setdefault(version.model, {})
            if siblings.get(version.version) != version:
                siblings[version.version] = version
                self.dirty.add(version.model)

    def replace_versions(self, names: Collection[str], versions: Sequence[VersionFacts]) -> None:
        """Take in all the versions that the named models have."""
        kept: dict[str, set[int]] = {}
        for version in versions:
            kept.setdefault(version.model, set()).add(version.version)
        for name in names:
            siblings = self.versions.get(name, {})
            for number in siblings.keys() - kept.get(name, set()):
                del siblings[number]
                self.dirty.add(name)
        self.put_versions(versions)
        self.stale.difference_update(names)

    def keep_models(self, names: set[str]) -> None:
        """Forget the models that are not among `names`."""
        for name in (self.models.keys() | self.versions.keys()) - names:
            self.models.pop(name, None)
            self.versions.pop(name, None)
            self.stale.discard(name)
            self.dirty.add(name)

    def put_runs(self, runs: Iterable[RunFacts]) -> None:
        """Take in runs."""
        changed = {run.run_id for run in runs if self.runs.get(run.run_id) != run}
        if not changed:
            return
        self.runs.update((run.run_id, run) for run in runs)
        for name, siblings in self.versions.items():
            if any(version.run_id in changed for version in siblings.values()):
                self.dirty.add(name)

    def unread_runs(self) -> list[str]:
        """Return the ids of runs that versions name and that were never read."""
        named = (version.run_id for siblings in self.versions.values() for version in siblings.values())
        return [
            each for each in dict.fromkeys(named) if each and each not in self.runs and each not in self.absent_runs
        ]

    def unfinished_runs(self) -> list[str]:
        """Return the ids of runs whose metrics may still change, those of the newest versions first."""
        found = {
            version.run_id: version.created
            for siblings in self.versions.values()
            for version in siblings.values()
            if (run := self.runs.get(version.run_id)) and not run.is_finished
        }
        return sorted(found, key=lambda run_id: -found[run_id])

    def drop_unused_runs(self) -> None:
        """Forget the runs that no version names any more."""
        used = {version.run_id for siblings in self.versions.values() for version in siblings.values()}
        for run_id in self.runs.keys() - used:
            del self.runs[run_id]

    def view(self, name: str) -> ModelView:
        """Return what the rows of a model are made of."""
        versions = tuple(self.versions.get(name, {}).values())
        model = self.models.get(name)
        aliases: dict[int, list[str]] = {}
        for alias, number in (model.aliases if model else {}).items():
            aliases.setdefault(number, []).append(alias)
        return ModelView(
            name=name,
            aliases={number: tuple(sorted(names)) for number, names in aliases.items()},
            versions=versions,
            runs={v.run_id: self.runs[v.run_id] for v in versions if v.run_id in self.runs},
        )
