"""An ASGI application on a port of its own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from mlops_tui.demo.kubernetes.tls import Certificate
from tests.support.clock import settle

_GRACE = 1
"""Seconds for requests that are under way at the end."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals are for the tests as a whole.
        yield


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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
            await settle()
