"""The operations screen: what runs, what needs somebody, what was done, and its undoing."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen

from mlops_tui.config.keymap import Keymap, Place
from mlops_tui.domain.operation import OperationRow, PlanRequest
from mlops_tui.ui.bindings import bindings
from mlops_tui.ui.faces import Trouble
from mlops_tui.ui.feed import Feed
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.panes.operations import Operations
from mlops_tui.ui.panes.pane import Pane
from mlops_tui.ui.screens.drawer import Drawer
from mlops_tui.ui.widgets.footer import OPERATIONS_KEYS, Footer
from mlops_tui.ui.widgets.header import Header
from mlops_tui.ui.widgets.list import RowList
from mlops_tui.ui.work import Work

if TYPE_CHECKING:
    from mlops_tui.engine.mirror import Changes

_BESIDE = 140
"""Columns from which details stand beside the list."""


class OperationsScreen(Screen[None]):
    """Running and past operations with their details.

    Args:
        plan: Opens the plan of a request under a heading, or says why not.
        trouble: What is wrong with the engine.
        read_only: Whether the viewer was started to change nothing.
    """

    AUTO_FOCUS = ""
    CSS_PATH = "operations.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Place.OPERATIONS),
        *bindings(Place.BOARD, (*OPERATIONS_KEYS, "operations")),
    ]

    def __init__(
        self,
        feed: Feed,
        work: Work,
        keymap: Keymap,
        glyphs: Glyphs,
        now: Callable[[], datetime],
        plan: Callable[[PlanRequest, str], None],
        *,
        trouble: Trouble | None,
        read_only: bool,
    ) -> None:
        super().__init__()
        self._feed, self._work, self._now, self._plan = feed, work, now, plan
        self._trouble = trouble
        self.header = Header(glyphs, read_only)
        self.pane = Pane(Operations(), glyphs, keymap, now)
        self.drawer = Drawer(glyphs)
        self.footer = Footer(keymap, glyphs)

    def compose(self) -> ComposeResult:
        """Lay out the lines, the list and the details."""
        yield self.header
        with Container(id="body"):
            yield self.pane
            yield self.drawer
        yield self.footer

    def on_mount(self) -> None:
        """Show what there is."""
        self._work.listeners.append(self)
        self._show_sources()
        mirror = self._feed.mirror
        rows = {key: row for key, row in mirror.rows.items() if row.kind == "operation"} if mirror else {}
        self.pane.take(rows, ())
        self.footer.set_place(Place.LIST, Place.OPERATIONS)
        self.set_focus(self.pane.rows)
        self.set_interval(1.0, self.tick)

    def on_unmount(self) -> None:
        """Hear no more of the board."""
        self._work.listeners.remove(self)

    # The board

    def board_changed(self, changes: "Changes") -> None:
        """Take in operations that changed."""
        kind = next(kind for kind in changes.upserted if kind == "operation")
        if changes.upserted[kind] or changes.removed[kind]:
            self.pane.take(changes.upserted[kind], changes.removed[kind])
        if changes.sources or changes.scope:
            self._show_sources()
        row = self.drawer.row
        if row is not None and row.key in changes.removed[kind]:
            self.drawer.mark_gone(self._now())
        elif row is not None and (fresh := changes.upserted[kind].get(row.key)) is not None:
            self.drawer.show_row(fresh, self._now(), complete=True)
        self.pane.retell()
        self._show_header()

    def trouble_changed(self, trouble: Trouble | None) -> None:
        """Say what is wrong with the engine."""
        self._trouble = trouble
        self._show_sources()

    def watches(self, operation: str) -> bool:
        """Whether the end of this operation is told here: that of the row whose details are open."""
        return self.drawer.row is not None and self.drawer.row.key == operation

    def _show_sources(self) -> None:
        mirror = self._feed.mirror
        states = list(mirror.sources.values()) if mirror else []
        mine = [state.model_copy(update={"streaming": True}) for state in states if state.kind == "operations"]
        self.pane.set_sources(mine, mirror is not None and mirror.scope is not None, self._trouble)
        self._show_header()

    def _show_header(self) -> None:
        mirror = self._feed.mirror
        states = list(mirror.sources.values()) if mirror else []
        running = len(self._work.running)
        self.header.show(mirror.scope if mirror else None, states, self._trouble, self._now(), running)

    def tick(self) -> None:
        """Let a second pass."""
        self._show_header()
        self.drawer.tick(self._now())
        self.pane.tick()

    # Details

    def on_resize(self, event: events.Resize) -> None:
        """Lay out for the new size."""
        self._arrange()

    def _arrange(self) -> None:
        beside = self.size.width >= _BESIDE
        self.set_class(beside, "-beside")
        self.pane.display = beside or not self.drawer.display

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell the keys that work where the focus is."""
        widget = self.focused or event.widget
        if isinstance(widget, RowList):
            self.footer.set_place(Place.LIST, Place.OPERATIONS)
            self._follow_cursor()
        else:
            self.footer.set_place(Place.DETAIL if widget is self.drawer.body else None, Place.OPERATIONS)

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Show the details of the row."""
        self.drawer.show_row(event.rows.item(event.key), self._now(), complete=True)
        self.drawer.display = True
        self.set_focus(self.drawer.body)
        self._arrange()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Let the open details follow the cursor."""
        self.pane.retell()
        self._follow_cursor()

    def _follow_cursor(self) -> None:
        row = self.pane.rows.cursor_item
        if self.drawer.display and row is not None and self.focused is self.pane.rows:
            self.drawer.show_row(row, self._now(), complete=True)

    @property
    def row(self) -> OperationRow | None:
        """The operation that the keys act on: that of the details while they have the focus."""
        row = self.drawer.row if self.focused is self.drawer.body else self.pane.rows.cursor_item
        return row if isinstance(row, OperationRow) else None

    # Keys

    def action_undo(self) -> None:
        """Plan to undo the operation."""
        row = self.row
        if row is None:
            return
        if not row.state.ended:
            self._tell("it has not ended yet; it can be undone then")
        elif row.undo is None:
            self._tell(f"nothing undoes this by itself: {row.title}")
        else:
            self._plan(row.undo, "Undo")

    async def action_filter(self) -> None:
        """Open the filter."""
        self.pane.display = True
        self.set_focus(await self.pane.open_filter())

    def action_attention(self) -> None:
        """Show only what needs attention, or all again."""
        self.pane.toggle_attention()

    async def on_pane_filter_closed(self, event: Pane.FilterClosed) -> None:
        """Go back from the filter to its list."""
        self.set_focus(event.pane.rows)
        await event.pane.close_filter()

    def action_copy_id(self) -> None:
        """Copy the operation's id."""
        row = self.row
        if row is not None:
            self.app.copy_to_clipboard(row.id)
            self._tell(f"copied {row.id}")

    async def action_back(self) -> None:
        """Undo one step: the filter's line, the details, the filter, attention only; then leave."""
        if self.pane.filter_line is not None:
            self.pane.set_filter("")
            self.set_focus(self.pane.rows)
            await self.pane.close_filter()
        elif self.drawer.display:
            self.drawer.close()
            self._arrange()
            self.set_focus(self.pane.rows)
        elif self.pane.filter.text:
            self.pane.set_filter("")
        elif self.pane.attention_only:
            self.pane.toggle_attention()
        else:
            self.dismiss()

    def action_operations(self) -> None:
        """Go back: the key that came here leads away again."""
        self.dismiss()

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False, timeout=3)
