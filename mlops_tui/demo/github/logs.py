"""The logs of jobs, written when somebody reads them: the runner's frame around what the steps wrote.

A log that was read while its job ran is the beginning of what it is later.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_tui.demo.github.archives import archive
from mlops_tui.demo.github.model import Attempt, Job, LogLine, Step
from mlops_tui.demo.github.steps import FIRST_STEP, LAST_STEP
from mlops_tui.demo.github.tools import Tool, tool_of

CANCELED: Final = "The operation was canceled."
_TOLD_EXIT: Final = re.compile(r"\(exit code (\d+)\)")
"""What shells and watchdogs write of a process that did not end well."""
_TICK: Final = timedelta(microseconds=1)
_REST_OF_SECOND: Final = timedelta(microseconds=999_999)
"""GitHub's times of steps are whole seconds, the lines' are not."""
_PERMISSIONS: Final = ("Contents: read", "Metadata: read", "Packages: write")


@dataclass(frozen=True, slots=True)
class Section:
    """What one step wrote.

    Attributes:
        number: The step's.
    """

    number: int
    name: str
    lines: tuple[str, ...]


def has_log(job: Job) -> bool:
    """Return whether there is a log to read."""
    return bool(job.steps) and not job.log_deleted


def job_log(job: Job, now: datetime) -> str:
    """Return the log as it is now, a line each, with its times."""
    return "".join(f"{line}\n" for section in sections(job, now) for line in section.lines)


def run_logs(attempt: Attempt, now: datetime) -> bytes:
    """Return the logs of all jobs of an attempt in a zip file: each whole, and step by step."""
    files = {}
    for index, job in enumerate(job for job in attempt.jobs if has_log(job)):
        name, found = _file_name(job.name), sections(job, now)
        files[f"{index}_{name}.txt"] = "".join(f"{line}\n" for section in found for line in section.lines)
        for section in found:
            path = f"{name}/{section.number}_{_file_name(section.name)}.txt"
            files[path] = "".join(f"{line}\n" for line in section.lines)
    return archive({path: text.encode() for path, text in files.items()}, attempt.started_at)


def failure(told: Iterable[LogLine]) -> str:
    """Return what the runner says of a step that failed after it had written this."""
    codes = [code for line in told for code in _TOLD_EXIT.findall(line.text)]
    return f"Process completed with exit code {codes[-1] if codes else 1}."


def sections(job: Job, now: datetime) -> list[Section]:
    """Return what each step of the job has written up to now."""
    found: list[Section] = []
    last = job.started_at or now
    for step in job.steps:
        if step.status == "queued" or step.conclusion == "skipped":
            continue
        lines: list[str] = []
        for moment, text in _step_lines(job, step, now):
            last = max(moment, last + _TICK)
            lines.append(f"{last:%Y-%m-%dT%H:%M:%S.%f}{_number(job, len(lines), 10)}Z {text}")
        found.append(Section(step.number, step.name, tuple(lines)))
    return found


def _step_lines(job: Job, step: Step, now: datetime) -> Iterator[tuple[datetime, str]]:
    start = (step.started_at or now) + timedelta(milliseconds=_number(job, step.number, 200))
    told = [line for line in job.log if line.step == step.number]
    if step.name == FIRST_STEP:
        yield from ((start, text) for text in (*_machine(job), *_set_up(job)))
    elif step.name == LAST_STEP:
        yield from ((start, text) for text in (*(line.text for line in told), "Cleaning up orphan processes"))
    elif step.number > len(job.plan.steps) + 1:
        yield from ((start, text) for text in _cleanup(job, step.name))
    else:
        tool = tool_of(step.name)
        yield from ((start, text) for text in _header(step.name, tool, job))
        yield from _output(job, step, tool, told, start, now)


def _output(
    job: Job, step: Step, tool: Tool, told: Sequence[LogLine], start: datetime, now: datetime
) -> Iterator[tuple[datetime, str]]:
    """Yield what came out of a step: of the tool's usual lines, only those before the first one that was told."""
    end = step.completed_at or now
    until = step.completed_at + _REST_OF_SECOND if step.completed_at else now
    if told:
        until = min(until, told[0].at)
    for index, text in enumerate(tool.progress, start=1):
        moment = start + timedelta(seconds=tool.pace * (index - 0.5 + _number(job, index, 50) / 100))
        if moment > until:
            if told or step.conclusion != "success":
                break
            moment = end
        yield moment, _filled(text, job)
    yield from ((line.at, line.text) for line in told)
    if step.status != "completed":
        return
    if step.conclusion == "success":
        ending = () if told else tool.success
    elif step.conclusion == "failure":
        ending = (*(() if told else tool.failure), f"##[error]{failure(told)}")
    else:
        ending = (f"##[error]{CANCELED}",)
    yield from ((end, _filled(text, job)) for text in ending)


