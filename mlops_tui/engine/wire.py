"""The engine's contract as lines of JSON (NDJSON), one message a line, over any pair of byte streams.

A viewer sends `Call`s. The engine greets with `Hello`, or with `Fatal` where it cannot start, and then sends `Reply`s
to calls and `Streamed` updates of the streams that the viewer opened, in any order.
"""

import asyncio
import contextlib
import logging
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from mlops_tui.domain.base import Detail, Frozen, RowRef
from mlops_tui.domain.errors import (
    ConfigError,
    Denied,
    EngineError,
    Missing,
    MlopsTuiError,
    OutcomeUnknown,
    Refused,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.domain.state import Probe
from mlops_tui.engine.messages import PROTOCOL, Update
from mlops_tui.engine.ports import EnginePort

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 2**20
"""Bytes of the longest line: an update of 500 rows of hostile length fits many times over."""
WINDOW = 8
"""Updates of a stream that a viewer may have waiting; beyond them the engine folds changes together."""


class Hello(Frozen):
    """The engine is there and speaks this version of the contract."""

    hello: int


class Failure(Frozen):
    """An error on its way over the wire."""

    message: str
    hint: str = ""
    kind: str = "EngineError"

    @classmethod
    def of(cls, error: MlopsTuiError) -> "Failure":
        """Return the failure that tells of `error`."""
        return cls(message=error.message, hint=error.hint, kind=type(error).__name__)

    def exception(self) -> MlopsTuiError:
        """Return the error again, as far as a viewer tells kinds apart; any other is an `EngineError`."""
        return _KINDS.get(self.kind, EngineError)(self.message, self.hint)


_TOLD_APART: tuple[type[MlopsTuiError], ...] = (
    ConfigError, Refused, Denied, Unauthenticated, Unavailable, Missing, OutcomeUnknown,
)  # fmt: skip
_KINDS = {kind.__name__: kind for kind in _TOLD_APART}


class Fatal(Frozen):
    """The engine cannot start, and ends."""

    fatal: Failure


class Call(Frozen):
    """A request of the viewer; `id` is the viewer's own and comes back with the reply."""

    id: int
    call: Literal["stream", "more", "end", "detail", "refresh", "attend", "probe", "plan", "execute", "pulse"]
    """`more` and `end` take the id of a stream: room for one update more, and no more of them."""
    ref: RowRef | None = None
    source: str | None = None
    attended: bool = True
    request: PlanRequest | None = None
    plan: str = ""
    confirmation: Confirmation | None = None


class Reply(Frozen):
    """The answer to a call: a failure, or the result of the call's kind."""

    id: int
    error: Failure | None = None
    detail: Detail | None = None
    probes: tuple[Probe, ...] | None = None
    plan: Plan | None = None
    operation: OperationRow | None = None


class Streamed(Frozen):
    """One update of the stream that the call `stream` opened."""

    stream: int
    update: Update


FromEngine: TypeAdapter[Streamed | Reply | Hello | Fatal] = TypeAdapter(
    Annotated[Streamed | Reply | Hello | Fatal, Field(union_mode="left_to_right")]
)
"""Any message of the engine, the frequent ones first."""


def line(message: Frozen) -> bytes:
    """Return the message as one line of JSON."""
    return message.model_dump_json().encode() + b"\n"


class Sender:
    """Writes whole lines, one at a time, waiting while the other end is slow."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._lock = asyncio.Lock()

    async def send(self, data: bytes) -> None:
        """Send one line; nothing, where the other end is gone: the end of its input says so."""
        async with self._lock:
            with contextlib.suppress(ConnectionError):
                self._writer.write(data)
                await self._writer.drain()


class Attendance:
    """Whether anybody looks, over all viewers of one engine: one who looks is enough."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._looking: set[object] = set()
        self._said = True

    async def set(self, viewer: object, looks: bool) -> None:
        """Note that `viewer` looks or does not, and tell the engine if that changes whether anybody does."""
        (self._looking.add if looks else self._looking.discard)(viewer)
        if self._said != bool(self._looking):
            self._said = bool(self._looking)
            await self._engine.attend(self._said)


async def serve(
    engine: EnginePort,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    attendance: Attendance | None = None,
) -> None:
    """Serve one viewer until it goes away. Streams and calls run side by side.

    Args:
        attendance: Shared by all viewers of the engine; one of its own where the viewer is the only one.
    """
    viewer = _Viewer(engine, Sender(writer), attendance or Attendance(engine))
    try:
        await viewer.greet()
        while data := await reader.readline():
            try:
                call = Call.model_validate_json(data)
            except ValidationError:
                log.warning("a line that is no call was dropped: %d bytes", len(data))
                continue
            viewer.take(call)
    except (ConnectionError, ValueError) as error:
        # ValueError: a line beyond LINE_LIMIT, of which no viewer of ours is capable.
        log.info("the viewer is gone: %s", type(error).__name__)
    finally:
        await viewer.leave()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class _Viewer:
    """One viewer at the other end of the wire: its streams and the calls that are being answered."""

    def __init__(self, engine: EnginePort, sender: Sender, attendance: Attendance) -> None:
        self._engine = engine
        self._sender = sender
        self._attendance = attendance
        self._streams: dict[int, tuple[asyncio.Task[None], asyncio.Semaphore]] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def greet(self) -> None:
        await self._sender.send(line(Hello(hello=PROTOCOL)))
        await self._attendance.set(self, True)

    def take(self, call: Call) -> None:
        match call.call:
            case "stream" if call.id not in self._streams:
                window = asyncio.Semaphore(WINDOW)
                self._streams[call.id] = (asyncio.create_task(self._stream(call.id, window)), window)
            case "more" if call.id in self._streams:
                self._streams[call.id][1].release()
            case "end" if call.id in self._streams:
                self._streams.pop(call.id)[0].cancel()
            case "detail" | "refresh" | "attend" | "probe" | "plan" | "execute" | "pulse":
                task = asyncio.create_task(self._answer(call))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)

    async def leave(self) -> None:
        tasks = [*self._answers, *(task for task, _ in self._streams.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(EngineError):
            await self._attendance.set(self, False)

    async def _stream(self, number: int, window: asyncio.Semaphore) -> None:
        async with contextlib.aclosing(self._engine.updates()) as updates:
            while True:
                # First the room, then the update: until there is room the engine folds changes together.
                await window.acquire()
                try:
                    update = await anext(updates)
                except StopAsyncIteration:
                    return
                await self._sender.send(line(Streamed.model_construct(stream=number, update=update)))

    async def _answer(self, call: Call) -> None:
        try:
            reply = Reply(id=call.id, **await self._perform(call))
        except MlopsTuiError as error:
            reply = Reply(id=call.id, error=Failure.of(error))
        except Exception as error:
            log.exception("the call %s", call.call)
            reply = Reply(id=call.id, error=Failure(message=f"internal error: {type(error).__name__}"))
        await self._sender.send(line(reply))

    async def _perform(self, call: Call) -> dict[str, Any]:
        match call.call:
            case "detail":
                if call.ref is None:
                    raise EngineError("detail needs a row")
                return {"detail": await self._engine.detail(call.ref)}
            case "refresh":
                await self._engine.refresh(call.source)
            case "attend":
                await self._attendance.set(self, call.attended)
            case "plan":
                if call.request is None:
                    raise EngineError("plan needs a request")
                return {"plan": await self._engine.plan(call.request)}
            case "execute":
                return {"operation": await self._engine.execute(call.plan, call.confirmation or Confirmation())}
            case "probe":
                return {"probes": await self._engine.probe()}
        return {}
