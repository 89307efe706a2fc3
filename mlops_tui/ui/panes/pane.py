"""A pane: a frame with name, counts and freshness around a list, and what to say when something is missing."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from mlops_tui.config.keymap import Keymap
from mlops_tui.ui.faces import About, Trouble, face, freshness
from mlops_tui.ui.filtering import STATES, Fields, Filter, clip, has_value, parse_filter
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.panes.kind import PaneKind, is_history, searchable_fields, visible_text
from mlops_tui.ui.widgets.columns import wrap
from mlops_tui.ui.widgets.list import Cell, Entry, RowList

if TYPE_CHECKING:
    from textual.widgets import Input

    from mlops_tui.domain.base import BaseRow
    from mlops_tui.domain.rows import Row
    from mlops_tui.domain.state import SourceState

_COUNTED = ("bad", "warn", "unknown", "waiting", "running", "paused")
"""Marks whose numbers stand in the frame."""
_LEGAL = (*(mark for mark in MARKS if mark != "none"), "info")
"""What `is:` takes in every pane."""
_MOST_VALUES = 10
"""Values that are listed where nothing has the one that was asked for."""
_VALUE_LIMIT = 24
"""Characters of a value in such a list."""
_REST_AFTER = 60.0
"""Seconds after which a pane that was left shows its top again."""
_READ_AT_ONCE = 1000
"""Rows that are read for the filter without a pause."""
_TURN = 0.008
"""Seconds for which reading rows keeps everything else waiting: half of what an eye notices at 60 frames a second."""


class Pane(Vertical):
    """The rows of one kind.

    Args:
        kind: What is special about them.
        glyphs: The signs to draw with.
        keymap: The keys in force, for hints.
        now: The clock.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"pane--{mark}" for mark in MARKS), "pane--name", "pane--number", "pane--frame", "pane--dim",
    }  # fmt: skip

    class FilterClosed(Message):
        """The filter's line is done with; the list is to have the focus again."""

        def __init__(self, pane: "Pane") -> None:
            super().__init__()
            self.pane = pane

    class Retold(Message):
        """Counts or freshness are different."""

    def __init__(self, kind: PaneKind[Any], glyphs: Glyphs, keymap: Keymap, now: Callable[[], datetime]) -> None:
        super().__init__(id=f"pane-{kind.kind}", classes="-empty -noticed")
        self.kind = kind
        self._glyphs = glyphs
        self._keymap = keymap
        self._now = now
        self.filter = Filter()
        self._hint = ""
        self._is_behind = False
        self.attention_only = False
        self._rows: dict[str, Any] = {}
        self._entries: dict[str, Entry[Any]] = {}
        self._shown_marks: Counter[str] = Counter()
        self._groups: dict[object, set[str]] = {}
        self._group_orders: dict[object, Sequence[Any]] = {}
        self._distinct: dict[str, Counter[str]] = {name: Counter() for name in kind.optional}
        self._texts: dict[str, str] = {}
        self._fields_read: dict[str, Fields] = {}
        self._sources: tuple[SourceState, ...] = ()
        self._old_sources: frozenset[str] = frozenset()
        self._connected = False
        self._left_at = now()
        self._trouble: Trouble | None = None
        self._told: object = None
        grouped = bool(kind.lead)
        self.rows: RowList[Any] = RowList(
            self._columns(),
            self._draw,
            glyphs,
            group=kind.group if grouped else None,
            lead=kind.lead,
            is_old=lambda row: row.source in self._old_sources,
        )
        self._notice = Static(classes="notice", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the list over the notice."""
        yield self.rows
        yield self._notice

    # Data

    def take(self, upserted: Mapping[str, "Row"], removed: Iterable[str]) -> None:
        """Take in rows that changed and keys that are gone."""
        touched: set[object] = set()
        gone = [key for key in removed if key in self._rows]
        for key in gone:
            touched.add(self._forget(key))
        for key, row in upserted.items():
            if key in self._rows:
                touched.add(self._forget(key))
            touched.add(self._remember(row))
        changed = dict(upserted)
        if self.kind.lead:
            for group in touched:
                changed |= self._regroup(group)
        self._entries |= {key: self._entry(row) for key, row in changed.items()}
        visible = [key for key, row in changed.items() if self._passes(row)]
        hidden = [key for key, row in changed.items() if key in self.rows and not self._passes(row)]
        self.rows.columns = self._columns()
        self._show(visible, [*gone, *hidden])
        self._hint = self._value_hint()

    def _show(self, keys: Iterable[str], hidden: Iterable[str]) -> None:
        """Bring the list up to date, and what the frame counts in it."""
        entries = [self._entries[key] for key in keys]
        out = [key for key in hidden if key in self.rows]
        again = [entry.key for entry in entries if entry.key in self.rows]
        self._shown_marks.subtract(_counted_as(self.rows.item(key)) for key in (*out, *again))
        self._shown_marks.update(_counted_as(entry.item) for entry in entries)
        self.rows.apply(entries, out)

    def _remember(self, row: Any) -> object:
        self._rows[row.key] = row
        for name, value in self.kind.distinction(row).items():
            self._distinct[name][value] += 1
        group = self.kind.group(row)
        if self.kind.lead:
            self._groups.setdefault(group, set()).add(row.key)
        return group

    def _forget(self, key: str) -> object:
        row = self._rows.pop(key)
        del self._entries[key]
        self._texts.pop(key, None)
        self._fields_read.pop(key, None)
        for name, value in self.kind.distinction(row).items():
            self._distinct[name][value] -= 1
            if not self._distinct[name][value]:
                del self._distinct[name][value]
        group = self.kind.group(row)
        if self.kind.lead:
            self._groups[group].discard(key)
        return group

    def _regroup(self, group: object) -> dict[str, Any]:
        """Return the rows that have to move, since their group did."""
        members = {key: self._rows[key] for key in self._groups.get(group, ())}
        if not members:
            self._groups.pop(group, None)
            self._group_orders.pop(group, None)
            return {}
        order = self.kind.group_order(members.values())
        if order == self._group_orders.get(group):
            return {}
        self._group_orders[group] = order
        return members

    def _entry(self, row: Any) -> Entry[Any]:
        return Entry(self.kind.order(row, self._group_orders.get(self.kind.group(row), ())), row.key, row)

    def _columns(self) -> tuple[Any, ...]:
        hidden = {name for name, values in self._distinct.items() if len(values) < 2}
        hidden |= {self.kind.instead_of[name] for name in self.kind.instead_of if name not in hidden}
        return tuple(column for column in self.kind.columns if column.name not in hidden)

    def _draw(self, row: Any) -> Mapping[str, Cell]:
        cells = dict(self.kind.cells(row, self._now()))
        cells["mark"] = cells["mark"]._replace(text=self._glyphs.mark(cells["mark"].text))
        return cells

    # Filter

    def set_filter(self, text: str) -> None:
        """Show only rows that match; an empty text shows all."""
        before, self.filter = self.filter, parse_filter(text, self.kind.filter_keys)
        if self.filter and self._unread > _READ_AT_ONCE:
            self._is_behind = True
            self._read_rows()
        else:
            self._refilter(narrower=self.filter.narrows(before))

    def toggle_attention(self) -> None:
        """Show only rows that need attention, or all again."""
        self.attention_only = not self.attention_only
        self._refilter()

    def _refilter(self, *, narrower: bool = False) -> None:
        """Show what passes now; where the filter became `narrower`, what is hidden needs no second look."""
        out = [key for key in self.rows.keys if not self._passes(self._rows[key])]
        rows = {} if narrower else self._rows
        self._show([key for key, row in rows.items() if key not in self.rows and self._passes(row)], out)
        self._is_behind = False
        self._hint = self._value_hint()
        self.retell()

    def _passes(self, row: Any) -> bool:
        if self.attention_only and row.attention in ("ok", "info"):
            return False
        return not self.filter or self.filter.matches(lambda: self._text(row), lambda: self._fields(row))

    def _text(self, row: Any) -> str:
        found = self._texts.get(row.key)
        if found is None:
            found = self._texts[row.key] = visible_text(self.kind, row, self._now())
        return found

    def _fields(self, row: Any) -> Fields:
        found = self._fields_read.get(row.key)
        if found is None:
            found = self._fields_read[row.key] = searchable_fields(self.kind, row)
        return found

    @property
    def is_filtered(self) -> bool:
        """Whether the list is what the filter leaves; not while rows have yet to be read for it."""
        return not self._is_behind

    @property
    def _unread(self) -> int:
        """How many rows have not been read yet for what the filter looks at."""
        words, terms = (bool(self.filter.words), bool(self.filter.terms))
        read = min(len(self._texts) if words else len(self._rows), len(self._fields_read) if terms else len(self._rows))
        return len(self._rows) - read

    @work(exclusive=True, group="read")
    async def _read_rows(self) -> None:
        """Read all rows for the filter, in turns with everything else that waits, then filter."""
        began = time.perf_counter()
        for row in list(self._rows.values()):
            if self._rows.get(row.key) is row:
                self._text(row)
                if self.filter.terms:
                    self._fields(row)
            if time.perf_counter() - began > _TURN:
                await asyncio.sleep(0)
                began = time.perf_counter()
        self._refilter()

    def _value_hint(self) -> str:
        """Return which values there are, where the filter asks for a state that no row has."""
        if self.rows.row_count or not self._rows:
            return ""
        for key, value in self.filter.terms:
            if key not in STATES or any(has_value(self._fields(row), key, value) for row in self._rows.values()):
                continue
            if key == "is" and any(mark.startswith(value) for mark in _LEGAL):
                continue
            found = Counter(one for row in self._rows.values() for one in self._fields(row)["status"])
            common = [one.replace(" ", "_") for one, _ in found.most_common() if len(one) <= _VALUE_LIMIT]
            legal = [*(_LEGAL if key == "is" else ()), *common[:_MOST_VALUES]]
            there = " ".join(dict.fromkeys(legal))
            return f'nothing here is "{clip(value, _VALUE_LIMIT)}"; {key}: can be {there}'
        return ""

    @property
    def filter_line(self) -> "Input | None":
        """The filter's line, while it is open."""
        return next(iter(self.query("FilterLine").results()), None)  # type: ignore[return-value]

    async def open_filter(self) -> "Input":
        """Open the line for the filter if it is not, and return it."""
        # The widget's module is not wanted before the first frame.
        from mlops_tui.ui.widgets.filter_line import FilterLine

        line = self.filter_line
        if line is None:
            line = FilterLine(self.filter.text, self.kind.filter_keys)
            await self.mount(line)
            if len(self._rows) - len(self._texts) > _READ_AT_ONCE:
                self._read_rows()
        return line

    async def close_filter(self) -> None:
        """Close the line; the filter stays in force."""
        if (line := self.filter_line) is not None:
            await line.remove()

    def on_input_changed(self, event: "Input.Changed") -> None:
        """Filter while typing."""
        event.stop()
        self.set_filter(event.value)

    async def on_input_submitted(self, event: "Input.Submitted") -> None:
        """Keep the filter and go back to the list."""
        event.stop()
        self.post_message(self.FilterClosed(self))

    # What it says

    def set_sources(self, sources: Iterable["SourceState"], connected: bool, trouble: Trouble | None) -> None:
        """Take in the states of the sources that bring these rows, and what is wrong with the engine."""
        self._sources = tuple(sources)
        self._connected = connected
        self._trouble = trouble
        old = {state.source for state in self._sources if state.may_be_old or trouble is not None}
        if old != self._old_sources:
            self._old_sources = frozenset(old)
            self.rows.refresh()
        if connected and not any(state.status == "connecting" for state in self._sources):
            self.rows.settled = True
        self.retell()

    @property
    def source_ids(self) -> list[str]:
        """The ids of the sources that bring these rows."""
        return [state.source for state in self._sources]

    @property
    def worst(self) -> Sequence[tuple[str, int]]:
        """How many rows in the list have each mark that the frame counts, the worst first."""
        return [(mark, self._shown_marks[mark]) for mark in _COUNTED if self._shown_marks[mark] > 0]

    @property
    def total(self) -> int:
        """How many rows there are, shown or hidden."""
        return len(self._rows)

    def retell(self) -> None:
        """Bring frame and notice up to date; touches the screen only where something is different."""
        now = self._now()
        about = self._about()
        lines = face(about, now)
        above = sum(row.attention == "bad" for row in self.rows.above)
        told = (
            lines, freshness(self._sources, self._connected, now), tuple(self.worst), self.total, self.rows.row_count,
            self.size.width, self.has_pseudo_class("focus-within"), self.app.theme, above,
        )  # fmt: skip
        if told == self._told:
            return
        self._told = told
        self.set_class(not self.rows.row_count, "-empty")
        self.set_class(bool(lines), "-noticed")
        self._notice.update(self._notice_text(lines))
        self.border_title = self._title(now)
        self.border_subtitle = Content(self._glyphs.plain(f"↑ {self._glyphs.mark('bad')} {above}")) if above else None
        self.post_message(self.Retold())

    def _about(self) -> About:
        return About(
            kind=self.kind.kind,
            sources=self._sources,
            connected=self._connected,
            total=self.total,
            shown=self.rows.row_count,
            empty=self.kind.empty,
            setup=self.kind.setup,
            filter=self.filter.text,
            filter_problem=self.filter.problem or self._hint,
            attention_only=self.attention_only,
            refresh_key=self._keymap.shown("pane.refresh"),
            back_key=self._keymap.shown("back"),
            attention_key=self._keymap.shown("list.attention"),
            trouble=self._trouble,
        )

    def _notice_text(self, lines: Sequence[tuple[str, str]]) -> Content:
        parts = []
        for mark, text in lines:
            sign = (f"{self._glyphs.mark(mark)} ", self._look(mark))
            wrapped = "\n  ".join(wrap(self._glyphs.plain(text), max(10, self.size.width - 4)))
            parts.append(Content.assemble(sign, (wrapped, self._look("dim"))))
        return Content("\n").join(parts)

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"pane--{name}", partial=True)

    def _title(self, now: datetime) -> Content:
        """Return the frame's upper edge: the name on the left, counts and freshness on the right."""
        number = str(self.kind.number)
        left = Content.assemble((number, self._look("number")), " ", (self.kind.name, self._look("name")))
        room = self.size.width - 4
        for parts in self._figures(now):
            right = Content(f" {self._glyphs.dot} ").join(parts)
            space = room - left.cell_length - right.cell_length - 2
            if space >= 1:
                rule = (self._glyphs.rule * space, self._look("frame"))
                return Content.assemble(left, " ", rule, " ", right)
        return left

    def _figures(self, now: datetime) -> Iterable[list[Content]]:
        """Return what stands on the right, from the fullest to the shortest."""
        total, shown = self.total, self.rows.row_count
        counts = [
            Content.assemble((f"{self._glyphs.mark(mark)} {count}", self._look(mark))) for mark, count in self.worst
        ]
        noun = self.kind.noun[total != 1]
        whole = [Content.assemble((f"{shown} of {total}" if shown < total else f"{total} {noun}", self._look("dim")))]
        mark, word = freshness(self._sources, self._connected, now)
        sign = "" if mark == "ok" else f"{self._glyphs.mark(mark)} "
        fresh = [Content.assemble((f"{sign}{word}", self._look("dim" if mark == "ok" else mark)))]
        if not total:
            whole = []
        yield whole + counts + fresh
        yield counts + fresh
        yield counts[:1] + fresh
        yield fresh

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the frame's edge anew."""
        self.retell()

    def on_descendant_focus(self) -> None:
        """Colour the frame."""
        self.call_later(self.retell)

    def on_descendant_blur(self) -> None:
        """Colour the frame, and count from here how long nobody is at work in it."""
        self._left_at = self._now()
        self.call_later(self.retell)

    def on_row_list_scrolled(self) -> None:
        """Say whether something bad went out of sight."""
        self.retell()

    def rest(self) -> None:
        """Show the top again, where trouble comes first, once nobody has been here for a while."""
        is_down = self.rows.cursor_index > 0 or self.rows.scroll_offset.y > 0
        if is_down and (self._now() - self._left_at).total_seconds() >= _REST_AFTER:
            self.rows.rest()

    def tick(self) -> None:
        """Let a second pass."""
        self.rows.tick()
        self.retell()


def _counted_as(row: "BaseRow") -> str:
    """Return the mark under which the frame counts a row: what is over is not counted as trouble."""
    return "" if is_history(row) else row.mark
