"""A plan: what would change, what speaks against it, the yes, and then how it goes."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Markdown, Static

from mlops_tui.config.keymap import Keymap, Place
from mlops_tui.domain.errors import MlopsTuiError
from mlops_tui.domain.operation import Confirmation, FieldKind, OperationRow, Plan, PlanField, PlanRequest
from mlops_tui.ui.asks import differences, read_only_environment
from mlops_tui.ui.bindings import bindings
from mlops_tui.ui.faces import Trouble
from mlops_tui.ui.feed import Feed
from mlops_tui.ui.glyphs import Glyphs
from mlops_tui.ui.widgets.columns import shorten
from mlops_tui.ui.widgets.fields import Answer, ChoiceField, Done, Edited, LineField, NumberField, Option, TextField
from mlops_tui.ui.widgets.sheet import Sheet
from mlops_tui.ui.work import Work

if TYPE_CHECKING:
    from mlops_tui.engine.mirror import Changes

EDIT_DELAY = 0.3
"""Seconds without another keystroke after which a plan is made of what was typed."""
MOVE_DELAY = 0.2
"""Seconds for which updates of a row are gathered before its plan is made again."""
PREVIEW_WIDTH = 120
"""Columns from which a text and its preview stand side by side."""
SHORT = 30
"""Lines below which blank ones are left out."""
TINY = 18
"""Lines below which what is demanded has no room for its reasons, which the plan has too."""
_MARKDOWN = ("comment", "review")
"""Operations whose text is shown as it will look."""
_CONFIRMATION = ("typed", "override", "reason")
"""What a confirmation may have to hold, in the order in which it is asked for."""

Field = NumberField | ChoiceField | LineField | TextField


class Phase(StrEnum):
    """Where the dialog is."""

    LOOKING = "looking"
    """A plan is being made of what is asked now; the one that is shown is of something else."""
    READY = "ready"
    STALE = "stale"
    """The world has moved: the plan that is shown is not what would happen."""
    FAILED = "failed"
    SENDING = "sending"
    UNDER_WAY = "under way"


class PlanScreen(ModalScreen[None]):
    """One operation, from the question to its end. The target is fixed for as long as the dialog is open.

    Args:
        request: What is wanted, and of what.
        heading: The verb as its key calls it.
        protected: Whether the environment is known to be one that asks for its target's name.
    """

    CSS_PATH = "plan.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Place.PLAN), Binding("ctrl+q", "app.quit", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plan--name", "plan--rule", "plan--danger", "plan--production", "plan--environment", "plan--key", "plan--hint",
    }  # fmt: skip

    def __init__(
        self,
        request: PlanRequest,
        heading: str,
        feed: Feed,
        work: Work,
        keymap: Keymap,
        glyphs: Glyphs,
        now: Callable[[], datetime],
        *,
        protected: bool = False,
        trouble: Trouble | None = None,
    ) -> None:
        super().__init__()
        draft = work.draft(request)
        self._has_draft = bool(draft)
        self.request = request.model_copy(update={"parameters": request.parameters | draft})
        self._heading, self._protected = heading.removesuffix("…"), protected
        self._feed, self._work = feed, work
        self._keymap, self._glyphs, self._now = keymap, glyphs, now
        self._trouble = trouble
        self.plan: Plan | None = None
        self.phase = Phase.LOOKING
        self.note = ""
        """Why the plan cannot be confirmed, and what to do about it."""
        self.operation: OperationRow | None = None
        self._has_moved = False
        self._is_checking = False
        self._yes_waits = False
        self._fields: dict[str, Field] = {}

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the plan above what confirms it."""
        with Vertical(id="plan"):
            with VerticalScroll(id="plan-body", can_focus=False):
                yield Sheet(self._glyphs, id="plan-title")
                yield Vertical(id="plan-fields")
                yield Sheet(self._glyphs, id="plan-sheet")
                yield Sheet(self._glyphs, id="plan-progress")
            with Vertical(id="plan-foot"):
                yield Sheet(self._glyphs, id="plan-note")
                with Vertical(id="plan-demand"):
                    for name in _CONFIRMATION:
                        with Horizontal(id=f"ask-{name}", classes="row"):
                            yield Static(markup=False, classes="label")
                            yield LineField(name)
                with Horizontal(id="plan-answers"):
                    yield Static(id="plan-keys", markup=False)
                    yield Answer("No", self._key("plan.leave"), id="no")
                    yield Answer(self._yes, self._key("plan.confirm"), id="yes")

    def on_mount(self) -> None:
        """Begin to look."""
        self._work.listeners.append(self)
        self.set_interval(1.0, self._tick)
        self.set_focus(self.query_one("#no"))
        self._show()
        self._look(0.0)

    def on_unmount(self) -> None:
        """Hear no more of the board."""
        self._work.listeners.remove(self)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out anew."""
        self.set_class(event.size.width >= PREVIEW_WIDTH, "-wide")
        self.set_class(event.size.height < SHORT, "-short")
        self._limit()
        self.call_after_refresh(self._show)

    def _limit(self) -> None:
        """Leave room for the foot, whatever there is to read."""
        foot = self.query_one("#plan-foot").outer_size.height or 2
        self.query_one("#plan-body").styles.max_height = max(4, self.size.height - 2 - foot)

    def _key(self, action: str) -> str:
        return self._glyphs.plain(self._keymap.shown(action))

    def _look_of(self, name: str) -> Style:
        return self.get_visual_style(f"plan--{name}", partial=name not in ("production", "environment"))

    # What is shown

    @property
    def lack(self) -> str:
        """Why there can be no yes now; empty if there can."""
        plan = self.plan
        if self._trouble is not None or self.phase is not Phase.READY or plan is None:
            return self.note or "looking …"
        if plan.refusals:
            return plan.refusals[0].text
        if plan.idle:
            return f"nothing to do: {plan.idle}"
        for name, field in self._fields.items():
            if field.problem:
                return f"{name}: {field.problem}"
        if plan.request != self.request:
            return "looking …"
        return self._lacking()[1]

    def _lacking(self) -> tuple[str, str]:
        """Return the first part of the confirmation that is missing, and how to give it."""
        assert self.plan is not None
        demand, given = self.plan.demand, self.confirmation
        if demand.typed and given.typed.strip() != demand.typed:
            return "typed", f"type {demand.typed} to confirm"
        if demand.override and given.override.strip() != demand.override:
            return "override", f"override the freeze by its name: {demand.override}"
        if demand.reason and not given.reason:
            return "reason", "a written reason is needed"
        return "", ""

    @property
    def confirmation(self) -> Confirmation:
        """What was given so far."""
        return Confirmation(**{name: self.ask(name).value for name in _CONFIRMATION})

    def ask(self, name: str) -> LineField:
        """Return the line for a part of the confirmation."""
        return self.query_one(f"#ask-{name} LineField", LineField)

    def field(self, name: str) -> Field:
        """Return the field of a parameter. Raises `KeyError`."""
        return self._fields[name]

    def _show(self) -> None:
        if not self.is_mounted:
            return
        plan, under_way = self.plan, self.phase is Phase.UNDER_WAY
        environment = plan.environment if plan else self.request.environment
        production = self._protected or (plan is not None and plan.protected)
        frame = self.query_one("#plan")
        frame.set_class(production, "-production")
        frame.border_title = self._edge(environment, production)
        frame.set_class(self.phase in (Phase.STALE, Phase.FAILED, Phase.LOOKING), "-doubtful")
        frame.set_class(under_way, "-under-way")
        frame.set_class(any(isinstance(field, TextField) for field in self._fields.values()), "-text")
        self.query_one("#plan-title", Sheet).title(plan.title if plan else f"{self._heading} {self.request.target}")
        if plan is not None and not under_way:
            self.query_one("#plan-sheet", Sheet).plan(plan)
        self._show_demand()
        self._show_answers()
        self._tick()
        self.call_after_refresh(self._limit)

    def _edge(self, environment: str, production: bool) -> Content:
        """Return the frame's upper edge: the target on the left, the environment on the right."""
        room = max(20, min(self.size.width, self.query_one("#plan").outer_size.width or self.size.width) - 6)
        name = f" {environment.upper() if production else environment} " if environment else ""
        look = self._look_of("production" if production else "environment")
        subject = f"{self._heading} {self.plan.name if self.plan else self.request.target}"
        left = Content.assemble((self._glyphs.plain(shorten(subject, room - len(name) - 3)), self._look_of("name")))
        if not name:
            return left
        line = self._look_of("danger" if production else "rule")
        rule = (self._glyphs.rule * (room - left.cell_length - len(name) - 2), line)
        return Content.assemble(left, " ", rule, " ", (self._glyphs.plain(name), look))

    def _show_demand(self) -> None:
        demand = self.plan.demand if self.plan and not self.plan.refusals and not self.plan.idle else None
        wanted = {
            "typed": f"Type {demand.typed}" if demand and demand.typed else "",
            "override": "Freeze's name" if demand and demand.override else "",
            "reason": "Reason" if demand and demand.reason else "",
        }
        room = max([0, *map(len, wanted.values())]) + 2
        for name, label in wanted.items():
            row = self.query_one(f"#ask-{name}")
            row.display = bool(label)
            row.query_one(".label", Static).update(self._glyphs.plain(label))
            row.query_one(".label", Static).styles.width = room
        self.query_one("#plan-demand").display = any(wanted.values()) and self.phase is not Phase.UNDER_WAY

    def _show_answers(self) -> None:
        no, yes = self.query_one("#no", Answer), self.query_one("#yes", Answer)
        over = self.operation is not None and self.operation.state.ended
        if self.phase is Phase.UNDER_WAY:
            no.tell("Close" if over else "Leave it running")
        else:
            no.tell("No")
        refused = self.plan is not None and bool(self.plan.refusals or self.plan.idle)
        yes.display = self.phase is not Phase.UNDER_WAY and not refused
        # While a text has the keys, a letter is a letter.
        keys = self._glyphs.plain(self._keymap.shown("plan.confirm", every=True)).split() or [""]
        yes.tell(self._yes, locked=bool(self.lack), key=keys[-1 if self._is_typing else 0])
        self.query_one("#plan-keys", Static).update(self._hints())

    @property
    def _yes(self) -> str:
        return f"Yes, {self._heading[:1].lower()}{self._heading[1:]}"

    @property
    def _is_typing(self) -> bool:
        return isinstance(self.focused, LineField | TextField)

    def on_descendant_focus(self) -> None:
        """Show the keys that work where the focus is."""
        self.call_later(self._show_answers)

    def _hints(self) -> Content:
        hints = []
        if self._is_typing and self.phase is not Phase.UNDER_WAY:
            if isinstance(self.focused, TextField) and self._is_markdown:
                hints.append((self._key("plan.preview"), "preview"))
            hints.append(("tab", "go on"))
        elif self.phase is not Phase.UNDER_WAY:
            if any(isinstance(field, NumberField) for field in self._fields.values()):
                hints.append((f"{self._key('plan.more')} {self._key('plan.less')}", "change"))
            if self._is_markdown and any(isinstance(field, TextField) for field in self._fields.values()):
                hints.append((self._key("plan.preview"), "preview"))
            if self.plan is not None and self.plan.command:
                hints.append((self._key("plan.copy"), "copy command"))
            hints.append((self._key("plan.again"), "plan again"))
        key, label = self._look_of("key"), self._look_of("hint")
        parts = [Content.assemble((shown, key), (f" {text}", label)) for shown, text in hints if shown]
        return Content("  ").join(parts)

    def _tick(self) -> None:
        """Say where things are, as of now."""
        if not self.is_mounted:
            return
        progress = self.query_one("#plan-progress", Sheet)
        if self.operation is not None:
            progress.progress(self.operation, self.plan.steps if self.plan else (), self._now())
        else:
            progress.display = False
        self.query_one("#plan-note", Sheet).say(*self._status())

    def _status(self) -> tuple[str, str]:
        """Return what there is to say above the answers, a line each, and its mark."""
        if self._trouble is not None:
            kept = "what becomes of it is in the journal" if self.operation else "what you typed is kept"
            return "bad", f"engine: {self._trouble.message}; {kept}"
        if self.phase is Phase.LOOKING:
            return "running", "looking …"
        if self.phase is Phase.SENDING:
            return "running", "asking for it …"
        if self.phase is Phase.STALE:
            return "stale", self.note
        if self.phase is Phase.FAILED:
            return "bad", self.note
        if self.phase is Phase.UNDER_WAY or self.plan is None or self.plan.refusals or self.plan.idle:
            return "none", ""
        because = "\n".join(self.plan.demand.because)
        if because and self.size.height >= TINY:
            return "warn", because
        return ("none", "your draft is back") if self._has_draft else ("none", "")

    # Fields

    async def _show_fields(self, plan: Plan) -> None:
        """Bring the fields up to date with those of a plan; what is being typed stays as it is."""
        place = self.query_one("#plan-fields")
        names = [field.name for field in plan.fields]
        for name in [name for name in self._fields if name not in names]:
            await self.query_one(f"#field-{_css(name)}").remove()
            del self._fields[name]
        for field in plan.fields:
            known = self._fields.get(field.name)
            if known is None:
                widget = self._fields[field.name] = _widget(field, self._glyphs)
                await place.mount(self._row_of(field, widget))
            elif isinstance(known, NumberField):
                known.take(self.request.parameters.get(field.name, field.value), field.least, field.most)
            elif isinstance(known, ChoiceField):
                known.take(self.request.parameters.get(field.name, field.value), _options(field))
        place.display = bool(plan.fields)

    def _row_of(self, field: PlanField, widget: Field) -> Horizontal | Vertical:
        label = Static(self._glyphs.plain(field.label), markup=False, classes="label")
        if not isinstance(widget, TextField):
            return Horizontal(label, widget, id=f"field-{_css(field.name)}", classes="row")
        beside = [Markdown(widget.text, classes="preview", open_links=False)] if self._is_markdown else []
        return Vertical(label, Horizontal(widget, *beside), id=f"field-{_css(field.name)}", classes="row text")

    @property
    def _is_markdown(self) -> bool:
        return self.request.verb in _MARKDOWN

    async def on_edited(self, event: Edited) -> None:
        """Make a plan of what was changed, once it is quiet; a confirmation needs none."""
        event.stop()
        if event.name not in self._fields:
            self._show_answers()
            return
        field = self._fields[event.name]
        if event.value == self.request.parameters.get(event.name, self._value_of(event.name)):
            return
        if isinstance(field, TextField):
            self._work.keep_draft(self.request, event.name, event.value)
            for preview in self.query(".preview").results(Markdown):
                await preview.update(event.value)
        parameters = self.request.parameters | {event.name: event.value}
        self.request = self.request.model_copy(update={"parameters": parameters})
        if field.problem:
            # Nobody can be asked for it; neither may what was typed before it be planned any more.
            self.workers.cancel_group(self, "look")
            self.phase = Phase.READY
            self._show()
        elif self.phase is not Phase.READY or self.plan is None or self.plan.request != self.request:
            self._look(EDIT_DELAY)

    def _value_of(self, name: str) -> str:
        """Return what the plan took for a parameter that it was not told."""
        fields = self.plan.fields if self.plan is not None else ()
        return next((field.value for field in fields if field.name == name), "")

    def on_done(self, event: Done) -> None:
        """Go on to what is still missing, and say yes after the last of it."""
        event.stop()
        if not self.lack and self.focused in [self.ask(name) for name in _CONFIRMATION]:
            self.action_confirm()
        else:
            self._focus_lacking()

    def _focus_lacking(self) -> None:
        wrong = next((field for field in self._fields.values() if field.problem), None)
        missing = self._lacking()[0] if self.plan is not None and not self.plan.refusals else ""
        self.set_focus(wrong or (self.ask(missing) if missing else self.query_one("#no")))

    def action_step(self, by: int) -> None:
        """Count a number up or down."""
        number = next((field for field in self._fields.values() if isinstance(field, NumberField)), None)
        if number is not None and self.phase is not Phase.UNDER_WAY:
            number.action_step(by)

    def action_preview(self) -> None:
        """Show the text as it will look, or as it is written."""
        if self._is_markdown:
            self.query_one("#plan").toggle_class("-preview")

    # Planning

    def action_again(self) -> None:
        """Look at the world and plan again."""
        if self.phase not in (Phase.SENDING, Phase.UNDER_WAY):
            self._look(0.0)

    @work(exclusive=True, group="look")
    async def _look(self, delay: float) -> None:
        """Make a plan of what is asked now."""
        first = self.plan is None
        self.phase, self.note, self._yes_waits = Phase.LOOKING, "", False
        self._show()
        await asyncio.sleep(delay)
        self._has_moved = False
        try:
            plan = await self._feed.plan(self.request)
        except MlopsTuiError as error:
            self._fail(error)
            return
        self.plan, self.phase = plan, Phase.READY
        await self._show_fields(plan)
        if read_only_environment(plan):
            self._work.read_only.add(plan.environment)
        self._show()
        if first:
            self._focus_first()
        if self._has_moved:
            self._check()

    def _fail(self, error: MlopsTuiError) -> None:
        hint = f". {error.hint}" if error.hint else ""
        self.phase, self.note = Phase.FAILED, f"{error.message}{hint} ({self._key('plan.again')} tries again)"
        self._show()

    def _focus_first(self) -> None:
        field = next(iter(self._fields.values()), None)
        if field is not None and self.focused is self.query_one("#no"):
            self.set_focus(field)
        elif field is None:
            self._focus_lacking()

    @work(group="check")
    async def _check(self) -> None:
        """Make the same plan again, quietly, since its row has changed; another plan makes this one stale."""
        if self._is_checking or self.phase is not Phase.READY:
            self._has_moved = True
            return
        self._is_checking = True
        try:
            while await self._still_holds():
                if self._yes_waits:
                    self._send()
                    return
                if not self._has_moved:
                    return
        finally:
            self._is_checking = self._yes_waits = False

    async def _still_holds(self) -> bool:
        """Look again; return whether the plan that is shown is still what would happen."""
        shown, self._has_moved = self.plan, False
        assert shown is not None
        await asyncio.sleep(MOVE_DELAY)
        try:
            fresh, said = await self._feed.plan(self.request), ""
        except MlopsTuiError as error:
            fresh, said = shown, error.message
        if self.plan is not shown or self.phase is not Phase.READY:
            return False
        said = said or differences(shown, fresh)
        if said:
            self.phase = Phase.STALE
            self.note = f"the world has moved: {said} – {self._key('plan.again')} plans again"
        else:
            # What would happen is the same, under the preconditions of now.
            self.plan = fresh
            await self._show_fields(fresh)
        self._show()
        return not said

    # The board

    def board_changed(self, changes: "Changes") -> None:
        """Follow the operation, or doubt the plan since its row has changed."""
        if self.operation is not None:
            key = self.operation.key
            for row in changes.upserted["operation"].values():  # type: ignore[index]
                if row.key == key and isinstance(row, OperationRow):
                    self.operation = row
                    self._show()
            return
        key = self.request.row
        if key and any(key in rows for rows in (*changes.upserted.values(), *changes.removed.values())):
            self._check()

    def trouble_changed(self, trouble: Trouble | None) -> None:
        """Say that the engine is lost, or plan again with the new one: it knows nothing of the old one's plans."""
        was_lost, self._trouble = self._trouble is not None, trouble
        self._show()
        if was_lost and trouble is None and self.operation is None:
            self._look(0.0)

    def watches(self, operation: str) -> bool:
        """Whether the end of this operation is told here."""
        return self.operation is not None and self.operation.key == operation

    # Yes and no

    def on_answer_given(self, event: Answer.Given) -> None:
        """Take an answer."""
        if event.answer.id == "yes":
            self.action_confirm()
        else:
            self.action_leave()

    def on_answer_other(self) -> None:
        """Go from one answer to the other."""
        no, yes = self.query_one("#no"), self.query_one("#yes")
        self.set_focus(yes if self.focused is no and yes.display else no)

    def action_confirm(self) -> None:
        """Say yes; where something is missing, say what."""
        if self.phase in (Phase.SENDING, Phase.UNDER_WAY):
            return
        lack = self.lack
        if lack:
            self.notify(self._glyphs.plain(lack), title="Not yet", severity="warning", markup=False, timeout=4)
            if self.phase is Phase.READY and self._trouble is None:
                self._focus_lacking()
        elif self._is_checking:
            self._yes_waits = True
        else:
            self._send()

    def _send(self) -> None:
        assert self.plan is not None
        if self.lack:
            return
        self.phase = Phase.SENDING
        self._show()
        # It belongs to the app: closing the dialog must not cut the question in two.
        self.app.run_worker(self._execute(self.plan, self.request, self.confirmation), group="execute")

    async def _execute(self, plan: Plan, request: PlanRequest, confirmation: Confirmation) -> None:
        try:
            operation = await self._feed.execute(plan.id, confirmation)
        except MlopsTuiError as error:
            if self.is_attached:
                self._fail(error)
            else:
                self.app.notify(
                    error.message, title=f"Not done: {plan.title}", severity="error", markup=False, timeout=10
                )
            return
        self.operation, self.phase = operation, Phase.UNDER_WAY
        self._work.sent(request, operation)
        if self.is_attached:
            self.query_one("#plan-fields").display = self.query_one("#plan-sheet").display = False
            self.set_focus(self.query_one("#no"))
            self.operation = self._work.known(operation.key) or operation
            self._show()

    def action_copy(self) -> None:
        """Copy the equivalent command."""
        if self.plan is not None and self.plan.command:
            self.app.copy_to_clipboard(self.plan.command)
            self.notify("copied the command", markup=False, timeout=2.5)

    def action_leave(self) -> None:
        """Do nothing, or let what runs go on."""
        if self.operation is not None and not self.operation.state.ended:
            key = self._key("operations")
            self.app.notify(f"it goes on: {key} shows it", title=self.operation.title, markup=False, timeout=4)
        self.dismiss()


def _css(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def _options(field: PlanField) -> list[Option]:
    return [Option(choice.value, choice.label, choice.note) for choice in field.choices]


def _widget(field: PlanField, glyphs: Glyphs) -> Field:
    match field.kind:
        case FieldKind.NUMBER:
            return NumberField(field.name, field.value, field.least, field.most, glyphs)
        case FieldKind.CHOICE:
            return ChoiceField(field.name, field.value, _options(field), glyphs)
        case FieldKind.BLOCK:
            return TextField(field.name, field.value)
        case _:
            return LineField(field.name, field.value)
