"""An API server that does what a test's script says, byte by byte."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from mlops_tui.domain.clock import SystemClock
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from tests.contract.kubernetes_source.harness import deployment
from tests.contract.kubernetes_source.schema import check


@dataclass
class Exchange:
    """One request and the way to answer it."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)

    @property
    def is_watch(self) -> bool:
        """Whether it asks for a stream."""
        return "watch" in self.query

    async def answer(self, status: int, body: Any, **headers: str) -> None:
        """Answer with JSON, or with text as it is."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode() + data)
        await self.writer.drain()

    async def items(self, *items: Mapping[str, Any], version: str = "10", token: str = "") -> None:
        """Answer a list with Deployments."""
        metadata = {"resourceVersion": version} | ({"continue": token} if token else {})
        body = {"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": metadata, "items": list(items)}
        check(body)
        await self.answer(200, body)

    async def begin(self) -> None:
        """Begin a stream."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        """Send a piece of a stream."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def event(self, kind: str, thing: Mapping[str, Any]) -> None:
        """Send a watch event."""
        event = {"type": kind, "object": thing}
        check(event)
        await self.send(json.dumps(event).encode() + b"\n")

    async def end(self) -> None:
        """End a stream as it should."""
        await self.send(b"")


Script = Callable[[Exchange], Awaitable[None]]


class FaultyServer:
    """Serves on loopback; a script that returns without ending its stream drops the connection."""

    def __init__(self, script: Script, folder: Path) -> None:
        self._script = script
        self._handlers: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.requests: list[Exchange] = []
        self.kubeconfig = folder / "kubeconfig"

    @property
    def watches(self) -> list[Exchange]:
        """The requests for a stream."""
        return [request for request in self.requests if request.is_watch]

    @property
    def lists(self) -> list[Exchange]:
        """The requests for a list."""
        return [request for request in self.requests if not request.is_watch]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        context = {"cluster": "faulty", "user": "me", "namespace": "ml"}
        config = {
            "clusters": [{"name": "faulty", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "old-token"}}],
            "contexts": [{"name": "faulty", "context": context}],
            "current-context": "faulty",
        }
        self.kubeconfig.write_text(json.dumps(config))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def source(self, *namespaces: str) -> KubernetesSource:
        """Return a source for the server."""
        target = KubernetesTarget(
            "kubernetes", str(self.kubeconfig), None, dict.fromkeys(namespaces, "production"), "production"
        )
        return KubernetesSource(target, SystemClock())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().rstrip().split("\r\n")
                target = urlsplit(first.split(" ")[1])
                headers = dict(line.lower().split(": ", 1) for line in lines)
                request = Exchange(target.path, dict(parse_qsl(target.query)), headers, writer)
                self.requests.append(request)
                await self._script(request)
                if request.is_watch:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client has gone
        finally:
            self._handlers.discard(task)
            writer.close()


def served(name: str, version: str, namespace: str = "ml", **status: int) -> dict[str, Any]:
    """Return a Deployment as a server holds it."""
    body = deployment(name, "registry/fraud:v1")
    body["metadata"] |= {"namespace": namespace, "uid": f"uid-{name}", "resourceVersion": version, "generation": 1}
    body["metadata"]["creationTimestamp"] = "2026-11-20T14:00:00Z"
    body["status"] = {"observedGeneration": 1, **status}
    return body


GONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": 410, "reason": "Expired", "message": "too old"}
