"""What the verbs for pull requests share: finding one, and a text that is posted exactly once."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from mlops_tui.domain.checklist import is_checklist_comment, may_hold_checklist
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, MlopsTuiError
from mlops_tui.domain.operation import Concern, OperationState, PlanRequest
from mlops_tui.domain.text import clean_line
from mlops_tui.operations.base import Execution, Place, Step
from mlops_tui.operations.journal import Record
from mlops_tui.operations.repositories import (
    BODY_LIMIT,
    SETTLED,
    asked_environment,
    full_name,
    look,
    mark_of,
    marked,
    read_only,
)
from mlops_tui.operations.systems import ForgeSystem, Json

TARGET: Final = "OWNER/NAME#NUMBER of a pull request"
TALK: Final = ("issues: write", "pull requests: write")
"""Permissions, either of which lets a token comment."""
_ADDRESS: Final = re.compile(r"(?:([\w.-]+)/)?([\w.-]+)#([1-9][0-9]{0,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A pull request as it was when the plan was made."""

    forge: ForgeSystem
    repository: str
    number: int
    environment: str
    login: str
    """As whom we are signed in; empty where the token stands for no person."""
    body: Json

    @property
    def address(self) -> str:
        """What a person calls it."""
        return f"{self.repository}#{self.number}"

    @property
    def title(self) -> str:
        return str(self.body.get("title") or "")

    @property
    def text(self) -> str:
        """Its description."""
        return str(self.body.get("body") or "")

    @property
    def author(self) -> str:
        return login_of(self.body)

    @property
    def head(self) -> str:
        """The commit at its head."""
        return str(self.body["head"]["sha"])

    @property
    def since(self) -> str:
        """When it last changed, by GitHub's own clock: what comes after the plan has no earlier time."""
        return str(self.body["updated_at"])


async def find(request: PlanRequest, place: Place) -> Target:
    """Return the pull request that a request names.

    Raises:
        ConfigError: The target is not of its form, or no repository has the name.
        SourceError: It is not there, or cannot be read.
    """
    repository, number = _parsed(request, place)
    forge = place.systems.forge()
    environment = asked_environment(request, place)
    login = await forge.identity()
    return Target(forge, repository, number, environment, login, await forge.pull(repository, number))


def _parsed(request: PlanRequest, place: Place) -> tuple[str, int]:
    address = _ADDRESS.fullmatch(request.target)
    if address is None:
        raise ConfigError(f"{request.verb} {request.target}: the target is OWNER/NAME#NUMBER", "such as acme/fraud#12")
    return full_name(request, place, address[1], address[2]), int(address[3])


def login_of(thing: Json, role: str = "user") -> str:
    """Return who wrote something; empty for an account that is gone."""
    return str((thing.get(role) or {}).get("login") or "")


def over(target: Target) -> tuple[Concern, ...]:
    """Return warnings where a pull request is no longer talked about."""
    found = []
    if target.body.get("merged_at"):
        found.append(Concern(text="it is merged"))
    elif target.body.get("state") == "closed":
        found.append(Concern(text="it is closed"))
    if target.body.get("locked"):
        found.append(Concern(text="its conversation is locked", hint="only people with write access may take part"))
    return tuple(found)


def forbidden(target: Target, place: Place, text: str = "") -> tuple[Concern, ...]:
    """Return why a text cannot be posted here."""
    length = len(marked(text, "0" * 12))
    long = Concern(
        text=f"the text has {length:,} characters, and GitHub takes {BODY_LIMIT:,}", hint="shorten it, or attach a file"
    )
    return (*read_only(target.repository, place), *((long,) if length > BODY_LIMIT else ()))


@dataclass
class Post:
    """A comment that is posted exactly once: where no answer came, it is found again by its mark."""

    target: Target
    text: str
    clock: Clock
    operation: str = ""
    found: list[Json] = field(default_factory=list)

    async def act(self, execution: Execution) -> None:
        """Post it."""
        self.operation = execution.operation
        target = self.target
        self.found.append(
            await target.forge.comment(target.repository, target.number, marked(self.text, self.operation))
        )

    async def happened(self) -> bool | None:
        """Look for it among the comments since the plan."""
        return await look(self.clock, self._seen)

    async def _seen(self) -> bool | None:
        target = self.target
        comment = await posted(
            target.forge, target.repository, target.number, self.operation, target.since, target.login
        )
        if comment is None:
            return None
        self.found.append(comment)
        return True

    async def verify(self, execution: Execution) -> str:
        """Say where it is."""
        return f"commented on {self.target.address}: {self.found[-1].get('html_url', '')}"

    def step(self, title: str) -> Step:
        """Return it as a step of a plan."""
        return Step(title, self.act, self.happened, self.verify)


async def posted(
    forge: ForgeSystem, repository: str, number: int, operation: str, since: str, login: str
) -> Json | None:
    """Return the comment that an operation has left, or `None`.

    Args:
        since: A time by GitHub's clock that is not after it.
        login: As whom it was posted; empty where that is not known.
    """
    mark = mark_of(operation)
    for comment in await forge.comments(repository, number, since):
        if mark in str(comment.get("body") or "") and login in ("", login_of(comment)):
            return comment
    return None


async def was_posted(record: Record, place: Place) -> bool | None:
    """Look whether the comment of an operation that has no outcome is there; `None` while it may still come."""
    repository, number = _parsed(record.request, place)
    forge = place.systems.forge()
    since, login = record.facts.get("since", ""), await forge.identity()
    if await posted(forge, repository, number, record.operation, since, login):
        return True
    return False if place.clock.now() - record.at > timedelta(seconds=SETTLED) else None


async def lost(target: Target, request: PlanRequest, place: Place) -> tuple[str, tuple[Concern, ...]]:
    """Look for the same comment of earlier operations whose end is not known, so that it is not posted twice.

    Returns:
        Where it is, empty if nowhere; and a warning about one that may still come.
    """
    latest: dict[str, Record] = {}
    with contextlib.suppress(MlopsTuiError):
        for record in place.journal.records():
            if (record.request.verb, record.name) == (request.verb, target.address):
                latest[record.operation] = record
    warnings = []
    for record in latest.values():
        unknown = record.event == "intent" or record.state is OperationState.UNKNOWN
        if not unknown or record.request.parameters != request.parameters:
            continue
        since = record.facts.get("since", "")
        found = await posted(target.forge, target.repository, target.number, record.operation, since, target.login)
        if found:
            return f"it was posted at {record.at:%H:%M:%S} UTC: {found.get('html_url', '')}", ()
        if place.clock.now() - record.at <= timedelta(seconds=SETTLED):
            text = f"the same was sent at {record.at:%H:%M:%S} UTC, and is not there yet"
            warnings.append(Concern(text=text, hint="it may still come: look again in some minutes"))
    return "", tuple(warnings)


def checklist_comment(target: Target, comments: Sequence[Json]) -> Json | None:
    """Return the newest comment that holds the checklist and may, or `None`."""
    for comment in reversed(comments):
        trusted = may_hold_checklist(
            str(comment.get("author_association") or ""),
            bot=(comment.get("user") or {}).get("type") == "Bot",
            author=bool(target.author) and login_of(comment) == target.author,
        )
        if trusted and is_checklist_comment(str(comment.get("body") or "")):
            return comment
    return None


def named(target: Target, what: str) -> str:
    """Return a plan's title: what is done, to which pull request."""
    return clean_line(f"{what} {target.address}: {target.title}", 200)
