import asyncio
import dataclasses
import stat
from pathlib import Path

import pytest

from mlops_tui.config.settings import parse_settings
from mlops_tui.domain.errors import Unavailable
from mlops_tui.domain.state import SourceStatus
from mlops_tui.engine.cache import BoardCache
from mlops_tui.engine.compose import build_engine
from mlops_tui.engine.engine import Engine
from mlops_tui.sources.base import Delta
from tests.support.clock import ManualClock, settle
from tests.support.scripted import SCOPE, ScriptedSource, rollout


async def test_the_next_sitting_begins_with_the_last_board_marked_as_old(tmp_path: Path) -> None:
    clock = ManualClock()
    async with Engine([ScriptedSource()], SCOPE, clock=clock, cache=BoardCache(tmp_path, "a")) as engine:
        await settle()
        rows = list(engine.board.rows())
        answered = engine.board.state("scripted").fetched_at
    assert len(rows) == 3

    source = ScriptedSource()
    source.steps = [Unavailable("connection refused")]
    async with Engine([source], SCOPE, clock=clock, cache=BoardCache(tmp_path, "a")) as engine:
        assert list(engine.board.rows()) == rows
        state = engine.board.state("scripted")
        assert (state.status, state.fetched_at) == (SourceStatus.CONNECTING, answered)
        await settle()
        assert engine.board.state("scripted").status is SourceStatus.STALE
        assert list(engine.board.rows()) == rows


async def test_rows_that_are_gone_since_leave_with_the_first_answer(tmp_path: Path) -> None:
    async with Engine([ScriptedSource(size=5)], SCOPE, cache=BoardCache(tmp_path, "a")):
        await asyncio.sleep(0.01)
    async with Engine([ScriptedSource(size=2)], SCOPE, cache=BoardCache(tmp_path, "a")) as engine:
        assert len(list(engine.board.rows())) == 5
        await asyncio.sleep(0.01)
        assert len(list(engine.board.rows())) == 2


async def test_the_file_is_private_and_of_one_configuration(tmp_path: Path) -> None:
    async with Engine([ScriptedSource()], SCOPE, cache=BoardCache(tmp_path / "new", "a")):
        await asyncio.sleep(0.01)
    [file] = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert BoardCache(tmp_path / "new", "b").load() == ((), ())


@pytest.mark.parametrize("content", ["", "{", '{"version": 99, "states": [], "rows": []}', "\x00" * 100])
def test_a_file_that_is_no_board_is_ignored(tmp_path: Path, content: str) -> None:
    cache = BoardCache(tmp_path, "a")
    cache.save([], [])
    [file] = tmp_path.iterdir()
    file.write_text(content)
    assert cache.load() == ((), ())


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    BoardCache(tmp_path / "file" / "below", "a").save([], [])


async def test_rows_of_another_system_are_never_shown_as_this_one_s(tmp_path: Path) -> None:
    cache = BoardCache(tmp_path, "a")
    async with Engine([ScriptedSource()], SCOPE, cache=cache):
        await asyncio.sleep(0.01)
    other = ScriptedSource()
    other.info = dataclasses.replace(other.info, label="another context")
    other.steps = [Unavailable("connection refused")]
    async with Engine([other], SCOPE, cache=cache) as engine:
        await asyncio.sleep(0.01)
        assert list(engine.board.rows()) == []
        state = engine.board.state("scripted")
        assert (state.status, state.label, state.fetched_at) == (SourceStatus.UNREACHABLE, "another context", None)


async def test_the_last_answer_is_kept_even_where_no_row_changed_since(tmp_path: Path) -> None:
    clock = ManualClock()
    source = ScriptedSource()
    row = rollout("a")
    source.steps = [[Delta(upserts=[row], complete=True)], [Delta()]]
    async with Engine([source], SCOPE, clock=clock, cache=BoardCache(tmp_path, "a")) as engine:
        await settle()
        await clock.advance(11)
        answered = engine.board.state("scripted").fetched_at
    states, rows = BoardCache(tmp_path, "a").load()
    assert ([state.fetched_at for state in states], rows) == ([answered], (row,))


def test_whatever_decides_which_systems_are_read_has_a_board_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_tui.engine.compose.cache_dir", lambda: tmp_path)

    def file_of(**settings: object) -> object:
        engine = build_engine(parse_settings(settings, "test"), keep=True)
        return vars(vars(engine)["_cache"])["_path"]

    one = file_of()
    assert file_of() == one
    assert file_of(ui={"theme": "daylight"}) == one
    assert file_of(github={"repositories": ["a/b"]}) != one
    for name in ("KUBECONFIG", "MLFLOW_TRACKING_URI"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "/elsewhere")
            assert file_of() != one
