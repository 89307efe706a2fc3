"""A real MLflow server for a test session, and a relay before it that counts, breaks and mends."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

START_TIMEOUT = 90.0
"""Seconds for the server's first answer, on a busy machine."""
_REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a real MLflow server with an empty database, gone with all its children at the end."""
    with running_mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@contextlib.contextmanager
def running_mlflow_server(folder: Path) -> Iterator[str]:
    """Run `mlflow server` on a free port with its database in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=folder, start_new_session=True
        )
    try:
        _wait_for(f"{uri}/health", server, log)
        yield uri
    finally:
        _stop(server)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"mlflow server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(15)
    # Its group is its own: whatever is left of it goes too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


class Relay:
    """Passes bytes on to a server and keeps each request's method and path."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.requests: list[str] = []
        self.broken = ""
        """A part of a path; connections that ask for one with it break."""

    @property
    def uri(self) -> str:
        """Where the relay listens."""
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse connections and break those that are open, as a server does that was killed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await _end(self._connections, self._writers)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        self._writers |= {writer, upstream_writer}
        await asyncio.gather(
            self._pass(reader, upstream_writer, self._record), self._pass(upstream_reader, writer, lambda _: None)
        )
        self._writers -= {writer, upstream_writer}
        self._connections.discard(connection)

    def _record(self, data: bytes) -> None:
        self.requests += [f"{method.decode()} {path.decode()}" for method, path in _REQUEST.findall(data)]
        if self.broken and self.requests and self.broken in self.requests[-1]:
            raise ConnectionResetError

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                note(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def relay_to(upstream: str) -> AsyncIterator[Relay]:
    """Run a relay to `upstream`."""
    relay = Relay(upstream)
    await relay.listen()
    try:
        yield relay
    finally:
        await relay.refuse()


@contextlib.asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """Run a server that gives each request the same answer, or none at all for `None`."""
    connections: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        connections.add(connection)
        writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await _end(connections, writers)


async def _end(connections: set[asyncio.Task[None]], writers: set[asyncio.StreamWriter]) -> None:
    """Break connections, those too that were accepted a moment ago and have no task yet."""
    for _ in range(20):
        for writer in list(writers):
            writer.transport.abort()
        await asyncio.sleep(0)
    await asyncio.gather(*connections, return_exceptions=True)


def http_answer(status: int, body: str, content_type: str = "application/json", headers: str = "") -> bytes:
    """Return the bytes of an HTTP answer."""
    content = body.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


async def in_thread(call: Callable[[], Any]) -> Any:
    """Run a blocking call of the SDK beside the event loop that the relay needs."""
    waiting: Awaitable[Any] = asyncio.to_thread(call)
    return await waiting
