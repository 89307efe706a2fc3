"""The faces of the screen as pictures: a change of any of them has to be looked at."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from mlops_tui.config.themes import theme_folders
from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import EngineError
from mlops_tui.domain.state import Problem, SourceKind, SourceState, SourceStatus
from mlops_tui.ui.app import DashboardApp
from mlops_tui.ui.options import UiOptions
from mlops_tui.ui.screens.operations import OperationsScreen
from mlops_tui.ui.screens.plan import Phase, PlanScreen
from tests.support.clock import ManualClock
from tests.support.fake_engine import OPERATIONS, FakeEngine, ago, cast, first_update, past, rollout, states

Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fix what a machine could change in a picture."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)


def app(engine: FakeEngine | None = None, **options: Any) -> DashboardApp:
    engine = engine or FakeEngine(first_update())
    ui = UiOptions(clock=ManualClock(), version="0.1.0", theme_folders=theme_folders()[1:], **options)
    found = DashboardApp(engine.connect, ui=ui)
    found.animation_level = "none"
    return found


def after(*keys: str, rows: bool = True, lost: bool = False) -> Callable[[Pilot[str]], Any]:
    """Return what to do before the picture: wait for the board, press keys, wait for what they start."""

    async def play(pilot: Pilot[str]) -> None:
        board = pilot.app
        assert isinstance(board, DashboardApp)
        for _ in range(200):
            if not rows or any(pane.rows.row_count for pane in board.dashboard.panes.values()):
                break
            await pilot.pause(0.01)
        for _ in range(200):
            if not lost or "engine" in str(board.dashboard.header.render()):
                break
            await pilot.pause(0.01)
        await pilot.press(*keys)
        for _ in range(100):
            if not board.dashboard.drawer.display or "Jobs" in board.dashboard.drawer.body.text:
                break
            await pilot.pause(0.01)
        await pilot.pause()

    return play


def test_dashboard(snap_compare: Compare) -> None:
    assert snap_compare(app(read_only=True), terminal_size=(150, 45), run_before=after())


def test_dashboard_in_a_small_terminal(snap_compare: Compare) -> None:
    assert snap_compare(app(), terminal_size=(80, 24), run_before=after("4"))


def test_details_beside_the_panes_in_daylight(snap_compare: Compare) -> None:
    assert snap_compare(app(theme="daylight"), terminal_size=(200, 50), run_before=after("enter"))


def test_details_below_the_panes(snap_compare: Compare) -> None:
    assert snap_compare(app(), terminal_size=(150, 45), run_before=after("5", "enter"))


def test_connecting(snap_compare: Compare) -> None:
    assert snap_compare(app(FakeEngine()), terminal_size=(110, 24), run_before=after(rows=False))


def test_faces_of_sources_that_fail(snap_compare: Compare) -> None:
    problem = Problem(scope="namespace ml-batch", message="not permitted", hint="ask for list deployments",
                      status=SourceStatus.DENIED, rows=(RowKind.ROLLOUT,))  # fmt: skip
    sources = states(
        github=SourceState(source="github", kind=SourceKind.GITHUB, label="api.github.com",
                           status=SourceStatus.DENIED, error='token lacks "actions: read"',
                           hint="gh auth refresh --scopes repo"),
        mlflow=SourceState(source="mlflow", kind=SourceKind.MLFLOW, label="", status=SourceStatus.OFF),
        kubernetes=SourceState(source="kubernetes:prod-eu", kind=SourceKind.KUBERNETES, label="prod-eu",
                               status=SourceStatus.STALE, error="HTTP 502", fetched_at=ago(minutes=2),
                               retry_at=ago(seconds=-14), problems=(problem,)),
    )  # fmt: skip
    rows = [row for row in cast() if row.kind == RowKind.ROLLOUT]
    engine = FakeEngine(first_update([*rows, rollout("batch")], sources))
    assert snap_compare(app(engine), terminal_size=(150, 30), run_before=after("4"))


def test_faces_of_sources_that_wait_or_have_nothing(snap_compare: Compare) -> None:
    sources = states(
        github=SourceState(source="github", kind=SourceKind.GITHUB, label="api.github.com",
                           status=SourceStatus.LIMITED, fetched_at=ago(minutes=3), retry_at=ago(minutes=-12)),
        mlflow=SourceState(source="mlflow", kind=SourceKind.MLFLOW, label="mlflow.acme.example",
                           status=SourceStatus.UNREACHABLE, error="connection refused", retry_at=ago(seconds=-14),
                           hint="is the server running?"),
    )  # fmt: skip
    rows = [row for row in cast() if row.kind == RowKind.RUN]
    engine = FakeEngine(first_update(rows, sources))
    assert snap_compare(app(engine), terminal_size=(110, 24), run_before=after("4"))


def test_the_engine_is_lost(snap_compare: Compare) -> None:
    engine = FakeEngine(first_update())
    engine.fail(EngineError("the engine died with signal 9"))
    assert snap_compare(app(engine), terminal_size=(110, 24), run_before=after(lost=True))


def test_dashboard_in_a_large_terminal(snap_compare: Compare) -> None:
    assert snap_compare(app(), terminal_size=(200, 50), run_before=after("3"))


def test_filter_in_ascii(snap_compare: Compare) -> None:
    assert snap_compare(app(ascii=True), terminal_size=(110, 30), run_before=after("/", *"is:bad brnch:x", "enter"))


def test_help(snap_compare: Compare) -> None:
    assert snap_compare(app(), terminal_size=(120, 60), run_before=after("?"))


SIZES = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["small", "wide"])


def planned(*keys: str, typed: str = "") -> Callable[[Pilot[str]], Any]:
    """Return what to do before the picture of a dialog: open it, type, wait for the plan of what was typed."""

    async def play(pilot: Pilot[str]) -> None:
        await after(*keys)(pilot)
        await settled(pilot)
        # The cursor of a line would blink.
        for field in pilot.app.screen.query("Input, TextArea"):
            field.cursor_blink = False  # type: ignore[attr-defined]
        for key in typed:
            await pilot.press({"\n": "enter"}.get(key, key))
        await settled(pilot)

    return play


async def settled(pilot: Pilot[str]) -> None:
    for _ in range(300):
        dialog = pilot.app.screen
        if isinstance(dialog, PlanScreen) and dialog.phase is Phase.READY:
            break
        await pilot.pause(0.01)
    await pilot.pause()


@SIZES
def test_a_plan_to_scale(snap_compare: Compare, size: tuple[int, int]) -> None:
    play = planned("4", "g", "j", "s", typed="6")
    assert snap_compare(app(), terminal_size=size, run_before=play)


@SIZES
def test_a_plan_with_a_failed_gate_in_a_frozen_protected_environment(
    snap_compare: Compare, size: tuple[int, int]
) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=planned("3", "j", "j", "p"))


@SIZES
def test_a_comment_with_its_preview(snap_compare: Compare, size: tuple[int, int]) -> None:
    text = "Looks **good**, but for:\n\n- the threshold of `drift`\nwhich is\n\n> too low"
    assert snap_compare(app(), terminal_size=size, run_before=planned("5", "c", typed=text))


@SIZES
def test_operations(snap_compare: Compare, size: tuple[int, int]) -> None:
    engine = FakeEngine(first_update([*cast(), *past()], [*states(), OPERATIONS]))

    async def play(pilot: Pilot[str]) -> None:
        await after("@")(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, OperationsScreen)
        if size[0] > 100:
            await pilot.press("j", "j", "enter")
        await pilot.pause()

    assert snap_compare(app(engine), terminal_size=size, run_before=play)


def test_progress(snap_compare: Compare) -> None:
    engine = FakeEngine(first_update())

    async def play(pilot: Pilot[str]) -> None:
        await planned("4", "s", typed="6")(pilot)
        await pilot.press("y")
        for _ in range(200):
            if engine.executed and "operations/000000000001" in engine.rows:
                break
            await pilot.pause(0.01)
        engine.advance("operations/000000000001", state="verifying", done=4, of=6, progress=past()[0].progress)
        await pilot.pause(0.1)

    assert snap_compare(app(engine), terminal_size=(110, 30), run_before=play)


def test_a_plan_that_is_stale_in_ascii(snap_compare: Compare) -> None:
    engine = FakeEngine(first_update())

    async def play(pilot: Pilot[str]) -> None:
        await planned("4", "s", typed="6")(pilot)
        kept = engine.plans["scale"]
        engine.plans["scale"] = lambda request, number: kept(request, number).model_copy(
            update={"idle": "there are 6 replicas already"}
        )
        engine.send(rollout("fraud-api", desired=6))
        for _ in range(200):
            dialog = pilot.app.screen
            if isinstance(dialog, PlanScreen) and dialog.phase is Phase.STALE:
                break
            await pilot.pause(0.01)
        await pilot.pause()

    assert snap_compare(app(engine, ascii=True), terminal_size=(110, 30), run_before=play)


def test_what_can_be_done_with_a_run(snap_compare: Compare) -> None:
    assert snap_compare(app(), terminal_size=(110, 30), run_before=after("j", "x"))
