"""The world behind the GitHub-compatible server: determinism, histories, and how jobs, steps and runs move."""

from datetime import datetime, timedelta

import pytest

from mlops_tui.demo.github import ConflictError, GitHubStore, JobPlan, NotFoundError, Token
from tests.support.clock import ManualClock

REPO = "acme/ranker"
PLAN = (JobPlan("lint", ("Checkout", "Ruff", "Mypy")), JobPlan("deploy", environment="production"))


def _store(seed: int = 0) -> GitHubStore:
    store = GitHubStore(ManualClock(), seed=seed)
    store.add_repository(REPO)
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml", jobs=PLAN)
    return store


def _start(store: GitHubStore, at: datetime | None = None, title: str = "t") -> int:
    sha = store.resolve(REPO, "main").sha
    return store.start_run(
        REPO, "CI", branch="main", event="push", head_sha=sha, title=title, actor="ada", jobs=PLAN, at=at
    )


def _steps(store: GitHubStore, run_id: int, job: int = 0) -> list[tuple[str, str | None]]:
    return [(step.name, step.conclusion or step.status) for step in store.run(REPO, run_id).latest.jobs[job].steps]


def _ids(store: GitHubStore) -> list[object]:
    run_id = _start(store)
    pull = store.open_pull(
        REPO, title="x", body="", author="bob", head_branch="x", base_branch="main", labels=[], files=["a"]
    )
    return [run_id, store.pull(REPO, pull).head_sha, store.comment(REPO, pull, "ada", "hi"), pull]


def test_the_same_seed_and_clock_give_the_same_world() -> None:
    assert _ids(_store(3)) == _ids(_store(3))
    assert _ids(_store(3))[:3] != _ids(_store(4))[:3]


def test_an_account_keeps_its_id_whoever_is_named_first() -> None:
    first, second = GitHubStore(ManualClock()), GitHubStore(ManualClock())
    second.user("somebody-else")
    assert first.user("ada") == second.user("ada")


def test_a_history_is_in_the_order_of_its_times_not_of_its_making() -> None:
    store = _store()
    now = store.clock.now()
    _start(store, now - timedelta(days=1), "yesterday")
    _start(store, now - timedelta(days=9), "last week")
    _start(store, None, "now")
    assert [run.title for run in store.repository(REPO).timeline] == ["last week", "yesterday", "now"]
    oldest = store.repository(REPO).timeline[0]
    assert oldest.latest.updated_at == (now - timedelta(days=9)).replace(microsecond=0)


def test_a_run_follows_its_jobs() -> None:
    store = _store()
    run_id = _start(store)
    latest = store.run(REPO, run_id).latest
    assert (latest.status, [job.status for job in latest.jobs]) == ("queued", ["queued", "queued"])
    store.set_job(REPO, run_id, "lint", "in_progress")
    assert latest.status == "in_progress"
    store.set_job(REPO, run_id, "lint", "completed", "success")
    store.wait_for_environment(REPO, run_id, "production")
    assert (latest.status, [job.status for job in latest.jobs]) == ("waiting", ["completed", "waiting"])
    store.review_deployment(REPO, run_id, "production", "approved", "ada")
    assert [job.status for job in latest.jobs] == ["completed", "queued"]
    store.set_job(REPO, run_id, "deploy", "completed", "success")
    store.complete_run(REPO, run_id, "success")
    assert (latest.status, latest.conclusion) == ("completed", "success")


async def test_steps_follow_their_job() -> None:
    clock = ManualClock()
    store = GitHubStore(clock)
    store.add_repository(REPO)
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml")
    run_id = _start(store)
    assert _steps(store, run_id) == []
    store.set_job(REPO, run_id, "lint", "in_progress")
    assert _steps(store, run_id) == [
        ("Set up job", "success"),
        ("Checkout", "in_progress"),
        ("Ruff", "queued"),
        ("Mypy", "queued"),
        ("Complete job", "queued"),
    ]
    await clock.advance(30)
    store.set_step(REPO, run_id, "lint", "Ruff")
    assert [state for _, state in _steps(store, run_id)] == ["success", "success", "in_progress", "queued", "queued"]
    await clock.advance(30)
    store.set_job(REPO, run_id, "lint", "completed", "failure")
    assert [state for _, state in _steps(store, run_id)] == ["success", "success", "failure", "skipped", "success"]
    job = store.run(REPO, run_id).latest.jobs[0]
    assert job.started_at is not None
    assert job.completed_at == job.started_at + timedelta(seconds=60)
    assert all(step.started_at and job.started_at <= step.started_at <= job.completed_at for step in job.steps)
    seconds = [(step.completed_at - job.started_at).seconds for step in job.steps if step.completed_at]
    assert seconds == [0, 30, 60, 60, 60]


