"""Brings a mirror up to date with as few searches as the change needs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from mlops_tui.sources.mlflow import sdk
from mlops_tui.sources.mlflow.facts import ModelFacts, Page, VersionFacts
from mlops_tui.sources.mlflow.mirror import Heads, Mirror


class Changed(Protocol):
    """Something that has the time of its last change."""

    @property
    def updated(self) -> int:
        """Milliseconds since the epoch."""


T = TypeVar("T")
ChangedT = TypeVar("ChangedT", bound=Changed)

NAMES_LENGTH = 3000
"""Characters of model names in one condition: it travels in a URL, and proxies take 8 KB."""
REREAD_LIMIT = 100
"""Models up to which those that changed are read rather than all of them."""
CHANGES_PAGE = 100
"""Rows of a page of changes: most often there is one."""


class Call(Protocol):
    """Runs a blocking call in a worker thread."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Return what `call` returns."""


class Reader:
    """Reads one registry into one mirror. Methods raise as the registry does; the mirror stays whole if they do."""

    def __init__(self, registry: sdk.Registry, mirror: Mirror, call: Call) -> None:
        self._registry = registry
        self._mirror = mirror
        self._call = call

    async def heads(self) -> Heads:
        """Read the model and the version that changed last."""
        registry = self._registry
        models, versions = await asyncio.gather(
            self._call(lambda: registry.models(size=1, newest_first=True)),
            self._call(lambda: registry.versions(size=1, newest_first=True)),
        )
        return Heads(next(iter(models.items), None), next(iter(versions.items), None))

    async def sweep_models(self, each_page: Callable[[Sequence[ModelFacts]], None] | None = None) -> None:
        """Read all registered models: their aliases, and which of them are gone."""
        found: list[ModelFacts] = []
        async for page in self._pages(self._registry.models):
            found += page
            if each_page is not None:
                each_page(page)
        self._mirror.keep_models({model.name for model in found})
        self._mirror.put_models(found)

    async def sweep_versions(self) -> None:
        """Read all versions."""
        found: dict[tuple[str, int], VersionFacts] = {}
        async for page in self._pages(self._registry.versions):
            # Pages are cut by position: what is written meanwhile shows a version twice, or not at all.
            found.update(((version.model, version.version), version) for version in page)
        missing = {
            name
            for name, siblings in self._mirror.versions.items()
            if any((name, number) not in found for number in siblings)
        }
        self._mirror.put_versions(found.values())
        self._mirror.stale = missing
        await self.reread_stale()
        self._mirror.absent_runs.clear()
        self._mirror.drop_unused_runs()

    async def follow(self, heads: Heads) -> None:
        """Read what changed since the mirror's heads."""
        mirror = self._mirror
        since = mirror.heads
        versions = await self._changes(self._registry.versions, since.version.updated if since.version else 0)
        models = await self._changes(self._registry.models, since.model.updated if since.model else 0)
        mirror.put_versions(versions)
        mirror.put_models(models)
        # The newest is gone, and nothing newer is there: only a deletion does that.
        if since.model is not None and (heads.model is None or heads.model.updated < since.model.updated):
            await self.sweep_models()
        await self.reread_stale()

    async def reread_stale(self) -> None:
        """Read all versions of the stale models, and so see which are gone."""
        names = set(self._mirror.stale)
        if len(names) > REREAD_LIMIT or not all(map(sdk.is_quotable, names)):
            found = {(v.model, v.version): v async for page in self._pages(self._registry.versions) for v in page}
            self._mirror.replace_versions(names, list(found.values()))
            return
        for batch in _batches(sorted(names)):
            condition = f"name IN ({sdk.quoted(batch)})"
            read = _conditioned(self._registry, condition)
            versions = [version async for page in self._pages(read) for version in page]
            self._mirror.replace_versions(batch, versions)

    async def runs(self, *, all_unfinished: bool) -> None:
        """Read runs that were never read, and those that may have gone on.

        Args:
            all_unfinished: Whether to ask for all unfinished runs, rather than for those of the newest versions.
        """
        unfinished = self._mirror.unfinished_runs()
        wanted = self._mirror.unread_runs() + (unfinished if all_unfinished else unfinished[: sdk.RUNS_PAGE])
        absent = await self._read_runs([each for each in wanted if sdk.is_quotable(each)])
        if absent and self._mirror.experiments:
            self._mirror.experiments.clear()
            absent = await self._read_runs(absent)
        self._mirror.absent_runs.update(absent, (each for each in wanted if not sdk.is_quotable(each)))

    async def _read_runs(self, wanted: list[str]) -> list[str]:
        """Read runs; return the ids of those that are not there."""
        mirror, registry = self._mirror, self._registry
        if wanted and not mirror.experiments:
            mirror.experiments = [each async for page in self._pages(registry.experiments) for each in page]
        absent: list[str] = []
        for start in range(0, len(wanted), sdk.RUNS_PAGE):
            batch = wanted[start : start + sdk.RUNS_PAGE]
            found = await self._call(lambda batch=batch: registry.runs(batch, mirror.experiments))  # type: ignore[misc]
            mirror.put_runs(found)
            present = {run.run_id for run in found}
            absent += [each for each in batch if each not in present]
        return absent

    async def _changes(self, read: Callable[..., Page[ChangedT]], since: int) -> list[ChangedT]:
        changes: list[ChangedT] = []
        token = ""
        while True:
            page = await self._call(lambda token=token: read(token, CHANGES_PAGE, newest_first=True))  # type: ignore[misc]
            changes += [item for item in page.items if item.updated >= since]
            token = page.token
            if not token or page.items[-1].updated < since:
                return changes

    async def _pages(self, read: Callable[[str], Page[T]]) -> AsyncIterator[Sequence[T]]:
        token = ""
        while True:
            page = await self._call(lambda token=token: read(token))  # type: ignore[misc]
            yield page.items
            if not (token := page.token):
                return


def _conditioned(registry: sdk.Registry, condition: str) -> Callable[[str], Page[VersionFacts]]:
    return lambda token: registry.versions(token, condition=condition)


def _batches(names: Iterable[str]) -> list[list[str]]:
    batches: list[list[str]] = []
    length = NAMES_LENGTH
    for name in names:
        length += len(name.encode()) + 4
        if length > NAMES_LENGTH:
            batches.append([])
            length = len(name.encode())
        batches[-1].append(name)
    return batches
