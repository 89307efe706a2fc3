"""One line that names all panes, where only one of them is in sight."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget

from mlops_tui.ui.glyphs import MARKS, Glyphs


class Tab(NamedTuple):
    """One name on the line."""

    kind: str
    number: int | str
    name: str
    worst: Sequence[tuple[str, int]]


class PaneTabs(Widget):
    """The panes, with what is worst in each.

    Args:
        glyphs: The signs to draw with.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"tabs--{mark}" for mark in MARKS), "tabs--current", "tabs--other", "tabs--number",
    }  # fmt: skip

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._tabs: tuple[Tab, ...] = ()
        self._current = ""

    def show(self, tabs: Sequence[Tab], current: str) -> None:
        """Take in what there is to show."""
        if (tuple(tabs), current) != (self._tabs, self._current):
            self._tabs, self._current = tuple(tabs), current
            self.refresh()

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"tabs--{name}", partial=True)

    def _parts(self) -> list[Content]:
        """Return the fullest set of names that fits."""
        for names, counts in ((True, 2), (True, 1), (True, 0), (False, 1)):
            parts = [self._part(tab, names, counts) for tab in self._tabs]
            if sum(part.cell_length for part in parts) <= self.size.width:
                break
        return parts

    def _part(self, tab: Tab, named: bool, counts: int) -> Content:
        look = self._look("current" if tab.kind == self._current else "other")
        name = tab.name if named or tab.kind == self._current else ""
        marks = [(f" {self._glyphs.mark(mark)} {count}", self._look(mark)) for mark, count in tab.worst[:counts]]
        # A blank of its own, or the underline of the name would run into the number.
        gap = " " if name else ""
        return Content.assemble(" ", (str(tab.number), self._look("number")), gap, (name, look), *marks, " ")

    def render(self) -> Content:
        """Return the line."""
        return Content.assemble(*self._parts()).truncate(self.size.width) if self._tabs else Content("")

    def on_click(self, event: events.Click) -> None:
        """Choose the pane whose name was clicked."""
        edge = 0
        for tab, part in zip(self._tabs, self._parts(), strict=True):
            edge += part.cell_length
            if event.x < edge:
                self.post_message(self.Chosen(tab.kind))
                return
