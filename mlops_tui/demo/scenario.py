"""Plays the present: four release trains, the traffic, what goes wrong, and people who always have something to do."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Coroutine
from typing import Any

from mlops_tui.demo.desk import Desk
from mlops_tui.demo.fleet import Fleet
from mlops_tui.demo.github import StoreEvent
from mlops_tui.demo.github.model import Run
from mlops_tui.demo.past import World
from mlops_tui.demo.people import People, model_of
from mlops_tui.demo.pipelines import CD, PIPELINES, Pipeline
from mlops_tui.demo.registry import Registry
from mlops_tui.demo.runner import Runner
from mlops_tui.demo.story import MODELS, Model
from mlops_tui.demo.traffic import SCRAPE_SECONDS
from mlops_tui.demo.train import Train
from mlops_tui.demo.troubles import Director
from mlops_tui.demo.yard import EXPECTED, Yard, candidate_of

_logger = logging.getLogger(__name__)


class Scenario:
    """The people and pipelines of a world.

    Args:
        scrape_seconds: Between two looks of monitoring at the pods.

    Attributes:
        director: What goes wrong.
    """

    def __init__(self, world: World, registry: Registry, *, seed: int, scrape_seconds: float = SCRAPE_SECONDS) -> None:
        self._world = world
        self._scrape_seconds = scrape_seconds
        self._clock, self._github = world.clock, world.github
        self.director = Director(world.clock, random.Random(f"{seed}/troubles"))
        past = world.past
        self._yard = Yard(
            clock=world.clock,
            github=world.github,
            fleet=Fleet(world.cluster, world.argocd),
            registry=registry,
            traffic=world.traffic,
            desk=Desk(world.clock, registry, self._promoted_by_hand),
            director=self.director,
            past=past,
            spawn=self._spawn,
            candidates={
                (release.model.repository, release.commit): candidate_of(release) for release in past.all_releases
            },
        )
        self._trains = {model.repository: Train(model, self._yard, seed=seed) for model in MODELS}
        # Apart from the train's own: what users start must not change what the trains draw.
        self._helpers = {model.repository: Train(model, self._yard, seed=~seed) for model in MODELS}
        self._people = People(self._yard, seed=seed)
        self._elsewhere = Runner(world.clock, world.github, random.Random(f"{seed}/elsewhere"))
        self._played_elsewhere: set[int] = set()
        """The runs of other repositories that are being played."""

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._github.subscribe(self._react)
            group.create_task(self._world.cluster.run())
            group.create_task(self._world.traffic.run(self._scrape_seconds))
            group.create_task(self._world.argocd.run())
            group.create_task(self._yard.desk.run())
            for train in self._trains.values():
                group.create_task(train.run())
            group.create_task(self._people.work())
            group.create_task(self._people.check_pushes())
            group.create_task(self._people.change_by_hand())
            for repository in self._github.repositories.values():
                for run in repository.timeline if repository.full_name not in self._trains else ():
                    if run.latest.status == "in_progress":
                        self._spawn(self._play_elsewhere(run))

    def _react(self, event: StoreEvent) -> None:
        """Play what a client of the server started; everything else the trains see for themselves."""
        if event.action in ("rerun", "dispatch"):
            self._spawn(self._play_again(event))
        elif event.action == "approved" and event.repository not in self._trains:
            self._spawn(self._play_elsewhere(self._github.run(event.repository, event.number)))
        else:
            self._people.react(event)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        return self._group.create_task(self._guarded(work))

    @staticmethod
    async def _guarded(work: Awaitable[Any]) -> None:
        try:
            await work
        except EXPECTED as error:
            _logger.warning("%s: %s", type(error).__name__, error)

    async def _play_again(self, event: StoreEvent) -> None:
        run = self._github.run(event.repository, event.number)
        repository = run.repository.full_name
        if repository not in self._helpers:
            await self._play_elsewhere(run)
            return
        pipeline = next(pipeline for pipeline in PIPELINES if pipeline.name == run.workflow.name)
        candidate = self._yard.candidates.get((repository, run.head_sha))
        if candidate is None and pipeline is CD:
            # Whatever the branch's head is: what was trained last is delivered.
            candidate = self._yard.newest(model_of(repository))
        await self._clock.sleep(2)
        await self._helpers[repository].play_again(run, pipeline, candidate)

    async def _play_elsewhere(self, run: Run) -> None:
        """Play on a run of a repository that the story is not about; of a foreign workflow one job after the other."""
        if run.id in self._played_elsewhere:
            return
        stages = tuple((job.plan,) for job in run.latest.jobs)
        unknown = Pipeline(run.workflow.name, run.workflow.path, stages)
        pipeline = next((pipeline for pipeline in PIPELINES if pipeline.name == run.workflow.name), unknown)
        self._played_elsewhere.add(run.id)
        try:
            await self._elsewhere.play(run.repository.full_name, run.id, pipeline)
        finally:
            self._played_elsewhere.discard(run.id)

    def _promoted_by_hand(self, model: Model, version: int, previous: int | None) -> None:
        """Deliver what somebody promoted, unless that is under way."""
        candidate = self._yard.promoted_by_hand(model, version, previous)
        if candidate is None:
            _logger.warning("%s v%s was promoted, and nobody knows where it comes from", model.name, version)
            return
        runs = self._github.repository(model.repository).runs_of_sha.get(candidate.commit, ())
        if not any(run.workflow.name == CD.name and run.latest.status != "completed" for run in runs):
            self._spawn(self._helpers[model.repository].deliver_by_hand(candidate))
