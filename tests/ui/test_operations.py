"""Operations under a pilot: keys, plans, what may be confirmed, how it goes, what is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mlops_tui.config.keymap import read_keymap
from mlops_tui.domain.base import Mark
from mlops_tui.domain.errors import ConfigError, EngineError, Refused, Unavailable
from mlops_tui.domain.operation import Change, Concern, FieldKind, Plan, PlanField, PlanRequest
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import Permission
from mlops_tui.engine.messages import EnvironmentScope, Scope
from mlops_tui.ui.asks import asks_for, differences, forbidden, request_for
from mlops_tui.ui.screens.menu import MenuScreen
from mlops_tui.ui.screens.operations import OperationsScreen
from mlops_tui.ui.screens.plan import Phase, PlanScreen
from mlops_tui.ui.widgets.fields import NumberField, TextField
from mlops_tui.ui.widgets.sheet import Sheet
from tests.support.fake_engine import (
    OPERATIONS,
    FakeEngine,
    ago,
    cast,
    first_update,
    operation,
    past,
    plan_of,
    promote_plan,
    pull,
    rollout,
    run,
    scale_plan,
    states,
    version,
)
from tests.ui.test_dashboard import NARROW, WIDE, Session, dashboard

CHURN = rollout("churn")
PROMOTED = version("fraud-detector", 13, stage="Staging")


def engine_with(*rows: Row, **scope: Any) -> FakeEngine:
    chosen = Scope(
        environments=(EnvironmentScope(name="production", protected=True, places=("prod-eu/ml",)),),
        read_only=scope.get("read_only", False),
    )
    sources = scope.get("sources") or states()
    return FakeEngine(first_update(rows or cast(), [*sources, OPERATIONS], chosen))


class Dialog:
    """A plan's dialog on a running dashboard."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.engine = session.engine

    @property
    def screen(self) -> PlanScreen:
        screen = self.session.app.screen
        assert isinstance(screen, PlanScreen), screen
        return screen

    @property
    def text(self) -> str:
        """Everything that the dialog says, unwrapped."""
        sheets = (sheet.text for sheet in self.screen.query(Sheet) if sheet.display)
        return " ".join(" ".join(sheets).split())

    async def until(self, phase: Phase) -> None:
        await self.session.until(lambda: self.screen.phase is phase)
        await self.session.pilot.pause()

    async def settle(self) -> None:
        """Wait until the plan is of what was asked for last."""
        await self.session.until(
            lambda: self.screen.phase is Phase.READY and self.engine.planned[-1] == self.screen.request
        )
        await self.session.pilot.pause()

    def toasts(self) -> str:
        return "\n".join(f"{toast.title}: {toast.message}" for toast in self.session.app._notifications)


@asynccontextmanager
async def dialog(
    *keys: str, engine: FakeEngine | None = None, size: tuple[int, int] = WIDE, **options: Any
) -> AsyncIterator[Dialog]:
    async with dashboard(
        engine or engine_with(CHURN, PROMOTED, pull(482, "Bigger embedding")), size, **options
    ) as session:
        found = Dialog(session)
        await session.press(*keys)
        yield found


@asynccontextmanager
async def scaling(**options: Any) -> AsyncIterator[Dialog]:
    """Open the plan to scale, with 6 replicas asked for."""
    async with dialog("4", "s", **options) as found:
        await found.settle()
        await found.session.press("plus", "plus")
        await found.settle()
        yield found


# Keys


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("3p", PlanRequest(verb="promote", target="fraud-detector@13", row=PROMOTED.key)),
        ("3b", PlanRequest(verb="restore", target="fraud-detector", row=PROMOTED.key)),
        ("4s", PlanRequest(verb="scale", target="ml/churn", environment="production", row=CHURN.key)),
        ("4b", PlanRequest(verb="rollback", target="ml/churn", environment="production", row=CHURN.key)),
        ("4R", PlanRequest(verb="restart", target="ml/churn", environment="production", row=CHURN.key)),
        ("4t", PlanRequest(verb="traffic", target="ml/churn", environment="production", row=CHURN.key)),
        ("5c", PlanRequest(verb="comment", target="acme/fraud#482", row="github:pull:482")),
    ],
)
async def test_a_panes_key_plans_for_the_row_under_the_cursor_and_does_nothing_else(
    keys: str, expected: PlanRequest
) -> None:
    async with dialog(*keys) as found:
        await found.until(Phase.READY)
        assert found.engine.planned == [expected]
        assert found.engine.executed == []
        assert expected.target.partition("@")[0] in found.session.screen()


