"""The world's time: first rehearsed without waiting, so that the past is there at once, then as fast as it is told."""

import asyncio
import heapq
import itertools
import time
from datetime import datetime, timedelta
from typing import Final

_SETTLE_ROUNDS: Final = 5
"""Turns of the event loop for what was just woken to run up to its next sleep."""


class WorldClock:
    """A clock that stands still until it is moved, and runs by itself once it goes live.

    Rehearsed and live time are one axis: whoever sleeps across the moment of going live wakes on time.
    """

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        """Stand at `start`; `speed` is seconds of the world a second, once live: at 0 it goes on standing still."""
        self._start = start
        self._speed = speed
        self._elapsed = 0.0
        self._live_since: float | None = None
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        if self._live_since is None:
            return self._elapsed
        return self._elapsed + (time.monotonic() - self._live_since) * self._speed

    async def sleep(self, seconds: float) -> None:
        if self._live_since is not None and self._speed:
            await asyncio.sleep(seconds / self._speed)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + max(0.0, seconds), next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Move a clock that is not live, waking its sleepers in order, each at its own time."""
        assert self._live_since is None
        target = self._elapsed + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, wake = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not wake.done():
                wake.set_result(None)
                await self._settle()
        self._elapsed = target

    async def advance_to(self, moment: datetime) -> None:
        """Move a clock that is not live to `moment`; does nothing if that is past."""
        await self.advance(max(0.0, (moment - self.now()).total_seconds()))

    def go_live(self, behind: float = 0.0) -> None:
        """Run by itself from now on.

        Args:
            behind: Seconds (not of the world) for which it should have run already.
        """
        loop = asyncio.get_running_loop()
        self._live_since = time.monotonic() - behind
        if not self._speed:
            return
        for due, _, wake in sorted(self._sleepers, key=lambda sleeper: sleeper[:2]):
            loop.call_later(max(0.0, (due - self._elapsed) / self._speed - behind), _wake, wake)
        self._sleepers.clear()

    @staticmethod
    async def _settle() -> None:
        for _ in range(_SETTLE_ROUNDS):
            await asyncio.sleep(0)


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)
