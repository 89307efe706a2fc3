"""What a pane has to know about its rows. One subclass a pane; everything else is shared."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from mlops_tui.ui.filtering import Fields, state
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell, SortKey

if TYPE_CHECKING:
    from mlops_tui.domain.base import BaseRow

R = TypeVar("R", bound="BaseRow")


class PaneKind(ABC, Generic[R]):
    """The rows of one kind: how they are drawn, ordered, filtered and named."""

    number: ClassVar[int | str]
    """The key that goes there."""
    kind: ClassVar[str]
    """The value of `RowKind`."""
    name: ClassVar[str]
    noun: ClassVar[tuple[str, str]]
    """What one row is, and what several are."""
    source: ClassVar[str]
    """The value of `SourceKind` whose sources bring the rows."""
    columns: ClassVar[tuple[Column, ...]]
    lead: ClassVar[frozenset[str]] = frozenset()
    """Columns that are shown on the first line of a group only."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Columns that are shown only where `distinction` says that they tell rows apart."""
    instead_of: ClassVar[Mapping[str, str]] = {}
    """Optional columns that, while they are shown, take the place of another, with its name."""
    filter_keys: ClassVar[tuple[str, ...]]
    """The keys that `fields` has, for `key:value`."""
    empty: ClassVar[str]
    """What to say where there is nothing."""
    setup: ClassVar[str]
    """What to configure where the source is off."""

    @abstractmethod
    def cells(self, row: R, now: datetime) -> Mapping[str, Cell]:
        """Return the cells of a row by the names of `columns`."""

    @abstractmethod
    def fields(self, row: R) -> Mapping[str, Iterable[str]]:
        """Return what `key:value` looks at, with GitHub's or MLflow's own words in `status`, and without `is`."""

    @abstractmethod
    def identity(self, row: R) -> str:
        """Return the id that people and tools use for the row."""

    def distinction(self, row: R) -> Mapping[str, str]:
        """Return values by the name of an optional column: it is shown while there are several of them."""
        return {}

    def group(self, row: R) -> object:
        """Return what the row shares with its neighbours; `None` where rows stand alone."""
        return None

    def group_order(self, rows: Iterable[R]) -> tuple[Any, ...]:
        """Return the place of a group among the others."""
        return ()

    def order(self, row: R, group: "Sequence[Any]") -> SortKey:
        """Return the row's place: what needs somebody first, then the newest.

        Args:
            group: The order of the row's group, from `group_order`; empty where rows stand alone.
        """
        return (*group, row.attention.rank, -since_epoch(row.updated_at), row.key)


def since_epoch(moment: datetime | None) -> float:
    """Return seconds since 1970; a moment that is not known is before all others."""
    return 0.0 if moment is None else moment.timestamp()


def mark_cell(row: "BaseRow") -> Cell:
    """Return the status sign of a row, as its mark's word; the pane draws the glyph.

    What went wrong and wants nobody any more keeps its sign, without its colour.
    """
    return Cell(row.mark, "faint" if is_history(row) else row.mark)


def is_history(row: "BaseRow") -> bool:
    """Whether the row tells of a trouble that is over: a failed run that a later one has answered."""
    return row.mark in ("bad", "warn") and row.attention in ("ok", "info")


def visible_text(kind: PaneKind[R], row: R, now: datetime) -> str:
    """Return the text of a row that a filter's words look at, lower case. What ages is left out."""
    cells = kind.cells(row, now)
    return " ".join([*(cell.text for name, cell in cells.items() if name not in ("age", "took")), row.reason]).lower()


def searchable_fields(kind: PaneKind[R], row: R) -> Fields:
    """Return what `key:value` looks at, lower case.

    The state that the row shows in words is among the values of `status:`, and each of its words among those of `is:`.
    """
    fields = {key: tuple(value.lower() for value in values) for key, values in kind.fields(row).items()}
    states = {state(value): None for value in fields["status"]} | {state(row.reason.partition(";")[0]): None}
    states.pop("", None)
    words = (word for value in states for word in value.split())
    fields["status"] = tuple(states)
    fields["is"] = tuple(dict.fromkeys((row.mark, row.attention, *states, *words)))
    return fields
