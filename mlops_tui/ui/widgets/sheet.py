"""A plan and its progress as lines: what changes, what was checked, what may spoil it, how far it is."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from mlops_tui.ages import duration
from mlops_tui.ui.glyphs import MARKS, Glyphs
from mlops_tui.ui.widgets.columns import fit, wrap

if TYPE_CHECKING:
    from mlops_tui.domain.operation import Change, Concern, OperationRow, Plan

_LABEL = 14
"""Cells of the column with the names of fields and changes."""
_MOST_LABEL = 24
_BAR = 40
"""Cells of a progress bar at most."""
_LINES = 8
"""Newest lines of progress that are shown."""


class Sheet(Static):
    """Lines in the colours of the theme."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"sheet--{mark}" for mark in MARKS),
        *(f"sheet--{name}" for name in ("title", "label", "before", "after", "dim", "faint", "text", "command")),
    }  # fmt: skip

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self._glyphs = glyphs
        self._paint: Callable[[], Iterable[Content]] = list

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return str(self.content)

    def say(self, mark: str, text: str) -> None:
        """Show marked texts, a line each; nothing where there are none."""
        self._set(lambda: [line for part in text.splitlines() for line in self._marked(mark, part)])

    def title(self, text: str) -> None:
        """Show a sentence as a title."""
        self._set(lambda: [self._plain(part, "title") for part in wrap(self._glyphs.plain(text), self._room)])

    def plan(self, plan: "Plan") -> None:
        """Show what a plan says, but for its title and its fields."""
        self._set(lambda: self._said(plan))

    def progress(self, row: "OperationRow", steps: Sequence[str], now: datetime) -> None:
        """Show how far an operation is."""
        self._set(
            lambda: [*self._taken(row, steps), Content(""), self._bar(row, now), *self._newest(row), *self._end(row)]
        )

    def on_resize(self) -> None:
        """Wrap anew."""
        self._set(self._paint)

    def _set(self, paint: Callable[[], Iterable[Content]]) -> None:
        self._paint = paint
        lines = list(paint())
        self.display = bool(lines)
        self.update(Content("\n").join(lines))

    def _said(self, plan: "Plan") -> list[Content]:
        blocks = [
            list(self._changes(plan.changes)),
            list(self._gates(plan)),
            [*self._concerns("bad", plan.refusals), *self._idle(plan.idle), *self._concerns("warn", plan.warnings)],
            list(self._steps(plan.steps)),
            list(self._command(plan.command)),
        ]
        lines: list[Content] = []
        for block in filter(None, blocks):
            lines += [*([Content("")] if lines else []), *block]
        return lines

    @property
    def _room(self) -> int:
        return max(20, self.size.width or self.app.size.width - 8)

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"sheet--{name}", partial=True)

    def _plain(self, text: str, style: str = "text") -> Content:
        return Content.assemble((self._glyphs.plain(text), self._look(style)))

    def _marked(self, mark: str, text: str, style: str = "", indent: int = 2) -> list[Content]:
        lines = wrap(self._glyphs.plain(text), self._room - indent)
        signs = [self._glyphs.mark(mark), *[" "] * (len(lines) - 1)]
        return [
            Content.assemble((f"{sign} ", self._look(mark)), (line, self._look(style or mark)))
            for sign, line in zip(signs, lines, strict=True)
        ]

    # A plan

    def _changes(self, changes: Sequence["Change"]) -> Iterable[Content]:
        arrow, ellipsis = self._glyphs.plain("→"), self._glyphs.plain("…")
        label = max(_LABEL, min(max((cell_len(change.what) for change in changes), default=0) + 2, _MOST_LABEL))
        left = max((cell_len(change.before) for change in changes), default=0)
        right = max((cell_len(change.after) for change in changes), default=0)
        beside = label + left + right + 4 <= self._room
        for change in changes:
            what = fit(self._glyphs.plain(change.what), label, ellipsis=ellipsis)
            before, after = self._glyphs.plain(change.before or "–"), self._glyphs.plain(change.after or "–")
            same = change.before == change.after
            pointer = (f"  {arrow} ", self._look("faint"))
            after_look = self._look("dim" if same else "after")
            if beside:
                yield Content.assemble(
                    (what, self._look("label")), (fit(before, left), self._look("before")), pointer, (after, after_look)
                )
                continue
            for number, part in enumerate(wrap(before, self._room - label)):
                yield Content.assemble(
                    (what if not number else " " * label, self._look("label")), (part, self._look("before"))
                )
            for number, part in enumerate(wrap(after, self._room - label - 2)):
                sign = f"{arrow} " if not number else "  "
                yield Content.assemble(" " * label, (sign, self._look("faint")), (part, after_look))

    def _gates(self, plan: "Plan") -> Iterable[Content]:
        room = min(max((cell_len(gate.name) for gate in plan.gates), default=0), _MOST_LABEL)
        for gate in plan.gates:
            mark = "ok" if gate.passed else "unknown" if gate.passed is None else "bad"
            word = "" if gate.passed else "cannot tell  " if gate.passed is None else "failed  "
            name = fit(self._glyphs.plain(gate.name), room, ellipsis=self._glyphs.plain("…"))
            lines = wrap(self._glyphs.plain(word + gate.evidence), self._room - room - 4)
            for number, line in enumerate(lines):
                head = f"{self._glyphs.mark(mark)} " if not number else "  "
                yield Content.assemble(
                    (head, self._look(mark)),
                    (name if not number else " " * room, self._look("text")),
                    "  ",
                    (line, self._look("dim" if gate.passed else mark)),
                )

    def _concerns(self, mark: str, concerns: Sequence["Concern"]) -> Iterable[Content]:
        for concern in concerns:
            yield from self._marked(mark, concern.text)
            if concern.hint:
                for line in wrap(self._glyphs.plain(concern.hint), self._room - 2):
                    yield Content.assemble("  ", (line, self._look("dim")))

    def _idle(self, idle: str) -> Iterable[Content]:
        return self._marked("none", f"nothing to do: {idle}", "text") if idle else ()

    def _steps(self, steps: Sequence[str]) -> Iterable[Content]:
        if len(steps) > 1:
            for number, step in enumerate(steps, 1):
                yield Content.assemble(
                    (f"{number}  ", self._look("faint")), (self._glyphs.plain(step), self._look("dim"))
                )

    def _command(self, command: str) -> Iterable[Content]:
        for line in command.splitlines():
            for number, part in enumerate(wrap(self._glyphs.plain(line), self._room - 2)):
                yield Content.assemble(("  " if number else "$ ", self._look("faint")), (part, self._look("command")))

    # Progress

    def _taken(self, row: "OperationRow", steps: Sequence[str]) -> Iterable[Content]:
        names = list(steps) or ([row.step] if row.step else [])
        here = names.index(row.step) if row.step in names else row.done if row.state.ended else 0
        for number, name in enumerate(names):
            if row.state == "done" or number < here:
                yield from self._marked("ok", name, "dim")
            elif number == here and not row.state.ended:
                yield from self._marked("running", name, "text")
            elif number == here:
                yield from self._marked(row.mark, name, "text")
            else:
                yield from self._marked("none", name, "faint")

    def _bar(self, row: "OperationRow", now: datetime) -> Content:
        width = min(_BAR, self._room // 2)
        share = 1.0 if row.state == "done" else row.done / row.of if row.of else 0.0
        full = round(width * min(1.0, max(0.0, share)))
        done, left = ("#", ".") if self._glyphs.ascii else ("━", "─")
        spent = duration(((row.ended_at or now) - row.started_at).total_seconds())
        limit = "" if row.limit is None or row.state.ended else f" of {duration(row.limit)}"
        count = f"{row.done}/{row.of}" if row.of else ""
        look = self._look(row.mark)
        return Content.assemble(
            (done * full, look), (left * (width - full), self._look("faint")), f"  {count}  ".ljust(9),
            (f"{spent}{limit}", self._look("dim")),
        )  # fmt: skip

    def _newest(self, row: "OperationRow") -> Iterable[Content]:
        if row.progress:
            yield Content("")
        for line in row.progress[-_LINES:]:
            for part in wrap(self._glyphs.plain(line), self._room):
                yield self._plain(part, "dim")

    def _end(self, row: "OperationRow") -> Iterable[Content]:
        if row.state.ended:
            yield Content("")
            yield from self._marked(row.mark, f"{row.state}: {row.outcome}" if row.outcome else row.state.value)
            if row.next:
                yield from (
                    Content.assemble("  ", (part, self._look("text")))
                    for part in wrap(self._glyphs.plain(row.next), self._room - 2)
                )
