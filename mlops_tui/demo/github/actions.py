"""Workflow runs: their attempts, jobs and steps, and the environments that they wait for."""

import bisect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from mlops_tui.demo.github.deployments import DeploymentWorld
from mlops_tui.demo.github.inputs import inputs_of, run_name
from mlops_tui.demo.github.model import Approval, Attempt, Job, JobPlan, Run, User
from mlops_tui.demo.github.steps import finish, steps_of
from mlops_tui.demo.github.world import NotFoundError, node_id

RERUN_WINDOW: Final = timedelta(days=30)
"""For how long after its start a run may be run again."""
MAX_ATTEMPTS: Final = 51
"""The first one, and 50 reruns."""


class ConflictError(RuntimeError):
    """The thing is not in a state in which this can be done to it."""


class RunWorld(DeploymentWorld):
    """The part of the store that knows GitHub Actions."""

    def run(self, repo: str, run_id: int) -> Run:
        """Return a run.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self.repository(repo).runs[run_id]
        except KeyError:
            raise NotFoundError(f"no run {run_id} in {repo}") from None

    def start_run(
        self,
        repo: str,
        workflow: str | int,
        *,
        branch: str,
        event: str,
        head_sha: str,
        title: str,
        actor: str,
        jobs: Iterable[JobPlan],
        environment: str | None = None,
        pull_numbers: Iterable[int] = (),
        inputs: Mapping[str, str] | None = None,
        at: datetime | None = None,
    ) -> int:
        """Start a run, all its jobs queued, and return its id.

        Args:
            workflow: Its name, path, file name or id.
            environment: The environment that the run is going to wait for, for jobs that do not name their own.
            inputs: What a dispatch gave.
        """
        repository, now = self.repository(repo), self._time(at)
        kind = self.workflow(repo, workflow)
        kind.runs += 1
        number = self._id("run")
        run = Run(
            id=number,
            number=kind.runs,
            workflow=kind,
            repository=repository,
            event=event,
            branch=branch,
            head_sha=head_sha,
            title=title,
            actor=self.user(actor),
            created_at=now,
            check_suite_id=self._id("suite"),
            node_id=node_id("run", number),
            environment=environment,
            pull_numbers=tuple(pull_numbers),
            inputs=dict(inputs or {}),
        )
        repository.runs[run.id] = run
        bisect.insort(repository.timeline, run, key=lambda r: (r.created_at, r.id))
        repository.runs_of_sha.setdefault(head_sha, []).append(run)
        self._begin(run, run.actor, tuple(jobs), now)
        return run.id

    def set_job(
        self,
        repo: str,
        run_id: int,
        job_name: str,
        status: Literal["queued", "in_progress", "completed", "waiting"],
        conclusion: str | None = None,
        *,
        failed_step: str | None = None,
        at: datetime | None = None,
    ) -> int:
        """Move a job of the latest attempt, its steps and its run with it, and return the job's id.

        The jobs that need one which does not succeed are skipped.

        Args:
            conclusion: Needed when `status` is `completed`.
            failed_step: The step that did not succeed; the last of the plan where it is `None`.
        """
        run, now = self.run(repo, run_id), self._time(at)
        job = self._job(run, job_name)
        if (status == "completed") != (conclusion is not None):
            raise ValueError("a job has a conclusion when it is completed, and only then")
        self._move(job, status, conclusion, failed_step, now)
        if conclusion not in (None, "success", "neutral"):
            self._skip_dependents(run, job.name, now)
        if status == "in_progress" and run.latest.status != "completed":
            run.latest.status = "in_progress"
        self._changed(run, now)
        return job.id

    def set_step(self, repo: str, run_id: int, job_name: str, step_name: str, *, at: datetime | None = None) -> None:
        """Say that a running job has come to this step: those before it succeeded, those after it are queued."""
        run, now = self.run(repo, run_id), self._time(at)
        job = self._job(run, job_name)
        names = [step.name for step in job.steps]
        if step_name not in names:
            raise NotFoundError(f"no step {step_name} in {job_name}")
        place = names.index(step_name)
        for index, step in enumerate(job.steps):
            if index < place and step.status != "completed":
                step.status, step.conclusion = "completed", "success"
                step.started_at, step.completed_at = step.started_at or now, now
            elif index == place:
                step.status, step.started_at = "in_progress", step.started_at or now
        self._touch(job)
        self._changed(run, now)

    def wait_for_environment(self, repo: str, run_id: int, environment: str, *, at: datetime | None = None) -> None:
        """Let the run wait until somebody approves its deployment to `environment`."""
        run, now = self.run(repo, run_id), self._time(at)
        if environment not in run.repository.environments:
            self.add_environment(repo, environment, at=at)
        if environment not in run.pending:
            jobs = self._jobs_for(run, environment)
            run.pending[environment] = self._await_deployment(run, environment, jobs, now).id
            run.waiting_since[environment] = now
        for job in self._jobs_for(run, environment):
            self._move(job, "waiting", None, None, now)
        run.latest.status = "waiting"
        self._changed(run, now)

    def review_deployment(
        self,
        repo: str,
        run_id: int,
        environment: str,
        state: Literal["approved", "rejected"],
        actor: str,
        comment: str = "",
        *,
        at: datetime | None = None,
    ) -> None:
        """Approve or reject what a run waits for: its job is queued again, or the run fails.

        Raises:
            ConflictError: The run does not wait for this environment.
        """
        run, now = self.run(repo, run_id), self._time(at)
        if environment not in run.pending:
            raise ConflictError(f"run {run_id} does not wait for {environment}")
        del run.pending[environment]
        run.approvals.append(Approval(environment, state, self.user(actor), comment))
        jobs = self._jobs_for(run, environment)
        if state == "approved":
            for job in jobs:
                self._move(job, "queued", None, None, now)
            run.latest.status = "waiting" if run.pending else "queued"
            self._changed(run, now)
        else:
            for job in jobs:
                # No runner ever had it: there are no steps.
                job.status, job.conclusion, job.completed_at = "completed", "failure", now
                self._deploy(job, now)
                self._touch(job)
                self._skip_dependents(run, job.name, now)
            self.complete_run(repo, run_id, "failure", at=at)

    def complete_run(self, repo: str, run_id: int, conclusion: str, *, at: datetime | None = None) -> None:
        """End a run; jobs that have not ended are cancelled with it, or skipped."""
        run, now = self.run(repo, run_id), self._time(at)
        rest = "cancelled" if conclusion == "cancelled" else "skipped"
        for job in run.latest.jobs:
            if job.status == "in_progress":
                self._move(job, "completed", "cancelled", None, now)
            elif job.status != "completed":
                self._move(job, "completed", rest, None, now)
        run.pending.clear()
        run.latest.status, run.latest.conclusion = "completed", conclusion
        self._changed(run, now)

    def cancel(self, repo: str, run_id: int, *, at: datetime | None = None) -> None:
        """Cancel a run.

        Raises:
            ConflictError: It is complete.
        """
        run = self.run(repo, run_id)
        if run.latest.status == "completed":
            raise ConflictError("Cannot cancel a workflow run that is completed.")
        self.complete_run(repo, run_id, "cancelled", at=at)

    def rerun(
        self,
        repo: str,
        run_id: int,
        *,
        actor: str | None = None,
        failed_only: bool = False,
        job_id: int | None = None,
        at: datetime | None = None,
    ) -> int:
        """Start the next attempt of a run and return its number.

        What is not run again keeps its outcome, under new ids.

        Args:
            failed_only: Run what did not succeed, and what needs it.
            job_id: Run this job and those that need it.

        Raises:
            ConflictError: The run is not complete, is too old, or has nothing to run again.
        """
        run, now = self.run(repo, run_id), self._time(at)
        if run.latest.status != "completed":
            raise ConflictError("The workflow run is already running")
        if now - run.created_at > RERUN_WINDOW:
            raise ConflictError("Unable to retry this workflow run because it was created over a month ago")
        again = _jobs_again(run.latest.jobs, failed_only=failed_only, job_id=job_id)
        if not again or len(run.attempts) >= MAX_ATTEMPTS:
            raise ConflictError("This workflow run cannot be retried")
        before = {job.name: job for job in run.latest.jobs}
        who = self.user(actor) if actor else run.actor
        self._begin(run, who, tuple(job.plan for job in run.latest.jobs), now)
        for job in run.latest.jobs:
            if job.name not in again:
                _keep_outcome(job, before[job.name])
        return run.latest.number

    def dispatch(
        self,
        repo: str,
        workflow: str | int,
        ref: str,
        actor: str,
        *,
        inputs: Mapping[str, object] | None = None,
        at: datetime | None = None,
    ) -> int:
        """Start a workflow by hand on a branch or tag, and return the run's id.

        Raises:
            ConflictError: The workflow cannot be dispatched, or not with these inputs.
            NotFoundError: There is no such workflow or ref.
        """
        kind = self.workflow(repo, workflow)
        if not kind.jobs:
            raise ConflictError("Workflow does not have 'workflow_dispatch' trigger")
        commit = self.resolve(repo, ref)
        try:
            given = inputs_of(kind, inputs or {})
        except ValueError as error:
            raise ConflictError(str(error)) from None
        return self.start_run(
            repo,
            kind.id,
            branch=ref.removeprefix("refs/").removeprefix("heads/").removeprefix("tags/"),
            event="workflow_dispatch",
            head_sha=commit.sha,
            title=run_name(kind, given),
            actor=actor,
            jobs=kind.jobs,
            inputs=given,
            at=at,
        )

    def _skip_dependents(self, run: Run, name: str, now: datetime) -> None:
        for job in run.latest.jobs:
            if name in job.plan.needs and job.status in ("queued", "waiting"):
                self._move(job, "completed", "skipped", None, now)
                self._skip_dependents(run, job.name, now)

    def _begin(self, run: Run, actor: User, plans: tuple[JobPlan, ...], now: datetime) -> None:
        attempt = Attempt(number=len(run.attempts) + 1, actor=actor, started_at=now, updated_at=now)
        run.attempts.append(attempt)
        for plan in plans:
            number = self._id("job")
            job = Job(
                id=number,
                plan=plan,
                run=run,
                attempt=attempt.number,
                created_at=now,
                node_id=node_id("job", number),
            )
            attempt.jobs.append(job)
            run.repository.jobs[number] = job
            self._touch(job)
        self._changed(run, now)

    def _changed(self, run: Run, now: datetime) -> None:
        run.latest.updated_at = max(run.latest.updated_at, now)
        self._touch(run)

    def _job(self, run: Run, name: str) -> Job:
        for job in run.latest.jobs:
            if job.name == name:
                return job
        raise NotFoundError(f"no job {name} in run {run.id}")

    @staticmethod
    def _jobs_for(run: Run, environment: str) -> list[Job]:
        return [
            job
            for job in run.latest.jobs
            if job.status != "completed" and (job.plan.environment or run.environment) == environment
        ]

    def _move(self, job: Job, status: str, conclusion: str | None, failed_step: str | None, now: datetime) -> None:
        job.status, job.conclusion = status, conclusion
        if status in ("queued", "waiting"):
            job.started_at = job.completed_at = None
            job.steps = []
        elif status == "in_progress":
            job.started_at = job.started_at or now
            job.completed_at = None
            if not job.steps:
                job.steps = steps_of(job.plan, job.started_at)
        else:
            job.started_at, job.completed_at = job.started_at or now, now
            finish(job, failed_step, now)
        self._deploy(job, now)
        self._touch(job)


def _jobs_again(jobs: list[Job], *, failed_only: bool, job_id: int | None) -> set[str]:
    """Return the names of the jobs that a rerun runs: those that are asked for, and all that need one of them."""
    if job_id is not None:
        again = {job.name for job in jobs if job.id == job_id}
    elif not failed_only:
        return {job.name for job in jobs}
    else:
        # A job may be skipped because of its own condition, which a rerun does not change; without `needs` it cannot
        # be told from one that was skipped because of another's failure.
        known = any(job.plan.needs for job in jobs)
        kept = ("success", "neutral", "skipped") if known else ("success",)
        again = {job.name for job in jobs if job.conclusion not in kept}
    while more := {job.name for job in jobs if again.intersection(job.plan.needs)} - again:
        again |= more
    return again


def _keep_outcome(job: Job, before: Job) -> None:
    job.status, job.conclusion, job.steps = before.status, before.conclusion, before.steps
    job.started_at, job.completed_at = before.started_at, before.completed_at
    job.log, job.log_deleted, job.annotations = before.log, before.log_deleted, before.annotations
    job.kept_from = before.ran_as
