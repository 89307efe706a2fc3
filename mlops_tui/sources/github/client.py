"""GitHub's two APIs through PyGithub's transport, for one thread only.

PyGithub's transport is not thread-safe, so everything here runs in the source's one worker thread. Nothing is retried
and nothing waits: schedules and patience are the poller's. Lists are conditional: an answer that has not changed
costs no quota and is not parsed. A write is sent once, and whoever sent it learns whether an answer came.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import (
    Conflict,
    Denied,
    Missing,
    OutcomeUnknown,
    RateLimited,
    SourceError,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.domain.state import Quota
from mlops_tui.sources.github.access import Rule, rule_of
from mlops_tui.sources.github.answers import (
    NEVER_CONNECTED,
    cause,
    causes,
    describe_error,
    explained,
    is_limit,
    message_of,
    timestamp,
)
from mlops_tui.sources.github.target import GitHubTarget, Token, find_token
from mlops_tui.sources.imports import import_sdk

if TYPE_CHECKING:
    from github.Requester import Requester

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 15
"""Seconds."""
SECONDARY_PAUSE = 60.0
"""Seconds to wait at a secondary rate limit that does not say how long, as GitHub's documentation asks."""
LONGEST_PAUSE = 3_700.0
"""Seconds that a server may ask us to wait: quotas are hourly, and a wrong clock must not stop us for days."""

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next\b')

T = TypeVar("T")
Headers = Mapping[str, str]


class Unreachable(Unavailable):
    """There was no answer at all, so asking the same host for something else is no use now."""


class NotReached(Unreachable):
    """There was no connection, so nothing was sent."""


class NotFound(Denied):
    """It is not there, or not for this token: GitHub does not say which."""


class QueriesSpent(RateLimited):
    """The quota of queries is used up; that of everything else is another one."""


@dataclass(frozen=True)
class Answer:
    """A successful answer, its JSON parsed."""

    headers: Headers
    data: Any


@dataclass(frozen=True)
class GraphAnswer:
    """What a query brought, and what it did not: GitHub answers in part where a token may not read the rest."""

    data: Mapping[str, Any]
    errors: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class _Page:
    etag: str
    value: Any
    next_path: str | None