@pytest.mark.parametrize("keys", ["2s", "3s", "5s", "2p", "4p", "3R", "4c", "2c", "3t"])
async def test_a_key_of_another_pane_opens_nothing(keys: str) -> None:
    async with dialog(*keys, engine=engine_with()) as found:
        assert found.session.app.screen is found.session.app.dashboard
        assert found.engine.planned == []


async def test_ctrl_k_delete_and_backspace_do_nothing_anywhere() -> None:
    async with dialog("4", "ctrl+k", "delete", "backspace", "@", "ctrl+k", "delete", "backspace") as found:
        assert isinstance(found.session.app.screen, OperationsScreen)
        await found.session.press("escape", "s")
        await found.settle()
        await found.session.press("tab", "tab", "ctrl+k", "delete", "backspace")
        assert found.screen.phase is Phase.READY
        assert found.engine.executed == []


async def test_the_keys_act_on_the_row_whose_details_have_the_focus() -> None:
    async with dialog("4", "enter", "s") as found:
        await found.until(Phase.READY)
        assert found.engine.planned[0].target == "ml/churn"


async def test_keys_are_shown_where_they_work_and_can_be_moved() -> None:
    async with dialog("4", keys={"rollout.scale": "S", "version.archive": "s"}, size=(200, 50)) as found:
        footer = found.session.lines()[-1]
        assert "S scale…" in footer
        assert "promote…" not in footer
        await found.session.press("3")
        assert "p promote…" in found.session.lines()[-1]
        await found.session.press("s")
        await found.until(Phase.READY)
        assert found.engine.planned[-1].verb == "archive"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"rollout.scale": "b"}, "ui.keys: b for rollout.scale is already rollout.rollback"),
        ({"rollout.scale": "f"}, "ui.keys: f for rollout.scale is already pane.zoom"),
        ({"rollout.scale": "j"}, "ui.keys: j for rollout.scale is already list.down"),
        ({"operations.undo": "y"}, "ui.keys: y for operations.undo is already row.copy_id"),
        ({"plan.copy": "r"}, "ui.keys: r for plan.copy is already plan.again"),
    ],
)
def test_a_key_that_is_taken_where_it_would_work_is_refused(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as found:
        read_keymap(overrides)
    assert found.value.message == message


def test_panes_and_dialogs_may_give_one_key_several_meanings() -> None:
    keymap = read_keymap({"rollout.scale": "c", "version.archive": "s", "plan.copy": "j", "operations.undo": "b"})
    assert keymap.keys["rollout.scale"] == keymap.keys["pull.comment"]


async def test_the_palette_has_what_fits_the_selected_row() -> None:
    async with dialog("4") as found:
        app = found.session.app
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Scale…  (s)" in titles
        assert "Pause…" in titles
        assert "Promote…  (p)" not in titles
        [pause] = [command for command in app.get_system_commands(app.screen) if command.title == "Pause…"]
        pause.callback()
        await found.session.until(lambda: bool(found.engine.planned))
        assert found.engine.planned[0].verb == "pause"


# The menu


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"status": "waiting", "conclusion": "", "waiting_for": "production"},
            ["approve", "reject", "cancel", "dispatch"],
        ),
        ({"status": "in_progress", "conclusion": ""}, ["cancel", "dispatch"]),
        ({"conclusion": "failure"}, ["rerun_failed", "rerun", "rerun_job", "dispatch"]),
        ({"conclusion": "success"}, ["rerun", "rerun_job", "dispatch"]),
    ],
)
def test_only_what_fits_a_run_is_offered_and_first_what_needs_somebody(
    values: dict[str, Any], expected: list[str]
) -> None:
    assert [action.id.removeprefix("run.") for action in asks_for(run(1, **values))] == expected


def test_what_is_offered_for_other_rows_fits_them_too() -> None:
    offered = {action.id for action in asks_for(rollout("a", paused=True))}
    assert "rollout.resume" in offered
    assert "rollout.pause" not in offered
    assert "version.archive" not in {action.id for action in asks_for(version("a", 1, stage="Archived"))}
    assert "pull.tick" not in {action.id for action in asks_for(pull(1, "x", items=0, done=0))}


async def test_x_chooses_from_what_can_be_done_with_the_run_it_was_pressed_on() -> None:
    failed = run(4, conclusion="failure", mark=Mark.BAD)
    async with dialog("2", "x", engine=engine_with(failed, run(5))) as found:
        app = found.session.app
        assert isinstance(app.screen, MenuScreen)
        found.engine.send(removals=[failed.key])
        await found.session.until(lambda: failed.key not in found.session.rows())
        await found.session.press("j", "enter")
        await found.session.until(lambda: bool(found.engine.planned))
        assert found.engine.planned[0].target == "acme/fraud/runs/90004"
        assert found.engine.planned[0].verb == "rerun"


