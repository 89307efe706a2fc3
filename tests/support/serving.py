"""An ASGI application on a port of its own."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from mlops_tui.demo.kubernetes.tls import Certificate
from tests.support.clock import settle

_GRACE = 1
"""Seconds for requests that are under way at the end."""


class _Server(uvicorn.Server):
    """A server that ends at once; uvicorn's own looks every tenth of a second whether it should, and is not alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are for the tests as a whole.
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers of all answers
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for server in self.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        deadline = time.monotonic() + _GRACE
        while (state.connections or state.tasks) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        for task in state.tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, certificate: Certificate | None = None) -> AsyncIterator[str]:
    """Serve an application in this loop, over TLS with a certificate, and yield its address on the loopback.

    The port listens before anything is served, so a client may ask at once; one that blocks does so in a thread.
    """
    config = uvicorn.Config(
        app,
        log_level="error",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=certificate.certfile if certificate else None,
        ssl_keyfile=certificate.keyfile if certificate else None,
    )
    server = _Server(config)
    # The protocol is named, as asyncio lets answers go out undelayed only where it is known to be TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.ended.set()
            await task
            await settle()
