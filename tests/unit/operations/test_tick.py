"""The rules of `tick`: which item, in which text, and that nothing else is changed."""

import pytest

from mlops_tui.domain.errors import ConfigError, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.tick import Tick
from tests.unit.operations.forge import BODY, Sitting, comment, refused

LIST = "## PR Checklist\r\n> - [ ]  tests\tpass\r\n1. [X] reviewed\r\n```\n- [ ] no item\n```\n"


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    return Sitting(Tick(), journal)


async def test_the_first_open_item_is_ticked_where_none_is_named(sitting: Sitting) -> None:
    plan = await sitting.plan()
    assert plan.title == "Tick “tests pass” of acme/fraud#12"
    item, state = plan.fields
    assert [(choice.value, choice.label) for choice in item.choices] == [
        ("tests pass", "[ ] tests pass"),
        ("data documented", "[x] data documented"),
    ]
    assert (item.value, state.value) == ("tests pass", "done")
    row = await sitting.end(plan)
    assert sitting.forge.asked == [("edit", BODY.replace("[ ]", "[x]"))]
    assert row.outcome == "tests pass: done"


@pytest.mark.parametrize("item", ["data documented", "2", "DATA"])
async def test_an_item_is_opened_again(sitting: Sitting, item: str) -> None:
    plan = await sitting.plan(item=item, state="open")
    assert plan.undo is not None
    assert plan.undo.parameters == {"item": "data documented", "state": "done"}
    await sitting.end(plan)
    assert sitting.forge.asked == [("edit", BODY.replace("[x]", "[ ]"))]


async def test_what_is_so_already_is_nothing_to_do(sitting: Sitting) -> None:
    assert (await sitting.plan(item="2")).idle == "it is done already"


@pytest.mark.parametrize("item", ["3", "0", "a", "nothing"])
async def test_what_names_no_one_item_is_no_item(sitting: Sitting, item: str) -> None:
    with pytest.raises(ConfigError) as problem:
        await sitting.plan(item=item)
    assert "1 tests pass" in problem.value.hint


async def test_items_with_the_same_text_are_told_by_their_number(sitting: Sitting) -> None:
    sitting.forge.pr["body"] = "- [ ] same\n- [ ] same\n"
    plan = await sitting.plan(item="2")
    assert [choice.value for choice in plan.fields[0].choices] == ["1", "2"]
    await sitting.end(plan)
    assert sitting.forge.asked == [("edit", "- [ ] same\n- [x] same\n")]


@pytest.mark.parametrize(
    ("who", "counts"),
    [
        ({"author_association": "MEMBER"}, True),
        ({"user": {"login": "github-actions[bot]", "type": "Bot"}}, True),
        ({"user": {"login": "bob", "type": "User"}}, True),
        ({"user": {"login": "stranger", "type": "User"}}, False),
        ({"user": None}, False),
    ],
)
async def test_only_those_who_may_be_trusted_hold_the_checklist(
    sitting: Sitting, who: dict[str, object], counts: bool
) -> None:
    sitting.forge.pr["body"] = None
    sitting.forge.remarks = [comment(5, LIST, "eve", **who)]
    plan = await sitting.plan()
    assert refused(plan) == ([] if counts else ["there is no checklist"])
    if counts:
        await sitting.end(plan)
        assert sitting.forge.asked == [("edit comment", 5, LIST.replace("> - [ ]", "> - [x]"))]


async def test_the_newest_checklist_counts(sitting: Sitting) -> None:
    sitting.forge.pr["body"] = ""
    sitting.forge.remarks = [comment(5, LIST), comment(6, LIST), comment(7, "- [ ] a remark")]
    await sitting.carry_out(item="1")
    assert [each[:2] for each in sitting.forge.asked] == [("edit comment", 6)]


async def test_a_text_that_has_changed_is_left_alone(sitting: Sitting) -> None:
    plan = await sitting.plan()
    sitting.forge.pr["body"] += " "
    row = await sitting.end(plan)
    assert (row.state, sitting.forge.asked) == (OperationState.FAILED, [])


@pytest.mark.parametrize("happens", [True, False])
async def test_an_answer_that_was_lost_is_looked_up(sitting: Sitting, happens: bool) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), happens
    row = await sitting.carry_out()
    assert row.state is (OperationState.DONE if happens else OperationState.FAILED)
    assert len(sitting.forge.asked) == 1
    assert await sitting.happened() is happens


async def test_a_tick_that_somebody_takes_back_at_once_is_not_verified(sitting: Sitting) -> None:
    sitting.forge.after = lambda: sitting.forge.pr.update(body=BODY)
    row = await sitting.carry_out()
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)


async def test_done_and_open_are_all_there_is(sitting: Sitting) -> None:
    with pytest.raises(ConfigError, match="half is no state"):
        await sitting.plan(state="half")
