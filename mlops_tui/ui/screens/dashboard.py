"""The main screen: four panes, a header, a footer, and the details of one row."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen

from mlops_tui.config.keymap import PANES, Keymap, Place
from mlops_tui.ui.bindings import bindings
from mlops_tui.ui.browser import open_in_browser
from mlops_tui.ui.faces import Trouble, quota_word
from mlops_tui.ui.feed import Feed
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.panes.models import Models
from mlops_tui.ui.panes.pane import Pane
from mlops_tui.ui.panes.pulls import Pulls
from mlops_tui.ui.panes.rollouts import Rollouts
from mlops_tui.ui.panes.workflows import Workflows
from mlops_tui.ui.screens.drawer import Drawer
from mlops_tui.ui.screens.operating import Operating
from mlops_tui.ui.widgets.footer import Footer
from mlops_tui.ui.widgets.header import Header
from mlops_tui.ui.widgets.list import RowList
from mlops_tui.ui.widgets.tabs import PaneTabs, Tab

if TYPE_CHECKING:
    from mlops_tui.domain.rows import Row

FOLLOW_DELAY = 0.15
"""Seconds that the cursor has to rest on a row before its details are fetched."""
COVER_HEIGHT = 30
"""Lines below which details take the whole screen, since panes above them would be too short to read."""
DRAWER_WIDTH = 180
"""Columns from which details stand beside the panes."""
PANES_WIDTH = 100
"""Columns from which panes stand side by side."""


class DashboardScreen(Screen[None]):
    """All panes at once, or one of them.

    Args:
        feed: The engine's updates and answers.
        keymap: The keys in force.
        glyphs: The signs to draw with.
        now: The clock.
        read_only: Whether the viewer was started to change nothing.
    """

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for place in (Place.BOARD, *PANES.values()) for binding in bindings(place)
    ]

    def __init__(
        self, feed: Feed, keymap: Keymap, glyphs: Glyphs, now: Callable[[], datetime], *, read_only: bool
    ) -> None:
        super().__init__()
        self._feed = feed
        self._keymap = keymap
        self._now = now
        self._trouble: Trouble | None = None
        self.operating = Operating(self, feed, keymap, glyphs, now, read_only=read_only)
        self.work = self.operating.work
        self._zoomed = False
        self.panes: dict[str, Pane] = {
            kind.kind: Pane(kind, glyphs, keymap, now) for kind in (Workflows(), Models(), Rollouts(), Pulls())
        }
        self.current = "run"
        self.header = Header(glyphs, read_only)
        self.tabs = PaneTabs(glyphs)
        self.drawer = Drawer(glyphs)
        self.footer = Footer(keymap, glyphs)

    def compose(self) -> ComposeResult:
        """Lay out the lines and the panes."""
        yield self.header
        yield self.tabs
        with Container(id="body"):
            with Container(id="panes"):
                yield from self.panes.values()
            yield self.drawer
        yield self.footer

    def on_mount(self) -> None:
        """Start the seconds."""
        self._show_header()
        self.set_focus(self.pane.rows)
        self.set_interval(1.0, self.tick)

    # Data

    def show_board(self) -> None:
        """Show what the feed has."""
        changes, mirror = self._feed.take_changes(), self._feed.mirror
        if changes is None or mirror is None:
            return
        with self.app.batch_update():
            for kind, upserted in changes.upserted.items():
                if kind == "operation":
                    self._take_operations(upserted, changes.removed[kind])
                elif upserted or changes.removed[kind]:
                    self.panes[kind].take(upserted, changes.removed[kind])
            if changes.scope:
                self.work.read_only.clear()
            if changes.sources or changes.scope:
                self._show_sources()
            else:
                for pane in self.panes.values():
                    pane.retell()
            self._follow_row(changes)
            self._show_footer()
            for listener in list(self.work.listeners):
                listener.board_changed(changes)

    def _take_operations(self, upserted: Any, removed: Any) -> None:
        """Count what runs, and tell of what has ended."""
        for row in self.work.take(upserted, removed):
            self.operating.tell_end(row)
        if upserted or removed:
            self._show_header()

    def _follow_row(self, changes: Any) -> None:
        """Bring the open details up to date with their row."""
        row = self.drawer.row
        if row is None:
            return
        if row.key in changes.removed[row.kind]:
            self.drawer.mark_gone(self._now())
        elif (fresh := changes.upserted[row.kind].get(row.key)) is not None:
            self.drawer.show_row(fresh, self._now())
            self._fetch_detail(fresh)

    def set_trouble(self, trouble: Trouble | None) -> None:
        """Say what is wrong with the engine; `None` if nothing is any more."""
        if trouble != self._trouble:
            self._trouble = self.operating.trouble = trouble
            self._show_sources()
            for listener in list(self.work.listeners):
                listener.trouble_changed(trouble)

    def _show_sources(self) -> None:
        mirror = self._feed.mirror
        states = list(mirror.sources.values()) if mirror else []
        connected = mirror is not None and mirror.scope is not None
        for pane in self.panes.values():
            mine = [state for state in states if state.kind == pane.kind.source]
            pane.set_sources(mine, connected, self._trouble)
        self._show_header()

    def _show_header(self) -> None:
        mirror = self._feed.mirror
        scope = mirror.scope if mirror else None
        states = list(mirror.sources.values()) if mirror else []
        self.header.show(scope, states, self._trouble, self._now(), len(self.work.running))

    def tick(self) -> None:
        """Let a second pass: ages grow, nothing moves."""
        self._show_header()
        self.drawer.tick(self._now())
        for kind, pane in self.panes.items():
            if kind != self.current:
                pane.rest()
            if pane.display:
                pane.tick()
            else:
                pane.retell()

    def on_pane_retold(self) -> None:
        """Keep the line of panes up to date."""
        self._show_tabs()

    def _show_tabs(self) -> None:
        tabs = [Tab(kind, pane.kind.number, pane.kind.name, tuple(pane.worst)) for kind, pane in self.panes.items()]
        self.tabs.show(tabs, self.current)

    # Which pane

    @property
    def pane(self) -> Pane:
        """The pane that the keys act on."""
        return self.panes[self.current]

    @property
    def _single(self) -> bool:
        return self._zoomed or self.size.width < PANES_WIDTH

    @property
    def _covered(self) -> bool:
        """Whether open details hide the panes."""
        if not self.drawer.display or self.size.width >= DRAWER_WIDTH:
            return False
        return self.size.width < PANES_WIDTH or self.size.height < COVER_HEIGHT

    def _arrange(self) -> None:
        """Show what the size and the zoom leave room for."""
        width = self.size.width
        for kind, pane in self.panes.items():
            pane.display = kind == self.current or not self._single
        self.set_class(self._single, "-single")
        self.set_class(width >= DRAWER_WIDTH, "-huge")
        self.query_one("#panes").display = not self._covered
        self.tabs.display = self._single
        self._show_tabs()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out for the new size."""
        self._arrange()
        if self._covered and self.drawer.display:
            self.set_focus(self.drawer.body)

    def action_pane(self, kind: str) -> None:
        """Go to a pane."""
        if self._covered:
            self.drawer.close()
        self.current = kind
        # The new pane first: focus would wander off with the old one.
        self.panes[kind].display = True
        self.query_one("#panes").display = True
        self.set_focus(self.panes[kind].rows)
        self._arrange()

    def action_next_pane(self, step: int) -> None:
        """Go to the next pane, and from the last to the first."""
        kinds = list(self.panes)
        self.action_pane(kinds[(kinds.index(self.current) + step) % len(kinds)])

    def on_pane_tabs_chosen(self, event: PaneTabs.Chosen) -> None:
        """Go to the pane whose name was clicked."""
        self.action_pane(event.kind)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Follow the focus: the keys act where it is, which may no longer be where the event says."""
        widget = self.focused or event.widget
        pane = next((found for found in widget.ancestors if isinstance(found, Pane)), None)
        if pane is not None and pane.kind.kind != self.current:
            self.current = pane.kind.kind
            self._arrange()
        if isinstance(widget, RowList):
            self._follow_cursor()
        self._show_footer()

    def _show_footer(self) -> None:
        """Tell the keys that work where the focus is."""
        focused, row = self.focused, self.selected
        is_list = isinstance(focused, RowList)
        place = Place.LIST if is_list else Place.DETAIL if focused is self.drawer.body else None
        kind = self.current if row is None else row.kind
        self.footer.set_place(place, PANES[kind], locked=bool(self.operating.read_only_reason(row)))

    def action_zoom(self) -> None:
        """Give the whole screen to one pane, or back."""
        self._zoomed = not self._zoomed
        self._arrange()

    # Filter

    async def action_filter(self) -> None:
        """Open the filter of the pane."""
        if self._covered:
            self._close_drawer()
        self.set_focus(await self.pane.open_filter())

    def action_attention(self) -> None:
        """Show only what needs attention, or all again."""
        self.pane.toggle_attention()

    async def on_pane_filter_closed(self, event: Pane.FilterClosed) -> None:
        """Go back from the filter to its list."""
        self.set_focus(event.pane.rows)
        await event.pane.close_filter()

    async def action_back(self) -> None:
        """Undo one step: the filter's line, the details, the filter, attention only, the zoom."""
        pane = self.pane
        if pane.filter_line is not None:
            pane.set_filter("")
            self.set_focus(pane.rows)
            await pane.close_filter()
        elif self.drawer.display:
            self._close_drawer()
        elif pane.filter.text:
            pane.set_filter("")
        elif pane.attention_only:
            pane.toggle_attention()
        elif self._zoomed:
            self.action_zoom()

    # Details

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        """Show the details of the row."""
        self._open(event.rows.item(event.key))

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        """Let the open details follow the cursor."""
        if isinstance(event.rows.parent, Pane):
            event.rows.parent.retell()
        self._follow_cursor()
        self._show_footer()

    def _open(self, row: "Row") -> None:
        self.drawer.show_row(row, self._now())
        self.drawer.display = True
        self._arrange()
        self.set_focus(self.drawer.body)
        self._fetch_detail(row)

    def _follow_cursor(self) -> None:
        row = self.pane.rows.cursor_item
        follows = self.drawer.display and not self._covered and self.focused is self.pane.rows
        if follows and row is not None and (self.drawer.row is None or self.drawer.row.key != row.key):
            self.drawer.show_row(row, self._now())
            self._fetch_detail(row)

    def _close_drawer(self) -> None:
        self.drawer.close()
        self.query_one("#panes").display = True
        self.set_focus(self.pane.rows)
        self._arrange()

    @work(exclusive=True, group="detail")
    async def _fetch_detail(self, row: "Row") -> None:
        from mlops_tui.domain.base import RowRef
        from mlops_tui.domain.errors import MlopsTuiError

        await asyncio.sleep(FOLLOW_DELAY)
        try:
            detail = await self._feed.detail(RowRef(kind=row.kind, key=row.key))
        except MlopsTuiError as error:
            self.drawer.show_problem(row.key, error.message, self._now())
        else:
            self.drawer.show_detail(detail, self._now())

    # Rows

    @property
    def selected(self) -> "Row | None":
        """The row that the keys act on: that of the details while they have the focus."""
        if self.focused is self.drawer.body:
            return self.drawer.row
        item: Row | None = self.pane.rows.cursor_item
        return item

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let a pane's keys act on the rows of that pane alone."""
        if action == "operate":
            return self.operating.fits(parameters[0], self.selected)
        if action == "run_actions":
            return self.selected is not None and self.selected.kind == "run"
        return super().check_action(action, parameters)

    def action_operate(self, name: str) -> None:
        """Open the plan of an operation on the row as it is now."""
        if (row := self.selected) is not None:
            self.operating.operate(name, row)

    def action_actions(self) -> None:
        """Show what can be done with the row."""
        if (row := self.selected) is not None:
            self.operating.menu(row)

    def action_run_actions(self) -> None:
        """Show what can be done with the run."""
        self.action_actions()

    def action_operations(self) -> None:
        """Show what is being done, and was."""
        if self._feed.mirror is not None:
            self.operating.show_operations()

    def action_refresh(self) -> None:
        """Read the pane's sources again."""
        for source in self.pane.source_ids:
            self._refresh(source)
        if self.drawer.display and self.drawer.row is not None:
            self._fetch_detail(self.drawer.row)
        self._tell_refresh(self.pane.kind.name, self.pane.kind.source)

    def action_refresh_all(self) -> None:
        """Read every source again."""
        self._refresh(None)
        self._tell_refresh("all sources")

    def _tell_refresh(self, name: str, kind: str = "") -> None:
        """Say what is read again, and what the engine reads no earlier for being asked."""
        mirror = self._feed.mirror
        found = [state for state in mirror.sources.values() if kind in ("", state.kind)] if mirror else []
        limited = [state for state in found if state.status == "limited"]
        said = [f"{state.label or state.kind}: {quota_word(state, self._now())}" for state in limited]
        if not found or len(limited) < len(found):
            said.insert(0, f"reading {name} again")
        self._tell("\n".join(said))

    @work(group="refresh")
    async def _refresh(self, source: str | None) -> None:
        await self._feed.refresh(source)

    @work(group="browser")
    async def action_browser(self) -> None:
        """Open the row's page in the browser."""
        row = self.selected
        if row is None or not row.url:
            self._tell("this row has no page")
        elif not row.url.startswith(("https://", "http://")):
            self._tell("not opened: the address is neither http nor https")
        elif not await asyncio.to_thread(open_in_browser, row.url):
            self.app.copy_to_clipboard(row.url)
            self._tell(f"no browser here; copied {row.url}")

    def action_copy_id(self) -> None:
        """Copy the row's id."""
        row = self.selected
        if row is not None:
            self._copy(self.panes[row.kind].kind.identity(row))

    def action_copy_url(self) -> None:
        """Copy the row's URL."""
        row = self.selected
        if row is not None and row.url:
            self._copy(row.url)
        elif row is not None:
            self._tell("this row has no page")

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self._tell(f"copied {text}")

    def _tell(self, text: str) -> None:
        # Rows hold the text of strangers: it must never be read as markup.
        self.notify(text, markup=False, timeout=2.5)
