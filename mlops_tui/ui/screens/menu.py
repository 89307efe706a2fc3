"""A short list to choose one thing from: what can be done with a row, whether to leave."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.widgets.columns import fit


class Item(NamedTuple):
    """Something to choose.

    Attributes:
        value: What the menu returns for it.
        key: A key that chooses it at once; empty where it has none.
        locked: Whether it is shown dimmed, since it would only be answered with a reason.
    """

    value: str
    label: str
    note: str = ""
    key: str = ""
    locked: bool = False


class Menu(Widget, can_focus=True, inherit_bindings=False):
    """The lines of a menu."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "menu--gutter", "menu--label", "menu--note", "menu--key", "menu--cursor", "menu--locked",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j,tab", "move(1)", show=False),
        Binding("up,k,shift+tab", "move(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    def __init__(self, items: Sequence[Item], glyphs: Glyphs) -> None:
        super().__init__()
        self.items = tuple(items)
        self.index = 0
        self._glyphs = glyphs
        self.styles.height = len(self.items)

    def action_move(self, by: int) -> None:
        """Go to another line, and from the last to the first."""
        self.index = (self.index + by) % len(self.items)
        self.refresh()

    def action_choose(self) -> None:
        """Choose the line."""
        self._choose(self.items[self.index])

    def _choose(self, item: Item) -> None:
        assert isinstance(self.screen, MenuScreen)
        self.screen.dismiss(item.value)

    def on_click(self, event: events.Click) -> None:
        """Choose the line that was clicked."""
        if 0 <= event.y < len(self.items):
            self._choose(self.items[event.y])

    def on_key(self, event: events.Key) -> None:
        """Choose by a line's own key, or by its number."""
        for number, item in enumerate(self.items, 1):
            if event.character and event.character in (item.key, str(number)):
                event.stop()
                self._choose(item)
                return

    def render(self) -> Content:
        """Return the lines."""
        room = max(len(item.label) for item in self.items)
        return Content("\n").join([self._line(number, item, room) for number, item in enumerate(self.items)])

    def _line(self, number: int, item: Item, room: int) -> Content:
        label, note = self._look("locked" if item.locked else "label"), self._look("locked" if item.locked else "note")
        chosen = number == self.index
        key = item.key or (str(number + 1) if number < 9 else " ")
        used = room + 7
        line = Content.assemble(
            (f"{self._glyphs.cursor if chosen else ' '} ", self._look("gutter")),
            (f"{key}  ", self._look("locked" if item.locked else "key")),
            (self._glyphs.plain(fit(item.label, room)), label),
            "  ",
            (self._glyphs.plain(fit(item.note, max(0, self.size.width - used))), note),
        )
        return line.stylize_before(self._look("cursor")) if chosen else line

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"menu--{name}", partial=name != "cursor")


class MenuScreen(ModalScreen[str]):
    """A question with a few answers; leaving it answers with the empty text.

    Args:
        title: What it is about.
        items: The answers; the first is the default.
        text: What has to be known before one answers.
    """

    CSS_PATH = "menu.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", show=False)]

    def __init__(
        self, title: str, items: Sequence[Item], glyphs: Glyphs, text: str = "", *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._title, self._text, self._glyphs = title, text, glyphs
        self.menu = Menu(items, glyphs)

    def compose(self) -> ComposeResult:
        """Lay out the answers."""
        with Vertical(id="menu") as frame:
            frame.border_title = Content(self._glyphs.plain(self._title))
            frame.border_subtitle = "enter chooses, esc leaves"
            if self._text:
                yield Static(self._glyphs.plain(self._text), id="menu-text", markup=False)
            yield self.menu

    def on_mount(self) -> None:
        """Take the keys."""
        self.set_focus(self.menu)

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss("")
