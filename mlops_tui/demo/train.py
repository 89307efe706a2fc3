"""One model's release train: change, review, merge, build, stage, approve, roll out, and what to do when that fails."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from mlops_tui.demo.fleet import PRODUCTION, STAGING, Fleet, Outcome
from mlops_tui.demo.github import ConflictError, GitHubStore, NotFoundError
from mlops_tui.demo.github.model import Pull
from mlops_tui.demo.history import Past, RunFacts, branch_name, start
from mlops_tui.demo.pipelines import (
    CD,
    CI,
    QUALITY,
    ROLLBACK,
    changed_files,
    checklist,
    description,
    open_items,
    tick,
)
from mlops_tui.demo.registry import Registry
from mlops_tui.demo.runner import Runner, StepFailed, Works
from mlops_tui.demo.seeding import description_of, version_tags
from mlops_tui.demo.story import BOT, OPERATOR, Model, Release, image_tag, metrics_of, params_of, subject
from mlops_tui.domain.clock import Clock

EXPECTED: Final = (ConflictError, NotFoundError, StepFailed)
"""What a user of the world can do to a release under way: the train goes on with the next one."""

EPOCHS: Final = 8
EPOCH_SECONDS: Final = 4.5
ROLLOUT_PATIENCE: Final = 90.0
"""Seconds that a pipeline waits for a rollout."""
APPROVAL_SECONDS: Final = (40.0, 80.0)
"""How long the world's own reviewers take, where the user is not faster."""
FIRST_APPROVAL_SECONDS: Final = (150.0, 210.0)
"""The same for what waits when the world begins: time to look at it."""
REST_SECONDS: Final = (45.0, 150.0)
SLOWER_AFTER: Final = 8
"""Between two releases, twice as long after so many: a world left alone for days gathers history ever more slowly."""
FLAKY: Final = 0.25
UNPULLABLE: Final = 0.2
"""How often a change's first CI run fails, and how often the image of a version cannot be pulled."""

_logger = logging.getLogger(__name__)
Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


@dataclass(slots=True)
class Candidate:
    """A version on its way."""

    version: int
    commit: str
    pull: int
    subject: str
    metric: float = 0.0
    run_id: str = ""
    previous: int | None = None
    """The champion that it replaced."""


@dataclass(frozen=True, slots=True)
class Yard:
    """What all trains share."""

    clock: Clock
    github: GitHubStore
    fleet: Fleet
    registry: Registry
    past: Past
    spawn: Spawn
    candidates: dict[str, Candidate]
    """By commit: what a delivery that somebody runs again delivers."""


def candidate_of(release: Release) -> Candidate:
    """Return a version of the past as what it was when it was delivered."""
    return Candidate(
        version=release.version,
        commit=release.commit,
        pull=release.pull,
        subject=release.subject,
        metric=release.metrics[release.model.metric],
        run_id=release.run_id,
    )


