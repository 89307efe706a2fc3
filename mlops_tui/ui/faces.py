"""What a pane says about itself: how fresh it is, what is missing, and what to do about it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from mlops_tui.ages import age, one_unit, stamp
from mlops_tui.ui.filtering import clip

if TYPE_CHECKING:
    from mlops_tui.domain.state import Problem, SourceState


_FILTER_LIMIT = 40
"""Characters of a filter that are repeated."""


class Say(NamedTuple):
    """A mark and a text."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """The engine itself is not there.

    Attributes:
        message: What happened.
        retry_at: When it is tried again.
    """

    message: str
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What a face is made from.

    Attributes:
        kind: The value of the pane's `RowKind`.
        sources: The states of the sources that bring its rows.
        connected: Whether the engine has spoken.
        total: How many rows there are.
        shown: How many of them are in the list.
        filter: The filter's text.
        filter_problem: What in it was not understood.
        attention_only: Whether rows that are fine are hidden.
        empty: What to say where there is nothing.
        setup: What to configure where the source is off.
        refresh_key: The key that reads again.
        back_key: The key that clears the filter.
        attention_key: The key that shows all rows again.
        trouble: What is wrong with the engine.
    """

    kind: str
    sources: Sequence["SourceState"]
    connected: bool
    total: int
    shown: int
    empty: str
    setup: str
    filter: str = ""
    filter_problem: str = ""
    attention_only: bool = False
    refresh_key: str = "r"
    back_key: str = "esc"
    attention_key: str = "!"
    trouble: Trouble | None = None


def face(about: About, now: datetime) -> list[Say]:
    """Return the lines below a pane's rows, or in their place; none where all is well."""
    lines: list[Say] = []
    if about.trouble is not None:
        lines.append(Say("bad", f"engine: {about.trouble.message}{_again(about.trouble.retry_at, now, '')}"))
    elif not about.connected:
        return [Say("running", "connecting …")]
    elif not about.sources:
        return [Say("none", f"off: {about.setup}  (mlops-tui config path)")]
    several = len(about.sources) > 1
    for state in about.sources:
        lines.extend(_source_lines(about, state, now, several))
    lines.extend(_filter_lines(about))
    if not lines and about.total == 0:
        places = ", ".join(state.label for state in about.sources if state.label)
        lines.append(Say("none", about.empty + (f" in {places}" if places else "")))
    return lines


def freshness(sources: Sequence["SourceState"], connected: bool, now: datetime) -> Say:
    """Return the age of what a pane shows, or the word for why it has none: its worst source speaks for all."""
    if not connected:
        return Say("running", "connecting")
    if not sources:
        return Say("none", "off")
    return max((source_word(state, now) for state in sources), key=lambda found: _WORST[found[0]])[1]


def source_word(state: "SourceState", now: datetime) -> tuple[str, Say]:
    """Return a source's status, and its mark with its age or its one word."""
    old = age(state.fetched_at, now)
    words = {
        "live": Say("ok", "live" if state.streaming else old),
        "stale": Say("stale", old or "stale"),
        "unreachable": Say("bad", "no answer"),
        "denied": Say("bad", "denied"),
        "limited": Say("paused", "limited"),
        "connecting": Say("running", "connecting"),
        "off": Say("none", "off"),
    }
    return state.status, words[state.status]


_WORST = {"off": 0, "live": 1, "connecting": 2, "limited": 3, "stale": 4, "unreachable": 5, "denied": 6}


def _source_lines(about: About, state: "SourceState", now: datetime, several: bool) -> Iterable[Say]:
    name = f"{state.label}: " if several and state.label else ""
    hint = f". {state.hint}" if state.hint else ""
    again = _again(state.retry_at, now, about.refresh_key)
    error = state.error or "no answer"
    match state.status:
        case "connecting" if about.total == 0:
            yield Say("running", f"connecting to {state.label or state.kind} …")
        case "live" if about.total == 0 and not state.complete:
            yield Say("running", f"reading {state.label or state.kind} …")
        case "stale":
            old = age(state.fetched_at, now)
            yield Say("stale", f"{name}{old + ' ' if old else ''}old: {error}{again}{hint}")
        case "unreachable":
            yield Say("bad", f"{name}{error}{again}{hint}")
        case "denied":
            yield Say("bad", f"{name}denied: {state.error or _missing(state) or 'no permission'}{hint}{again}")
        case "limited":
            yield Say("paused", f"{name}{quota_word(state, now)}{_again(state.retry_at, now, '')}{hint}")
        case "off":
            why = ". ".join(part for part in (state.error, state.hint) if part) or about.setup
            yield Say("none", f"{name}off: {why}  (mlops-tui config path)")
    if state.status in ("live", "stale"):
        mine = (problem for problem in state.problems if about.kind in problem.rows or not problem.rows)
        yield from map(_problem, mine)


def quota_word(state: "SourceState", now: datetime) -> str:
    """Return until when a source is not read, since its quota is used up."""
    until = state.retry_at or (state.quota.resets_at if state.quota else None)
    return "quota used up" + (f" until {stamp(until, now)}" if until else "")


def _problem(problem: "Problem") -> Say:
    hint = f". {problem.hint}" if problem.hint else ""
    word = "denied: " if problem.status == "denied" else ""
    return Say("bad" if problem.status == "denied" else "warn", f"{problem.scope}: {word}{problem.message}{hint}")


def _missing(state: "SourceState") -> str:
    names = [permission.name for permission in state.permissions if permission.allowed is False]
    return f"missing {', '.join(names)}" if names else ""


def _again(retry_at: datetime | None, now: datetime, key: str) -> str:
    hint = f" ({key} now)" if key else ""
    if retry_at is None:
        return hint
    seconds = (retry_at - now).total_seconds()
    return f", again in {one_unit(seconds)}{hint}" if seconds >= 1 else f", trying again{hint}"


def _filter_lines(about: About) -> Iterable[Say]:
    if about.filter_problem:
        yield Say("warn", about.filter_problem)
    hidden = about.total - about.shown
    if about.attention_only and about.shown == 0 and about.total and not about.filter:
        yield Say("ok", f"nothing here needs attention; {about.total} hidden ({about.attention_key} shows all)")
    elif about.attention_only and hidden and not about.filter:
        yield Say("none", f"attention only hides {hidden} ({about.attention_key} shows all)")
    elif about.filter and (hidden or about.filter_problem):
        more = " and attention only" if about.attention_only else ""
        key = f"{about.back_key} clears"
        yield Say("none", f'Filter "{clip(about.filter, _FILTER_LIMIT)}"{more} hides {hidden} ({key})')
