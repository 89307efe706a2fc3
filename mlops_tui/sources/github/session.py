"""What is known between two cycles: one token's session, and in it what each repository last said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import Denied, RateLimited, SourceError, Unavailable
from mlops_tui.domain.pull import Checks, Mergeable, PullRow
from mlops_tui.domain.state import Permission, Problem, Quota, SourceStatus
from mlops_tui.domain.workflow import RunRow
from mlops_tui.sources.github.access import WRITES, may_write
from mlops_tui.sources.github.answers import describe_error
from mlops_tui.sources.github.client import GitHubClient, GraphAnswer, QueriesSpent
from mlops_tui.sources.github.rows import PullHead, pull_row

PATIENCE = 60.0
"""Seconds between two questions about a pull request that has been pending for long."""
BATCH, SMALLEST_BATCH = 50, 5
"""Pull requests a query; GitHub ends a query after ten seconds, so a failed one is tried with fewer."""
PARTS = {RowKind.RUN: "actions: read", RowKind.PULL: "pull requests: read"}
"""What is read of a repository, and the permission that it takes."""

Wanted = tuple["Repository", PullHead]


@dataclass
class PullState:
    """What a pull request last said, and when.

    Attributes:
        row: `None` where it could not be read, or has been closed meanwhile.
        asked_at: On the monotonic clock.
        pending_since: Since when GitHub is still working on checks or mergeability; `None` when it is not.
        note: What GitHub said instead of a part of the answer.
    """

    head: PullHead
    row: PullRow | None
    asked_at: float
    pending_since: float | None
    note: str = ""

    def is_due(self, now: float) -> bool:
        """Whether a pending answer is worth asking for again: after a tenth of the time that it has been pending."""
        if self.pending_since is None:
            return False
        return now - self.asked_at >= min(PATIENCE, (now - self.pending_since) / 10)


@dataclass
class Repository:
    """What one repository last said."""

    name: str
    runs: dict[str, RunRow] = field(default_factory=dict)
    pulls: dict[int, PullState] = field(default_factory=dict)
    approvals: dict[tuple[int, int, datetime | None], tuple[str, ...]] = field(default_factory=dict)
    """Environments that a run waits for, by run, attempt and the time of the run's last change."""
    commits: set[str] = field(default_factory=set)
    """Commits that a workflow run has changed for, which no list of pull requests tells: to be asked for."""
    failures: dict[RowKind, SourceError] = field(default_factory=dict)
    """What could not be read in the last cycle."""

    def renewed(self) -> "Repository":
        """Return it for a new session: its last rows stay until they are read anew, all else is forgotten."""
        return Repository(self.name, dict(self.runs), dict(self.pulls))

    def pull_rows(self) -> dict[str, PullRow]:
        """Return the rows of its open pull requests by key."""
        return {state.row.key: state.row for state in self.pulls.values() if state.row}

    def wanted(self, heads: Iterable[PullHead], now: float, *, everything: bool) -> list[Wanted]:
        """Return the pull requests worth a query.

        Args:
            heads: What the list says now.
            now: On the monotonic clock.
            everything: Whether all of them are, to find what no list tells.
        """
        heads = tuple(heads)
        self.commits &= {head.head_sha for head in heads}
        return [
            (self, head)
            for head in heads
            if (state := self.pulls.get(head.number)) is None
            or everything
            or state.head != head
            or head.head_sha in self.commits
            or state.is_due(now)
        ]

    def problems(self) -> list[Problem]:
        """Return what is missing of this repository."""
        found = [self._problem(part, error) for part, error in self.failures.items()]
        notes = [state.note for state in self.pulls.values() if state.note]
        if notes:
            message = f"{len(notes)} pull request{'s' if len(notes) > 1 else ''} not read in full: {notes[0]}"
            found.append(Problem(scope=self.name, message=message, rows=(RowKind.PULL,)))
        if self._may_read_checks() is False:
            found.append(
                Problem(
                    scope=self.name,
                    message="no permission to read checks",
                    hint="give the token the permission checks: read",
                    status=SourceStatus.DENIED,
                    rows=(RowKind.PULL,),
                )
            )
        return found

    def permissions(self) -> list[Permission]:
        """Return what the token turned out to be allowed to read here."""
        found = [self._permission(name, self._may_read(part)) for part, name in PARTS.items()]
        return [*found, self._permission("checks: read", self._may_read_checks())]

    def _problem(self, part: RowKind, error: SourceError) -> Problem:
        shown = self.runs if part is RowKind.RUN else self.pulls
        if isinstance(error, Denied):
            status = SourceStatus.DENIED
        elif isinstance(error, RateLimited):
            status = SourceStatus.LIMITED
        else:
            status = SourceStatus.STALE if shown else SourceStatus.UNREACHABLE
        hint = f"{error.hint}: {PARTS[part]}" if status is SourceStatus.DENIED and error.hint else error.hint
        until = f" until {error.until:%H:%M:%S} UTC" if isinstance(error, RateLimited) else ""
        return Problem(scope=self.name, message=error.message + until, hint=hint, status=status, rows=(part,))

    def _may_read(self, part: RowKind) -> bool | None:
        error = self.failures.get(part)
        return None if error and not isinstance(error, Denied) else error is None

    def _may_read_checks(self) -> bool | None:
        seen = {state.row.checks for state in self.pulls.values() if state.row}
        if Checks.DENIED in seen:
            return False
        return True if seen - {Checks.NONE} else None

    def _permission(self, name: str, allowed: bool | None) -> Permission:
        hint = "" if allowed is not False else f"give the token the permission {name}"
        return Permission(name=name, scope=self.name, allowed=allowed, hint=hint)


