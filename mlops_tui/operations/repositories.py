"""What the verbs for GitHub share: naming a repository, what forbids a change in it, looking for what became of one."""

import contextlib
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import ConfigError, SourceError, Unavailable
from mlops_tui.domain.operation import Concern, PlanRequest
from mlops_tui.operations.base import Execution, Place, environment_of
from mlops_tui.operations.systems import ForgeSystem

LOOKS: Final = (0.0, 2.0, 5.0)
"""Seconds before each look for what a write without an answer may have left: it may still be under way."""
SETTLED: Final = 600.0
"""Seconds after which a write that has left nothing did not happen: GitHub ends a request after ten."""
POLL: Final = 3.0
"""Seconds between two looks at a run that is followed."""
BODY_LIMIT: Final = 65_536
"""Characters of a text that GitHub takes."""
NO_NAMES: Final = (".", "..")

T = TypeVar("T")


def mark_of(operation: str) -> str:
    """Return the hidden line by which an operation's text is found again."""
    return f"<!-- mlops-tui:operation={operation} -->"


def marked(text: str, operation: str) -> str:
    """Return a text as it is posted."""
    return f"{text}\n\n{mark_of(operation)}" if text else mark_of(operation)


def full_name(request: PlanRequest, place: Place, owner: str | None, name: str) -> str:
    """Return `OWNER/NAME`; a name alone stands for the one configured repository that has it.

    Raises:
        ConfigError: None has it, or several have; or it cannot be a repository's name.
    """
    if name in NO_NAMES or owner in NO_NAMES:
        raise ConfigError(f"{request.verb} {request.target}: {name} is no repository")
    if owner:
        return f"{owner}/{name}"
    named = [*place.settings.github.repositories]
    named += [each for settings in place.environments.values() for each in settings.repositories]
    found = {each.casefold(): each for each in named if each.partition("/")[2].casefold() == name.casefold()}
    if len(found) != 1:
        known = f"it may be {', '.join(found.values())}" if found else "write OWNER/NAME"
        raise ConfigError(f"{request.verb} {request.target}: which repository is {name}?", known)
    return next(iter(found.values()))


def asked_environment(request: PlanRequest, place: Place) -> str:
    """Return the environment whose rules somebody asked for; empty where nobody did: talk belongs to none."""
    return environment_of(request, place) if request.environment else ""


def read_only(repository: str, place: Place) -> tuple[Concern, ...]:
    """Return a refusal where all environments that a repository belongs to are read-only."""
    if repository.casefold() in (name.casefold() for name in place.settings.github.repositories):
        return ()
    owners = {
        name: settings.read_only
        for name, settings in place.environments.items()
        if repository.casefold() in (each.casefold() for each in settings.repositories)
    }
    if not owners or not all(owners.values()):
        return ()
    name = next(iter(owners))
    return (Concern(text=f"{repository} is read-only", hint=f"environments.{name}.read_only says so"),)


async def not_permitted(forge: ForgeSystem, repository: str, *needs: str) -> tuple[Concern, ...]:
    """Return a refusal where the token is known to have none of the permissions, any of which would do."""
    refused = []
    for need in needs:
        try:
            found = await forge.may(repository, need)
        except SourceError:
            return ()  # where nobody says it, trying will
        if found.allowed is not False:
            return ()
        refused.append(Concern(text=f"no permission {need} in {repository}", hint=found.hint, permission=True))
    return tuple(refused[:1])


def gh(place: Place, repository: str, *arguments: str) -> str:
    """Return a command of GitHub's own tool for a repository."""
    host = _host(place)
    if arguments[0] == "api":
        return shlex.join(["gh", "api", *(["--hostname", host] if host else []), *arguments[1:]])
    return shlex.join(["gh", *arguments, "--repo", f"{host}/{repository}" if host else repository])


def _host(place: Place) -> str:
    """Return the host that gh has to be told; empty for its own default."""
    host = urlsplit(place.settings.github.base_url or "").netloc.rpartition("@")[2]
    return "" if host in ("", "api.github.com") else host


async def look(clock: Clock, question: Callable[[], Awaitable[bool | None]]) -> bool | None:
    """Ask a few times what became of a write that nobody answered; `None` where nobody can tell.

    That it is not there yet does not say that it will not be.
    """
    for pause in LOOKS:
        if pause:
            await clock.sleep(pause)
        with contextlib.suppress(SourceError):
            answer = await question()
            if answer is not None:
                return answer
    return None


async def poll(execution: Execution, question: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
    """Yield what a question brings, again and again; an answer that does not come is said, and asked for again."""
    while True:
        try:
            answer = await question()
        except Unavailable as error:
            execution.say(error.message)
        else:
            yield answer
        await execution.clock.sleep(POLL)
