"""The five steps: what is asked before anything is sent, what is sent once, and what is known afterwards."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Conflict, Denied, MlopsTuiError, OutcomeUnknown, Refused
from mlops_tui.domain.operation import Confirmation, GateResult, OperationState, PlanRequest
from mlops_tui.operations.base import Execution, NotVerified, Step
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal
from tests.support.clock import ManualClock
from tests.support.painting import Paint
from tests.unit.operations.conftest import Told

MakeDesk = Callable[..., Desk]
YES = Confirmation()
RED = PlanRequest(verb="paint", target="shed", environment="home", parameters={"colour": "red"})


async def carried_out(desk: Desk, told: Told, confirmation: Confirmation = YES) -> Any:
    desk.execute((await desk.plan(RED)).id, confirmation)
    return await told.end()


async def test_an_operation_is_planned_carried_out_verified_and_recorded(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal
) -> None:
    row = await carried_out(desk(), told)
    assert (row.state, row.outcome, row.exit_code) == (OperationState.DONE, "the shed is red", 0)
    assert [told.state for told in told.rows] == ["running", "running", "verifying", "done"]
    intent, outcome = journal.records()
    assert (intent.event, outcome.event, outcome.state) == ("intent", "outcome", "done")
    assert outcome.facts == {"colour": "red"}
    assert outcome.undo == PlanRequest(verb="paint", target="shed", parameters={"colour": "green"})
    assert [record.event for record in told.records] == ["outcome"]


async def test_the_intent_is_on_the_disk_before_anything_is_sent(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal
) -> None:
    seen: list[list[str]] = []

    async def act(execution: Execution) -> None:
        seen.append([record.event for record in journal.records()])

    verb.steps = (Step("look", act),)
    await carried_out(desk(), told)
    assert seen == [["intent"]]


async def test_a_plan_is_carried_out_once(desk: MakeDesk, told: Told) -> None:
    made = desk()
    plan = await made.plan(RED)
    made.execute(plan.id, YES)
    with pytest.raises(Refused, match="carried out already"):
        made.execute(plan.id, YES)
    await told.end()


async def test_planning_changes_nothing(desk: MakeDesk, verb: Paint, journal: Journal) -> None:
    await desk().plan(RED)
    assert verb.shed == "green"
    assert not journal.path.exists()


async def test_what_is_no_operation_is_refused_by_name(desk: MakeDesk) -> None:
    with pytest.raises(ConfigError, match="there is no operation sing"):
        await desk().plan(RED.model_copy(update={"verb": "sing"}))
    with pytest.raises(ConfigError, match="paint knows no size"):
        await desk().plan(RED.model_copy(update={"parameters": {"size": "9"}}))


@pytest.mark.parametrize(
    ("environments", "read_only", "said"),
    [({}, True, "this is read-only"), ({"home": {"read_only": True}}, False, "home is read-only")],
)
async def test_read_only_refuses_and_the_refusal_is_recorded(
    desk: MakeDesk, verb: Paint, journal: Journal, environments: Any, read_only: bool, said: str
) -> None:
    made = desk(environments, read_only=read_only)
    plan = await made.plan(RED)
    assert said in plan.refusals[0].text
    with pytest.raises(Refused, match=said) as caught:
        made.execute(plan.id, YES)
    assert caught.value.exit_code == 5
    assert verb.shed == "green"
    assert [record.event for record in journal.records()] == ["refusal"]


async def test_a_protected_environment_takes_the_name_and_nothing_else(desk: MakeDesk, told: Told, verb: Paint) -> None:
    made = desk({"home": {"protected": True}})
    plan = await made.plan(RED)
    assert plan.demand.typed == "shed"
    for typed in ("", "yes", "SHED", "she"):
        with pytest.raises(Refused, match="not confirmed"):
            made.execute(plan.id, Confirmation(typed=typed))
    assert verb.shed == "green"
    made.execute(plan.id, Confirmation(typed="shed"))
    assert (await told.end()).state is OperationState.DONE


@pytest.mark.parametrize("passed", [False, None])
async def test_a_gate_that_is_not_passed_takes_a_reason(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal, passed: bool | None
) -> None:
    verb.gates = (GateResult(name="accuracy", passed=passed, evidence="0.83 ≥ 0.85"),)
    made = desk()
    plan = await made.plan(RED)
    with pytest.raises(Refused, match="a gate is not passed: accuracy"):
        made.execute(plan.id, YES)
    made.execute(plan.id, Confirmation(reason="the boss said so"))
    await told.end()
    assert [record.reason for record in journal.records()] == ["", "the boss said so", "the boss said so"]


FREEZE = {"home": {"freezes": {"weekend": {"begins": "0 16 * * FRI", "hours": 63, "timezone": "Europe/Berlin"}}}}


async def test_a_freeze_takes_its_name_and_a_reason(
    desk: MakeDesk, told: Told, verb: Paint, clock: ManualClock
) -> None:
    # 14:00 UTC on a Friday is 15:00 in Berlin: an hour before the freeze.
    assert (await desk(FREEZE).plan(RED)).demand.override == ""
    await clock.advance(3600)
    made = desk(FREEZE)
    plan = await made.plan(RED)
    assert plan.demand.override == "weekend"
    assert plan.demand.because == ("home is frozen until 2026-11-23 07:00 CET: weekend",)
    for lacking in (YES, Confirmation(reason="late"), Confirmation(override="xmas", reason="late")):
        with pytest.raises(Refused):
            made.execute(plan.id, lacking)
    assert verb.shed == "green"
    made.execute(plan.id, Confirmation(override="weekend", reason="late"))
    assert (await told.end()).state is OperationState.DONE


async def test_a_freeze_that_begins_after_the_plan_holds_all_the_same(
    desk: MakeDesk, verb: Paint, clock: ManualClock
) -> None:
    made = desk(FREEZE)
    plan = await made.plan(RED)
    await clock.advance(3600)
    with pytest.raises(Refused, match="frozen"):
        made.execute(plan.id, YES)
    assert verb.shed == "green"


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Conflict("it moved"), OperationState.FAILED, 1),
        (Denied("may not"), OperationState.FAILED, 4),
        (OutcomeUnknown("no answer"), OperationState.UNKNOWN, 6),
        (ZeroDivisionError(), OperationState.UNKNOWN, 6),
    ],
)
async def test_how_a_write_fails_decides_the_end(
    desk: MakeDesk, told: Told, verb: Paint, error: Exception, state: OperationState, code: int
) -> None:
    sent = 0

    async def act(execution: Execution) -> None:
        nonlocal sent
        sent += 1
        raise error

    verb.steps = (Step("paint", act),)
    row = await carried_out(desk(), told)
    assert (row.state, row.exit_code, sent) == (state, code, 1)


@pytest.mark.parametrize(
    ("happened", "state"), [(True, OperationState.DONE), (False, OperationState.FAILED), (None, OperationState.UNKNOWN)]
)
async def test_a_write_without_an_answer_is_looked_up_and_not_sent_again(
    desk: MakeDesk, told: Told, verb: Paint, happened: bool | None, state: OperationState
) -> None:
    sent = 0

    async def act(execution: Execution) -> None:
        nonlocal sent
        sent += 1
        raise OutcomeUnknown("the connection broke")

    async def look() -> bool | None:
        return happened

    verb.steps = (Step("paint", act, look),)
    row = await carried_out(desk(), told)
    assert (row.state, sent) == (state, 1)


async def test_an_operation_that_stops_half_way_says_exactly_what_holds(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal
) -> None:
    async def good(execution: Execution) -> None:
        pass

    async def bad(execution: Execution) -> None:
        raise Conflict("somebody scaled it")

    verb.steps = (Step("set alias champion", good), Step("roll out v12", bad), Step("scale", good))
    row = await carried_out(desk(), told)
    assert row.state is OperationState.FAILED
    assert "done: set alias champion; not done: roll out v12, scale" in row.outcome
    assert row.next == "plan it again to finish, or undo it"
    assert list(journal.records())[-1].holds == ("set alias champion",)


async def test_an_effect_that_does_not_come_is_a_failure(desk: MakeDesk, told: Told, verb: Paint) -> None:
    async def act(execution: Execution) -> None:
        pass

    async def verify(execution: Execution) -> str:
        raise NotVerified("deployment exceeded its progress deadline")

    async def forever(execution: Execution) -> str:
        await asyncio.Event().wait()
        return ""

    verb.steps = (Step("roll out", act, verify=verify),)
    row = await carried_out(desk(), told)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)
    verb.steps = (Step("roll out", act, verify=forever),)
    row = await carried_out(desk(), told, Confirmation(patience=0.01))
    assert "accepted, but not done after 0.01 s" in row.outcome
    row = await carried_out(desk(), told, Confirmation(patience=0))
    assert row.state is OperationState.DONE


async def test_nothing_is_sent_while_the_journal_cannot_be_written(
    desk: MakeDesk, verb: Paint, journal: Journal
) -> None:
    made = desk()
    plan = await made.plan(RED)
    journal.path.parent.parent.joinpath("state").write_text("a file where the folder would be")
    with pytest.raises(MlopsTuiError, match="cannot be written"):
        made.execute(plan.id, YES)
    assert verb.shed == "green"


@pytest.mark.parametrize(("painted", "state"), [(True, OperationState.DONE), (False, OperationState.FAILED)])
async def test_an_operation_that_a_crash_interrupted_is_shown_and_resolved(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal, painted: bool, state: OperationState
) -> None:
    async def hang(execution: Execution) -> None:
        await asyncio.Event().wait()

    verb.steps = (Step("paint", hang),)
    first = desk()
    first.execute((await first.plan(RED)).id, YES)
    await asyncio.sleep(0)
    await first.close()
    [intent] = journal.open_intents()
    # Written by a process that is gone.
    journal.path.unlink()
    journal.append(intent.model_copy(update={"process": 0, "host": "elsewhere"}))
    verb.shed = "red" if painted else "green"
    told.rows.clear()
    await desk().settle()
    assert told.rows[-1].state is state
    assert journal.open_intents() == []
    assert list(journal.records())[-1].event == "resolved"


async def test_the_intent_of_a_process_that_lives_is_left_alone(
    desk: MakeDesk, told: Told, verb: Paint, journal: Journal
) -> None:
    async def hang(execution: Execution) -> None:
        await asyncio.Event().wait()

    verb.steps = (Step("paint", hang),)
    first = desk()
    first.execute((await first.plan(RED)).id, YES)
    told.rows.clear()
    await desk().settle()
    assert told.rows == []
    await first.close()


async def test_operations_of_earlier_sittings_are_told_at_the_start(desk: MakeDesk, told: Told) -> None:
    await carried_out(desk(), told)
    told.rows.clear()
    desk().past()
    assert [(row.state, row.outcome) for row in told.rows] == [(OperationState.DONE, "the shed is red")]


async def test_an_engine_that_is_left_at_the_end_still_tells_the_others(
    place: Callable[..., Any], verb: Paint, told: Told
) -> None:
    async def slowly(record: Any) -> None:
        await asyncio.sleep(0.05)
        await told.outcome(record)

    made = Desk(place(), [verb], tell=told.row, notify=slowly)
    made.execute((await made.plan(RED)).id, YES)
    await told.end()
    await made.close()
    assert [record.outcome for record in told.records] == ["the shed is red"]


async def test_what_was_all_sent_is_not_to_be_planned_again(desk: MakeDesk, told: Told, verb: Paint) -> None:
    async def act(execution: Execution) -> None:
        pass

    async def verify(execution: Execution) -> str:
        raise NotVerified("not yet")

    verb.steps = (Step("roll out", act, verify=verify),)
    row = await carried_out(desk(), told)
    assert row.next == "everything was sent: look at the row, or undo it"
