"""The logs that the store writes around and for the steps of its jobs."""

import io
import itertools
import re
import zipfile
from datetime import timedelta

import pytest

from mlops_tui.demo.github import GitHubStore, JobPlan, NotFoundError
from mlops_tui.demo.github.evidence import annotations_of
from mlops_tui.demo.github.logs import has_log, job_log, run_logs
from mlops_tui.demo.github.model import Job
from tests.support.clock import ManualClock

REPO = "acme/ranker"
STEPS = ("Run actions/checkout@v4", "Ruff", "Pytest with coverage", "Train", "Anything else")
PLAN = (JobPlan("test", STEPS), JobPlan("gpu", ("Train",), ("self-hosted", "gpu")), JobPlan("late", needs=("test",)))
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z .*")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> GitHubStore:
    store = GitHubStore(clock, seed=3)
    store.add_repository(REPO)
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml", jobs=PLAN)
    return store


def _start(store: GitHubStore, age: timedelta = timedelta()) -> int:
    sha = store.resolve(REPO, "main").sha
    return store.start_run(
        REPO,
        "CI",
        branch="main",
        event="push",
        head_sha=sha,
        title="t",
        actor="ada",
        jobs=PLAN,
        at=store.clock.now() - age,
    )


def _job(store: GitHubStore, run_id: int, name: str = "test") -> Job:
    return next(job for job in store.run(REPO, run_id).latest.jobs if job.name == name)


def _texts(job: Job, store: GitHubStore) -> list[str]:
    return [line.partition(" ")[2] for line in job_log(job, store.clock.now()).splitlines()]


def _past(store: GitHubStore, conclusion: str, failed_step: str | None = None, job: str = "test") -> Job:
    """Return a job of yesterday that took five minutes."""
    day = timedelta(days=1)
    run_id, begun = _start(store, day), store.clock.now() - day
    store.set_job(REPO, run_id, job, "in_progress", at=begun)
    ended = begun + timedelta(minutes=5)
    store.set_job(REPO, run_id, job, "completed", conclusion, failed_step=failed_step, at=ended)
    return _job(store, run_id, job)


async def test_a_log_only_grows_while_its_job_runs(store: GitHubStore, clock: ManualClock) -> None:
    run_id = _start(store)
    assert not has_log(_job(store, run_id))
    store.set_job(REPO, run_id, "test", "in_progress")
    seen = [job_log(_job(store, run_id), clock.now())]
    for step in STEPS:
        store.set_step(REPO, run_id, "test", step)
        if step == "Train":
            await clock.advance(6.3)
            store.add_log(REPO, run_id, "test", "epoch 1/2 loss 0.61", "epoch 2/2 loss 0.43")
        for _ in range(4):
            await clock.advance(1.7)
            seen.append(job_log(_job(store, run_id), clock.now()))
    store.set_job(REPO, run_id, "test", "completed", "success")
    seen.append(job_log(_job(store, run_id), clock.now()))
    await clock.advance(3600)
    assert job_log(_job(store, run_id), clock.now()) == seen[-1]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(seen))
    assert len(set(seen)) > len(STEPS)


@pytest.mark.parametrize("conclusion", ["success", "failure", "cancelled", "timed_out"])
def test_lines_have_githubs_times_in_order(store: GitHubStore, conclusion: str) -> None:
    job = _past(store, conclusion)
    lines = job_log(job, store.clock.now()).splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    times = [line.partition(" ")[0] for line in lines]
    assert times == sorted(set(times))
    assert job.started_at is not None
    assert job.completed_at is not None
    assert times[0] >= f"{job.started_at:%Y-%m-%dT%H:%M:%S}"
    assert times[-1] < f"{job.completed_at + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"


def test_the_runner_frames_the_steps(store: GitHubStore) -> None:
    texts = _texts(_past(store, "success"), store)
    assert texts[0] == "Requested labels: ubuntu-latest"
    assert "Image: ubuntu-24.04" in texts
    groups = [text.removeprefix("##[group]Run ") for text in texts if text.startswith("##[group]Run ")]
    assert groups == ["actions/checkout@v4", *STEPS[1:]]
    assert sum(text.startswith("##[group]") for text in texts) == texts.count("##[endgroup]")
    assert texts[-1] == "Cleaning up orphan processes"
    assert texts.index("Post job cleanup.") > texts.index("##[group]Run Anything else")
    assert not any("##[error]" in text or "{" in text.replace("{0}", "") for text in texts)


def test_a_runner_of_our_own_has_its_name_in_the_log(store: GitHubStore) -> None:
    job = _past(store, "success", job="gpu")
    texts = _texts(job, store)
    assert texts[0] == "Requested labels: self-hosted, gpu"
    assert f"Runner name: '{job.runner_name}'" in texts
    assert "Image: ubuntu-24.04" not in texts


@pytest.mark.parametrize("failed", STEPS)
def test_a_step_that_failed_says_so_and_ends_the_job(store: GitHubStore, failed: str) -> None:
    texts = _texts(_past(store, "failure", failed), store)
    error = texts.index("##[error]Process completed with exit code 1.")
    group = texts.index(f"##[group]Run {failed.removeprefix('Run ')}")
    assert group < error
    # Something says what went wrong, beside the header and the code.
    assert error - group > texts[group:].index("##[endgroup]") + 1
    assert texts[error + 1] == "Post job cleanup."
    assert "passed" not in " ".join(texts[group:error]) or "failed" in " ".join(texts[group:error])


@pytest.mark.parametrize("conclusion", ["cancelled", "timed_out"])
def test_a_step_that_was_stopped_says_that(store: GitHubStore, conclusion: str) -> None:
    texts = _texts(_past(store, conclusion, "Train"), store)
    assert "##[error]The operation was canceled." in texts
    assert not any("exit code" in text for text in texts)


