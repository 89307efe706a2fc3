"""What the world looks like when it begins, and that its parts can be joined."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_tui.config.settings import load_settings
from mlops_tui.demo.configuration import write_settings
from mlops_tui.demo.fleet import PRODUCTION, STAGING, Fleet, Outcome
from mlops_tui.demo.past import World, build
from mlops_tui.demo.pipelines import changed_files, checklist, open_items, tick
from mlops_tui.demo.story import MODELS, Release


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
    path = write_settings(
        tmp_path, github="http://127.0.0.1:1/api/v3", mlflow="http://127.0.0.1:2", kubeconfig=tmp_path / 'a "b"'
    )
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
