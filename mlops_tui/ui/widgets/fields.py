"""What a plan still asks: a number, one of several, a line, a text."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, TextArea

from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.widgets.columns import fit

CHOICES_SHOWN = 6
"""Lines of a list of choices at most."""
_DIGITS = 7
"""Digits that a number may have."""


class Edited(Message):
    """A field has another value."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__()
        self.name = name
        self.value = value


class Done(Message):
    """Enter was pressed in a field: go on to what comes next."""


class NumberField(Widget, can_focus=True, inherit_bindings=False):
    """A whole number: typed, or counted up and down.

    Args:
        name: The parameter that it sets.
        least: The smallest number; `most` the largest.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"field--value", "field--hint", "field--problem"}
    BINDINGS: ClassVar[list[BindingType]] = [
        # No letters: whoever types a name to confirm must not change the number by it.
        Binding("up,right", "step(1)", show=False),
        Binding("down,left", "step(-1)", show=False),
        Binding("pageup", "step(10)", show=False),
        Binding("pagedown", "step(-10)", show=False),
        Binding("enter", "done", show=False),
    ]

    def __init__(self, name: str, value: str, least: int | None, most: int | None, glyphs: Glyphs) -> None:
        super().__init__(name=name)
        self._glyphs = glyphs
        self.least, self.most = least, most
        self.value = value
        self._typing = False

    @property
    def problem(self) -> str:
        """Why the number cannot be asked for; empty if it can."""
        if not self.value.isdecimal():
            return "a number is missing"
        if self.least is not None and int(self.value) < self.least:
            return f"at least {self.least}"
        if self.most is not None and int(self.value) > self.most:
            return f"at most {self.most}"
        return ""

    def take(self, value: str, least: int | None, most: int | None) -> None:
        """Take in what a new plan says."""
        self.least, self.most = least, most
        if value and not self._typing:
            self.value = value
        self.refresh()

    def action_step(self, by: int) -> None:
        """Count up or down, within the limits."""
        number = int(self.value or 0) + by
        low, high = 0 if self.least is None else self.least, 10**_DIGITS if self.most is None else self.most
        self._change(str(max(low, min(number, high))))
        self._typing = False

    def action_done(self) -> None:
        """Go on."""
        self.post_message(Done())

    def on_focus(self) -> None:
        """Let the first digit replace the number."""
        self._typing = False

    def on_blur(self) -> None:
        """Be done with typing."""
        self._typing = False

    def on_key(self, event: events.Key) -> None:
        """Take digits; letters stay what they are elsewhere in the dialog."""
        if event.character is not None and event.character.isascii() and event.character.isdecimal():
            digits = self.value + event.character if self._typing else event.character
            self._typing = True
            self._change(digits[:_DIGITS])
        elif event.key == "backspace":
            self._typing = True
            self._change(self.value[:-1])
        else:
            return
        event.stop()

    def _change(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.refresh()
            self.post_message(Edited(self.name or "", value))

    def render(self) -> Content:
        """Return the number between its signs."""
        limits = "" if self.least is None or self.most is None else f"{self.least} to {self.most}"
        hint = (self.problem, self._look("problem")) if self.problem else (limits, self._look("hint"))
        cursor = ("_" if self._glyphs.ascii else "▏") if self.has_focus and self._typing else " "
        shown = self._glyphs.plain(f" - {self.value:>3}{cursor}+ ")
        return Content.assemble((shown, self._look("value")), "  ", hint)

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"field--{name}", partial=name not in ("value", "chosen"))


class Option(NamedTuple):
    """One of several values."""

    value: str
    label: str
    note: str = ""


class ChoiceField(Widget, can_focus=True, inherit_bindings=False):
    """One of several, each with what tells it from the others.

    Args:
        name: The parameter that it sets.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"field--chosen", "field--label", "field--hint", "field--gutter"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", show=False),
        Binding("down,j", "step(1)", show=False),
        Binding("g,home", "step(-9999)", show=False),
        Binding("G,end", "step(9999)", show=False),
        Binding("enter", "done", show=False),
    ]

    def __init__(self, name: str, value: str, options: Sequence[Option], glyphs: Glyphs) -> None:
        super().__init__(name=name)
        self._glyphs = glyphs
        self.options = tuple(options)
        self.value = value
        self._fit()

    problem = ""

    @property
    def index(self) -> int:
        """The place of what is chosen; 0 where it is none of them."""
        return next((number for number, option in enumerate(self.options) if option.value == self.value), 0)

    def take(self, value: str, options: Sequence[Option]) -> None:
        """Take in what a new plan says."""
        self.options = tuple(options)
        if value:
            self.value = value
        self._fit()
        self.refresh(layout=True)

    def _fit(self) -> None:
        self.styles.height = max(1, min(len(self.options), CHOICES_SHOWN))

    @property
    def first(self) -> int:
        """The first line in sight."""
        room = min(len(self.options), CHOICES_SHOWN)
        return max(0, min(self.index - room // 2, len(self.options) - room))

    def action_step(self, by: int) -> None:
        """Choose another."""
        if self.options:
            self._choose(max(0, min(self.index + by, len(self.options) - 1)))

    def _choose(self, number: int) -> None:
        if self.options[number].value != self.value:
            self.value = self.options[number].value
            self.refresh()
            self.post_message(Edited(self.name or "", self.value))

    def action_done(self) -> None:
        """Go on."""
        self.post_message(Done())

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        number = self.first + event.y
        if 0 <= number < len(self.options):
            self._choose(number)

    def render(self) -> Content:
        """Return the lines in sight."""
        room = max((cell_len(option.label) for option in self.options), default=0)
        lines = []
        for option in self.options[self.first : self.first + CHOICES_SHOWN]:
            lines.append(self._line(option, min(room, self.size.width // 2)))
        return Content("\n").join(lines)

    def _line(self, option: Option, room: int) -> Content:
        chosen = option.value == self.value
        ellipsis = self._glyphs.plain("…")
        label = fit(self._glyphs.plain(option.label), room, "end", ellipsis=ellipsis)
        note = fit(self._glyphs.plain(option.note), max(0, self.size.width - room - 5), ellipsis=ellipsis)
        sign = self._glyphs.cursor if chosen else " "
        line = Content.assemble(
            (f"{sign} ", self._look("gutter")), (label, self._look("label")), "  ", (note, self._look("hint"))
        )
        return line.stylize_before(self._look("chosen")) if chosen and self.has_focus else line

    def _look(self, name: str) -> Style:
        return self.get_visual_style(f"field--{name}", partial=name not in ("value", "chosen"))


class LineField(Input):
    """One line of text without a frame."""

    problem = ""

    def __init__(self, name: str, value: str = "", placeholder: str = "") -> None:
        super().__init__(value, name=name, placeholder=placeholder, compact=True, select_on_focus=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the new value."""
        event.stop()
        self.post_message(Edited(self.name or "", event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on."""
        event.stop()
        self.post_message(Done())


class TextField(TextArea):
    """A text of several lines, Markdown."""

    problem = ""

    def __init__(self, name: str, value: str = "") -> None:
        super().__init__(
            value, name=name, compact=True, highlight_cursor_line=False, placeholder="Write here, in Markdown"
        )

    @property
    def value(self) -> str:
        """The text."""
        return self.text

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell the new value."""
        event.stop()
        self.post_message(Edited(self.name or "", self.text))


class Answer(Widget, can_focus=True, inherit_bindings=False):
    """One of the two answers, on the dialog's last line.

    Args:
        text: What it says.
        key: The key that says it too.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"field--key"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "press", show=False),
        Binding("left,right,h,l", "other", show=False),
    ]

    class Given(Message):
        """This answer was given."""

        def __init__(self, answer: "Answer") -> None:
            super().__init__()
            self.answer = answer

    class Other(Message):
        """The focus is to go to the other answer."""

    def __init__(self, text: str, key: str, *, id: str) -> None:
        super().__init__(id=id)
        self.text = text
        self._key = key

    def tell(self, text: str, *, locked: bool = False, key: str = "") -> None:
        """Say something else, by another key, or that it cannot be given now."""
        self.text, self._key = text, key or self._key
        self.set_class(locked, "-locked")
        self.refresh(layout=True)

    def action_press(self) -> None:
        """Give it."""
        self.post_message(self.Given(self))

    def action_other(self) -> None:
        """Go to the other one."""
        self.post_message(self.Other())

    def on_click(self) -> None:
        """Give it."""
        self.post_message(self.Given(self))

    def render(self) -> Content:
        """Return the answer and its key."""
        return Content.assemble(f" {self.text} ", (f"{self._key} ", self.get_visual_style("field--key", partial=True)))
