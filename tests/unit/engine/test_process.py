import asyncio
import logging
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mlops_tui.domain.errors import EngineError
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.process import LOG_BYTES, log_to_file, serve_socket
from mlops_tui.engine.remote import RemoteEngine, socket_connector
from mlops_tui.engine.wire import WINDOW
from tests.support.scripted import SCOPE, ScriptedSource


class Shared:
    """An engine at a socket, and viewers of it."""

    def __init__(self, folder: Path) -> None:
        self.source = ScriptedSource(size=2)
        self.engine = Engine([self.source], SCOPE)
        self._path = folder / "engine.sock"
        self._serving = asyncio.create_task(serve_socket(self.engine, self._path))
        self._viewers: list[RemoteEngine] = []

    async def viewer(self) -> RemoteEngine:
        while not self._path.exists():
            await asyncio.sleep(0.01)
        viewer = RemoteEngine(socket_connector(str(self._path)))
        viewer.start()
        self._viewers.append(viewer)
        await viewer.refresh()
        return viewer

    async def close(self) -> None:
        for viewer in self._viewers:
            await viewer.close()
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    shared = Shared(tmp_path)
    yield shared
    await shared.close()


async def attended(shared: Shared, wanted: bool) -> None:
    [poller] = vars(shared.engine)["_pollers"].values()
    async with asyncio.timeout(5):
        while vars(poller)["_attended"] is not wanted:
            await asyncio.sleep(0.01)


async def test_one_viewer_who_looks_is_enough_and_none_is_nobody(shared: Shared) -> None:
    first, second = await shared.viewer(), await shared.viewer()
    await first.attend(False)
    await attended(shared, True)
    await second.attend(False)
    await attended(shared, False)
    await second.attend(True)
    await attended(shared, True)
    await second.close()
    await attended(shared, False)
    await shared.viewer()
    await attended(shared, True)


async def test_a_stream_that_is_closed_ends_in_the_engine_too(shared: Shared) -> None:
    viewer = await shared.viewer()
    for _ in range(5):
        updates = viewer.updates()
        await anext(updates)
        await updates.aclose()
    followers = vars(shared.engine.board)["_viewers"]
    async with asyncio.timeout(5):
        while followers:
            await asyncio.sleep(0.01)


async def test_a_viewer_that_does_not_read_its_updates_still_gets_answers(shared: Shared) -> None:
    viewer = await shared.viewer()
    updates = viewer.updates()
    await anext(updates)
    for _ in range(5 * WINDOW):
        await viewer.refresh()
    async with asyncio.timeout(5):
        await viewer.probe()
    seen = 0
    async with asyncio.timeout(5):
        async for update in updates:
            seen = max([seen, *(getattr(row, "ready", 0) for row in update.upserts)])
            if seen == shared.source.cycles:
                break
    await updates.aclose()


async def test_a_call_that_fails_for_a_reason_of_our_own_is_answered(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(source: str | None = None) -> None:
        raise KeyError("secret")

    viewer = await shared.viewer()
    monkeypatch.setattr(shared.engine, "refresh", broken)
    async with asyncio.timeout(5):
        with pytest.raises(EngineError, match="internal error: KeyError") as caught:
            await viewer.refresh()
    assert "secret" not in str(caught.value)


async def test_a_probe_that_fails_for_a_reason_of_our_own_is_told_as_such(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("secret")

    monkeypatch.setattr(shared.source, "probe", broken)
    [probe] = await (await shared.viewer()).probe()
    assert (probe.status.value, probe.error) == ("unreachable", "internal error: KeyError")


def test_the_log_is_its_owner_s_alone_before_and_after_it_is_rotated(tmp_path: Path) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        log_to_file(tmp_path / "logs" / "engine.log")
        for _ in range(3):
            root.warning("x" * (LOG_BYTES // 2))
        files = list((tmp_path / "logs").iterdir())
        assert len(files) > 1
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
