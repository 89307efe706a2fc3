"""The rules of `review`: who may say what, of which commit."""

import pytest

from mlops_tui.domain.errors import ConfigError, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.review import Review
from tests.unit.operations.forge import SHA, Sitting, refused


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    return Sitting(Review(), journal)


@pytest.mark.parametrize(
    ("event", "sent"),
    [("", "APPROVE"), ("approve", "APPROVE"), ("request-changes", "REQUEST_CHANGES"), ("comment", "COMMENT")],
)
async def test_the_commit_at_the_head_is_reviewed(sitting: Sitting, event: str, sent: str) -> None:
    row = await sitting.carry_out(event=event, body="because")
    assert sitting.forge.asked == [("review", sent, SHA)]
    assert row.state is OperationState.DONE
    assert sitting.forge.verdicts[-1]["body"] == f"because\n\n<!-- mlops-tui:operation={row.id} -->"


@pytest.mark.parametrize(
    ("login", "event", "body", "refusals"),
    [
        ("bob", "approve", "", ["one's own pull request cannot be approved"]),
        ("bob", "request-changes", "no", ["one's own pull request cannot be held up"]),
        ("bob", "comment", "hm", []),
        ("ada", "request-changes", " \n", ["it needs a text"]),
        ("ada", "comment", "", ["it needs a text"]),
        ("", "approve", "", []),
    ],
)
async def test_what_github_would_not_take_is_refused_beforehand(
    sitting: Sitting, login: str, event: str, body: str, refusals: list[str]
) -> None:
    sitting.forge.login = login
    assert refused(await sitting.plan(event=event, body=body)) == refusals


async def test_a_head_that_moved_is_not_approved(sitting: Sitting) -> None:
    plan = await sitting.plan()
    sitting.forge.pr["head"] = {"sha": "b" * 40}
    row = await sitting.end(plan)
    assert (row.state, sitting.forge.asked) == (OperationState.FAILED, [])
    assert "the head moved from aaaaaaaaaaaa to bbbbbbbbbbbb" in row.outcome


async def test_an_approval_counts_for_its_commit_until_it_is_taken_back(sitting: Sitting) -> None:
    await sitting.carry_out()
    assert (await sitting.plan()).idle == "you have approved aaaaaaaaaaaa already"
    sitting.forge.pr["head"] = {"sha": "b" * 40}
    assert (await sitting.plan()).idle == ""
    sitting.forge.pr["head"] = {"sha": SHA}
    await sitting.carry_out(event="request-changes", body="hm")
    assert (await sitting.plan()).idle == ""


async def test_a_draft_is_nobodys_turn(sitting: Sitting) -> None:
    sitting.forge.pr["draft"] = True
    assert [warning.text for warning in (await sitting.plan()).warnings] == ["it is a draft"]


@pytest.mark.parametrize("happens", [True, False])
async def test_an_answer_that_was_lost_is_looked_up(sitting: Sitting, happens: bool) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), happens
    row = await sitting.carry_out()
    assert row.state is (OperationState.DONE if happens else OperationState.UNKNOWN)
    assert await sitting.happened() is (True if happens else None)
    await sitting.clock.sleep(601)
    assert await sitting.happened() is happens


async def test_another_event_is_none(sitting: Sitting) -> None:
    with pytest.raises(ConfigError, match="praise is no review"):
        await sitting.plan(event="praise")
