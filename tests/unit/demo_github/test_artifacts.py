"""What the store keeps of a run, and what is gone with it."""

import io
import zipfile

import pytest

from mlops_tui.demo.github import ConflictError, GitHubStore, JobPlan, NotFoundError
from mlops_tui.demo.github.archives import zip_of
from mlops_tui.demo.github.model import Artifact
from tests.support.clock import ManualClock

REPO = "acme/ranker"


@pytest.fixture
def store() -> GitHubStore:
    return _store()


def _store() -> GitHubStore:
    store = GitHubStore(ManualClock(), seed=3)
    store.add_repository(REPO)
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml")
    return store


def _run(store: GitHubStore) -> int:
    sha = store.resolve(REPO, "main").sha
    return store.start_run(
        REPO, "CI", branch="main", event="push", head_sha=sha, title="t", actor="ada", jobs=(JobPlan("test"),)
    )


def _add(store: GitHubStore, run_id: int) -> Artifact:
    files: dict[str, bytes | str] = {"training_diagnostics.json": '{"error": null}', "plots/loss.png": b"\x89PNG"}
    return store.artifact(REPO, store.add_artifact(REPO, run_id, "training_diagnostics", files))


def test_an_artifact_is_a_zip_of_its_files_and_always_the_same(store: GitHubStore) -> None:
    first, other = _add(store, _run(store)), _store()
    second = _add(other, _run(other))
    assert (first.id, zip_of(first)) == (second.id, zip_of(second))
    with zipfile.ZipFile(io.BytesIO(zip_of(first))) as found:
        assert {name: found.read(name) for name in found.namelist()} == {
            "training_diagnostics.json": b'{"error": null}',
            "plots/loss.png": b"\x89PNG",
        }
        assert {entry.date_time[:5] for entry in found.infolist()} == {first.created_at.timetuple()[:5]}


def test_a_name_is_taken_until_the_next_attempt(store: GitHubStore) -> None:
    run_id = _run(store)
    first = _add(store, run_id)
    with pytest.raises(ConflictError):
        _add(store, run_id)
    store.complete_run(REPO, run_id, "failure")
    store.rerun(REPO, run_id)
    second = _add(store, run_id)
    assert list(store.run(REPO, run_id).artifacts) == [first.id, second.id]
    assert (first.attempt, second.attempt) == (1, 2)


def test_a_deleted_run_leaves_nothing(store: GitHubStore) -> None:
    run_id = _run(store)
    artifact, kept = _add(store, run_id), _run(store)
    with pytest.raises(ConflictError):
        store.delete_run(REPO, run_id)
    store.complete_run(REPO, run_id, "success")
    store.delete_run(REPO, run_id)
    with pytest.raises(NotFoundError):
        store.run(REPO, run_id)
    with pytest.raises(NotFoundError):
        store.artifact(REPO, artifact.id)
    repository = store.repository(REPO)
    assert [run.id for run in repository.timeline] == [kept]
    assert {job.run.id for job in repository.jobs.values()} == {kept}
    assert [run.id for runs in repository.runs_of_sha.values() for run in runs] == [kept]
