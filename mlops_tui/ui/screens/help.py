"""Keys, signs and filters, on one page."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Static

from mlops_tui.config.keymap import ACTIONS, Keymap, Place
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.widgets.columns import wrap

_IDS_WIDTH = 100
"""Columns from which an action's id has room beside its help."""
_TITLES = {
    Place.APP: "Anywhere",
    Place.BOARD: "Dashboard",
    Place.WORKFLOWS: "Workflows",
    Place.MODELS: "Models",
    Place.ROLLOUTS: "Rollouts",
    Place.PULLS: "Pull requests",
    Place.LIST: "In a list",
    Place.DETAIL: "In details",
    Place.OPERATIONS: "Operations",
    Place.PLAN: "In a plan",
}


class HelpText(Static):
    """The page's text.

    Args:
        keymap: The keys in force.
        glyphs: The signs to explain.
        filter_keys: The keys of each pane's filter, by the pane's name.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"help--{mark}" for mark in MARKS), "help--title", "help--key", "help--text", "help--id",
    }  # fmt: skip

    def __init__(self, keymap: Keymap, glyphs: Glyphs, filter_keys: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        super().__init__(markup=False)
        self._keymap = keymap
        self._glyphs = glyphs
        self._filter_keys = tuple(filter_keys)

    def on_mount(self) -> None:
        """Write the page."""
        self._write()

    def on_resize(self) -> None:
        """Write it anew: ids come and go."""
        self._write()

    def _write(self) -> None:
        self.update(Content("\n").join([*self._keys(), *self._signs(), *self._filters()]))

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"help--{name}")

    def _keys(self) -> Iterable[Content]:
        ids = self.app.size.width >= _IDS_WIDTH
        for place, title in _TITLES.items():
            yield Content.assemble((title, self._look("title")))
            for action in ACTIONS:
                if action.place is place:
                    keys = self._glyphs.plain(self._keymap.shown(action.id, every=True) or "–")
                    yield Content.assemble(
                        (f"  {keys:<16}", self._look("key")),
                        (f"{action.help:<52}", self._look("text")),
                        (action.id if ids else "", self._look("id")),
                    )
            yield Content("")

    def _signs(self) -> Iterable[Content]:
        yield Content.assemble(("Signs", self._look("title")))
        signs = [(f"{self._glyphs.mark(mark)} {mark}  ", self._look(mark)) for mark in MARKS if mark != "none"]
        yield Content.assemble("  ", *signs)
        none = self._glyphs.mark("none")
        for sign, meaning in (
            (none, "none of these: skipped, cancelled, or nothing to say"),
            ("☑", "items of the pull request's checklist that are done, of all"),
            ("▲▼", "more or less of the metric than the champion has; for the champion, than the version before it"),
        ):
            yield from self._explained(sign, 3, meaning)
        yield Content("")

    def _filters(self) -> Iterable[Content]:
        yield Content.assemble(("Filters", self._look("title")))
        yield from self._explained(
            "", 0, "plain words match what is visible, all of them; key:value looks in one field"
        )
        for name, keys in self._filter_keys:
            yield from self._explained(name, 16, " ".join(f"{key}:" for key in keys))

    def _explained(self, name: str, room: int, text: str) -> Iterable[Content]:
        """Yield a name and, beside it, what there is to say of it."""
        for number, line in enumerate(wrap(self._glyphs.plain(text), max(20, self.size.width - room - 2))):
            shown = self._glyphs.plain(name) if number == 0 else ""
            yield Content.assemble((f"  {shown:<{room}}", self._look("key")), (line, self._look("text")))


class HelpScreen(ModalScreen[None]):
    """The manual that is always at hand.

    Args:
        text: The page.
        version: The program's version.
    """

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", show=False),
        Binding("ctrl+q", "app.quit", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("ctrl+d", "scroll(10)", show=False),
        Binding("ctrl+u", "scroll(-10)", show=False),
        Binding("g", "scroll(-1000)", show=False),
        Binding("G", "scroll(1000)", show=False),
    ]

    def __init__(self, text: HelpText, version: str) -> None:
        super().__init__()
        self._text = text
        self._version = version

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(id="help") as page:
            page.border_title = f"mlops-tui {self._version}".strip()
            page.border_subtitle = "esc closes"
            yield self._text

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#help", VerticalScroll).scroll_relative(y=lines, animate=False)
