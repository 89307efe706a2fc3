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
        self._own: tuple[DetailSection, ...] = ()
        self._fetched: tuple[DetailSection, ...] = ()
        self.display = False

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        yield self.body

    def show_row(self, row: "Row", now: datetime) -> None:
        """Show what the row knows; what was fetched stays while it is the same row."""
        from mlops_tui.domain.describe import describe, title_of

        same = self.row is not None and self.row.key == row.key
        self.row = row
        self._own = describe(row, now)
        if not same:
            self._fetched = ()
            self.body.to_top()
        self.border_title = Content(self._glyphs.plain(title_of(row)))
        note = ("", "") if self._fetched else ("running", "fetching the rest …")
        self.body.show((*self._own, *self._fetched), note)

    def show_detail(self, detail: "Detail", now: datetime) -> None:
        """Add what was fetched, if it is about the row that is still shown."""
        from mlops_tui.domain.describe import describe

        if self.row is None or detail.ref.key != self.row.key:
            return
        self._own = describe(self.row, now)
        own = {section.title for section in self._own}
        self._fetched = tuple(section for section in detail.sections if section.title not in own)
        self.body.show((*self._own, *self._fetched), ("warn", detail.problem) if detail.problem else ("", ""))

    def show_problem(self, key: str, problem: str) -> None:
        """Say why nothing could be fetched."""
        if self.row is not None and self.row.key == key:
            self.body.show((*self._own, *self._fetched), ("warn", problem))

    def mark_gone(self) -> None:
        """Say that the row is not on the board any more."""
        self.body.show((*self._own, *self._fetched), ("stale", "no longer on the board; this is what was last known"))

    def close(self) -> None:
        """Hide, and forget the row."""
        self.row = None
        self.display = False