@dataclass
class Session:
    """One token's view of its repositories."""

    client: GitHubClient
    repositories: tuple[Repository, ...]
    identity: str | None = None
    """Our login; `None` until GitHub was asked."""
    shown_identity: str | None = None
    """The login as last published."""
    scopes: str | None = None
    """Those of a classic token; `None` for one that does not list them."""
    facts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What GitHub says of a repository and of us in it, by its name in lower case; empty where it did not say it."""
    denials: dict[tuple[str, str], str] = field(default_factory=dict)
    """What GitHub said when something was tried, by repository in lower case and permission."""
    swept_at: float | None = None
    """When all pull requests were last asked for, on the monotonic clock."""
    batch: int = BATCH
    spent: QueriesSpent | None = None
    """Why no query is sent until its time."""
    whole: bool = False
    """Whether a complete delta was published."""
    said: tuple[object, ...] = ()
    """Problems and permissions as last published."""

    def failure(self) -> SourceError | None:
        """Return why nothing at all could be read, as an error naming the repository; `None` if something was."""
        failures = [(repository, repository.failures.get(part)) for repository in self.repositories for part in PARTS]
        if not failures or not all(error for _, error in failures):
            return None
        # One that may pass by itself comes first: it is worth trying again.
        failures.sort(key=lambda failure: isinstance(failure[1], Denied))
        repository, error = failures[0]
        assert error is not None
        message = f"{repository.name}: {error.message}"
        if isinstance(error, Denied):
            return Denied(message, error.hint, missing=error.missing)
        if isinstance(error, RateLimited):
            return RateLimited(message, error.until, error.hint)
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        return Unavailable(message, error.hint, retry_after=retry_after)

    def permission(self, repository: str, name: str) -> Permission:
        """Return whether the token may change something in a repository, as far as that is known."""
        key = repository.casefold()
        denial = self.denials.get((key, name), "")
        return may_write(name, repository, scopes=self.scopes, facts=self.facts.get(key) or None, denial=denial)

    def permissions(self) -> tuple[Permission, ...]:
        """Return what the token turned out to be allowed; of changes only what is known."""
        found: list[Permission] = []
        for repository in self.repositories:
            changes = [self.permission(repository.name, name) for name in WRITES]
            found += [*repository.permissions(), *(each for each in changes if each.allowed is not None)]
        return tuple(found)

    def quota(self, now: datetime) -> Quota | None:
        """Return the quota that is nearest to its end; one past its reset tells nothing."""
        live = [quota for quota in self.client.quotas.values() if quota.resets_at is None or quota.resets_at > now]
        return min(live, key=lambda quota: quota.remaining / max(quota.limit, 1), default=None)


def read_pulls(
    source: str, wanted: Sequence[Wanted], answer: GraphAnswer, now: float, asked: datetime
) -> list[tuple[Repository, PullState]]:
    """Return what the query `PULLS` said of each pull request that it was asked for.

    Raises `KeyError`, `TypeError` or `ValueError` for what is no such answer.

    Args:
        now: On the monotonic clock.
        asked: When the query was sent.
    """
    found = answer.data["nodes"]
    general = [describe_error(error) for error in answer.errors if _index_of(error) is None]
    states = []
    for index, (repository, head) in enumerate(wanted):
        errors = [error for error in answer.errors if _index_of(error) == index]
        row, note = _read_pull(source, repository.name, found[index], errors)
        before = repository.pulls.get(head.number)
        if row is None and note and before:
            row = before.row  # what was known stays, with the note that says so
        pending_since = None
        if note or (row and _is_pending(row, asked)):
            changed = before is None or before.head != head or before.pending_since is None
            pending_since = now if changed or before is None else before.pending_since
        states.append((repository, PullState(head, row, now, pending_since, note or "".join(general[:1]))))
    return states


def checks_denied(errors: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the errors says that the token may not read checks."""
    return any(_is_about_checks(error) and is_denial(error) for error in errors)