def _machine(job: Job) -> Iterator[str]:
    run = job.run
    yield f"Requested labels: {', '.join(job.plan.labels)}"
    yield f"Job defined at: {run.repository.full_name}/{run.workflow.path}@refs/heads/{run.branch}"
    yield "Waiting for a runner to pick up this job..."
    kind = "self-hosted" if job.is_self_hosted else "hosted"
    yield f"Job is about to start running on the {kind} runner: {job.runner_name}"
    yield "Current runner version: '2.330.0'"
    if job.is_self_hosted:
        yield f"Runner name: '{job.runner_name}'"
        yield "Runner group name: 'Default'"
        yield f"Machine name: '{job.runner_name}'"
    else:
        yield from ("##[group]Operating System", "Ubuntu", "24.04.3", "LTS", "##[endgroup]")
        yield from ("##[group]Runner Image", "Image: ubuntu-24.04", "Version: 20251112.124.1", "##[endgroup]")


def _set_up(job: Job) -> Iterator[str]:
    yield from ("##[group]GITHUB_TOKEN Permissions", *_PERMISSIONS, "##[endgroup]")
    yield from ("Secret source: Actions", "Prepare workflow directory", "Prepare all required actions")
    actions = dict.fromkeys(tool.action for tool in map(tool_of, job.plan.steps) if tool.action)
    if actions:
        yield "Getting action download info"
    for action in actions:
        sha = hashlib.sha1(action.encode(), usedforsecurity=False).hexdigest()
        yield f"Download action repository '{action}' (SHA:{sha})"
    yield f"Complete job name: {job.name}"


def _header(name: str, tool: Tool, job: Job) -> Iterator[str]:
    yield f"##[group]Run {name.removeprefix('Run ')}"
    if tool.action:
        yield from ("with:", "  token: ***")
    else:
        # GitHub colours the command, and so do its logs.
        yield f"\x1b[36;1m{_filled(tool.command, job)}\x1b[0m"
        yield "shell: /usr/bin/bash -e {0}"
    yield "##[endgroup]"


def _cleanup(job: Job, name: str) -> Iterator[str]:
    yield "Post job cleanup."
    if "checkout" in name:
        yield from ("[command]/usr/bin/git version", "git version 2.51.2")
        yield f"Adding repository directory to the temporary git global config: {job.run.repository.name}"
    elif job.conclusion == "success":
        yield "Cache hit occurred on the primary key, not saving cache."


def _filled(text: str, job: Job) -> str:
    number = str(40 + _number(job, 0, 180))
    facts = {"{repo}": job.run.repository.full_name, "{sha}": job.run.head_sha, "{number}": number}
    for place, fact in facts.items():
        text = text.replace(place, fact)
    return text


def _number(job: Job, salt: int, below: int) -> int:
    digest = hashlib.blake2b(f"{job.ran_as}/{salt}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % below


def _file_name(name: str) -> str:
    return name.replace("/", "").replace(":", "")
