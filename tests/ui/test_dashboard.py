"""The dashboard under a pilot: keys, faces, the cursor, sizes, and what a stranger's text may not do."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from mlops_tui.config.keymap import ACTIONS, Place
from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.errors import ConfigError, EngineError
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceKind, SourceState, SourceStatus
from mlops_tui.engine.messages import EnvironmentScope, Scope
from mlops_tui.ui.app import DashboardApp
from mlops_tui.ui.options import UiOptions
from mlops_tui.ui.panes.pane import Pane
from mlops_tui.ui.widgets.list import RowList
from tests.support.clock import ManualClock
from tests.support.fake_engine import (
    FakeEngine,
    ago,
    cast,
    first_update,
    many_rows,
    pull,
    rollout,
    run,
    states,
    version,
)

WIDE = (150, 45)
NARROW = (80, 24)


class Session:
    """A running dashboard with its engine, clock and pilot."""

    def __init__(self, app: DashboardApp, engine: FakeEngine, clock: ManualClock, pilot: Pilot[str]) -> None:
        self.app = app
        self.engine = engine
        self.clock = clock
        self.pilot = pilot

    def pane(self, kind: str) -> Pane:
        return self.app.dashboard.panes[kind]

    def rows(self, kind: str = "run") -> RowList[Any]:
        return self.pane(kind).rows

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; a second is a long time here."""
        for _ in range(100):
            if holds():
                return
            await self.pilot.pause(0.01)
        raise AssertionError("did not come true")

    async def until_slowly(self, holds: Callable[[], bool]) -> None:
        """Wait for something that takes its second, such as another attempt to have an engine."""
        await self.pilot.pause(1.0)
        await self.until(holds)

    def notice(self, kind: str) -> str:
        """Return what a pane says below its rows, unwrapped."""
        return str(self.pane(kind).query_one(".notice").render()).replace("\n  ", " ")

    def title(self, kind: str) -> str:
        """Return the upper edge of a pane's frame, as it is on the screen."""
        region = self.pane(kind).region
        return self.lines()[region.y][region.x : region.right]

    def lines(self) -> list[str]:
        """Return the screen as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        assert len(strips) == height
        return [strip.text[:width] for strip in strips]

    def screen(self) -> str:
        return "\n".join(self.lines())


@asynccontextmanager
async def dashboard(
    engine: FakeEngine | None = None,
    size: tuple[int, int] = WIDE,
    connect: Callable[[], Awaitable[Any]] | None = None,
    **options: Any,
) -> AsyncIterator[Session]:
    engine = engine or FakeEngine(first_update())
    clock = ManualClock()
    app = DashboardApp(connect or engine.connect, ui=UiOptions(clock=clock, version="0.1.0", **options))
    async with app.run_test(size=size, notifications=True) as pilot:
        session = Session(app, engine, clock, pilot)
        if engine.rows and connect is None:
            await session.until(lambda: app.dashboard.header._scope is not None)
            await pilot.pause()
        yield session


# Start


def test_importing_the_app_brings_no_sdk_no_pydantic_and_no_domain() -> None:
    script = (
        "import sys; import mlops_tui.ui.app; "
        "heavy = {'pydantic', 'click', 'mlflow', 'kubernetes', 'github', 'httpx'}; "
        "ours = ('mlops_tui.domain', 'mlops_tui.engine', 'mlops_tui.sources'); "
        "print([name for name in sys.modules if name.split('.')[0] in heavy or name.startswith(ours)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_the_first_frame_comes_before_the_engine_is_asked_for() -> None:
    seen: list[str] = []

    async def connect() -> FakeEngine:
        seen.append(session.screen())
        return session.engine

    engine = FakeEngine(first_update())
    app = DashboardApp(connect, ui=UiOptions(clock=ManualClock()))
    async with app.run_test(size=WIDE) as pilot:
        session = Session(app, engine, ManualClock(), pilot)
        await session.until(lambda: session.rows().row_count > 0)
    assert "2 Workflows" in seen[0]
    assert "connecting …" in seen[0]


async def test_a_wrong_configuration_ends_the_app_with_its_message() -> None:
    async def connect() -> FakeEngine:
        raise ConfigError("mlops-tui.toml: unknown key gitub", "did you mean github?")

    app = DashboardApp(connect, ui=UiOptions(clock=ManualClock()))
    async with app.run_test() as pilot:
        await pilot.pause(0.2)
    assert app.return_value == "mlops-tui.toml: unknown key gitub"
    assert app.return_code == 2
    assert app.refusal is not None
    assert app.refusal.hint == "did you mean github?"


def test_wrong_keys_are_refused_before_the_screen_is_taken() -> None:
    with pytest.raises(ConfigError, match=r"unknown action pane\.zom; did you mean pane\.zoom"):
        DashboardApp(FakeEngine().connect, ui=UiOptions(keys={"pane.zom": "z"}))


async def test_the_engine_is_closed_at_the_end() -> None:
    async with dashboard() as session:
        await session.press("q")
    assert session.engine.closed == 1
    assert session.app.return_code == 0


# What is on the screen


async def test_what_needs_somebody_comes_first() -> None:
    async with dashboard() as session:
        assert session.rows().keys[:3] == ["github:run:4", "github:run:18", "github:run:2"]
        models = [key.removeprefix("mlflow:version:") for key in session.rows("version").keys]
        assert models == [
            "vision-ocr/3", "fraud-detector/12", "fraud-detector/13", "ranker/31", "churn/7", "fraud-detector/11",
            "ranker/30",
        ]  # fmt: skip
        assert session.screen().count("fraud-detector") == 2, "a model's name stands where its lines begin"


async def test_frames_carry_name_counts_and_freshness() -> None:
    async with dashboard() as session:
        assert session.title("run").startswith("╭─ 2 Workflows ─")
        assert session.title("run").endswith("─ 7 runs · ✖ 1 · ● 1 · ◐ 1 · 4s ─╮")
        assert session.title("rollout").endswith("live ─╮")
        await session.clock.advance(9)
        session.app.dashboard.tick()
        await session.pilot.pause()
        assert session.title("run").endswith("· 13s ─╮")


async def test_a_failure_that_is_over_keeps_its_sign_and_is_not_counted() -> None:
    over = run(90, mark=Mark.BAD, attention=Attention.INFO, reason="failed; #91 passed")
    async with dashboard(FakeEngine(first_update((*cast(), over)))) as session:
        assert session.title("run").endswith("─ 8 runs · ✖ 1 · ● 1 · ◐ 1 · 4s ─╮")
        assert session.screen().count("✖ ML CI Pipeline") == 2


@pytest.mark.parametrize("width", [80, 150])
async def test_what_is_wrong_with_a_version_takes_the_place_of_its_figures(width: int) -> None:
    async with dashboard(size=(width, 45)) as session:
        await session.pilot.press("3")
        await session.pilot.pause()
        [line] = [line for line in session.lines() if "vision-ocr" in line and "champion" in line]
        assert "its run has" in line


@pytest.mark.parametrize("width", [150, 155])
async def test_ages_go_on_and_rows_change_where_they_stand(width: int) -> None:
    async with dashboard(size=(160, 45)) as session:
        await session.pilot.resize_terminal(width, 45)
        await session.pilot.pause()
        [before] = [line for line in session.lines() if "ml/ranker" in line]
        assert " 4m " in before
        await session.clock.advance(125)
        session.app.dashboard.tick()
        await session.pilot.pause()
        [after] = [line for line in session.lines() if "ml/ranker" in line]
        assert " 6m " in after
        session.engine.send(rollout("ranker", mark=Mark.BAD, attention=Attention.WARN, reason="not well"))
        await session.until(lambda: "not well" in session.screen())


async def test_the_header_shows_production_sources_quota_and_time() -> None:
    async with dashboard() as session:
        header = session.lines()[0]
        for part in ("PRODUCTION", "prod-eu/ml", "github ✔ 4s", "kube ✔ live", "quota 4,812", "14:02:11Z"):
            assert part in header
        assert "READ-ONLY" not in header


@pytest.mark.parametrize("width", [40, 60, 80, 100, 150])
async def test_production_and_read_only_survive_every_width(width: int) -> None:
    scope = Scope(
        environments=(
            EnvironmentScope(name="staging", places=("staging-eu/ml",)),
            EnvironmentScope(name="production", protected=True, places=("prod-eu/ml", "prod-us/ml")),
        ),
        read_only=True,
    )
    async with dashboard(FakeEngine(first_update(scope=scope)), size=(width, 24)) as session:
        header = session.lines()[0]
        assert "PRODUCTION" in header
        assert "READ-ONLY" in header
        assert len(header) == width


async def test_text_from_outside_is_never_markup() -> None:
    evil = "[red]x[/] [/x] [@click=app.quit]q[/] $(id)"
    rows: list[Row] = [
        run(1, workflow=evil, branch=evil, title=evil, reason=evil, mark=Mark.BAD, attention=Attention.BAD),
        pull(7, evil, url="https://example.com/[/x]"),
        version(evil, 1),
        rollout("x", reason=evil, attention=Attention.BAD, mark=Mark.BAD),
    ]
    broken = SourceState(
        source="github",
        kind=SourceKind.GITHUB,
        label=evil,
        status=SourceStatus.STALE,
        error=evil,
        fetched_at=ago(days=1),
    )
    async with dashboard(FakeEngine(first_update(rows, states(github=broken))), size=(200, 50)) as session:
        assert "[red]x[/]" in session.screen()
        await session.press("5", "y", "Y", "enter", "escape", "2", "enter", "/")
        await session.press(*"[/x]")
        await session.press("escape", "r")
        assert session.app.is_running


async def test_ascii_uses_nothing_else() -> None:
    async with dashboard(size=(120, 40), ascii=True) as session:
        inner = [line[1:-1] for line in session.lines()]
        odd = {character for line in inner for character in line if not character.isascii()}
        # Frames are Textual's own; its ASCII border draws with hyphens and bars.
        assert odd == set()
        await session.press("enter")
        assert all(character.isascii() for line in session.lines() for character in line)


# Moving


async def test_moving_keys() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(200)))) as session:
        rows = session.rows()
        for key, line in [("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", 199), ("g", 0), ("end", 199), ("home", 0)]:
            await session.press(key)
            assert rows.cursor_index == line, key
        await session.press("ctrl+d")
        half = rows.cursor_index
        assert half == rows.scrollable_content_region.height // 2
        await session.press("ctrl+u", "k")
        assert rows.cursor_index == 0
        await session.press("ctrl+k", "delete", "backspace")
        assert rows.cursor_index == 0
        assert rows.row_count == 200


async def test_pane_keys_tab_and_mouse() -> None:
    async with dashboard() as session:
        for key, kind in [("3", "version"), ("5", "pull"), ("4", "rollout"), ("2", "run")]:
            await session.press(key)
            assert session.app.focused is session.rows(kind)
        for kind in ("version", "rollout", "pull", "run"):
            await session.press("tab")
            assert session.app.focused is session.rows(kind)
        await session.press("shift+tab")
        assert session.app.focused is session.rows("pull")

        await session.pilot.click(session.rows("version"), offset=(10, 2))
        assert session.app.focused is session.rows("version")
        assert session.rows("version").cursor_index == 2
        await session.pilot.click(session.rows("version"), offset=(10, 3), times=2)
        assert session.app.dashboard.drawer.display


def screen_line(rows: RowList[Any]) -> int:
    return rows.cursor_index - rows.scroll_offset.y


async def test_nothing_moves_under_the_cursor_when_data_arrives() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(200)))) as session:
        rows = session.rows()
        await session.press("G", *["k"] * 60)
        key, line = rows.cursor_key, screen_line(rows)
        above = [run(1000 + n, mark=Mark.BAD, attention=Attention.BAD, updated_at=ago()) for n in range(7)]
        session.engine.send(*above)
        await session.until(lambda: rows.row_count == 207)
        await session.pilot.pause()
        assert (rows.cursor_key, screen_line(rows)) == (key, line)

        session.engine.send(removals=[row.key for row in above[:5]])
        await session.until(lambda: rows.row_count == 202)
        await session.pilot.pause()
        assert (rows.cursor_key, screen_line(rows)) == (key, line)

        assert key is not None
        worse = rows.item(key).model_copy(update={"attention": Attention.BAD, "mark": Mark.BAD, "updated_at": ago()})
        session.engine.send(worse)
        await session.until(lambda: rows.item(key).attention == Attention.BAD)
        assert rows.cursor_key == key, "the cursor goes with its row, wherever that is sorted to"


async def test_a_row_that_vanishes_leaves_the_cursor_to_its_neighbour() -> None:
    async with dashboard() as session:
        rows = session.rows()
        await session.press("j", "j")
        following = rows.keys[3]
        session.engine.send(removals=[rows.keys[2]])
        await session.until(lambda: rows.row_count == 6)
        assert rows.cursor_key == following

        await session.press("G")
        before_last = rows.keys[-2]
        session.engine.send(removals=[rows.keys[-1]])
        await session.until(lambda: rows.row_count == 5)
        assert rows.cursor_key == before_last

        session.engine.send(removals=rows.keys)
        await session.until(lambda: rows.row_count == 0)
        assert rows.cursor_key is None
        assert "no workflow runs" in session.notice("run")
        await session.press("enter", "j", "G", "y", "o")
        session.engine.send(run(1))
        await session.until(lambda: rows.cursor_key == "github:run:1")


async def test_an_untouched_pane_shows_its_top_and_a_touched_one_names_what_is_above() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(200)))) as session:
        rows = session.rows()
        fresh = run(1000, mark=Mark.BAD, attention=Attention.BAD, updated_at=ago(seconds=-9))
        await session.press("3")
        session.engine.send(fresh)
        await session.until(lambda: rows.row_count == 201)
        assert rows.cursor_key == fresh.key

        await session.press("2", "G")
        await session.until(lambda: bool(session.pane("run").border_subtitle))
        assert "✖" in str(session.pane("run").border_subtitle)


async def test_a_pane_that_was_left_shows_its_top_again() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(200)))) as session:
        rows = session.rows()
        await session.press("G")
        bottom = rows.cursor_key
        for seconds, expected in ((90, bottom), (0, bottom)):
            await session.clock.advance(seconds)
            session.app.dashboard.tick()
            assert rows.cursor_key == expected, "nothing moves where somebody is at work"
        await session.press("3")
        await session.clock.advance(59)
        session.app.dashboard.tick()
        assert rows.cursor_key == bottom
        await session.clock.advance(1)
        session.app.dashboard.tick()
        await session.pilot.pause()
        assert rows.cursor_index == 0
        assert rows.scroll_offset.y == 0


async def test_a_list_stays_while_the_details_of_its_row_are_read() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(200)))) as session:
        await session.press("G", "enter")
        await session.clock.advance(300)
        session.app.dashboard.tick()
        assert session.rows().cursor_index == 199


@pytest.mark.parametrize(("size", "shown"), [(NARROW, " fraud#10"), (WIDE, " fraud#10"), ((300, 45), " fraud#10")])
async def test_pull_requests_of_several_repositories_are_told_apart(size: tuple[int, int], shown: str) -> None:
    rows = [pull(10, "x"), pull(10, "y", key="github:pull:ranker/10", repository="acme/ranker-service")]
    async with dashboard(FakeEngine(first_update(rows)), size=size) as session:
        await session.press("5")
        region = session.pane("pull").region
        lines = [line[region.x :] for line in session.lines()[region.y :]]
        assert any(shown in line for line in lines)
        assert any("service#10" in line for line in lines)
        session.engine.send(removals=["github:pull:ranker/10"])
        await session.until(lambda: session.pane("pull").total == 1)
        await session.pilot.pause()
        assert "fraud#10" not in session.screen()
        assert "#10" in session.screen()


async def test_ages_grow_without_moving_anything() -> None:
    async with dashboard() as session:
        await session.press("j")
        before = session.lines()
        await session.clock.advance(60)
        session.app.dashboard.tick()
        await session.pilot.pause()
        after = session.lines()
        assert "7m" not in before[2] + before[3]
        assert [line.index("ML C") for line in before[2:5]] == [line.index("ML C") for line in after[2:5]]
        assert " 5m" in after[2]
        assert session.rows().cursor_key == "github:run:18"


# Filter, attention, zoom


async def test_the_filter_is_live_per_pane_and_esc_clears_it() -> None:
    async with dashboard() as session:
        await session.press("/")
        assert "enter keep" in session.lines()[-1]
        await session.press(*"branch:main pipe")
        assert [session.rows().item(key).branch for key in session.rows().keys] == ["main"] * 3
        assert 'Filter "branch:main pipe" hides 4 (esc clears)' in session.notice("run")
        assert "3 of 7" in session.title("run")
        assert session.rows("version").row_count == 7, "other panes keep their rows"

        await session.press("enter")
        assert session.app.focused is session.rows()
        assert session.rows().row_count == 3
        session.engine.send(run(3, branch="main"), run(5, branch="dev"))
        await session.until(lambda: session.pane("run").total == 9)
        assert session.rows().row_count == 4, "what arrives is filtered too"

        await session.press("escape")
        assert session.rows().row_count == 9
        assert session.notice("run") == ""


async def test_esc_in_the_filter_line_clears_and_leaves_it() -> None:
    async with dashboard() as session:
        await session.press("/", *"zzz")
        assert session.rows().row_count == 0
        assert "hides 7" in session.notice("run")
        await session.press("escape")
        assert session.rows().row_count == 7
        assert session.app.focused is session.rows()
        assert session.pane("run").filter_line is None


async def test_an_unknown_key_is_named_and_hides_nothing() -> None:
    async with dashboard() as session:
        await session.press("/", *"stat:bad")
        assert 'no key "stat:" here, did you mean status:?' in session.notice("run")
        assert session.rows().row_count == 7


async def test_attention_only() -> None:
    async with dashboard() as session:
        await session.press("!")
        assert session.rows().keys == ["github:run:4", "github:run:18"]
        assert "attention only hides 5" in session.notice("run")
        await session.press("!")
        assert session.rows().row_count == 7


async def test_frames_count_what_is_shown() -> None:
    over = run(90, mark=Mark.BAD, attention=Attention.BAD, branch="dev")
    async with dashboard(FakeEngine(first_update((*cast(), over)))) as session:
        await session.press("!")
        assert "3 of 8 · ✖ 2 · ● 1 · 4s" in session.title("run")
        await session.press("/", *"branch:dev", "enter")
        assert "1 of 8 · ✖ 1 · 4s" in session.title("run")
        session.engine.send(run(90, branch="dev"))
        await session.until(lambda: "0 of 8 · 4s" in session.title("run"))
        session.engine.send(over, removals=["github:run:4"])
        await session.until(lambda: "1 of 7 · ✖ 1 · 4s" in session.title("run"))
        await session.press("escape", "escape")
        assert "7 runs · ✖ 1 · ● 1 · ◐ 1 · 4s" in session.title("run")


async def test_a_state_that_nothing_has_is_answered_with_those_there_are() -> None:
    async with dashboard() as session:
        pane = session.pane("run")
        pane.set_filter("status:faild")
        assert 'nothing here is "faild"; status: can be completed success' in session.notice("run")
        pane.set_filter("is:foo")
        assert 'nothing here is "foo"; is: can be ok running waiting warn bad' in session.notice("run")
        pane.set_filter("is:paused")
        assert "nothing here is" not in session.notice("run"), "it might be, and is not now"
        pane.set_filter("is:fail")
        assert session.rows().keys == ["github:run:4"]
        pane.set_filter("z" * 5000)
        assert "hides 7" in session.notice("run")
        assert len(session.notice("run")) < 200
        session.engine.send(run(91, status="foo"))
        pane.set_filter("status:foo")
        await session.until(lambda: session.rows().row_count == 1)
        assert "nothing here is" not in session.notice("run")


async def test_thousands_of_rows_are_read_for_the_filter_in_turns() -> None:
    async with dashboard(FakeEngine(first_update(many_rows(3000)))) as session:
        await session.press("/")
        session.app.post_message(events.Paste("is:bad"))
        await session.until(lambda: session.rows().row_count == 150)
        await session.press("space", "z")
        await session.until(lambda: session.rows().row_count == 0)
        await session.press("backspace", "backspace", "backspace")
        await session.until(lambda: session.rows().row_count == 150)
        assert session.rows().keys == sorted(session.rows().keys, key=lambda key: int(key.rpartition(":")[2]))
        await session.press("escape")
        assert session.rows().row_count == 3000


async def test_zoom_and_back() -> None:
    async with dashboard() as session:
        await session.press("4", "f")
        assert [pane.display for pane in session.app.dashboard.panes.values()] == [False, False, True, False]
        assert "3 Models ▲ 1" in session.lines()[1]
        await session.press("3")
        assert session.pane("version").display
        assert not session.pane("rollout").display
        await session.press("escape")
        assert all(pane.display for pane in session.app.dashboard.panes.values())
        assert session.app.focused is session.rows("version")


# Details


async def test_details_show_what_the_row_knows_then_what_the_engine_finds() -> None:
    async with dashboard() as session:
        session.engine.answers.clear()
        await session.press("enter")
        drawer = session.app.dashboard.drawer
        assert "model-training-test failed" in drawer.body.text
        assert "fetching the rest" in drawer.body.text
        session.engine.answers.set()
        await session.until(lambda: "Jobs" in drawer.body.text)
        assert "fetching" not in drawer.body.text
        assert drawer.body.text.count("waits for") == 0
        assert [ref.key for ref in session.engine.asked] == ["github:run:4"]
        assert "esc close" in session.lines()[-1]
        await session.press("escape")
        assert not drawer.display
        assert session.app.focused is session.rows()


async def test_details_follow_their_row_and_say_when_it_is_gone() -> None:
    async with dashboard() as session:
        await session.press("enter")
        drawer = session.app.dashboard.drawer
        await session.until(lambda: "Jobs" in drawer.body.text)
        session.engine.send(run(4, conclusion="success", attempt=2))
        await session.until(lambda: "attempt" in drawer.body.text)
        assert "Jobs" in drawer.body.text
        session.engine.send(removals=["github:run:4"])
        await session.until(lambda: "no longer on the board" in drawer.body.text)


async def test_a_problem_with_details_is_told() -> None:
    async with dashboard() as session:
        session.engine.problem = "HTTP 502 from api.github.com"
        await session.press("enter")
        await session.until(lambda: "HTTP 502" in session.app.dashboard.drawer.body.text)


async def test_open_details_beside_the_panes_follow_the_cursor() -> None:
    async with dashboard(size=(200, 50)) as session:
        await session.press("enter")
        drawer = session.app.dashboard.drawer
        assert drawer.region.x > session.pane("version").region.x
        await session.press("2", "j")
        assert drawer.row is not None
        assert drawer.row.key == "github:run:18"
        await session.press("5")
        assert drawer.row.key == "github:pull:485"
        await session.until(lambda: session.engine.asked[-1].key == "github:pull:485")
        assert len(session.engine.asked) < 4, "rows that were only passed are not fetched"


async def test_parts_and_scrolling_of_details() -> None:
    async with dashboard(size=NARROW) as session:
        await session.press("5", "enter")
        body = session.app.dashboard.drawer.body
        await session.until(lambda: "Jobs" in body.text)
        await session.press("]")
        part = body.scroll_offset.y
        assert part > 0
        await session.press("j", "k", "[")
        assert body.scroll_offset.y == 0
        await session.press("G")
        assert body.scroll_offset.y == body.max_scroll_y > 0
        await session.press("g", "ctrl+d")
        assert body.scroll_offset.y == body.scrollable_content_region.height // 2


# Bursts: a slow line delivers keys in one go


async def burst(session: Session, keys: str) -> None:
    for key in keys:
        name = {"\r": "enter", "/": "slash"}.get(key, key)
        session.app.post_message(events.Key(name, key))
    await session.pilot.pause(0.1)


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_burst_of_keys_acts_where_each_was_meant(size: tuple[int, int]) -> None:
    async with dashboard(size=size) as session:
        await burst(session, "34\r")
        row = session.app.dashboard.drawer.row
        assert row is not None
        assert row.key == "kubernetes:rollout:ml/fraud-api"
        assert session.app.dashboard.current == "rollout"


async def test_what_is_typed_as_text_is_never_a_command() -> None:
    async with dashboard() as session:
        await burst(session, "/quality")
        assert session.app.is_running
        assert session.pane("run").filter.text == "quality"
        assert not session.engine.refreshed


# Sizes


async def test_under_100_columns_panes_are_tabs() -> None:
    async with dashboard(size=NARROW) as session:
        tabs = " ".join(session.lines()[1].split())
        assert tabs == "2 Workflows ✖ 1 ● 1 3 Models ▲ 1 4 Rollouts ✖ 1 ◐ 1 5 Pull requests ✖ 1 ● 1"
        await session.press("4")
        assert "ml/fraud-api" in session.screen()
        assert "ML CI Pipeline" not in session.screen()
        await session.press("enter")
        assert "progress deadline exceeded" in session.screen()
        assert not session.rows("rollout").region.area, "details take the whole screen"
        await session.press("escape")
        assert session.app.focused is session.rows("rollout")
        await session.pilot.click(session.app.dashboard.tabs, offset=(22, 0))
        assert session.app.focused is session.rows("version")


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (99, 30), (100, 24), (150, 45), (200, 50), (300, 90)])
async def test_every_size_fits_and_the_footer_never_wraps(size: tuple[int, int]) -> None:
    async with dashboard(size=size) as session:
        for keys in ((), ("enter",), ("escape", "3"), ("/",)):
            await session.press(*keys)
            assert len(session.lines()) == size[1]
            assert session.app.dashboard.footer.region.bottom == size[1]
            assert session.app.dashboard.footer.region.height == 1


async def test_resizing_keeps_focus_and_cursor() -> None:
    async with dashboard() as session:
        await session.press("3", "j", "j")
        key = session.rows("version").cursor_key
        for size in (NARROW, (200, 50), (60, 15), WIDE):
            await session.pilot.resize_terminal(*size)
            await session.pilot.pause()
            assert session.app.focused is session.rows("version")
            assert session.rows("version").cursor_key == key
            assert session.rows("version").region.area


# Faces


async def test_off_denied_and_stale_are_told_in_their_panes() -> None:
    faces = states(
        github=SourceState(
            source="github", kind=SourceKind.GITHUB, label="api.github.com", status=SourceStatus.DENIED,
            error='token lacks "actions: read"', hint="renew it with gh auth refresh",
        ),
        mlflow=SourceState(source="mlflow", kind=SourceKind.MLFLOW, label="", status=SourceStatus.OFF),
        kubernetes=SourceState(
            source="kubernetes:prod-eu", kind=SourceKind.KUBERNETES, label="prod-eu", status=SourceStatus.STALE,
            error="HTTP 502", fetched_at=ago(minutes=2), retry_at=ago(seconds=-14),
        ),
    )  # fmt: skip
    async with dashboard(FakeEngine(first_update([rollout("churn")], faces))) as session:
        assert 'denied: token lacks "actions: read". renew it with gh auth refresh' in session.notice("run")
        assert "denied" in session.title("pull")
        assert "MLFLOW_TRACKING_URI" in session.notice("version")
        assert "2m old: HTTP 502, again in 14s (r now)" in session.notice("rollout")
        await session.clock.advance(4)
        session.app.dashboard.tick()
        await session.pilot.pause()
        assert "again in 10s" in session.notice("rollout")
        styles = {
            segment.style.color
            for segment in session.rows("rollout").render_line(0)
            if segment.text.strip() and segment.style is not None
        }
        assert len(styles) == 1, "an old row is dimmed as a whole"


async def test_a_lost_engine_keeps_the_rows_dimmed_and_is_asked_for_again() -> None:
    async with dashboard() as session:
        session.engine.fail(EngineError("the engine died with signal 9"))
        await session.until(lambda: "engine: the engine died with signal 9" in session.notice("run"))
        assert session.rows().row_count == 7
        assert "✖ engine" in session.lines()[0]
        session.engine.send(run(77))
        await session.pilot.pause(1.1)
        await session.until(lambda: session.rows().row_count == 8)
        await session.until(lambda: session.notice("run") == "")


# Everything else


async def test_refresh_asks_for_the_panes_sources_or_all() -> None:
    async with dashboard() as session:
        await session.press("4", "r")
        await session.until(lambda: session.engine.refreshed == ["kubernetes:prod-eu"])
        await session.press("ctrl+r")
        await session.until(lambda: session.engine.refreshed[-1] is None)


async def test_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    async with dashboard() as session:
        copied: list[str] = []
        monkeypatch.setattr(session.app, "copy_to_clipboard", copied.append)
        await session.press("y", "Y", "3", "y", "4", "y", "5", "y")
        assert copied == [
            "90004", "https://github.com/acme/fraud/actions/runs/4", "models:/vision-ocr/3", "ml/fraud-api",
            "acme/fraud#485",
        ]  # fmt: skip


async def test_only_web_pages_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("mlops_tui.ui.screens.dashboard.open_in_browser", browser)
    async with dashboard(FakeEngine(first_update([run(1), run(2, url="file:///etc/passwd")]))) as session:
        await session.press("o")
        await session.until(lambda: bool(opened))
        await session.press("j", "o")
        await session.pilot.pause(0.05)
    assert opened == ["https://github.com/acme/fraud/actions/runs/1"]


async def test_without_a_browser_the_address_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_tui.ui.screens.dashboard.open_in_browser", lambda url: False)
    async with dashboard() as session:
        copied: list[str] = []
        monkeypatch.setattr(session.app, "copy_to_clipboard", copied.append)
        await session.press("o")
        await session.until(lambda: copied == ["https://github.com/acme/fraud/actions/runs/4"])


async def test_help_lists_every_action_with_its_keys() -> None:
    async with dashboard(size=(150, 140), keys={"pane.zoom": "z"}) as session:
        await session.press("?")
        shown = session.screen()
        for action in ACTIONS:
            assert action.help in shown
            assert action.id in shown
        assert "z    " in next(line for line in session.lines() if "pane.zoom" in line)
        await session.press("escape")
        assert session.app.screen is session.app.dashboard


async def test_in_a_small_terminal_help_has_no_ids_and_the_footer_names_the_way_out() -> None:
    async with dashboard(size=(80, 140)) as session:
        assert "q quit" in session.lines()[-1]
        assert "zoom" not in session.lines()[-1]
        await session.press("?")
        shown = session.screen()
        assert "row.open" not in shown
        assert "☑  items of the pull request" in shown
        assert "▲▼ more or less" in shown
        await session.pilot.resize_terminal(100, 140)
        await session.until(lambda: "row.open" in session.screen())


async def test_a_source_whose_quota_is_used_up_is_not_said_to_be_read() -> None:
    limited = SourceState(
        source="github", kind=SourceKind.GITHUB, label="api.github.com", status=SourceStatus.LIMITED,
        retry_at=ago(minutes=-12), fetched_at=ago(minutes=3),
    )  # fmt: skip
    async with dashboard(FakeEngine(first_update(sources=states(github=limited)))) as session:
        assert "quota used up until 20 Nov 14:14Z" in session.notice("run")
        assert "r now" not in session.notice("run")
        await session.press("r")
        await session.until(lambda: "api.github.com: quota used up until 20 Nov 14:14Z" in session.screen())


async def test_labels_have_the_room_that_they_need() -> None:
    row = rollout("churn", labels={"app.kubernetes.io/part-of-the-platform": "fraud"})
    async with dashboard(FakeEngine(first_update([row]))) as session:
        await session.press("4", "enter")
        await session.until(lambda: "Jobs" in session.app.dashboard.drawer.body.text)
        assert "app.kubernetes.io/part-of-the-platform    fraud" in session.app.dashboard.drawer.body.text


async def test_details_tell_ages_of_now_and_mark_what_did_not_run() -> None:
    async with dashboard() as session:
        await session.press("enter")
        body = session.app.dashboard.drawer.body
        await session.until(lambda: "Jobs" in body.text)
        assert "· skipped" in body.text
        assert "4m ago" in body.text
        await session.clock.advance(60)
        session.app.dashboard.tick()
        assert "4m ago" not in body.text
        assert "5m ago" in body.text


async def test_own_keys_work_and_are_shown() -> None:
    async with dashboard(keys={"pane.zoom": "z", "pane.refresh": "f", "list.filter": ""}) as session:
        assert "z zoom" in session.lines()[-1]
        assert "f refresh" in session.lines()[-1]
        assert "filter" not in session.lines()[-1]
        await session.press("f")
        await session.until(lambda: session.engine.refreshed == ["github"])
        await session.press("slash")
        assert session.pane("run").filter_line is None
        await session.press("z")
        assert not session.pane("version").display


async def test_the_palette_runs_what_it_lists() -> None:
    async with dashboard() as session:
        titles = [command.title for command in session.app.get_system_commands(session.app.screen)]
        assert "Zoom  (f)" in titles
        assert "Theme daylight" in titles
        assert len(titles) > sum(action.place is Place.BOARD for action in ACTIONS)
        await session.press(":")
        await session.pilot.pause(0.3)
        await session.press(*"daylight")
        await session.pilot.pause(0.5)
        await session.press("enter")
        await session.until(lambda: session.app.theme == "daylight")
        await session.press("ctrl+p")
        await session.pilot.pause(0.3)
        await session.press(*"rollouts")
        await session.pilot.pause(0.5)
        await session.press("enter")
        await session.until(lambda: session.app.focused is session.rows("rollout"))


async def test_the_engine_is_told_whether_somebody_looks() -> None:
    async with dashboard() as session:
        session.app.post_message(events.AppBlur())
        await session.until(lambda: session.engine.attended == [False])
        session.app.post_message(events.AppFocus())
        await session.until(lambda: session.engine.attended == [False, True])


async def test_a_bad_theme_is_told_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\n')
    async with dashboard(theme="mine", theme_folders=(tmp_path, Path("themes").resolve())) as session:
        await session.until(lambda: len(session.app._notifications) == 2)
        assert session.app.theme == "midnight"
    async with dashboard(theme="mine", theme_folders=(tmp_path,)) as session:
        assert "2 Workflows" in session.screen(), "without any theme file there still is a screen"


async def test_random_keys_never_break_it() -> None:
    keys = [key for action in ACTIONS for key in action.keys.split(",") if action.id not in ("quit", "row.browser")]
    keys += ["x", "Z", "1", "6", "backspace", "delete", "ctrl+k", "left", "right", "space", "a", "b"]
    chance = random.Random(482)
    async with dashboard(size=(110, 32)) as session:
        for step in range(150):
            await session.pilot.press(chance.choice(keys))
            if step % 20 == 0:
                session.engine.send(
                    run(chance.randrange(60), mark=Mark.BAD, attention=Attention.BAD),
                    removals=[f"github:run:{chance.randrange(60)}"],
                )
            if step % 50 == 25:
                await session.pilot.resize_terminal(chance.choice([60, 110, 190]), chance.choice([15, 32, 60]))
        await session.pilot.pause()
        assert session.app.is_running
        rows = session.rows()
        if rows.cursor_key is not None:
            assert rows.keys[rows.cursor_index] == rows.cursor_key
