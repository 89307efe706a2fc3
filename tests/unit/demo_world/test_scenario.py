"""The present: it never stands still, never breaks, and follows from what is there."""

import asyncio
import hashlib

import pytest

from mlops_tui.demo.fleet import PRODUCTION, Fleet, Outcome
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.past import World, build
from mlops_tui.demo.scenario import Scenario
from mlops_tui.demo.story import OPERATOR
from tests.unit.demo_world.conftest import BEGAN
from tests.unit.demo_world.ledger import Ledger, counts

FRAUD = "acme/fraud"


def fraud_delivery(world: World) -> int:
    return world.past.in_flight["fraud-detector"]


async def test_something_changes_at_least_every_five_seconds(
    world: World, ledger: Ledger, play: "asyncio.Task[None]"
) -> None:
    last, quiet = counts(world, ledger), 0
    for _ in range(600):
        await world.clock.advance(1)
        now = counts(world, ledger)
        quiet = 0 if now != last else quiet + 1
        last = now
        assert quiet < 5


async def test_ten_minutes_touch_every_kind_of_thing(world: World, ledger: Ledger, play: "asyncio.Task[None]") -> None:
    before = Fleet(world.cluster).image(PRODUCTION, "fraud-api")
    merged = sum(pull.state == "MERGED" for pull in world.github.repository(FRAUD).pulls.values())
    await world.clock.advance(900)
    kinds = {entry[0] for entry in ledger.entries}
    assert kinds == {"run", "metrics", "end", "version", "stage", "alias", "tag"}
    assert Fleet(world.cluster).image(PRODUCTION, "fraud-api") != before
    assert sum(pull.state == "MERGED" for pull in world.github.repository(FRAUD).pulls.values()) > merged


async def _fingerprint(seed: int) -> str:
    world, ledger = await build(seed=seed, speed=1.0, began=BEGAN), Ledger()
    task = asyncio.create_task(Scenario(world, ledger, seed=seed).run())
    await world.clock.advance(400)
    task.cancel()
    await asyncio.wait([task])
    runs = [
        (run.id, run.head_sha, run.latest.status, run.latest.updated_at)
        for repository in world.github.repositories.values()
        for run in repository.timeline
    ]
    state = repr((runs, ledger.entries, world.cluster.objects("Deployment"), world.cluster.objects("Pod")))
    return hashlib.sha256(state.encode()).hexdigest()


async def test_the_same_seed_tells_the_same_story() -> None:
    one, same, other = [await _fingerprint(seed) for seed in (3, 3, 4)]
    assert one == same
    assert one != other


