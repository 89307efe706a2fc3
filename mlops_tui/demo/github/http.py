"""What every request goes through: who asks, what it costs, what it may do, and the conditional answer."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.limits import Meter, Refusal
from mlops_tui.demo.github.model import Access, Repository, Token, User
from mlops_tui.demo.github.payloads_work import Fragment, Payloads
from mlops_tui.demo.github.store import GitHubStore
from mlops_tui.demo.github.world import NotFoundError

DOCUMENTATION = "https://docs.github.com/rest"
PAGE_SIZE = 30
MAX_PAGE_SIZE = 100
SEARCH_LIMIT = 1000
"""Results that a filtered list of runs reaches, as on github.com."""
_FREE = 0
_API_VERSION = "2022-11-28"
_LIMITS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
NOT_ACCESSIBLE = "Resource not accessible by personal access token"


class ApiError(Exception):
    """An answer that is not a success.

    Attributes:
        errors: What a 422 says of the fields.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[object] = (),
        headers: dict[str, str] | None = None,
        documentation: str = DOCUMENTATION,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = headers or {}
        self.documentation = documentation


def invalid(resource: str, field_name: str, code: str = "invalid", message: str = "") -> ApiError:
    """Return the 422 for one wrong field."""
    error = {"resource": resource, "field": field_name, "code": code} | ({"message": message} if message else {})
    return ApiError(422, "Validation Failed", errors=[error])


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, before its common headers."""

    body: bytes = b""
    status: int = 200
    digest: bytes = b""
    """What the ETag comes from; empty where there is none."""
    headers: dict[str, str] = field(default_factory=dict)
    cost: int = 1
    """What is taken from the quota."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request by somebody who may come in."""

    store: GitHubStore
    payloads: Payloads
    token: Token
    secret: str
    path: str
    """Below the place where REST is mounted."""
    params: dict[str, Any]
    query: dict[str, str]
    body: Any
    accept: str = ""
    """The media types that the client takes."""

    @property
    def user(self) -> User:
        return self.store.user(self.token.login)

    @property
    def repo(self) -> str:
        return f"{self.params['owner']}/{self.params['repo']}"

    @property
    def repository(self) -> Repository:
        return self.store.repository(self.repo)

    def number(self, name: str) -> int:
        """Return a whole number from the path."""
        return int(self.params[name])

    def text(self, name: str, resource: str) -> str:
        """Return a text of the body that has to be there.

        Raises:
            ApiError: 422, it is missing or is no text.
        """
        value = self.fields.get(name)
        if value is None:
            raise invalid(resource, name, "missing_field")
        if not isinstance(value, str):
            raise invalid(resource, name)
        return value

    @property
    def fields(self) -> dict[str, Any]:
        """The body, which is to be an object.

        Raises:
            ApiError: 400, it is something else.
        """
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise ApiError(400, "Problems parsing JSON")
        return self.body


Handler = Callable[[Call], Reply]


