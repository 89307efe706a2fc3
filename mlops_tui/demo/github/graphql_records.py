"""What GraphQL's fields are asked of beyond the store's own records: pages of lists, and all checks of a commit."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlops_tui.demo.github.evidence import annotations_of
from mlops_tui.demo.github.http import MAX_PAGE_SIZE, Call
from mlops_tui.demo.github.model import Annotation, Check, Commit, Job, Pull, Repository, Status, User
from mlops_tui.demo.github.payloads import Payload
from mlops_tui.demo.github.rest_repositories import checks_of

_FAILURES = {"failure", "timed_out", "cancelled", "action_required", "startup_failure", "stale"}


class QueryError(Exception):
    """A field that cannot be answered.

    Attributes:
        type: GitHub's own word for it: `NOT_FOUND`, `FORBIDDEN` …
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.type = kind


@dataclass(frozen=True, slots=True)
class Context:
    """One query, by somebody, of a certain size."""

    call: Call
    points: int
    nodes: int

    def page(self, repository: Repository, *parts: object) -> str:
        return self.call.payloads.page(repository, *parts)


@dataclass(frozen=True, slots=True)
class Connection:
    """A page of a list."""

    nodes: Sequence[Any]
    keys: Sequence[str]
    """What the cursors name."""
    start: int
    total: int
    everything: Sequence[Any]

    def cursor(self, index: int) -> str:
        text = f"cursor:v2:{self.start + index}:{self.keys[index]}"
        return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Edge:
    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PullCommit:
    pull: Pull
    commit: Commit


@dataclass(frozen=True, slots=True)
class CheckAnnotation:
    job: Job
    number: int
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    pull: Pull
    requested_reviewer: User


@dataclass(frozen=True, slots=True)
class Ref:
    repository: Repository
    name: str


@dataclass(frozen=True, slots=True)
class Rollup:
    """All checks of a commit."""

    commit: Commit
    contexts: tuple[Check | Job | Status, ...]


@dataclass(frozen=True, slots=True)
class CheckSuite:
    check: Check | Job


@dataclass(frozen=True, slots=True)
class GitActor:
    account: User
    date: datetime


@dataclass(frozen=True, slots=True)
class App:
    id: str
    name: str
    slug: str


def annotations(check: Check | Job) -> list[CheckAnnotation]:
    """Return the annotations of a check; only jobs have any."""
    if not isinstance(check, Job):
        return []
    return [CheckAnnotation(check, number, entry) for number, entry in enumerate(annotations_of(check))]


def rollup_of(commit: Commit) -> Rollup | None:
    """Return all checks of a commit; `None` if there are none."""
    repository = commit.repository
    contexts = (*checks_of(repository, commit.sha), *repository.statuses.get(commit.sha, {}).values())
    return Rollup(commit, contexts) if contexts else None


def rollup_state(rollup: Rollup) -> str:
    """Return the one word for all checks, the worst winning."""
    states = {_context_state(context) for context in rollup.contexts}
    return next(state for state in ("ERROR", "FAILURE", "PENDING", "SUCCESS") if state in states)


def _context_state(context: Check | Job | Status) -> str:
    if isinstance(context, Status):
        return context.state.upper()
    if context.status != "completed":
        return "PENDING"
    return "FAILURE" if context.conclusion in _FAILURES else "SUCCESS"


def connect(items: Sequence[Any], name: str, arguments: Payload, key: Callable[[Any], object]) -> Connection:
    """Return the part of a list that `first`, `last`, `after` and `before` name."""
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise QueryError(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
        )
    for bound, value in (("first", first), ("last", last)):
        if value is not None and not 0 <= value <= MAX_PAGE_SIZE:
            raise QueryError(
                "EXCESSIVE_PAGINATION",
                f"Requesting {value} records on the `{name}` connection exceeds the `{bound}` limit of 100 records.",
            )
    start, stop = 0, len(items)
    if after := arguments.get("after"):
        start = min(stop, _place(after, items, key) + 1)
    if before := arguments.get("before"):
        stop = max(start, _place(before, items, key))
    if first is not None:
        stop = min(stop, start + first)
    if last is not None:
        start = max(start, stop - last)
    nodes = items[start:stop]
    return Connection(nodes, [str(key(node)) for node in nodes], start, len(items), items)


def _place(cursor: str, items: Sequence[Any], key: Callable[[Any], object]) -> int:
    """Return where a cursor's item is now, or where it was if it has left the list."""
    try:
        mark, version, index, name = base64.b64decode(cursor, validate=True).decode().split(":", 3)
    except (ValueError, binascii.Error):
        mark, version, index, name = "", "", "", ""
    if (mark, version) != ("cursor", "v2") or not index.isdecimal():
        raise QueryError("INVALID_CURSOR_ARGUMENTS", f"`{cursor[:100]}` does not appear to be a valid cursor.")
    return next((place for place, item in enumerate(items) if str(key(item)) == name), int(index) - 1)


def node_key(item: Any) -> str:
    """Return what a cursor names a record by."""
    return str(item.node_id)
