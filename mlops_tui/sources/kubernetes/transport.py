"""Requests to one API server as one user: each passes here, and each failure gets its name here."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_tui.domain.errors import Denied, Unauthenticated, Unavailable
from mlops_tui.sources.kubernetes.exec_plugin import Credential
from mlops_tui.sources.kubernetes.kubeconfig import Access

if TYPE_CHECKING:
    import aiohttp

ANSWER_SECONDS = 10.0
"""For a whole answer, and for the first byte of a watch, whose headers an API server sends at once."""
LONGEST_PAUSE = 3_600.0
"""Seconds that a server may ask us to wait: a wrong number must not stop us for days."""
KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds and probes until a watch over a dead path breaks: an idle one carries no data that would show it."""

Rule = Callable[[str, str], None]
"""Given method and path of a request; raises `Refused`."""


class Gone(Exception):
    """HTTP 410: the resource version or page token is too old."""


class Missing(Exception):
    """HTTP 404: there is no such object or kind."""


class Stale(Exception):
    """HTTP 409: the object has changed since it was read, or is there already."""


class Invalid(Unavailable):
    """HTTP 400, 415 or 422: the server understood, and will not do it."""


class Busy(Unavailable):
    """HTTP 429: the server has not begun with it."""


class Broken(Unavailable):
    """There is no connection, or it ended in the middle of an answer."""


class NotReached(Broken):
    """There was no connection to send anything over."""


