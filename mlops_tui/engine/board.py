"""The board: every row and source state that the engine knows, and what changes to tell each viewer."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceState
from mlops_tui.engine.messages import Scope, Update
from mlops_tui.sources.base import Delta

CHUNK = 500
"""Rows in one update: about 0.5 MB of JSON, a few milliseconds for a viewer to read."""


class Board:
    """Rows by key, source states by source, and the viewers that follow them.

    All methods belong to one event loop. Their cost follows what changes, never how much there is.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._states: dict[str, SourceState] = {}
        self._rows: dict[str, dict[str, Row]] = {}
        self._settled: set[str] = set()
        self._viewers: set[_Viewer] = set()
        self._sequence = 0
        self.revision = 0
        """Grows with every change of a row."""
        self._closed = False

    @property
    def states(self) -> tuple[SourceState, ...]:
        """The state of every source, in the order in which they were first named."""
        return tuple(self._states.values())

    def state(self, source: str) -> SourceState:
        """Return the state of `source`; raises `KeyError` for one that is not known."""
        return self._states[source]

    def row(self, key: str) -> Row | None:
        """Return the row with this key, or `None`."""
        return next((rows[key] for rows in self._rows.values() if key in rows), None)

    def rows(self) -> Iterator[Row]:
        """Yield every row, grouped by source."""
        for rows in self._rows.values():
            yield from rows.values()

    def restore(self, state: SourceState, rows: Iterable[Row]) -> None:
        """Put back rows of an earlier sitting, to be shown until the source has answered."""
        self._rows[state.source] = {row.key: row for row in rows}
        self.set_state(state)

    def discard(self, source: str) -> None:
        """Drop what was restored of `source`: it is not what the source is now."""
        self.set_state(self._states[source].model_copy(update={"fetched_at": None}))
        gone, self._rows[source] = self._rows[source], {}
        for viewer in self._viewers:
            viewer.changed.update((key, source) for key in gone)
            viewer.wake.set()

    def set_state(self, state: SourceState) -> None:
        """Keep `state`, and tell the viewers if it differs."""
        if self._states.get(state.source) != state:
            self._states[state.source] = state
            self._rows.setdefault(state.source, {})
            for viewer in self._viewers:
                viewer.states.add(state.source)
                viewer.wake.set()

    def apply(self, state: SourceState, delta: Delta) -> None:
        """Fold what a source said into the board, together with the state that it is now in."""
        self.set_state(state)
        source = state.source
        rows = self._rows[source]
        changed = [row.key for row in delta.upserts if rows.get(row.key) != row]
        gone = [key for key in delta.removals if key in rows]
        if delta.complete:
            present = {row.key for row in delta.upserts}
            gone = [key for key in rows if key not in present]
        rows.update((row.key, row) for row in delta.upserts)
        for key in gone:
            rows.pop(key, None)
        self.revision += bool(changed or gone)
        settles = delta.complete and source not in self._settled
        if settles:
            self._settled.add(source)
        for viewer in self._viewers:
            if settles and source not in viewer.synced:
                viewer.whole.add(source)
            viewer.changed.update((key, source) for key in (*changed, *gone))
            if settles or changed or gone:
                viewer.wake.set()

    def close(self) -> None:
        """End the updates of every viewer."""
        self._closed = True
        for viewer in self._viewers:
            viewer.wake.set()

    async def updates(self) -> AsyncGenerator[Update]:
        """Yield the board as it is, then its changes; see `EnginePort.updates`."""
        viewer = _Viewer(
            states=set(self._states),
            whole={source for source, rows in self._rows.items() if rows or source in self._settled},
        )
        self._viewers.add(viewer)
        scope: Scope | None = self.scope
        try:
            while not self._closed:
                viewer.wake.clear()
                for update in self._drain(viewer, scope):
                    scope = None
                    yield update
                if not viewer.pending:
                    await viewer.wake.wait()
        finally:
            self._viewers.discard(viewer)

    def _drain(self, viewer: "_Viewer", scope: Scope | None) -> Iterator[Update]:
        """Yield what `viewer` has not seen, read from the board at the moment of sending; states before rows."""
        while scope is not None or viewer.pending:
            if scope is not None or viewer.states:
                names, viewer.states = viewer.states, set()
                states = tuple(state for name, state in self._states.items() if name in names)
                yield self._update(sources=states, scope=scope)
                scope = None
            elif viewer.whole:
                yield from self._send_whole(viewer, viewer.whole.pop())
            else:
                yield self._send_changed(viewer)

    def _send_changed(self, viewer: "_Viewer") -> Update:
        batch = dict(islice(viewer.changed.items(), CHUNK))
        for key in batch:
            del viewer.changed[key]
        found = {key: self._rows[source].get(key) for key, source in batch.items()}
        return self._update(
            upserts=tuple(row for row in found.values() if row is not None),
            removals=tuple(key for key, row in found.items() if row is None),
        )

    def _send_whole(self, viewer: "_Viewer", source: str) -> Iterator[Update]:
        viewer.synced.add(source)
        keys = list(self._rows[source])
        begins: tuple[str, ...] = (source,)
        for start in range(0, max(1, len(keys)), CHUNK):
            chunk = keys[start : start + CHUNK]
            for key in chunk:
                viewer.changed.pop(key, None)
            # A row may have gone since the first chunk; then it is simply not sent, and so ends with `completes`.
            rows = tuple(row for key in chunk if (row := self._rows[source].get(key)) is not None)
            done = (source,) if start + CHUNK >= len(keys) else ()
            yield self._update(upserts=rows, begins=begins, completes=done)
            begins = ()

    def _update(
        self,
        *,
        upserts: tuple[Row, ...] = (),
        removals: tuple[str, ...] = (),
        sources: tuple[SourceState, ...] = (),
        begins: tuple[str, ...] = (),
        completes: tuple[str, ...] = (),
        scope: Scope | None = None,
    ) -> Update:
        self._sequence += 1
        # Every part is a validated, frozen model already: building without validation keeps 20,000 rows cheap.
        return Update.model_construct(
            sequence=self._sequence,
            upserts=upserts,
            removals=removals,
            sources=sources,
            begins=begins,
            completes=completes,
            scope=scope,
        )


@dataclass(eq=False, slots=True)
class _Viewer:
    """What one viewer has still to be told: names only, so that a slow one gets the newest state of each, once."""

    states: set[str]
    whole: set[str]
    changed: dict[str, str] = field(default_factory=dict)
    """Source by row key, in the order of change."""
    synced: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pending(self) -> bool:
        return bool(self.states or self.whole or self.changed)
