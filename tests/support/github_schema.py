"""GitHub's own schemas as a judge: of every REST exchange, and of every GraphQL query.

`check_exchange` judges one exchange. `Judged` wraps an ASGI application and judges all that passes through it,
whichever client sends it; `judge_response` does the same as an event hook of httpx.
"""

import functools
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from graphql import GraphQLSchema, GraphQLSyntaxError, build_schema, parse, validate
from jsonschema import Draft4Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCHEMAS = Path(__file__).parent.parent / "schemas"
_ROOT = "urn:github"
_MOUNT = "/api/v3"
_API = ("/api/", "/repos/", "/user", "/rate_limit", "/graphql")
_DOWNLOADS = "/actions-results/"
"""What redirects lead to: on github.com another host, of which its description says nothing."""
_RAW = "application/vnd.github.raw"
"""A file itself, where a client asks for it instead of its description."""
_METHODS = ("get", "post", "put", "patch", "delete")
_COMMON_ERRORS = {"400", "401", "403", "404", "409", "422", "429"}
"""Statuses that any operation may answer with, documented there or not."""
_MEMO_FROM = 15
"""Properties from which on an object's verdict is remembered: repositories, users, runs."""
_valid: set[tuple[str, bytes]] = set()


class ContractError(AssertionError):
    """An exchange that GitHub's own description does not allow."""


def check_exchange(
    method: str,
    url: str,
    request_body: bytes | str | None,
    status: int,
    headers: Mapping[str, str],
    body: bytes | str,
) -> None:
    """Judge one exchange, REST or GraphQL, at the root or below `/api/v3`.

    Raises:
        ContractError: The operation, a parameter, a body, the status or a header is not as GitHub describes it.
    """
    parts = urlsplit(url)
    if parts.path.startswith(_DOWNLOADS) or _is_page(method, parts.path, headers):
        return
    path = parts.path.removeprefix(_MOUNT)
    given = json.loads(request_body) if request_body else None
    if path in ("/graphql", "/api/graphql"):
        _check_graphql_exchange(method, given, status, body)
        return
    template, operation, values = _operation(method, path)
    where = f"{method} {template}"
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_parameters(where, operation, query, values)
    if status != 422 and status != 400:
        _check_request_body(where, operation, given)
    lowered = {name.lower(): value for name, value in headers.items()}
    _check_response(where, operation, status, lowered, body)


def _is_page(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether an exchange is a page for people, of which no description of an API says anything."""
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return method == "GET" and not path.startswith(_API) and any(kind.startswith("text/html") for kind in kinds)


def check_graphql(query: str) -> None:
    """Judge a query against GitHub's whole schema.

    Raises:
        ContractError: It does not parse, or asks for what is not there.
    """
    if problems := _query_problems(query):
        raise ContractError(problems)


@functools.cache
def _query_problems(query: str) -> str:
    try:
        return "; ".join(error.message for error in validate(graphql_schema(), parse(query)))
    except GraphQLSyntaxError as error:
        return error.message


def judge_response(response: httpx.Response) -> None:
    """Judge the exchange that led to a response: `httpx.Client(event_hooks={"response": [judge_response]})`."""
    response.read()
    request = response.request
    check_exchange(
        request.method, str(request.url), request.content, response.status_code, response.headers, response.content
    )


class Judged:
    """An ASGI application, each of whose exchanges is judged.

    Attributes:
        exchanges: Method, path with query, and status of each, in order.
        failures: What was wrong, in order; a test asserts that there is nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[tuple[str, str, int]] = []
        self.failures: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked: list[bytes] = []
        answered: list[bytes] = []
        start: Message = {}

        async def listen() -> Message:
            message = await receive()
            asked.append(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                answered.append(message.get("body", b""))
            await send(message)

        await self._app(scope, listen, tell)
        path = f"{scope['path']}?{scope['query_string'].decode()}".removesuffix("?")
        self.exchanges.append((scope["method"], path, start["status"]))
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        try:
            check_exchange(scope["method"], path, b"".join(asked), start["status"], headers, b"".join(answered))
        except ContractError as error:
            self.failures.append(f"{scope['method']} {path}: {error}")


def _check_graphql_exchange(method: str, given: Any, status: int, body: bytes | str) -> None:
    if method != "POST":
        raise ContractError("GraphQL is asked by POST")
    answer = json.loads(body)
    if status != 200:
        if status not in (400, 401, 403, 429, 502) or "message" not in answer:
            raise ContractError(f"GraphQL answers {status} with {sorted(answer)}")
        return
    if not answer or not set(answer) <= {"data", "errors", "extensions"}:
        raise ContractError(f"a GraphQL answer has data and errors, not {sorted(answer)}")
    if not all(isinstance(error.get("message"), str) for error in answer.get("errors", ())):
        raise ContractError("each GraphQL error has a message")
    if "data" in answer:
        # A query that GitHub would refuse has to be refused here, too.
        check_graphql(given["query"])


def _check_parameters(where: str, operation: Any, query: Mapping[str, str], values: Mapping[str, str]) -> None:
    described = {parameter["name"]: parameter for parameter in map(_deref, operation.get("parameters", ()))}
    for name, value in {**query, **values}.items():
        if name not in described:
            raise ContractError(f"{where}: no parameter {name}")
        # `created` is described as a time, and takes a search's ranges.
        schema = {key: part for key, part in described[name]["schema"].items() if key != "format"}
        errors = [_first_error(schema, candidate) for candidate in _readings(value)]
        if all(errors):
            raise ContractError(f"{where}: parameter {name}: {errors[0]}")


def _readings(text: str) -> Iterator[object]:
    """Yield what a text in a URL may stand for."""
    yield text
    if re.fullmatch(r"-?\d+", text):
        yield int(text)
    if text in ("true", "false"):
        yield text == "true"


def _check_request_body(where: str, operation: Any, given: Any) -> None:
    described = operation.get("requestBody")
    if described is None:
        # Clients may send an empty object where GitHub asks for nothing.
        if given:
            raise ContractError(f"{where}: takes no body")
        return
    if given is None:
        if described.get("required"):
            raise ContractError(f"{where}: needs a body")
        return
    if error := _first_error(described["content"]["application/json"]["schema"], given):
        raise ContractError(f"{where}: request body: {error}")


def _check_response(where: str, operation: Any, status: int, headers: Mapping[str, str], body: bytes | str) -> None:
    if status == 304:
        if body or "etag" not in headers:
            raise ContractError(f"{where}: a 304 has an ETag and no body")
        return
    responses = operation["responses"]
    if str(status) not in responses and str(status) not in _COMMON_ERRORS:
        raise ContractError(f"{where}: {status} is not among {sorted(responses)}")
    if status == 302 and not re.fullmatch(r"https?://[^\s]+", headers.get("location", "")):
        raise ContractError(f"{where}: a redirect to {headers.get('location')}")
    described = _deref(responses.get(str(status), {})).get("content", {}).get("application/json", {}).get("schema")
    if status >= 400 and described is None:
        described = {"$ref": "#/components/schemas/basic-error"}
    if described is None:
        if body and status != 202:
            raise ContractError(f"{where}: {status} has no body")
        return
    if headers.get("content-type", "").startswith(_RAW) and "/contents/" in where:
        return
    if not headers.get("content-type", "").startswith("application/json"):
        raise ContractError(f"{where}: content type {headers.get('content-type')}")
    if error := _first_error(described, json.loads(body)):
        raise ContractError(f"{where}: {status}: {error}")
    _check_link(where, headers.get("link", ""))


def _check_link(where: str, link: str) -> None:
    for part in filter(None, link.split(", ")):
        if not re.fullmatch(r'<https?://[^>]+[?&]page=\d+[^>]*>; rel="(?:first|prev|next|last)"', part):
            raise ContractError(f"{where}: Link {part}")


def _first_error(schema: Any, value: Any) -> str:
    error = next(_validator(json.dumps(schema)).iter_errors(value), None)
    if error is None:
        return ""
    return f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]} ({'/'.join(map(str, error.schema_path))})"