async def test_a_menu_chooses_by_number_and_by_key_and_leaves_without_a_choice() -> None:
    async with dialog("4", "a") as found:
        await found.session.press("escape")
        assert found.session.app.screen is found.session.app.dashboard
        await found.session.press("a", "R")
        await found.session.until(lambda: bool(found.engine.planned))
        await found.session.press("escape", "a", "1")
        await found.session.until(lambda: len(found.engine.planned) == 2)
        assert [request.verb for request in found.engine.planned] == ["restart", "rollback"]


async def test_where_a_version_is_to_serve_is_asked_if_there_are_several_places() -> None:
    environments = (EnvironmentScope(name="staging"), EnvironmentScope(name="production", protected=True))
    update = first_update((PROMOTED,), [*states(), OPERATIONS], Scope(environments=environments, read_only=False))
    async with dialog("3", "p", engine=FakeEngine(update)) as found:
        assert "Promote fraud-detector@13 where?" in found.session.screen()
        assert found.engine.planned == []
        await found.session.press("j", "enter")
        await found.session.until(lambda: bool(found.engine.planned))
        assert found.engine.planned[0].environment == "production"


# The target


async def test_the_target_is_that_of_the_keypress_whatever_the_list_does() -> None:
    async with dialog("4", "s") as found:
        await found.settle()
        first = rollout("aaa", mark=Mark.BAD, namespace="ml")
        found.engine.send(first, removals=[CHURN.key])
        await found.session.until(lambda: found.session.rows("rollout").cursor_key == first.key)
        await found.session.pilot.pause(0.4)
        await found.session.press("plus")
        await found.session.pilot.pause(0.5)
        assert {request.target for request in found.engine.planned} == {"ml/churn"}
        assert {request.row for request in found.engine.planned} == {CHURN.key}
        assert "Scale ml/churn" in found.session.screen()


async def test_a_plan_that_the_world_has_overtaken_is_stale_until_it_is_made_again() -> None:
    async with scaling() as found:
        before = found.screen.plan

        def moved(request: PlanRequest, number: int) -> Plan:
            fresh = scale_plan(request, number)
            return fresh.model_copy(update={"changes": (Change(what="replicas", before="5", after="6"),)})

        found.engine.plans["scale"] = moved
        found.engine.send(rollout("churn", desired=5))
        await found.until(Phase.STALE)
        assert "the world has moved: replicas was 4, is 5 – r plans again" in found.text
        assert found.engine.planned[-1] == found.engine.planned[-2], "the same is asked again"
        assert found.screen.plan is before, "what is shown stays what was read"
        await found.session.press("tab", "y", "ctrl+s")
        assert found.engine.executed == []
        await found.session.press("r")
        await found.settle()
        await found.session.press("y")
        assert [plan for plan, _ in found.engine.executed] == [found.screen.plan.id if found.screen.plan else ""]


async def test_an_update_that_changes_nothing_of_the_plan_renews_it_quietly() -> None:
    async with scaling() as found:
        before = found.screen.plan
        assert before is not None
        asked = len(found.engine.planned)
        found.engine.send(rollout("churn", available=3))
        await found.session.until(lambda: len(found.engine.planned) > asked)
        await found.session.until(lambda: found.screen.plan is not before)
        assert found.screen.phase is Phase.READY
        assert "moved" not in found.text
        await found.session.press("y")
        [(executed, _)] = found.engine.executed
        assert executed != before.id, "the preconditions are those of now"


async def test_another_row_is_no_reason_to_look_again() -> None:
    async with scaling() as found:
        asked = len(found.engine.planned)
        found.engine.send(rollout("ranker"), run(9))
        await found.session.pilot.pause(0.4)
        assert len(found.engine.planned) == asked


@pytest.mark.parametrize("stale", [False, True])
async def test_a_yes_waits_for_the_look_and_falls_with_a_stale_plan(stale: bool) -> None:
    async with scaling() as found:
        asked = len(found.engine.planned)
        found.engine.plan_answers.clear()
        if stale:
            found.engine.plans["scale"] = lambda request, number: scale_plan(request, number).model_copy(
                update={"idle": "somebody else has done it"}
            )
        found.engine.send(rollout("churn", available=3))
        await found.session.until(lambda: len(found.engine.planned) > asked)
        await found.session.press("y")
        assert found.engine.executed == []
        found.engine.plan_answers.set()
        await found.until(Phase.STALE if stale else Phase.UNDER_WAY)
        assert len(found.engine.executed) == (0 if stale else 1)