class Transport:
    """Sends requests until it is retired. Making one blocks, because the TLS context reads files.

    Args:
        access: Where and as whom.
        credential: What the exec plugin answered, if there is one.
        rule: Asked before anything is sent; raises `Refused` for what may not be.
    """

    def __init__(self, access: Access, credential: Credential | None, rule: Rule | None = None) -> None:
        self.access = access
        self._rule = rule
        self._requests = 0
        self._retired = False
        try:
            self._client = _client(access.configuration, credential)
        finally:
            access.drop_files()

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = "application/json",
        permission: str = "",
        total: float = ANSWER_SECONDS,
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """Send a request and yield its successful answer, whose body is yet to be read.

        Args:
            permission: What the request needs, as `Denied` shall name it: `list deployments in namespace ml`.
            total: Seconds for all of it; the answer's beginning has at most 10 of them.

        Raises:
            Gone: HTTP 410.
            Missing: HTTP 404.
            Stale: HTTP 409.
            Refused: The rule forbids it: nothing was sent.
            Denied: HTTP 403.
            Unauthenticated: HTTP 401.
            Unavailable: Anything else that is no success; `Invalid` where the request is the reason, `Busy` for
                HTTP 429, `Broken` if there is no answer, `NotReached` if nothing was sent.
        """
        if self._rule is not None:
            self._rule(method, path)
        response = None
        self._requests += 1
        try:
            with naming_failures(self.access.server):
                async with asyncio.timeout(ANSWER_SECONDS):
                    response = await self._send(method, path, query, body, content_type, total)
                    if response.status >= 400:
                        raise _failure(response, await response.read(), permission)
                yield response
        finally:
            if response is not None:
                _let_go(response)
            self._requests -= 1
            await self._close_when_idle()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Mapping[str, Any] | Sequence[Any] | None,
        content_type: str,
        total: float,
    ) -> "aiohttp.ClientResponse":
        import aiohttp

        headers = {"Accept": "application/json", "Content-Type": content_type}
        parameters = await self._client.param_serialize(
            method, path, query_params=[*query.items()], header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = await self._client.call_api(*parameters, _request_timeout=aiohttp.ClientTimeout(total=total))
        response: aiohttp.ClientResponse = answer.response
        _keep_alive(response)
        return response

    async def retire(self) -> None:
        """Close the connections as soon as no request uses them."""
        self._retired = True
        await self._close_when_idle()

    async def _close_when_idle(self) -> None:
        if self._retired and self._requests == 0:
            await self._client.close()


def _client(configuration: Any, credential: Credential | None) -> Any:
    from kubernetes.aio.client import ApiClient

    configuration.trace_configs = [_sending_once()]
    if credential is not None and credential.token:
        configuration.api_key["BearerToken"] = f"Bearer {credential.token}"
    if credential is None or credential.certificate is None:
        return ApiClient(configuration)
    with tempfile.TemporaryDirectory() as folder:
        # The library takes paths alone; once the TLS context is made, nothing needs the files.
        for name, text in zip(("cert_file", "key_file"), credential.certificate, strict=True):
            path = os.path.join(folder, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            setattr(configuration, name, path)
        return ApiClient(configuration)


def _sending_once() -> "aiohttp.TraceConfig":
    """Return what keeps the HTTP client from sending a write again, as it does with a PUT whose answer was lost."""
    import aiohttp

    async def begin(session: Any, context: Any, parameters: aiohttp.TraceRequestStartParams) -> None:
        context.reads, context.connected = parameters.method == "GET", False

    async def connect(session: Any, context: Any, parameters: Any) -> None:
        if context.connected and not context.reads:
            raise aiohttp.ServerDisconnectedError
        context.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begin)
    trace.on_connection_reuseconn.append(connect)
    trace.on_connection_create_start.append(connect)
    return trace


def decode(data: bytes, server: str) -> dict[str, Any]:
    """Return a JSON object. Raises `Unavailable` if it is anything else."""
    import pydantic_core

    try:
        value = pydantic_core.from_json(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unavailable(f"{server} sent something else than a JSON object", "is this a Kubernetes API server?")
    return value


@contextlib.contextmanager
def naming_failures(server: str) -> Iterator[None]:
    """Turn what the HTTP client raises into `Broken`."""
    import aiohttp

    try:
        yield
    except TimeoutError:
        raise Broken(f"{server} did not answer in time") from None
    except aiohttp.ClientConnectorCertificateError:
        hint = "check certificate-authority in the kubeconfig"
        raise NotReached(f"{server}: its certificate is not trusted", hint) from None
    except aiohttp.ClientConnectorSSLError:
        raise NotReached(f"{server}: TLS failed", "check server and certificate-authority in the kubeconfig") from None
    except aiohttp.ClientConnectorError as error:
        raise NotReached(f"{server} cannot be reached: {_os_reason(error.os_error)}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Broken(f"{server} broke the connection ({type(error).__name__})") from None


def _os_reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def _failure(response: "aiohttp.ClientResponse", data: bytes, permission: str) -> Exception:
    try:
        message = str(decode(data, "").get("message") or "")
    except Unavailable:
        message = ""  # a proxy's page, not a status object
    return failure_of(
        response.status, message, str(response.url.origin()), permission, response.headers.get("Retry-After", "")
    )


def failure_of(code: int, message: str, server: str, permission: str, retry_after: str = "") -> Exception:
    """Return the error that stands for an answer's HTTP status, or for the status object in a watch."""
    if code == 410:
        return Gone(message)
    if code == 404:
        return Missing(message)
    if code == 409:
        return Stale(message)
    if code == 401:
        return Unauthenticated(f"{server} does not accept the credentials", "sign in again, then refresh")
    if code == 403:
        lacking = f"may not {permission}" if permission else message or "not permitted"
        return Denied(lacking, "ask for a Role that allows it", missing=permission)
    said = f": {message}" if message else ""
    if code in (400, 415, 422):
        return Invalid(f"{server} refused it{said}")
    kind = Busy if code == 429 else Unavailable
    return kind(f"{server} answered HTTP {code}{said}", retry_after=_pause(retry_after.strip()))


def _pause(seconds: str) -> float | None:
    # API servers send whole numbers alone.
    return min(float(seconds), LONGEST_PAUSE) if seconds.isascii() and seconds.isdigit() else None


def _let_go(response: "aiohttp.ClientResponse") -> None:
    connection = response.connection  # none, once the answer was read to its end
    if connection is not None and connection.transport is not None:
        connection.transport.abort()  # unlike closing, this waits for no answer to TLS's goodbye
    response.close()


def _keep_alive(response: "aiohttp.ClientResponse") -> None:
    transport = response.connection.transport if response.connection else None
    connected = transport.get_extra_info("socket") if transport else None
    if connected is None:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
