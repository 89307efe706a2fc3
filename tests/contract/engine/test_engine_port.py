"""What every `EnginePort` does, whichever process it lives in."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mlops_tui.domain.base import RowKind, RowRef
from mlops_tui.domain.errors import ConfigError, EngineError, Refused
from mlops_tui.domain.operation import Confirmation, OperationRow, OperationState, PlanRequest
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceState, SourceStatus
from mlops_tui.engine.engine import Engine
from mlops_tui.engine.messages import PROTOCOL, Scope, Update
from mlops_tui.engine.ports import EnginePort
from mlops_tui.engine.process import run_socket, serve_socket
from mlops_tui.engine.remote import RemoteEngine, child_connector, socket_connector
from mlops_tui.operations.desk import Desk, Tell
from tests.support.painting import paint_desk
from tests.support.scripted import SCOPE, ScriptedSource

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0


class Viewer:
    """Follows updates as a screen would."""

    def __init__(self, engine: EnginePort) -> None:
        self.rows: dict[str, Row] = {}
        self.states: dict[str, SourceState] = {}
        self.scope: Scope | None = None
        self.complete: set[str] = set()
        self.seen: list[Update] = []
        self._updates = engine.updates()

    async def until(self, condition: Callable[["Viewer"], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                update = await anext(self._updates)
                self.seen.append(update)
                self.scope = update.scope or self.scope
                self.states.update((state.source, state) for state in update.sources)
                self.rows.update((row.key, row) for row in update.upserts)
                for key in update.removals:
                    self.rows.pop(key, None)
                self.complete.update(update.completes)

    async def until_complete(self) -> None:
        await self.until(lambda viewer: "scripted" in viewer.complete)

    async def end(self) -> None:
        await self._updates.aclose()


def start_engine_process(size: str, journal: Path = Path("unused")) -> Callable[[], subprocess.Popen[bytes]]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.engine_child", size, str(journal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )

    return start


Start = Callable[[], subprocess.Popen[bytes]]


def remembered(start: Start) -> tuple[list[subprocess.Popen[bytes]], Start]:
    """Return what will have been started, and the start that remembers it."""
    children: list[subprocess.Popen[bytes]] = []

    def and_remember() -> subprocess.Popen[bytes]:
        children.append(start())
        return children[-1]

    return children, and_remember


Make = Callable[..., Awaitable[EnginePort]]


@pytest.fixture(params=["in process", "child process", "socket"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    engines: list[EnginePort] = []
    servers: list[asyncio.Task[None]] = []

    journal = tmp_path / "journal.jsonl"

    def desk(tell: Tell) -> Desk:
        return paint_desk(journal, tell)

    async def build(size: int = 3) -> EnginePort:
        if request.param == "in process":
            engine = Engine([ScriptedSource(size=size)], SCOPE, desk=desk)
            engine.start()
            engines.append(engine)
            return engine
        if request.param == "child process":
            remote = RemoteEngine(child_connector(start_engine_process(str(size), journal)))
        else:
            path = tmp_path / "engine.sock"
            shared = Engine([ScriptedSource(size=size)], SCOPE, desk=desk)
            servers.append(asyncio.create_task(serve_socket(shared, path)))
            async with asyncio.timeout(PATIENCE):
                while not path.exists():
                    await asyncio.sleep(0.01)
            remote = RemoteEngine(socket_connector(str(path)))
        remote.start()
        engines.append(remote)
        return remote

    yield build
    for engine in engines:
        await engine.close()
    for server in servers:
        server.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server


async def test_a_viewer_gets_scope_states_and_every_row(make: Make) -> None:
    viewer = Viewer(await make())
    await viewer.until_complete()
    assert viewer.scope == SCOPE
    assert viewer.states["scripted"].status is SourceStatus.LIVE
    assert sorted(viewer.rows) == [f"scripted/ml/model-{i:05}" for i in range(3)]
    await viewer.end()


async def test_a_large_board_comes_in_several_updates_between_begin_and_complete(make: Make) -> None:
    viewer = Viewer(await make(size=1300))
    await viewer.until_complete()
    assert len(viewer.rows) == 1300
    assert max(len(update.upserts) for update in viewer.seen) <= 500
    begun = [update for update in viewer.seen if "scripted" in update.begins]
    assert len(begun) == 1
    await viewer.end()


async def test_refresh_reads_again_and_sends_only_what_changed(make: Make) -> None:
    engine = await make()
    viewer = Viewer(engine)
    await viewer.until_complete()
    await engine.refresh("scripted")
    await viewer.until(lambda v: any(getattr(row, "ready", 0) == 2 for row in v.rows.values()))
    assert viewer.seen[-1].begins == ()
    await engine.refresh()
    await viewer.until(lambda v: any(getattr(row, "ready", 0) == 3 for row in v.rows.values()))
    await viewer.end()


async def test_each_viewer_gets_the_whole_board(make: Make) -> None:
    engine = await make()
    first = Viewer(engine)
    await first.until_complete()
    second = Viewer(engine)
    await second.until_complete()
    assert second.rows == first.rows
    assert second.scope == SCOPE
    await first.end()
    await second.end()


async def test_detail_has_the_row_s_own_facts_and_the_fetched_ones(make: Make) -> None:
    engine = await make()
    viewer = Viewer(engine)
    await viewer.until_complete()
    key = "scripted/ml/model-00000"
    detail = await engine.detail(RowRef(kind=RowKind.ROLLOUT, key=key))
    assert "model-00000" in detail.title
    assert detail.sections[-1].fields[0].value == key
    assert len(detail.sections) > 1
    assert detail.problem == ""
    await viewer.end()


async def test_what_is_not_there_is_said(make: Make) -> None:
    engine = await make()
    with pytest.raises(EngineError, match="no longer there"):
        await engine.detail(RowRef(kind=RowKind.ROLLOUT, key="nothing"))
    with pytest.raises(EngineError, match="no source github"):
        await engine.refresh("github")


async def test_probe_asks_every_source(make: Make) -> None:
    probes = await (await make()).probe()
    assert [(probe.source, probe.status) for probe in probes] == [("scripted", SourceStatus.LIVE)]


async def test_close_ends_updates_and_refuses_calls(make: Make) -> None:
    engine = await make()
    viewer = Viewer(engine)
    await viewer.until_complete()
    following = asyncio.ensure_future(viewer.until(lambda _: False))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(StopAsyncIteration):
        await following
    with pytest.raises(EngineError, match="closed"):
        await engine.refresh()
    await engine.close()


async def test_a_killed_engine_comes_back_while_the_viewer_keeps_its_rows() -> None:
    children, start = remembered(start_engine_process("3"))
    engine = RemoteEngine(child_connector(start))
    engine.start()
    viewer = Viewer(engine)
    await viewer.until_complete()
    rows = dict(viewer.rows)
    os.kill(children[0].pid, signal.SIGKILL)
    await viewer.until(lambda v: v.states["scripted"].status is SourceStatus.STALE)
    assert "SIGKILL" in viewer.states["scripted"].error
    assert viewer.states["scripted"].retry_at is not None
    assert viewer.rows == rows
    viewer.complete.clear()
    await viewer.until_complete()
    assert viewer.states["scripted"].status is SourceStatus.LIVE
    assert viewer.rows.keys() == rows.keys()
    assert len(children) == 2
    await engine.refresh()
    await viewer.end()
    await engine.close()
    assert [child.poll() is not None for child in children] == [True, True]


async def test_an_engine_that_hangs_is_told_from_one_that_has_nothing_to_say() -> None:
    children, start = remembered(start_engine_process("3"))
    engine = RemoteEngine(child_connector(start), pulse=0.5)
    engine.start()
    viewer = Viewer(engine)
    await viewer.until_complete()
    await asyncio.sleep(1.5)
    assert len(children) == 1
    os.kill(children[0].pid, signal.SIGSTOP)
    await viewer.until(lambda v: v.states["scripted"].status is SourceStatus.STALE)
    assert "has not answered for 0.5 s" in viewer.states["scripted"].error
    viewer.complete.clear()
    await viewer.until_complete()
    assert viewer.states["scripted"].status is SourceStatus.LIVE
    await viewer.end()
    await engine.close()
    assert [child.poll() is not None for child in children] == [True, True]


async def test_calls_of_a_dying_engine_fail_instead_of_waiting() -> None:
    children, start = remembered(start_engine_process("3"))
    engine = RemoteEngine(child_connector(start))
    engine.start()
    await engine.probe()
    os.kill(children[0].pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(engine.probe())
    await asyncio.sleep(0.05)
    os.kill(children[0].pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="SIGKILL"):
        await asyncio.wait_for(asked, PATIENCE)
    await engine.close()


async def test_a_configuration_error_of_the_child_reaches_the_viewer() -> None:
    engine = RemoteEngine(child_connector(start_engine_process("broken")))
    engine.start()
    with pytest.raises(ConfigError, match="did you mean github") as caught:
        await asyncio.wait_for(anext(engine.updates()), PATIENCE)
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigError):
        await engine.refresh()
    await engine.close()


async def test_the_engine_s_process_ends_when_its_viewer_is_gone() -> None:
    child = start_engine_process("3")()
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == f'{{"hello":{PROTOCOL}}}\n'.encode()
    child.stdin.close()
    assert await asyncio.to_thread(child.wait, PATIENCE) == 0
    child.stdout.close()


def test_a_second_engine_does_not_take_the_socket_of_another_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="not a socket"):
        run_socket(lambda: Engine([], SCOPE), path)
    assert path.read_text() == "mine"


RED = PlanRequest(verb="paint", target="shed", environment="home", parameters={"colour": "red"})


async def test_an_operation_is_planned_confirmed_and_followed(make: Make) -> None:
    engine = await make()
    viewer = Viewer(engine)
    plan = await engine.plan(RED)
    assert (plan.title, plan.undo and plan.undo.parameters) == ("Paint shed red", {"colour": "green"})
    begun = await engine.execute(plan.id, Confirmation())
    assert begun.title == plan.title

    def ended(viewer: Viewer) -> bool:
        row = viewer.rows.get(begun.key)
        return isinstance(row, OperationRow) and row.state.ended

    await viewer.until(ended)
    row = viewer.rows[begun.key]
    assert isinstance(row, OperationRow)
    assert (row.state, row.outcome) == (OperationState.DONE, "the shed is red")
    assert (await engine.plan(RED)).idle == "it is red"
    detail = await engine.detail(RowRef(kind=RowKind.OPERATION, key=begun.key))
    assert detail.title == "Paint shed red"
    await viewer.end()


async def test_what_cannot_be_planned_or_carried_out_says_so_with_its_exit_code(make: Make) -> None:
    engine = await make()
    with pytest.raises(ConfigError, match="there is no operation sing"):
        await engine.plan(RED.model_copy(update={"verb": "sing"}))
    with pytest.raises(Refused, match="carried out already") as caught:
        await engine.execute("no such plan", Confirmation())
    assert (caught.value.exit_code, caught.value.hint) == (5, "plan it again")


async def test_operations_of_an_earlier_sitting_are_on_the_board(make: Make, tmp_path: Path) -> None:
    earlier = Engine([ScriptedSource()], SCOPE, desk=lambda tell: paint_desk(tmp_path / "journal.jsonl", tell))
    earlier.start()
    viewer = Viewer(earlier)
    await earlier.execute((await earlier.plan(RED)).id, Confirmation())
    await viewer.until(
        lambda viewer: any(row.kind is RowKind.OPERATION and row.state.ended for row in viewer.rows.values())
    )
    await viewer.end()
    await earlier.close()
    viewer = Viewer(await make())
    await viewer.until(lambda viewer: any(row.kind is RowKind.OPERATION for row in viewer.rows.values()))
    await viewer.end()
