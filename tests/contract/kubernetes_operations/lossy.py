"""A proxy before an API server that loses answers; connections live on, as they do with a real one."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from tests.support.clock import settle


class Fault(StrEnum):
    """What becomes of a request."""

    LOST = "it happens, and the connection breaks before the answer"
    DEAF = "it happens, and from then on nobody can be reached"
    EARLY = "it does not happen, and the connection breaks"
    LATE = "it happens a while after the connection broke"
    ERROR = "it happens, and a gateway has given up before"


LATE_SECONDS = 0.3
_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@dataclass
class LossyProxy:
    """Passes requests on.

    Attributes:
        faults: By the start of a request line, `PATCH /apis/apps`; each is used up by the first request that it fits.
        lines: The request lines that came.
    """

    upstream: str
    verify: ssl.SSLContext | bool
    faults: dict[str, Fault] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    deaf: bool = False
    late: list["asyncio.Task[bytes]"] = field(default_factory=list)

    def writes(self) -> list[str]:
        """Return the writes that came, but for Events and leases."""
        return [
            line.partition("?")[0]
            for line in self.lines
            if not line.startswith(("GET ", "POST /apis/authorization")) and "/events" not in line
        ]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not self.deaf:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                if not await self._answer(head, body, writer):
                    break
        writer.transport.abort()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Handle a request; return whether the connection goes on."""
        line = head.partition(b"\r\n")[0].decode().removesuffix(" HTTP/1.1")
        self.lines.append(line)
        start = next((start for start in self.faults if line.startswith(start)), None)
        fault = self.faults.pop(start) if start else None
        if fault is Fault.EARLY:
            return False
        if fault is Fault.LATE:
            self.late.append(asyncio.create_task(self._later(head, body)))
            return False
        if "watch=1" in line:
            await self._forward(head, body, writer)
            return False
        answer = await self._forward(head, body)
        self.deaf = self.deaf or fault is Fault.DEAF
        if fault in (Fault.LOST, Fault.DEAF):
            return False
        writer.write(_GATEWAY if fault is Fault.ERROR else answer)
        await writer.drain()
        return True

    async def _later(self, head: bytes, body: bytes) -> bytes:
        await asyncio.sleep(LATE_SECONDS)
        return await self._forward(head, body)

    async def _forward(self, head: bytes, body: bytes, writer: asyncio.StreamWriter | None = None) -> bytes:
        """Send a request on; return its answer, or write it piece by piece."""
        parts = urlsplit(self.upstream)
        secure = self.verify if isinstance(self.verify, ssl.SSLContext) else None
        reader, up = await asyncio.open_connection(parts.hostname, parts.port, ssl=secure)
        up.write(head + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        try:
            if writer is not None:
                writer.write(answer)
                while piece := await reader.read(65_536):
                    writer.write(piece)
                    await writer.drain()
            elif b"transfer-encoding: chunked" in answer.lower():
                answer += await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                answer += await reader.readexactly(_length(answer))
        finally:
            up.transport.abort()
        return answer


@contextlib.asynccontextmanager
async def lossy(upstream: str, verify: ssl.SSLContext | bool) -> AsyncIterator[tuple[str, LossyProxy]]:
    """Run a proxy before a server; yields its address and itself."""
    proxy = LossyProxy(upstream, verify)
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await proxy.serve(reader, writer)
        writer.transport.abort()
        handlers.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy
    finally:
        await asyncio.gather(*proxy.late)
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await settle()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
