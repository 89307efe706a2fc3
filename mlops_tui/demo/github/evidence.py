"""What runs leave behind: the lines of their logs, annotations and artifacts."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from mlops_tui.demo.github.actions import ConflictError, RunWorld
from mlops_tui.demo.github.logs import CANCELED, failure
from mlops_tui.demo.github.model import Annotation, AnnotationLevel, Artifact, Job, LogLine, Step
from mlops_tui.demo.github.steps import FIRST_OWN_NUMBER
from mlops_tui.demo.github.world import NotFoundError
from mlops_tui.domain.clock import Clock

RETENTION: Final = timedelta(days=90)
"""How long artifacts are kept, as by default on github.com."""
_EXCEEDED: Final = "exceeded the maximum execution time of"
_REJECTED: Final = "The deployment was rejected or didn't satisfy other protection rules."


class EvidenceWorld(RunWorld):
    """The part of the store that knows what runs leave behind.

    Attributes:
        signing_key: What addresses of downloads are signed with.
    """

    def __init__(self, clock: Clock, *, seed: int = 0) -> None:
        super().__init__(clock, seed=seed)
        self.signing_key = secrets.token_bytes(32)

    def add_log(
        self, repo: str, run_id: int, job: str, *lines: str, at: datetime | None = None, step: str | None = None
    ) -> None:
        """Append lines to the log of a job of the latest attempt.

        They stand in place of what the step would have written by itself; the runner's own lines around the steps
        come from the store.

        Args:
            at: When they were written; the moments of a step that is over are within its time.
            step: Which step wrote them. `None` is the one that runs or that failed; the last one of a job that
                succeeded, the first one of a job that has not begun.
        """
        entry = self._job(self.run(repo, run_id), job)
        moment = (at or self.clock.now()).astimezone(UTC)
        number, found = _writing_step(entry, step)
        if found is not None and found.started_at and found.completed_at:
            # Told afterwards: within the step's time, or else at its begin.
            moment = moment if found.started_at <= moment <= found.completed_at else found.started_at
        entry.log.extend(LogLine(moment, number, text) for line in lines for text in line.splitlines() or [""])
        self._touch(entry)

    def annotate(
        self,
        repo: str,
        run_id: int,
        job: str,
        *,
        level: AnnotationLevel,
        message: str,
        path: str = ".github",
        line: int = 1,
        title: str = "",
    ) -> None:
        """Add an annotation to a job of the latest attempt."""
        entry = self._job(self.run(repo, run_id), job)
        entry.annotations.append(Annotation(level, message, path, line, title))
        self._touch(entry)

    def add_artifact(
        self,
        repo: str,
        run_id: int,
        name: str,
        files: Mapping[str, bytes | str],
        *,
        at: datetime | None = None,
    ) -> int:
        """Keep files of a run under a name and return the artifact's id.

        Raises:
            ConflictError: This attempt has an artifact of this name.
        """
        run, now = self.run(repo, run_id), self._time(at)
        if any((artifact.name, artifact.attempt) == (name, run.latest.number) for artifact in run.artifacts.values()):
            raise ConflictError("an artifact with this name already exists on the workflow run")
        artifact = Artifact(
            id=self._id("artifact"),
            name=name,
            run=run,
            attempt=run.latest.number,
            files={path: data.encode() if isinstance(data, str) else data for path, data in files.items()},
            created_at=now,
            expires_at=now + RETENTION,
        )
        run.artifacts[artifact.id] = artifact
        run.repository.artifacts[artifact.id] = artifact
        self._touch(artifact, run)
        return artifact.id

    def artifact(self, repo: str, artifact_id: int) -> Artifact:
        """Return an artifact."""
        try:
            return self.repository(repo).artifacts[artifact_id]
        except KeyError:
            raise NotFoundError(f"no artifact {artifact_id} in {repo}") from None

    def delete_artifact(self, repo: str, artifact_id: int) -> None:
        """Delete an artifact."""
        artifact = self.artifact(repo, artifact_id)
        del artifact.run.artifacts[artifact_id], artifact.run.repository.artifacts[artifact_id]
        self._touch(artifact.run)

    def delete_logs(self, repo: str, run_id: int) -> None:
        """Delete the logs of all attempts of a run.

        Raises:
            ConflictError: The run is not complete.
        """
        run = self.run(repo, run_id)
        if run.latest.status != "completed":
            raise ConflictError("Could not delete the logs of a workflow run that is not completed.")
        for attempt in run.attempts:
            for job in attempt.jobs:
                job.log_deleted = True
                job.log.clear()

    def delete_run(self, repo: str, run_id: int) -> None:
        """Delete a run with its jobs and artifacts.

        Raises:
            ConflictError: The run is not complete.
        """
        run = self.run(repo, run_id)
        if run.latest.status != "completed":
            raise ConflictError("Could not delete a workflow run that is not completed.")
        repository = run.repository
        del repository.runs[run_id]
        repository.timeline.remove(run)
        repository.runs_of_sha[run.head_sha].remove(run)
        for job in (job for attempt in run.attempts for job in attempt.jobs):
            del repository.jobs[job.id]
        for artifact_id in run.artifacts:
            del repository.artifacts[artifact_id]
        self._touch(repository)


def annotations_of(job: Job) -> list[Annotation]:
    """Return all annotations of a job: those that GitHub makes of its conclusion, and those that were added.

    An added one that says how much time the job had is the one that GitHub makes.
    """
    automatic: tuple[str, ...] = ()
    if job.conclusion == "failure":
        automatic = (failure(_log_of_failure(job)) if job.steps else _REJECTED,)
    elif job.conclusion == "cancelled":
        automatic = (CANCELED,)
    elif job.conclusion == "timed_out" and job.started_at and job.completed_at:
        minutes = max(1, int((job.completed_at - job.started_at).total_seconds() // 60))
        limit = f"{minutes // 60}h{minutes % 60}m0s" if minutes >= 60 else f"{minutes}m0s"
        told = any(_EXCEEDED in annotation.message for annotation in job.annotations)
        automatic = (CANCELED,) if told else (f"The job has {_EXCEEDED} {limit}", CANCELED)
    return [*(Annotation("failure", message) for message in automatic), *job.annotations]


def _log_of_failure(job: Job) -> list[LogLine]:
    failed = {step.number for step in job.steps if step.conclusion == "failure"}
    return [line for line in job.log if line.step in failed]


def _writing_step(job: Job, name: str | None) -> tuple[int, Step | None]:
    """Return the number of the step that writes now, and the step if the job has come to have steps."""
    if name is not None:
        if name not in job.plan.steps:
            raise NotFoundError(f"no step {name} in {job.name}")
        number = job.plan.steps.index(name) + FIRST_OWN_NUMBER
        return number, next((step for step in job.steps if step.number == number), None)
    for step in job.steps:
        if step.status == "in_progress" or step.conclusion in ("failure", "cancelled"):
            return step.number, step
    if job.status == "completed" and job.steps:
        last = job.steps[len(job.plan.steps)]
        return last.number, last
    return FIRST_OWN_NUMBER, None
