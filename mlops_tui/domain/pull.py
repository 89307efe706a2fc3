"""Open pull requests and their checklists."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import BaseRow, Frozen, RowKind
from mlops_tui.domain.text import Line


class Checks(StrEnum):
    """All checks of a pull request's head commit, as one word."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    NONE = "none"
    """There are none."""
    DENIED = "denied"
    """They may be there; the token may not read them."""


class Review(StrEnum):
    """GitHub's review decision."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes requested"
    REQUIRED = "required"
    NONE = "none"


class Mergeable(StrEnum):
    """Whether the branches can be merged."""

    YES = "mergeable"
    CONFLICTING = "conflicting"
    UNKNOWN = "unknown"
    """GitHub has not computed it yet."""


class ChecklistItem(Frozen):
    """One item of a markdown task list."""

    section: Line
    text: Line
    done: bool


class PullRow(BaseRow):
    """One open pull request."""

    kind: Literal[RowKind.PULL] = RowKind.PULL
    repository: Line
    number: int
    title: Line
    author: Line
    draft: bool
    head_sha: str
    head_branch: Line
    base_branch: Line
    labels: tuple[Line, ...]
    checklist: tuple[ChecklistItem, ...] = ()
    checks: Checks
    checks_passed: int = 0
    checks_failed: int = 0
    checks_pending: int = 0
    review: Review
    approvals: int = 0
    """Reviewers whose latest verdict is an approval."""
    mergeable: Mergeable
    created_at: AwareDatetime | None = None

    @property
    def checklist_done(self) -> int:
        """How many items of the checklist are ticked."""
        return sum(item.done for item in self.checklist)
