"""What containers print."""

import asyncio
from collections import defaultdict, deque
from datetime import datetime

LINE_LIMIT = 2000
"""Lines kept of a pod."""


class PodLogs:
    """The latest lines of every pod, by the pod's uid."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[datetime, str]]] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._starts: dict[str, tuple[int, int | None]] = {}
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def begin(self, uid: str) -> None:
        """Note that a pod's container starts, for the first time or again."""
        before = self._starts.get(uid)
        self._starts[uid] = self._counts.get(uid, 0), before[0] if before else None

    def add(self, uid: str, moment: datetime, line: str) -> None:
        """Append a line to a pod's log."""
        self._lines.setdefault(uid, deque(maxlen=LINE_LIMIT)).append((moment, line))
        self._counts[uid] += 1
        self._wake(uid)

    def since(self, uid: str, position: int = 0) -> tuple[list[tuple[datetime, str]], int]:
        """Return the lines from `position` on, as far as they are kept, and the position behind them."""
        lines, count = self._lines.get(uid, ()), self._counts.get(uid, 0)
        fresh = min(len(lines), count - position)
        return list(lines)[len(lines) - fresh :], count

    def latest(self, uid: str, *, previous: bool = False) -> tuple[list[tuple[datetime, str]], int]:
        """Return what the container printed since its latest start, or before it since the one before.

        Also returns the position behind all lines.
        """
        start, earlier = self._starts.get(uid, (0, None))
        lines, position = self.since(uid, start)
        if not previous:
            return lines, position
        if earlier is None:
            return [], position
        older = self.since(uid, earlier)[0]
        return older[: len(older) - len(lines)], position

    def exists(self, uid: str) -> bool:
        """Say whether a pod has printed anything."""
        return uid in self._lines

    def forget(self, uid: str) -> None:
        """Drop a pod's log; whoever follows it is woken."""
        self._lines.pop(uid, None)
        self._counts.pop(uid, None)
        self._starts.pop(uid, None)
        self._wake(uid)

    async def changed(self, uid: str) -> None:
        """Wait for the next line, or for the end of the pod."""
        event = asyncio.Event()
        self._followers[uid].add(event)
        try:
            await event.wait()
        finally:
            self._followers[uid].discard(event)
            if not self._followers[uid]:
                del self._followers[uid]

    def _wake(self, uid: str) -> None:
        for event in self._followers.get(uid, ()):
            event.set()