def is_denial(error: Mapping[str, Any]) -> bool:
    """Whether a GraphQL error says that a permission is missing."""
    said = str(error.get("message") or "").casefold()
    return error.get("type") in ("FORBIDDEN", "INSUFFICIENT_SCOPES") or said.startswith("resource not accessible")


def other_errors(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what the errors say, but for missing permission to read checks, which rows show themselves."""
    return [describe_error(error) for error in errors if not (_is_about_checks(error) and is_denial(error))]


def _read_pull(
    source: str, repository: str, pull: Mapping[str, Any] | None, errors: list[Mapping[str, Any]]
) -> tuple[PullRow | None, str]:
    """Return a pull request's row, where it can be made, and what is missing."""
    note = "".join(other_errors(errors)[:1])
    if pull is None:
        return None, note or "GitHub does not find it"
    if pull["state"] != "OPEN":
        return None, ""
    denied = checks_denied(errors)
    if not denied and any(_is_about_checks(error) for error in errors):
        return None, note  # without its checks it would look like one that has none
    try:
        return pull_row(source, repository, pull, checks_denied=denied), note
    except (KeyError, TypeError, ValueError):
        if not note:
            raise
        return None, note


def _is_about_checks(error: Mapping[str, Any]) -> bool:
    return "statusCheckRollup" in (error.get("path") or ())


def _index_of(error: Mapping[str, Any]) -> int | None:
    """Return which node an error is about; `None` for an error about none of them."""
    path = list(error.get("path") or ())
    return path[1] if len(path) > 1 and path[0] == "nodes" and isinstance(path[1], int) else None


def _is_pending(row: PullRow, asked: datetime) -> bool:
    """Whether an answer is to be asked for again although the list may stay as it is.

    GitHub counts in whole seconds: what changes later in the second of the last change leaves no mark in the list.
    """
    fresh = row.updated_at is not None and asked < row.updated_at + timedelta(seconds=1)
    return fresh or row.checks is Checks.PENDING or row.checks_pending > 0 or row.mergeable is Mergeable.UNKNOWN
