"""Operations on workflow runs: what GitHub does with them, and how each is followed to its effect."""

import pytest

from mlops_tui.config.settings import EnvironmentSettings
from mlops_tui.domain.operation import OperationState
from mlops_tui.sources.github import client
from tests.contract.github_operations.conftest import REPO, Bench, MakeBench, World
from tests.contract.github_operations.faulty import Fault

RUNS = "POST /api/v3/repos/acme/fraud/actions/runs/"


async def test_failed_jobs_run_again_and_the_new_attempt_is_seen_running(bench: Bench, world: World) -> None:
    world.fail()
    world.clock.meanwhile.append(world.begin)
    plan = await bench.plan("rerun", bench.run)
    assert plan.title == f"Rerun the failed jobs of ML CD Pipeline #1 in {REPO}"
    assert [(change.what, change.before) for change in plan.changes] == [("attempt", "1"), ("unit-tests", "failure")]
    row = await bench.end(plan)
    assert row.state is OperationState.DONE
    assert row.outcome.startswith("attempt 2 of ML CD Pipeline #1 is in progress: http")
    assert row.progress == ("attempt 2 of ML CD Pipeline #1 is queued", "attempt 2 of ML CD Pipeline #1 is in progress")
    assert world.store.run(REPO, world.run).latest.number == 2


async def test_a_queue_is_not_waited_for_forever(bench: Bench, world: World) -> None:
    world.fail()
    row = await bench.carry_out("rerun", bench.run, what="job", job="unit-tests")
    assert (row.state, sum(world.clock.slept)) == (OperationState.DONE, 60.0)
    assert row.outcome.startswith("attempt 2 of ML CD Pipeline #1 is queued")


async def test_a_rerun_without_an_answer_is_found_by_its_attempt(bench: Bench, world: World) -> None:
    world.fail()
    bench.proxy.faults[RUNS] = Fault.LOST_ANSWER
    world.clock.meanwhile.append(world.begin)
    assert (await bench.carry_out("rerun", bench.run, what="all")).state is OperationState.DONE
    assert len(world.store.run(REPO, world.run).attempts) == 2
    assert len(bench.writes()) == 1


async def test_somebody_elses_rerun_is_not_taken_for_ours(bench: Bench, world: World) -> None:
    world.fail()
    plan = await bench.plan("rerun", bench.run)
    world.store.rerun(REPO, world.run, actor="bob")
    row = await bench.end(plan)
    assert row.state is OperationState.FAILED
    assert "is queued now" in row.outcome
    assert bench.writes() == []


async def test_a_run_is_cancelled_and_seen_to_end(bench: Bench, world: World) -> None:
    world.begin()
    row = await bench.carry_out("cancel", bench.run)
    assert (row.state, row.outcome.partition(": ")[0]) == (OperationState.DONE, "ML CD Pipeline #1 is cancelled")
    assert world.store.run(REPO, world.run).latest.conclusion == "cancelled"
    assert (await bench.plan("cancel", bench.run)).idle == "it has ended: cancelled"
    assert row.undo is not None
    world.clock.meanwhile.append(world.begin)
    assert (await bench.end(await bench.desk.plan(row.undo))).state is OperationState.DONE


async def test_a_cancellation_that_nobody_answers_is_unknown(
    bench: Bench, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.4)
    world.begin()
    bench.proxy.faults[RUNS] = Fault.STALLED
    row = await bench.carry_out("cancel", bench.run)
    assert (row.state, row.exit_code) == (OperationState.UNKNOWN, 6)


async def test_a_workflow_is_started_and_its_run_is_named(bench: Bench, world: World) -> None:
    plan = await bench.plan("dispatch", f"{REPO}/workflows/cd.yml")
    ref, inputs = plan.fields
    assert (ref.value, inputs.value) == ("main", "model=fraud\ndry=")
    world.clock.meanwhile.append(lambda: None)
    row = await bench.end(await bench.plan("dispatch", f"{REPO}/workflows/cd.yml", inputs="model=churn\ndry=true"))
    assert row.state is OperationState.DONE
    newest = world.store.repository(REPO).timeline[-1]
    assert (newest.event, newest.inputs) == ("workflow_dispatch", {"model": "churn", "dry": "true"})
    assert row.outcome == f"ML CD Pipeline #2 is queued: {_page(bench, newest.id)}"


