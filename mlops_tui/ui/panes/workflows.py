"""Pane 2: workflow runs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_tui.ages import age, duration
from mlops_tui.ui.panes.kind import PaneKind, mark_cell
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell

if TYPE_CHECKING:
    from mlops_tui.domain.workflow import RunRow


class Workflows(PaneKind["RunRow"]):
    """Workflow runs, the ones that failed or wait first."""

    number = 2
    kind = "run"
    name = "Workflows"
    noun = ("run", "runs")
    source = "github"
    columns = (
        Column("mark", 1),
        Column("workflow", 14, grow=2, most=26, gap=1),
        Column("repository", 12, grow=1, most=24, keep="end", rank=5),
        Column("branch", 9, grow=4, most=34, keep="end", rank=2),
        Column("sha", 7, rank=6, since=84),
        Column("state", 14, grow=4, most=40, rank=1),
        Column("title", 14, grow=6, rank=7, since=110),
        Column("took", 6, right=True, rank=3),
        Column("age", 4, right=True, gap=1, rank=4),
    )
    optional = ("repository",)
    filter_keys = ("workflow", "branch", "repo", "status", "event", "actor", "sha", "pr", "is")
    empty = "no workflow runs"
    setup = 'no GitHub repository configured. Add [github] repositories = ["owner/name"]'

    def cells(self, row: "RunRow", now: datetime) -> Mapping[str, Cell]:
        """Return the cells of a run."""
        wants = row.attention not in ("ok", "info")
        return {
            "mark": mark_cell(row),
            "workflow": Cell(row.workflow, "name"),
            "repository": Cell(row.repository, "dim"),
            "branch": Cell(row.branch, "dim"),
            "sha": Cell(row.head_sha[:7], "faint"),
            "state": Cell(run_state(row), row.mark if wants else "dim"),
            "title": Cell(row.title, "faint"),
            "took": Cell(run_took(row, now), "dim"),
            "age": Cell(age(row.updated_at or row.started_at, now), "faint"),
        }

    def fields(self, row: "RunRow") -> Mapping[str, Iterable[str]]:
        """Return what the filter's keys look at."""
        return {
            "workflow": (row.workflow,),
            "branch": (row.branch,),
            "repo": (row.repository,),
            "status": (row.status, row.conclusion),
            "event": (row.event,),
            "actor": (row.actor,),
            "sha": (row.head_sha,),
            "pr": tuple(f"#{number}" for number in row.pull_numbers),
        }

    def identity(self, row: "RunRow") -> str:
        """Return the run's id, as `gh run view` takes it."""
        return str(row.run_id)

    def distinction(self, row: "RunRow") -> Mapping[str, str]:
        """Tell repositories apart."""
        return {"repository": row.repository}


def run_state(row: "RunRow") -> str:
    """Return why the run wants somebody, or the word for its state."""
    if row.reason:
        return row.reason
    if row.waiting_for:
        return f"waits for {row.waiting_for}"
    return (row.conclusion or row.status).replace("_", " ")


def run_took(row: "RunRow", now: datetime) -> str:
    """Return how long the attempt took, or has been taking."""
    if row.started_at is None:
        return ""
    return duration(((row.finished_at or now) - row.started_at).total_seconds())
