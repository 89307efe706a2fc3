"""Time as a dependency: everything that waits or compares ages is given a clock."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        # Launchers import this module too, and asyncio would be a tenth of the time to their first frame.
        import asyncio

        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ScaledClock(SystemClock):
    """A clock whose wall-clock time is that of a story; waiting takes as long as ever.

    Attributes:
        start: The story's time at `since`.
        speed: Seconds of the story a second; at 0 its time stands still.
        since: Seconds since the epoch.
    """

    start: datetime
    speed: float
    since: float

    def now(self) -> datetime:
        return self.start + timedelta(seconds=(time.time() - self.since) * self.speed)

    def __str__(self) -> str:
        """Return what `parse` reads: how one process tells another."""
        return f"{self.start.isoformat()}/{self.speed!r}/{self.since!r}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Undo `str`. Raises `ValueError`."""
        start, speed, since = text.split("/")
        return cls(datetime.fromisoformat(start), float(speed), float(since))