def test_what_differs_is_said_in_words() -> None:
    request = request_for("scale", CHURN)
    plan = plan_of(request, changes=(Change(what="replicas", before="4", after="6"),))
    refused = plan.model_copy(update={"refusals": (Concern(text="ml is frozen"),)})
    promoted = promote_plan(request_for("promote", PROMOTED), 1)
    gates = (promoted.gates[0].model_copy(update={"evidence": "0.938 ≥ 0.930"}), *promoted.gates[1:])
    assert differences(plan, plan.model_copy(update={"id": "other", "warnings": (Concern(text="x"),)})) == ""
    assert differences(plan, refused) == "ml is frozen"
    assert differences(refused, plan) == "not any more: ml is frozen"
    assert differences(plan, plan.model_copy(update={"idle": "there are 6"})) == "there are 6"
    assert differences(plan, plan.model_copy(update={"changes": ()})) == "replicas would not change any more"
    assert differences(promoted, promoted.model_copy(update={"gates": gates})) == "accuracy: 0.938 ≥ 0.930"
    undemanding = promoted.model_copy(update={"demand": plan.demand})
    assert "november-freeze" in differences(undemanding, promoted)
    assert differences(promoted, undemanding) == "another confirmation is asked for"


# The dialog


async def test_fields_make_new_plans_once_it_is_quiet() -> None:
    async with dialog("4", "s") as found:
        await found.settle()
        assert "nothing to do: there are 4 replicas already" in found.text
        assert isinstance(found.session.app.focused, NumberField)
        await found.session.press("1", "2")
        await found.settle()
        assert found.engine.planned[-1].parameters == {"replicas": "12"}
        assert len(found.engine.planned) == 2, "not one a keystroke"
        assert "Scale ml/churn from 4 to 12 replicas" in found.text
        await found.session.press("minus", "up", "down")
        await found.settle()
        assert found.engine.planned[-1].parameters == {"replicas": "11"}


async def test_a_number_out_of_its_limits_is_not_asked_for() -> None:
    async with dialog("4", "s") as found:
        await found.settle()
        await found.session.press("9", "9", "9")
        await found.session.pilot.pause(0.4)
        assert "at most 100" in found.session.screen()
        assert "999" not in str(found.engine.planned)
        await found.session.press("y")
        await found.session.press("backspace", "y")
        assert found.engine.executed == [], "the plan that is shown is not of 99 yet"
        await found.settle()
        assert found.engine.planned[-1].parameters == {"replicas": "99"}
        await found.session.press("y")
        assert len(found.engine.executed) == 1


async def test_nothing_can_be_confirmed_while_another_plan_is_on_its_way() -> None:
    async with scaling() as found:
        await found.session.press("plus", "y")
        assert found.engine.executed == []
        await found.settle()
        await found.session.press("y")
        assert len(found.engine.executed) == 1
        assert found.screen.plan is not None
        assert found.screen.plan.title == "Scale ml/churn from 4 to 7 replicas"


async def test_choices_are_listed_with_what_tells_them_apart() -> None:
    async with dialog("4", "b", engine=engine_with(CHURN)) as found:
        await found.settle()
        for part in ("rev 13  fraud:v11-2b90e51", "promoted by release-bot", "rev 12", "31d"):
            assert part in found.session.screen()
        await found.session.press("j")
        await found.settle()
        assert found.engine.planned[-1].parameters == {"to_revision": "12"}
        assert "$ kubectl -n ml rollout undo deployment/fraud-api --to-revision=12" in found.text


async def test_the_default_is_no() -> None:
    async with scaling() as found:
        await found.session.press("enter")
        assert found.session.app.focused is found.screen.query_one("#no")
        await found.session.press("enter")
        assert found.session.app.screen is found.session.app.dashboard
    async with dialog("4", "R", engine=engine_with(CHURN)) as found:
        await found.until(Phase.READY)
        await found.session.press("enter")
        assert found.session.app.screen is found.session.app.dashboard
        assert found.engine.executed == []


@pytest.mark.parametrize("keys", [["y"], ["ctrl+s"], ["enter", "right", "enter"]])
async def test_an_explicit_yes_executes_the_plan_that_is_shown_once(keys: list[str]) -> None:
    async with scaling() as found:
        plan = found.screen.plan
        assert plan is not None
        await found.session.press(*keys, "y")
        await found.until(Phase.UNDER_WAY)
        [(executed, confirmation)] = found.engine.executed
        assert executed == plan.id
        assert (confirmation.typed, confirmation.reason) == ("", "")


