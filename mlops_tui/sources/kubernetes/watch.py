"""Keeps the rows of one namespace up to date: a paged list, then a watch that resumes where the last one ended."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, SourceError, Unavailable
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.state import Problem, SourceStatus
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.namespaces import absence_of, scope_of
from mlops_tui.sources.kubernetes.target import ALL_NAMESPACES
from mlops_tui.sources.kubernetes.transport import Broken, Gone, Missing, decode, failure_of

if TYPE_CHECKING:
    import aiohttp

PAGE = 100
"""Deployments a page: about 1 MiB, which is parsed in some 20 ms."""
MOST_PAGES = 1000
"""Where a list that does not end is given up."""
WATCH_SECONDS = (240, 300)
"""Between which a watch's length is drawn, so that many do not begin anew at once."""
WATCH_GRACE = 10.0
"""Seconds after which a watch is over though the server did not end it."""
LEAST_STREAM = 1.0
"""Seconds below which a watch that ended has failed: a server or proxy that does this would be asked in a loop."""
RESUME_SECONDS = 1.0
"""The least pause between two watches."""
MOST_BACKOFF = 30.0
DENIED_SECONDS = 300.0
"""Between tries of a namespace that may not be read, while others are: permissions are granted by people."""


class Stage(Enum):
    """How far a namespace has come."""

    STARTING = "starting"
    LISTED = "listed"
    WATCHING = "watching"
    FAILED = "failed"


class Ledger:
    """All rows known, and what changed in them since somebody last took the changes."""

    def __init__(self) -> None:
        self.rows: dict[str, RolloutRow] = {}
        self.changed = asyncio.Event()
        self._pending: dict[str, RolloutRow | None] = {}

    def put(self, row: RolloutRow) -> None:
        """Add a row, unless it is known in this version."""
        known = self.rows.get(row.key)
        if known and (known.uid, known.resource_version) == (row.uid, row.resource_version):
            return
        self.rows[row.key] = self._pending[row.key] = row
        self.changed.set()

    def remove(self, key: str) -> None:
        """Drop a row, if it is there."""
        if self.rows.pop(key, None):
            self._pending[key] = None
            self.changed.set()

    def take(self) -> tuple[list[RolloutRow], list[str]]:
        """Return the rows to upsert and the keys to remove, and begin anew."""
        pending, self._pending = self._pending, {}
        return [row for row in pending.values() if row], [key for key, row in pending.items() if row is None]


