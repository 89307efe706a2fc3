"""Workflow runs of GitHub Actions."""

from collections.abc import Iterable
from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import Attention, BaseRow, Mark, RowKind
from mlops_tui.domain.text import Line


class RunRow(BaseRow):
    """One workflow run, at its latest attempt."""

    kind: Literal[RowKind.RUN] = RowKind.RUN
    repository: Line
    """`owner/name`."""
    run_id: int
    run_number: int
    attempt: int
    workflow: Line
    title: Line
    branch: Line
    event: Line
    head_sha: str
    status: str
    """GitHub's own: `queued`, `in_progress`, `completed`, `waiting`, `requested`, `pending`."""
    conclusion: str
    """GitHub's own: `success`, `failure`, `cancelled` …; empty until the run is complete."""
    actor: Line
    started_at: AwareDatetime | None
    """When this attempt started."""
    finished_at: AwareDatetime | None
    """When the run completed; `None` while it has not."""
    waiting_for: Line = ""
    """The environment whose approval the run waits for, where that is known."""
    pull_numbers: tuple[int, ...] = ()


_CONCLUSIONS = {
    "success": (Mark.OK, Attention.OK, ""),
    "neutral": (Mark.NONE, Attention.OK, ""),
    "skipped": (Mark.NONE, Attention.OK, ""),
    "cancelled": (Mark.NONE, Attention.INFO, "cancelled"),
    "stale": (Mark.STALE, Attention.INFO, "given up by GitHub"),
    "failure": (Mark.BAD, Attention.BAD, "failed"),
    "timed_out": (Mark.BAD, Attention.BAD, "timed out"),
    "startup_failure": (Mark.BAD, Attention.BAD, "could not start: see the workflow file"),
    "action_required": (Mark.WAITING, Attention.WARN, "waits for approval to run"),
}
_APPROVAL = "waits for approval"
_STATUSES = {
    "in_progress": (Mark.RUNNING, Attention.INFO, ""),
    "queued": (Mark.WAITING, Attention.INFO, "queued"),
    "requested": (Mark.WAITING, Attention.INFO, "queued"),
    "pending": (Mark.WAITING, Attention.INFO, "waits for its concurrency group"),
}


def judge_run(status: str, conclusion: str, waiting_for: str = "") -> tuple[Mark, Attention, str]:
    """Return how a run, or a job of one, is shown, how much it wants attention, and why.

    Args:
        status: GitHub's own.
        conclusion: GitHub's own; empty until the run is complete.
        waiting_for: The environments whose approval it waits for, where they are known.
    """
    if status == "waiting":
        return Mark.WAITING, Attention.WARN, f"waits for approval of {waiting_for}" if waiting_for else _APPROVAL
    if status == "completed":
        return _CONCLUSIONS.get(conclusion, (Mark.UNKNOWN, Attention.UNKNOWN, f"ended as {conclusion or 'nothing'}"))
    return _STATUSES.get(status, (Mark.UNKNOWN, Attention.UNKNOWN, f"is {status or 'in no state'}"))


def quiet_superseded(runs: Iterable[RunRow]) -> list[RunRow]:
    """Return the runs in their order, those failures quietened that a later run has answered.

    A failure wants somebody until a later run of the same workflow and branch has passed or failed; then that run
    speaks for the branch, and the old one is history.

    Args:
        runs: Runs of one repository.
    """
    rows = list(runs)
    latest: dict[tuple[str, str], RunRow] = {}
    for run in rows:
        if run.status == "completed" and run.mark in (Mark.OK, Mark.BAD):
            known = latest.setdefault((run.workflow, run.branch), run)
            if run.run_number > known.run_number:
                latest[run.workflow, run.branch] = run
    return [_quietened(run, latest.get((run.workflow, run.branch))) for run in rows]


def _quietened(run: RunRow, latest: RunRow | None) -> RunRow:
    if run.mark is not Mark.BAD or latest is None or latest.run_number <= run.run_number:
        return run
    since = "passed" if latest.mark is Mark.OK else "failed too"
    reason = f"{run.reason}; #{latest.run_number} {since}"
    return run.model_copy(update={"attention": Attention.INFO, "reason": reason})