async def test_production_freeze_and_gate_each_have_their_demand() -> None:
    async with dialog("3", "p") as found:
        await found.until(Phase.READY)
        shown = found.session.screen()
        assert " PRODUCTION " in shown.split("Promote fraud-detector", 1)[1].splitlines()[0]
        assert "✖ accuracy failed 0.938 ≥ 0.940, champion v12 0.941" in found.text
        assert "? fairness_gap cannot tell" in found.text
        assert "▲ production is frozen until 2026-11-30 08:00 CET: november-freeze" in found.text
        press = found.session.press
        await press("y")
        assert found.engine.executed == []
        assert found.screen.ask("typed").value == "y", "a letter is a letter where a name is typed"
        await press("backspace", *"fraud-api", "ctrl+s")
        assert "type fraud-detector to confirm" in found.toasts()
        await press(*["backspace"] * 9, *"fraud-detector", "enter")
        assert found.session.app.focused is found.screen.ask("override")
        await press("ctrl+s")
        assert "override the freeze by its name: november-freeze" in found.toasts()
        await press(*"november-freeze", "enter")
        assert found.session.app.focused is found.screen.ask("reason")
        await press("ctrl+s")
        assert "a written reason is needed" in found.toasts()
        assert found.engine.executed == []
        await press(*"drift", "enter")
        await found.until(Phase.UNDER_WAY)
        [(_, confirmation)] = found.engine.executed
        assert (confirmation.typed, confirmation.override, confirmation.reason) == (
            "fraud-detector", "november-freeze", "drift",
        )  # fmt: skip


async def test_a_refused_plan_has_its_reason_and_no_yes() -> None:
    engine = engine_with(CHURN)
    engine.plans["restart"] = lambda request, number: plan_of(
        request, number, refusals=(Concern(text="not permitted: patch deployments", hint="ask for a Role"),)
    )
    async with dialog("4", "R", engine=engine) as found:
        await found.until(Phase.READY)
        assert "✖ not permitted: patch deployments ask for a Role" in found.text
        assert not found.screen.query_one("#yes").display
        await found.session.press("y", "ctrl+s")
        assert engine.executed == []
        assert "not permitted" in found.toasts()


async def test_the_command_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scaling() as found:
        copied: list[str] = []
        monkeypatch.setattr(found.session.app, "copy_to_clipboard", copied.append)
        await found.session.press("c")
        assert copied == ["kubectl -n ml scale deployment/churn --replicas=6"]


async def test_looking_can_be_left_and_an_error_tried_again() -> None:
    engine = engine_with(CHURN)
    engine.plan_answers.clear()
    async with dialog("4", "R", engine=engine) as found:
        assert "looking …" in found.text
        await found.session.press("y", "escape")
        assert found.session.app.screen is found.session.app.dashboard
        engine.plan_answers.set()
        engine.refuses_plan = Unavailable("prod-eu does not answer", "is the VPN up?")
        await found.session.press("R")
        await found.until(Phase.FAILED)
        assert "prod-eu does not answer. is the VPN up? (r tries again)" in found.text
        await found.session.press("y")
        engine.refuses_plan = None
        await found.session.press("r")
        await found.until(Phase.READY)
        assert engine.executed == []


async def test_a_refused_execution_is_told_and_planned_again() -> None:
    async with scaling() as found:
        found.engine.refuses_execution = Refused("the release lock is held by jonas", "until 14:12Z")
        await found.session.press("y")
        await found.until(Phase.FAILED)
        assert "the release lock is held by jonas. until 14:12Z" in found.text
        await found.session.press("y")
        assert len(found.engine.executed) == 1, "a plan that was refused is not sent again"


@pytest.mark.parametrize("size", [(40, 12), NARROW, (110, 30), (160, 45)])
@pytest.mark.parametrize("keys", ["3p", "4s", "4b", "5c"])
async def test_a_dialog_fits_every_size_with_its_answers_in_sight(size: tuple[int, int], keys: str) -> None:
    async with dialog(*keys, size=size) as found:
        await found.until(Phase.READY)
        answer = found.screen.query_one("#no").region
        assert 0 < answer.bottom < size[1]
        assert answer.right <= size[0]
        assert "No" in found.session.lines()[answer.y]


async def test_a_dialog_in_ascii_uses_nothing_else() -> None:
    async with dialog("3", "p", ascii=True) as found:
        await found.until(Phase.READY)
        assert all(character.isascii() for line in found.session.lines() for character in line)


async def test_what_others_wrote_is_never_markup_in_a_dialog() -> None:
    evil = "[red]x[/] [/x] $(id)"
    engine = engine_with(rollout("churn"))
    engine.plans["restart"] = lambda request, number: plan_of(
        request, number, title=evil, name=evil, changes=(Change(what=evil, before=evil, after=evil),), command=evil,
        warnings=(Concern(text=evil, hint=evil),), idle=evil,
    )  # fmt: skip
    async with dialog("4", "R", engine=engine) as found:
        await found.until(Phase.READY)
        assert found.text.count("[red]x[/] [/x]") >= 6
        await found.session.press("y")
        assert found.session.app.is_running


