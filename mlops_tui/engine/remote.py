"""The engine in another process, behind the same door.

An engine that dies is started again with backoff. Meanwhile viewers keep what they have: they are told that every
source is stale and why, and when the new engine is there their streams go on.
"""

import asyncio
import contextlib
import itertools
import logging
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from mlops_tui.domain.base import Detail, RowRef
from mlops_tui.domain.clock import Clock, SystemClock
from mlops_tui.domain.errors import EngineError
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.domain.state import Probe, SourceState, SourceStatus
from mlops_tui.engine.child import describe_end
from mlops_tui.engine.messages import PROTOCOL, Update
from mlops_tui.engine.wire import LINE_LIMIT, Call, Fatal, FromEngine, Hello, Reply, Sender, Streamed, line

log = logging.getLogger(__name__)

FIRST_RESTART = 0.5
"""Seconds before a dead engine is started again for the first time."""
MOST_RESTART = 10.0
"""Seconds at most between two starts."""
STEADY = 30.0
"""Seconds an engine has to live for its death to count as the first again."""
PULSE = 10.0
"""Seconds between two questions whether the engine answers, and the seconds it gets to do so: a process that hangs says
nothing, and old rows under a live mark are the worst that a screen can show."""
CLOSE_GRACE = 2.0
"""Seconds that an engine gets to end by itself."""


@dataclass
class Connection:
    """One live engine: its streams, and how it is ended."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    end: Callable[[], Awaitable[str]]
    """Ends it, if it still lives, and says how it ended."""


Child = subprocess.Popen[bytes]
Connect = Callable[[], Awaitable[Connection]]
"""Starts or finds an engine. Raises `OSError` or `EngineError`."""


def child_connector(start: Callable[[], Child], first: Child | None = None) -> Connect:
    """Return what starts engines as children of this process.

    Args:
        start: Starts one, with pipes for its standard input and output.
        first: A child that was started already, before the screen's imports.
    """
    started = [first] if first else []

    async def connect() -> Connection:
        child = started.pop() if started else await asyncio.to_thread(start)
        into, out = child.stdin, child.stdout
        assert into is not None
        assert out is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), out)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), into
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)

        async def end() -> str:
            writer.close()
            try:
                returncode = await asyncio.to_thread(child.wait, CLOSE_GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                returncode = await asyncio.to_thread(child.wait)
            reading.close()
            # The transports close their files only when the loop comes round, which it may not.
            out.close()
            into.close()
            return describe_end(returncode)

        return Connection(reader, writer, end)

    return connect


def socket_connector(path: str) -> Connect:
    """Return what connects to a shared engine at a Unix socket; ending the connection leaves that engine alone."""

    async def connect() -> Connection:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
        except OSError as error:
            raise EngineError(
                f"no engine listens at {path}: {error.strerror or error}",
                f"mlops-tui engine --listen {path} starts one",
            ) from None

        async def end() -> str:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            return "connection closed"

        return Connection(reader, writer, end)

    return connect


@dataclass(eq=False)
class _Stream:
    id: int
    queue: asyncio.Queue[tuple[Update, Sender | None] | None] = field(default_factory=asyncio.Queue)
    """Updates with the engine that wants to hear of them; `None` ends. Bounded by the wire's window."""


