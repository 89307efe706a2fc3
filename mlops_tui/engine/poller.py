"""When a source is read: one poller each, the same rules for all of them."""

import asyncio
import contextlib
import logging
import random
from datetime import timedelta

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import (
    Denied,
    MlopsTuiError,
    NotConfigured,
    RateLimited,
    SourceError,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.domain.state import SourceState, SourceStatus
from mlops_tui.engine.board import Board
from mlops_tui.sources.base import Delta, Source

log = logging.getLogger(__name__)

FIRST_BACKOFF = 1.0
"""Seconds after the first failure, before jitter: a blip is over before anybody has read the message."""
MOST_BACKOFF = 30.0
"""Seconds at most between tries of a system that is down: soon enough for somebody who waits for it."""
REFUSED_BACKOFF = 60.0
"""Seconds between tries where only a person can help (credentials, permissions, configuration)."""
MOST_PAUSE = 3700.0
"""Seconds that a system may ask us to wait: GitHub's quota is whole again within the hour. More is a mistake."""


def backoff(failures: int, retry_after: float | None, jitter: random.Random) -> float:
    """Return the seconds to wait after the `failures`-th failure in a row (1 is the first).

    Exponential, of which the upper half is random so that many viewers do not come back in step, and never less than
    the server asked for.
    """
    whole: float = min(MOST_BACKOFF, FIRST_BACKOFF * 2 ** min(failures - 1, 16))
    return max(whole * jitter.uniform(0.5, 1.0), min(retry_after or 0.0, MOST_PAUSE))


class Poller:
    """Reads one source for ever: single flight, last good data kept, slower while nobody looks, never stopped."""

    def __init__(self, source: Source, board: Board, clock: Clock, jitter: random.Random) -> None:
        self._source = source
        self._board = board
        self._clock = clock
        self._jitter = jitter
        self._attended = True
        self._changed = asyncio.Event()
        self._wanted = False
        self._answered = False
        self._failures = 0
        self._asked_to_wait_until = 0.0
        info = source.info
        if info.id not in {state.source for state in board.states}:
            board.set_state(SourceState(source=info.id, kind=info.kind, label=info.label, complete=False))

    @property
    def state(self) -> SourceState:
        """The state that the board has of the source."""
        return self._board.state(self._source.info.id)

    def refresh(self) -> None:
        """Read the source again now and in full; a watch begins anew.

        Ignored while it is being read, and while the system has asked us to wait.
        """
        if self._clock.monotonic() < self._asked_to_wait_until:
            return
        self._wanted = True
        self._changed.set()

    def attend(self, attended: bool) -> None:
        """Say whether somebody looks."""
        self._attended = attended
        self._changed.set()

    async def run(self) -> None:
        """Read the source until cancelled."""
        while True:
            try:
                await self._pause(await self._once())
                if self._wanted:
                    self._wanted = False
                    self._source.forget()
            except Exception:
                # Whatever it was, a pane that is never read again would be worse.
                log.exception("%s: the poller stumbled", self._source.info.id)
                await self._clock.sleep(MOST_BACKOFF)

    async def _once(self) -> float | None:
        """Run one cycle. Returns the seconds to wait, `None` for the source's own cadence."""
        cycle = asyncio.ensure_future(self._source.cycle(self._publish))
        try:
            while not cycle.done():
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((cycle, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if self._wanted and not cycle.done():
                    if self.state.streaming:
                        return 0.0
                    self._wanted = False
            await cycle
        except SourceError as error:
            return self._fail(error)
        except Exception as error:
            log.exception("%s: a cycle failed for a reason of our own", self._source.info.id)
            kind = type(error).__name__
            return self._fail(Unavailable(f"internal error: {kind}", "mlops-tui doctor, and the log, say more"))
        finally:
            if not cycle.done():
                cycle.cancel()
                with contextlib.suppress(asyncio.CancelledError, MlopsTuiError):
                    await cycle
        self._failures = 0
        return None

    async def _pause(self, delay: float | None) -> None:
        """Wait `delay` seconds, or the cadence; cut short by a refresh, stretched while nobody looks."""
        began = self._clock.monotonic()
        cadence = self._source.cadence
        while not self._wanted:
            wait = delay if delay is not None else (cadence.active if self._attended else cadence.idle)
            left = began + wait - self._clock.monotonic()
            if left <= 0:
                return
            self._changed.clear()
            sleep = asyncio.ensure_future(self._clock.sleep(left))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait((sleep, changed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                changed.cancel()

    def _drop_another_s_rows(self) -> None:
        """Drop kept rows once the source has turned out to be another system than the one they came from."""
        if self.state.label != self._source.info.label and not self._answered:
            self._board.discard(self.state.source)

    def _publish(self, delta: Delta) -> None:
        self._drop_another_s_rows()
        self._answered = True
        before = self.state
        self._failures = 0
        state = before.model_copy(
            update={
                "status": SourceStatus.LIVE,
                "label": self._source.info.label,
                "streaming": before.streaming if delta.streaming is None else delta.streaming,
                "fetched_at": self._clock.now(),
                "complete": before.complete or delta.complete,
                "error": "",
                "hint": "",
                "retry_at": None,
                "quota": delta.quota or before.quota,
                "identity": before.identity if delta.identity is None else delta.identity,
                "permissions": before.permissions if delta.permissions is None else delta.permissions,
                "problems": before.problems if delta.problems is None else delta.problems,
            }
        )
        self._board.apply(state, delta)

    def _fail(self, error: SourceError) -> float:
        self._drop_another_s_rows()
        self._failures += 1
        now = self._clock.now()
        status = SourceStatus.STALE if self.state.fetched_at else SourceStatus.UNREACHABLE
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        delay = backoff(self._failures, retry_after, self._jitter)
        if isinstance(error, RateLimited):
            status = SourceStatus.LIMITED
            delay = min(MOST_PAUSE, max(FIRST_BACKOFF, (error.until - now).total_seconds()))
        elif isinstance(error, NotConfigured):
            status, delay = SourceStatus.OFF, REFUSED_BACKOFF
        elif isinstance(error, Denied | Unauthenticated):
            status, delay = SourceStatus.DENIED, REFUSED_BACKOFF
        if retry_after or status is SourceStatus.LIMITED:
            self._asked_to_wait_until = self._clock.monotonic() + delay
        state = self.state.model_copy(
            update={
                "status": status,
                "label": self._source.info.label,
                "streaming": False,
                "error": error.message,
                "hint": error.hint,
                "retry_at": None if status is SourceStatus.OFF else now + timedelta(seconds=delay),
            }
        )
        log.info("%s: %s: %s", self._source.info.id, status, error.message)
        if status is SourceStatus.OFF:
            self._board.apply(state, Delta(complete=True))
        else:
            self._board.set_state(state)
        return delay