# Texts


async def test_a_comment_is_written_previewed_and_posted() -> None:
    async with dialog("5", "c") as found:
        await found.settle()
        assert isinstance(found.session.app.focused, TextField)
        await found.session.press(*"Looks *good*", "enter", "y")
        await found.settle()
        assert found.engine.planned[-1].parameters == {"body": "Looks *good*\ny"}
        assert "Looks good" in found.session.screen(), "beside it, as it will look"
        assert found.engine.executed == []
        await found.session.press("ctrl+s")
        await found.until(Phase.UNDER_WAY)
        assert len(found.engine.executed) == 1


async def test_in_a_small_terminal_the_preview_takes_the_texts_place() -> None:
    async with dialog("5", "c", size=NARROW) as found:
        await found.settle()
        await found.session.press(*"Looks *good*")
        await found.settle()
        assert "Looks *good*" in found.session.screen()
        await found.session.press("ctrl+t")
        assert "Looks good" in found.session.screen()
        assert "*good*" not in found.session.screen()


async def test_lines_and_texts_that_are_no_markdown_are_asked_for_too() -> None:
    engine = engine_with(run(4))
    engine.plans["dispatch"] = lambda request, number: plan_of(
        request,
        number,
        fields=(
            PlanField(name="ref", label="Branch or tag", kind=FieldKind.LINE, value="main"),
            PlanField(name="inputs", label="Inputs: epochs, dataset", kind=FieldKind.BLOCK, value="epochs=3"),
        ),
    )
    async with dialog("2", "x", "3", engine=engine) as found:
        await found.settle()
        assert len(engine.planned) == 1, "what the plan has filled in needs no other plan"
        assert "Inputs: epochs, dataset" in found.session.screen()
        await found.session.press("end", *"tenance")
        await found.settle()
        assert engine.planned[-1].parameters == {"ref": "maintenance"}
        await found.session.press("tab", "end", "0", "ctrl+t")
        await found.settle()
        assert engine.planned[-1].parameters == {"ref": "maintenance", "inputs": "epochs=30"}
        assert not found.screen.query(".preview")


async def test_a_draft_is_kept_by_target_until_it_is_posted() -> None:
    other = pull(485, "New features", updated_at=ago(hours=9))
    async with dialog("5", "c", engine=engine_with(pull(482, "Bigger"), other)) as found:
        session = found.session
        await found.settle()
        await session.press(*"half a thou", "escape", "j", "c")
        await found.settle()
        assert found.screen.field("body").value == "", "another target has its own"
        await session.press("escape", "k", "c")
        await found.settle()
        assert found.screen.field("body").value == "half a thou"
        assert "your draft is back" in found.text

        found.engine.refuses_execution = Unavailable("HTTP 502 from api.github.com")
        await session.press("ctrl+s")
        await found.until(Phase.FAILED)
        assert found.screen.field("body").value == "half a thou"
        found.engine.refuses_execution = None
        await session.press("escape", "c")
        await found.settle()
        await session.press("ctrl+s")
        await found.until(Phase.UNDER_WAY)
        found.engine.advance("operations/000000000002", state="failed", outcome="HTTP 502")
        await session.until(lambda: found.screen.operation is not None and found.screen.operation.state.ended)
        await session.press("escape", "c")
        await found.settle()
        assert found.screen.field("body").value == "half a thou", "what failed is not lost"
        await session.press("ctrl+s")
        await found.until(Phase.UNDER_WAY)
        await session.press("escape")
        found.engine.advance("operations/000000000003", state="done", outcome="posted")
        await session.until(lambda: "posted" in found.toasts())
        await session.press("c")
        await found.settle()
        assert found.screen.field("body").value == ""


# How it goes


async def test_progress_is_shown_until_the_end() -> None:
    async with scaling() as found:
        await found.session.press("y")
        await found.until(Phase.UNDER_WAY)
        key = "operations/000000000001"
        found.engine.advance(
            key, state="verifying", done=2, of=6,
            progress=("Waiting: 1 of 6 updated replicas", "Waiting: 2 of 6 updated replicas"),
        )  # fmt: skip
        await found.session.until(lambda: "2 of 6 updated" in found.text)
        await found.session.clock.advance(12)
        found.screen._tick()
        assert "◐ scale ml/churn to 6" in found.text
        assert "2/6 12s of 5m00s" in found.text
        assert "━" in found.text
        assert "replicas 4" not in found.text, "what was planned makes room"
        found.engine.advance(key, state="done", done=1, of=1, outcome="6 of 6 replicas are available")
        await found.session.until(lambda: "done: 6 of 6 replicas are available" in found.text)
        assert "41s" in found.text
        assert found.toasts() == "", "it is told here already"
        await found.session.press("enter")
        assert found.session.app.screen is found.session.app.dashboard