class RemoteEngine:
    """Implements `EnginePort` over the wire.

    Args:
        connect: Starts or finds an engine.
        remedy: What happens when the engine is lost, for the message.
        pulse: Seconds between two questions whether the engine still answers, and for its answer.
    """

    def __init__(
        self, connect: Connect, *, clock: Clock | None = None, remedy: str = "starting it again", pulse: float = PULSE
    ) -> None:
        self._connect = connect
        self._remedy = remedy
        self._pulse = pulse
        self._clock = clock or SystemClock()
        self._ids = itertools.count(1)
        self._streams: dict[int, _Stream] = {}
        self._calls: dict[int, asyncio.Future[Reply]] = {}
        self._states: dict[str, SourceState] = {}
        self._sequence = itertools.count(1)
        self._sender: Sender | None = None
        self._ready = asyncio.Event()
        self._attended = True
        self._fatal: Exception | None = None
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect; calls wait until there is an engine."""
        self._task = asyncio.create_task(self._run(), name="remote engine")

    async def updates(self) -> AsyncGenerator[Update]:
        self._check_open()
        stream = _Stream(next(self._ids))
        self._streams[stream.id] = stream
        try:
            if self._ready.is_set():
                await self._send(Call(id=stream.id, call="stream"))
            while (item := await stream.queue.get()) is not None:
                update, sender = item
                yield update
                if sender is not None and sender is self._sender:
                    await self._send(Call(id=stream.id, call="more"))
            if self._fatal is not None:
                raise self._fatal
        finally:
            self._streams.pop(stream.id, None)
            if self._ready.is_set() and self._sender is not None:
                await self._send(Call(id=stream.id, call="end"))

    async def detail(self, ref: RowRef) -> Detail:
        reply = await self._ask(Call(id=next(self._ids), call="detail", ref=ref))
        assert reply.detail is not None
        return reply.detail

    async def refresh(self, source: str | None = None) -> None:
        await self._ask(Call(id=next(self._ids), call="refresh", source=source))

    async def attend(self, attended: bool) -> None:
        self._attended = attended
        await self._ask(Call(id=next(self._ids), call="attend", attended=attended))

    async def probe(self) -> tuple[Probe, ...]:
        reply = await self._ask(Call(id=next(self._ids), call="probe"))
        return reply.probes or ()

    async def plan(self, request: PlanRequest) -> Plan:
        reply = await self._ask(Call(id=next(self._ids), call="plan", request=request))
        assert reply.plan is not None
        return reply.plan

    async def execute(self, plan: str, confirmation: Confirmation) -> OperationRow:
        call = Call(id=next(self._ids), call="execute", plan=plan, confirmation=confirmation)
        reply = await self._ask(call)
        assert reply.operation is not None
        return reply.operation

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._finish(None)

    def _check_open(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if self._closed:
            raise EngineError("the engine is closed")

    async def _ask(self, call: Call) -> Reply:
        self._check_open()
        await self._ready.wait()
        self._check_open()
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls[call.id] = future
        try:
            await self._send(call)
            reply = await future
        finally:
            self._calls.pop(call.id, None)
        if reply.error is not None:
            raise reply.error.exception()
        return reply

    async def _send(self, call: Call) -> None:
        if self._sender is None:
            raise EngineError("the engine is being started again", "try again in a few seconds")
        await self._sender.send(line(call))

    async def _run(self) -> None:
        try:
            await self._keep_alive()
        except Exception as error:
            log.exception("the engine's keeper failed")
            self._fatal = EngineError(f"internal error: {type(error).__name__}", "the log says more")
            await self._finish(self._fatal)

    async def _keep_alive(self) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            why = await self._live()
            if self._fatal is not None:
                await self._finish(self._fatal)
                return
            failures = 1 if self._clock.monotonic() - began > STEADY else failures + 1
            delay = min(MOST_RESTART, FIRST_RESTART * 2 ** (failures - 1))
            log.warning("the engine ended (%s); the next one starts in %.1f s", why, delay)
            await self._tell_lost(why, delay)
            await self._clock.sleep(delay)

    async def _live(self) -> str:
        """Live through one engine. Returns how it ended."""
        try:
            connection = await self._connect()
        except (OSError, EngineError) as error:
            return error.message if isinstance(error, EngineError) else (error.strerror or type(error).__name__)
        self._sender = Sender(connection.writer)
        reading = asyncio.create_task(self._read(connection.reader))
        pulse = asyncio.create_task(self._feel_pulse())
        why = ""
        try:
            done, _ = await asyncio.wait((reading, pulse), return_when=asyncio.FIRST_COMPLETED)
            why = done.pop().result()
        finally:
            reading.cancel()
            pulse.cancel()
            await asyncio.gather(reading, pulse, return_exceptions=True)
            self._sender = None
            self._ready.clear()
            ended = await asyncio.shield(connection.end())
        return why or ended

    async def _read(self, reader: asyncio.StreamReader) -> str:
        """Take in what the engine says until it ends. Returns why, where that is known."""
        try:
            while data := await reader.readline():
                await self._receive(data)
                if self._fatal is not None:
                    break
        except (ConnectionError, ValidationError, ValueError) as error:
            return f"{type(error).__name__} on the wire"
        return ""

    async def _feel_pulse(self) -> str:
        """Ask again and again whether the engine answers; returns when it does not."""
        await self._ready.wait()
        while True:
            await self._clock.sleep(self._pulse)
            try:
                async with asyncio.timeout(self._pulse):
                    await self._ask(Call(id=next(self._ids), call="pulse"))
            except EngineError as error:
                return error.message
            except TimeoutError:
                return f"it has not answered for {self._pulse:g} s"

    async def _receive(self, data: bytes) -> None:
        match FromEngine.validate_json(data):
            case Hello(hello=version):
                if version != PROTOCOL:
                    self._fatal = EngineError(
                        f"the engine speaks version {version} of the contract, this viewer {PROTOCOL}",
                        "restart the engine with the same mlops-tui",
                    )
                    return
                for stream in list(self._streams.values()):
                    await self._send(Call(id=stream.id, call="stream"))
                if not self._attended:
                    await self._send(Call(id=next(self._ids), call="attend", attended=False))
                self._ready.set()
            case Fatal(fatal=failure):
                self._fatal = failure.exception()
            case Reply() as reply:
                future = self._calls.get(reply.id)
                if future is not None and not future.done():
                    future.set_result(reply)
            case Streamed(stream=number, update=update):
                self._states.update((state.source, state) for state in update.sources)
                if (follower := self._streams.get(number)) is not None:
                    follower.queue.put_nowait((update, self._sender))

    async def _tell_lost(self, why: str, delay: float) -> None:
        """Tell every viewer that what it shows is old, and fail the calls that will not be answered."""
        retry_at = self._clock.now() + timedelta(seconds=delay)
        lost = tuple(
            state.model_copy(
                update={
                    "status": SourceStatus.STALE if state.fetched_at else SourceStatus.CONNECTING,
                    "streaming": False,
                    # A watch was live until now, however long ago its last event was.
                    "fetched_at": self._clock.now() if state.streaming else state.fetched_at,
                    "error": f"the engine stopped ({why}); {self._remedy}",
                    "hint": "",
                    "retry_at": retry_at,
                }
            )
            for state in self._states.values()
            if state.status is not SourceStatus.OFF
        )
        self._fail_calls(EngineError(f"the engine stopped ({why})", "try again in a few seconds"))
        for stream in list(self._streams.values()):
            stream.queue.put_nowait((Update(sequence=next(self._sequence), sources=lost), None))

    def _fail_calls(self, error: Exception) -> None:
        for future in self._calls.values():
            if not future.done():
                future.set_exception(error)

    async def _finish(self, error: Exception | None) -> None:
        """Let nobody wait for an engine that will not come."""
        self._fail_calls(error or EngineError("the engine is closed"))
        self._closed = True
        self._ready.set()
        for stream in list(self._streams.values()):
            stream.queue.put_nowait(None)