async def test_a_day_passes_without_an_error(
    world: World, ledger: Ledger, play: "asyncio.Task[None]", caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(24):
        await world.clock.advance(3600)
        assert not play.done()
    assert [record.message for record in caplog.records] == []
    assert all(made > 40 for made in ledger.registered.values())
    assert len(ledger.registered) == 4


async def test_an_approval_lets_the_delivery_go_on(world: World, ledger: Ledger, play: "asyncio.Task[None]") -> None:
    run = world.github.run(FRAUD, fraud_delivery(world))
    await world.clock.advance(20)
    assert run.latest.status == "waiting"
    world.github.review_deployment(FRAUD, run.id, "production", "approved", OPERATOR)
    await world.clock.advance(60)
    assert ledger.aliases["fraud-detector", "champion"] == 13
    await world.clock.advance(60)
    assert run.latest.conclusion == "success"
    assert Fleet(world.cluster).outcome(PRODUCTION, "fraud-api") is Outcome.COMPLETE
    assert ":v13-" in Fleet(world.cluster).image(PRODUCTION, "fraud-api")


async def test_a_rejection_ends_the_delivery(world: World, ledger: Ledger, play: "asyncio.Task[None]") -> None:
    run = world.github.run(FRAUD, fraud_delivery(world))
    await world.clock.advance(20)
    world.github.review_deployment(FRAUD, run.id, "production", "rejected", OPERATOR)
    await world.clock.advance(120)
    assert run.latest.conclusion == "failure"
    assert ("fraud-detector", "champion") not in ledger.aliases
    assert not play.done()


async def test_without_an_answer_the_worlds_own_reviewer_approves(world: World, play: "asyncio.Task[None]") -> None:
    run = world.github.run(FRAUD, fraud_delivery(world))
    await world.clock.advance(300)
    assert [(approval.state, approval.user.login) for approval in run.approvals] == [("approved", OPERATOR)]


async def test_an_image_that_cannot_be_pulled_is_rolled_back(
    world: World, ledger: Ledger, play: "asyncio.Task[None]"
) -> None:
    fleet = Fleet(world.cluster)
    run = world.github.run(FRAUD, fraud_delivery(world))
    challenger = world.past.releases["fraud-detector"][-1]
    fleet.break_image(challenger.image)
    world.github.review_deployment(FRAUD, run.id, "production", "approved", OPERATOR)
    await world.clock.advance(250)
    assert run.latest.conclusion == "failure"
    assert fleet.image(PRODUCTION, "fraud-api") != challenger.image
    assert ledger.aliases["fraud-detector", "champion"] == 12


async def test_a_run_that_a_user_cancels_stays_cancelled(world: World, play: "asyncio.Task[None]") -> None:
    run = world.github.run(FRAUD, fraud_delivery(world))
    await world.clock.advance(10)
    world.github.cancel(FRAUD, run.id)
    await world.clock.advance(120)
    assert (run.latest.status, run.latest.conclusion) == ("completed", "cancelled")
    assert not play.done()


async def test_a_run_that_a_user_reruns_is_played_again(world: World, play: "asyncio.Task[None]") -> None:
    repository = world.github.repository(FRAUD)
    run = next(run for run in repository.timeline if run.latest.conclusion == "failure" and "CI" in run.workflow.name)
    await world.clock.advance(5)
    world.github.rerun(FRAUD, run.id, actor=OPERATOR, failed_only=True)
    world.github.announce(StoreEvent("rerun", FRAUD, run.id, OPERATOR))
    await world.clock.advance(60)
    assert (run.latest.number, run.latest.conclusion) == (2, "success")


async def test_a_delivery_that_is_run_again_delivers(world: World, ledger: Ledger, play: "asyncio.Task[None]") -> None:
    repository = world.github.repository("acme/churn")
    run = next(run for run in reversed(repository.timeline) if run.workflow.name == "ML CD Pipeline")
    await world.clock.advance(5)
    world.github.rerun("acme/churn", run.id, actor=OPERATOR, failed_only=True)
    world.github.announce(StoreEvent("rerun", "acme/churn", run.id, OPERATOR))
    await world.clock.advance(120)
    assert run.latest.conclusion == "success"
    assert ("alias", "churn", "champion", 8) in ledger.entries
    assert ("stage", "churn", 8, "Production") in ledger.entries


async def test_a_release_survives_that_its_pull_request_is_closed(world: World, play: "asyncio.Task[None]") -> None:
    await world.clock.advance(15)
    repository = world.github.repository("acme/churn")
    mains = [pull for pull in repository.pulls.values() if pull.state == "OPEN" and pull.base_branch == "main"]
    assert mains
    for pull in mains:
        world.github.close_pull("acme/churn", pull.number)
    await world.clock.advance(600)
    assert all(pull.state == "CLOSED" for pull in mains)
    assert any(pull.number > mains[-1].number and pull.base_branch == "main" for pull in repository.pulls.values())


async def test_a_deployment_that_a_user_deletes_comes_back_with_the_next_release(
    world: World, play: "asyncio.Task[None]"
) -> None:
    await world.clock.advance(5)
    world.cluster.delete("Deployment", PRODUCTION, "fraud-api")
    await world.clock.advance(1800)
    assert not play.done()
    assert Fleet(world.cluster).image(PRODUCTION, "fraud-api")