async def test_an_operation_goes_on_without_its_dialog_and_its_end_is_told() -> None:
    async with scaling() as found:
        await found.session.press("y")
        await found.until(Phase.UNDER_WAY)
        assert "◐ 1 operation" in found.session.app.dashboard.header.render().plain
        await found.session.press("escape")
        assert found.session.app.screen is found.session.app.dashboard
        assert "◐ 1 operation" in found.session.lines()[0]
        found.engine.advance("operations/000000000001", state="unknown", outcome="no answer", next="look at the row")
        await found.session.until(lambda: "unknown: Scale ml/churn" in found.toasts())
        assert "no answer\nlook at the row" in found.toasts()
        assert "operation" not in found.session.lines()[0]


async def test_what_ended_before_is_not_told() -> None:
    async with dialog(engine=engine_with(*cast(), *past())) as found:
        await found.session.pilot.pause(0.05)
        assert found.toasts() == ""


async def test_closing_the_dialog_while_it_is_asked_for_does_not_stop_it() -> None:
    async with scaling() as found:
        found.engine.execution_answers.clear()
        await found.session.press("y")
        assert found.screen.phase is Phase.SENDING
        await found.session.press("escape")
        found.engine.execution_answers.set()
        await found.session.until(lambda: len(found.session.app.dashboard.work.running) == 1)
        found.engine.advance("operations/000000000001", state="done", outcome="6 of 6")
        await found.session.until(lambda: "6 of 6" in found.toasts())


# The operations screen


async def test_operations_are_listed_with_what_needs_somebody_first() -> None:
    async with dialog("@", engine=engine_with(*cast(), *past()), size=(160, 45)) as found:
        screen = found.session.app.screen
        assert isinstance(screen, OperationsScreen)
        found_states = [screen.pane.rows.item(key).state.value for key in screen.pane.rows.keys]
        assert found_states == ["unknown", "failed", "verifying", "done", "done", "refused"]
        shown = found.session.screen()
        assert "@ Operations" in shown
        assert "◐ 1 operation" in found.session.lines()[0]
        assert "u undo…" in found.session.lines()[-1]
        fresh = operation(0, state="running", title="Restart ml/churn")
        found.engine.send(fresh)
        await found.session.until(lambda: fresh.key in screen.pane.rows)
        assert screen.pane.rows.keys.index(fresh.key) == 2
        await found.session.press("/", *"env:production is:failed", "enter")
        assert screen.pane.rows.row_count == 1
        await found.session.press("escape", "@")
        assert found.session.app.screen is found.session.app.dashboard


async def test_details_of_an_operation_show_its_progress_as_it_grows() -> None:
    async with dialog("@", "j", "j", "enter", engine=engine_with(*past()), size=(160, 45)) as found:
        screen = found.session.app.screen
        assert isinstance(screen, OperationsScreen)
        assert "4 of 6 updated replicas are available" in " ".join(screen.drawer.body.text.split())
        found.engine.advance(past()[0].key, progress=("5 of 6 updated replicas are available",), done=5)
        await found.session.until(lambda: "5 of 6 updated" in screen.drawer.body.text)
        await found.session.press("escape", "escape")
        assert found.session.app.screen is found.session.app.dashboard


async def test_undo_plans_what_the_operation_says() -> None:
    done = operation(1)
    async with dialog("@", "u", engine=engine_with(CHURN, done)) as found:
        await found.until(Phase.READY)
        assert found.engine.planned == [done.undo]
        assert "Undo ml/churn" in found.session.screen()
    async with dialog("@", "u", engine=engine_with(CHURN, operation(1, undo=None))) as found:
        assert "nothing undoes this by itself" in found.toasts()
        assert found.engine.planned == []


async def test_operations_are_no_system_and_no_pane() -> None:
    async with dialog(engine=engine_with(*cast(), *past())) as found:
        assert "operations ✔" not in found.session.lines()[0]
        assert list(found.session.app.dashboard.panes) == ["run", "version", "rollout", "pull"]
        assert "journal" not in found.session.screen()


async def test_an_engine_that_has_done_nothing_says_so() -> None:
    async with dialog("@", engine=engine_with(CHURN)) as found:
        assert "nothing has been done yet" in found.session.screen()


