"""Operations on pull requests: what is at GitHub afterwards, and that it is there once."""

import pytest

from mlops_tui.domain.operation import OperationState
from mlops_tui.sources.github import client
from tests.contract.github_operations.conftest import REPO, Bench, MakeBench, World
from tests.contract.github_operations.faulty import Fault

COMMENTS = "POST /api/v3/repos/acme/fraud/issues/"


async def test_a_comment_is_posted_with_its_mark(bench: Bench, world: World) -> None:
    plan = await bench.plan("comment", bench.pull, body="    code\n\nfine\n")
    assert (plan.preview, plan.idle, plan.refusals) == ("    code\n\nfine", "", ())
    assert plan.command.startswith("gh pr comment 1 --body")
    row = await bench.end(plan)
    assert row.state is OperationState.DONE
    assert world.comments == [f"    code\n\nfine\n\n<!-- mlops-tui:operation={row.id} -->"]
    assert row.outcome.startswith(f"commented on {REPO}#1: http")


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.LATE_502])
async def test_a_comment_whose_answer_was_lost_is_found_again(bench: Bench, world: World, fault: Fault) -> None:
    bench.proxy.faults[COMMENTS] = fault
    row = await bench.carry_out("comment", bench.pull, body="once")
    assert (row.state, row.exit_code) == (OperationState.DONE, 0)
    assert "#issuecomment" in row.outcome
    assert len(world.comments) == 1
    assert bench.proxy.faults == {}
    assert len(bench.writes()) == 1


@pytest.mark.parametrize("fault", [Fault.EARLY_502, Fault.STALLED])
async def test_a_comment_that_nobody_answers_ends_as_unknown_and_is_not_posted_again(
    bench: Bench, world: World, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.4)
    bench.proxy.faults[COMMENTS] = fault
    row = await bench.carry_out("comment", bench.pull, body="once")
    assert (row.state, row.exit_code) == (OperationState.UNKNOWN, 6)
    assert world.comments == []
    assert bench.writes() == []
    again = await bench.plan("comment", bench.pull, body="once")
    assert [warning.text for warning in again.warnings] == ["the same was sent at 14:02:18 UTC, and is not there yet"]
    # It comes after all: the next plan has nothing to do.
    world.store.comment(REPO, world.pull, "ada", f"once\n\n<!-- mlops-tui:operation={row.id} -->")
    assert (await bench.plan("comment", bench.pull, body="once")).idle.startswith("it was posted at")
    assert (await bench.plan("comment", bench.pull, body="twice")).idle == ""


async def test_somebody_elses_mark_is_not_ours(bench: Bench, world: World) -> None:
    bench.proxy.faults[COMMENTS] = Fault.EARLY_502
    plan = await bench.plan("comment", bench.pull, body="once")

    def forge() -> None:
        mark = bench.rows[-1].id
        world.store.comment(REPO, world.pull, "eve", f"<!-- mlops-tui:operation={mark} -->")

    world.clock.meanwhile.append(forge)
    assert (await bench.end(plan)).state is OperationState.UNKNOWN
    assert len(world.comments) == 1


async def test_an_interrupted_comment_is_looked_up_by_the_next_sitting(bench: Bench, make: MakeBench) -> None:
    row = await bench.carry_out("comment", bench.pull, body="once")
    (intent, _) = bench.journal.records()
    bench.journal.path.unlink()
    bench.journal.append(intent.model_copy(update={"process": 0}))
    lost = intent.model_copy(update={"operation": "0" * 12, "process": 0})
    bench.journal.append(lost)
    later = make()
    await later.desk.settle()
    states = {row.id: row.state for row in later.rows}
    assert states == {row.id: OperationState.DONE, lost.operation: OperationState.INTERRUPTED}
    await later.place.clock.sleep(601)
    await later.desk.settle()
    assert later.rows[-1].state is OperationState.FAILED
    assert later.journal.open_intents() == []


