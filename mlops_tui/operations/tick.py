"""`tick`: an item of a pull request's checklist is done, or open again."""

from dataclasses import dataclass

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.checklist import parse_checklist, set_item
from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.domain.pull import ChecklistItem
from mlops_tui.operations.base import Draft, Execution, NotVerified, Parameter, Place, Step, Verb
from mlops_tui.operations.journal import Record
from mlops_tui.operations.pulls import TALK, TARGET, Target, checklist_comment, find, forbidden, over
from mlops_tui.operations.repositories import gh, look, not_permitted
from mlops_tui.operations.systems import Json

STATES = {"done": True, "open": False}


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that holds items: the description, or the comment with the checklist."""

    target: Target
    text: str
    comment: int | None = None
    """Its id; `None` for the description."""

    async def now(self) -> str:
        """Return it as it is now."""
        forge, repository, number = self.target.forge, self.target.repository, self.target.number
        if self.comment is None:
            return str((await forge.pull(repository, number)).get("body") or "")
        for found in await forge.comments(repository, number):
            if found.get("id") == self.comment:
                return str(found.get("body") or "")
        raise Conflict(f"the comment with the checklist of {self.target.address} is gone", "plan it again")

    async def write(self, text: str) -> None:
        forge, repository = self.target.forge, self.target.repository
        if self.comment is None:
            await forge.edit_pull(repository, self.target.number, text)
        else:
            await forge.edit_comment(repository, self.comment, text)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One item: where it is, and what a person calls it."""

    holder: _Text
    index: int
    item: ChecklistItem
    value: str
    """By which a request names it: its text; its number where several have the same."""


class Tick(Verb):
    """Ticks or opens an item, and leaves every other character as it is."""

    name = "tick"
    kind = RowKind.PULL
    target = TARGET
    summary = "Tick an item of the checklist, or open it again"
    parameters = (
        Parameter(
            "item",
            "the item: its text, a part of it, or its number; the first that is not so yet if not given",
            positional=True,
        ),
        Parameter("state", "done or open; done if not given", FieldKind.CHOICE),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        to = self.parameter(request, "state") or "done"
        if to not in STATES:
            raise ConfigError(f"tick {request.target}: {to} is no state of an item", "done or open")
        entries = _entries(target, await target.forge.comments(target.repository, target.number))
        entry = _chosen(self.parameter(request, "item"), entries, request, done=STATES[to])
        common = (*await not_permitted(target.forge, target.repository, *TALK), *forbidden(target, place))
        if entry is None:
            none = Concern(text="there is no checklist", hint="post one: it follows from the changed files")
            return Draft(
                title=f"Tick an item of {target.address}", name=target.address, steps=(), refusals=(*common, none),
                environment=target.environment,
            )  # fmt: skip
        word, title = {True: "Tick", False: "Open"}[STATES[to]], entry.item.text
        back = {"item": entry.value, "state": "open" if STATES[to] else "done"}
        return Draft(
            title=f"{word} “{title}” of {target.address}",
            name=target.address,
            environment=target.environment,
            fields=_fields(entries, entry, to),
            changes=(Change(what=title, before=_word(entry.item.done), after=_word(STATES[to])),),
            warnings=over(target),
            refusals=common,
            idle=f"it is {_word(entry.item.done)} already" if entry.item.done is STATES[to] else "",
            steps=(_step(entry, to, place),),
            command=_command(entry, place),
            undo=request.model_copy(update={"parameters": back}),
            patience=60.0,
            facts={"item": entry.value, "state": to},
        )

    async def happened(self, record: Record, place: Place) -> bool | None:
        asked = {name: record.facts[name] for name in ("item", "state") if name in record.facts}
        draft = await self.plan(record.request.model_copy(update={"parameters": asked}), place)
        return bool(draft.idle)


def _entries(target: Target, comments: list[Json]) -> list[_Entry]:
    """Return all items, those of the description first, as the board counts them."""
    holders = [_Text(target, target.text)]
    if comment := checklist_comment(target, comments):
        holders.append(_Text(target, str(comment.get("body") or ""), int(comment["id"])))
    found = [(text, index, item) for text in holders for index, item in enumerate(parse_checklist(text.text))]
    texts = [item.text for _, _, item in found]
    return [
        _Entry(text, index, item, item.text if texts.count(item.text) == 1 else str(number))
        for number, (text, index, item) in enumerate(found, start=1)
    ]


def _chosen(asked: str, entries: list[_Entry], request: PlanRequest, *, done: bool) -> _Entry | None:
    """Return the item that is asked for; `None` where there are none. Raises `ConfigError`."""
    if not entries:
        return None
    if not asked:
        return next((entry for entry in entries if entry.item.done is not done), entries[0])
    if exact := [entry for entry in entries if asked == entry.value]:
        return exact[0]
    if asked.isascii() and asked.isdigit() and 1 <= int(asked) <= len(entries):
        return entries[int(asked) - 1]
    near = [entry for entry in entries if asked.casefold() in entry.item.text.casefold()]
    if len(near) != 1:
        numbers = [f"{entries.index(entry) + 1} {entry.item.text}" for entry in (near or entries)[:8]]
        problem = "is in several items" if near else "is no item"
        raise ConfigError(f"tick {request.target}: {asked} {problem}", f"one of: {'; '.join(numbers)}")
    return near[0]


def _fields(entries: list[_Entry], entry: _Entry, to: str) -> tuple[PlanField, ...]:
    items = tuple(
        Choice(
            value=each.value,
            label=f"[{'x' if each.item.done else ' '}] {each.item.text}",
            note=each.item.section,
        )
        for each in entries
    )
    states = tuple(Choice(value=state, label=state) for state in STATES)
    return (
        PlanField(name="item", label="Item", kind=FieldKind.CHOICE, value=entry.value, choices=items),
        PlanField(name="state", label="State", kind=FieldKind.CHOICE, value=to, choices=states),
    )


def _word(done: bool) -> str:
    return "done" if done else "open"


def _step(entry: _Entry, to: str, place: Place) -> Step:
    holder, wanted = entry.holder, STATES[to]
    title = f"{'tick' if wanted else 'open'} “{entry.item.text}”"
    after = set_item(holder.text, entry.index, done=wanted)

    async def act(execution: Execution) -> None:
        # GitHub takes no precondition: what somebody changes between this look and the write is lost.
        if await holder.now() != holder.text:
            raise Conflict(f"{title}: somebody has changed the text since the plan", "plan it again")
        await holder.write(after)

    async def is_so() -> bool | None:
        items = parse_checklist(await holder.now())
        same = [item for item in items if (item.section, item.text) == (entry.item.section, entry.item.text)]
        return True if any(item.done is wanted for item in same) else None

    async def happened() -> bool:
        # Whatever still comes would do no harm twice, so that what is not there may be planned again.
        return await look(place.clock, is_so) is True

    async def verify(execution: Execution) -> str:
        if await look(execution.clock, is_so) is not True:
            raise NotVerified(
                f"{title}: it was taken, and is not so now", "somebody may have changed it: look at the row"
            )
        return f"{entry.item.text}: {_word(wanted)}"

    return Step(title, act, happened, verify)


def _command(entry: _Entry, place: Place) -> str:
    target, holder = entry.holder.target, entry.holder
    if holder.comment is None:
        return gh(place, target.repository, "pr", "edit", str(target.number), "--body-file", "EDITED.md")
    path = f"repos/{target.repository}/issues/comments/{holder.comment}"
    return gh(place, target.repository, "api", "--method", "PATCH", path, "--field", "body=@EDITED.md")
