"""Everything that is known of one row, as lines that scroll."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mlops_tui.config.keymap import Place
from mlops_tui.ui.bindings import bindings
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.widgets.columns import fit, wrap

if TYPE_CHECKING:
    from mlops_tui.domain.base import DetailSection


class Run(NamedTuple):
    """A text and the name of its style."""

    text: str
    style: str = ""


Line = tuple[Run, ...]


class DetailBody(ScrollView, can_focus=True, inherit_bindings=False):
    """Sections of labelled facts and of text.

    Args:
        glyphs: The signs to draw with.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"detail--{mark}" for mark in MARKS), "detail--title", "detail--label", "detail--text",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.DETAIL)

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._sections: tuple[DetailSection, ...] = ()
        self._note: tuple[str, str] = ("", "")
        self._lines: list[Line] = []
        self._starts: list[int] = []
        self._label_width = 0

    @property
    def text(self) -> str:
        """All lines, as they are shown."""
        return "\n".join("".join(run.text for run in line) for line in self._lines)

    def show(self, sections: Sequence["DetailSection"], note: tuple[str, str] = ("", "")) -> None:
        """Take in the sections and a marked line above them; the place that is read stays in sight."""
        if (tuple(sections), note) != (self._sections, self._note):
            self._sections, self._note = tuple(sections), note
            self._lay_out()

    def to_top(self) -> None:
        """Show the start."""
        self.scroll_to(y=0, animate=False, force=True)

    def on_resize(self) -> None:
        """Wrap anew."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = max(10, self.scrollable_content_region.width - 2)
        self._lines, self._starts = [], []
        mark, note = self._note
        if note:
            room = width - 2
            for number, part in enumerate(wrap(self._glyphs.plain(note), room)):
                sign = self._glyphs.mark(mark) if number == 0 else " "
                self._lines.append((Run(f"{sign} ", mark), Run(part, mark)))
            self._lines.append(())
        labels = [cell_len(field.label) for section in self._sections for field in section.fields]
        self._label_width = min(max(labels, default=0), width // 3)
        for section in self._sections:
            self._starts.append(len(self._lines))
            self._lines.append((Run(self._glyphs.plain(section.title), "title"),))
            for field in section.fields:
                self._lines.extend(self._field_lines(field.label, field.value, field.mark, width))
            for line in section.text.splitlines():
                self._lines.extend((Run(part, "text"),) for part in wrap(self._glyphs.plain(line), width))
            self._lines.append(())
        self.virtual_size = Size(0, len(self._lines))
        self.refresh()

    def _field_lines(self, label: str, value: str, mark: str, width: int) -> Iterable[Line]:
        # By now sections have brought the domain along, which must not come before the first frame.
        from mlops_tui.domain.describe import is_not_run

        room = self._label_width
        # What did not run has a sign of its own; any other fact without a mark has none.
        sign = " " if mark == "none" and not is_not_run(value) else self._glyphs.mark(mark)
        names = wrap(self._glyphs.plain(label), room) or [""]
        values = wrap(self._glyphs.plain(value), width - room - 4) or [""]
        for number in range(max(len(names), len(values))):
            name = names[number] if number < len(names) else ""
            text = values[number] if number < len(values) else ""
            yield (
                Run(fit(name, room), "label"),
                Run(f"  {sign if number == 0 else ' '} ", mark),
                Run(text, mark if mark in ("bad", "warn", "unknown") else ""),
            )

    def render_line(self, y: int) -> Strip:
        """Return one line of what is in sight."""
        index, width, base = y + self.scroll_offset.y, self.scrollable_content_region.width, self.rich_style
        line = self._lines[index] if index < len(self._lines) else ()
        segments = [Segment(" ", base), *(Segment(run.text, base + self._style(run.style)) for run in line)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"detail--{name}", partial=True) if name else Style.null()

    def action_line(self, lines: int) -> None:
        """Scroll by some lines."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True)

    def action_page(self, pages: int) -> None:
        """Scroll by half of what is in sight."""
        self.action_line(pages * max(1, self.scrollable_content_region.height // 2))

    def action_top(self) -> None:
        """Show the start."""
        self.to_top()

    def action_bottom(self) -> None:
        """Show the end."""
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def action_part(self, step: int) -> None:
        """Go to the start of the next or the previous section."""
        here = self.scroll_offset.y
        if step > 0:
            target = next((start for start in self._starts if start > here), None)
        else:
            target = next((start for start in reversed(self._starts) if start < here), 0)
        if target is not None:
            self.scroll_to(y=target, animate=False, force=True)