async def test_ticking_changes_one_character_of_the_description(bench: Bench, world: World) -> None:
    before = world.store.pull(REPO, world.pull).body
    row = await bench.carry_out("tick", bench.pull, item="tests pass")
    assert (row.state, row.outcome) == (OperationState.DONE, "tests pass: done")
    assert world.store.pull(REPO, world.pull).body == before.replace("[ ]", "[x]")
    assert row.undo is not None
    undo = await bench.end(await bench.desk.plan(row.undo))
    assert undo.state is OperationState.DONE
    assert world.store.pull(REPO, world.pull).body == before


async def test_the_checklist_is_posted_and_then_ticked_in_its_comment(bench: Bench, world: World) -> None:
    row = await bench.carry_out("checklist", bench.pull)
    assert row.state is OperationState.DONE
    (posted,) = world.comments
    assert posted.startswith("## PR Checklist\n\n### Model changes\n- [ ] ")
    assert "### Data changes" in posted
    assert (await bench.plan("checklist", bench.pull)).idle.startswith("it is there, 0 of 8 items done")
    await bench.carry_out("tick", bench.pull, item="DVC push")
    assert world.comments == [posted.replace("[ ] DVC push", "[x] DVC push")]
    assert (await bench.plan("tick", bench.pull, item="DVC push")).idle == "it is done already"


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_tick_without_an_answer_is_looked_up(
    bench: Bench, world: World, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.4)
    bench.proxy.faults["PATCH /api/v3/repos/acme/fraud/pulls/"] = fault
    row = await bench.carry_out("tick", bench.pull, item="1")
    happened = fault in (Fault.LOST_ANSWER, Fault.LATE_502)
    assert (row.state is OperationState.DONE) is happened
    assert ("[ ]" not in world.store.pull(REPO, world.pull).body) is happened


async def test_a_text_that_somebody_changed_is_not_overwritten(bench: Bench, world: World) -> None:
    plan = await bench.plan("tick", bench.pull, item="1")
    world.store.set_body(REPO, world.pull, "- [ ] tests pass, all of them")
    row = await bench.end(plan)
    assert row.state is OperationState.FAILED
    assert "somebody has changed the text" in row.outcome
    assert bench.writes() == []


async def test_an_approval_is_of_the_commit_that_was_looked_at(bench: Bench, world: World) -> None:
    row = await bench.carry_out("review", bench.pull)
    assert row.state is OperationState.DONE
    (review,) = world.store.pull(REPO, world.pull).reviews
    assert (review.state, review.author.login) == ("APPROVED", "ada")
    assert row.id in review.body
    assert (await bench.plan("review", bench.pull)).idle.startswith("you have approved")
    plan = await bench.plan("review", bench.pull, event="request-changes", body="more tests")
    world.store.push(REPO, world.pull, message="more", files=["src/model/more.py"])
    moved = await bench.end(plan)
    assert moved.state is OperationState.FAILED
    assert "the head moved" in moved.outcome
    assert len(world.store.pull(REPO, world.pull).reviews) == 1


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.EARLY_502])
async def test_a_review_without_an_answer_is_found_by_its_mark(bench: Bench, world: World, fault: Fault) -> None:
    bench.proxy.faults["POST /api/v3/repos/acme/fraud/pulls/"] = fault
    row = await bench.carry_out("review", bench.pull)
    happened = fault is Fault.LOST_ANSWER
    assert row.state is (OperationState.DONE if happened else OperationState.UNKNOWN)
    assert len(world.store.pull(REPO, world.pull).reviews) == happened


async def test_a_token_that_may_not_write_is_told_so_before_the_next_dialog(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_TOKEN", "reads")
    bench = make()
    row = await bench.carry_out("comment", bench.pull, body="hello")
    assert (row.state, row.exit_code) == (OperationState.FAILED, 4)
    (refusal,) = (await bench.plan("comment", bench.pull, body="hello")).refusals
    assert refusal.text == f"no permission issues: write in {REPO}"
    assert refusal.hint.startswith("give the token the permission issues")
