"""From the engine to the screen: connects after the first frame, applies updates, tells that something changed."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from textual.message import Message

from mlops_tui.ui.options import Now

if TYPE_CHECKING:
    from mlops_tui.domain.base import Detail, RowRef
    from mlops_tui.domain.errors import MlopsTuiError
    from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
    from mlops_tui.engine.messages import Update
    from mlops_tui.engine.mirror import Changes, Mirror
    from mlops_tui.engine.ports import EnginePort

Connect = Callable[[], Awaitable["EnginePort"]]

FIRST_RETRY = 1.0
"""Seconds before an engine that could not be had is asked for again; doubled each time."""
LAST_RETRY = 30.0
"""Seconds between such attempts at most."""
CLOSE_TIMEOUT = 3.0
"""Seconds that the engine has to end before the terminal is given back without it."""


class BoardChanged(Message):
    """Rows, sources or the scope are different; the feed has the changes."""

    def can_replace(self, message: Message) -> bool:
        """Fold a burst into one: the changes wait in the feed, not in the message."""
        return isinstance(message, BoardChanged)


class EngineLost(Message):
    """There is no engine now; the feed tries again."""

    def __init__(self, message: str, retry_in: float) -> None:
        super().__init__()
        self.message = message
        self.retry_in = timedelta(seconds=retry_in)


class EngineFound(Message):
    """The engine that was lost speaks again."""


class EngineRefused(Message):
    """The configuration is wrong: trying again is of no use."""

    def __init__(self, error: "MlopsTuiError") -> None:
        super().__init__()
        self.error = error


class Feed:
    """The viewer's end of the engine.

    Args:
        connect: Starts or finds an engine. Called after the first frame, and again when the engine is lost.
        clock: The time.
        sleep: Waits some seconds.
    """

    def __init__(self, connect: Connect, clock: Now, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._connect = connect
        self._clock = clock
        self._sleep = sleep
        self._port: EnginePort | None = None
        self._mirror: Mirror | None = None
        self._pending: Changes | None = None
        self._lost = False

    @property
    def mirror(self) -> "Mirror | None":
        """The board as it is now; `None` before the engine has spoken."""
        return self._mirror

    def take_changes(self) -> "Changes | None":
        """Return what changed since the last call, once."""
        pending, self._pending = self._pending, None
        return pending

    async def run(self, post: Callable[[Message], object]) -> None:
        """Keep the mirror up to date until cancelled or refused.

        Args:
            post: Takes `BoardChanged`, `EngineFound`, `EngineLost` and `EngineRefused`.
        """
        # Importing pydantic and the domain takes a tenth of a second: not on the event loop.
        mirror_module = await asyncio.to_thread(importlib.import_module, "mlops_tui.engine.mirror")
        from mlops_tui.domain.errors import ConfigError, MlopsTuiError

        self._mirror = mirror_module.Mirror()
        delay = FIRST_RETRY
        while True:
            try:
                self._port = await self._connect()
                async for update in self._port.updates():
                    delay = FIRST_RETRY
                    self._apply(update, post)
                trouble = "it ended"
            except ConfigError as error:
                post(EngineRefused(error))
                return
            except MlopsTuiError as error:
                trouble = f"{error.message}. {error.hint}" if error.hint else error.message
            await self.close()
            self._lost = True
            post(EngineLost(trouble, delay))
            await self._sleep(delay)
            delay = min(2 * delay, LAST_RETRY)

    def _apply(self, update: "Update", post: Callable[[Message], object]) -> None:
        assert self._mirror is not None
        changes = self._mirror.apply(update)
        if self._pending is None:
            self._pending = changes
        else:
            self._pending.merge(changes)
        if self._lost:
            self._lost = False
            post(EngineFound())
        if changes:
            post(BoardChanged())

    async def detail(self, ref: "RowRef") -> "Detail":
        """Return what the engine knows of a row. Raises `EngineError`."""
        return await self._engine().detail(ref)

    async def plan(self, request: "PlanRequest") -> "Plan":
        """Return what an operation would do. Raises `MlopsTuiError`s."""
        return await self._engine().plan(request)

    async def execute(self, plan: str, confirmation: "Confirmation") -> "OperationRow":
        """Begin to carry out a plan. Raises `MlopsTuiError`s."""
        return await self._engine().execute(plan, confirmation)

    def _engine(self) -> "EnginePort":
        from mlops_tui.domain.errors import EngineError

        if self._port is None:
            raise EngineError("there is no engine now", "it is started again by itself")
        return self._port

    async def refresh(self, source: str | None = None) -> None:
        """Ask for a source, or all of them, to be read again; without an engine there is nothing to ask."""
        if self._port is not None:
            await self._ask(self._port.refresh(source))

    async def attend(self, attended: bool) -> None:
        """Say whether somebody looks."""
        if self._port is not None:
            await self._ask(self._port.attend(attended))

    async def _ask(self, request: Awaitable[None]) -> None:
        from mlops_tui.domain.errors import EngineError

        # A lost engine says so through its updates; a second message would only repeat it.
        with suppress(EngineError):
            await request

    async def close(self) -> None:
        """End the engine; one that hangs is left behind."""
        port, self._port = self._port, None
        if port is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(port.close(), CLOSE_TIMEOUT)