def test_what_is_told_of_a_past_step_stands_in_place_of_the_usual(store: GitHubStore) -> None:
    job = _past(store, "failure", "Pytest with coverage")
    store.add_log(REPO, job.run.id, "test", "E   assert 0.71 > 0.8\nFAILED tests/test_seed.py::test_auc")
    store.add_log(REPO, job.run.id, "test", "sampled 10 rows", step="Train")
    store.add_log(REPO, job.run.id, "test", "2 files left alone", step="Ruff")
    texts = _texts(job, store)
    place = texts.index("##[group]Run Pytest with coverage")
    told = texts[place:][texts[place:].index("##[endgroup]") + 1 :]
    assert told[:3] == [
        "E   assert 0.71 > 0.8",
        "FAILED tests/test_seed.py::test_auc",
        "##[error]Process completed with exit code 1.",
    ]
    assert "sampled 10 rows" not in texts, "the step was skipped"
    assert "2 files left alone" in texts
    assert "All checks passed!" not in texts


def test_the_exit_code_that_a_step_tells_of_is_the_runners(store: GitHubStore) -> None:
    job = _past(store, "failure", "Train")
    store.add_log(REPO, job.run.id, "test", "make: *** (exit code 2)", step="Ruff")
    store.add_log(REPO, job.run.id, "test", "run.sh: line 1: 2231 Killed python train.py (exit code 137)", "bye")
    texts, expected = _texts(job, store), "Process completed with exit code 137."
    assert texts[texts.index("bye") + 1] == f"##[error]{expected}"
    assert [annotation.message for annotation in annotations_of(job)] == [expected]


def test_a_limit_that_is_told_is_not_told_twice(store: GitHubStore) -> None:
    job = _past(store, "timed_out")
    told = "The job has exceeded the maximum execution time of 6h0m0s"
    store.annotate(REPO, job.run.id, "test", level="failure", message=told)
    assert sorted(annotation.message for annotation in annotations_of(job)) == [told, "The operation was canceled."]


def test_lines_for_what_is_not_there_are_refused(store: GitHubStore) -> None:
    run_id = _start(store)
    for job, step in (("none", None), ("test", "none")):
        with pytest.raises(NotFoundError):
            store.add_log(REPO, run_id, job, "x", step=step)


def test_the_same_seed_writes_the_same_log(store: GitHubStore) -> None:
    other = GitHubStore(ManualClock(), seed=3)
    other.add_repository(REPO)
    other.add_workflow(REPO, "CI", ".github/workflows/ci.yml", jobs=PLAN)
    first, second = _past(store, "failure"), _past(other, "failure")
    assert job_log(first, store.clock.now()) == job_log(second, other.clock.now())
    assert run_logs(first.run.latest, store.clock.now()) == run_logs(second.run.latest, other.clock.now())


def test_a_run_is_a_zip_of_jobs_and_their_steps(store: GitHubStore) -> None:
    job = _past(store, "failure", "Ruff")
    with zipfile.ZipFile(io.BytesIO(run_logs(job.run.latest, store.clock.now()))) as found:
        texts = {name: found.read(name).decode() for name in found.namelist()}
    assert list(texts) == [
        "0_test.txt",
        "test/1_Set up job.txt",
        "test/2_Run actionscheckout@v4.txt",
        "test/3_Ruff.txt",
        "test/12_Post Run actionscheckout@v4.txt",
        "test/13_Complete job.txt",
    ]
    assert "".join(list(texts.values())[1:]) == texts["0_test.txt"] == job_log(job, store.clock.now())


def test_a_rerun_keeps_the_log_of_what_it_does_not_run(store: GitHubStore) -> None:
    run_id = _start(store)
    for name, conclusion in (("gpu", "success"), ("test", "failure")):
        store.set_job(REPO, run_id, name, "in_progress")
        store.add_log(REPO, run_id, name, f"{name} was here")
        store.set_job(REPO, run_id, name, "completed", conclusion)
    store.complete_run(REPO, run_id, "failure")
    before, now = _job(store, run_id, "gpu"), store.clock.now()
    store.rerun(REPO, run_id, failed_only=True)
    after = _job(store, run_id, "gpu")
    assert after.id != before.id
    assert job_log(after, now) == job_log(before, now)
    assert "gpu was here" in job_log(after, now)
    assert not has_log(_job(store, run_id, "test"))


@pytest.mark.parametrize(
    ("conclusion", "messages"),
    [
        ("success", []),
        ("failure", ["Process completed with exit code 1."]),
        ("cancelled", ["The operation was canceled."]),
        ("timed_out", ["The job has exceeded the maximum execution time of 5m0s", "The operation was canceled."]),
    ],
)
def test_a_conclusion_annotates_its_job(store: GitHubStore, conclusion: str, messages: list[str]) -> None:
    job = _past(store, conclusion)
    store.annotate(REPO, job.run.id, "test", level="warning", message="slow", path="src/a.py", line=7, title="Speed")
    *automatic, added = annotations_of(job)
    assert [(entry.level, entry.message, entry.path) for entry in automatic] == [
        ("failure", message, ".github") for message in messages
    ]
    assert (added.level, added.message, added.path, added.line, added.title) == (
        "warning",
        "slow",
        "src/a.py",
        7,
        "Speed",
    )


def test_a_rejected_job_never_ran(store: GitHubStore) -> None:
    run_id = _start(store)
    store.run(REPO, run_id).environment = "production"
    store.wait_for_environment(REPO, run_id, "production")
    store.review_deployment(REPO, run_id, "production", "rejected", "ada")
    job = _job(store, run_id)
    assert (job.conclusion, job.steps, has_log(job)) == ("failure", [], False)
    assert "rejected" in annotations_of(job)[0].message
