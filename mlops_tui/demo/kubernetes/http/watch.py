"""Watches: changes as they happen, one JSON line each."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import expired
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.http.query import Selection
from mlops_tui.demo.kubernetes.http.representation import Form, encode, one
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import Change, Stored

BOOKMARK_SECONDS = 60.0
"""Between two bookmarks of a quiet watch."""
LAST_BOOKMARK_SECONDS = 2.0
"""Before its end a watch sends one more, so that the client resumes from there."""
DEFAULT_TIMEOUT_SECONDS = 1800


class Bell:
    """Wakes the watches of the resource type that has changed."""

    def __init__(self, cluster: Cluster) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        cluster.store.listeners.append(self._ring)

    def _ring(self, change: Change) -> None:
        for event in self._waiting.get(change.object.resource.qualified, ()):
            event.set()

    def listen(self, resource: Resource, event: asyncio.Event) -> None:
        """Set `event` at every change of the type."""
        self._waiting[resource.qualified].add(event)

    def leave(self, resource: Resource, event: asyncio.Event) -> None:
        """Stop that."""
        self._waiting[resource.qualified].discard(event)


@dataclass(frozen=True)
class Watch:
    """One client's watch.

    Attributes:
        version: Where it starts; `None` first brings every object there is as added.
        timeout: Seconds until the server ends it.
        bookmarks: Whether the client wants to be told versions while nothing happens.
        include: What rows of a table carry of their object.
    """

    cluster: Cluster
    bell: Bell
    target: Target
    selection: Selection
    form: Form
    version: int | None
    timeout: float
    bookmarks: bool
    include: str

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield events until the time is up, or until history no longer reaches back to the last one."""
        resource, loop = self.target.resource, asyncio.get_running_loop()
        woken = asyncio.Event()
        end = loop.time() + self.timeout
        next_bookmark = self._next_bookmark(loop.time(), end)
        self.bell.listen(resource, woken)
        try:
            version, head = self.version, True
            if version is None:
                version = self.cluster.store.version
                for stored in self._present():
                    yield self._line("ADDED", stored, head=head)
                    head = False
            while True:
                woken.clear()
                changes = self.cluster.store.log(resource).after(version)
                if changes is None:
                    yield _gone(version, self.cluster.store.log(resource).floor)
                    return
                for change in changes:
                    version = change.object.version
                    if (event := self._event(change)) is not None:
                        yield self._line(*event, head=head)
                        head = False
                if woken.is_set():
                    continue
                if loop.time() >= end:
                    return
                if self.bookmarks and loop.time() >= next_bookmark:
                    version = max(version, self.cluster.store.version)
                    yield self._bookmark(version)
                    next_bookmark = self._next_bookmark(loop.time(), end)
                await _wait(woken, min(end, next_bookmark) if self.bookmarks else end)
        finally:
            self.bell.leave(resource, woken)

    def _next_bookmark(self, now: float, end: float) -> float:
        last = end - LAST_BOOKMARK_SECONDS
        return min(now + BOOKMARK_SECONDS, last) if now < last else end + 1.0

    def _present(self) -> list[Stored]:
        objects = self.cluster.store.select(self.target.resource, self.target.namespace)
        return [stored for stored in objects if self._matches(stored)]

    def _matches(self, stored: Stored) -> bool:
        if self.target.namespace and stored.key[0] != self.target.namespace:
            return False
        return self.selection(stored.body)

    def _event(self, change: Change) -> tuple[str, Stored] | None:
        """Return what a change means to this watch: an object that leaves the selection is deleted from its view."""
        before = change.previous is not None and self._matches(change.previous)
        after = change.type != "DELETED" and self._matches(change.object)
        if before and after:
            return "MODIFIED", change.object
        if after:
            return "ADDED", change.object
        return ("DELETED", change.object) if before else None

    def _line(self, type_: str, stored: Stored, *, head: bool) -> bytes:
        stored = stored.seen_as(self.target.resource)
        body = one(stored, self.form, self.cluster.clock.now(), self.include, head=head)
        return b'{"type":"%s","object":%s}\n' % (type_.encode(), body)

    def _bookmark(self, version: int) -> bytes:
        resource = self.target.resource
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        body = {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
        return encode({"type": "BOOKMARK", "object": body}) + b"\n"


def _gone(version: int, floor: int) -> bytes:
    status = expired(f"too old resource version: {version} ({floor})").status()
    return encode({"type": "ERROR", "object": status}) + b"\n"


async def _wait(event: asyncio.Event, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await event.wait()
    except TimeoutError:
        return
