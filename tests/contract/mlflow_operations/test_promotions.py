"""The verbs on a real MLflow server, and several people who promote at the same time."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.operation import OperationRow, OperationState, PlanRequest
from mlops_tui.operations.archive import Archive
from mlops_tui.operations.promote import Promote
from mlops_tui.operations.restore import Restore
from mlops_tui.sources.mlflow import MlflowSource
from tests.contract.mlflow_operations.conftest import Seeder
from tests.support.mlflow_server import in_thread, relay_to
from tests.support.registry import Office

Make = Callable[..., MlflowSource]
DESKS = 4
ROUNDS = 2


@pytest.fixture
def office(mlflow_server: str, source: Make, tmp_path: Path) -> Office:
    return Office(source(mlflow_server).actor, tmp_path, Promote(), Archive(), Restore())


def promote(model: str, version: int) -> PlanRequest:
    return PlanRequest(verb="promote", target=f"{model}@{version}")


async def test_promote_restore_archive_and_back(office: Office, seed: Seeder) -> None:
    model = await in_thread(lambda: seed.model(3, accuracy=0.9))
    row = await office.do(promote(model, 2))
    assert (row.state, row.outcome) == (
        OperationState.DONE, f"{model} v2 is approved for production: Production, champion",
    )  # fmt: skip
    assert await in_thread(lambda: seed.serving(model)) == ([2], 2)
    first, second = [await office.registry.version(model, number) for number in (1, 2)]
    assert (first["current_stage"], second["tags"]["mlops_tui.promoted_over"]) == ("Archived", "1")
    assert (await office.desk.plan(promote(model, 2))).idle

    back = await office.do(PlanRequest(verb="restore", target=model))
    assert back.outcome == f"{model} v1 is approved for production: Production, champion"
    assert await in_thread(lambda: seed.serving(model)) == ([1], 1)

    away = await office.do(PlanRequest(verb="archive", target=f"{model}@1"))
    assert away.state is OperationState.DONE
    assert await in_thread(lambda: seed.serving(model)) == ([], None)
    assert away.undo is not None
    await office.do(away.undo)
    assert await in_thread(lambda: seed.serving(model)) == ([1], 1)


async def test_a_deleted_run_passes_no_gate_and_lets_nobody_back(
    mlflow_server: str, source: Make, seed: Seeder, tmp_path: Path
) -> None:
    model = await in_thread(lambda: seed.model(2, accuracy=0.9))
    gates = {model: {"metric": "accuracy", "gates": {"accuracy": {"at_least": 0.85}}}}
    office = Office(source(mlflow_server).actor, tmp_path, Promote(), Restore(), models=gates)
    [gate] = (await office.desk.plan(promote(model, 2))).gates
    assert (gate.passed, gate.evidence) == (True, "0.9000 ≥ 0.85")
    run_id = (await office.registry.version(model, 2))["run_id"]
    await in_thread(lambda: seed.client.delete_run(run_id))
    [gate] = (await office.desk.plan(promote(model, 2))).gates
    assert (gate.passed, gate.evidence) == (None, "0.9000 ≥ 0.85 · its run is deleted")
    back = PlanRequest(verb="restore", target=model, parameters={"to_version": "2"})
    assert [concern.text for concern in (await office.desk.plan(back)).refusals] == ["the run of v2 is deleted"]


@pytest.mark.parametrize("meet", [True, False])
async def test_several_people_who_promote_at_once(
    mlflow_server: str, source: Make, seed: Seeder, tmp_path: Path, meet: bool
) -> None:
    actors = [source(mlflow_server).actor for _ in range(DESKS)]
    offices = [Office(actor, tmp_path, Promote()) for actor in actors]
    for _ in range(ROUNDS):
        model = await in_thread(lambda: seed.model(DESKS + 1, accuracy=0.9))
        plans = [await office.desk.plan(promote(model, number)) for number, office in enumerate(offices, start=2)]
        barrier = asyncio.Barrier(DESKS)
        with pytest.MonkeyPatch.context() as patch:
            if meet:
                for actor in actors:
                    patch.setattr(actor, "set_stage", after_all_looked(actor.set_stage, barrier))
            rows = await asyncio.gather(
                *(office.carry_out(plan.id) for office, plan in zip(offices, plans, strict=True))
            )
        staged, _ = await in_thread(partial(seed.serving, model))
        assert len(staged) > 1 or not meet
        check(rows, staged)


def after_all_looked(set_stage: Any, barrier: asyncio.Barrier) -> Any:
    """Return `set_stage` with its first call held until everybody has looked, and found nothing in the way."""
    waited = False

    async def held(name: str, version: int, stage: str) -> None:
        nonlocal waited
        if not waited:
            waited = True
            await barrier.wait()
        await set_stage(name, version, stage)

    return held


def check(rows: list[OperationRow], staged: list[int]) -> None:
    """Fail where more than one version is in the stage and nobody was told which."""
    done = [row for row in rows if row.state is OperationState.DONE]
    assert len(done) <= 1
    for row in rows:
        assert row.state in (OperationState.DONE, OperationState.FAILED), row.outcome
    if len(staged) > 1:
        assert any(all(f"v{number}" in row.outcome for number in staged) for row in rows), [r.outcome for r in rows]


async def test_one_who_comes_between_the_last_write_and_the_last_look(
    office: Office, seed: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await in_thread(lambda: seed.model(3))
    registry = office.registry
    mark = registry.set_tag

    async def and_another_promotes(name: str, version: int, key: str, value: str) -> None:
        await mark(name, version, key, value)
        await in_thread(lambda: seed.stage(model, 3, "Production"))

    monkeypatch.setattr(registry, "set_tag", and_another_promotes)
    row = await office.do(promote(model, 2))
    assert row.state is OperationState.FAILED
    assert row.outcome.startswith("v2 and v3 are both in Production: someone else promoted at the same time")
    assert await in_thread(lambda: seed.serving(model)) == ([2, 3], 2)


@pytest.mark.parametrize("broken", ["transition-stage", "registered-models/alias"])
async def test_a_connection_that_breaks_under_a_write_is_looked_up(
    mlflow_server: str, source: Make, seed: Seeder, tmp_path: Path, broken: str
) -> None:
    model = await in_thread(lambda: seed.model(2))
    async with relay_to(mlflow_server) as relay:
        office = Office(source(relay.uri).actor, tmp_path, Promote())
        plan = await office.desk.plan(promote(model, 2))
        relay.broken = broken
        row = await office.carry_out(plan.id)
        assert len([request for request in relay.requests if broken in request]) == 1
    assert row.state is OperationState.FAILED
    assert "it did not happen" in row.outcome
