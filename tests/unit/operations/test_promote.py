"""`promote`: what is planned, refused and warned of, and what two who promote at once are told."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Denied, Missing, OutcomeUnknown, Refused, Unavailable
from mlops_tui.domain.operation import Change, Confirmation, OperationState, Plan, PlanRequest
from mlops_tui.operations.archive import Archive
from mlops_tui.operations.journal import Record
from mlops_tui.operations.promote import Promote
from mlops_tui.operations.restore import Restore
from tests.support.registry import PRODUCTION, Office, ScriptedRegistry

V13 = PlanRequest(verb="promote", target="fraud@13")
GATED = {"fraud": {"metric": "accuracy", "gates": {"accuracy": {"at_least": 0.85, "tolerance": 0.01}}}}


@pytest.fixture
def registry() -> ScriptedRegistry:
    """v12 serves, v13 is to follow it."""
    made = ScriptedRegistry()
    made.add(11, "Archived")
    made.add(12, "Production", "champion")
    made.add(13, "Staging", accuracy=0.91)
    return made


@pytest.fixture
def office(registry: ScriptedRegistry, tmp_path: Path) -> Office:
    return Office(registry, tmp_path, Promote(), Archive(), Restore())


def texts(plan: Plan) -> list[str]:
    return [concern.text for concern in plan.warnings]


async def test_the_plan_says_what_changes_how_and_what_undoes_it(office: Office, registry: ScriptedRegistry) -> None:
    plan = await office.desk.plan(V13)
    assert (plan.title, plan.name, plan.environment) == ("Promote fraud v13 to production", "fraud@13", "production")
    assert plan.changes == (
        Change(what="v13", before="Staging", after="Production"),
        Change(what="v12", before="Production", after="Archived"),
        Change(what="alias champion", before="v12", after="v13"),
    )
    assert plan.steps == (
        "move v13 to Production", "archive v12", "point champion at v13", "mark v13 with who did it", "look again",
    )  # fmt: skip
    assert plan.command.splitlines() == [
        "from mlflow import MlflowClient",
        'MlflowClient().transition_model_version_stage("fraud", "13", "Production")',
        'MlflowClient().transition_model_version_stage("fraud", "12", "Archived")',
        'MlflowClient().set_registered_model_alias("fraud", "champion", "13")',
    ]
    assert plan.undo == PlanRequest(
        verb="restore", target="fraud", environment="production", parameters={"to_version": "12"}
    )
    assert texts(plan) == ["no gate is configured for fraud"]
    assert [(field.name, field.label, field.value) for field in plan.fields] == [("archive", "Archive v12", "yes")]
    assert not plan.refusals
    assert not plan.idle
    assert registry.written == []


async def test_it_is_carried_out_marked_and_recorded(office: Office, registry: ScriptedRegistry) -> None:
    row = await office.do(V13, Confirmation(reason="better on the new fraud"))
    assert (row.state, row.outcome) == (
        OperationState.DONE,
        "fraud v13 is approved for production: Production, champion",
    )
    assert registry.written[:3] == ["stage 13 Production", "stage 12 Archived", "alias champion 13"]
    assert registry.serving() == ([13], 13)
    assert registry.bodies[13]["tags"] == {
        "mlops_tui.promoted_by": row.by,
        "mlops_tui.promoted_from": "Staging",
        "mlops_tui.promoted_at": "2026-11-20T14:02:11Z",
        "mlops_tui.promoted_operation": row.id,
        "mlops_tui.promoted_to": "production",
        "mlops_tui.promoted_over": "12",
    }
    [_, outcome] = office.place.journal.records()
    assert outcome.facts == {
        "model": "fraud", "version": "13", "from": "12", "stage": "Production", "alias": "champion", "archive": "yes",
        "run": "run13",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "writes", "serving"),
    [
        ({"alias": "champion"}, ["alias champion 13"], ([12], 13)),
        ({"stage": "Production"}, ["stage 13 Production", "stage 12 Archived"], ([13], 12)),
        ({"stage": "production"}, ["stage 13 Production", "stage 12 Archived"], ([13], 12)),
    ],
)
async def test_an_environment_may_have_only_a_stage_or_only_an_alias(
    registry: ScriptedRegistry, tmp_path: Path, environment: Any, writes: list[str], serving: Any
) -> None:
    office = Office(registry, tmp_path, Promote(), environments={"production": environment})
    assert (await office.do(V13)).state is OperationState.DONE
    assert [write for write in registry.written if not write.startswith("tag")] == writes
    assert registry.serving() == serving


async def test_only_what_is_missing_is_done(office: Office, registry: ScriptedRegistry) -> None:
    registry.bodies[13]["current_stage"] = "Production"
    plan = await office.desk.plan(V13)
    assert plan.steps[:2] == ("archive v12", "point champion at v13")
    assert texts(plan)[1:] == ["v12 and v13 are both in Production today"]
    assert (await office.carry_out(plan.id)).state is OperationState.DONE
    again = await office.desk.plan(V13)
    assert again.idle == "v13 is approved for production already: Production, champion"
    assert (again.steps, again.changes, again.undo) == ((), (), None)


async def test_what_was_there_can_stay(office: Office, registry: ScriptedRegistry) -> None:
    request = V13.model_copy(update={"parameters": {"archive": "no"}})
    plan = await office.desk.plan(request)
    assert texts(plan)[1].startswith("v12 will be in Production too")
    assert (await office.carry_out(plan.id)).state is OperationState.DONE
    assert registry.serving() == ([12, 13], 13)
    assert (await office.desk.plan(request)).idle


async def test_the_first_one_ever(registry: ScriptedRegistry, tmp_path: Path) -> None:
    del registry.bodies[12]
    office = Office(registry, tmp_path, Promote(), Archive())
    plan = await office.desk.plan(V13)
    assert plan.changes[1] == Change(what="alias champion", before="none", after="v13")
    assert plan.fields == ()
    assert plan.undo is not None
    assert (plan.undo.verb, plan.undo.target, plan.undo.parameters) == ("archive", "fraud@13", {"stage": "Staging"})
    await office.carry_out(plan.id)
    assert (await office.do(plan.undo)).state is OperationState.DONE
    assert registry.serving() == ([], None)
    assert registry.bodies[13]["current_stage"] == "Staging"


async def test_undo_puts_back_what_served(office: Office, registry: ScriptedRegistry) -> None:
    row = await office.do(V13)
    assert row.undo is not None
    assert (await office.do(row.undo)).outcome == "fraud v12 is approved for production: Production, champion"
    assert registry.serving() == ([12], 12)


async def test_gates_are_held_against_the_champion_of_today(registry: ScriptedRegistry, tmp_path: Path) -> None:
    registry.runs["run12"]["metrics"]["accuracy"] = 0.95
    office = Office(registry, tmp_path, Promote(), models=GATED)
    plan = await office.desk.plan(V13)
    [gate] = plan.gates
    assert (gate.passed, gate.evidence) == (
        False, "0.9100 ≥ 0.85 · champion v12 0.9500 (−0.0400, tolerance 0.01)",
    )  # fmt: skip
    assert plan.demand.reason
    with pytest.raises(Refused, match="a reason is needed"):
        office.desk.execute(plan.id, Confirmation())
    assert (await office.carry_out(plan.id, Confirmation(reason="latency"))).state is OperationState.DONE


@pytest.mark.parametrize(
    ("run", "version", "said"),
    [
        ({"lifecycle_stage": "deleted"}, {}, "its run is deleted"),
        ({"status": "RUNNING"}, {}, "its run is RUNNING"),
        ({"status": "FAILED"}, {}, "its run is FAILED"),
        ({"error": Missing("none")}, {}, "its run is gone"),
        ({"error": Unavailable("connection refused")}, {}, "its run cannot be read: connection refused"),
        ({}, {"run_id": ""}, "it has no run"),
    ],
)
async def test_a_run_that_cannot_be_relied_upon_passes_no_gate(
    registry: ScriptedRegistry, tmp_path: Path, run: Any, version: Any, said: str
) -> None:
    registry.runs["run13"] |= run
    registry.bodies[13] |= version
    [gate] = (await Office(registry, tmp_path, Promote(), models=GATED).desk.plan(V13)).gates
    assert gate.passed is None
    assert gate.evidence.endswith(said)
    assert said in texts(await Office(registry, tmp_path, Promote()).desk.plan(V13))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"status": "PENDING_REGISTRATION"}, "v13 is PENDING_REGISTRATION"),
        ({"status": "FAILED_REGISTRATION", "status_message": "no disk"}, "v13 is FAILED_REGISTRATION: no disk"),
    ],
)
async def test_a_version_that_is_not_ready_is_refused(
    office: Office, registry: ScriptedRegistry, values: Any, said: str
) -> None:
    registry.bodies[13] |= values
    plan = await office.desk.plan(V13)
    assert [concern.text for concern in plan.refusals] == [said]
    with pytest.raises(Refused, match="v13 is"):
        office.desk.execute(plan.id, Confirmation())
    assert registry.written == []


async def test_what_is_not_there_is_named(office: Office) -> None:
    [refusal] = (await office.desk.plan(V13.model_copy(update={"target": "fraud@99"}))).refusals
    assert (refusal.text, refusal.hint) == ("fraud has no version 99", "the newest are: 13, 12, 11")
    with pytest.raises(Missing, match="no model nothing"):
        await office.desk.plan(V13.model_copy(update={"target": "nothing@1"}))


@pytest.mark.parametrize("target", ["fraud", "fraud@", "@13", "fraud@x", "fraud@1.5", "fraud@-1", "fraud@²"])
async def test_a_target_that_is_none(office: Office, target: str) -> None:
    with pytest.raises(ConfigError, match="MODEL@VERSION"):
        await office.desk.plan(V13.model_copy(update={"target": target}))


@pytest.mark.parametrize(
    ("environments", "environment", "said"),
    [
        ({"home": {}}, "", "nothing says what is approved for home"),
        ({"home": {}, **PRODUCTION}, "home", "nothing says what is approved for home"),
        ({"staging": {"stage": "Staging"}, **PRODUCTION}, "", "which environment"),
        (PRODUCTION, "moon", "no environment moon"),
        ({"home": {"stage": "Archived"}}, "", "Archived approves nothing"),
        ({"home": {"stage": "Prod"}}, "", "Prod approves nothing"),
    ],
)
async def test_where_to_has_to_be_clear(
    registry: ScriptedRegistry, tmp_path: Path, environments: Any, environment: str, said: str
) -> None:
    office = Office(registry, tmp_path, Promote(), environments=environments)
    with pytest.raises(ConfigError, match=said):
        await office.desk.plan(V13.model_copy(update={"environment": environment}))


async def test_the_only_environment_that_serves_is_meant(registry: ScriptedRegistry, tmp_path: Path) -> None:
    office = Office(registry, tmp_path, Promote(), environments={"home": {}, **PRODUCTION})
    assert (await office.desk.plan(V13)).environment == "production"


async def test_archive_is_yes_or_no(office: Office) -> None:
    with pytest.raises(ConfigError, match="archive is yes or no, not maybe"):
        await office.desk.plan(V13.model_copy(update={"parameters": {"archive": "maybe"}}))


async def test_an_older_version_and_a_registry_in_disorder_are_warned_of(
    office: Office, registry: ScriptedRegistry
) -> None:
    registry.bodies[11]["current_stage"] = "Production"
    registry.bodies[12]["current_stage"] = "None"
    plan = await office.desk.plan(V13.model_copy(update={"target": "fraud@11"}))
    assert texts(plan)[1:] == [
        "champion is v12 today, but Production is v11",
        "v11 is older than v12, which is approved today",
    ]


async def test_staging_does_not_take_out_of_production(registry: ScriptedRegistry, tmp_path: Path) -> None:
    environments = {"staging": {"stage": "Staging"}, **PRODUCTION}
    office = Office(registry, tmp_path, Promote(), environments=environments)
    request = PlanRequest(verb="promote", target="fraud@12", environment="staging")
    [refusal] = (await office.desk.plan(request)).refusals
    assert refusal.text == "v12 is in Production: moving it to Staging takes it out of there"


@pytest.mark.parametrize(
    ("other", "refused", "said"),
    [
        ({"stage": "Production", "protected": True}, True, "eu is approved by Production, and is protected"),
        ({"alias": "champion", "read_only": True}, True, "eu is approved by champion, and is read-only"),
        ({"stage": "production", "alias": "champion"}, False, "eu is approved by Production and champion"),
        ({"stage": "Staging"}, False, ""),
    ],
)
async def test_no_other_environment_is_changed_behind_its_rules(
    registry: ScriptedRegistry, tmp_path: Path, other: Any, refused: bool, said: str
) -> None:
    office = Office(registry, tmp_path, Promote(), environments={**PRODUCTION, "eu": other})
    plan = await office.desk.plan(V13.model_copy(update={"environment": "production"}))
    assert bool(plan.refusals) is refused
    assert [c.text for c in (*plan.refusals, *plan.warnings) if "eu is approved" in c.text] == ([said] if said else [])


async def test_a_world_that_moved_before_the_first_write_stops_it(office: Office, registry: ScriptedRegistry) -> None:
    plan = await office.desk.plan(V13)
    registry.add(14, "Production", "champion")
    registry.bodies[12] |= {"current_stage": "Archived", "aliases": []}
    row = await office.carry_out(plan.id)
    assert row.state is OperationState.FAILED
    assert "Production is v14 now, not v12; champion is v14 now, not v12 (plan it again)" in row.outcome
    assert registry.written == []
    assert row.next == "nothing was changed; plan it again"


@pytest.mark.parametrize("moment", ["stage 13 Production", "stage 12 Archived", "alias champion 13"])
async def test_another_promotion_at_any_moment_is_named_by_its_version(
    office: Office, registry: ScriptedRegistry, moment: str
) -> None:
    registry.add(14)

    def interfere(write: str) -> None:
        if write == moment:
            registry.bodies[14]["current_stage"] = "Production"

    registry.after = interfere
    row = await office.do(V13)
    assert row.state is OperationState.FAILED
    assert "v13 and v14 are" in row.outcome or "v12, v13 and v14 are all in Production" in row.outcome
    assert "someone else promoted at the same time" in row.outcome
    assert "done: move v13 to Production" in row.outcome


async def test_nobody_can_do_without_the_last_look(office: Office, registry: ScriptedRegistry) -> None:
    registry.add(14)

    def interfere(write: str) -> None:
        if write.startswith("tag"):
            registry.bodies[14]["current_stage"] = "Production"

    registry.after = interfere
    row = await office.do(V13, Confirmation(patience=0))
    assert row.state is OperationState.FAILED
    assert "v13 and v14 are both in Production: someone else promoted at the same time" in row.outcome


async def test_an_alias_that_was_moved_meanwhile_is_not_taken(office: Office, registry: ScriptedRegistry) -> None:
    def interfere(write: str) -> None:
        if write == "stage 12 Archived":
            registry.bodies[12]["aliases"] = []
            registry.bodies[11]["aliases"] = ["champion"]

    registry.after = interfere
    row = await office.do(V13)
    assert "champion is v11 now, not v12" in row.outcome
    assert "not done: point champion at v13" in row.outcome
    assert registry.serving() == ([13], 11)


async def test_several_desks_never_leave_two_versions_unreported(registry: ScriptedRegistry, tmp_path: Path) -> None:
    for number in (14, 15, 16):
        registry.add(number)
    offices = [Office(registry, tmp_path, Promote()) for _ in range(4)]
    rows = await asyncio.gather(
        *(
            office.do(V13.model_copy(update={"target": f"fraud@{number}"}))
            for number, office in enumerate(offices, start=13)
        )
    )
    staged, _ = registry.serving()
    assert len(staged) > 1, "the desks did not meet"
    assert all(row.state is OperationState.FAILED for row in rows)
    assert any(all(f"v{number}" in row.outcome for number in staged) for row in rows)


async def test_a_mark_that_cannot_be_left_is_said_and_no_more(office: Office, registry: ScriptedRegistry) -> None:
    def refuse(write: str) -> None:
        if write.startswith("tag"):
            raise Denied("not permitted (HTTP 403)")

    registry.before = refuse
    row = await office.do(V13)
    assert row.state is OperationState.DONE
    assert "not marked: not permitted (HTTP 403)" in row.progress


@pytest.mark.parametrize("happens", [True, False])
async def test_a_write_without_an_answer_is_looked_up_and_never_sent_again(
    office: Office, registry: ScriptedRegistry, happens: bool
) -> None:
    def lose(write: str) -> None:
        if write == "stage 12 Archived":
            raise OutcomeUnknown("no answer in time")

    if happens:
        registry.after = lose
    else:
        registry.before = lose
    row = await office.do(V13)
    if happens:
        assert (row.state, registry.serving()) == (OperationState.DONE, ([13], 13))
        assert registry.written.count("stage 12 Archived") == 1
    else:
        assert (row.state, registry.serving()) == (OperationState.FAILED, ([12, 13], 12))
        assert "it did not happen" in row.outcome
        assert "done: move v13 to Production; not done: archive v12, point champion at v13" in row.outcome


async def test_a_write_that_nobody_can_look_up_ends_as_unknown(office: Office, registry: ScriptedRegistry) -> None:
    def vanish(write: str) -> None:
        if write == "alias champion 13":
            registry.versions = down  # type: ignore[method-assign]
            raise OutcomeUnknown("no answer in time")

    async def down(name: str) -> Any:
        raise Unavailable("connection refused")

    registry.before = vanish
    row = await office.do(V13)
    assert (row.state, row.exit_code) == (OperationState.UNKNOWN, 6)


def intent(office: Office) -> Record:
    """Return the intent of the operation that was carried out, as the next start finds it."""
    return next(record for record in office.place.journal.records() if record.event == "intent")


async def test_what_became_of_an_interrupted_one_is_found_out(office: Office, registry: ScriptedRegistry) -> None:
    verb = Promote()
    plan = await office.desk.plan(V13)
    await office.carry_out(plan.id)
    record = intent(office)
    assert await verb.happened(record, office.place) is True
    registry.bodies[12]["aliases"], registry.bodies[13]["aliases"] = ["champion"], []
    assert await verb.happened(record, office.place) is None  # half of it
    registry.bodies[13]["current_stage"] = "Staging"
    assert await verb.happened(record, office.place) is False


async def test_the_release_lock_is_that_of_the_environment(registry: ScriptedRegistry, tmp_path: Path) -> None:
    namespaces = {"production": {**PRODUCTION["production"], "namespaces": ["*", "ml"]}}
    office = Office(registry, tmp_path, environments=namespaces)
    assert (await Promote().plan(V13, office.place)).lock == "ml"
    assert (await Promote().plan(V13, Office(registry, tmp_path).place)).lock == ""
