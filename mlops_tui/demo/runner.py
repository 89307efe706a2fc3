"""Plays workflow runs, step by step, as GitHub's runners would."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mlops_tui.demo.github import GitHubStore, JobPlan
from mlops_tui.demo.github.model import Run
from mlops_tui.demo.pipelines import Pipeline
from mlops_tui.domain.clock import Clock


class StepFailed(Exception):
    """What a step was to do could not be done."""


Work = Callable[[], Awaitable[bool]]
"""What a step does beyond taking its time; false, or `StepFailed`, fails the step."""
Works = Mapping[tuple[str, str], Work]
"""By job and step."""

_logger = logging.getLogger(__name__)

STEP_SECONDS: Final = (2.5, 6.0)
_POLL: Final = 1.0
"""Seconds between two looks at whether an approval has come."""


class Runner:
    """Plays runs of one world."""

    def __init__(self, clock: Clock, github: GitHubStore, generator: random.Random) -> None:
        self._clock = clock
        self._github = github
        self._random = generator

    async def play(self, repo: str, run_id: int, pipeline: Pipeline, works: Works | None = None) -> bool:
        """Play the latest attempt to its end and say whether it succeeded.

        Jobs that are complete stay so. A run that somebody cancels or whose deployment somebody rejects is left as it
        then is.
        """
        run = self._github.run(repo, run_id)
        attempt = run.latest.number
        for stage in pipeline.stages:
            waiting = [job for job in stage if self._is_open(run, job)]
            succeeded = await asyncio.gather(*(self._play_job(run, attempt, job, works or {}) for job in waiting))
            if _is_over(run, attempt):
                return False
            if not all(succeeded):
                self._github.complete_run(repo, run_id, "failure")
                return False
        self._github.complete_run(repo, run_id, "success")
        return True

    @staticmethod
    def _is_open(run: Run, plan: JobPlan) -> bool:
        return any(job.name == plan.name and job.status != "completed" for job in run.latest.jobs)

    async def _play_job(self, run: Run, attempt: int, plan: JobPlan, works: Works) -> bool:
        repo = run.repository.full_name
        begun = any(job.name == plan.name and job.status == "in_progress" for job in run.latest.jobs)
        if not begun:
            if not await self._approved(run, attempt, plan):
                return False
            self._github.set_job(repo, run.id, plan.name, "in_progress")
        for step in self._steps_left(run, plan):
            if _is_over(run, attempt):
                return False
            self._github.set_step(repo, run.id, plan.name, step)
            await self._clock.sleep(self._random.uniform(*STEP_SECONDS))
            succeeded = await self._work(works.get((plan.name, step)))
            if _is_over(run, attempt):
                return False
            if not succeeded:
                self._github.set_job(repo, run.id, plan.name, "completed", "failure", failed_step=step)
                return False
        self._github.set_job(repo, run.id, plan.name, "completed", "success")
        return True

    @staticmethod
    async def _work(work: Work | None) -> bool:
        try:
            return work is None or await work()
        except StepFailed as error:
            _logger.warning("%s: %s", type(error).__name__, error)
            return False

    @staticmethod
    def _steps_left(run: Run, plan: JobPlan) -> tuple[str, ...]:
        job = next(job for job in run.latest.jobs if job.name == plan.name)
        done = {step.name for step in job.steps if step.status == "completed"}
        return tuple(step for step in plan.steps if step not in done)

    async def _approved(self, run: Run, attempt: int, plan: JobPlan) -> bool:
        """Wait for a reviewer where the job's environment has any."""
        repository = run.repository
        environment = repository.environments.get(plan.environment or "")
        if environment is None or not environment.reviewers:
            return True
        answered = any(approval.environment == environment.name for approval in run.approvals)
        if not answered and environment.name not in run.pending:
            self._github.wait_for_environment(repository.full_name, run.id, environment.name)
        while environment.name in run.pending and not _is_over(run, attempt):
            await self._clock.sleep(_POLL)
        return not _is_over(run, attempt)


def _is_over(run: Run, attempt: int) -> bool:
    return run.latest.number != attempt or run.latest.status == "completed"