@dataclass
class GitHubClient:
    """One token's connection, its ETag cache and its quota. Make it with `open_client`, in the worker thread.

    Every method raises `Unreachable`, `Unavailable`, `RateLimited`, `Unauthenticated` or `Denied`, and `Refused` for
    what the rule forbids; a query used up its own quota where that is `QueriesSpent`.
    """

    host: str
    origin: str
    """Where the token came from, for messages."""
    clock: Clock
    requester: "Requester" = field(repr=False)
    rule: Rule = field(repr=False)
    """Asked before anything is sent."""
    quotas: dict[str, Quota] = field(default_factory=dict)
    """Calls left, by GitHub's name of the resource: `core`, `graphql`."""
    _pages: dict[str, _Page] = field(default_factory=dict, repr=False)
    """By path; a client has one token, and ETags hold for one token only."""

    def page(self, path: str, project: Callable[[Any], T]) -> tuple[T, str | None]:
        """Return one page of a list, as `project` makes it of the JSON, and the path of the next page.

        `project` is called only if the page has changed since it was last read; it may raise `KeyError`, `TypeError`
        or `ValueError` for what is not the expected answer.
        """
        known = self._pages.get(path)
        status, headers, body = self._send("GET", path, {"If-None-Match": known.etag} if known else {})
        if known and status == 304:
            return known.value, known.next_path
        data = self._checked(status, headers, body)
        value = self.projected(project, data)
        link = _NEXT.search(headers.get("link", ""))
        next_path = _path_of(link[1]) if link else None
        if etag := headers.get("etag"):
            self._pages[path] = _Page(etag, value, next_path)
        else:
            self._pages.pop(path, None)
        return value, next_path

    def get(self, path: str) -> Answer:
        """Return one resource, unconditionally."""
        status, headers, body = self._send("GET", path, {})
        return Answer(headers, self._checked(status, headers, body))

    def text(self, path: str) -> str:
        """Return a file as it is, not its description."""
        status, headers, body = self._send("GET", path, {"Accept": "application/vnd.github.raw+json"})
        if not 200 <= status < 300:
            raise self._refusal(status, headers, message_of(body))
        return body

    def write(self, verb: str, path: str, payload: Mapping[str, Any] | None = None) -> Any:
        """Change something: send it once, and return the answer.

        Raises:
            Missing: It is not there, or not for this token.
            Conflict: Its state does not allow it.
            OutcomeUnknown: It was sent, and no answer came, or a server's error that says nothing of what was done.
        """
        look = "look before you try again"
        try:
            status, headers, body = self._send(verb, path, {}, payload)
        except NotReached:
            raise
        except Unreachable as error:
            raise OutcomeUnknown(error.message, look) from None
        if status >= 500:
            raise OutcomeUnknown(f"{self.host} answered {status}", look)
        said = explained(body)
        if status in (404, 410, 451):
            raise Missing("not found, or the token may not see it", f"check what the token in {self.origin} may do")
        if status in (405, 409):
            raise Conflict(said or f"{self.host} answered {status}", "plan it again")
        if status == 422:
            raise Unavailable(f"{self.host} does not take it: {said or 'it does not say why'}")
        try:
            return self._checked(status, headers, body)
        except Unavailable:
            if 200 <= status < 300:  # a success that cannot be read may be somebody else's
                raise OutcomeUnknown(f"{self.host} answered with something unexpected", look) from None
            raise

    def whoami(self) -> tuple[str, Headers]:
        """Return our login, empty for a token that stands for no person, and what the answer's headers say of it."""
        status, headers, body = self._send("GET", "/user", {})
        if status in (403, 404) and not is_limit(headers, message_of(body)):
            return "", headers
        return self.projected(lambda user: str(user["login"]), self._checked(status, headers, body)), headers

    def query(self, text: str, variables: Mapping[str, Any]) -> GraphAnswer:
        """Run a GraphQL query. Errors beside data are returned; errors without any data are raised."""
        payload = {"query": text, "variables": dict(variables)}
        status, headers, body = self._send("POST", self.requester.graphql_url, {}, payload)
        reply = self._checked(status, headers, body)
        if not isinstance(reply, dict):
            raise self._unexpected()
        errors = tuple(error for error in reply.get("errors") or () if isinstance(error, dict))
        if any(error.get("type") == "RATE_LIMITED" for error in errors):
            raise self._rate_limit(headers, "GitHub's GraphQL quota is used up")
        data = reply.get("data")
        if not isinstance(data, dict):
            raise self._query_failed(errors)
        return GraphAnswer(data, errors)

    def projected(self, project: Callable[[Any], T], data: Any) -> T:
        """Return `project(data)`; data of another shape is `Unavailable`."""
        try:
            return project(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unexpected() from error

    def close(self) -> None:
        """Close the connections."""
        self.requester.close()

    def _send(
        self, verb: str, path: str, headers: dict[str, str], payload: Mapping[str, Any] | None = None
    ) -> tuple[int, Headers, str]:
        import requests

        # Elsewhere on an Enterprise Server, and the one address at which a POST may read.
        self.rule(verb, "/graphql" if path == self.requester.graphql_url else path, payload)
        try:
            status, answered, body = self.requester.requestJson(verb, path, headers=headers, input=payload)
        except requests.exceptions.ConnectTimeout:
            raise NotReached(f"{self.host}: no connection within {CONNECT_TIMEOUT} s") from None
        except requests.exceptions.Timeout:
            raise Unreachable(f"{self.host}: no answer within {READ_TIMEOUT} s") from None
        except requests.exceptions.SSLError as error:
            hint = "for a private certificate authority, name its file in REQUESTS_CA_BUNDLE"
            kind = NotReached if "SSLCertVerificationError" in causes(error) else Unreachable
            raise kind(f"{self.host}: the TLS certificate is not trusted", hint) from None
        except requests.exceptions.ProxyError:
            raise NotReached(f"{self.host}: the proxy refused", "check HTTPS_PROXY and NO_PROXY") from None
        except (requests.exceptions.RequestException, OSError) as error:
            kind = NotReached if NEVER_CONNECTED & causes(error).keys() else Unreachable
            # Its text may quote what was sent; its class and errno do not.
            raise kind(f"{self.host}: {cause(error, READ_TIMEOUT)}") from None
        except RuntimeError:
            raise Unavailable(f"{self.host} redirects elsewhere", "check [github] base_url") from None
        self._note_quota(answered)
        return status, answered, body

    def _checked(self, status: int, headers: Headers, body: str) -> Any:
        if 200 <= status < 300:
            try:
                return json.loads(body) if body else None
            except ValueError:
                raise self._unexpected() from None
        raise self._refusal(status, headers, message_of(body))

    def _refusal(self, status: int, headers: Headers, message: str) -> SourceError:
        said = f": {message}" if message else ""
        if status == 401:
            hint = (
                f"put a new token into {self.origin} and start again"
                if self.origin[0] == "$"
                else f"gh auth login -h {self.host}"
            )
            return Unauthenticated(f"{self.host} does not accept the token from {self.origin}{said}", hint)
        if status == 429 or (status == 403 and is_limit(headers, message)):
            return self._rate_limit(headers, message or "GitHub asks us to wait")
        if status == 403:
            missing = headers.get("x-accepted-github-permissions", "").replace("=", ": ")
            sso = "url=" in headers.get("x-github-sso", "")
            hint = f"authorise the token in {self.origin} for the organisation's single sign-on" if sso else ""
            return Denied(
                message or "forbidden", hint or f"give the token in {self.origin} this permission", missing=missing
            )
        if status in (404, 410, 451):
            return NotFound("not found or no access", f"check the name, and what the token in {self.origin} may read")
        if status >= 500:
            return Unavailable(f"{self.host} answered {status}{said}", retry_after=self._retry_after(headers))
        return Unavailable(f"{self.host} answered {status}{said}")

    def _rate_limit(self, headers: Headers, message: str) -> RateLimited:
        kind, pause = RateLimited, self._retry_after(headers)
        if pause is None and headers.get("x-ratelimit-remaining") == "0":
            reset = timestamp(headers.get("x-ratelimit-reset"))
            pause = (reset - self.clock.now()).total_seconds() if reset else None
            kind = QueriesSpent if headers.get("x-ratelimit-resource") == "graphql" else RateLimited
        bounded = SECONDARY_PAUSE if pause is None else min(max(pause, 1.0), LONGEST_PAUSE)
        return kind(message, self.clock.now() + timedelta(seconds=bounded), "other tools may share this token's quota")

    def _retry_after(self, headers: Headers) -> float | None:
        """Return the seconds that `Retry-After` asks for, which may hold a number or a date."""
        value = headers.get("retry-after", "").strip()
        if not value:
            return None
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(value) - self.clock.now()).total_seconds()
            except (ValueError, TypeError):
                return None
        return min(max(seconds, 0.0), LONGEST_PAUSE) if seconds == seconds else None

    def _note_quota(self, headers: Headers) -> None:
        try:
            remaining, limit = int(headers["x-ratelimit-remaining"]), int(headers["x-ratelimit-limit"])
        except (KeyError, ValueError):
            return
        resource = headers.get("x-ratelimit-resource", "core")
        self.quotas[resource] = Quota(
            remaining=remaining, limit=limit, resets_at=timestamp(headers.get("x-ratelimit-reset"))
        )

    def _query_failed(self, errors: tuple[Mapping[str, Any], ...]) -> SourceError:
        message = describe_error(errors[0]) if errors else "no data"
        if errors and errors[0].get("type") in ("FORBIDDEN", "INSUFFICIENT_SCOPES", "NOT_FOUND"):
            return Denied(message, f"check what the token in {self.origin} may read")
        return Unavailable(f"{self.host} could not answer a query: {message}")

    def _unexpected(self) -> Unavailable:
        return Unavailable(f"{self.host} answered with something unexpected", "check [github] base_url, and any proxy")


