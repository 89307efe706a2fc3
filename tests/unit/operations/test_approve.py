"""The rules of `approve`: who may, for which environments, under whose rules."""

import pytest

from mlops_tui.domain.errors import ConfigError, OutcomeUnknown
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.approve import Approve
from mlops_tui.operations.journal import Journal
from tests.unit.operations.forge import RUN, Sitting, pending, refused


@pytest.fixture
def sitting(journal: Journal) -> Sitting:
    return _waiting(Sitting(Approve(), journal))


def _waiting(made: Sitting) -> Sitting:
    made.forge.a_run |= {"status": "waiting", "conclusion": None}
    made.forge.waits = [pending(5, "staging"), pending(6, "production")]
    return made


@pytest.mark.parametrize(
    ("parameters", "sent", "left"),
    [
        ({}, ("decide", (5, 6), True), 0),
        ({"environments": "all"}, ("decide", (5, 6), True), 0),
        ({"environments": "production"}, ("decide", (6,), True), 1),
        ({"environments": "production, staging"}, ("decide", (6, 5), True), 0),
        ({"decision": "reject", "environments": "staging"}, ("decide", (5,), False), 1),
    ],
)
async def test_what_waits_is_decided(
    sitting: Sitting, parameters: dict[str, str], sent: tuple[object, ...], left: int
) -> None:
    row = await sitting.carry_out(RUN, comment="fine", **parameters)
    assert (row.state, sitting.forge.asked, len(sitting.forge.waits)) == (OperationState.DONE, [sent], left)
    assert sitting.forge.decided == [{"comment": f"fine (mlops-tui {row.id})"}]
    assert row.undo is None


async def test_the_outcome_says_how_the_run_goes_on(sitting: Sitting) -> None:
    row = await sitting.carry_out(RUN)
    assert row.outcome == (
        "staging, production approved: ML CD Pipeline #42 is queued: https://github.com/acme/fraud/actions/runs/7"
    )


async def test_who_may_not_is_told_who_may(sitting: Sitting) -> None:
    sitting.forge.waits = [pending(6, "production", ours=False)]
    (refusal,) = (await sitting.plan(RUN)).refusals
    assert (refusal.text, refusal.hint) == ("you may not approve production", "one of its reviewers may: ada, ml")


async def test_a_token_without_the_permission_is_refused(sitting: Sitting) -> None:
    sitting.forge.denied = {"deployments: write"}
    assert refused(await sitting.plan(RUN)) == ["no permission deployments: write in acme/fraud"]


async def test_what_does_not_wait_is_nothing_to_do(sitting: Sitting) -> None:
    sitting.forge.waits = []
    assert (await sitting.plan(RUN, environments="production")).idle == "it waits for nobody's approval: it is waiting"


async def test_what_somebody_has_decided_is_left_alone(sitting: Sitting) -> None:
    plan = await sitting.plan(RUN)
    sitting.forge.waits = [pending(6, "production")]
    assert (await sitting.end(plan)).state is OperationState.FAILED
    assert sitting.forge.asked == []


async def test_a_wait_timer_runs_on(sitting: Sitting) -> None:
    sitting.forge.waits = [pending(6, "production", timer=30)]
    plan = await sitting.plan(RUN)
    assert [each.text for each in plan.warnings] == ["production waits 30 minutes by itself, too"]
    row = await sitting.end(plan)
    assert (row.state, row.outcome.partition(": ")[0]) == (OperationState.DONE, "production approved")


@pytest.mark.parametrize("happens", [True, False])
async def test_an_answer_that_was_lost_is_looked_up_by_its_mark(sitting: Sitting, happens: bool) -> None:
    sitting.forge.trouble, sitting.forge.happens = OutcomeUnknown("no answer"), happens
    row = await sitting.carry_out(RUN)
    assert row.state is (OperationState.DONE if happens else OperationState.UNKNOWN)
    assert await sitting.happened() is (True if happens else None)
    sitting.forge.waits, sitting.forge.decided = [], []
    assert await sitting.happened() is False, "somebody else has decided it"


async def test_the_rules_of_an_environment_with_that_name_hold(journal: Journal) -> None:
    named = {"staging": {}, "Production": {"protected": True}}
    plan = await _waiting(Sitting(Approve(), journal, **named)).plan(RUN)
    assert (plan.environment, plan.protected, plan.demand.typed) == ("Production", True, "ML CD Pipeline #42")
    plan = await _waiting(Sitting(Approve(), journal, **named)).plan(RUN, environments="staging")
    assert (plan.environment, plan.demand.typed) == ("staging", "")
    plan = await _waiting(Sitting(Approve(), journal, production={"read_only": True})).plan(RUN)
    assert refused(plan) == ["production is read-only"]


@pytest.mark.parametrize("parameters", [{"decision": "maybe"}, {"environments": "moon"}])
async def test_what_there_is_not_cannot_be_decided(sitting: Sitting, parameters: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        await sitting.plan(RUN, **parameters)
