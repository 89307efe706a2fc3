"""The last line: the keys that work here."""

from collections.abc import Iterable
from typing import ClassVar

from textual.content import Content
from textual.style import Style
from textual.widget import Widget

from mlops_tui.config.keymap import ACTIONS, Action, Keymap, Place
from mlops_tui.ui.glyphs import Glyphs

_ALWAYS = ("palette", "help", "quit")
"""What stays however short the line: from there everything else is found."""
_FIRST_TO_GO = "pane.zoom"
"""What goes first: where the line is short, one pane has the whole screen anyway."""
_ABOUT_ROWS = ("row.actions", "row.browser", "row.copy_id", "pane.refresh")
"""What of the board's keys is about the row that the details show."""
OPERATIONS_KEYS = ("list.filter", "list.attention", "row.copy_id", "back")
"""What of the board's keys works on the operations screen."""
_TYPING = (("enter", "keep"), ("esc", "clear"), ("", "plain words, or key:value such as is:bad"))


class Footer(Widget):
    """Keys and labels on one line; what does not fit is left out, the least important first.

    Args:
        keymap: The keys in force.
        glyphs: The signs to draw with.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"footer--key", "footer--label", "footer--locked"}

    def __init__(self, keymap: Keymap, glyphs: Glyphs) -> None:
        super().__init__()
        self._keymap = keymap
        self._glyphs = glyphs
        self._place: Place | None = Place.LIST
        self._pane: Place | None = None
        self._locked = False

    def set_place(self, place: Place | None, pane: Place | None = None, *, locked: bool = False) -> None:
        """Say where the focus is.

        Args:
            place: A list or details; `None` while a filter is typed.
            pane: The pane whose rows the keys act on.
            locked: Whether nothing may be changed there, so that keys for it only tell why.
        """
        if (place, pane, locked) != (self._place, self._pane, self._locked):
            self._place, self._pane, self._locked = place, pane, locked
            self.refresh()

    @property
    def hints(self) -> list[tuple[str, str]]:
        """The keys and labels that fit."""
        return [(key, label) for key, label, _ in self._hints]

    @property
    def _hints(self) -> list[tuple[str, str, bool]]:
        """The keys and labels that fit, and whether what they do is locked."""
        if self._place is None:
            return [(key, label, False) for key, label in _TYPING]
        actions = sorted(filter(self._works_here, ACTIONS), key=lambda action: action.footer)
        shown = {
            action.id: (self._keymap.shown(action.id), action.label, action.writes and self._locked)
            for action in actions
        }
        if self._place is Place.DETAIL:
            shown = {"back": (self._keymap.shown("back"), "close", False), **shown}
        elif self._pane is Place.OPERATIONS:
            shown["back"] = (self._keymap.shown("back"), "dashboard", False)
        droppable = sorted((name for name in shown if name not in _ALWAYS), key=lambda name: name == _FIRST_TO_GO)
        while droppable and _width(shown.values()) > self.size.width:
            del shown[droppable.pop()]
        return list(shown.values())

    def _works_here(self, action: Action) -> bool:
        if not action.footer or not self._keymap.keys[action.id]:
            return False
        if action.place is Place.BOARD and self._pane is Place.OPERATIONS and action.id not in OPERATIONS_KEYS:
            return False
        if self._place is Place.DETAIL and action.place is Place.BOARD:
            return action.id in _ABOUT_ROWS
        return action.place in (self._place, self._pane, Place.BOARD, Place.APP)

    def render(self) -> Content:
        """Return the line."""
        key, label, off = self._look("key"), self._look("label"), self._look("locked")
        parts = [
            Content.assemble(
                (self._glyphs.plain(keys), off if locked else key),
                (self._glyphs.plain(f" {text}" if keys else text), off if locked else label),
            )
            for keys, text, locked in self._hints
        ]
        return (Content(" ") + Content("  ").join(parts)).truncate(self.size.width)

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"footer--{name}", partial=True)


def _width(hints: Iterable[tuple[str, str, bool]]) -> int:
    return sum(len(key) + len(text) + 3 for key, text, _ in hints)