@pytest.mark.parametrize(
    ("conclusion", "failed_step", "expected"),
    [
        ("success", None, ["success"] * 5),
        ("failure", "Checkout", ["success", "failure", "skipped", "skipped", "success"]),
        ("failure", None, ["success", "success", "success", "failure", "success"]),
        ("skipped", None, []),
        ("cancelled", None, []),
    ],
)
def test_a_job_that_ends_at_once_has_the_steps_of_its_conclusion(
    conclusion: str, failed_step: str | None, expected: list[str]
) -> None:
    store = _store()
    run_id = _start(store)
    store.set_job(REPO, run_id, "lint", "completed", conclusion, failed_step=failed_step)
    assert [state for _, state in _steps(store, run_id)] == expected


def test_the_end_of_a_run_is_the_end_of_its_jobs() -> None:
    store = _store()
    run_id = _start(store)
    store.set_job(REPO, run_id, "lint", "in_progress")
    store.cancel(REPO, run_id)
    jobs = store.run(REPO, run_id).latest.jobs
    assert [job.conclusion for job in jobs] == ["cancelled", "cancelled"]
    assert ("Checkout", "cancelled") in _steps(store, run_id)
    with pytest.raises(ConflictError):
        store.cancel(REPO, run_id)


def test_a_rerun_keeps_the_attempt_before() -> None:
    store = _store()
    run_id = _start(store)
    with pytest.raises(ConflictError):
        store.rerun(REPO, run_id)
    store.set_job(REPO, run_id, "lint", "completed", "success")
    store.complete_run(REPO, run_id, "failure")
    assert store.rerun(REPO, run_id, actor="bob", failed_only=True) == 2
    run = store.run(REPO, run_id)
    assert [attempt.conclusion for attempt in run.attempts] == ["failure", None]
    assert [(job.name, job.conclusion) for job in run.latest.jobs] == [("lint", "success"), ("deploy", None)]
    assert (run.actor.login, run.latest.actor.login) == ("ada", "bob")


def test_a_conclusion_and_completion_go_together() -> None:
    store = _store()
    run_id = _start(store)
    with pytest.raises(ValueError, match="conclusion"):
        store.set_job(REPO, run_id, "lint", "completed")
    with pytest.raises(ValueError, match="conclusion"):
        store.set_job(REPO, run_id, "lint", "queued", "success")


def test_a_push_moves_the_head_and_a_merge_the_base() -> None:
    store = _store()
    number = store.open_pull(REPO, title="x", body="", author="bob", head_branch="x", base_branch="main", files=["a"])
    pull = store.pull(REPO, number)
    sha = store.push(REPO, number, message="more", files=["a", "b"])
    assert (pull.head_sha, store.resolve(REPO, "x").sha) == (sha, sha)
    assert [file.path for file in pull.files] == ["a", "b"]
    store.set_mergeable(REPO, number, False)
    with pytest.raises(ConflictError):
        store.merge_pull(REPO, number)
    store.set_mergeable(REPO, number, True)
    merge = store.merge_pull(REPO, number, actor="ada")
    assert (pull.state, store.resolve(REPO, "main").sha) == ("MERGED", merge)
    assert store.resolve(REPO, merge).parents == (pull.base_sha, sha)
    with pytest.raises(ConflictError):
        store.close_pull(REPO, number)


@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "v1", "refs/tags/v1"])
def test_a_commit_is_found_by_any_of_its_names(ref: str) -> None:
    store = _store()
    store.add_tag(REPO, "v1")
    sha = store.repository(REPO).branches["main"]
    assert store.resolve(REPO, ref).sha == sha
    assert store.resolve(REPO, sha[:8]).sha == sha
    with pytest.raises(NotFoundError):
        store.resolve(REPO, sha[:3])


def test_what_is_not_there_is_said_to_be_missing() -> None:
    store = _store()
    for missing in (
        lambda: store.repository("acme/none"),
        lambda: store.run(REPO, 1),
        lambda: store.pull(REPO, 1),
        lambda: store.workflow(REPO, "none.yml"),
        lambda: store.comment_of(REPO, 1),
        lambda: store.set_job(REPO, _start(store), "none", "queued"),
    ):
        with pytest.raises(NotFoundError):
            missing()


def test_no_secret_is_shown_by_accident() -> None:
    store = _store()
    store.tokens["ghp_secret"] = Token("ada")
    assert "ghp_secret" not in repr(store) + str(store)
