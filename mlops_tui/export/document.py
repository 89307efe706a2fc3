"""The snapshot: one versioned document, from which every other format is made.

The same board gives the same bytes: rows are sorted by key, times are UTC, nothing is relative to now.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import AwareDatetime

from mlops_tui.domain.base import Frozen, RowKind
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.pull import PullRow
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceState, SourceStatus
from mlops_tui.domain.text import Line
from mlops_tui.domain.workflow import RunRow

SCHEMA_VERSION: Literal[1] = 1


class EnvironmentRecord(Frozen):
    """An environment that the snapshot covers."""

    name: Line
    protected: bool


class SnapshotDocument(Frozen):
    """Everything on the board at one moment."""

    schema_version: Literal[1] = SCHEMA_VERSION
    taken_at: AwareDatetime
    environments: tuple[EnvironmentRecord, ...]
    sources: tuple[SourceState, ...]
    runs: tuple[RunRow, ...]
    versions: tuple[VersionRow, ...]
    rollouts: tuple[RolloutRow, ...]
    pulls: tuple[PullRow, ...]

    @classmethod
    def of(
        cls,
        rows: Iterable[Row],
        states: Iterable[SourceState],
        environments: Iterable[tuple[str, bool]],
        taken_at: datetime,
    ) -> Self:
        """Return the document of these rows and states.

        Args:
            rows: All rows, in any order.
            states: The state of every source.
            environments: Name and whether it is protected, of each.
            taken_at: When the look was taken, aware.
        """
        by_kind: dict[RowKind, list[Any]] = {kind: [] for kind in RowKind}
        for row in sorted(rows, key=lambda row: row.key):
            by_kind[row.kind].append(row)
        return cls(
            taken_at=taken_at,
            environments=tuple(EnvironmentRecord(name=name, protected=protected) for name, protected in environments),
            sources=tuple(sorted(states, key=lambda state: state.source)),
            runs=tuple(by_kind[RowKind.RUN]),
            versions=tuple(by_kind[RowKind.VERSION]),
            rollouts=tuple(by_kind[RowKind.ROLLOUT]),
            pulls=tuple(by_kind[RowKind.PULL]),
        )

    @property
    def failed_sources(self) -> tuple[SourceState, ...]:
        """Sources whose rows are missing, old or not all there; one that is off is not a failure."""
        whole = (SourceStatus.LIVE, SourceStatus.OFF)
        return tuple(state for state in self.sources if state.status not in whole or state.problems)


def to_json(document: SnapshotDocument) -> str:
    """Return the document as indented JSON, ending in a newline."""
    return document.model_dump_json(indent=2) + "\n"
