"""The large world: as much as it says, the same for the same seed, and all of it before the world begins."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from mlops_tui.config.settings import load_settings
from mlops_tui.demo import bulk, bulk_activity
from mlops_tui.demo.clock import WorldClock
from mlops_tui.demo.configuration import Places, write_settings
from mlops_tui.demo.fleet import Fleet, Outcome
from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.past import World, build
from mlops_tui.demo.story import MODELS

BEGAN = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def large() -> World:
    return asyncio.run(build(seed=3, speed=1.0, began=BEGAN, size="large"))


@pytest.fixture(scope="module")
def github() -> GitHubStore:
    """What the teams alone left there."""
    return filled(3)


def filled(seed: int) -> GitHubStore:
    github = GitHubStore(WorldClock(BEGAN), seed=seed)
    bulk_activity.fill_github(github, seed=seed, began=BEGAN)
    return github


def traces(github: GitHubStore) -> Iterable[tuple[object, ...]]:
    """Return ids, times and texts of everything."""
    for repository in github.repositories.values():
        for run in repository.timeline:
            yield run.id, run.title, run.latest.conclusion, run.latest.updated_at, [job.id for job in run.latest.jobs]
        for pull in repository.pulls.values():
            yield pull.id, pull.title, pull.head_sha, pull.updated_at, [comment.body for comment in pull.comments]


def test_there_are_a_thousand_deployments_in_the_teams_namespaces(large: World) -> None:
    found = large.cluster.objects("Deployment")
    assert len(found) >= bulk.DEPLOYMENT_COUNT
    of_namespace = Counter(deployment["metadata"]["namespace"] for deployment in found)
    assert set(bulk.namespaces()) < set(of_namespace)
    assert min(of_namespace[namespace] for namespace in bulk.namespaces()) > 25


def test_most_deployments_are_well_and_some_are_not(large: World) -> None:
    fleet = Fleet(large.cluster)
    states: Counter[object] = Counter()
    for deployment in large.cluster.objects("Deployment"):
        namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        states["paused" if deployment["spec"].get("paused") else fleet.outcome(namespace, name)] += 1
    assert states[Outcome.COMPLETE] > 900
    assert states["paused"] > 3
    assert states[Outcome.FAILED] > 10
    waiting = {
        status["state"]["waiting"]["reason"]
        for namespace in bulk.namespaces()
        for pod in large.cluster.objects("Pod", namespace)
        for status in pod["status"].get("containerStatuses", ())
        if "waiting" in status["state"]
    }
    assert {"ImagePullBackOff", "CrashLoopBackOff"} <= waiting


def test_the_teams_pods_are_not_taken_for_those_of_the_story(large: World) -> None:
    for namespace in bulk.namespaces():
        assert all("model" not in pod["metadata"]["labels"] for pod in large.cluster.objects("Pod", namespace))


def test_what_the_teams_run_is_a_version_of_the_registry(large: World) -> None:
    known = {
        release.image for model in bulk.team_models(3) for release in bulk.team_releases(model, 3, BEGAN)
    }  # fmt: skip
    for namespace in bulk.namespaces():
        for deployment in large.cluster.objects("Deployment", namespace):
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            assert container["image"].removesuffix("-cuda13").removesuffix("-onnx") in known


def test_there_are_five_thousand_runs_and_five_hundred_open_pull_requests(large: World) -> None:
    repositories = large.github.repositories.values()
    assert sum(len(repository.runs) for repository in repositories) == bulk.RUN_COUNT
    pulls = [pull for repository in repositories for pull in repository.pulls.values() if pull.state == "OPEN"]
    assert len(pulls) == bulk.PULL_COUNT
    assert {f"acme/{namespace}" for namespace in bulk.namespaces()} <= {r.full_name for r in repositories}
    assert max(len(repository.runs) for repository in repositories) <= bulk.RUNS_OF_A_REPOSITORY


def test_runs_and_pull_requests_are_at_different_points(github: GitHubStore) -> None:
    repositories = github.repositories.values()
    states = {(run.latest.status, run.latest.conclusion) for r in repositories for run in r.timeline}
    ended = {("completed", conclusion) for conclusion in ("success", "failure", "cancelled")}
    assert states == {*ended, ("in_progress", None), ("waiting", None)}
    pulls = [pull for repository in repositories for pull in repository.pulls.values()]
    assert {review.state for pull in pulls for review in pull.reviews} == {"APPROVED", "CHANGES_REQUESTED", "COMMENTED"}
    assert {pull.draft for pull in pulls} == {pull.mergeable for pull in pulls} == {True, False}
    assert sum(any(c.body.startswith("## PR Checklist\n") for c in pull.comments) for pull in pulls) > 0.95 * len(pulls)
    assert any("[bold red]" in pull.title for pull in pulls)
    assert max(len(pull.title) for pull in pulls) > 200


def test_nothing_is_younger_than_the_world(large: World) -> None:
    for repository in large.github.repositories.values():
        assert all(run.latest.updated_at <= BEGAN for run in repository.timeline)
        assert all(pull.updated_at <= BEGAN for pull in repository.pulls.values())
    began = BEGAN.strftime("%Y-%m-%dT%H:%M:%SZ")
    created = [deployment["metadata"]["creationTimestamp"] for deployment in large.cluster.objects("Deployment")]
    assert max(created) < began
    for model in bulk.team_models(3):
        moments = [release.trained_at for release in bulk.team_releases(model, 3, BEGAN)]
        assert moments == sorted(moments)
        assert moments[-1] < BEGAN


def test_the_registry_has_a_thousand_models_with_twenty_versions() -> None:
    models = bulk.team_models(5)
    assert len({model.name for model in (*models, *MODELS)}) == bulk.MODEL_COUNT
    made = [release for model in models for release in bulk.team_releases(model, 5, BEGAN)]
    assert len(made) + sum(model.versions for model in MODELS) == bulk.VERSION_COUNT
    assert len({release.run_id for release in made}) == len(made)
    habits = {
        (any(r.stage == "Production" for r in owned), any("champion" in r.aliases for r in owned))
        for owned in ([r for r in made if r.model is model] for model in models[:40])
    }
    assert habits == {(True, True), (True, False), (False, True), (False, False)}


def test_the_same_seed_and_moment_make_the_same_mass(github: GitHubStore) -> None:
    assert list(traces(github)) == list(traces(filled(3)))
    assert list(traces(github)) != list(traces(filled(4)))
    one, same, other = (list(islice(bulk_activity.rollouts(seed, BEGAN), 200)) for seed in (3, 3, 4))
    assert one == same != other
    assert bulk.team_models(3) == bulk.team_models(3) != bulk.team_models(4)


def test_the_settings_of_a_large_world_name_everything(tmp_path: Path) -> None:
    places = Places(github="http://127.0.0.1:1/api/v3", mlflow="http://127.0.0.1:2", kubeconfig=tmp_path / "kube")
    settings = load_settings(write_settings(tmp_path, places, "large"))
    assert set(settings.environments["production"].namespaces) == {"ml", *bulk.namespaces()}
    assert set(settings.github.repositories) == {*bulk.repositories(), *(model.repository for model in MODELS)}
    assert settings.github.runs == bulk.RUNS_OF_A_REPOSITORY
