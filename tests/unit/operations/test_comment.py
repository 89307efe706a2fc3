"""The rules of `comment`: what is posted, where, and what stands against it."""

import dataclasses

import pytest

from mlops_tui.config.settings import Settings
from mlops_tui.domain.errors import ConfigError, Conflict, Missing, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.comment import Comment
from mlops_tui.operations.journal import Journal
from mlops_tui.operations.repositories import BODY_LIMIT, gh
from tests.unit.operations.forge import REPO, Sitting, refused


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    return Sitting(Comment(), journal)


async def test_the_text_is_posted_as_it_was_written_with_the_operations_mark(sitting: Sitting) -> None:
    row = await sitting.carry_out(body="\n    code\n\nsaid \n")
    assert sitting.forge.asked == [("comment", f"    code\n\nsaid\n\n<!-- mlops-tui:operation={row.id} -->")]
    assert (row.state, row.undo) == (OperationState.DONE, None)
    assert row.outcome.endswith("#issuecomment-100")


async def test_without_a_text_there_is_a_field_to_fill_and_nothing_to_send(sitting: Sitting) -> None:
    plan = await sitting.plan()
    (body,) = plan.fields
    assert (body.name, body.kind, body.value) == ("body", "block", "")
    assert refused(plan) == ["there is no text yet"]


@pytest.mark.parametrize(("length", "fits"), [(BODY_LIMIT - 60, True), (BODY_LIMIT, False)])
async def test_the_mark_counts_among_githubs_characters(sitting: Sitting, length: int, fits: bool) -> None:
    plan = await sitting.plan(body="x" * length)
    assert (not plan.refusals) is fits


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"state": "closed"}, "it is closed"),
        ({"state": "closed", "merged_at": "2026-11-20T12:00:00Z"}, "it is merged"),
        ({"locked": True}, "its conversation is locked"),
    ],
)
async def test_where_nobody_may_read_it_that_is_said(sitting: Sitting, change: dict[str, object], warning: str) -> None:
    sitting.forge.pr |= change
    assert [each.text for each in (await sitting.plan(body="x")).warnings] == [warning]


async def test_a_name_alone_stands_for_the_one_repository_that_has_it(sitting: Sitting) -> None:
    assert (await sitting.plan("fraud#12", body="x")).name == f"{REPO}#12"
    with pytest.raises(ConfigError, match="which repository is churn") as several:
        await sitting.plan("churn#12", body="x")
    assert several.value.hint == "it may be acme/churn, other/churn"
    with pytest.raises(ConfigError, match="which repository is unknown"):
        await sitting.plan("unknown#12", body="x")


@pytest.mark.parametrize(
    "target", ["acme/fraud", "acme/fraud#", "acme/fraud#0", "a/b/c#1", "../..#1", "..#1", "fraud#1x"]
)
async def test_what_is_no_pull_request_is_no_target(sitting: Sitting, target: str) -> None:
    with pytest.raises(ConfigError):
        await sitting.plan(target, body="x")


async def test_one_that_is_not_there_is_missing(sitting: Sitting) -> None:
    with pytest.raises(Missing):
        await sitting.plan(f"{REPO}#13", body="x")


async def test_either_permission_is_enough(sitting: Sitting) -> None:
    sitting.forge.denied = {"issues: write"}
    assert refused(await sitting.plan(body="x")) == []
    sitting.forge.denied = {"issues: write", "pull requests: write"}
    assert refused(await sitting.plan(body="x")) == [f"no permission issues: write in {REPO}"]


async def test_an_answer_that_was_lost_is_found_again(sitting: Sitting) -> None:
    sitting.forge.trouble = OutcomeUnknown("no answer")
    row = await sitting.carry_out(body="x")
    assert (row.state, len(sitting.forge.asked), len(sitting.forge.remarks)) == (OperationState.DONE, 1, 1)


async def test_what_cannot_be_found_is_unknown_and_was_looked_for(sitting: Sitting) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), False
    row = await sitting.carry_out(body="x")
    assert (row.state, row.exit_code, len(sitting.forge.asked)) == (OperationState.UNKNOWN, 6, 1)
    assert sitting.clock.monotonic() == 7.0
    assert await sitting.happened() is None
    (warning,) = (await sitting.plan(body="x")).warnings
    assert warning.hint == "it may still come: look again in some minutes"
    await sitting.clock.sleep(601)
    assert await sitting.happened() is False
    assert (await sitting.plan(body="x")).warnings == ()


async def test_a_refusal_by_github_changes_nothing(sitting: Sitting) -> None:
    sitting.forge.trouble, sitting.forge.happens = Conflict("locked"), False
    assert (await sitting.carry_out(body="x")).state is OperationState.FAILED


async def test_a_repository_of_read_only_environments_is_read_only(journal: Journal) -> None:
    home = {"read_only": True, "repositories": ["acme/serving"]}
    sitting = Sitting(Comment(), journal, production=home, staging={"repositories": ["acme/serving"]})
    sitting.forge.pull = lambda repository, number: Sitting(Comment(), journal).forge.pull(REPO, 12)  # type: ignore[method-assign]
    assert refused(await sitting.plan("serving#12", body="x")) == []
    sitting = Sitting(Comment(), journal, production=home)
    sitting.forge.pull = lambda repository, number: Sitting(Comment(), journal).forge.pull(REPO, 12)  # type: ignore[method-assign]
    assert refused(await sitting.plan("serving#12", body="x")) == ["acme/serving is read-only"]


async def test_the_command_is_that_of_githubs_own_tool(sitting: Sitting) -> None:
    assert (await sitting.plan(body="it's")).command == f"gh pr comment 12 --body 'it'\"'\"'s' --repo {REPO}"


async def test_githubs_own_tool_is_told_of_another_host(sitting: Sitting) -> None:
    settings = Settings.model_validate({"github": {"base_url": "https://ghe.example.com/api/v3"}})
    place = dataclasses.replace(sitting.place, settings=settings)
    assert gh(place, REPO, "pr", "view", "12") == f"gh pr view 12 --repo ghe.example.com/{REPO}"
    assert gh(place, REPO, "api", "user") == "gh api --hostname ghe.example.com user"
    settings = Settings.model_validate({"github": {"base_url": "https://api.github.com"}})
    place = dataclasses.replace(sitting.place, settings=settings)
    assert gh(place, REPO, "pr", "view", "12") == f"gh pr view 12 --repo {REPO}"