class NamespaceWatch:
    """One namespace, or all of them.

    Args:
        scope: The namespace, or `*`.
        project: Makes a row of a Deployment.
        ledger: Where rows go; its event is set at every change of `stage` too.
        jitter: Draws the lengths of watches and pauses.

    Attributes:
        error: Why it is in stage `FAILED`.
        answered: Whether the server gave or confirmed rows in this cycle.
    """

    def __init__(
        self,
        scope: str,
        connection: Connection,
        project: Callable[[Mapping[str, Any]], RolloutRow],
        ledger: Ledger,
        clock: Clock,
        jitter: random.Random,
    ) -> None:
        self.scope = scope
        self.stage = Stage.STARTING
        self.error: SourceError | None = None
        self.answered = False
        self._connection = connection
        self._project = project
        self._ledger = ledger
        self._clock = clock
        self._jitter = jitter
        self._keys: set[str] = set()
        self._version: str | None = None
        self._failures = 0
        self._absence: Problem | None = None
        everywhere = scope == ALL_NAMESPACES
        self.where = "in all namespaces" if everywhere else f"in namespace {scope}"
        self._path = "/apis/apps/v1/deployments" if everywhere else f"/apis/apps/v1/namespaces/{scope}/deployments"

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the rows that it found."""
        return frozenset(self._keys)

    @property
    def problem(self) -> Problem | None:
        """What is wrong with this namespace while others may be well."""
        scope = scope_of(self.scope)
        rows = (RowKind.ROLLOUT,)
        if self.error is not None:
            status = SourceStatus.DENIED if isinstance(self.error, Denied) else SourceStatus.UNREACHABLE
            return Problem(scope=scope, message=self.error.message, hint=self.error.hint, status=status, rows=rows)
        if self.stage is Stage.STARTING:
            return Problem(scope=scope, message="no answer yet", status=SourceStatus.CONNECTING, rows=rows)
        return None if self._keys else self._absence

    def restart(self, *, relist: bool) -> None:
        """Begin a cycle: nothing is proven yet; with `relist`, not even what was the latest version."""
        self.stage, self.error, self.answered = Stage.STARTING, None, False
        if relist:
            self._version = None

    async def run(self) -> None:
        """Follow the namespace for ever.

        A failure of this namespace alone is kept in `error`, and tried again. Raises `Unauthenticated` and
        `NotConfigured`, which are about the whole cluster.
        """
        while True:
            try:
                await self._follow()
            except Denied as error:
                self._version = None  # who may list, and not watch, is given a new list at each try
                self._enter(Stage.FAILED, error)
                await self._clock.sleep(DENIED_SECONDS * self._jitter.uniform(0.8, 1.2))
            except Unavailable as error:
                self._failures += 1
                error.retry_after = max(error.retry_after or 0.0, self._backoff())
                self._enter(Stage.FAILED, error)
                await self._clock.sleep(error.retry_after)

    def _backoff(self) -> float:
        whole: float = min(MOST_BACKOFF, 2.0 ** min(self._failures - 1, 8))
        return max(RESUME_SECONDS, whole * self._jitter.random())

    def _enter(self, stage: Stage, error: SourceError | None = None) -> None:
        if (self.stage, self.error) != (stage, error):
            self.stage, self.error = stage, error
            self.answered = self.answered or error is None
            self._ledger.changed.set()

    async def _follow(self) -> None:
        listed_at: float | None = None
        while True:
            listing = self._version is None
            if self._version is None:
                self._version = await self._list()
                listed_at = self._clock.monotonic()
            await self._look_for_namespace()
            if listing:
                self._enter(Stage.LISTED)
            try:
                await self._stream(self._version)
            except Gone:
                self._version = None
                if listed_at is not None and self._clock.monotonic() - listed_at < LEAST_STREAM:
                    raise Unavailable("the server forgets what it has just listed (HTTP 410)") from None
            else:
                await self._clock.sleep(RESUME_SECONDS * self._jitter.uniform(1.0, 2.0))

    async def _look_for_namespace(self) -> None:
        absence = None if self._keys else await absence_of(self._connection, self.scope)
        if absence != self._absence:
            self._absence = absence
            self._ledger.changed.set()

    async def _list(self) -> str:
        """Read everything, and return the version that it was read at."""
        try:
            rows, version = await self._pages()
        except Gone:  # the list changed under a slow reader
            try:
                rows, version = await self._pages()
            except Gone:
                raise Unavailable(f"the list of Deployments {self.where} expires before it is read") from None
        for key in self._keys - rows.keys():
            self._ledger.remove(key)
        for row in rows.values():
            self._ledger.put(row)
        self._keys = set(rows)
        return version

    async def _pages(self) -> tuple[dict[str, RolloutRow], str]:
        rows: dict[str, RolloutRow] = {}
        query: dict[str, str | int] = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            try:
                page = await self._connection.get(self._path, query, permission=f"list deployments {self.where}")
            except Missing:
                raise Unavailable("the server has no Deployments", "is this a Kubernetes API server?") from None
            metadata, items = page.get("metadata"), page.get("items")
            if not isinstance(metadata, dict) or not isinstance(items, list | None):
                raise Unavailable("the server sent something else than a list", "is this a Kubernetes API server?")
            rows.update((row.key, row) for row in map(self._project, items or ()))
            if not metadata.get("continue"):
                return rows, str(metadata.get("resourceVersion", ""))
            query["continue"] = str(metadata["continue"])
        raise Unavailable(f"the list of Deployments {self.where} does not end")

    async def _stream(self, version: str) -> None:
        """Watch once. Returns when the watch has ended as watches do; raises `Gone` if `version` is too old."""
        seconds = self._jitter.randint(*WATCH_SECONDS)
        query: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": seconds,
        }
        permission = f"watch deployments {self.where}"
        lasts_from = math.inf
        try:
            async with self._connection.open(
                "GET", self._path, query, permission=permission, total=seconds + WATCH_GRACE
            ) as response:
                lasts_from = self._clock.monotonic() + LEAST_STREAM
                self._enter(Stage.WATCHING)
                async for line in _lines(response):
                    self._apply(decode(line, "the watch"))
        except Broken:
            if self._clock.monotonic() < lasts_from:
                raise
        except Missing:
            raise Unavailable("the server has no Deployments", "is this a Kubernetes API server?") from None
        if self._clock.monotonic() < lasts_from:
            raise Unavailable("the server ends its watches at once", "is a proxy between here and the API server?")
        self._failures = 0

    def _apply(self, event: Mapping[str, Any]) -> None:
        kind, thing = event.get("type"), event.get("object")
        if not isinstance(thing, dict):
            raise Unavailable("the watch sent something else than an event")
        if kind == "ERROR":
            code, message = thing.get("code"), str(thing.get("message", ""))
            permission = f"watch deployments {self.where}"
            raise failure_of(code if isinstance(code, int) else 500, message, "the watch", permission)
        if kind in ("ADDED", "MODIFIED"):
            row = self._project(thing)
            self._keys.add(row.key)
            self._ledger.put(row)
        elif kind == "DELETED":
            key = self._project(thing).key
            self._keys.discard(key)
            self._ledger.remove(key)
        version = (thing.get("metadata") or {}).get("resourceVersion")
        self._version = str(version) if version else self._version


async def _lines(response: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
    """Yield the whole lines of a stream; what a broken stream leaves of its last line is dropped."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in filter(bytes.strip, lines):
            yield line
