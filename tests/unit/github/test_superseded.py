from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.workflow import RunRow, judge_run, quiet_superseded


def run(
    number: int, conclusion: str, *, workflow: str = "CI", branch: str = "main", status: str = "completed"
) -> RunRow:
    mark, attention, reason = judge_run(status, conclusion)
    return RunRow(
        key=str(number),
        source="github",
        mark=mark,
        attention=attention,
        reason=reason,
        repository="acme/fraud",
        run_id=number,
        run_number=number,
        attempt=1,
        workflow=workflow,
        title="",
        branch=branch,
        event="push",
        head_sha="",
        status=status,
        conclusion=conclusion,
        actor="",
        started_at=None,
        finished_at=None,
    )


def judged(*runs: RunRow) -> list[tuple[int, Attention]]:
    return [(row.run_number, row.attention) for row in quiet_superseded(runs)]


def test_a_failure_wants_attention_until_a_later_run_of_its_branch_has_ended() -> None:
    assert judged(run(2, "failure"), run(1, "success")) == [(2, Attention.BAD), (1, Attention.OK)]
    assert judged(run(3, "success"), run(2, "failure")) == [(3, Attention.OK), (2, Attention.INFO)]
    assert judged(run(3, "failure"), run(2, "failure")) == [(3, Attention.BAD), (2, Attention.INFO)]


def test_neither_another_workflow_nor_another_branch_nor_a_run_under_way_answers_for_it() -> None:
    failed = run(1, "failure")
    others = [
        run(2, "success", workflow="CD"),
        run(3, "success", branch="dev"),
        run(4, "", status="in_progress"),
        run(5, "cancelled"),
        run(6, "skipped"),
    ]
    assert judged(*others, failed)[-1] == (1, Attention.BAD)


def test_it_is_still_shown_as_failed_and_says_what_came_since() -> None:
    [_, old] = quiet_superseded([run(7, "success"), run(5, "timed_out")])
    assert (old.mark, old.reason) == (Mark.BAD, "timed out; #7 passed")


def test_the_order_of_the_list_does_not_matter() -> None:
    assert judged(run(1, "failure"), run(9, "success"), run(5, "failure")) == [
        (1, Attention.INFO),
        (9, Attention.OK),
        (5, Attention.INFO),
    ]
