"""`restore`: what served before, how that is known, and whether it can serve again."""

from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Missing, Unavailable
from mlops_tui.domain.operation import OperationState, Plan, PlanRequest
from mlops_tui.operations.promote import Promote
from mlops_tui.operations.restore import Restore
from tests.support.registry import PRODUCTION, Office, ScriptedRegistry

BACK = PlanRequest(verb="restore", target="fraud")
GATED = {"fraud": {"metric": "accuracy", "gates": {"accuracy": {"at_least": 0.99}}}}


@pytest.fixture
def registry() -> ScriptedRegistry:
    made = ScriptedRegistry()
    made.add(9, "Archived")
    made.add(10)
    made.add(11, "Archived")
    made.add(12, "Production", "champion")
    made.add(13)
    return made


@pytest.fixture
def office(registry: ScriptedRegistry, tmp_path: Path) -> Office:
    return Office(registry, tmp_path, Promote(), Restore())


def marked(registry: ScriptedRegistry, version: int, at: str, **marks: str) -> None:
    """Tag a version as a promotion does."""
    tags = {f"mlops_tui.promoted_{key}": value for key, value in {"at": at, "by": "ada", **marks}.items()}
    registry.bodies[version]["tags"] |= tags


def to(version: int) -> PlanRequest:
    return BACK.model_copy(update={"parameters": {"to_version": str(version)}})


def offered(plan: Plan) -> dict[str, str]:
    [field] = plan.fields
    return {choice.label: choice.note for choice in field.choices}


async def test_the_journal_tells_what_served_before(office: Office, registry: ScriptedRegistry) -> None:
    row = await office.do(PlanRequest(verb="promote", target="fraud@13"))
    for body in registry.bodies.values():
        body["tags"] = {}
    plan = await office.desk.plan(BACK)
    assert (plan.title, plan.name) == ("Roll fraud back to v12 in production", "fraud")
    assert plan.fields[0].value == "12"
    assert offered(plan) == {"v12": "served until 20 Nov 14:02Z", "v11": "archived", "v9": "archived"}
    assert plan.undo == PlanRequest(
        verb="restore", target="fraud", environment="production", parameters={"to_version": "13"}
    )
    assert plan.gates == ()
    done = await office.carry_out(plan.id)
    assert (done.state, done.outcome) == (
        OperationState.DONE,
        "fraud v12 is approved for production: Production, champion",
    )
    assert registry.serving() == ([12], 12)
    again = await office.desk.plan(BACK)
    assert again.fields[0].value == "13"  # as kubectl rollout undo: what served before is now the other one
    assert offered(again)["v13"] == f"serving from 20 Nov 14:02Z, promoted by {row.by}"


async def test_only_what_was_done_here_and_to_this_model_counts(registry: ScriptedRegistry, tmp_path: Path) -> None:
    environments = {**PRODUCTION, "lab": {"alias": "lab"}}
    office = Office(registry, tmp_path, Promote(), Restore(), environments=environments)
    await office.do(PlanRequest(verb="promote", target="fraud@10", environment="lab"))
    await office.do(PlanRequest(verb="promote", target="fraud@13", environment="lab"))
    plan = await office.desk.plan(BACK.model_copy(update={"environment": "production"}))
    assert "v10" not in offered(plan)
    assert "v13" not in offered(plan)
    there = await office.desk.plan(BACK.model_copy(update={"environment": "lab"}))
    assert there.fields[0].value == "10"


async def test_tags_tell_it_where_the_journal_does_not(office: Office, registry: ScriptedRegistry) -> None:
    marked(registry, 10, "2026-11-01T09:00:00Z", by="tomasz")
    marked(registry, 12, "2026-11-18T09:00:00Z", over="10", to="production")
    marked(registry, 13, "2026-11-19T09:00:00Z", over="12", to="staging")
    marked(registry, 11, "yesterday")
    plan = await office.desk.plan(BACK)
    assert plan.fields[0].value == "10"
    assert offered(plan) == {
        "v10": "serving from 1 Nov 09:00Z, promoted by tomasz", "v11": "archived", "v9": "archived",
    }  # fmt: skip


async def test_the_latest_word_counts(office: Office, registry: ScriptedRegistry) -> None:
    await office.do(PlanRequest(verb="promote", target="fraud@13"))
    marked(registry, 13, "2026-11-21T09:00:00Z", over="11")
    assert (await office.desk.plan(BACK)).fields[0].value == "11"
    marked(registry, 13, "2026-11-02T09:00:00Z", over="11")
    assert (await office.desk.plan(BACK)).fields[0].value == "12"


