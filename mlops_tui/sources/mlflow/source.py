"""The MLflow source: cheap probes while nothing changes, and as few searches as a change needs.

Creating a version, moving it to a stage, describing and deleting it all touch a timestamp, so two one-row searches
tell whether anything of that happened. Aliases, tags and the deletion of a model touch none; sweeps find them.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mlops_tui.domain.base import DetailField, DetailSection, RowKind, RowRef
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, Missing, NotConfigured, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.model import VersionRow, champion_of, choose_metric
from mlops_tui.domain.state import Permission, Probe, Problem, SourceKind, SourceStatus
from mlops_tui.sources.base import Cadence, Delta, SourceInfo
from mlops_tui.sources.mlflow import sdk
from mlops_tui.sources.mlflow.acting import RegistryActor
from mlops_tui.sources.mlflow.address import MlflowTarget, label_of, resolve, shown
from mlops_tui.sources.mlflow.detail import metrics_section, pairs_section, run_section, version_section
from mlops_tui.sources.mlflow.facts import ModelFacts
from mlops_tui.sources.mlflow.mirror import Mirror
from mlops_tui.sources.mlflow.reader import Reader
from mlops_tui.sources.mlflow.rows import Rows, rows_of, stage_rows

T = TypeVar("T")

CALLS_AT_ONCE = 2
"""A default server has one worker, which more calls would only make slow for everybody."""
ANSWER_SECONDS = 8.0
"""For what is small: the heads of a cycle, one version, one run. The SDK's own limit is made for a sweep's pages."""
MODELS_SWEEP = 60.0
"""Seconds between readings of all registered models: how late an alias can be."""
FULL_SWEEP = 600.0
"""Seconds between readings of everything: how late a tag can be in a registry of more than one page."""


class MlflowSource:
    """One MLflow registry, over HTTP or in a database."""

    def __init__(self, target: MlflowTarget, clock: Clock) -> None:
        """Remember `target`; nothing is read or imported before the first cycle."""
        self.info = SourceInfo(target.source_id, SourceKind.MLFLOW, _label(target), target.environments)
        self.cadence = Cadence(active=10.0, idle=60.0)
        self._target = target
        self._clock = clock
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="mlflow")
        self._registry: sdk.Registry | None = None
        self._mirror = Mirror()
        self._rows: dict[str, Rows] = {}
        self.actor = RegistryActor(self._open)
        """What operations change the registry with."""

    async def cycle(self, publish: Callable[[Delta], None]) -> None:
        """Read what changed. See `Source.cycle`."""
        registry = await self._open()
        mirror = self._mirror
        reader = Reader(registry, mirror, self._call)
        now = self._clock.monotonic()
        # Read before everything else, so that what changes meanwhile is seen the next time.
        heads = await self._soon(registry, reader.heads())
        if mirror.swept_at is None or now - mirror.swept_at >= _sweep_interval(mirror):
            first = not self._rows
            await reader.sweep_models(self._show_stages(registry, publish) if first else None)
            await reader.sweep_versions()
            mirror.swept_at = mirror.models_swept_at = now
            if first:
                await self._publish(registry, mirror, publish)
        else:
            if heads != mirror.heads:
                await reader.follow(heads)
            if now - mirror.models_swept_at >= MODELS_SWEEP:
                await reader.sweep_models()
                await reader.reread_stale()
                mirror.models_swept_at = now
        mirror.heads = heads
        problems = await self._read_runs(registry, reader, all_unfinished=mirror.models_swept_at == now)
        if mirror.is_published:
            await self._publish(registry, mirror, publish, problems)
        else:
            await self._publish_all(registry, mirror, publish, problems)

    def forget(self) -> None:
        """Drop what was read. See `Source.forget`."""
        self._mirror = Mirror()
        self._registry = None

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        """Return version, metrics beside the champion's, parameters, tags and run. See `Source.detail`."""
        name = next((name for name, rows in self._rows.items() if ref.key in rows), None)
        if name is None:
            return ()
        siblings = self._rows[name]
        row = siblings[ref.key]
        registry = await self._open()
        facts, aliases = await self._soon(registry, self._call(lambda: registry.version(name, row.version)))
        newest = max(other.version for other in siblings.values())
        sections = [version_section(facts, aliases, newest)]
        if facts.run_id:
            sections += await self._run_sections(registry, name, row, facts.run_id)
        if facts.tags:
            sections.append(pairs_section("Tags", facts.tags))
        return tuple(section for section in sections if section.fields or section.text)

    async def probe(self) -> Probe:
        """Ask for one model, the server's version and the experiments. See `Source.probe`."""
        facts: dict[str, object] = {}
        allowed = {"models": False, "runs": False}
        try:
            registry = await self._open()
            facts["endpoint"] = shown(registry.address.registry)
            facts["identity"] = await asyncio.to_thread(registry.identity)
            start = self._clock.monotonic()
            await self._soon(registry, self._call(lambda: registry.models(size=1)))
            facts["latency"] = self._clock.monotonic() - start
            allowed["models"] = True
            facts["version"] = await self._soon(registry, self._call(registry.server_version))
            await self._soon(registry, self._call(registry.experiments))
            allowed["runs"] = True
            facts["status"] = SourceStatus.LIVE
        except SourceError as error:
            facts |= {"status": _status_of(error), "error": error.message, "hint": error.hint}
        except Exception as error:  # noqa: BLE001 - a diagnosis that fails is a diagnosis
            facts |= {"status": SourceStatus.UNREACHABLE, "error": f"internal error: {type(error).__name__}"}
        if allowed["models"] or facts["status"] is SourceStatus.DENIED:
            facts["permissions"] = _permissions(**allowed)
        return Probe(source=self.info.id, kind=self.info.kind, label=self.info.label, **facts)

    async def close(self) -> None:
        """Give back the threads; a call that is under way ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.actor.close()

    async def _open(self) -> sdk.Registry:
        registry = self._registry
        if registry is None:
            address = resolve(self._target, os.environ)
            registry = await asyncio.to_thread(sdk.Registry, address, read_only=self._target.read_only)
            self._registry = registry
        else:
            await asyncio.to_thread(registry.check)
        return registry

    async def _soon(self, registry: sdk.Registry, reading: Awaitable[T]) -> T:
        """Return what `reading` does. Raises `Unavailable` if that takes too long, and leaves its threads alone."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await reading
        except TimeoutError:
            raise Unavailable(f"{registry.address.label}: no answer in time") from None

    async def _call(self, call: Callable[[], T]) -> T:
        """Ask the server in a worker thread; what asks none has no reason to wait for one that does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _show_stages(
        self, registry: sdk.Registry, publish: Callable[[Delta], None]
    ) -> Callable[[Sequence[ModelFacts]], None]:
        return lambda models: publish(Delta(upserts=stage_rows(models, self._target, registry.address.ui)))

    async def _read_runs(self, registry: sdk.Registry, reader: Reader, *, all_unfinished: bool) -> tuple[Problem, ...]:
        try:
            await reader.runs(all_unfinished=all_unfinished)
        except SourceError as error:
            if isinstance(error, Unavailable) and not registry.address.is_split:
                raise
            return (
                Problem(
                    scope=f"runs at {label_of(registry.address.tracking)}",
                    message=error.message,
                    hint=error.hint,
                    status=_status_of(error),
                    rows=(RowKind.VERSION,),
                ),
            )
        return ()

    async def _make_rows(self, registry: sdk.Registry, mirror: Mirror, names: set[str]) -> dict[str, Rows]:
        views = [mirror.view(name) for name in sorted(names)]
        return await self._call(
            lambda: {view.name: rows_of(view, self._target, registry.address.ui) for view in views if view.versions}
        )

    async def _publish(
        self,
        registry: sdk.Registry,
        mirror: Mirror,
        publish: Callable[[Delta], None],
        problems: tuple[Problem, ...] | None = None,
    ) -> None:
        """Publish the rows that differ from those last published."""
        names = set(mirror.dirty)
        made = await self._make_rows(registry, mirror, names)
        before = {key: row for name in names for key, row in self._rows.get(name, {}).items()}
        after = {key: row for rows in made.values() for key, row in rows.items()}
        for name in names:
            self._rows.pop(name, None)
        self._rows.update(made)
        mirror.dirty -= names
        publish(
            Delta(
                upserts=tuple(row for key, row in after.items() if before.get(key) != row),
                removals=tuple(sorted(before.keys() - after.keys())),
                problems=problems,
            )
        )

    async def _publish_all(
        self, registry: sdk.Registry, mirror: Mirror, publish: Callable[[Delta], None], problems: tuple[Problem, ...]
    ) -> None:
        names = set(mirror.versions)
        made = await self._make_rows(registry, mirror, names)
        identity = await asyncio.to_thread(registry.identity)
        self._rows = made
        mirror.dirty.clear()
        mirror.is_published = True
        publish(
            Delta(
                upserts=tuple(row for rows in made.values() for row in rows.values()),
                complete=True,
                identity=identity,
                permissions=_permissions(runs=not problems),
                problems=problems,
            )
        )

    async def _run_sections(
        self, registry: sdk.Registry, name: str, row: VersionRow, run_id: str
    ) -> list[DetailSection]:
        try:
            run = await self._soon(registry, self._call(lambda: registry.run(run_id)))
        except (Unavailable, Missing) as error:
            # A run can be deleted, or be on another server: that is a fact about the version, not a failure to read.
            fields = (DetailField(label="Run", value=run_id), DetailField(label="Not read", value=error.message))
            return [DetailSection(title="Run", fields=fields)]
        siblings = list(self._rows.get(name, {}).values())
        rival = next((other for other in siblings if other.version == row.champion_version), None)
        rule = self._target.models.get(name) or choose_metric(siblings, champion_of(siblings, self._target.champion))
        return [
            metrics_section(run, row, rival, rule is None or rule.higher_is_better),
            pairs_section("Parameters", run.params),
            run_section(run, registry.address.run_page(run.experiment_id, run.run_id)),
            pairs_section("Run tags", run.tags),
        ]


def _label(target: MlflowTarget) -> str:
    try:
        return resolve(target, os.environ).label
    except NotConfigured:
        return target.registry


def _sweep_interval(mirror: Mirror) -> float:
    # What fits a page costs one search: then tags can be as fresh as aliases.
    return MODELS_SWEEP if mirror.size <= sdk.VERSIONS_PAGE else FULL_SWEEP


def _status_of(error: SourceError) -> SourceStatus:
    if isinstance(error, NotConfigured):
        return SourceStatus.OFF
    return SourceStatus.DENIED if isinstance(error, Denied | Unauthenticated) else SourceStatus.UNREACHABLE


def _permissions(*, models: bool = True, runs: bool = True) -> tuple[Permission, ...]:
    hint = "ask for READ on the experiments" if not runs else ""
    return (
        Permission(name="read models", allowed=models, hint="" if models else "ask for READ on the registered models"),
        Permission(name="read runs", allowed=runs, hint=hint),
    )
