"""What is being done, and was: the rows of the operations screen."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_tui.ages import age, duration
from mlops_tui.ui.panes.kind import PaneKind, since_epoch
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell, SortKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlops_tui.domain.operation import OperationRow

_FIRST = {"unknown": 0, "interrupted": 0, "failed": 1, "running": 2, "verifying": 2}
"""What needs somebody, then what runs; all that is over comes after."""
_OVER = 3


class Operations(PaneKind["OperationRow"]):
    """Operations, those that need somebody first, then the newest."""

    number = "@"
    kind = "operation"
    name = "Operations"
    noun = ("operation", "operations")
    source = "operations"
    columns = (
        Column("mark", 1),
        Column("state", 11, gap=1, rank=3),
        Column("title", 38, grow=6, most=60, gap=1),
        Column("environment", 10, grow=1, most=14, rank=6),
        Column("steps", 5, right=True, rank=5),
        Column("said", 16, grow=8, rank=4),
        Column("by", 8, grow=1, most=16, rank=7, since=84),
        Column("took", 6, right=True, rank=8),
        Column("age", 4, right=True, gap=1, rank=1),
    )
    filter_keys = ("verb", "target", "env", "by", "status", "is")
    empty = "nothing has been done yet"
    setup = "this engine changes nothing"

    def cells(self, row: "OperationRow", now: datetime) -> Mapping[str, Cell]:
        """Return the cells of an operation."""
        calm = row.attention in ("ok", "info")
        newest = row.progress[-1] if row.progress else row.step
        return {
            "mark": Cell(row.mark, row.mark),
            "state": Cell(row.state, "dim" if row.state == "done" else row.mark),
            "title": Cell(row.title, "name"),
            "environment": Cell(row.environment, "dim"),
            "steps": Cell(f"{row.done}/{row.of}" if row.of and not row.state.ended else "", row.mark),
            "said": Cell(row.outcome if row.state.ended else newest, "dim" if calm else row.mark),
            "by": Cell(row.by, "faint"),
            "took": Cell(duration(((row.ended_at or now) - row.started_at).total_seconds()), "faint"),
            "age": Cell(age(row.started_at, now), "faint"),
        }

    def fields(self, row: "OperationRow") -> Mapping[str, Iterable[str]]:
        """Return what the filter's keys look at."""
        return {
            "verb": (row.verb,),
            "target": (row.name,),
            "env": (row.environment,),
            "by": (row.by,),
            "status": (row.state,),
        }

    def identity(self, row: "OperationRow") -> str:
        """Return the operation's id, as the journal and the marks in the systems have it."""
        return row.id

    def order(self, row: "OperationRow", group: "Sequence[Any]") -> SortKey:
        """Return the row's place: what needs somebody first, then the newest."""
        return (_FIRST.get(row.state, _OVER), -since_epoch(row.started_at), row.key)
