"""Plays the past into GitHub: what was merged, built, trained, approved and refused before the world begins."""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.logbook import COVERAGE_STEP, coverage_of, coverage_xml, diagnostics, usual_lines
from mlops_tui.demo.pipelines import (
    CD,
    CI,
    PIPELINES,
    QUALITY,
    ROLLBACK,
    Pipeline,
    changed_files,
    checklist,
    description,
    tick_some,
)
from mlops_tui.demo.shipping import NOTES_CONFIGURATION, NOTES_PATH, publish
from mlops_tui.demo.story import BOT, MODELS, OPERATOR, Model, Release, releases
from mlops_tui.demo.troubles import EXPIRED_CREDENTIALS, OUT_OF_MEMORY, UNPULLABLE, lines_of

DETAILED: Final = 12
"""The newest releases of a model whose runs are told; of older ones only the merge is."""
JOB_SECONDS: Final = {
    "lint-and-format": 48,
    "unit-tests": 204,
    "data-validation": 131,
    "model-training-test": 372,
    "staging-deployment": 256,
    "performance-tests": 422,
    "production-deployment": 1130,
    "rollback": 385,
    "pr-checklist": 31,
}
OLD_DELIVERY: Final = timedelta(hours=1)
"""From the end of a training to production, where no run tells of it."""
WAITING: Final = timedelta(minutes=18)
"""For how long the fraud detector's challenger has waited for its approval when the world begins."""


@dataclass(slots=True)
class Past:
    """What the present builds on.

    Attributes:
        releases: By model, the oldest first, with the commits and pull requests that GitHub gave them.
        in_flight: The run of the CD pipeline that a model's challenger is still in.
        side_pulls: Open pull requests that are nobody's release.
    """

    releases: dict[str, list[Release]] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    side_pulls: list[tuple[str, int]] = field(default_factory=list)

    @property
    def all_releases(self) -> list[Release]:
        return [release for made in self.releases.values() for release in made]

    def release(self, model: Model, version: int) -> Release:
        """Return a version of the model."""
        return self.releases[model.name][version - 1]


def play_past(github: GitHubStore, *, seed: int, began: datetime) -> Past:
    """Fill an empty GitHub with everything up to `began`."""
    past = Past()
    for model in MODELS:
        teller = _Teller(github, model, random.Random(f"{seed}/github/{model.name}"), began, past)
        teller.tell(releases(model, seed, began))
    return past