def json_reply(payload: object, status: int = 200, **kwargs: Any) -> Reply:
    """Return a payload as an answer."""
    body = to_json(payload)
    return Reply(body=body, status=status, digest=hashlib.blake2b(body, digest_size=16).digest(), **kwargs)


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that was asked for, and the `Link` to the others."""

    start: int
    stop: int
    headers: dict[str, str]


def page_of(call: Call, total: int) -> Page:
    """Return what `page` and `per_page` ask for; what makes no sense counts as not said."""
    size = min(_positive(call.query.get("per_page"), PAGE_SIZE), MAX_PAGE_SIZE)
    number = _positive(call.query.get("page"), 1)
    last = max(1, -(-total // size))
    links = []
    targets = {"prev": min(number - 1, last), "next": number + 1 if number < last else 0}
    targets |= {"last": last if number < last else 0, "first": 1 if number > 1 else 0}
    for relation, target in targets.items():
        if target:
            query = urlencode({**call.query, "page": target})
            links.append(f'<{call.payloads.api}{call.path}?{query}>; rel="{relation}"')
    start = (number - 1) * size
    return Page(start, start + size, {"link": ", ".join(links)} if links else {})


def list_reply(call: Call, payloads: Sequence[object], key: str | None = None) -> Reply:
    """Return a page of payloads that are few: in an object with their count if there is a `key`, else bare."""
    page = page_of(call, len(payloads))
    part = payloads[page.start : page.stop]
    return json_reply({"total_count": len(payloads), key: part} if key else part, headers=page.headers)


def fragments_reply(
    fragments: Sequence[Fragment], total: int, headers: dict[str, str], key: str | None = None
) -> Reply:
    """Return a page of rendered records without rendering them again."""
    digest = hashlib.blake2b(total.to_bytes(8, "big"), digest_size=16)
    for fragment in fragments:
        digest.update(fragment.digest)
    body = b"[" + b",".join(fragment.body for fragment in fragments) + b"]"
    if key:
        body = b'{"total_count":%d,"%s":%s}' % (total, key.encode(), body)
    return Reply(body=body, digest=digest.digest(), headers=headers)


def _positive(text: str | None, default: int) -> int:
    # Longer numbers are no page that anybody could mean.
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0 else default


class Gate:
    """Turns handlers into endpoints.

    Args:
        store: The world.
    """

    def __init__(self, store: GitHubStore) -> None:
        self.store = store
        self._payloads: dict[tuple[str, str], Payloads] = {}
        self._requests = 0

    def endpoint(
        self, handler: Handler, permission: str, *, writes: bool = False, resource: str = "core", free: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint for a handler.

        Args:
            permission: The fine-grained permission that it needs, in GitHub's own words; with commas, any of them.
            writes: Whether it needs it to write.
            resource: The quota that it is taken from.
            free: Whether it answers when the quota is used up.
        """

        async def answer(request: Request) -> Response:
            body = await request.body()
            meter: Meter | None = None
            secret, token = "", None
            try:
                secret, token = self._sign_in(request)
                meter = self.store.limits.meter(secret, resource)
                self._refuse_if_limited(secret, token, resource, free=free)
                _refuse_if_not_permitted(request, token, permission, "write" if writes else "read")
                reply = handler(self._call(request, secret, token, body))
            except ApiError as error:
                reply = _error_reply(error)
            except NotFoundError:
                reply = _error_reply(ApiError(404, "Not Found"))
            except ConflictError as error:
                reply = _error_reply(ApiError(409, str(error)))
            if token is not None:
                accepted = accepted_permissions(permission, "write" if writes else "read")
                reply = replace(reply, headers=_token_headers(token, accepted) | reply.headers)
            return self._respond(request, reply, secret, meter, resource)

        return answer

    def payloads(self, request: Request) -> Payloads:
        """Return the payloads with the addresses under which this client sees the server."""
        web = f"{request.url.scheme}://{request.url.netloc}"
        api = web + request.scope.get("root_path", "")
        if (api, web) not in self._payloads:
            if len(self._payloads) >= 8:
                self._payloads.clear()
            self._payloads[api, web] = Payloads(api, web)
        return self._payloads[api, web]

    def _sign_in(self, request: Request) -> tuple[str, Token]:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if not secret:
            raise ApiError(401, "Requires authentication")
        token = self.store.token(secret.strip()) if scheme.lower() in ("token", "bearer") else None
        if token is None:
            raise ApiError(401, "Bad credentials")
        return secret.strip(), token

    def _refuse_if_limited(self, secret: str, token: Token, resource: str, *, free: bool) -> None:
        if free:
            return
        refusal = self.store.limits.refuse(secret, resource)
        if refusal is None:
            return
        if not refusal.primary:
            raise ApiError(
                refusal.status,
                "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                headers=_retry_after(refusal),
                documentation=f"{_LIMITS}#about-secondary-rate-limits",
            )
        message = f"API rate limit exceeded for user ID {self.store.user(token.login).id}."
        if resource == "graphql":
            # GraphQL says it in a success, as github.com does.
            raise ApiError(200, message, errors=[{"type": "RATE_LIMITED", "message": message}])
        raise ApiError(refusal.status, message, documentation=f"{_LIMITS}#about-primary-rate-limits")

    def _call(self, request: Request, secret: str, token: Token, body: bytes) -> Call:
        payload = None
        if body:
            try:
                payload = json.loads(body, parse_constant=_no_number)
                # Half of a surrogate pair is JSON, but no text that could be answered with.
                to_json(payload)
            except (ValueError, RecursionError):
                raise ApiError(400, "Problems parsing JSON") from None
        root = request.scope.get("root_path", "")
        return Call(
            store=self.store,
            payloads=self.payloads(request),
            token=token,
            secret=secret,
            path=request.url.path.removeprefix(root),
            params=request.path_params,
            query=dict(request.query_params),
            body=payload,
            accept=request.headers.get("accept", ""),
        )

    def _respond(self, request: Request, reply: Reply, secret: str, meter: Meter | None, resource: str) -> Response:
        self._requests += 1
        headers = {
            "content-type": "application/json; charset=utf-8",
            "x-github-api-version-selected": _API_VERSION,
            "x-github-media-type": "github.v3; format=json",
            "x-github-request-id": f"{self._requests:08X}",
        } | reply.headers
        status, body, cost = reply.status, reply.body, reply.cost
        if reply.digest and status == 200 and request.method == "GET":
            # An ETag holds for one token and one address, as on github.com.
            mine = f"{secret} {request.url}".encode()
            etag = hashlib.blake2b(reply.digest + mine, digest_size=16).hexdigest()
            headers |= {"etag": f'W/"{etag}"', "cache-control": "private, max-age=60, s-maxage=60"}
            if etag in re.findall(r'"([^"]*)"', request.headers.get("if-none-match", "")):
                status, body, cost = 304, b"", _FREE
                del headers["content-type"]
        if meter is not None:
            meter.used = min(meter.limit, meter.used + cost)
            headers |= {
                "x-ratelimit-limit": str(meter.limit),
                "x-ratelimit-remaining": str(meter.remaining),
                "x-ratelimit-reset": str(int(meter.reset.timestamp())),
                "x-ratelimit-used": str(meter.used),
                "x-ratelimit-resource": resource,
            }
        if status == 204:
            del headers["content-type"]
        return Response(body, status, headers)


