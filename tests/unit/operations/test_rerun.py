"""The rules of `rerun`: what runs again, when it may, and when it has begun."""

import pytest

from mlops_tui.domain.errors import ConfigError, OutcomeUnknown, Unavailable
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.rerun import QUEUE, Rerun
from tests.unit.operations.forge import RUN, Sitting, job, refused


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    made = Sitting(Rerun(), journal)
    made.forge.after = lambda: made.forge.a_run.update(status="in_progress")
    return made


@pytest.mark.parametrize(
    ("parameters", "sent", "command"),
    [
        ({}, ("rerun", True, None), "gh run rerun 7 --failed --repo acme/fraud"),
        ({"what": "all"}, ("rerun", False, None), "gh run rerun 7 --repo acme/fraud"),
        ({"what": "job"}, ("rerun", False, 1), "gh run rerun --job 1 --repo acme/fraud"),
        ({"job": "lint"}, ("rerun", False, 2), "gh run rerun --job 2 --repo acme/fraud"),
        ({"what": "job", "job": "2"}, ("rerun", False, 2), "gh run rerun --job 2 --repo acme/fraud"),
    ],
)
async def test_what_is_asked_for_runs_again(
    sitting: Sitting, parameters: dict[str, str], sent: tuple[object, ...], command: str
) -> None:
    plan = await sitting.plan(RUN, **parameters)
    assert plan.command == command
    row = await sitting.end(plan)
    assert sitting.forge.asked == [sent]
    assert row.outcome.startswith("attempt 2 of ML CD Pipeline #42 is in progress: https")
    assert row.undo is not None
    assert row.undo.verb == "cancel"


async def test_all_of_it_runs_again_where_nothing_failed(sitting: Sitting) -> None:
    sitting.forge.its_jobs = [job(1, "unit-tests"), job(2, "lint")]
    assert (await sitting.plan(RUN)).fields[0].value == "all"
    assert refused(await sitting.plan(RUN, what="failed")) == ["no job of it failed"]


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting"])
async def test_a_run_that_has_not_ended_is_refused(sitting: Sitting, status: str) -> None:
    sitting.forge.a_run |= {"status": status, "conclusion": None}
    assert refused(await sitting.plan(RUN)) == [f"it is {status.replace('_', ' ')}"]


async def test_without_permission_it_is_refused(sitting: Sitting) -> None:
    sitting.forge.denied = {"actions: write"}
    assert refused(await sitting.plan(RUN)) == ["no permission actions: write in acme/fraud"]


@pytest.mark.parametrize("change", [{"run_attempt": 2}, {"status": "in_progress", "conclusion": None}])
async def test_a_run_that_somebody_ran_again_is_left_alone(sitting: Sitting, change: dict[str, object]) -> None:
    plan = await sitting.plan(RUN)
    sitting.forge.a_run |= change
    assert (await sitting.end(plan)).state is OperationState.FAILED
    assert sitting.forge.asked == []


async def test_a_queued_attempt_counts_after_a_while(sitting: Sitting) -> None:
    sitting.forge.after = lambda: None
    row = await sitting.carry_out(RUN)
    assert (row.state, sitting.clock.monotonic()) == (OperationState.DONE, QUEUE)


@pytest.mark.parametrize(("by", "state"), [("ada", OperationState.DONE), ("bob", OperationState.FAILED)])
async def test_after_a_lost_answer_the_attempt_has_to_be_ours(sitting: Sitting, by: str, state: OperationState) -> None:
    sitting.forge.trouble = OutcomeUnknown("no answer")
    sitting.forge.after = lambda: sitting.forge.a_run.update(triggering_actor={"login": by}, status="in_progress")
    assert (await sitting.carry_out(RUN)).state is state
    assert await sitting.happened() is (by == "ada")


async def test_without_a_new_attempt_nobody_knows(sitting: Sitting) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), False
    row = await sitting.carry_out(RUN)
    assert (row.state, row.exit_code, len(sitting.forge.asked)) == (OperationState.UNKNOWN, 6, 1)
    assert await sitting.happened() is None


async def test_a_lost_look_is_looked_again(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = await sitting.plan(RUN)
    answers, look = iter([None, Unavailable("busy")]), sitting.forge.run

    async def sometimes(repository: str, run: int) -> dict[str, object]:
        if trouble := next(answers, None):
            raise trouble
        return await look(repository, run)

    monkeypatch.setattr(sitting.forge, "run", sometimes)
    row = await sitting.end(plan)
    assert (row.state, row.progress[0]) == (OperationState.DONE, "busy")


@pytest.mark.parametrize("parameters", [{"what": "some"}, {"what": "job", "job": "none"}])
async def test_what_there_is_not_cannot_run_again(sitting: Sitting, parameters: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        await sitting.plan(RUN, **parameters)


@pytest.mark.parametrize("target", ["acme/fraud", "acme/fraud#7", "acme/fraud/runs/", "acme/fraud/runs/x"])
async def test_what_is_no_run_is_no_target(sitting: Sitting, target: str) -> None:
    with pytest.raises(ConfigError, match="OWNER/NAME/runs/ID"):
        await sitting.plan(target)


async def test_a_name_alone_stands_for_the_one_repository_that_has_it(sitting: Sitting) -> None:
    assert (await sitting.plan("fraud/runs/7")).title.endswith("of ML CD Pipeline #42 in acme/fraud")
