"""What the world looks like when it begins, and that its parts can be joined."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_tui.config.settings import load_settings
from mlops_tui.demo.configuration import Places, write_settings
from mlops_tui.demo.fleet import PRODUCTION, STAGING, Fleet, Outcome
from mlops_tui.demo.past import World, build
from mlops_tui.demo.pipelines import CD, PIPELINES, ROLLBACK, changed_files, checklist, open_items, tick
from mlops_tui.demo.shipping import release_tag
from mlops_tui.demo.story import MODELS, Release
from mlops_tui.demo.surroundings import EMBEDDER, FEATURES
from tests.unit.demo_world.conftest import BEGAN


@pytest.fixture(scope="module")
def world() -> World:
    """A world as it is when it begins: one for all, as nobody here changes it."""
    return asyncio.run(build(seed=1, speed=1.0, began=BEGAN))


def test_there_are_about_sixty_versions_of_four_models(world: World) -> None:
    assert [len(made) for made in world.past.releases.values()] == [13, 31, 9, 8]


def test_every_version_was_trained_from_a_merge_on_its_repository(world: World) -> None:
    for release in world.past.all_releases:
        pull = world.github.pull(release.model.repository, release.pull)
        assert pull.state == "MERGED"
        assert pull.merge_sha == release.commit
        assert release.tag == f"v{release.version}-{release.commit[:7]}"
        assert world.github.resolve(release.model.repository, release.commit[:7]).sha == release.commit


def test_what_runs_is_a_known_version_but_for_the_hotfix(world: World) -> None:
    fleet = Fleet(world.cluster)
    known = {release.image for release in world.past.all_releases}
    unknown = [
        (namespace, model.name)
        for model in MODELS
        for namespace in (PRODUCTION, STAGING)
        if fleet.image(namespace, model.deployment) not in known
    ]
    assert unknown == [(PRODUCTION, "vision-ocr")]


def test_the_fraud_detector_is_stuck_half_way(world: World) -> None:
    deployment = world.cluster.get("Deployment", PRODUCTION, "fraud-api")
    assert deployment is not None
    assert deployment["status"]["readyReplicas"] == 3
    assert deployment["spec"]["replicas"] == 6
    assert Fleet(world.cluster).outcome(PRODUCTION, "fraud-api") is Outcome.FAILED
    reasons = {
        status["state"]["waiting"]["reason"]
        for pod in world.cluster.objects("Pod", PRODUCTION)
        for status in pod["status"].get("containerStatuses", ())
        if "waiting" in status["state"]
    }
    assert reasons == {"ImagePullBackOff"}


def test_nothing_in_the_past_is_in_the_future(world: World) -> None:
    now = world.clock.now()
    for repository in world.github.repositories.values():
        assert all(run.latest.updated_at <= now for run in repository.timeline)
        assert all(pull.updated_at <= now for pull in repository.pulls.values())
    assert all(release.trained_at <= now for release in world.past.all_releases)


def test_runs_wait_run_failed_and_succeeded(world: World) -> None:
    seen = {
        (run.latest.status, run.latest.conclusion)
        for repository in world.github.repositories.values()
        for run in repository.timeline
    }
    assert seen == {("completed", "success"), ("completed", "failure"), ("in_progress", None), ("waiting", None)}


async def test_the_same_seed_and_moment_make_the_same_world() -> None:
    began = datetime(2026, 3, 1, 9, tzinfo=UTC)
    one, two = [await build(seed=7, speed=1.0, began=began) for _ in range(2)]
    other = await build(seed=8, speed=1.0, began=began)
    assert one.past.all_releases == two.past.all_releases
    assert one.cluster.objects("Deployment") == two.cluster.objects("Deployment")
    assert list(one.github.repository("acme/fraud").runs) == list(two.github.repository("acme/fraud").runs)
    assert one.past.all_releases != other.past.all_releases


def test_a_release_survives_its_way_to_the_registry_server(world: World) -> None:
    for release in world.past.all_releases:
        assert Release.from_json(release.to_json()) == release


def test_settings_are_what_the_dashboard_reads(tmp_path: Path) -> None:
    kubeconfig = tmp_path / 'a "b"'
    places = Places(github="http://127.0.0.1:1/api/v3", mlflow="http://127.0.0.1:2", kubeconfig=kubeconfig)
    path = write_settings(tmp_path, places, "normal")
    settings = load_settings(path)
    assert settings.kubernetes.kubeconfig == str(tmp_path / 'a "b"')
    assert settings.environments["production"].protected
    assert settings.environments["staging"].namespaces == ("ml-staging",)
    assert settings.mlflow.models["vision-ocr"].higher_is_better is False
    assert settings.github.repositories == tuple(model.repository for model in MODELS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlops-tui.toml"]


@pytest.mark.parametrize(("touches_data", "items"), [(False, 5), (True, 8)])
def test_a_checklist_follows_the_changed_files(touches_data: bool, items: int) -> None:
    text = checklist(changed_files(MODELS[0], touches_data=touches_data))
    assert text.startswith("## PR Checklist\n")
    assert open_items(text) == items
    ticked = tick(text, 1)
    assert open_items(ticked) == items - 1
    assert ticked.count("- [x] Backward compatibility checked") == 1


def test_what_failed_has_left_its_evidence(world: World) -> None:
    """From the first second there is something to read about every failure."""
    failed = [
        (run, job)
        for repository in world.github.repositories.values()
        for run in repository.timeline
        for job in run.latest.jobs
        if job.conclusion == "failure" and job.steps
    ]
    assert failed
    for run, job in failed:
        assert job.log, f"{run.workflow.name}: {job.name}"
        assert job.annotations, f"{run.workflow.name}: {job.name}"
    diagnoses = [
        json.loads(artifact.files["training_diagnostics.json"])
        for run, _ in failed
        for artifact in run.artifacts.values()
        if artifact.name == "training_diagnostics"
    ]
    assert {told["error"]["type"] for told in diagnoses} == {"torch.cuda.OutOfMemoryError"}


def test_ci_of_the_past_kept_its_coverage(world: World) -> None:
    runs = [run for run in world.github.repository("acme/ranker").timeline if run.workflow.name == "ML CI Pipeline"]
    for run in runs:
        (report,) = [each.files["coverage.xml"] for each in run.artifacts.values() if each.name == "coverage"]
        (rate,) = set(re.findall(r'<coverage .*line-rate="([\d.]+)"', report.decode()))
        assert float(rate) > 0.8
        tests = next(job for job in run.latest.jobs if job.name == "unit-tests")
        assert f"Total coverage: {float(rate) * 100:.1f}%" in "\n".join(line.text for line in tests.log)


def test_jobs_need_those_of_the_stage_before(world: World) -> None:
    needs = {job.name: job.needs for pipeline in PIPELINES for job in pipeline.jobs}
    assert needs["model-training-test"] == ("unit-tests", "data-validation")
    assert needs["unit-tests"] == needs["data-validation"] == ("lint-and-format",)
    assert needs["production-deployment"] == ("performance-tests",)
    assert needs["full-training"] == ()


def test_the_canary_of_the_ranker_gets_its_share(world: World) -> None:
    routes = world.cluster.get("VirtualService", PRODUCTION, "ranker")
    assert routes is not None
    by_header, weighted = routes["spec"]["http"]
    assert by_header["match"] == [{"headers": {"canary": {"exact": "true"}}}]
    assert [(to["destination"]["subset"], to["weight"]) for to in weighted["route"]] == [("stable", 95), ("canary", 5)]
    stable, canary = (world.traffic.figures(PRODUCTION, name) for name in ("ranker", "ranker-canary"))
    share = canary.requests_per_second / (canary.requests_per_second + stable.requests_per_second)
    assert share == pytest.approx(0.05, abs=0.005)


def test_blue_is_live_and_green_is_ready(world: World) -> None:
    service = world.cluster.get("Service", PRODUCTION, FEATURES)
    assert service is not None
    assert service["spec"]["selector"]["version"] == "blue"
    blue, green = (world.traffic.figures(PRODUCTION, f"{FEATURES}-{colour}") for colour in ("blue", "green"))
    assert blue.requests_per_second > 10
    assert green.requests_per_second == 0
    assert Fleet(world.cluster).outcome(PRODUCTION, f"{FEATURES}-green") is Outcome.COMPLETE


def test_the_embedder_waits_at_a_step_of_its_rollout(world: World) -> None:
    rollout = world.cluster.get("Rollout", PRODUCTION, EMBEDDER)
    assert rollout is not None
    assert rollout["status"]["phase"] == "Paused"
    assert rollout["status"]["currentStepIndex"] == 1
    assert rollout["status"]["pauseConditions"][0]["reason"] == "CanaryPauseStep"


def test_every_model_has_a_service_that_finds_its_pods(world: World) -> None:
    for model in MODELS:
        service = world.cluster.get("Service", PRODUCTION, model.deployment)
        assert service is not None
        selector = service["spec"]["selector"].items()
        pods = [
            pod for pod in world.cluster.objects("Pod", PRODUCTION) if selector <= pod["metadata"]["labels"].items()
        ]
        assert len(pods) >= model.replicas


def test_churn_is_what_git_has(world: World) -> None:
    application = world.cluster.get("Application", "argocd", "churn")
    assert application is not None
    assert application["status"]["sync"] == {
        "status": "Synced",
        "revision": world.past.releases["churn"][6].commit,
    }


def test_what_shipped_was_released_from_its_merge(world: World) -> None:
    for model in MODELS:
        repository = world.github.repository(model.repository)
        shipped = {release.tag: repository.tags[release.tag] for release in repository.releases}
        succeeded = {
            run.head_sha
            for run in repository.timeline
            if run.workflow.name == CD.name and run.latest.conclusion == "success"
        }
        known = {release_tag(model, made.version): made.commit for made in world.past.releases[model.name]}
        assert shipped.items() <= known.items()
        assert succeeded <= set(shipped.values())
        newest = repository.releases[0]
        assert newest.body.startswith("<!-- Release notes generated using configuration in .github/release.yml at ")
        assert f"{world.github.web}/{repository.full_name}/pull/" in newest.body
        assert [release.created_at for release in repository.releases] == sorted(
            (release.created_at for release in repository.releases), reverse=True
        )
        assert world.github.repository(model.repository).environments["production"].url.startswith("https://")


def test_workflows_start_by_what_their_runs_say(world: World) -> None:
    for repository in world.github.repositories.values():
        for run in repository.timeline:
            assert run.event in run.workflow.on, run.workflow.name
    rollback = world.github.file_text("acme/churn", ROLLBACK.path)
    assert f'workflows: ["{CD.name}"]' in rollback
