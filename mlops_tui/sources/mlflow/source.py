"""The MLflow source: cheap probes while nothing changes, and as few searches as a change needs.

Creating a version, moving it to a stage, describing and deleting it all touch a timestamp, so two one-row searches
tell whether anything of that happened. Aliases, tags and the deletion of a model touch none; sweeps find them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mlops_tui.domain.base import DetailSection, RowRef
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, NotConfigured, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.model import VersionRow, choose_metric
from mlops_tui.domain.state import Permission, Probe, Problem, SourceKind, SourceStatus
from mlops_tui.domain.base import RowKind
from mlops_tui.sources.base import Cadence, Delta, SourceInfo
from mlops_tui.sources.mlflow import sdk
from mlops_tui.sources.mlflow.address import MlflowTarget, label_of, resolve, shown
from mlops_tui.sources.mlflow.detail import metrics_section, pairs_section, run_section, version_section
from mlops_tui.sources.mlflow.facts import ModelFacts, Page, VersionFacts
from mlops_tui.sources.mlflow.mirror import Heads, Mirror
from mlops_tui.sources.mlflow.rows import Rows, rows_of

T = TypeVar("T")

CALLS_AT_ONCE = 2
"""A default server has one worker, which more calls would only make slow for everybody."""
MODELS_SWEEP = 60.0
"""Seconds between readings of all registered models: how late an alias can be."""
FULL_SWEEP = 600.0
"""Seconds between readings of everything: how late a tag can be in a registry of several pages."""
NAMES_LENGTH = 3000
"""Characters of model names in one condition: it travels in a URL, and proxies take 8 KB."""
REREAD_LIMIT = 50
"""Changed models up to which they are read one by one rather than the whole registry."""


class MlflowSource:
    """One MLflow registry, over HTTP or in a database."""

    def __init__(self, target: MlflowTarget, clock: Clock) -> None:
        """Remember `target`; nothing is read or imported before the first cycle."""
        uri = target.registry_uri or target.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        self.info = SourceInfo(
            target.source_id, SourceKind.MLFLOW, label_of(uri) if uri else target.registry, target.environments
        )
        self.cadence = Cadence(active=10.0, idle=60.0)
        self._target = target
        self._clock = clock
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="mlflow")
        self._registry: sdk.Registry | None = None
        self._mirror = Mirror()
        self._rows: dict[str, Rows] = {}
        self._has_shown_all = False
        self._problems: tuple[Problem, ...] = ()

    async def cycle(self, publish: Callable[[Delta], None]) -> None:
        """Read what changed. See `Source.cycle`."""
        registry = await self._open()
        mirror = self._mirror
        now = self._clock.monotonic()
        # Read before everything else, so that what changes meanwhile is seen the next time.
        heads = await self._read_heads(registry)
        complete = mirror.swept_at is None
        if mirror.swept_at is None or now - mirror.swept_at >= self._sweep_interval(mirror):
            await self._sweep(registry, mirror, None if self._has_shown_all else publish)
            mirror.swept_at = mirror.models_swept_at = now
        else:
            if heads != mirror.heads:
                await self._follow(registry, mirror, heads)
            if now - mirror.models_swept_at >= MODELS_SWEEP:
                await self._sweep_models(registry, mirror)
                mirror.models_swept_at = now
        mirror.heads = heads
        await self._read_runs(registry, mirror, all_unfinished=mirror.models_swept_at == now)
        await self._publish(registry, mirror, publish, complete)

    def forget(self) -> None:
        """Drop what was read. See `Source.forget`."""
        self._mirror = Mirror()
        self._registry = None

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        """Return version, metrics beside the champion's, parameters, tags and run. See `Source.detail`."""
        row = next((rows[ref.key] for rows in self._rows.values() if ref.key in rows), None)
        if row is None:
            return ()
        registry = await self._open()
        siblings = next(rows for rows in self._rows.values() if ref.key in rows)
        name = next(name for name, rows in self._rows.items() if rows is siblings)
        facts, aliases = await self._call(lambda: registry.version(name, row.version))
        newest = max(other.version for other in siblings.values())
        sections = [version_section(facts, aliases, newest)]
        if facts.run_id:
            sections += await self._run_sections(registry, name, row, facts.run_id)
        if facts.tags:
            sections.append(pairs_section("Tags", facts.tags))
        return tuple(sections)
