"""A proxy that loses answers: what a client sent has happened, and it does not learn of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit


class Fault(StrEnum):
    """What becomes of a request."""

    LOST_ANSWER = "it happens, and the connection breaks before the answer"
    LATE_502 = "it happens, and the gateway has given up before"
    EARLY_502 = "it does not happen: the gateway reaches nobody"
    STALLED = "it does not happen, and nobody ever answers"


BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\nConnection: close\r\n\r\nBad Gateway"


@dataclass
class FaultyProxy:
    """Passes requests on, one a connection.

    Attributes:
        faults: By the start of a request line, `POST /repos/`; each is used up by the first request that it fits.
    """

    upstream: str
    faults: dict[str, Fault] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            fault = self._fault(head)
            if fault is Fault.STALLED:
                await reader.read()  # until the client gives up
            elif fault is Fault.EARLY_502:
                writer.write(BAD_GATEWAY)
            else:
                answer = await self._forward(head, body)
                if fault is not Fault.LOST_ANSWER:
                    writer.write(BAD_GATEWAY if fault is Fault.LATE_502 else answer)
            await writer.drain()
        writer.close()

    def _fault(self, head: bytes) -> Fault | None:
        line = head.partition(b"\r\n")[0].decode()
        start = next((start for start in self.faults if line.startswith(start)), None)
        return self.faults.pop(start) if start else None

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
        answer = await reader.read()
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def faulty(upstream: str) -> AsyncIterator[tuple[str, FaultyProxy]]:
    """Run a proxy before a server; yields its address and itself."""
    proxy = FaultyProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", proxy


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
