"""What the teams of a large world left on GitHub and in the cluster before the world begins."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from mlops_tui.demo import bulk
from mlops_tui.demo.bulk import TeamRelease
from mlops_tui.demo.fleet import CHANGE_CAUSE, DEADLINE_SECONDS
from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.history import JOB_SECONDS, RunFacts, add_repository, start
from mlops_tui.demo.kubernetes import ImageBehaviour
from mlops_tui.demo.pipelines import CD, CI, QUALITY, Pipeline, changed_files, checklist, description, tick_some
from mlops_tui.demo.story import BOT, MODELS, Model

BEHAVIOURS: Final = (
    # Tags that somebody asked for before they were pushed, and a runtime that does not start.
    ImageBehaviour("*-cuda13", start_seconds=3.0, pull_error=True),
    ImageBehaviour("*-onnx", start_seconds=4.0, crash=True),
)
STORY_DEPLOYMENTS: Final = 2 * len(MODELS) + sum(model.canary for model in MODELS)
TITLES: Final = (
    "Faster data loading for {}",
    "Refresh {} training data",
    "Log calibration of {}",
    "fix({}): off-by-one in the sliding window",
    "Bump torch from 2.8.0 to 2.8.1 in /services/{}",
    "[WIP] {}: try a smaller backbone",
    "{}: 日本語のトークナイザーを更新",
    "Prüfe Größenänderungen für {} — „schnell“ 🚀",
    "{}: نموذج جديد للتصنيف",
    "Drop [bold red]markup[/] and [link=nowhere]links[/link] from {} labels",
    "<b>{}</b> & <script>alert('not run')</script> in feature names",
    "Rename `feature_{{a,b}}` to $FEATURE in {}; see %s and {{0}}",
    "{}: " + "a title that goes on and on, as titles do that were once a commit message, " * 3,
    "{}: e\u0301 and 👩🏽‍🔬 in one line\twith a tab",
)
REMARKS: Final = (
    "The p95 of the load test is the same as before.",
    "Could the new column be named like the others?",
    "> quoted\n\nand [a link](https://example.com), **bold**, `code` and [/not markup]",
    "LGTM 👍",
)

Outcome = Literal["success", "failure", "cancelled", "waiting"]
_OUTCOMES: Final[dict[Outcome, float]] = {"success": 0.79, "failure": 0.15, "cancelled": 0.05, "waiting": 0.01}


def fill_github(github: GitHubStore, *, seed: int, began: datetime) -> None:
    """Add the teams' repositories, and runs and open pull requests until there are as many as a large world has."""
    there = github.repositories.values()
    runs = bulk.RUN_COUNT - sum(len(repository.runs) for repository in there)
    pulls = bulk.PULL_COUNT - sum(pull.state == "OPEN" for repository in there for pull in repository.pulls.values())
    names = bulk.repositories()
    models = bulk.team_models(seed)
    for number, name in enumerate(names):
        owned = [model for model in models if model.repository == name]
        team = _Team(github, owned, random.Random(f"{seed}/bulk/{name}"), began)
        team.tell(_share(runs, number, len(names)), _share(pulls, number, len(names)), seed)


def _share(total: int, number: int, parts: int) -> int:
    return total // parts + (number < total % parts)