class Train:
    """Makes one release of a model after the other, for as long as the world lives."""

    def __init__(self, model: Model, yard: Yard, *, seed: int) -> None:
        self._model = model
        self._yard = yard
        self._clock, self._github = yard.clock, yard.github
        self._random = random.Random(f"{seed}/train/{model.name}")
        self._runner = Runner(yard.clock, yard.github, self._random)
        self._changes = model.versions

    async def run(self) -> None:
        """Finish what is under way, then go on."""
        run_id = self._yard.past.in_flight.get(self._model.name)
        if run_id is not None:
            await self._guarded(self._resume(run_id))
        while True:
            await self._guarded(self._release())
            made = self._changes - self._model.versions
            await self._clock.sleep(self._random.uniform(*REST_SECONDS) * (1 + made / SLOWER_AFTER))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EXPECTED as error:
            _logger.warning("%s: %s: %s", self._model.name, type(error).__name__, error)
            await self._clock.sleep(5)

    async def _resume(self, run_id: int) -> None:
        release = self._yard.past.release(self._model, self._model.challenger)
        candidate = self._yard.candidates[release.commit]
        candidate.previous = self._model.champion - 1
        await self._deliver(run_id, candidate, FIRST_APPROVAL_SECONDS)

    async def _release(self) -> None:
        pull = await self._change()
        if pull.merge_sha is None:
            return
        facts = RunFacts("main", "push", pull.merge_sha, pull.title, pull.author.login)
        run_id = start(self._github, self._model.repository, CI, facts)
        if not await self._runner.play(self._model.repository, run_id, CI):
            return
        delivery = RunFacts("main", "workflow_run", pull.merge_sha, pull.title, BOT)
        run_id = start(self._github, self._model.repository, CD, delivery)
        await self._deliver(run_id, Candidate(0, pull.merge_sha, pull.number, pull.title))

    async def _change(self) -> Pull:
        """Open a pull request and see it through its checks and its review."""
        repo, model = self._model.repository, self._model
        self._changes += 1
        title = subject(model, self._changes)
        author, reviewer = self._random.sample(model.owners, 2)
        files = changed_files(model, touches_data=self._changes % 2 == 0)
        number = self._github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch_name(title),
            base_branch="main", labels=("model", "data") if self._changes % 2 == 0 else ("model",), files=files,
            requested_reviewers=(reviewer,),
        )  # fmt: skip
        pull = self._github.pull(repo, number)
        comment = await self._post_checklist(pull, checklist(files))
        flaky = ("unit-tests", "Pytest with coverage")
        passed = await self._check(pull, {flaky: self._fails} if self._random.random() < FLAKY else {})
        if not passed and pull.state == "OPEN":
            await self._clock.sleep(self._random.uniform(6, 12))
            self._github.push(repo, number, message="Fix the seed of the sampling test")
            passed = await self._check(pull, {})
        while pull.state == "OPEN" and open_items(body := self._github.comment_of(repo, comment).body):
            await self._clock.sleep(self._random.uniform(3, 7))
            self._github.set_comment_body(repo, comment, tick(body))
        if pull.state == "OPEN" and passed:
            self._github.review(repo, number, reviewer, "APPROVED")
            await self._clock.sleep(self._random.uniform(4, 10))
        if pull.state == "OPEN":
            self._github.merge_pull(repo, number, actor=author)
        return pull

    async def _fails(self) -> bool:
        return False

    async def _post_checklist(self, pull: Pull, text: str) -> int:
        repo = self._model.repository
        run_id = start(self._github, repo, QUALITY, _of_pull(pull))
        posted: list[int] = []

        async def post() -> bool:
            posted.append(self._github.comment(repo, pull.number, "github-actions[bot]", text))
            return True

        await self._runner.play(repo, run_id, QUALITY, {("pr-checklist", "Post checklist"): post})
        # Cancelled before it came to post: the author does it by hand.
        return posted[0] if posted else self._github.comment(repo, pull.number, pull.author.login, text)

    async def _check(self, pull: Pull, works: Works) -> bool:
        run_id = start(self._github, self._model.repository, CI, _of_pull(pull))
        return await self._runner.play(self._model.repository, run_id, CI, works)

    async def _deliver(
        self, run_id: int, candidate: Candidate, patience: tuple[float, float] = APPROVAL_SECONDS
    ) -> None:
        repo = self._model.repository
        self._yard.candidates[candidate.commit] = candidate
        delivery = Delivery(self._model, self._yard, candidate, self._random)
        reviewing = self._yard.spawn(self._approve(run_id, patience))
        try:
            succeeded = await self._runner.play(repo, run_id, CD, delivery.works)
        finally:
            reviewing.cancel()
        if not succeeded and delivery.promoted:
            await self._clock.sleep(self._random.uniform(10, 25))
            facts = RunFacts("main", "workflow_run", candidate.commit, candidate.subject, BOT)
            rollback = start(self._github, repo, ROLLBACK, facts)
            await self._runner.play(repo, rollback, ROLLBACK, delivery.rollback_works)

    async def _approve(self, run_id: int, patience: tuple[float, float]) -> None:
        """Approve the deployment to production after a while, unless somebody answers before."""
        repo = self._model.repository
        run = self._github.run(repo, run_id)
        while run.latest.status != "completed":
            await self._clock.sleep(2)
            if "production" in run.pending:
                await self._clock.sleep(self._random.uniform(*patience))
                if "production" in run.pending:
                    self._github.review_deployment(
                        repo, run_id, "production", "approved", OPERATOR, "Figures look good"
                    )


