"""`archive`: out of a stage and out of service, loudly where an environment approves the version."""

from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Refused
from mlops_tui.domain.operation import Change, Confirmation, OperationState, PlanRequest
from mlops_tui.operations.archive import Archive
from mlops_tui.operations.restore import Restore
from tests.support.registry import PRODUCTION, Office, ScriptedRegistry

V12 = PlanRequest(verb="archive", target="fraud@12")
BOTH = {**PRODUCTION, "staging": {"stage": "Staging", "alias": "challenger"}}


@pytest.fixture
def registry() -> ScriptedRegistry:
    made = ScriptedRegistry()
    made.add(10)
    made.add(11, "Archived")
    made.add(12, "Production", "champion")
    made.add(13, "Staging", "challenger")
    return made


@pytest.fixture
def office(registry: ScriptedRegistry, tmp_path: Path) -> Office:
    return Office(registry, tmp_path, Archive(), Restore(), environments=BOTH)


async def test_what_serves_is_archived_loudly_and_comes_back(office: Office, registry: ScriptedRegistry) -> None:
    plan = await office.desk.plan(V12)
    assert (plan.title, plan.name, plan.environment) == ("Archive fraud v12", "fraud@12", "production")
    assert plan.changes == (
        Change(what="alias champion", before="v12", after="none"),
        Change(what="v12", before="Production", after="Archived"),
    )
    assert [concern.text for concern in plan.warnings] == [
        "v12 is what production approves: nothing will be approved there"
    ]
    assert plan.steps == ("remove champion from v12", "archive v12", "look again")
    assert plan.command.splitlines()[1:] == [
        'MlflowClient().delete_registered_model_alias("fraud", "champion")',
        'MlflowClient().transition_model_version_stage("fraud", "12", "Archived")',
    ]
    row = await office.carry_out(plan.id)
    assert (row.state, row.outcome) == (OperationState.DONE, "fraud v12 is Archived")
    assert registry.written == ["no alias champion", "stage 12 Archived"]
    assert row.undo is not None
    assert (await office.do(row.undo)).state is OperationState.DONE
    assert registry.serving() == ([12], 12)


async def test_a_version_that_serves_nothing_needs_no_environment(office: Office, registry: ScriptedRegistry) -> None:
    plan = await office.desk.plan(V12.model_copy(update={"target": "fraud@10"}))
    assert (plan.environment, plan.warnings) == ("", ())
    assert plan.undo is not None
    assert plan.undo.parameters == {"stage": "None"}
    assert (await office.carry_out(plan.id)).state is OperationState.DONE
    assert registry.bodies[10]["current_stage"] == "Archived"
    again = await office.desk.plan(V12.model_copy(update={"target": "fraud@10"}))
    assert again.idle == "v10 is Archived already"


@pytest.mark.parametrize(
    ("stage", "title", "after"),
    [("staging", "Demote fraud v12 to Staging", "Staging"), ("None", "Demote fraud v12 to none", "None")],
)
async def test_it_can_be_demoted_instead(
    office: Office, registry: ScriptedRegistry, stage: str, title: str, after: str
) -> None:
    plan = await office.desk.plan(V12.model_copy(update={"parameters": {"stage": stage}, "environment": "production"}))
    assert plan.title == title
    assert (await office.carry_out(plan.id)).state is OperationState.DONE
    assert registry.bodies[12] | {"current_stage": after, "aliases": []} == registry.bodies[12]


async def test_production_is_nothing_to_archive_to(office: Office) -> None:
    with pytest.raises(ConfigError, match="there is no Production here"):
        await office.desk.plan(V12.model_copy(update={"parameters": {"stage": "Production"}}))


async def test_another_version_in_the_stage_is_named(office: Office, registry: ScriptedRegistry) -> None:
    registry.add(14, "Production")
    [concern, *_] = (await office.desk.plan(V12)).warnings
    assert concern.text == "v12 is what production approves: v14 stays in Production"


async def test_a_version_of_two_environments_asks_which_is_meant(office: Office, registry: ScriptedRegistry) -> None:
    registry.bodies[13]["aliases"] = ["challenger", "champion"]
    registry.bodies[12]["aliases"] = []
    with pytest.raises(ConfigError, match="which environment"):
        await office.desk.plan(V12.model_copy(update={"target": "fraud@13"}))
    plan = await office.desk.plan(V12.model_copy(update={"target": "fraud@13", "environment": "staging"}))
    assert "champion will go on pointing at v13" in [concern.text for concern in plan.warnings]


@pytest.mark.parametrize("rule", ["protected", "read_only"])
async def test_an_environment_is_not_emptied_by_the_name_of_another(
    registry: ScriptedRegistry, tmp_path: Path, rule: str
) -> None:
    environments: dict[str, dict[str, Any]] = {**BOTH, "production": {**PRODUCTION["production"], rule: True}}
    office = Office(registry, tmp_path, Archive(), environments=environments)
    plan = await office.desk.plan(V12.model_copy(update={"environment": "staging"}))
    assert plan.refusals[0].text.startswith("production is approved by Production, and is ")
    with pytest.raises(Refused):
        office.desk.execute(plan.id, Confirmation())
    assert registry.written == []


async def test_what_begins_to_serve_meanwhile_is_left_alone(office: Office, registry: ScriptedRegistry) -> None:
    for change in ({"current_stage": "Production"}, {"aliases": ["champion"]}):
        registry.add(10)
        plan = await office.desk.plan(V12.model_copy(update={"target": "fraud@10"}))
        registry.bodies[10] |= change
        row = await office.carry_out(plan.id)
        assert row.state is OperationState.FAILED
        assert "v10" in row.outcome
    assert registry.written == []


async def test_a_version_that_is_not_there(office: Office) -> None:
    plan = await office.desk.plan(V12.model_copy(update={"target": "fraud@99"}))
    assert [concern.text for concern in plan.refusals] == ["fraud has no version 99"]
    assert plan.steps == ()


async def test_what_became_of_an_interrupted_one_is_found_out(office: Office, registry: ScriptedRegistry) -> None:
    await office.do(V12)
    record = next(record for record in office.place.journal.records() if record.event == "intent")
    verb = Archive()
    assert await verb.happened(record, office.place) is True
    registry.bodies[12]["current_stage"] = "Production"
    assert await verb.happened(record, office.place) is None
    registry.bodies[12]["aliases"] = ["champion"]
    assert await verb.happened(record, office.place) is False