async def test_an_alias_tells_it_where_nothing_else_does(office: Office, registry: ScriptedRegistry) -> None:
    registry.bodies[10]["aliases"] = ["previous"]
    plan = await office.desk.plan(BACK)
    assert plan.fields[0].value == "10"
    assert offered(plan)["v10"] == "alias previous"


async def test_an_archived_version_served_once(office: Office, registry: ScriptedRegistry) -> None:
    registry.bodies[13]["current_stage"] = "Archived"
    assert (await office.desk.plan(BACK)).fields[0].value == "11"


async def test_nothing_to_go_back_to(office: Office, registry: ScriptedRegistry) -> None:
    for number in (9, 11):
        registry.bodies[number]["current_stage"] = "None"
    plan = await office.desk.plan(BACK)
    assert [concern.text for concern in plan.refusals] == ["nothing tells what served production before"]
    assert (plan.steps, plan.title) == ((), "Roll fraud back in production")
    chosen = await office.desk.plan(to(10))
    assert chosen.refusals == ()
    assert "nothing tells that v10 ever served production" in [concern.text for concern in chosen.warnings]


async def test_the_present_version_is_nothing_to_go_back_to(office: Office) -> None:
    plan = await office.desk.plan(to(12))
    assert plan.idle == "v12 is approved for production already: Production, champion"
    assert offered(plan)["v12"] == "approved now"


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"lifecycle_stage": "deleted"}, "the run of v11 is deleted"),
        ({"error": Missing("none")}, "the run of v11 is gone, and its files with it"),
    ],
)
async def test_a_version_without_its_run_is_refused(
    office: Office, registry: ScriptedRegistry, run: Any, said: str
) -> None:
    registry.runs["run11"] |= run
    plan = await office.desk.plan(BACK)
    assert [concern.text for concern in plan.refusals] == [said]
    assert plan.steps == ()


async def test_a_run_that_cannot_be_asked_for_refuses_nothing(office: Office, registry: ScriptedRegistry) -> None:
    registry.runs["run11"]["error"] = Unavailable("connection refused")
    assert (await office.desk.plan(BACK)).refusals == ()


@pytest.mark.parametrize(
    ("files", "refused", "warned"),
    [
        (True, [], False),
        (False, ["the files of v11 are gone: s3://models/11"], False),
        (None, [], True),
    ],
)
async def test_a_version_without_its_files_is_refused(
    office: Office, registry: ScriptedRegistry, files: bool | None, refused: list[str], warned: bool
) -> None:
    registry.files = files
    plan = await office.desk.plan(BACK)
    assert [concern.text for concern in plan.refusals] == refused
    said = "nobody here can tell whether the files of v11 are still there"
    assert (said in [concern.text for concern in plan.warnings]) is warned


async def test_a_gate_that_fails_is_told_and_holds_nobody_up(registry: ScriptedRegistry, tmp_path: Path) -> None:
    office = Office(registry, tmp_path, Restore(), models=GATED)
    plan = await office.desk.plan(BACK)
    assert "gate accuracy: 0.9000 ≥ 0.99" in [concern.text for concern in plan.warnings]
    assert not plan.demand.reason
    assert (await office.carry_out(plan.id)).state is OperationState.DONE


async def test_what_is_not_ready_or_no_version_is_refused(office: Office, registry: ScriptedRegistry) -> None:
    registry.bodies[11]["status"] = "FAILED_REGISTRATION"
    assert (await office.desk.plan(BACK)).refusals[0].text == "v11 is FAILED_REGISTRATION"
    assert (await office.desk.plan(to(99))).refusals[0].text == "fraud has no version 99"
    for text in ("0", "x", "-1", "1.5"):
        with pytest.raises(ConfigError, match="is no version"):
            await office.desk.plan(BACK.model_copy(update={"parameters": {"to_version": text}}))


async def test_a_journal_that_cannot_be_read_is_said(office: Office) -> None:
    office.place.journal.path.mkdir(parents=True)
    plan = await office.desk.plan(BACK)
    assert plan.warnings[0].text.endswith("cannot be read: Is a directory")
    assert plan.fields[0].value == "11"


async def test_what_became_of_an_interrupted_one_is_asked_of_the_version_of_then(
    office: Office, registry: ScriptedRegistry
) -> None:
    await office.do(PlanRequest(verb="promote", target="fraud@13"))
    await office.do(BACK)
    record = [record for record in office.place.journal.records() if record.event == "intent"][-1]
    assert record.request.parameters == {}
    verb = Restore()
    assert await verb.happened(record, office.place) is True
    registry.bodies[12]["aliases"], registry.bodies[13]["aliases"] = [], ["champion"]
    assert await verb.happened(record, office.place) is None
    registry.bodies[12]["current_stage"] = "Archived"
    assert await verb.happened(record, office.place) is False