def add_repository(github: GitHubStore, model: Model, at: datetime) -> None:
    """Add a model's repository with its branches, workflows and environments."""
    repo = model.repository
    github.add_repository(repo, at=at)
    for branch in ("staging", "dev"):
        github.add_commit(repo, None, f"Start {branch}", model.owners[0], branch=branch, at=at)
    for pipeline in PIPELINES:
        github.add_workflow(repo, pipeline.name, pipeline.path, jobs=pipeline.jobs, on=pipeline.on, at=at)
    github.put_file(repo, NOTES_PATH, NOTES_CONFIGURATION, at=at)
    host = repo.partition("/")[2]
    github.add_environment(repo, "staging", url=f"https://{host}.staging.example", at=at)
    owners = (OPERATOR, model.owners[0])
    github.add_environment(repo, "production", reviewers=owners, url=f"https://{host}.production.example", at=at)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run is about."""

    branch: str
    event: str
    head_sha: str
    title: str
    actor: str
    pull_numbers: tuple[int, ...] = ()


def start(github: GitHubStore, repo: str, pipeline: Pipeline, facts: RunFacts, at: datetime | None = None) -> int:
    """Start a run of a pipeline, all its jobs queued, and return its id."""
    return github.start_run(
        repo,
        pipeline.name,
        branch=facts.branch,
        event=facts.event,
        head_sha=facts.head_sha,
        title=facts.title,
        actor=facts.actor,
        jobs=pipeline.jobs,
        pull_numbers=facts.pull_numbers,
        at=at,
    )


def branch_name(title: str) -> str:
    """Return the branch on which a change with this title is made."""
    return "feat/" + "-".join(title.lower().split()[:3])


@dataclass(slots=True)
class _Teller:
    """Tells the past of one repository."""

    github: GitHubStore
    model: Model
    random: random.Random
    began: datetime
    past: Past

    def tell(self, planned: tuple[Release, ...]) -> None:
        repo, made = self.model.repository, self.past.releases.setdefault(self.model.name, [])
        add_repository(self.github, self.model, planned[0].trained_at - timedelta(days=30))
        for release in planned:
            merged = self._merge(release, detailed=len(planned) - release.version < DETAILED)
            made.append(merged)
        self._nightly_runs(made)
        for index in range(2):
            self.past.side_pulls.append((repo, self._open_side_pull(index)))

    def _merge(self, release: Release, *, detailed: bool) -> Release:
        repo, github = self.model.repository, self.github
        ci_took = self._ci_seconds()
        merged_at = release.trained_at - release.training - timedelta(seconds=ci_took + 25)
        opened_at = merged_at - timedelta(hours=self.random.uniform(3, 22))
        files = changed_files(self.model, touches_data=release.version % 2 == 0)
        pull = github.open_pull(
            repo,
            title=release.subject,
            body=description(self.model, release.subject),
            author=release.author,
            head_branch=branch_name(release.subject),
            base_branch="main",
            labels=("model", "data") if release.version % 2 == 0 else ("model",),
            files=files,
            at=opened_at,
        )
        head = github.pull(repo, pull).head_sha
        of_pull = RunFacts(branch_name(release.subject), "pull_request", head, release.subject, release.author, (pull,))
        if detailed:
            self._run(QUALITY, of_pull, opened_at)
            self._run(CI, of_pull, opened_at + timedelta(seconds=4))
        comment = checklist(files).replace("- [ ] ", "- [x] ")
        github.comment(repo, pull, "github-actions[bot]", comment, at=opened_at + timedelta(seconds=40))
        reviewer = next(owner for owner in self.model.owners if owner != release.author)
        github.review(repo, pull, reviewer, "APPROVED", at=merged_at - timedelta(minutes=6))
        commit = github.merge_pull(repo, pull, actor=release.author, at=merged_at)
        merged = replace(release, commit=commit, pull=pull)
        if detailed:
            on_main = RunFacts("main", "push", commit, release.subject, release.author)
            self._run(CI, on_main, merged_at + timedelta(seconds=5))
            self._deliver(merged)
        elif release.stage != "None":
            self._publish(merged, release.trained_at + OLD_DELIVERY)
        return merged

    def _publish(self, release: Release, at: datetime) -> None:
        publish(self.github, self.model, release.version, release.commit, at=at)

    def _deliver(self, release: Release) -> None:
        """Tell the CD pipeline's run, which ended in different ways, or has not."""
        facts = RunFacts("main", "workflow_run", release.commit, release.subject, BOT)
        started = release.trained_at - release.training
        state = _DELIVERIES.get((self.model.name, release.version))
        if state is None or state == "slow":
            failed = ("performance-tests", "Check p95 < 500 ms") if state or release.stage == "None" else None
            ended = self._run(CD, facts, started, training=release.training, failed=failed)
            if failed is None:
                self._publish(release, ended)
            return
        run_id = start(self.github, self.model.repository, CD, facts, started)
        if state == "waiting":
            after = self._jobs_until_production(run_id, started, release.training)
            self.github.wait_for_environment(
                self.model.repository, run_id, "production", at=max(after, self.began - WAITING)
            )
            self.past.in_flight[self.model.name] = run_id
        elif state == "canary":
            after = self._jobs_until_production(run_id, started, release.training)
            self._approve(run_id, after, OPERATOR)
            self.past.in_flight[self.model.name] = run_id
        elif state == "stuck":
            after = self._jobs_until_production(run_id, started, release.training)
            self._fail_in_production(run_id, facts, after)
        else:
            after = self._jobs_until_production(run_id, started, release.training)
            repo, asked = self.model.repository, after + timedelta(minutes=1)
            self.github.wait_for_environment(repo, run_id, "production", at=asked)
            self.github.review_deployment(
                repo, run_id, "production", "rejected", self.model.owners[0], "Not before the holidays",
                at=asked + timedelta(minutes=22),
            )  # fmt: skip

    def _approve(self, run_id: int, after: datetime, who: str) -> None:
        repo, approved = self.model.repository, max(after, self.began - timedelta(minutes=6))
        self.github.wait_for_environment(repo, run_id, "production", at=after)
        self.github.review_deployment(repo, run_id, "production", "approved", who, at=approved)
        begun = approved + timedelta(seconds=20)
        self.github.set_job(repo, run_id, "production-deployment", "in_progress", at=begun)
        self.github.set_step(
            repo, run_id, "production-deployment", "Canary check", at=self.began - timedelta(minutes=4)
        )

    def _fail_in_production(self, run_id: int, facts: RunFacts, after: datetime) -> None:
        repo, job = self.model.repository, "production-deployment"
        promoted = self.began - timedelta(hours=self.model.champion_age)
        self.github.wait_for_environment(repo, run_id, "production", at=after)
        self.github.review_deployment(repo, run_id, "production", "approved", OPERATOR, at=promoted)
        self.github.set_job(repo, run_id, job, "in_progress", at=promoted + timedelta(seconds=8))
        failed_at = promoted + timedelta(seconds=640)
        self.github.set_job(repo, run_id, job, "completed", "failure", failed_step="Rollout status", at=failed_at)
        self._tell_steps(run_id, job, facts.head_sha, (job, "Rollout status"))
        self.github.complete_run(repo, run_id, "failure", at=failed_at)
        self._run(ROLLBACK, facts, failed_at + timedelta(seconds=6), failed=("rollback", "Query Prometheus"))

    def _jobs_until_production(self, run_id: int, started: datetime, training: timedelta) -> datetime:
        repo = self.model.repository
        now = started
        for job in ("full-training", "staging-deployment", "performance-tests"):
            took = training if job == "full-training" else timedelta(seconds=JOB_SECONDS[job])
            # Whatever is over had an end before the world begins, however young the version is.
            end = min(now + took, self.began - WAITING + timedelta(seconds=1))
            self.github.set_job(repo, run_id, job, "in_progress", at=min(now, end))
            self.github.set_job(repo, run_id, job, "completed", "success", at=end)
            self._tell_steps(run_id, job, self.github.run(repo, run_id).head_sha)
            now = end
        return now

    def _tell_steps(self, run_id: int, job: str, commit: str, failed: tuple[str, str] | None = None) -> None:
        """Write what the steps of a job printed that is over, up to the one that failed."""
        repo, github = self.model.repository, self.github
        plan = next(each.plan for each in github.run(repo, run_id).latest.jobs if each.name == job)
        for step in plan.steps:
            if (job, step) == failed:
                self._tell_failure(run_id, job, step, commit)
                return
            lines = usual_lines(step, commit)
            if lines:
                github.add_log(repo, run_id, job, *lines, step=step)
            if step == COVERAGE_STEP:
                ended = github.run(repo, run_id).latest.updated_at
                github.add_artifact(
                    repo, run_id, "coverage", {"coverage.xml": coverage_xml(coverage_of(commit))}, at=ended
                )

    def _tell_failure(self, run_id: int, job: str, step: str, commit: str) -> None:
        """Leave what a step that failed leaves behind."""
        repo, github = self.model.repository, self.github
        trouble = _FAILURES.get((job, step))
        if trouble is None:
            return
        github.add_log(repo, run_id, job, *lines_of(trouble, self.model), step=step)
        github.annotate(repo, run_id, job, level="failure", message=trouble.annotation)
        error, ended = trouble.error, github.run(repo, run_id).latest.updated_at
        if error is not None:
            text = diagnostics(self.model, commit, ended, error.type, error.message, error.traceback)
            github.add_artifact(repo, run_id, "training_diagnostics", {"training_diagnostics.json": text}, at=ended)

    def _run(
        self,
        pipeline: Pipeline,
        facts: RunFacts,
        started: datetime,
        *,
        training: timedelta = timedelta(),
        failed: tuple[str, str] | None = None,
    ) -> datetime:
        """Tell a run that is over and return when it ended; `failed` is the job and the step that did not succeed."""
        repo, now = self.model.repository, started
        run_id = start(self.github, repo, pipeline, facts, started)
        for stage in pipeline.stages:
            begun, ends = now, []
            for job in stage:
                took = self._took(job.name, training)
                ends.append(begun + took)
                wrong = failed is not None and failed[0] == job.name
                self.github.set_job(repo, run_id, job.name, "in_progress", at=begun)
                self.github.set_job(
                    repo, run_id, job.name, "completed", "failure" if wrong else "success",
                    failed_step=failed[1] if failed and wrong else None, at=begun + took,
                )  # fmt: skip
                self._tell_steps(run_id, job.name, facts.head_sha, failed)
            now = max(ends)
            if failed and any(job.name == failed[0] for job in stage):
                break
        self.github.complete_run(repo, run_id, "failure" if failed else "success", at=now)
        return now

    def _took(self, job: str, training: timedelta) -> timedelta:
        if job == "full-training":
            return training
        return timedelta(seconds=JOB_SECONDS[job] * self.random.uniform(0.85, 1.2))

    @staticmethod
    def _ci_seconds() -> float:
        jobs = ("lint-and-format", "unit-tests", "model-training-test")
        return 1.2 * sum(JOB_SECONDS[job] for job in jobs)

    def _nightly_runs(self, made: list[Release]) -> None:
        night = self.began.replace(hour=2, minute=17, second=0, microsecond=0)
        for days in (3, 2, 1):
            at = night - timedelta(days=days)
            head = next(release.commit for release in reversed(made) if release.trained_at < at)
            facts = RunFacts("main", "schedule", head, CI.name, BOT)
            failed = ("data-validation", "DVC pull") if days == 2 and self.model.name == "vision-ocr" else None
            self._run(CI, facts, at, failed=failed)

    def _open_side_pull(self, index: int) -> int:
        """Open a pull request into `dev`: work in progress, at different points."""
        repo, model = self.model.repository, self.model
        title = _SIDE_TITLES[index].format(model.title)
        author = model.owners[index]
        opened = self.began - timedelta(hours=self.random.uniform(4, 70))
        files = changed_files(model, touches_data=index == 1)
        pull = self.github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch_name(title),
            base_branch="dev", labels=("model",) if index == 0 else ("model", "data"), files=files,
            requested_reviewers=(model.owners[2],), at=opened,
        )  # fmt: skip
        head = self.github.pull(repo, pull).head_sha
        facts = RunFacts(branch_name(title), "pull_request", head, title, author, (pull,))
        self._run(QUALITY, facts, opened)
        failed = (
            ("model-training-test", "Train on sample")
            if index == 1 and model.task in ("vision", "classification")
            else None
        )
        self._run(CI, facts, opened + timedelta(seconds=5), failed=failed)
        text = tick_some(checklist(files), self.random.randint(1, 3))
        self.github.comment(repo, pull, "github-actions[bot]", text, at=opened + timedelta(seconds=40))
        if index == 0 and model.task == "ranking":
            self.github.review(repo, pull, model.owners[2], "CHANGES_REQUESTED", "Please split the data change off.")
        return pull


