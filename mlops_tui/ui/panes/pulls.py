"""Pane 5: pull requests."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlops_tui.ages import age
from mlops_tui.ui.panes.kind import PaneKind, mark_cell
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell

if TYPE_CHECKING:
    from mlops_tui.domain.pull import PullRow

_CHECKS = {
    "passed": ("checks ✔", "ok"),
    "failed": ("checks ✖", "bad"),
    "pending": ("checks ◐", "running"),
    "none": ("checks –", "faint"),
    "denied": ("checks ?", "unknown"),
}
_REVIEWS = {
    "approved": ("approved", "ok"),
    "changes requested": ("changes", "warn"),
    "required": ("review ●", "waiting"),
    "none": ("review –", "faint"),
}


class Pulls(PaneKind["PullRow"]):
    """Open pull requests, the blocked ones first."""

    number = 5
    kind = "pull"
    name = "Pull requests"
    noun = ("open", "open")
    source = "github"
    columns = (
        Column("mark", 1),
        Column("number", 5, right=True, gap=1),
        Column("address", 12, grow=2, most=24, keep="end", gap=1),
        Column("title", 16, grow=6, most=60, gap=1),
        Column("reason", 14, grow=3, rank=8, since=100),
        Column("branch", 12, grow=2, most=28, keep="end", rank=7, since=120),
        Column("author", 10, grow=1, most=16, rank=6, since=84),
        Column("list", 7, rank=2),
        Column("checks", 8, rank=1),
        Column("review", 10, rank=3),
        Column("age", 4, right=True, gap=1, rank=4),
    )
    optional = ("address",)
    instead_of = MappingProxyType({"address": "number"})
    filter_keys = ("title", "author", "branch", "base", "repo", "label", "checks", "review", "status", "is")
    empty = "nothing open"
    setup = 'no GitHub repository configured. Add [github] repositories = ["owner/name"]'

    def cells(self, row: "PullRow", now: datetime) -> Mapping[str, Cell]:
        """Return the cells of a pull request."""
        ticked, items = row.checklist_done, len(row.checklist)
        review, review_style = _REVIEWS[row.review]
        if row.approvals:
            review = f"{review} {row.approvals}" if row.review == "approved" else review
        return {
            "mark": mark_cell(row),
            "number": Cell(f"#{row.number}", "strong"),
            "title": Cell(f"draft: {row.title}" if row.draft else row.title, "dim" if row.draft else "name"),
            # The owner is left to the details: a column that names it here and not there would not line up.
            "address": Cell(f"{row.repository.rpartition('/')[2]}#{row.number}", "strong"),
            "reason": Cell(row.reason, row.mark if row.attention not in ("ok", "info") else "dim"),
            "branch": Cell(row.head_branch, "faint"),
            "author": Cell(row.author, "faint"),
            "list": Cell(
                f"☑ {ticked}/{items}" if items else "☑ –", "" if ticked < items else "dim" if items else "faint"
            ),
            "checks": Cell(*_CHECKS[row.checks]),
            "review": Cell(review, review_style),
            "age": Cell(age(row.updated_at, now), "faint"),
        }

    def fields(self, row: "PullRow") -> Mapping[str, Iterable[str]]:
        """Return what the filter's keys look at."""
        return {
            "title": (row.title,),
            "author": (row.author,),
            "branch": (row.head_branch,),
            "base": (row.base_branch,),
            "repo": (row.repository,),
            "label": row.labels,
            "checks": (row.checks,),
            "review": (row.review,),
            "status": (row.mergeable, "draft" if row.draft else "open"),
        }

    def identity(self, row: "PullRow") -> str:
        """Return the pull request as GitHub links it."""
        return f"{row.repository}#{row.number}"

    def distinction(self, row: "PullRow") -> Mapping[str, str]:
        """Tell repositories apart."""
        return {"address": row.repository}
