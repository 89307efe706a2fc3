"""The engine's contract as lines of JSON (NDJSON), one message a line, over any pair of byte streams.

A viewer sends `Call`s. The engine greets with `Hello`, or with `Fatal` where it cannot start, and then sends `Reply`s
to calls and `Streamed` updates of the streams that the viewer opened, in any order.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from mlops_tui.domain.base import Detail, Frozen, RowRef
from mlops_tui.domain.errors import ConfigError, EngineError, MlopsTuiError
from mlops_tui.domain.state import Probe
from mlops_tui.engine.messages import PROTOCOL, Update
from mlops_tui.engine.ports import EnginePort

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 2**20
"""Bytes of the longest line: an update of 500 rows of hostile length fits many times over."""


class Hello(Frozen):
    """The engine is there and speaks this version of the contract."""

    hello: int


class Failure(Frozen):
    """An error on its way over the wire."""

    message: str
    hint: str = ""
    exit_code: int = 1

    @classmethod
    def of(cls, error: MlopsTuiError) -> "Failure":
        """Return the failure that tells of `error`."""
        return cls(message=error.message, hint=error.hint, exit_code=error.exit_code)

    def exception(self) -> MlopsTuiError:
        """Return the error again: `ConfigError` for exit code 2, else `EngineError`."""
        kind = ConfigError if self.exit_code == ConfigError.exit_code else EngineError
        return kind(self.message, self.hint)


class Fatal(Frozen):
    """The engine cannot start, and ends."""

    fatal: Failure


class Call(Frozen):
    """A request of the viewer; `id` is the viewer's own and comes back with the reply."""

    id: int
    call: Literal["stream", "detail", "refresh", "attend", "probe"]
    ref: RowRef | None = None
    source: str | None = None
    attended: bool = True


class Reply(Frozen):
    """The answer to a call: a failure, or the result of the call's kind."""

    id: int
    error: Failure | None = None
    detail: Detail | None = None
    probes: tuple[Probe, ...] | None = None


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


async def serve(engine: EnginePort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one viewer until it goes away. Streams and calls run side by side."""
    sender = Sender(writer)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        await sender.send(line(Hello(hello=PROTOCOL)))
        while data := await reader.readline():
            try:
                call = Call.model_validate_json(data)
            except ValidationError:
                log.warning("a line that is no call was dropped: %d bytes", len(data))
                continue
            spawn(_stream(engine, call, sender) if call.call == "stream" else _answer(engine, call, sender))
    except ConnectionError:
        log.info("the viewer is gone")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _stream(engine: EnginePort, call: Call, sender: Sender) -> None:
    async for update in engine.updates():
        await sender.send(line(Streamed.model_construct(stream=call.id, update=update)))


async def _answer(engine: EnginePort, call: Call, sender: Sender) -> None:
    try:
        reply = Reply(id=call.id, **await _perform(engine, call))
    except MlopsTuiError as error:
        reply = Reply(id=call.id, error=Failure.of(error))
    await sender.send(line(reply))


async def _perform(engine: EnginePort, call: Call) -> dict[str, Any]:
    match call.call:
        case "detail":
            if call.ref is None:
                raise EngineError("detail needs a row")
            return {"detail": await engine.detail(call.ref)}
        case "refresh":
            await engine.refresh(call.source)
        case "attend":
            await engine.attend(call.attended)
        case "probe":
            return {"probes": await engine.probe()}
    return {}