def _of_pull(pull: Pull) -> RunFacts:
    return RunFacts(pull.head_branch, "pull_request", pull.head_sha, pull.title, pull.author.login, (pull.number,))


class Delivery:
    """What the jobs of one CD run do to the registry and to the clusters."""

    def __init__(self, model: Model, yard: Yard, candidate: Candidate, generator: random.Random) -> None:
        self._model = model
        self._yard = yard
        self._candidate = candidate
        self._random = generator
        self._metrics: dict[str, float] = {}
        self._breaks = generator.random() < UNPULLABLE and candidate.version == 0
        self.promoted = False
        """Whether production was touched."""
        self.works: Works = {
            ("full-training", "Train"): self._train,
            ("full-training", "Evaluate"): self._evaluate,
            ("full-training", "Register model"): self._register,
            ("staging-deployment", "Apply"): self._apply_staging,
            ("staging-deployment", "Rollout status"): self._watch_staging,
            ("production-deployment", "Promote model"): self._promote,
            ("production-deployment", "Apply"): self._apply_production,
            ("production-deployment", "Rollout status"): self._watch_production,
            ("production-deployment", "Canary check"): self._check_canary,
            ("production-deployment", "Scale"): self._scale,
        }
        self.rollback_works: Works = {
            ("rollback", "Rollout undo"): self._undo,
            ("rollback", "Rollout status"): self._watch_undo,
        }

    @property
    def _image(self) -> str:
        return f"{self._model.image}:{image_tag(self._candidate.version, self._candidate.commit)}"

    @property
    def _now(self) -> int:
        return int(self._yard.clock.now().timestamp() * 1000)

    async def _train(self) -> bool:
        registry, name = self._yard.registry, f"full-training-{self._candidate.commit[:7]}"
        parameters = params_of(self._random)
        self._metrics = metrics_of(self._model, self._model.champion, self._random)
        drift = self._random.uniform(-0.3, 1.0) * 0.01 * self._model.champion_value * self._model.better
        self._metrics[self._model.metric] = round(self._metrics[self._model.metric] + drift, 4)
        run_id = await registry.start_run(self._model, name, self._candidate.commit, parameters, self._now)
        self._candidate.run_id = run_id
        loss = self._metrics["loss"]
        for epoch in range(EPOCHS):
            await self._yard.clock.sleep(EPOCH_SECONDS)
            await registry.log(run_id, {"loss": round(loss * (1 + 3 / (epoch + 1)), 4)}, epoch, self._now)
        return True

    async def _evaluate(self) -> bool:
        await self._yard.registry.log(self._candidate.run_id, self._metrics, EPOCHS, self._now)
        await self._yard.registry.end_run(self._candidate.run_id, "FINISHED", self._now)
        self._candidate.metric = self._metrics[self._model.metric]
        return True

    async def _register(self) -> bool:
        registry, candidate, model = self._yard.registry, self._candidate, self._model
        text = description_of(candidate.subject, candidate.pull)
        candidate.version = await registry.register(
            model, candidate.run_id, text, {"pull_request": str(candidate.pull)}
        )
        for key, value in version_tags(self._image, candidate.pull).items():
            await registry.set_tag(model, candidate.version, key, value)
        await registry.set_stage(model, candidate.version, "Staging", archive=True)
        await registry.set_alias(model, "challenger", candidate.version)
        return True

    async def _apply_staging(self) -> bool:
        self._deploy(STAGING, self._model.deployment, 1)
        self._yard.fleet.resume(STAGING, self._model.deployment)
        return True

    async def _watch_staging(self) -> bool:
        return await self._watch(STAGING, self._model.deployment)

    async def _promote(self) -> bool:
        registry, model, candidate = self._yard.registry, self._model, self._candidate
        margin = (candidate.metric - model.threshold) * model.better
        if margin < 0:
            return False
        candidate.previous = await registry.aliased(model, "champion")
        self.promoted = True
        await registry.set_stage(model, candidate.version, "Production", archive=True)
        await registry.set_alias(model, "champion", candidate.version)
        if candidate.previous is not None and candidate.previous != candidate.version:
            await registry.set_alias(model, "previous", candidate.previous)
        await self._mark(candidate.version, "Staging")
        return True

    async def _mark(self, version: int, before: str) -> None:
        at = self._yard.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        marks = {"by": BOT, "from": before, "at": at}
        for key, value in marks.items():
            await self._yard.registry.set_tag(self._model, version, f"mlops_tui.promoted_{key}", value)

    async def _apply_production(self) -> bool:
        if self._breaks:
            self._yard.fleet.break_image(self._image)
        if self._model.canary:
            self._deploy(PRODUCTION, f"{self._model.deployment}-canary", 1)
        else:
            self._deploy(PRODUCTION, self._model.deployment, None)
        return True

    async def _watch_production(self) -> bool:
        canary = "-canary" if self._model.canary else ""
        return await self._watch(PRODUCTION, self._model.deployment + canary)

    async def _check_canary(self) -> bool:
        await self._yard.clock.sleep(self._random.uniform(15, 30))
        return True

    async def _scale(self) -> bool:
        self.promoted = True
        if not self._model.canary:
            self._yard.fleet.scale(PRODUCTION, self._model.deployment, self._model.replicas)
            return True
        self._deploy(PRODUCTION, self._model.deployment, self._model.replicas)
        done = await self._watch(PRODUCTION, self._model.deployment)
        self._yard.fleet.scale(PRODUCTION, f"{self._model.deployment}-canary", 0)
        return done

    def _deploy(self, namespace: str, name: str, replicas: int | None) -> None:
        """Apply the candidate; `None` replicas leaves the number that is there."""
        candidate = self._candidate
        self._yard.fleet.deploy(
            self._model,
            namespace,
            name,
            image=self._image,
            version=candidate.version,
            commit=candidate.commit,
            replicas=replicas,
            cause=f"{self._model.name} v{candidate.version} (#{candidate.pull})",
        )

    async def _watch(self, namespace: str, name: str) -> bool:
        deadline = self._yard.clock.monotonic() + ROLLOUT_PATIENCE
        while self._yard.clock.monotonic() < deadline:
            outcome = self._yard.fleet.outcome(namespace, name)
            if outcome is not Outcome.PROGRESSING:
                return outcome is Outcome.COMPLETE
            await self._yard.clock.sleep(1.5)
        return False

    async def _undo(self) -> bool:
        fleet, model = self._yard.fleet, self._model
        if model.canary:
            fleet.scale(PRODUCTION, f"{model.deployment}-canary", 0)
        # Somebody may have been faster.
        if fleet.image(PRODUCTION, model.deployment) == self._image:
            fleet.undo(PRODUCTION, model.deployment)
        if self._candidate.previous is not None:
            await self._yard.registry.set_stage(model, self._candidate.previous, "Production", archive=True)
            await self._yard.registry.set_alias(model, "champion", self._candidate.previous)
            await self._mark(self._candidate.previous, "Archived")
        return True

    async def _watch_undo(self) -> bool:
        return await self._watch(PRODUCTION, self._model.deployment)