# What may not be


@pytest.mark.parametrize("options", [{"read_only": True}, {}])
async def test_in_read_only_keys_are_dimmed_and_say_why(options: dict[str, Any]) -> None:
    engine = engine_with(CHURN, run(1), operation(1), read_only=not options)
    async with dialog("4", engine=engine, **options) as found:
        session = found.session
        assert "s scale…" in session.lines()[-1]
        footer = session.app.dashboard.footer
        look = {str(span.style) for span in footer.render().spans}
        assert str(footer._look("locked")) in look
        for key in ("s", "b", "a", "x"):
            await session.press("2" if key == "x" else "4", key)
            assert session.app.screen is session.app.dashboard
        assert found.toasts().count("this is read-only: start without --read-only to change something") == 4
        await session.press("@", "u")
        assert isinstance(session.app.screen, OperationsScreen)
        assert engine.planned == []


async def test_an_environment_that_refuses_as_read_only_is_remembered() -> None:
    engine = engine_with(CHURN, rollout("churn", environment="staging", namespace="ml-staging"))
    engine.plans["restart"] = lambda request, number: plan_of(
        request, number, refusals=(Concern(text="production is read-only"),)
    )
    async with dialog("4", engine=engine) as found:
        while found.session.rows("rollout").cursor_key != CHURN.key:
            await found.session.press("j")
        await found.session.press("R")
        await found.until(Phase.READY)
        await found.session.press("escape", "s")
        assert "production is read-only: environments.production.read_only says so" in found.toasts()
        assert len(engine.planned) == 1
        await found.session.press("g" if found.session.rows("rollout").cursor_index else "G", "s")
        await found.session.until(lambda: len(engine.planned) == 2)
        assert engine.planned[-1].environment == "staging"


async def test_a_missing_permission_is_told_before_a_dialog_opens() -> None:
    denied = Permission(
        name="patch deployments", scope="namespace ml", allowed=False, to_read=False, hint="ask for a Role"
    )
    sources = list(states())
    sources[2] = sources[2].model_copy(update={"permissions": (denied,)})
    async with dialog("4", "R", engine=engine_with(CHURN, sources=sources)) as found:
        assert "not permitted: patch deployments in namespace ml. ask for a Role" in found.toasts()
        assert found.engine.planned == []
        await found.session.press("s")
        await found.session.until(lambda: bool(found.engine.planned))


def test_permissions_that_are_not_known_or_of_another_place_forbid_nothing() -> None:
    source = states()[2]

    def answer(**values: Any) -> str:
        defaults: dict[str, Any] = {"name": "patch deployments", "allowed": False, "to_read": False}
        permission = Permission(**(defaults | values))
        return forbidden("restart", CHURN, source.model_copy(update={"permissions": (permission,)}))

    assert answer() == "not permitted: patch deployments"
    assert answer(scope="all namespaces").startswith("not permitted")
    assert answer(scope="namespace other") == ""
    assert answer(allowed=None) == ""
    assert answer(to_read=True) == ""
    assert answer(name="list pods") == ""
    assert forbidden("restart", CHURN, None) == ""


# The end of things


async def test_quitting_while_an_operation_runs_asks_and_stays_by_default() -> None:
    async with dialog(engine=engine_with(CHURN, operation(1, state="running", step="scale to 6"))) as found:
        session = found.session
        await session.press("q")
        assert "1 operation is under way" in session.screen()
        assert "in the journal" in session.screen()
        await session.press("enter")
        assert session.app.is_running
        assert session.app.screen is session.app.dashboard
        await session.press("ctrl+q", "j", "enter")
        assert session.app._exit


async def test_without_operations_quitting_asks_nothing() -> None:
    async with dialog("q", engine=engine_with(CHURN, operation(1))) as found:
        assert found.session.app._exit


async def test_a_lost_engine_is_told_in_the_dialog_and_nothing_typed_is_lost() -> None:
    engine = engine_with(pull(482, "Bigger"))
    async with dialog("5", "c", engine=engine) as found:
        await found.settle()
        await found.session.press(*"half")
        await found.settle()
        engine.fail(EngineError("the engine died with signal 9"))
        await found.session.until(lambda: "engine: the engine died with signal 9" in found.text)
        assert "what you typed is kept" in found.text
        await found.session.press("ctrl+s")
        assert engine.executed == []
        assert found.screen.field("body").value == "half"
        asked = len(engine.planned)
        engine.send(run(1))
        await found.session.until_slowly(lambda: len(engine.planned) > asked)
        await found.settle()
        assert "engine" not in found.text
        await found.session.press("ctrl+s")
        await found.until(Phase.UNDER_WAY)
