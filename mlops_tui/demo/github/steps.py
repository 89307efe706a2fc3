"""The steps of a job: which there are, and where each of them is when the job is somewhere."""

from datetime import datetime, timedelta
from typing import Final

from mlops_tui.demo.github.model import Job, JobPlan, Step

FIRST_STEP: Final = "Set up job"
LAST_STEP: Final = "Complete job"
FIRST_OWN_NUMBER: Final = 2
"""The number of the first step that the workflow file names."""
_CLEANS_UP: Final = ("actions/checkout@", "actions/setup-python@", "actions/cache@")
"""Actions that have something to do when the job's own steps are over."""


def steps_of(plan: JobPlan, started_at: datetime) -> list[Step]:
    """Return the steps of a job that has just started, numbered as the runner does, which leaves gaps."""
    own = range(FIRST_OWN_NUMBER, FIRST_OWN_NUMBER + len(plan.steps))
    steps = [Step(1, FIRST_STEP), *(Step(number, name) for number, name in zip(own, plan.steps, strict=True))]
    cleaning = [step for step in steps[1:] if any(action in step.name for action in _CLEANS_UP)]
    after = 2 * len(plan.steps) + 4
    steps += [Step(after - step.number, f"Post {step.name}") for step in reversed(cleaning)]
    steps.append(Step(after - 1 if cleaning else own.stop, LAST_STEP))
    setup, first = steps[0], steps[1]
    setup.status, setup.conclusion = "completed", "success"
    setup.started_at = setup.completed_at = first.started_at = started_at
    first.status = "in_progress"
    return steps


def finish(job: Job, failed_step: str | None, now: datetime) -> None:
    """Give every step of a completed job its conclusion and its times.

    What is not known of the job's own steps is an equal part of the time that is left; skipping and cleaning up take
    none.
    """
    started = job.started_at or now
    if job.conclusion == "skipped" or (job.conclusion == "cancelled" and not job.steps):
        job.steps = []
        return
    steps = job.steps or steps_of(job.plan, started)
    stop = _stopping_place(steps, job, failed_step)
    own = steps[1 : len(job.plan.steps) + 1]
    moment = max((step.started_at for step in own if step.started_at), default=started)
    untimed = sum(step.completed_at is None for step in steps[1 : min(stop, len(own)) + 1])
    part = (now - moment) / max(1, untimed)
    for index, step in enumerate(steps):
        # What cleans up does so whatever became of the job.
        ran = index <= stop or index > len(own)
        step.status = "completed"
        step.conclusion = "success" if ran else "skipped"
        if step.completed_at is not None:
            continue
        step.started_at = step.started_at or _whole(moment)
        if index <= min(stop, len(own)):
            moment += part
        step.completed_at = _whole(moment)
    if stop < len(steps):
        steps[stop].conclusion = "failure" if job.conclusion == "failure" else "cancelled"
    job.steps = steps


def _stopping_place(steps: list[Step], job: Job, failed_step: str | None) -> int:
    if job.conclusion in ("success", "neutral"):
        return len(steps)
    for index, step in enumerate(steps):
        if step.name == failed_step:
            return index
        # A job that was never told of its steps is at its first one: it is cancelled there, but fails at its last.
        if failed_step is None and step.status == "in_progress" and (index > 1 or job.conclusion == "cancelled"):
            return index
    return len(job.plan.steps)


def _whole(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond)
