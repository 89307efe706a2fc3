"""What goes wrong: that everything does, never too much at once, what it leaves behind and what heals it."""

import asyncio
import json
import re
from dataclasses import dataclass

import pytest

from mlops_tui.demo.fleet import PRODUCTION, Fleet
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.github.model import Job, Run
from mlops_tui.demo.past import World, build
from mlops_tui.demo.pipelines import CD, CI
from mlops_tui.demo.scenario import Scenario
from mlops_tui.demo.story import MODELS, OPERATOR, Model
from mlops_tui.demo.troubles import (
    BAD_CANARY,
    BELOW_GATE,
    EXPIRED_CREDENTIALS,
    FLAKY_TEST,
    OPEN_AT_ONCE,
    OUT_OF_MEMORY,
    TIMED_OUT,
    TROUBLES,
    TWO_PRODUCTIONS,
    UNDONE,
    UNPULLABLE,
    Occurrence,
    Trouble,
)
from tests.unit.demo_world.conftest import BEGAN
from tests.unit.demo_world.ledger import Ledger

MINUTES = 40


@dataclass(frozen=True, slots=True)
class Story:
    """A world after some time, and how it came there."""

    world: World
    ledger: Ledger
    past: tuple[Occurrence, ...]
    most_open: int


async def _lived(seed: int, minutes: int) -> Story:
    world, ledger = await build(seed=seed, speed=1.0, began=BEGAN), Ledger()
    scenario = Scenario(world, ledger, seed=seed)
    task = asyncio.create_task(scenario.run())
    most = 0
    for _ in range(minutes * 12):
        await world.clock.advance(5)
        most = max(most, len(scenario.director.open))
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    return Story(world, ledger, tuple(scenario.director.past), most)


@pytest.fixture(scope="module")
def story() -> Story:
    return asyncio.run(_lived(1, MINUTES))


def of(story: Story, trouble: Trouble) -> Occurrence:
    return next(found for found in story.past if found.trouble is trouble)


def runs(world: World, model: Model, workflow: str) -> list[Run]:
    timeline = world.github.repository(model.repository).timeline
    return [run for run in timeline if run.workflow.name == workflow and run.created_at >= BEGAN]


def hit(story: Story, trouble: Trouble) -> tuple[Run, Job]:
    """Return the run and the job of the first time that a trouble hit."""
    occurrence = of(story, trouble)
    workflow = CI.name if any(job.name == trouble.job for job in CI.jobs) else CD.name
    for run in runs(story.world, occurrence.model, workflow):
        for attempt in run.attempts:
            for job in attempt.jobs:
                wrong = {step.name for step in job.steps if step.conclusion in ("failure", "cancelled")}
                if (
                    job.name == trouble.job
                    and trouble.step in wrong
                    and occurrence.about in (None, run.id, run.head_sha)
                ):
                    return run, job
    raise AssertionError(f"{trouble.name} hit no run")


def log(job: Job) -> str:
    return "\n".join(line.text for line in job.log)


def test_everything_goes_wrong_within_forty_minutes_but_never_too_much_at_once(story: Story) -> None:
    assert {found.trouble for found in story.past} == set(TROUBLES)
    assert 1 <= story.most_open <= OPEN_AT_ONCE


def test_another_seed_tells_of_the_same_troubles_in_another_order(story: Story) -> None:
    other = asyncio.run(_lived(5, MINUTES))
    assert {found.trouble for found in other.past} == set(TROUBLES)
    assert other.most_open <= OPEN_AT_ONCE
    assert [found.trouble.name for found in other.past] != [found.trouble.name for found in story.past]


def test_expired_credentials_fail_every_run_until_the_secret_is_renewed(story: Story) -> None:
    run, job = hit(story, EXPIRED_CREDENTIALS)
    assert "ERROR: failed to pull data from the cloud" in log(job)
    assert "ExpiredToken" in log(job)
    assert job.annotations[0].message == EXPIRED_CREDENTIALS.annotation
    assert run.latest.number > 1
    assert run.latest.conclusion == "success"


def test_a_flaky_test_passes_when_its_job_is_run_again(story: Story) -> None:
    run, job = hit(story, FLAKY_TEST)
    assert "test_sampling_keeps_the_mean" in log(job)
    assert (job.annotations[0].path, job.annotations[0].line) == ("tests/test_network.py", 87)
    assert (job.attempt, run.latest.conclusion) == (1, "success")


@pytest.mark.parametrize(
    ("trouble", "conclusion", "error", "fix"),
    [
        (OUT_OF_MEMORY, "failure", "torch.cuda.OutOfMemoryError", "Halve the batch size"),
        (TIMED_OUT, "timed_out", "TimeoutError", "raise timeout-minutes"),
    ],
)
def test_a_training_that_fails_leaves_diagnostics_and_is_mended(
    story: Story, trouble: Trouble, conclusion: str, error: str, fix: str
) -> None:
    run, job = hit(story, trouble)
    assert (job.conclusion, run.latest.conclusion) == (conclusion, conclusion)
    (artifact,) = [each for each in run.artifacts.values() if each.name == "training_diagnostics"]
    told = json.loads(artifact.files["training_diagnostics.json"])
    assert told["error"]["type"] == error
    assert set(told) == {"timestamp", "python_version", "environment", "data_stats", "error"}
    assert set(told["data_stats"]) == {"rows", "columns", "null_counts"}
    (training,) = re.findall(r"MLflow run (\w+)", log(job))
    assert [entry[2] for entry in story.ledger.entries if entry[:2] == ("end", training)] == ["FAILED"]
    repository = story.world.github.repository(run.repository.full_name)
    (mended,) = [other for other in repository.timeline if fix in other.title and other.created_at > run.created_at][:1]
    assert mended.latest.jobs[0].conclusion == "success"


