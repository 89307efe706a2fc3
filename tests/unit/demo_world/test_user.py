"""What a user does changes what happens next."""

import asyncio

from mlops_tui.demo import bulk
from mlops_tui.demo.argocd import NAMESPACE
from mlops_tui.demo.fleet import PRODUCTION, Fleet, Outcome
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.github.model import Pull, Run
from mlops_tui.demo.history import RunFacts, add_repository, start
from mlops_tui.demo.past import World
from mlops_tui.demo.pipelines import CD, CI, ROLLBACK, open_items, tick
from mlops_tui.demo.scenario import Scenario
from mlops_tui.demo.story import MODELS, OPERATOR, Model
from mlops_tui.demo.surroundings import AUTOSCALED
from mlops_tui.demo.traffic import Quality
from tests.unit.demo_world.ledger import Ledger

FRAUD, RANKER, VISION, CHURN = MODELS
Play = asyncio.Task[None]


def announce(world: World, action: str, repo: str, number: int, actor: str = OPERATOR) -> None:
    """Tell the world what a client of GitHub's server did."""
    world.github.announce(StoreEvent(action, repo, number, actor))


def deliveries(world: World, model: Model) -> list[Run]:
    return [run for run in world.github.repository(model.repository).timeline if run.workflow.name == CD.name]


def image(world: World, model: Model) -> str:
    return Fleet(world.cluster).image(PRODUCTION, model.deployment)