def refuse() -> ApiError:
    """Return the 403 for a fine-grained permission that the token lacks."""
    return ApiError(403, NOT_ACCESSIBLE)


def accepted_permissions(permission: str, access: Access) -> str:
    """Return permissions as `x-accepted-github-permissions` names them; of several, any will do."""
    return "; ".join(f"{name}={access}" for name in permission.split(","))


def _refuse_if_not_permitted(request: Request, token: Token, permission: str, access: Access) -> None:
    owner, repo = request.path_params.get("owner"), request.path_params.get("repo")
    if owner and repo and not token.reaches(f"{owner}/{repo}"):
        # What a token does not reach is not there, as far as it can tell.
        raise NotFoundError(f"no repository {owner}/{repo}")
    if not any(token.may(name, access) for name in permission.split(",")):
        raise refuse()


def _token_headers(token: Token, accepted: str) -> dict[str, str]:
    """Return what an answer says of the token: a classic one has scopes, a fine-grained one permissions."""
    if token.is_classic:
        headers = {"x-oauth-scopes": "repo, workflow", "x-accepted-oauth-scopes": ""}
    else:
        headers = {"x-accepted-github-permissions": accepted}
    if token.expires_at is not None:
        headers["github-authentication-token-expiration"] = f"{token.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}"
    return headers


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _retry_after(refusal: Refusal) -> dict[str, str]:
    return {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}


def _error_reply(error: ApiError) -> Reply:
    if error.status == 200:
        return json_reply({"errors": error.errors})
    payload: dict[str, object] = {"message": error.message}
    if error.errors:
        payload["errors"] = error.errors
    payload |= {"documentation_url": error.documentation, "status": str(error.status)}
    return json_reply(payload, error.status, headers=error.headers)
