"""Open pull requests and their checklists."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import Attention, BaseRow, Frozen, Mark, RowKind
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


_PASSED = frozenset({"SUCCESS", "NEUTRAL", "SKIPPED"})
_FAILED = frozenset({"FAILURE", "ERROR", "CANCELLED", "TIMED_OUT", "ACTION_REQUIRED", "STARTUP_FAILURE"})


def judge_check(state: str) -> Checks:
    """Return what a check run's conclusion, or a commit status's state, comes to; what is neither is pending."""
    if state in _PASSED:
        return Checks.PASSED
    return Checks.FAILED if state in _FAILED else Checks.PENDING


def judge_checks(passed: int, failed: int, pending: int) -> Checks:
    """Return all checks of a commit as one word: a failure wins over what is still pending."""
    if failed:
        return Checks.FAILED
    if pending:
        return Checks.PENDING
    return Checks.PASSED if passed else Checks.NONE


def judge_pull(
    *,
    draft: bool,
    checks: Checks,
    checks_failed: int,
    review: Review,
    mergeable: Mergeable,
    checklist: tuple[ChecklistItem, ...],
    base_branch: str,
) -> tuple[Mark, Attention, str]:
    """Return how a pull request is shown, how much it wants attention, and why: what blocks it most comes first.

    A draft is nobody's turn but its author's, so it never wants more attention than a note.
    """
    mark, attention, reason = _blocker(checks, checks_failed, review, mergeable, checklist, base_branch)
    if draft:
        why = f"draft: {reason}" if reason else "draft"
        return (mark if mark is Mark.RUNNING else Mark.PAUSED), Attention.INFO, why
    return mark, attention, reason


def _blocker(
    checks: Checks,
    checks_failed: int,
    review: Review,
    mergeable: Mergeable,
    checklist: tuple[ChecklistItem, ...],
    base_branch: str,
) -> tuple[Mark, Attention, str]:
    undone = sum(not item.done for item in checklist)
    if checks is Checks.FAILED:
        count = f"{checks_failed} checks failed" if checks_failed > 1 else "a check failed"
        return Mark.BAD, Attention.BAD, count
    if mergeable is Mergeable.CONFLICTING:
        return Mark.BAD, Attention.BAD, f"conflicts with {base_branch}"
    if review is Review.CHANGES_REQUESTED:
        return Mark.WARN, Attention.WARN, "changes requested"
    if checks is Checks.DENIED:
        return Mark.UNKNOWN, Attention.UNKNOWN, "checks: no permission to read them"
    if checks is Checks.PENDING:
        return Mark.RUNNING, Attention.INFO, "checks are running"
    if review is Review.REQUIRED:
        return Mark.WAITING, Attention.INFO, "waits for review"
    if undone:
        return Mark.WARN, Attention.WARN, f"{undone} of {len(checklist)} checklist items open"
    if mergeable is Mergeable.UNKNOWN:
        return Mark.UNKNOWN, Attention.INFO, "mergeability not computed yet"
    return Mark.OK, Attention.OK, ""
