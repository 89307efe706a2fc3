"""The present: it never stands still, never breaks, and follows from what is there."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mlops_tui.demo.fleet import PRODUCTION, Fleet, Outcome
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.github.model import Repository
from mlops_tui.demo.past import World, build
from mlops_tui.demo.scenario import Scenario
from mlops_tui.demo.story import BOT, MODELS, OPERATOR
from mlops_tui.demo.traffic import REHEARSED_SCRAPE_SECONDS
from mlops_tui.demo.troubles import TROUBLES
from tests.unit.demo_world.conftest import BEGAN
from tests.unit.demo_world.ledger import Ledger, counts

FRAUD = "acme/fraud"
ROOT = Path(__file__).parents[3]


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


def _pictured(repository: Repository) -> list[object]:
    """Return what a repository has come to, with its ids and times."""
    seen: list[object] = []
    for run in repository.timeline:
        seen.append((run.id, run.head_sha, run.latest.status, run.latest.conclusion, run.latest.updated_at))
        seen += [(job.id, job.status, job.log, job.annotations) for job in run.latest.jobs]
        seen += [(artifact.id, artifact.created_at, artifact.files) for artifact in run.artifacts.values()]
    for pull in repository.pulls.values():
        seen.append((pull.id, pull.number, pull.state, pull.commits, pull.updated_at))
        seen += [(comment.id, comment.author, comment.body, comment.updated_at) for comment in pull.comments]
        seen += [(review.id, review.author, review.state, review.submitted_at) for review in pull.reviews]
    return seen


KINDS = (
    "Deployment", "ReplicaSet", "Pod", "Event", "Service", "HorizontalPodAutoscaler", "VirtualService",
    "DestinationRule", "Rollout", "Application",
)  # fmt: skip


async def _fingerprint(seed: int) -> str:
    world, ledger = await build(seed=seed, speed=1.0, began=BEGAN), Ledger()
    task = asyncio.create_task(Scenario(world, ledger, seed=seed).run())
    await world.clock.advance(700)
    task.cancel()
    await asyncio.wait([task])
    figures = [world.traffic.figures(PRODUCTION, model.deployment) for model in MODELS]
    state = repr(
        (
            [_pictured(repository) for repository in world.github.repositories.values()],
            ledger.entries,
            [world.cluster.objects(kind) for kind in KINDS],
            figures,
        )
    )
    return hashlib.sha256(state.encode()).hexdigest()


async def test_the_same_seed_tells_the_same_story() -> None:
    one, same, other = [await _fingerprint(seed) for seed in (3, 3, 4)]
    assert one == same
    assert one != other


def test_nothing_depends_on_the_order_of_hashes() -> None:
    program = "import asyncio; from tests.unit.demo_world.test_scenario import _fingerprint; "
    program += "print(asyncio.run(_fingerprint(3)))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(seen) == 1


async def test_nothing_happens_while_the_clock_stands_still(
    world: World, ledger: Ledger, play: "asyncio.Task[None]"
) -> None:
    await world.clock.advance(7)
    before = counts(world, ledger)
    for _ in range(50):
        await asyncio.sleep(0)
    assert counts(world, ledger) == before


async def test_a_working_day_passes_without_an_error(
    world: World, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = Scenario(world, ledger, seed=1, scrape_seconds=REHEARSED_SCRAPE_SECONDS)
    play = asyncio.create_task(scenario.run())
    for _ in range(6):
        await world.clock.advance(3600)
        assert not play.done()
    play.cancel()
    await asyncio.wait([play])
    assert [record.message for record in caplog.records] == []
    assert len(ledger.registered) == 4
    assert min(ledger.registered.values()) > 15
    seen = Counter(found.trouble for found in scenario.director.past)
    assert set(seen) == set(TROUBLES)
    assert min(seen.values()) >= 3


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
    release = world.github.latest_release(FRAUD)
    assert release is not None
    assert (release.tag, release.author.login) == ("fraud-detector-v13", BOT)
    assert world.github.repository(FRAUD).tags[release.tag] == run.head_sha
    # The version before never came to its end.
    assert "fraud-detector-v11...fraud-detector-v13" in release.body


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
    reviewer = MODELS[0].owners[0]
    assert [(approval.state, approval.user.login) for approval in run.approvals] == [("approved", reviewer)]


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
    while run.latest.status != "waiting":
        await world.clock.advance(1)
    world.github.review_deployment("acme/churn", run.id, "production", "approved", OPERATOR)
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
