"""Workflow runs of GitHub Actions."""

from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import BaseRow, RowKind
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
