"""The details of one row: at once what the row knows, then what the engine finds out."""

from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.widgets.detail import DetailBody

if TYPE_CHECKING:
    from mlops_tui.domain.base import Detail, DetailSection
    from mlops_tui.domain.rows import Row


class Drawer(Container):
    """A frame around the details; hidden while there are none.

    Args:
        glyphs: The signs to draw with.
    """

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="drawer")
        self._glyphs = glyphs
        self.body = DetailBody(glyphs)
        self.row: Row | None = None
        self._answer: tuple[DetailSection, ...] = ()
        self._note = ("", "")
        self.display = False

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        yield self.body

    def show_row(self, row: "Row", now: datetime, *, complete: bool = False) -> None:
        """Show what the row knows; what was fetched stays while it is the same row.

        Args:
            complete: Whether the row is all there is, and nothing more will be fetched.
        """
        from mlops_tui.domain.describe import title_of

        same = self.row is not None and self.row.key == row.key
        self.row = row
        if not same:
            self._answer = ()
            self.body.to_top()
        self.border_title = Content(self._glyphs.plain(title_of(row)))
        self._note = ("", "") if self._answer or complete else ("running", "fetching the rest …")
        self.tick(now)

    def tick(self, now: datetime) -> None:
        """Tell ages as of `now`."""
        from mlops_tui.domain.describe import join

        if self.row is not None:
            self.body.show(join(self.row, self._answer, now), self._note)

    def show_detail(self, detail: "Detail", now: datetime) -> None:
        """Add what was fetched, if it is about the row that is still shown."""
        if self.row is None or detail.ref.key != self.row.key:
            return
        self._answer = detail.sections
        self._note = ("warn", detail.problem) if detail.problem else ("", "")
        self.tick(now)

    def show_problem(self, key: str, problem: str, now: datetime) -> None:
        """Say why nothing could be fetched."""
        if self.row is not None and self.row.key == key:
            self._note = ("warn", problem)
            self.tick(now)

    def mark_gone(self, now: datetime) -> None:
        """Say that the row is not on the board any more."""
        self._note = ("stale", "no longer on the board; this is what was last known")
        self.tick(now)

    def close(self) -> None:
        """Hide, and forget the row."""
        self.row = None
        self.display = False
