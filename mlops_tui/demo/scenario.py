"""Plays the present: four release trains, and people who always have something to do."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from mlops_tui.demo.fleet import PRODUCTION, Fleet
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.history import RunFacts, branch_name, start
from mlops_tui.demo.past import World
from mlops_tui.demo.pipelines import CD, CI, PIPELINES, changed_files, checklist, description, open_items, tick
from mlops_tui.demo.registry import Registry
from mlops_tui.demo.runner import Runner, Works
from mlops_tui.demo.story import MODELS, Model
from mlops_tui.demo.train import EXPECTED, Delivery, Train, Yard, candidate_of

BEAT_SECONDS: Final = (2.8, 4.6)
"""Between two small things that people do: something changes every few seconds, whatever the trains are at."""
SIDE_RUNS: Final = 3
"""CI runs of side pull requests at a time."""
COMMENTS: Final = 6
"""A pull request that has as many is talked about no more."""
_TITLES: Final = (
    "Faster data loading for {}",
    "Refresh {} training data",
    "Log calibration of {}",
    "Smaller image for {}",
    "Pin the seeds of {}",
)
_REMARKS: Final = (
    "The p95 of the load test is the same as before.",
    "Could the new column be named like the others?",
    "DVC push is through, the hash is in the description.",
    "Rebased on dev.",
)

_logger = logging.getLogger(__name__)


class Scenario:
    """The people and pipelines of a world."""

    def __init__(self, world: World, registry: Registry, *, seed: int) -> None:
        self._world = world
        self._registry = registry
        self._seed = seed
        self._clock, self._github = world.clock, world.github
        self._fleet = Fleet(world.cluster)
        self._random = random.Random(f"{seed}/people")
        self._runner = Runner(world.clock, world.github, random.Random(f"{seed}/side-runs"))
        self._side_runs = 0
        self._titles = 0

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._github.subscribe(self._react)
            group.create_task(self._world.cluster.run())
            past = self._world.past
            candidates = {release.commit: candidate_of(release) for release in past.all_releases}
            yard = Yard(self._clock, self._github, self._fleet, self._registry, past, group.create_task, candidates)
            self._yard = yard
            for model in MODELS:
                group.create_task(Train(model, yard, seed=self._seed).run())
            group.create_task(self._people())

    def _react(self, event: StoreEvent) -> None:
        """Play what a client of the server started; everything else the trains see for themselves."""
        if event.action in ("rerun", "dispatch"):
            self._spawn(self._play_again(event))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._group.create_task(self._guarded(work))

    @staticmethod
    async def _guarded(work: Awaitable[Any]) -> None:
        try:
            await work
        except EXPECTED as error:
            _logger.warning("%s: %s", type(error).__name__, error)

    async def _play_again(self, event: StoreEvent) -> None:
        run = self._github.run(event.repository, event.number)
        pipeline = next(pipeline for pipeline in PIPELINES if pipeline.name == run.workflow.name)
        candidate = self._yard.candidates.get(run.head_sha)
        works: Works = {}
        if pipeline is CD and candidate is not None:
            works = Delivery(_model_of(event.repository), self._yard, candidate, self._random).works
        await self._clock.sleep(2)
        await self._runner.play(event.repository, event.number, pipeline, works)

    async def _people(self) -> None:
        deeds: tuple[tuple[Callable[[str, int], None], float], ...] = (
            (self._tick, 0.7),
            (self._push, 0.12),
            (self._remark, 0.1),
            (self._autoscale, 0.08),
        )
        while True:
            await self._clock.sleep(self._random.uniform(*BEAT_SECONDS))
            (deed,) = self._random.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
            index = self._random.randrange(len(self._world.past.side_pulls))
            repo, number = self._world.past.side_pulls[index]
            try:
                if self._github.pull(repo, number).state == "OPEN":
                    deed(repo, number)
                else:
                    self._world.past.side_pulls[index] = (repo, self._open(repo))
            except EXPECTED as error:
                _logger.warning("%s: %s", type(error).__name__, error)

    def _tick(self, repo: str, number: int) -> None:
        """Tick an item; what has none left is approved, then merged."""
        pull = self._github.pull(repo, number)
        for comment in pull.comments:
            if open_items(comment.body):
                self._github.set_comment_body(repo, comment.id, tick(comment.body))
                return
        if any(review.state == "APPROVED" for review in pull.reviews):
            self._github.merge_pull(repo, number)
        else:
            model = _model_of(repo)
            reviewer = next(owner for owner in model.owners if owner != pull.author.login)
            self._github.review(repo, number, reviewer, "APPROVED")

    def _push(self, repo: str, number: int) -> None:
        if self._side_runs >= SIDE_RUNS:
            self._tick(repo, number)
            return
        pull = self._github.pull(repo, number)
        sha = self._github.push(repo, number, message="Address the review")
        facts = RunFacts(pull.head_branch, "pull_request", sha, pull.title, pull.author.login, (number,))
        run_id = start(self._github, repo, CI, facts)
        self._side_runs += 1
        self._spawn(self._play_side_run(repo, run_id))

    async def _play_side_run(self, repo: str, run_id: int) -> None:
        async def expired() -> bool:
            return False

        works = {("data-validation", "DVC pull"): expired} if self._random.random() < 0.2 else {}
        try:
            await self._runner.play(repo, run_id, CI, works)
        finally:
            self._side_runs -= 1

    def _remark(self, repo: str, number: int) -> None:
        pull = self._github.pull(repo, number)
        if len(pull.comments) >= COMMENTS:
            self._tick(repo, number)
            return
        model = _model_of(repo)
        self._github.comment(repo, number, self._random.choice(model.owners), self._random.choice(_REMARKS))

    def _autoscale(self, _repo: str, _number: int) -> None:
        """Let the load on one model change by a replica."""
        model = MODELS[-1]
        replicas = self._fleet.replicas(PRODUCTION, model.deployment)
        self._fleet.scale(PRODUCTION, model.deployment, model.replicas + (replicas <= model.replicas))

    def _open(self, repo: str) -> int:
        model = _model_of(repo)
        self._titles += 1
        title = _TITLES[self._titles % len(_TITLES)].format(model.title)
        files = changed_files(model, touches_data=self._titles % 2 == 0)
        author, reviewer = self._random.sample(model.owners, 2)
        number = self._github.open_pull(
            repo, title=title, body=description(model, title), author=author, head_branch=branch_name(title),
            base_branch="dev", labels=("model",), files=files, requested_reviewers=(reviewer,),
        )  # fmt: skip
        self._github.comment(repo, number, "github-actions[bot]", checklist(files))
        return number


def _model_of(repo: str) -> Model:
    return next(model for model in MODELS if model.repository == repo)