@dataclass(frozen=True, slots=True)
class _Team:
    """Tells the past of one team's repository."""

    github: GitHubStore
    models: Sequence[Model]
    random: random.Random
    began: datetime

    @property
    def repo(self) -> str:
        return self.models[0].repository

    def tell(self, runs: int, pulls: int, seed: int) -> None:
        """Let `pulls` pull requests be opened and `runs` runs be started, in the order of time."""
        deeds: list[tuple[datetime, Callable[[datetime], None]]] = []
        for number in range(pulls):
            # Most of what is open is young.
            opened = self.began - timedelta(hours=330 * self.random.random() ** 2, seconds=20)
            deeds.append((opened, partial(self._open_pull, number)))
        # A pull request brings two runs, and so does a version; one more is nightly if the number is odd.
        versions, nightly = divmod(max(0, runs - 2 * pulls), 2)
        made = [release for model in self.models for release in bulk.team_releases(model, seed, self.began)]
        made.sort(key=lambda release: release.trained_at)
        deeds += [(_merged_at(release), partial(self._deliver, release)) for release in made[len(made) - versions :]]
        deeds += [(self.began - timedelta(hours=11), self._check_at_night)] * nightly
        deeds.sort(key=lambda deed: deed[0])
        add_repository(self.github, self.models[0], deeds[0][0] - timedelta(days=30))
        for at, deed in deeds:
            deed(at)

    def _open_pull(self, number: int, at: datetime) -> None:
        github, repo, model = self.github, self.repo, self.random.choice(self.models)
        title = self.random.choice(TITLES).format(model.title)
        author, reviewer = self.random.sample(model.owners, 2)
        files = changed_files(model, touches_data=number % 2 == 0)
        branch = f"feat/{model.name}-{number + 1}"
        pull = github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch,
            base_branch=self.random.choice(("main", "dev", "dev")), labels=("model", "data")[: 1 + (number % 2 == 0)],
            files=files, draft=self.random.random() < 0.12, requested_reviewers=(reviewer,), at=at,
        )  # fmt: skip
        head = github.pull(repo, pull).head_sha
        facts = RunFacts(branch, "pull_request", head, title, author, (pull,))
        self._run(QUALITY, facts, at)
        self._run(CI, facts, at + timedelta(seconds=4))
        comment = tick_some(checklist(files), self.random.randint(0, 8))
        self._later(at, 0.01, lambda then: github.comment(repo, pull, "github-actions[bot]", comment, at=then))
        if self.random.random() < 0.4:
            text = self.random.choice(REMARKS)
            self._later(at, 2, lambda then: github.comment(repo, pull, reviewer, text, at=then))
        state = self.random.choice(("APPROVED", "APPROVED", "CHANGES_REQUESTED", "COMMENTED", None, None))
        if state is not None:
            self._later(at, 6, lambda then: github.review(repo, pull, reviewer, state, at=then))  # type: ignore[arg-type]
        if self.random.random() < 0.3:
            passed = self.random.choice(("success", "success", "failure", "neutral"))
            self._later(
                at, 0.2, lambda then: github.set_check(repo, head, "codecov/patch", "completed", passed, at=then)
            )
        if self.random.random() < 0.1:
            github.set_mergeable(repo, pull, False)

    def _later(self, at: datetime, hours: float, act: Callable[[datetime], object]) -> None:
        """Let something happen within some hours, unless the world begins before."""
        then = at + timedelta(hours=hours * self.random.uniform(0.5, 1))
        if then < self.began:
            act(then)

    def _deliver(self, release: TeamRelease, at: datetime) -> None:
        self.github.add_commit(self.repo, release.commit, release.subject, release.author, branch="main", at=at)
        self._run(CI, RunFacts("main", "push", release.commit, release.subject, release.author), at)
        trained = RunFacts("main", "workflow_run", release.commit, release.subject, BOT)
        self._run(CD, trained, release.trained_at - release.training, training=release.training)

    def _check_at_night(self, at: datetime) -> None:
        head = self.github.resolve(self.repo, "main").sha
        self._run(CI, RunFacts("main", "schedule", head, CI.name, BOT), at)

    def _run(self, pipeline: Pipeline, facts: RunFacts, at: datetime, *, training: timedelta = timedelta()) -> None:
        """Tell a run, as far as it has come when the world begins."""
        github, repo = self.github, self.repo
        (outcome,) = self.random.choices(list(_OUTCOMES), list(_OUTCOMES.values()))
        stops_at = self.random.choice(pipeline.jobs).name
        run_id = start(github, repo, pipeline, facts, at)
        now = at
        for stage in pipeline.stages:
            begun = now
            for job in stage:
                if outcome == "waiting" and job.environment == "production":
                    github.wait_for_environment(repo, run_id, job.environment, at=begun)
                    return
                seconds = JOB_SECONDS.get(job.name, 60) * self.random.uniform(0.7, 1.3)
                end = begun + (training if job.name == "full-training" else timedelta(seconds=seconds))
                if begun >= self.began:
                    return
                github.set_job(repo, run_id, job.name, "in_progress", at=begun)
                if end >= self.began:
                    now = self.began
                    continue
                wrong = outcome in ("failure", "cancelled") and job.name == stops_at
                github.set_job(repo, run_id, job.name, "completed", outcome if wrong else "success", at=end)
                if wrong:
                    github.complete_run(repo, run_id, outcome, at=end)
                    return
                now = max(now, end)
        if now < self.began:
            github.complete_run(repo, run_id, "success", at=now)


def _merged_at(release: TeamRelease) -> datetime:
    seconds = sum(JOB_SECONDS[job.name] for job in CI.jobs)
    return release.trained_at - release.training - timedelta(seconds=seconds)


def rollouts(seed: int, began: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Return what the teams applied to the cluster and when, in no order: manifests of Deployments.

    Every team rolled all its models out on one day, some of them again on another, and a few within the last hours,
    which went wrong, or were paused.
    """
    generator = random.Random(f"{seed}/bulk/rollouts")
    moments: dict[str, tuple[datetime, datetime]] = {}
    for model in bulk.team_models(seed)[: bulk.DEPLOYMENT_COUNT - STORY_DEPLOYMENTS]:
        made = list(bulk.team_releases(model, seed, began))
        serving, before = made[model.champion - 1], made[model.champion - 2]
        if model.repository not in moments:
            days, hours = generator.uniform(3, 12), generator.uniform(4, 40)
            moments[model.repository] = began - timedelta(days=days), began - timedelta(hours=hours)
        first, second = moments[model.repository]
        fate = generator.random()
        if fate < 0.6:
            # Where it is the version before, somebody forgot to roll out what the registry calls the champion.
            yield first, _manifest(before if fate < 0.03 else serving)
            continue
        yield first, _manifest(before)
        yield second, _manifest(serving)
        lately = began - timedelta(minutes=generator.uniform(2, 90))
        newest = made[-1]
        if fate > 0.98:
            yield lately, _manifest(newest, "-cuda13")
        elif fate > 0.97:
            yield lately, _manifest(newest, "-onnx")
        elif fate > 0.96:
            yield lately, _manifest(newest, paused=True)


def _manifest(release: TeamRelease, variant: str = "", *, paused: bool = False) -> dict[str, Any]:
    model = release.model
    name, team = model.deployment, model.repository.partition("/")[2]
    labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": team, "team": team}
    container = {
        "name": "server",
        "image": f"{release.image}{variant}",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "MODEL_NAME", "value": model.name}, {"name": "MODEL_VERSION", "value": str(release.version)}],
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": team,
            "labels": labels | {"app.kubernetes.io/version": f"{release.tag}{variant}"},
            "annotations": {CHANGE_CAUSE: f"{model.name} v{release.version}"},
        },
        "spec": {
            "replicas": 1,
            "paused": paused or None,
            # Where there is room for one pod only, a new one that does not start leaves nothing that serves.
            "strategy": {"type": "Recreate" if model.task == "vision" else "RollingUpdate"},
            "progressDeadlineSeconds": DEADLINE_SECONDS,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name, "team": team}}, "spec": {"containers": [container]}},
        },
    }
