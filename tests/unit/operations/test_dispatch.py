"""The rules of `dispatch`: which workflow, with which inputs, and which run came of it."""

from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.dispatch import Dispatch
from mlops_tui.operations.journal import Journal
from tests.unit.operations.forge import RUN, Sitting, refused

FLOW = "acme/fraud/workflows/cd.yml"


def said(**changes: Any) -> dict[str, Any]:
    return {"type": "string", "required": False, "default": "", "options": [], "description": ""} | changes


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    made = Sitting(Dispatch(), journal)
    made.forge.flow["inputs"] = {
        "to": said(type="choice", options=["staging", "production"], default="staging", required=True),
        "dry": said(type="boolean"),
        "note": said(required=True, description="why"),
    }
    made.forge.started = [{"id": 800, "workflow_id": 3, "run_number": 41, "head_branch": "trunk"}]
    return made


async def test_the_default_branch_and_the_declared_inputs_are_filled_in(sitting: Sitting) -> None:
    plan = await sitting.plan(FLOW)
    ref, inputs = plan.fields
    assert (ref.value, inputs.value) == ("trunk", "to=staging\ndry=\nnote=")
    assert inputs.label == "Inputs: to (staging|production), needed; dry (boolean); note, needed: why"
    assert refused(plan) == ["the input note is needed"]


async def test_it_is_started_and_the_run_is_named(sitting: Sitting) -> None:
    plan = await sitting.plan(FLOW, inputs="to=production\n\n note = a = b \ndry=")
    assert plan.command.endswith("--ref trunk --raw-field to=production --raw-field 'note=a = b' --repo acme/fraud")
    row = await sitting.end(plan)
    assert sitting.forge.asked == [("dispatch", "cd.yml", "trunk", {"to": "production", "note": "a = b"})]
    assert (row.state, row.outcome) == (OperationState.DONE, "ML CD Pipeline #43 is queued: https://run")
    assert row.undo is None


@pytest.mark.parametrize(
    ("inputs", "refusal"),
    [
        ("note=x\nother=1", "the workflow has no input other"),
        ("note=x\nto=moon", "to is moon"),
        ("note=x\ndry=1", "dry is 1"),
        ("to=staging", "the input note is needed"),
    ],
)
async def test_what_github_would_not_take_is_refused(sitting: Sitting, inputs: str, refusal: str) -> None:
    assert refused(await sitting.plan(FLOW, inputs=inputs)) == [refusal]


async def test_a_line_without_a_key_is_none(sitting: Sitting) -> None:
    with pytest.raises(ConfigError, match="nonsense is no input"):
        await sitting.plan(FLOW, inputs="nonsense")


async def test_a_run_stands_for_its_workflow_and_branch(sitting: Sitting) -> None:
    plan = await sitting.plan(RUN, inputs="note=x")
    assert plan.title == "Start ML CD Pipeline of acme/fraud on main"
    assert (await sitting.plan(RUN, inputs="note=x", ref="dev")).fields[0].value == "dev"


async def test_a_workflow_without_the_trigger_or_switched_off_is_refused(sitting: Sitting) -> None:
    sitting.forge.flow |= {"inputs": None, "state": "disabled_manually"}
    assert refused(await sitting.plan(FLOW)) == [
        "the workflow is disabled manually",
        "cd.yml on trunk cannot be started by hand",
    ]


async def test_a_file_that_cannot_be_read_leaves_it_to_github(sitting: Sitting) -> None:
    del sitting.forge.flow["inputs"]
    plan = await sitting.plan(FLOW, inputs="any=thing")
    assert (refused(plan), len(plan.warnings)) == ([], 1)
    await sitting.end(plan)
    assert sitting.forge.asked == [("dispatch", "cd.yml", "trunk", {"any": "thing"})]


@pytest.mark.parametrize("happens", [True, False])
async def test_an_answer_that_was_lost_is_looked_up_among_newer_runs(sitting: Sitting, happens: bool) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), happens
    row = await sitting.carry_out(FLOW, inputs="note=x")
    assert row.state is (OperationState.DONE if happens else OperationState.UNKNOWN)
    assert len(sitting.forge.asked) == 1
    assert await sitting.happened() is (True if happens else None)


async def test_a_run_that_somebody_started_since_the_plan_is_not_ours(sitting: Sitting) -> None:
    plan = await sitting.plan(FLOW, inputs="note=x")
    sitting.forge.started.insert(0, {"id": 850, "workflow_id": 3, "run_number": 42, "head_branch": "trunk"})
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), False
    assert (await sitting.end(plan)).state is OperationState.UNKNOWN


@pytest.mark.parametrize("target", ["acme/fraud", "acme/fraud/workflows/", "acme/fraud/workflows/../x"])
async def test_what_is_no_workflow_is_no_target(sitting: Sitting, target: str) -> None:
    with pytest.raises(ConfigError, match="OWNER/NAME/workflows/FILE"):
        await sitting.plan(target)