def _remembering_ref(validator: Any, ref: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Follow a `$ref`, but judge equal large objects once: a page of runs names one repository 200 times."""
    if not isinstance(instance, dict) or len(instance) < _MEMO_FROM:
        yield from Draft4Validator.VALIDATORS["$ref"](validator, ref, instance, schema)
        return
    text = json.dumps(instance, sort_keys=True)
    key = (ref, hashlib.blake2b(text.encode(), digest_size=16).digest())
    if key in _valid:
        return
    found = False
    for error in Draft4Validator.VALIDATORS["$ref"](validator, ref, instance, schema):
        found = True
        yield error
    if not found:
        _valid.add(key)


@functools.cache
def _validator(schema: str) -> Validator:
    kind: Any = extend(Draft4Validator, {"$ref": _remembering_ref})  # type: ignore[no-untyped-call]
    resolved = json.loads(schema.replace('"#/components', f'"{_ROOT}#/components'))
    validator: Validator = kind(_plain(resolved), registry=_registry(), format_checker=_formats())
    return validator


@functools.cache
def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, pattern in (
        ("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"),
        ("uri", r"[a-z]+:\S+"),
    ):
        compiled = re.compile(pattern)
        checker.checks(name)(lambda value, c=compiled: not isinstance(value, str) or c.fullmatch(value) is not None)
    return checker


@functools.cache
def _registry() -> Registry[Any]:
    resource: Resource[Any] = DRAFT4.create_resource({"components": _plain(_description()["components"])})
    registry: Registry[Any] = Registry[Any]().with_resource(_ROOT, resource)
    return registry


def _plain(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as a JSON Schema: `nullable` becomes a null that is allowed."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [{"type": "null"}, plain]} if schema.get("nullable") is True else plain


def _deref(part: Any) -> Any:
    while "$ref" in part:
        found: Any = _description()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


@functools.cache
def _description() -> Any:
    return json.loads(gzip.decompress((SCHEMAS / "github-rest.openapi.json.gz").read_bytes()))


@functools.cache
def graphql_schema() -> GraphQLSchema:
    """Return GitHub's whole schema."""
    text = gzip.decompress((SCHEMAS / "github.schema.graphql.gz").read_bytes()).decode()
    return build_schema(text, assume_valid=True)


@functools.cache
def _operations() -> list[tuple[re.Pattern[str], str, str, Any]]:
    """Return all operations, those with the fewest parameters in their address first."""
    found = []
    for template, item in _description()["paths"].items():
        # References (branches, tags, commits) may contain slashes; nothing else may.
        pattern = re.sub(r"\{(ref|commit_sha|branch|tag|path|basehead|environment_name)\}", r"(?P<\1>.+)", template)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern).replace("(?P<path>.+)", "(?P<path>.*)")
        found += [(re.compile(pattern), template, method, item[method]) for method in _METHODS if method in item]
    return sorted(found, key=lambda entry: (entry[1].count("{"), -len(entry[1])))


def _operation(method: str, path: str) -> tuple[str, Any, dict[str, str]]:
    for pattern, template, verb, operation in _operations():
        match = pattern.fullmatch(path)
        if match and verb == method.lower():
            return template, operation, match.groupdict()
    raise ContractError(f"{method} {path} is no operation of the description")
