"""The one list: drawn line by line, so that its cost follows the rows in sight and not the rows there are."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mlops_tui.config.keymap import Place
from mlops_tui.ui.bindings import bindings
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.widgets.columns import Column, fit, lay_out

_REBUILD_SHARE = 8
"""From an eighth of the rows on, sorting anew costs less than placing one by one."""

T = TypeVar("T")
SortKey = tuple[Any, ...]


class Cell(NamedTuple):
    """A text and the name of its style: a mark, `name`, `dim`, `faint`, or empty for plain."""

    text: str
    style: str = ""


class _Slot(NamedTuple):
    column: Column
    room: int
    cell: Cell
    spans: bool = False


class Entry(NamedTuple, Generic[T]):
    """A row on its way into the list."""

    sort: SortKey
    key: str
    item: T


Draw = Callable[[T], Mapping[str, Cell]]
"""Returns the cells of an item by the name of their column; one takes the room of the columns after it without any."""


class RowList(ScrollView, Generic[T], can_focus=True, inherit_bindings=False):
    """Keyed rows in order, with a cursor that belongs to a key and not to a line.

    When data arrives, the row under the cursor stays where it is on the screen, and the rest moves around it. If that
    row goes away, the cursor takes the one that moves up into its place.

    Args:
        columns: The columns, left to right; the first is a status sign.
        draw: Returns an item's cells.
        glyphs: The signs to draw with.
        group: Returns what consecutive rows share; the cells named in `lead` are shown on a group's first line only.
        is_old: Says whether an item may no longer be true, and so is drawn dimmed.
    """

    STYLES: ClassVar[tuple[str, ...]] = (*MARKS, "name", "dim", "faint", "strong")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"list--{style}" for style in STYLES),
        "list--cursor",
        "list--cursor-idle",
        "list--gutter",
        "list--old",
    }
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.LIST)

    class Moved(Message):
        """The cursor went to another row."""

        def __init__(self, rows: "RowList[Any]", key: str | None) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> "RowList[Any]":
            """The list."""
            return self.rows

    class Opened(Message):
        """The row under the cursor is to be opened."""

        def __init__(self, rows: "RowList[Any]", key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

    class Scrolled(Message):
        """Other rows came in sight."""

        def __init__(self, rows: "RowList[Any]") -> None:
            super().__init__()
            self.rows = rows

    def __init__(
        self,
        columns: Sequence[Column],
        draw: Draw[T],
        glyphs: Glyphs,
        *,
        group: Callable[[T], object] | None = None,
        lead: frozenset[str] = frozenset(),
        is_old: Callable[[T], bool] = lambda _: False,
    ) -> None:
        super().__init__()
        self._columns = tuple(columns)
        self._draw = draw
        self._glyphs = glyphs
        self._group = group
        self._lead = lead
        self._is_old = is_old
        self._places: list[tuple[SortKey, str]] = []
        self._sorts: dict[str, SortKey] = {}
        self._items: dict[str, T] = {}
        self._cursor: str | None = None
        self._painted: dict[int, Strip] = {}
        self.moved_by_hand = False
        """Whether somebody has chosen a row here."""
        self.settled = False
        """Whether the first load is over; until then an untouched list keeps showing its top."""

    # What is in it

    @property
    def row_count(self) -> int:
        """How many rows there are, in sight or not."""
        return len(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._sorts

    @property
    def keys(self) -> list[str]:
        """All keys, in order."""
        return [key for _, key in self._places]

    @property
    def cursor_key(self) -> str | None:
        """The key of the row that the keys act on; `None` in an empty list."""
        return self._cursor

    @property
    def cursor_item(self) -> T | None:
        """The row that the keys act on."""
        return None if self._cursor is None else self._items[self._cursor]

    @property
    def cursor_index(self) -> int:
        """The cursor's line in the whole list; -1 in an empty one."""
        return -1 if self._cursor is None else self._index(self._cursor)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, left to right."""
        return self._columns

    @columns.setter
    def columns(self, columns: Sequence[Column]) -> None:
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self.refresh()

    def item(self, key: str) -> T:
        """Return the item of a key. Raises `KeyError`."""
        return self._items[key]

    @property
    def above(self) -> list[T]:
        """Up to a hundred items that are scrolled out of sight at the top, from the first."""
        return [self._items[key] for _, key in self._places[: min(self.scroll_offset.y, 100)]]

    def apply(self, entries: Sequence[Entry[T]], removed: Iterable[str] = ()) -> None:
        """Add or replace `entries` and drop the keys in `removed`; unknown keys are ignored."""
        before = self._cursor
        place = None if before is None else (self._sorts[before], before)
        line = self.cursor_index - self.scroll_offset.y
        gone = [key for key in removed if key in self._sorts]
        if (len(entries) + len(gone)) * _REBUILD_SHARE >= len(self._places):
            self._rebuild(entries, gone)
        else:
            for key in gone:
                self._take_out(key)
            for entry in entries:
                self._put_in(entry)
        if len(self._places) != self.virtual_size.height:
            self.virtual_size = Size(0, len(self._places))
        self._settle_cursor(place, line)
        self._repaint_changes()
        if self._cursor != before:
            self.post_message(self.Moved(self, self._cursor))

    def _rebuild(self, entries: Sequence[Entry[T]], gone: Iterable[str]) -> None:
        stale = {*gone, *(entry.key for entry in entries)}
        for key in gone:
            del self._sorts[key], self._items[key]
        # What stays is in order, which makes sorting it anew with the rest cheap.
        self._places = [place for place in self._places if place[1] not in stale]
        for entry in entries:
            self._sorts[entry.key] = entry.sort
            self._items[entry.key] = entry.item
        if entries:
            self._places += [(entry.sort, entry.key) for entry in entries]
            self._places.sort()

    def _put_in(self, entry: Entry[T]) -> None:
        known = self._sorts.get(entry.key)
        if known != entry.sort:
            if known is not None:
                self._take_out(entry.key)
            insort(self._places, (entry.sort, entry.key))
            self._sorts[entry.key] = entry.sort
        self._items[entry.key] = entry.item

    def _take_out(self, key: str) -> None:
        del self._places[self._index(key)]
        del self._sorts[key], self._items[key]

    def _index(self, key: str) -> int:
        return bisect_left(self._places, (self._sorts[key], key))

    def _settle_cursor(self, place: tuple[SortKey, str] | None, line: int) -> None:
        if not self._places:
            self._cursor = None
            return
        # Nobody chose a row here yet: the top is what needs somebody most.
        follows_top = not self.moved_by_hand and not (self.has_focus and self.settled)
        if place is None or follows_top:
            self._cursor = self._places[0][1]
            self._scroll_to_line(0)
            return
        if place[1] not in self._sorts:
            self._cursor = self._places[min(bisect_left(self._places, place), len(self._places) - 1)][1]
        self._scroll_to_line(self.cursor_index - line)

    def rest(self) -> None:
        """Show the top again, as if nobody had chosen a row."""
        self.moved_by_hand = False
        before = self._cursor
        self._cursor = self._places[0][1] if self._places else None
        self._scroll_to_line(0)
        if self._cursor != before:
            self.refresh()
            self.post_message(self.Moved(self, self._cursor))

    # Moving

    def select(self, key: str) -> None:
        """Put the cursor on a key that is in the list, and show it. Raises `KeyError`."""
        self._move_to(self._index(key))

    def _move_to(self, index: int) -> None:
        self.moved_by_hand = True
        if not self._places:
            return
        before = self.cursor_index
        index = max(0, min(index, len(self._places) - 1))
        self._cursor = self._places[index][1]
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if index < top:
            self._scroll_to_line(index)
        elif index >= top + height:
            self._scroll_to_line(index - height + 1)
        if index != before:
            self.refresh_line(before)
            self.refresh_line(index)
            self.post_message(self.Moved(self, self._cursor))

    def _scroll_to_line(self, line: int) -> None:
        if line != self.scroll_offset.y:
            self.scroll_to(y=line, animate=False, force=True)

    def action_move(self, lines: int) -> None:
        """Move the cursor by some rows."""
        self._move_to(self.cursor_index + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by half of what is in sight."""
        self._move_to(self.cursor_index + pages * max(1, self.scrollable_content_region.height // 2))

    def action_top(self) -> None:
        """Go to the first row."""
        self._move_to(0)

    def action_bottom(self) -> None:
        """Go to the last row."""
        self._move_to(len(self._places) - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self._cursor is not None:
            self.moved_by_hand = True
            self.post_message(self.Opened(self, self._cursor))

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked; a second click opens it."""
        index = event.y + self.scroll_offset.y
        if 0 <= index < len(self._places):
            self._move_to(index)
            if event.chain == 2:
                self.action_open()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell that other rows are in sight."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled(self))

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._painted.clear()
        if self._cursor is not None:
            index, height = self.cursor_index, self.scrollable_content_region.height
            self._scroll_to_line(max(index - height + 1, min(self.scroll_offset.y, index)))

    # Drawing

    def tick(self) -> None:
        """Repaint the lines in sight whose text changed by time alone."""
        self._repaint_changes()

    def _repaint_changes(self) -> None:
        # Every line in sight: what was painted is forgotten with a change of size or style.
        for y in range(self.scrollable_content_region.height):
            if self._line(y) != self._painted.get(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def notify_style_update(self) -> None:
        """Forget what was painted with other colours."""
        super().notify_style_update()
        self._painted.clear()

    def render_line(self, y: int) -> Strip:
        """Return one line of what is in sight."""
        if y >= self.scrollable_content_region.height:
            self._painted.pop(y, None)
        strip = self._painted[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if index >= len(self._places) or width < 1:
            return Strip.blank(max(0, width), base)
        key = self._places[index][1]
        item = self._items[key]
        on_cursor = key == self._cursor
        if on_cursor:
            base += self._style("cursor" if self.has_focus else "cursor-idle")
        old = self._style("old") if self._is_old(item) else None
        return Strip(list(self._segments(item, width, base, on_cursor, self._hidden(index, y), old)), width)

    def _hidden(self, index: int, y: int) -> frozenset[str]:
        """Return the columns left empty, since the line above in sight has them."""
        if self._group is None or y == 0 or index == 0:
            return frozenset()
        same = self._group(self._items[self._places[index - 1][1]]) == self._group(self._items[self._places[index][1]])
        return self._lead if same else frozenset()

    def _segments(
        self, item: T, width: int, base: Style, on_cursor: bool, hidden: frozenset[str], old: Style | None
    ) -> Iterable[Segment]:
        sign = self._glyphs.cursor if on_cursor and self.has_focus else " "
        yield Segment(sign, base + self._style("gutter"))
        used = 1
        ellipsis = self._glyphs.plain("…")
        for slot in self._slots(self._draw(item), lay_out(self._columns, width - 1)):
            column = slot.column
            if used > 1:
                yield Segment(" " * column.gap, base)
                used += column.gap
            text, style = ("", "") if column.name in hidden else slot.cell
            keep, right = ("start", False) if slot.spans else (column.keep, column.right)
            shown = fit(self._glyphs.plain(text), slot.room, keep, right, ellipsis)
            yield Segment(shown, base + (old or self._style(style)))
            used += slot.room
        if used < width:
            yield Segment(" " * (width - used), base)

    def _slots(self, cells: Mapping[str, Cell], widths: Sequence[int]) -> list["_Slot"]:
        """Place cells: one whose columns to the right have none of their own takes their room too."""
        slots: list[_Slot] = []
        carried: Cell | None = None
        for column, room in zip(self._columns, widths, strict=True):
            cell = cells.get(column.name)
            if not room:
                carried = cell or carried
            elif cell is not None:
                slots.append(_Slot(column, room, cell))
                carried = None
            elif carried is not None or not slots:
                slots.append(_Slot(column, room, carried or Cell(""), spans=True))
                carried = None
            else:
                last = slots[-1]
                slots[-1] = last._replace(room=last.room + column.gap + room, spans=True)
        return slots

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"list--{name}", partial=True) if name else Style.null()
