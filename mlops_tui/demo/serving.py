"""Serves the world's applications from sockets that listen already, without a word on the terminal."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx
import uvicorn

if TYPE_CHECKING:
    from mlops_tui.demo.kubernetes.tls import Certificate

_PAUSE: Final = 0.1
"""Seconds between two questions whether a server answers."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals end the world as a whole, which is not this server's business.
        yield


async def serve(application: Any, listener: socket.socket, certificate: "Certificate | None" = None) -> None:
    """Serve until cancelled, over TLS with a certificate."""
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=60,
        ssl_certfile=certificate.certfile if certificate else None,
        ssl_keyfile=certificate.keyfile if certificate else None,
    )
    await _Server(config).serve(sockets=[listener])


async def answer(questions: Mapping[str, str], patience: float, verify: ssl.SSLContext | bool = True) -> None:
    """Return when every URL of `questions` is answered to its bearer token.

    Args:
        verify: How to verify those that speak TLS.

    Raises:
        TimeoutError: One of them is not after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    # Without the user's proxies: the loopback is behind none.
    async with httpx.AsyncClient(trust_env=False, timeout=patience, verify=verify) as client:
        for url, token in questions.items():
            while not await _answers(client, url, token):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{url} does not answer")
                await asyncio.sleep(_PAUSE)


async def _answers(client: httpx.AsyncClient, url: str, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return (await client.get(url, headers=headers)).is_success
    except httpx.TransportError:
        return False
