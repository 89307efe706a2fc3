"""Signs in to an API server when first asked, and again when the credentials have run out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Unauthenticated
from mlops_tui.sources.kubernetes.exec_plugin import Credential
from mlops_tui.sources.kubernetes.kubeconfig import Access
from mlops_tui.sources.kubernetes.transport import ANSWER_SECONDS, Rule, Transport, decode

if TYPE_CHECKING:
    import aiohttp

EXPIRY_MARGIN = timedelta(seconds=60)
"""Before its expiry, when a plugin's credential is renewed; half of its life if that is less."""
LEAST_LIFE = timedelta(seconds=10)
"""How long even a credential that came expired is used, so that a wrong clock runs no plugin for each request."""

Query = Mapping[str, str | int]


class Connection:
    """The way to one API server, whoever asks and however often the credentials change.

    Args:
        read_access: Finds out where and as whom; blocks, and is called in a thread.
        clock: Tells when credentials have expired.
        rule: What may not be sent; see `Transport`.
    """

    def __init__(self, read_access: Callable[[], Access], clock: Clock, rule: Rule | None = None) -> None:
        self._read_access = read_access
        self._rule = rule
        self._clock = clock
        self._lock = asyncio.Lock()
        self._transport: Transport | None = None
        self._renew_at: datetime | None = None
        self._retiring: list[Transport] = []

    async def access(self) -> Access:
        """Return where and as whom requests go. Raises what `read_access` and the exec plugin raise."""
        return (await self._signed_in()).access

    async def _signed_in(self, refused: Transport | None = None) -> Transport:
        async with self._lock:
            expired = self._renew_at is not None and self._clock.now() >= self._renew_at
            if self._transport is not None and (expired or self._transport is refused):
                self.forget()
            await self._retire()
            if self._transport is None:
                access = await asyncio.to_thread(self._read_access)
                credential = await access.plugin.run() if access.plugin else None
                self._renew_at = self._renewal(credential)
                self._transport = await asyncio.to_thread(Transport, access, credential, self._rule)
            return self._transport

    def _renewal(self, credential: Credential | None) -> datetime | None:
        if credential is None or credential.expires_at is None:
            return None
        now = self._clock.now()
        life = credential.expires_at - now
        return now + max(LEAST_LIFE, life - min(EXPIRY_MARGIN, life / 2))

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content_type: str = "application/json",
        permission: str = "",
        total: float = ANSWER_SECONDS,
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """Send a request as `Transport.open` does, once more with new credentials where the first are refused."""
        transport = await self._signed_in()
        given: Any = {"body": body, "content_type": content_type, "permission": permission, "total": total}
        async with contextlib.AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(transport.open(method, path, query, **given))
            except Unauthenticated:
                # Whoever is not known has not been heard: a write may be sent again too.
                transport = await self._signed_in(refused=transport)
                response = await stack.enter_async_context(transport.open(method, path, query, **given))
            yield response

    async def get(self, path: str, query: Query | None = None, *, permission: str = "") -> dict[str, Any]:
        """Return an object, or a list of them. Raises as `Transport.open` does."""
        async with self.open("GET", path, query or {}, permission=permission) as response:
            return decode(await response.read(), str(response.url.origin()))

    async def review(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a review, which is a POST that changes nothing. Raises as `Transport.open` does."""
        async with self.open("POST", path, {}, body=body) as response:
            return decode(await response.read(), str(response.url.origin()))

    def forget(self) -> None:
        """Sign in anew before the next request."""
        if self._transport is not None:
            self._retiring.append(self._transport)
        self._transport = self._renew_at = None

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        self.forget()
        await self._retire()

    async def _retire(self) -> None:
        while self._retiring:
            await self._retiring.pop().retire()