def _page(bench: Bench, run: int) -> str:
    return f"{bench.source._target.api.removesuffix('/api/v3')}/{REPO}/actions/runs/{run}"


@pytest.mark.parametrize(
    ("inputs", "refusal"),
    [
        ("model=churn\nother=1", "the workflow has no input other"),
        ("model=churn\ndry=perhaps", "dry is perhaps"),
    ],
)
async def test_inputs_that_github_would_not_take_are_refused_beforehand(
    bench: Bench, inputs: str, refusal: str
) -> None:
    plan = await bench.plan("dispatch", f"{REPO}/workflows/cd.yml", inputs=inputs)
    assert [each.text for each in plan.refusals] == [refusal]


async def test_a_workflow_without_the_trigger_is_not_started(bench: Bench) -> None:
    plan = await bench.plan("dispatch", f"{REPO}/workflows/quality.yml")
    assert [each.text for each in plan.refusals] == ["quality.yml on main cannot be started by hand"]


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.EARLY_502])
async def test_a_start_without_an_answer_is_looked_up(bench: Bench, world: World, fault: Fault) -> None:
    world.store.dispatch(REPO, "cd.yml", "main", "ada", inputs={"model": "earlier"})
    bench.proxy.faults["POST /api/v3/repos/acme/fraud/actions/workflows/"] = fault
    row = await bench.carry_out("dispatch", bench.run)
    happened = fault is Fault.LOST_ANSWER
    assert row.state is (OperationState.DONE if happened else OperationState.UNKNOWN)
    assert len(world.store.repository(REPO).timeline) == 2 + happened


async def test_a_deployment_is_approved_and_the_run_goes_on(bench: Bench, world: World) -> None:
    world.wait_for_production()
    row = await bench.carry_out("approve", bench.run, comment="go")
    assert row.state is OperationState.DONE
    assert row.outcome.startswith("production approved: ML CD Pipeline #1 is queued")
    (approval,) = world.store.run(REPO, world.run).approvals
    assert (approval.state, approval.comment) == ("approved", f"go (mlops-tui {row.id})")
    assert (await bench.plan("approve", bench.run)).idle == "it waits for nobody's approval: it is queued"


async def test_a_rejection_fails_the_run(bench: Bench, world: World) -> None:
    world.wait_for_production()
    row = await bench.carry_out("approve", bench.run, decision="reject")
    assert row.outcome.startswith("production rejected: ML CD Pipeline #1 is failure")
    assert world.store.run(REPO, world.run).latest.conclusion == "failure"


async def test_an_approval_without_an_answer_is_found_by_its_mark(bench: Bench, world: World) -> None:
    world.wait_for_production()
    bench.proxy.faults[RUNS] = Fault.LATE_502
    assert (await bench.carry_out("approve", bench.run)).state is OperationState.DONE
    assert len(world.store.run(REPO, world.run).approvals) == 1


async def test_somebody_elses_approval_is_not_ours(bench: Bench, world: World) -> None:
    world.wait_for_production()
    plan = await bench.plan("approve", bench.run)
    world.store.review_deployment(REPO, world.run, "production", "rejected", "ada")
    row = await bench.end(plan)
    assert row.state is OperationState.FAILED
    assert "somebody else has decided it" in row.outcome
    assert bench.writes() == []


async def test_who_is_no_reviewer_is_told_so_beforehand(
    make: MakeBench, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_TOKEN", "bob")
    world.wait_for_production()
    (refusal,) = (await make().plan("approve", f"{REPO}/runs/{world.run}")).refusals
    assert (refusal.text, refusal.hint) == ("you may not approve production", "one of its reviewers may: ada")


async def test_an_environment_of_ours_brings_its_rules(make: MakeBench, world: World) -> None:
    world.wait_for_production()
    bench = make({"Production": EnvironmentSettings(protected=True)})
    plan = await bench.plan("approve", bench.run)
    assert (plan.environment, plan.demand.typed) == ("Production", "ML CD Pipeline #1")
    locked = make({"production": EnvironmentSettings(read_only=True)})
    assert [each.text for each in (await locked.plan("approve", bench.run)).refusals] == ["production is read-only"]
