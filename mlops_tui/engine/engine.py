"""The engine in this process: sources, their pollers and the board."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Self

from mlops_tui.domain.base import Detail, RowRef
from mlops_tui.domain.clock import Clock, SystemClock
from mlops_tui.domain.describe import describe, title_of
from mlops_tui.domain.errors import EngineError, Refused, SourceError
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.domain.state import Probe, SourceKind, SourceState, SourceStatus
from mlops_tui.engine.board import Board
from mlops_tui.engine.cache import BoardCache
from mlops_tui.engine.messages import Scope, Update
from mlops_tui.engine.poller import Poller
from mlops_tui.operations.desk import SOURCE, Desk, Tell
from mlops_tui.operations.journal import JournalError
from mlops_tui.sources.base import Delta, Source

log = logging.getLogger(__name__)

_OPERATIONS = SourceState(source=SOURCE, kind=SourceKind.OPERATIONS, label="", status=SourceStatus.LIVE)

DETAIL_TIMEOUT = 20.0
"""Seconds that a detail may take before the row's own facts have to do."""
SAVE_EVERY = 60.0
"""Seconds between two savings of a board that changes; it is saved at the end too."""


class Engine:
    """Implements `EnginePort` over sources in this process. Use as an async context manager."""

    def __init__(
        self,
        sources: Sequence[Source],
        scope: Scope,
        *,
        clock: Clock | None = None,
        jitter: random.Random | None = None,
        cache: BoardCache | None = None,
        desk: Callable[[Tell], Desk] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._sources = {source.info.id: source for source in sources}
        self._cache = cache
        self.board = Board(scope)
        self._restore()
        jitter = jitter or random.Random()
        self._pollers = {
            name: Poller(source, self.board, self._clock, jitter) for name, source in self._sources.items()
        }
        self._desk = desk(self._tell) if desk is not None else None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._saved = self.board.revision

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to read the sources."""
        if self._cache is not None:
            self._tasks.append(asyncio.create_task(self._keep_saving(), name="keep the board"))
        for name, poller in self._pollers.items():
            self._tasks.append(asyncio.create_task(poller.run(), name=f"poll {name}"))
        if self._desk is not None:
            self.board.apply(_OPERATIONS, Delta(complete=True))
            self._tasks.append(asyncio.create_task(self._look_back(self._desk), name="look back"))

    def updates(self) -> AsyncGenerator[Update]:
        self._check_open()
        return self.board.updates()

    async def detail(self, ref: RowRef) -> Detail:
        self._check_open()
        row = self.board.row(ref.key)
        if row is None:
            raise EngineError(f"{ref.key} is no longer there")
        own = describe(row, self._clock.now())
        problem = ""
        fetched: tuple[object, ...] = ()
        if row.source not in self._sources:
            return Detail(ref=ref, title=title_of(row), sections=own)
        try:
            async with asyncio.timeout(DETAIL_TIMEOUT):
                fetched = await self._sources[row.source].detail(ref)
        except SourceError as error:
            problem = f"{error.message}. {error.hint}" if error.hint else error.message
        except TimeoutError:
            problem = f"{row.source} did not answer within {DETAIL_TIMEOUT:.0f} s"
        except Exception as error:
            log.exception("detail of %s", ref.key)
            problem = f"internal error: {type(error).__name__}"
        return Detail(ref=ref, title=title_of(row), sections=(*own, *fetched), problem=problem)

    async def refresh(self, source: str | None = None) -> None:
        self._check_open()
        if source is not None and source not in self._pollers:
            raise EngineError(f"there is no source {source}")
        for name, poller in self._pollers.items():
            if source in (None, name):
                poller.refresh()

    async def attend(self, attended: bool) -> None:
        self._check_open()
        for poller in self._pollers.values():
            poller.attend(attended)

    async def probe(self) -> tuple[Probe, ...]:
        self._check_open()
        return tuple(await asyncio.gather(*(_probe(source) for source in self._sources.values())))

    async def plan(self, request: PlanRequest) -> Plan:
        self._check_open()
        return await self._desk_or_refuse().plan(request)

    async def execute(self, plan: str, confirmation: Confirmation) -> OperationRow:
        self._check_open()
        return self._desk_or_refuse().execute(plan, confirmation)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._desk is not None:
            await self._desk.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.board.close()
        # Even where no row has changed: when the sources last answered has.
        self._saved = -1
        self._save()
        for name, source in self._sources.items():
            with contextlib.suppress(SourceError):
                await source.close()
            log.debug("%s: closed", name)

    def _desk_or_refuse(self) -> Desk:
        if self._desk is None:
            raise Refused("this engine changes nothing")
        return self._desk

    def _tell(self, row: OperationRow) -> None:
        self.board.apply(_OPERATIONS, Delta(upserts=(row,)))

    @staticmethod
    async def _look_back(desk: Desk) -> None:
        """Show what was done before, and look up what was begun and never ended."""
        try:
            desk.past()
            await desk.settle()
        except JournalError as error:
            log.error("%s", error.message)

    def _restore(self) -> None:
        if self._cache is None:
            return
        states, rows = self._cache.load()
        for state in states:
            if (source := self._sources.get(state.source)) is not None:
                kept = state.model_copy(update={"kind": source.info.kind})
                self.board.restore(kept, (row for row in rows if row.source == state.source))

    async def _keep_saving(self) -> None:
        while True:
            await self._clock.sleep(SAVE_EVERY)
            self._save()

    def _save(self) -> None:
        if self._cache is not None and self.board.revision != self._saved:
            self._saved = self.board.revision
            self._cache.save(self.board.states, list(self.board.rows()))

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed")


async def _probe(source: Source) -> Probe:
    try:
        return await source.probe()
    except Exception as error:
        log.exception("probe of %s", source.info.id)
        return Probe(
            source=source.info.id,
            kind=source.info.kind,
            label=source.info.label,
            status=SourceStatus.UNREACHABLE,
            error=f"internal error: {type(error).__name__}",
            hint="the log says more",
        )