async def test_a_promotion_by_hand_is_delivered_once_it_is_approved(
    world: World, ledger: Ledger, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(12)
    known = len(deliveries(world, VISION))
    await ledger.set_stage(VISION, 9, "Production", archive=True)
    await ledger.set_alias(VISION, "champion", 9)
    await world.clock.advance(25)
    (run,) = deliveries(world, VISION)[known:]
    assert [job.name for job in run.latest.jobs] == ["production-deployment"]
    assert (run.latest.status, run.actor.login) == ("waiting", "release-bot")
    assert "v9" in run.title
    world.github.review_deployment(VISION.repository, run.id, "production", "approved", OPERATOR)
    await world.clock.advance(110)
    assert run.latest.conclusion == "success"
    assert ":v9-" in image(world, VISION)
    assert Fleet(world.cluster).outcome(PRODUCTION, VISION.deployment) is Outcome.COMPLETE
    assert ("alias", "vision-ocr", "previous", 8) in ledger.entries


async def test_a_promotion_of_what_waits_for_approval_starts_nothing_else(
    world: World, ledger: Ledger, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(12)
    known = deliveries(world, FRAUD)
    await ledger.set_alias(FRAUD, "champion", 13)
    await world.clock.advance(40)
    assert deliveries(world, FRAUD) == known


async def test_the_pipelines_own_promotions_are_nobodys_doing_by_hand(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(900)
    started = [run for model in MODELS for run in deliveries(world, model) if run.event == "repository_dispatch"]
    assert started == []


async def test_too_few_replicas_are_slow_and_then_fail(world: World, scenario: Scenario, play: Play) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    before = world.traffic.figures(PRODUCTION, RANKER.deployment)
    Fleet(world.cluster).scale_by_hand(PRODUCTION, RANKER.deployment, 1)
    await world.clock.advance(75)
    after = world.traffic.figures(PRODUCTION, RANKER.deployment)
    assert before.p95_seconds is not None
    assert after.p95_seconds is not None
    assert after.p95_seconds > 3 * before.p95_seconds
    assert (after.error_rate or 0) > 0.05


async def test_argo_cd_undoes_what_a_user_scales_within_fifteen_seconds(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    Fleet(world.cluster).scale_by_hand(PRODUCTION, CHURN.deployment, 1)
    await world.clock.advance(4)
    application = world.cluster.get("Application", NAMESPACE, "churn")
    assert application is not None
    assert application["spec"]["syncPolicy"]["automated"]["selfHeal"] is True
    assert application["status"]["sync"]["status"] == "OutOfSync"
    synced = application["status"]["history"][-1]["id"]
    await world.clock.advance(11)
    application = world.cluster.get("Application", NAMESPACE, "churn")
    assert application is not None
    assert application["status"]["sync"]["status"] == "Synced"
    assert application["status"]["history"][-1]["id"] == synced + 1
    assert "1 instead of 4" in application["status"]["conditions"][0]["message"]
    deployment = world.cluster.get("Deployment", PRODUCTION, "churn")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 4
    assert deployment["metadata"]["labels"]["app.kubernetes.io/instance"] == "churn"
    assert deployment["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] == "churn:apps/Deployment:ml/churn"
    events = world.cluster.objects("Event", PRODUCTION)
    undone = [event for event in events if "undid a change by hand" in event["message"]]
    assert [event["involvedObject"]["uid"] for event in undone] == [deployment["metadata"]["uid"]]


async def test_argo_cd_brings_back_an_image_and_a_deployment_that_is_deleted(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    known = image(world, CHURN)
    containers = [{"name": "server", "image": "registry.example/churn:by-hand"}]
    world.cluster.patch("Deployment", PRODUCTION, "churn", {"spec": {"template": {"spec": {"containers": containers}}}})
    await world.clock.advance(15)
    assert image(world, CHURN) == known
    world.cluster.delete("Deployment", PRODUCTION, "churn")
    await world.clock.advance(15)
    assert image(world, CHURN) == known


async def test_the_autoscaler_has_the_last_word_about_the_receipt_reader(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    fleet = Fleet(world.cluster)
    fleet.scale_by_hand(PRODUCTION, AUTOSCALED, 1)
    await world.clock.advance(180)
    assert fleet.replicas(PRODUCTION, AUTOSCALED) > 1


async def test_errors_fall_when_a_user_rolls_back(world: World, scenario: Scenario, play: Play) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    fleet, bad = Fleet(world.cluster), "registry.example/vision-ocr:v99-badc0de"
    world.traffic.quality(bad, Quality(0.08, 0.1))
    deployment = world.cluster.get("Deployment", PRODUCTION, VISION.deployment)
    assert deployment is not None
    containers = deployment["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = bad
    world.cluster.patch(
        "Deployment", PRODUCTION, VISION.deployment, {"spec": {"template": {"spec": {"containers": containers}}}}
    )
    await world.clock.advance(70)
    assert (world.traffic.figures(PRODUCTION, VISION.deployment, 30).error_rate or 0) > 0.04
    fleet.undo(PRODUCTION, VISION.deployment)
    await world.clock.advance(70)
    assert (world.traffic.figures(PRODUCTION, VISION.deployment, 30).error_rate or 0) < 0.01


async def test_a_dispatched_delivery_delivers_the_newest_version(
    world: World, ledger: Ledger, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    run_id = world.github.dispatch(VISION.repository, CD.name, "main", OPERATOR)
    announce(world, "dispatch", VISION.repository, run_id)
    run = world.github.run(VISION.repository, run_id)
    while run.latest.status != "waiting":
        await world.clock.advance(1)
    world.github.review_deployment(VISION.repository, run_id, "production", "approved", OPERATOR)
    await world.clock.advance(120)
    assert run.latest.conclusion == "success"
    assert ":v9-" in image(world, VISION)
    assert ledger.aliases["vision-ocr", "champion"] == 9


async def test_a_single_job_is_run_again_and_the_others_stay_what_they_were(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    timeline = reversed(world.github.repository(FRAUD.repository).timeline)
    run = next(run for run in timeline if run.workflow.name == CI.name and run.latest.conclusion == "success")
    lint, *_ = run.latest.jobs
    world.github.rerun(FRAUD.repository, run.id, actor=OPERATOR, job_id=lint.id)
    announce(world, "rerun", FRAUD.repository, run.id)
    await world.clock.advance(120)
    assert (run.latest.number, run.latest.conclusion) == (2, "success")
    assert {job.conclusion for job in run.latest.jobs} == {"success"}


async def test_a_rollback_that_is_run_again_leaves_what_is_healthy_alone(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    timeline = world.github.repository(FRAUD.repository).timeline
    while not [run for run in timeline if run.workflow.name == ROLLBACK.name and run.latest.conclusion == "success"]:
        await world.clock.advance(5)
    run = next(run for run in reversed(timeline) if run.workflow.name == ROLLBACK.name)
    served = image(world, FRAUD)
    world.github.rerun(FRAUD.repository, run.id, actor=OPERATOR)
    announce(world, "rerun", FRAUD.repository, run.id)
    await world.clock.advance(60)
    assert (run.latest.number, run.latest.conclusion) == (2, "success")
    assert image(world, FRAUD) == served


def side_pull(world: World, model: Model) -> Pull:
    number = next(number for repo, number in world.past.side_pulls if repo == model.repository)
    return world.github.pull(model.repository, number)


async def test_an_author_answers_a_comment_but_neither_bots_nor_without_end(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    pull = side_pull(world, CHURN)
    author, repo = pull.author.login, CHURN.repository

    def answers() -> list[str]:
        return [comment.body for comment in pull.comments if comment.body.startswith("@")]

    for who in (author, "github-actions[bot]"):
        world.github.comment(repo, pull.number, who, "Looks good")
        announce(world, "comment", repo, pull.number, who)
    await world.clock.advance(25)
    assert answers() == []
    for _ in range(5):
        world.github.comment(repo, pull.number, OPERATOR, "Is this measured?")
        announce(world, "comment", repo, pull.number)
        await world.clock.advance(25)
    assert len(answers()) == 3
    assert all(OPERATOR in text for text in answers())


async def test_ticking_the_last_item_gets_an_approval_and_then_the_merge(
    world: World, scenario: Scenario, play: Play
) -> None:
    scenario.director.only()
    pull, repo = side_pull(world, CHURN), CHURN.repository
    comment = next(comment for comment in pull.comments if open_items(comment.body))
    text = comment.body
    while open_items(text):
        text = tick(text)
    await world.clock.advance(1)
    world.github.set_comment_body(repo, comment.id, text)
    announce(world, "edit", repo, pull.number)
    await world.clock.advance(25)
    assert pull.state == "MERGED"
    assert [review.state for review in pull.reviews][-1] == "APPROVED"
    assert pull.reviews[-1].author != pull.author


async def test_a_push_starts_ci_for_the_new_head(world: World, scenario: Scenario, play: Play) -> None:
    scenario.director.only()
    await world.clock.advance(5)
    pull = side_pull(world, VISION)
    sha = world.github.push(VISION.repository, pull.number, message="By hand", author=OPERATOR)
    await world.clock.advance(6)
    (run,) = world.github.repository(VISION.repository).runs_of_sha[sha]
    assert (run.workflow.name, run.event) == (CI.name, "pull_request")
    await world.clock.advance(120)
    assert run.latest.conclusion == "success"


async def test_what_other_teams_run_goes_on_and_waits_for_approval(world: World, scenario: Scenario) -> None:
    github, now = world.github, world.clock.now()
    team = bulk.team_models(1)[0]
    add_repository(github, team, now)
    repo, head = team.repository, github.resolve(team.repository, "main").sha
    facts = RunFacts("main", "push", head, "Better features", "amara-o")
    checked, shipped = (github.run(repo, start(github, repo, pipeline, facts)) for pipeline in (CI, CD))
    github.set_job(repo, checked.id, "lint-and-format", "completed", "success")
    for job in ("unit-tests", "data-validation"):
        github.set_job(repo, checked.id, job, "in_progress")
    for job in ("full-training", "staging-deployment", "performance-tests"):
        github.set_job(repo, shipped.id, job, "completed", "success")
    github.wait_for_environment(repo, shipped.id, "production")
    play = asyncio.create_task(scenario.run())
    await world.clock.advance(90)
    assert (checked.latest.conclusion, shipped.latest.status) == ("success", "waiting")
    github.review_deployment(repo, shipped.id, "production", "approved", OPERATOR)
    announce(world, "approved", repo, shipped.id)
    await world.clock.advance(5)
    assert shipped.latest.status == "in_progress"
    await world.clock.advance(60)
    assert shipped.latest.conclusion == "success"
    play.cancel()
    await asyncio.wait([play])


async def test_a_quota_is_whole_again_when_the_world_s_clock_says_so(world: World) -> None:
    first = world.github.limits.meter("token", "core").reset
    assert world.clock.now() < first
    await world.clock.advance_to(first)
    assert world.github.limits.meter("token", "core").reset > first


async def test_an_image_that_no_pipeline_built_cannot_be_pulled(world: World, play: "asyncio.Task[None]") -> None:
    containers = [{"name": "server", "image": "registry.example/churn:latest-and-greatest"}]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    world.cluster.patch("Deployment", "ml-staging", "churn", template)
    await world.clock.advance(30)
    waiting = [
        status["state"].get("waiting", {}).get("reason")
        for pod in world.cluster.objects("Pod", "ml-staging")
        for status in pod["status"].get("containerStatuses", ())
    ]
    assert "ImagePullBackOff" in waiting
