"""The viewer's copy of the board: applies updates, and says what they changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceState
from mlops_tui.engine.messages import Scope, Update


@dataclass(slots=True)
class Changes:
    """What happened to the board since somebody last asked.

    Attributes:
        upserted: Rows that are new or different, by kind and key.
        removed: Keys of rows that are gone, by kind.
        sources: Whether the state of any source changed.
        scope: Whether the scope changed.
    """

    upserted: dict[RowKind, dict[str, Row]] = field(default_factory=lambda: {kind: {} for kind in RowKind})
    removed: dict[RowKind, set[str]] = field(default_factory=lambda: {kind: set() for kind in RowKind})
    sources: bool = False
    scope: bool = False

    def __bool__(self) -> bool:
        return self.sources or self.scope or any(self.upserted.values()) or any(self.removed.values())

    def put(self, row: Row) -> None:
        """Note a row that is new or different."""
        self.upserted[row.kind][row.key] = row
        self.removed[row.kind].discard(row.key)

    def drop(self, row: Row) -> None:
        """Note a row that is gone."""
        self.upserted[row.kind].pop(row.key, None)
        self.removed[row.kind].add(row.key)

    def merge(self, later: "Changes") -> None:
        """Add what happened after this."""
        for kind in RowKind:
            for key in later.removed[kind]:
                self.upserted[kind].pop(key, None)
            for key in later.upserted[kind]:
                self.removed[kind].discard(key)
            self.upserted[kind].update(later.upserted[kind])
            self.removed[kind].update(later.removed[kind])
        self.sources |= later.sources
        self.scope |= later.scope


class Mirror:
    """All rows, the states of their sources, and the scope, as of the last update."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._by_source: dict[str, set[str]] = {}
        self._unconfirmed: dict[str, set[str]] = {}
        self._sources: dict[str, SourceState] = {}
        self.scope: Scope | None = None

    @property
    def rows(self) -> Mapping[str, Row]:
        """The rows by key."""
        return self._rows

    @property
    def sources(self) -> Mapping[str, SourceState]:
        """The states of the sources by id, in the order in which they first came."""
        return self._sources

    def apply(self, update: Update) -> Changes:
        """Take an update in, and return what it changed; rows that came again unchanged are not among it."""
        changes = Changes()
        if update.scope is not None:
            self._forget_others({state.source for state in update.sources}, changes)
        for source in update.begins:
            self._unconfirmed[source] = set(self._by_source.get(source, ()))
        for row in update.upserts:
            self._put(row, changes)
        for key in update.removals:
            self._remove(key, changes)
        for source in update.completes:
            for key in self._unconfirmed.pop(source, set()):
                self._remove(key, changes)
        for state in update.sources:
            if self._sources.get(state.source) != state:
                self._sources[state.source] = state
                changes.sources = True
        if update.scope is not None and update.scope != self.scope:
            self.scope = update.scope
            changes.scope = True
        return changes

    def _forget_others(self, there: set[str], changes: Changes) -> None:
        """Drop the sources that an engine started anew, with another configuration, does not have."""
        for source in self._sources.keys() - there:
            for key in list(self._by_source.pop(source, ())):
                self._remove(key, changes)
            del self._sources[source]
            changes.sources = True

    def _put(self, row: Row, changes: Changes) -> None:
        known = self._rows.get(row.key)
        if known is not None and (known.source != row.source or known.kind != row.kind):
            self._remove(row.key, changes)
            known = None
        self._unconfirmed.get(row.source, set()).discard(row.key)
        if known == row:
            return
        self._rows[row.key] = row
        self._by_source.setdefault(row.source, set()).add(row.key)
        changes.put(row)

    def _remove(self, key: str, changes: Changes) -> None:
        row = self._rows.pop(key, None)
        if row is None:
            return
        self._by_source.get(row.source, set()).discard(key)
        self._unconfirmed.get(row.source, set()).discard(key)
        changes.drop(row)
