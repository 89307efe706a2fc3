"""Plays workflow runs, step by step, as GitHub's runners would."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mlops_tui.demo.github import GitHubStore, JobPlan
from mlops_tui.demo.github.model import Run
from mlops_tui.demo.logbook import COVERAGE_STEP, coverage_of, coverage_xml, usual_lines
from mlops_tui.demo.pipelines import Pipeline
from mlops_tui.domain.clock import Clock


class StepFailed(Exception):
    """What a step was to do could not be done."""


@dataclass(slots=True)
class Console:
    """What a step that runs can see and leave behind.

    Attributes:
        conclusion: Of the job, should the step fail.
    """

    github: GitHubStore
    run: Run
    job: str
    conclusion: Literal["failure", "timed_out"] = "failure"

    @property
    def attempt(self) -> int:
        return self.run.latest.number

    @property
    def _place(self) -> tuple[str, int]:
        return self.run.repository.full_name, self.run.id

    def log(self, *lines: str) -> None:
        """Write to the job's log."""
        if lines:
            self.github.add_log(*self._place, self.job, *lines)

    def annotate(self, message: str, *, path: str = ".github", line: int = 1, title: str = "") -> None:
        """Mark a failure."""
        self.github.annotate(
            *self._place, self.job, level="failure", message=message, path=path, line=line, title=title
        )

    def keep(self, name: str, files: Mapping[str, str]) -> None:
        """Keep files as an artifact; a later attempt does not replace what an earlier one left."""
        taken = {artifact.name for artifact in self.run.artifacts.values()}
        if name in taken:
            name = f"{name}-attempt-{self.attempt}"
        if name not in taken:
            self.github.add_artifact(*self._place, name, files)


Work = Callable[[Console], Awaitable[bool]]
"""What a step does beyond taking its time; false, or `StepFailed`, fails the step."""
Works = Mapping[tuple[str, str], Work]
"""By job and step."""

_logger = logging.getLogger(__name__)

STEP_SECONDS: Final = (2.5, 6.0)
_POLL: Final = 1.0
"""Seconds between two looks at whether an approval has come."""
_GOOD: Final = ("success", "skipped", "neutral")


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
        # Every attempt asks for its own approval.
        answered = 0 if attempt == 1 else len(run.approvals)
        for stage in pipeline.stages:
            waiting = [job for job in stage if self._is_open(run, job)]
            plays = [self._play_job(run, attempt, job, works or {}, answered) for job in waiting]
            succeeded = await asyncio.gather(*plays)
            if _is_over(run, attempt):
                return False
            if not all(succeeded):
                break
        bad = [job.conclusion for job in run.latest.jobs if job.conclusion is not None and job.conclusion not in _GOOD]
        # GitHub calls a run that has both a failure.
        conclusion = "success" if not bad else "timed_out" if set(bad) == {"timed_out"} else "failure"
        self._github.complete_run(repo, run_id, conclusion)
        return not bad

    @staticmethod
    def _is_open(run: Run, plan: JobPlan) -> bool:
        return any(job.name == plan.name and job.status != "completed" for job in run.latest.jobs)

    async def _play_job(self, run: Run, attempt: int, plan: JobPlan, works: Works, answered: int) -> bool:
        repo = run.repository.full_name
        begun = any(job.name == plan.name and job.status == "in_progress" for job in run.latest.jobs)
        if not begun:
            if not await self._approved(run, attempt, plan, answered):
                return False
            self._github.set_job(repo, run.id, plan.name, "in_progress")
        console = Console(self._github, run, plan.name)
        for step in self._steps_left(run, plan):
            if _is_over(run, attempt):
                return False
            self._github.set_step(repo, run.id, plan.name, step)
            work = works.get((plan.name, step))
            await self._take_time(console, step, told=work is not None)
            if _is_over(run, attempt):
                return False
            succeeded = await self._work(work, console)
            if _is_over(run, attempt):
                return False
            if not succeeded:
                self._github.set_job(repo, run.id, plan.name, "completed", console.conclusion, failed_step=step)
                return False
        self._github.set_job(repo, run.id, plan.name, "completed", "success")
        return True

    async def _take_time(self, console: Console, step: str, *, told: bool) -> None:
        """Let a step take its time, and print what it usually does unless its work will `told` that itself."""
        await self._clock.sleep(self._random.uniform(*STEP_SECONDS))
        if not told:
            console.log(*usual_lines(step, console.run.head_sha))
        if not told and step == COVERAGE_STEP:
            console.keep("coverage", {"coverage.xml": coverage_xml(coverage_of(console.run.head_sha))})

    @staticmethod
    async def _work(work: Work | None, console: Console) -> bool:
        try:
            return work is None or await work(console)
        except StepFailed as error:
            _logger.warning("%s: %s", type(error).__name__, error)
            console.log(f"{type(error).__name__}: {error}")
            return False

    @staticmethod
    def _steps_left(run: Run, plan: JobPlan) -> tuple[str, ...]:
        job = next(job for job in run.latest.jobs if job.name == plan.name)
        done = {step.name for step in job.steps if step.status == "completed"}
        return tuple(step for step in plan.steps if step not in done)

    async def _approved(self, run: Run, attempt: int, plan: JobPlan, answered: int) -> bool:
        """Wait for a reviewer where the job's environment has any; `answered` approvals are of earlier attempts."""
        repository = run.repository
        environment = repository.environments.get(plan.environment or "")
        if environment is None or not environment.reviewers:
            return True
        known = any(approval.environment == environment.name for approval in run.approvals[answered:])
        if not known and environment.name not in run.pending:
            self._github.wait_for_environment(repository.full_name, run.id, environment.name)
        while environment.name in run.pending and not _is_over(run, attempt):
            await self._clock.sleep(_POLL)
        return not _is_over(run, attempt)


def _is_over(run: Run, attempt: int) -> bool:
    return run.latest.number != attempt or run.latest.status == "completed"
