"""The rules of `checklist`: which sections, and that there is one of it."""

import pytest

from mlops_tui.domain.checklist import checklist_for, is_checklist_comment, parse_checklist, set_item
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.checklist import Checklist
from mlops_tui.operations.journal import Journal
from tests.unit.operations.forge import Sitting, comment


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    return Sitting(Checklist(), journal)


@pytest.mark.parametrize(
    ("paths", "sections"),
    [
        ([], ["General"]),
        (["README.md", "tests/src/model.py"], ["General"]),
        (["src/model.py"], ["Model changes", "General"]),
        (["src/models/net.py"], ["Model changes", "General"]),
        (["models/v2/config.json"], ["Model changes", "General"]),
        (["data/train.dvc"], ["Data changes", "General"]),
        (["train.dvc", "models/a"], ["Model changes", "Data changes", "General"]),
    ],
)
def test_sections_follow_from_the_changed_files(paths: list[str], sections: list[str]) -> None:
    text = checklist_for(paths)
    items = parse_checklist(text)
    assert is_checklist_comment(text)
    assert list(dict.fromkeys(item.section for item in items)) == sections
    assert not any(item.done for item in items)


def test_setting_an_item_changes_its_box_alone() -> None:
    text = "intro\r\n* [ ] a [ ] b\r\n\r\n> 1. [x] c\r\n>    more\r- - [ ] d\n\t[ ] no\n"
    for index, (line, box) in enumerate(
        [("* [ ] a", "* [x] a"), ("> 1. [x] c", "> 1. [ ] c"), ("- - [ ] d", "- - [x] d")]
    ):
        done = not parse_checklist(text)[index].done
        assert set_item(text, index, done=done) == text.replace(line, box)
    with pytest.raises(IndexError):
        set_item(text, 3, done=True)


async def test_the_checklist_is_posted_once(sitting: Sitting) -> None:
    plan = await sitting.plan()
    assert plan.preview == checklist_for(["src/model/net.py"])
    assert [warning.text for warning in plan.warnings] == ["its description has a list of 2 items, too"]
    row = await sitting.end(plan)
    assert row.state is OperationState.DONE
    (posted,) = sitting.forge.remarks
    assert row.id in posted["body"]
    sitting.forge.remarks = [comment(5, posted["body"], "stranger")]
    assert (await sitting.plan()).idle == "", "anybody could have posted that"
    sitting.forge.remarks = [comment(5, posted["body"], "ada", author_association="OWNER")]
    assert (await sitting.plan()).idle.startswith("it is there, 0 of 5 items done: https")


async def test_a_description_that_is_the_checklist_is_enough(sitting: Sitting) -> None:
    sitting.forge.pr["body"] = "## PR Checklist\n- [ ] a\n"
    assert (await sitting.plan()).idle == "its description is a checklist"
