"""The engine as a process of its own: one viewer over standard input and output, or many over a Unix socket."""

import asyncio
import contextlib
import gc
import logging
import logging.handlers
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mlops_tui.domain.errors import ConfigError, MlopsTuiError
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.wire import LINE_LIMIT, Attendance, Failure, Fatal, line, serve

log = logging.getLogger(__name__)

LOG_BYTES = 2 * 2**20
"""Size at which the log is rotated; three old ones are kept."""
FREEZE_AFTER = 10.0
"""Seconds after which the SDKs are in memory: collecting them again and again would stall the loop."""


class _PrivateLog(logging.handlers.RotatingFileHandler):
    """A log whose every file, the next one too, is for its owner alone."""

    def _open(self) -> Any:
        return open(
            self.baseFilename, self.mode, encoding=self.encoding, opener=lambda path, flags: os.open(path, flags, 0o600)
        )


def log_to_file(path: Path, level: int = logging.INFO) -> None:
    """Send every log line to `path` (mode 0600): a line on the terminal would corrupt the screen.

    Where the file cannot be written nothing is logged, since there is nowhere else to say so.
    """
    root = logging.getLogger()
    root.handlers.clear()
    handler: logging.Handler = logging.NullHandler()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = _PrivateLog(path, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "urllib3", "github", "mlflow", "kubernetes", "aiohttp"):
        # Below a warning these write requests and answers, and so may write secrets.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)


async def _standard_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    wire_in, wire_out = os.dup(0), os.dup(1)
    # Whatever a library prints goes nowhere: the wire belongs to the contract.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(wire_in, "rb", 0))
    # The protocol of a reader that nothing is fed to: the one that knows when a writer is closed.
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(wire_out, "wb", 0))
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


async def _freeze_when_settled() -> None:
    await asyncio.sleep(FREEZE_AFTER)
    gc.collect()
    gc.freeze()


@contextlib.asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[None]:
    async with engine:
        freezing = asyncio.create_task(_freeze_when_settled())
        try:
            yield
        finally:
            freezing.cancel()


def _stop_on_signals(stop: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop)


async def _serve_stdio(make: Callable[[], Engine]) -> int:
    reader, writer = await _standard_streams()
    try:
        engine = make()
    except MlopsTuiError as error:
        writer.write(line(Fatal(fatal=Failure.of(error))))
        await writer.drain()
        return error.exit_code
    async with _running(engine):
        serving = asyncio.ensure_future(serve(engine, reader, writer))
        _stop_on_signals(serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    return 0


def run_stdio(make: Callable[[], Engine]) -> int:
    """Serve one viewer over standard input and output, until its end closes. Returns the exit code.

    Args:
        make: Builds the engine; a `MlopsTuiError` of it is sent to the viewer.
    """
    code = asyncio.run(_serve_stdio(make))
    sys.stdout = None  # already closed at the other end: nothing to flush
    return code


async def serve_socket(engine: Engine, path: Path, ready: Callable[[], None] = lambda: None) -> None:
    """Serve viewers at a Unix socket (mode 0600) until a signal or cancellation. Raises `ConfigError`."""
    stopped = asyncio.Event()
    viewers: set[asyncio.Task[None]] = set()
    attendance = Attendance(engine)

    async def viewer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        viewers.add(task)
        try:
            await serve(engine, reader, writer, attendance)
        finally:
            viewers.discard(task)

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(viewer, path, limit=LINE_LIMIT)
    except OSError as error:
        raise ConfigError(f"cannot listen at {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    _stop_on_signals(stopped.set)
    ready()
    try:
        async with _running(engine):
            await stopped.wait()
    finally:
        server.close()
        for task in viewers:
            task.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)


def _clear_stale(path: Path) -> None:
    """Remove the socket of an engine that died; refuse to touch anything else."""
    import socket

    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError(f"{path} exists and is not a socket", "choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ConfigError(f"cannot listen at {path}: {error.strerror}", "choose another path") from None
    raise ConfigError(f"an engine listens at {path} already", f"mlops-tui --attach {path} looks through it")


def run_socket(make: Callable[[], Engine], path: Path, ready: Callable[[], None] = lambda: None) -> int:
    """Serve viewers at a socket of our own until a signal. Raises `ConfigError`. Returns the exit code.

    Args:
        ready: Called once viewers can connect.
    """
    engine = make()
    _clear_stale(path)
    try:
        asyncio.run(serve_socket(engine, path, ready))
    finally:
        path.unlink(missing_ok=True)
    return 0