_STUCK: Final = replace(
    UNPULLABLE,
    lines=(
        "kubectl -n ml rollout status deployment/{deployment} --timeout=600s",
        'Waiting for deployment "{deployment}" rollout to finish: 3 out of 6 new replicas have been updated...',
        'error: deployment "{deployment}" exceeded its progress deadline',
    ),
)
_SLOW: Final = replace(
    UNPULLABLE,
    lines=("24.1 requests/s, error rate 0.0021, p95 547 ms", "p95 547 ms < 500 ms: FAILED"),
    annotation="The load test's p95 is 547 ms; at most 500 ms are accepted",
)
_BLIND: Final = replace(
    UNPULLABLE,
    lines=(
        "curl --fail http://prometheus:9090/api/v1/query",
        "curl: (28) Operation timed out after 30001 milliseconds",
    ),
    annotation="Prometheus did not answer: nothing was rolled back",
)
_FAILURES: Final = {
    ("data-validation", "DVC pull"): EXPIRED_CREDENTIALS,
    ("model-training-test", "Train on sample"): OUT_OF_MEMORY,
    ("performance-tests", "Check p95 < 500 ms"): _SLOW,
    ("production-deployment", "Rollout status"): _STUCK,
    ("rollback", "Query Prometheus"): _BLIND,
}
"""What a step of the past that failed had run into."""
_DELIVERIES: Final = {
    ("fraud-detector", 12): "stuck",
    ("fraud-detector", 13): "waiting",
    ("ranker", 31): "canary",
    ("vision-ocr", 9): "slow",
    ("churn", 8): "rejected",
}
_SIDE_TITLES: Final = ("Faster data loading for {}", "Refresh {} training data")
