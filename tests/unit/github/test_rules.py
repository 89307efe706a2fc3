"""How runs and pull requests are judged."""

import itertools

import pytest

from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.pull import ChecklistItem, Checks, Mergeable, Review, judge_check, judge_checks, judge_pull
from mlops_tui.domain.workflow import judge_run

OPEN = ChecklistItem(section="", text="a", done=False)
DONE = ChecklistItem(section="", text="b", done=True)


@pytest.mark.parametrize(
    ("status", "conclusion", "mark", "attention", "reason"),
    [
        ("completed", "success", Mark.OK, Attention.OK, ""),
        ("completed", "skipped", Mark.NONE, Attention.OK, ""),
        ("completed", "cancelled", Mark.NONE, Attention.INFO, "cancelled"),
        ("completed", "failure", Mark.BAD, Attention.BAD, "failed"),
        ("completed", "timed_out", Mark.BAD, Attention.BAD, "timed out"),
        ("completed", "startup_failure", Mark.BAD, Attention.BAD, "could not start: see the workflow file"),
        ("completed", "action_required", Mark.WAITING, Attention.WARN, "waits for approval to run"),
        ("completed", "sideways", Mark.UNKNOWN, Attention.UNKNOWN, "ended as sideways"),
        ("completed", "", Mark.UNKNOWN, Attention.UNKNOWN, "ended as nothing"),
        ("in_progress", "", Mark.RUNNING, Attention.INFO, ""),
        ("queued", "", Mark.WAITING, Attention.INFO, "queued"),
        ("pending", "", Mark.WAITING, Attention.INFO, "waits for its concurrency group"),
        ("waiting", "", Mark.WAITING, Attention.WARN, "waits for approval"),
        ("dreaming", "", Mark.UNKNOWN, Attention.UNKNOWN, "is dreaming"),
    ],
)
def test_runs(status: str, conclusion: str, mark: Mark, attention: Attention, reason: str) -> None:
    assert judge_run(status, conclusion) == (mark, attention, reason)


def judge(
    checks: Checks = Checks.PASSED,
    review: Review = Review.APPROVED,
    mergeable: Mergeable = Mergeable.YES,
    checklist: tuple[ChecklistItem, ...] = (DONE,),
    *,
    draft: bool = False,
    failed: int = 0,
) -> tuple[Mark, Attention, str]:
    return judge_pull(
        draft=draft,
        checks=checks,
        checks_failed=failed,
        review=review,
        mergeable=mergeable,
        checklist=checklist,
        base_branch="main",
    )


def test_pull_requests_from_worst_to_best() -> None:
    assert judge(Checks.FAILED, mergeable=Mergeable.CONFLICTING, failed=3)[2] == "3 checks failed"
    assert judge(mergeable=Mergeable.CONFLICTING) == (Mark.BAD, Attention.BAD, "conflicts with main")
    assert judge(review=Review.CHANGES_REQUESTED) == (Mark.WARN, Attention.WARN, "changes requested")
    assert judge(Checks.DENIED)[:2] == (Mark.UNKNOWN, Attention.UNKNOWN)
    assert judge(Checks.PENDING) == (Mark.RUNNING, Attention.INFO, "checks are running")
    assert judge(review=Review.REQUIRED) == (Mark.WAITING, Attention.INFO, "waits for review")
    assert judge(checklist=(DONE, OPEN)) == (Mark.WARN, Attention.WARN, "1 of 2 checklist items open")
    assert judge(mergeable=Mergeable.UNKNOWN)[0] is Mark.UNKNOWN
    assert judge(Checks.NONE, Review.NONE, checklist=()) == (Mark.OK, Attention.OK, "")


def test_only_what_is_good_in_every_way_is_ok_and_a_draft_never_is() -> None:
    for checks, review, mergeable, checklist in itertools.product(
        Checks, Review, Mergeable, ((), (DONE,), (OPEN, DONE))
    ):
        mark, attention, reason = judge(checks, review, mergeable, checklist)
        good = (
            checks in (Checks.PASSED, Checks.NONE)
            and review in (Review.APPROVED, Review.NONE)
            and mergeable is Mergeable.YES
            and OPEN not in checklist
        )
        assert (mark is Mark.OK) == (attention is Attention.OK) == (reason == "") == good
        mark, attention, reason = judge(checks, review, mergeable, checklist, draft=True)
        assert attention is Attention.INFO
        assert mark in (Mark.PAUSED, Mark.RUNNING)
        assert reason.startswith("draft")


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("SUCCESS", Checks.PASSED),
        ("NEUTRAL", Checks.PASSED),
        ("SKIPPED", Checks.PASSED),
        ("FAILURE", Checks.FAILED),
        ("ERROR", Checks.FAILED),
        ("TIMED_OUT", Checks.FAILED),
        ("CANCELLED", Checks.FAILED),
        ("ACTION_REQUIRED", Checks.FAILED),
        ("STARTUP_FAILURE", Checks.FAILED),
        ("QUEUED", Checks.PENDING),
        ("EXPECTED", Checks.PENDING),
        ("WAITING", Checks.PENDING),
    ],
)
def test_single_checks(state: str, verdict: Checks) -> None:
    assert judge_check(state) is verdict


def test_all_checks_together() -> None:
    assert judge_checks(5, 1, 1) is Checks.FAILED
    assert judge_checks(5, 0, 1) is Checks.PENDING
    assert judge_checks(5, 0, 0) is Checks.PASSED
    assert judge_checks(0, 0, 0) is Checks.NONE