def test_a_version_below_the_gate_is_refused_with_the_figures(story: Story) -> None:
    occurrence = of(story, BELOW_GATE)
    run, job = hit(story, BELOW_GATE)
    model = occurrence.model
    assert re.search(rf"gate: {model.metric} = [\d.]+ [<>]= [\d.]+: FAILED; champion v\d+", log(job))
    assert run.latest.conclusion == "failure"
    assert ("alias", model.name, "champion", _version(job)) not in story.ledger.entries


def _version(job: Job) -> int:
    (found,) = re.findall(r"--version (\d+)", log(job))
    return int(found)


def test_an_image_that_cannot_be_pulled_is_rolled_back(story: Story) -> None:
    run, job = hit(story, UNPULLABLE)
    assert "ImagePullBackOff" in log(job)
    assert re.search(r'Waiting for deployment "[\w-]+" rollout to finish: \d+ out of \d+ new replicas', log(job))
    (rollback,) = [
        other for other in runs(story.world, of(story, UNPULLABLE).model, "Auto Rollback on Failure")
        if other.head_sha == run.head_sha
    ]  # fmt: skip
    assert "rolled back" in log(rollback.latest.jobs[0])
    assert rollback.latest.conclusion == "success"


def test_a_canary_with_errors_gets_no_more_traffic_and_the_champion_stays(story: Story) -> None:
    run, job = hit(story, BAD_CANARY)
    rates = [float(rate) for rate in re.findall(r"error rate (0\.\d+) <", log(job))]
    assert all(rate > 0.01 for rate in rates)
    assert rates
    assert "stable 95, canary 5" in log(job)
    assert "stable 100, canary 0" in log(job)
    (rollback,) = [
        other for other in runs(story.world, of(story, BAD_CANARY).model, "Auto Rollback on Failure")
        if other.head_sha == run.head_sha
    ]  # fmt: skip
    assert re.search(r"champion: v\d+", log(rollback.latest.jobs[0]))


def test_a_colleague_promotes_at_the_same_time_and_one_of_both_is_archived(story: Story) -> None:
    occurrence = of(story, TWO_PRODUCTIONS)
    name, other = occurrence.model.name, occurrence.about
    assert ("tag", name, other, "mlops_tui.promoted_by", "tomasz") in story.ledger.entries
    assert ("stage", name, other, "Archived") in story.ledger.entries
    assert occurrence.ended is not None


def test_argo_cd_undoes_what_a_colleague_changes(story: Story) -> None:
    assert of(story, UNDONE).model.name == "churn"
    events = [event["message"] for event in story.world.cluster.objects("Event", PRODUCTION)]
    assert any("undid a change by hand (spec.replicas" in message for message in events)


async def test_a_rerun_before_the_secret_is_renewed_fails_again(
    world: World, scenario: Scenario, play: "asyncio.Task[None]"
) -> None:
    scenario.director.only(EXPIRED_CREDENTIALS)
    while not (found := scenario.director.open):
        await world.clock.advance(1)
    model = found[0].model
    while not (failed := [run for run in runs(world, model, CI.name) if run.latest.conclusion == "failure"]):
        await world.clock.advance(1)
    (run,) = failed
    world.github.rerun(model.repository, run.id, actor=OPERATOR, failed_only=True)
    _announce(world, "rerun", model, run.id)
    await world.clock.advance(25)
    assert found[0].is_open
    assert (run.latest.number, run.latest.conclusion) == (2, "failure")
    await world.clock.advance(200)
    assert not found[0].is_open
    assert run.latest.conclusion == "success"


async def test_whoever_rolls_back_first_is_seen_by_the_auto_rollback(
    world: World, scenario: Scenario, play: "asyncio.Task[None]"
) -> None:
    scenario.director.only(UNPULLABLE)
    while not (found := scenario.director.open):
        await world.clock.advance(1)
    model, fleet = found[0].model, Fleet(world.cluster, world.argocd)
    await world.clock.advance(10)
    fleet.undo(PRODUCTION, model.deployment)
    served = fleet.image(PRODUCTION, model.deployment)
    await world.clock.advance(240)
    (rollback,) = [
        run for run in runs(world, model, "Auto Rollback on Failure") if run.head_sha == found[0].about
    ]  # fmt: skip
    assert "nothing to undo, somebody was faster" in log(rollback.latest.jobs[0])
    assert fleet.image(PRODUCTION, model.deployment) == served


async def test_whoever_archives_one_of_two_productions_ends_it(
    world: World, ledger: Ledger, scenario: Scenario, play: "asyncio.Task[None]"
) -> None:
    scenario.director.only(TWO_PRODUCTIONS)
    while not (found := scenario.director.open):
        await world.clock.advance(1)
    model, other = found[0].model, found[0].about
    assert isinstance(other, int)
    await world.clock.advance(30)
    assert other in await ledger.in_stage(model, "Production")
    assert len(await ledger.in_stage(model, "Production")) == 2
    await ledger.set_stage(model, other, "Archived", archive=False)
    await world.clock.advance(12)
    assert not found[0].is_open


async def test_without_troubles_everything_goes_well(
    world: World, scenario: Scenario, play: "asyncio.Task[None]"
) -> None:
    scenario.director.only()
    await world.clock.advance(1200)
    ended = [run for model in MODELS for name in (CI.name, CD.name) for run in runs(world, model, name)]
    assert {run.latest.conclusion for run in ended if run.latest.status == "completed"} == {"success"}
    assert not scenario.director.past


def _announce(world: World, action: str, model: Model, number: int) -> None:
    world.github.announce(StoreEvent(action, model.repository, number, OPERATOR))
