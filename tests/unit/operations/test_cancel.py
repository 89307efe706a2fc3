"""The rules of `cancel`."""

import pytest

from mlops_tui.domain.errors import Conflict, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.cancel import Cancel
from mlops_tui.operations.journal import Journal
from tests.unit.operations.forge import RUN, Sitting, job


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    made = Sitting(Cancel(), journal)
    made.forge.a_run |= {"status": "in_progress", "conclusion": None}
    made.forge.its_jobs = [job(1, "unit-tests"), job(2, "production-deployment", None)]
    made.forge.after = lambda: made.forge.a_run.update(status="completed", conclusion="cancelled")
    return made


async def test_a_run_is_cancelled(sitting: Sitting) -> None:
    plan = await sitting.plan(RUN)
    assert [(change.what, change.before, change.after) for change in plan.changes] == [
        ("production-deployment", "in progress", "cancelled")
    ]
    assert [each.text for each in plan.warnings] == ["production-deployment is under way and stops where it is"]
    row = await sitting.end(plan)
    assert (row.state, sitting.forge.asked) == (OperationState.DONE, [("cancel",)])
    assert row.undo is not None
    assert (row.undo.verb, row.undo.parameters) == ("rerun", {"what": "all"})


async def test_what_has_ended_is_nothing_to_cancel(sitting: Sitting) -> None:
    sitting.forge.a_run |= {"status": "completed", "conclusion": "success"}
    assert (await sitting.plan(RUN)).idle == "it has ended: success"


async def test_a_run_that_ends_by_itself_was_not_cancelled(sitting: Sitting) -> None:
    sitting.forge.after = lambda: sitting.forge.a_run.update(status="completed", conclusion="success")
    row = await sitting.carry_out(RUN)
    assert row.state is OperationState.FAILED
    assert "had ended by itself" in row.outcome


async def test_a_run_that_ended_since_the_plan_is_left_alone(sitting: Sitting) -> None:
    plan = await sitting.plan(RUN)
    sitting.forge.a_run |= {"status": "completed", "conclusion": "success"}
    assert (await sitting.end(plan)).state is OperationState.FAILED
    assert sitting.forge.asked == []


async def test_github_may_say_that_it_is_too_late(sitting: Sitting) -> None:
    sitting.forge.trouble, sitting.forge.happens = Conflict("Cannot cancel a workflow run that is completed."), False
    assert "Cannot cancel" in (await sitting.carry_out(RUN)).outcome


@pytest.mark.parametrize("happens", [True, False])
async def test_an_answer_that_was_lost_is_looked_up(sitting: Sitting, happens: bool) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), happens
    row = await sitting.carry_out(RUN)
    assert row.state is (OperationState.DONE if happens else OperationState.UNKNOWN)
    assert await sitting.happened() is (True if happens else None)