def open_client(target: GitHubTarget, clock: Clock) -> GitHubClient:
    """Sign in, which sends nothing yet; imports PyGithub and may start `gh`, so it blocks.

    Raises:
        NotConfigured: There is no token, or the address is none that a token may be sent to.
        Unauthenticated: The token cannot be one, or is for another host.
    """
    token = find_token(target)
    return GitHubClient(target.host, token.origin, clock, _requester(target, token), rule_of(target))


def _requester(target: GitHubTarget, token: Token) -> "Requester":
    import_sdk("github")
    import github
    from github.Requester import Requester

    _quiet()
    client = github.Github(
        auth=github.Auth.Token(token.secret),
        base_url=target.api,
        user_agent="mlops-tui",
        per_page=100,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )
    # `Github` insists on one number of seconds; the transport takes two.
    return Requester(**{**client.requester.kwargs, "timeout": (CONNECT_TIMEOUT, READ_TIMEOUT)})


def _quiet() -> None:
    """Undo what importing PyGithub does to logging: a handler on stderr, which would draw over the screen."""
    logger = logging.getLogger("github")
    for handler in [*logger.handlers]:
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.WARNING)  # below it, whole answers are logged


def path_with(path: str, **parameters: object) -> str:
    """Return `path` with a query string."""
    return f"{path}?{urlencode(parameters)}"


def _path_of(url: str) -> str:
    """Return the part of a link that PyGithub resolves against its own host: no answer can send the token elsewhere."""
    return url if "://" in url else f"/{url.lstrip('/')}"
