"""A proxy that holds every exchange that passes through it against the official schemas."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.github_schema import check_exchange
from tests.support.kubernetes_schema import check_event, check_object

HOP_BY_HOP = ("connection", "transfer-encoding", "accept-encoding", "content-length", "keep-alive")
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
NO_SCHEMA = ("/version", "/readyz", "/apis/authentication.k8s.io/v1/selfsubjectreviews")
"""Answers of kinds that the official schemas at hand leave out."""
Check = Callable[[httpx.Request, bytes, httpx.Response, bytes], None]


@dataclass
class Verdict:
    """What passed.

    Attributes:
        exchanges: How many.
        failures: What broke a schema, in words.
    """

    exchanges: int = 0
    failures: list[str] = field(default_factory=list)


def check_github(request: httpx.Request, sent: bytes, response: httpx.Response, body: bytes) -> None:
    """Check an exchange with GitHub, REST or GraphQL. Raises `AssertionError`."""
    check_exchange(request.method, str(request.url), sent, response.status_code, dict(response.headers), body)


def check_kubernetes(request: httpx.Request, sent: bytes, response: httpx.Response, body: bytes) -> None:
    """Check an exchange with Kubernetes: what is sent, an object, a list, or the events of a watch."""
    if request.url.path in NO_SCHEMA or request.url.path.startswith("/openapi"):
        return
    if sent and request.method in ("POST", "PUT"):
        check_object(json.loads(sent))
    if request.url.params.get("watch") and response.status_code == 200:
        # A watch that the client left has its last line cut.
        for line in body.split(b"\n")[:-1]:
            check_event(json.loads(line))
    elif "json" in response.headers.get("content-type", "") and "as=Table" not in request.headers.get("accept", ""):
        check_object(json.loads(body))


class _Proxy:
    def __init__(self, target: str, check: Check, verdict: Verdict, verify: ssl.SSLContext | bool) -> None:
        self._target = target
        self._check = check
        self._verdict = verdict
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, verify=verify)

    async def answer(self, request: Request) -> StreamingResponse:
        sent = await request.body()
        url = f"{self._target}{request.url.path}{f'?{request.url.query}' if request.url.query else ''}"
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
        # The host goes through: servers name themselves by it in what they answer.
        forwarded = self._client.build_request(request.method, url, headers=headers, content=sent)
        response = await self._client.send(forwarded, stream=True)
        kept = {name: value for name, value in response.headers.items() if name not in HOP_BY_HOP}
        return StreamingResponse(self._relay(forwarded, sent, response), response.status_code, kept)

    async def _relay(self, request: httpx.Request, sent: bytes, response: httpx.Response) -> AsyncIterator[bytes]:
        body = b""
        whole = False
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                yield chunk
            whole = True
        finally:
            await response.aclose()
            if whole or request.url.params.get("watch"):
                self._judge(request, sent, response, body)

    async def close(self) -> None:
        await self._client.aclose()

    def _judge(self, request: httpx.Request, sent: bytes, response: httpx.Response, body: bytes) -> None:
        self._verdict.exchanges += 1
        try:
            self._check(request, sent, response, body)
        except (AssertionError, ValueError) as error:
            self._verdict.failures.append(f"{request.method} {request.url.path}: {error}"[:600])


@contextmanager
def judging(
    target: str, check: Check, verify: ssl.SSLContext | bool = True, identity: tuple[Path, Path] | None = None
) -> Iterator[tuple[str, Verdict]]:
    """Run a proxy in front of `target`, the scheme and host of a server; yields its own and the verdict.

    Args:
        verify: How to verify a target that speaks TLS.
        identity: Certificate and key by which the proxy speaks TLS itself.
    """
    verdict = Verdict()
    proxy = _Proxy(target, check, verdict, verify)
    app = Starlette(routes=[Route("/{path:path}", proxy.answer, methods=METHODS)])
    # The protocol is named, as asyncio lets answers go out undelayed only where it is known to be TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    certificate, key = identity or (None, None)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1,
            ssl_certfile=certificate, ssl_keyfile=key,
        )
    )  # fmt: skip
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server, listener, proxy)))
    thread.start()
    try:
        yield f"{'https' if identity else 'http'}://127.0.0.1:{listener.getsockname()[1]}", verdict
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


async def _serve(server: uvicorn.Server, listener: socket.socket, proxy: _Proxy) -> None:
    await server.serve([listener])
    await proxy.close()


class JudgedApp:
    """An ASGI application whose every exchange is judged; what is found is appended to a file, a line each."""

    def __init__(self, app: ASGIApp, check: Check, record: Path) -> None:
        self._app = app
        self._check = check
        self._record = record

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

        try:
            await self._app(scope, listen, tell)
        finally:
            if start:
                self._judge(scope, b"".join(asked), start, b"".join(answered))

    def _judge(self, scope: Scope, sent: bytes, start: Message, body: bytes) -> None:
        path = f"http://world{scope['path']}?{scope['query_string'].decode()}".removesuffix("?")
        request = httpx.Request(scope["method"], path, headers=scope["headers"])
        found = "ok"
        try:
            self._check(request, sent, httpx.Response(start["status"], headers=start["headers"]), body)
        except (AssertionError, ValueError) as error:
            found = " ".join(f"{request.method} {request.url.path}: {error}".split())[:600]
        with self._record.open("a", encoding="utf-8") as file:
            file.write(found + "\n")


def judge_world(folder: str) -> None:
    """Put the judge before the servers of a world that is about to start in this process."""
    from mlops_tui.demo import github, kubernetes

    checks: tuple[tuple[Any, Check], ...] = ((github, check_github), (kubernetes, check_kubernetes))
    for module, check in checks:
        record = Path(folder) / module.__name__.rpartition(".")[2]

        def judged(
            *given: Any, make: Any = module.create_app, check: Check = check, record: Path = record
        ) -> JudgedApp:
            return JudgedApp(make(*given), check, record)

        module.create_app = judged
