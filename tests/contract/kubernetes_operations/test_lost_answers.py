"""Exactly once: a write whose answer was lost is looked up, and never sent again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mlops_tui.domain.operation import OperationState
from mlops_tui.operations import rollouts
from tests.contract.kubernetes_operations.conftest import Bench, MakeBench, complete, deployed, get, proxied
from tests.contract.kubernetes_operations.lossy import LATE_SECONDS, Fault, LossyProxy, lossy
from tests.contract.kubernetes_source.harness import Server

DEPLOYMENT = "apps/v1 deployments/fraud-api"
WRITES = {
    "scale": "PUT /apis/apps/v1",
    "rollback": "PATCH /apis/apps/v1",
    "restart": "PATCH /apis/apps/v1",
    "pause": "PATCH /apis/apps/v1",
}
GIVEN = {"scale": {"replicas": "3"}}


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[tuple[str, LossyProxy]]:
    """A proxy before the server."""
    async with lossy(server.url, server.verify) as found:
        yield found


@pytest.fixture
async def behind(
    make: MakeBench, server: Server, proxy: tuple[str, LossyProxy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """A bench behind the proxy, and a Deployment with two revisions."""
    monkeypatch.setattr(rollouts, "SETTLING", 2 * LATE_SECONDS)
    await server.create("fraud-api")
    await deployed(server, "fraud-api", complete)
    await server.set_image("fraud-api", "registry/fraud:v2")
    await deployed(server, "fraud-api", complete)
    return make(kubeconfig=proxied(server, proxy[0], tmp_path))


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.ERROR, Fault.LATE])
@pytest.mark.parametrize("verb", WRITES)
async def test_what_happened_is_found_and_not_sent_again(
    behind: Bench, proxy: tuple[str, LossyProxy], server: Server, verb: str, fault: Fault
) -> None:
    generation = (await get(server, DEPLOYMENT))["metadata"]["generation"]
    plan = await behind.plan(verb, "fraud-api", **GIVEN.get(verb, {}))
    proxy[1].faults[WRITES[verb]] = fault
    row = await behind.carry_out(plan)
    assert row.state is OperationState.DONE, row.outcome
    assert "no answer: looking whether it happened" in row.progress
    assert len(proxy[1].writes()) == 1
    assert (await get(server, DEPLOYMENT))["metadata"]["generation"] == generation + 1


@pytest.mark.parametrize("verb", WRITES)
async def test_what_did_not_happen_is_said_and_not_sent_again(
    behind: Bench,
    proxy: tuple[str, LossyProxy],
    server: Server,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollouts, "SETTLING", 0.1)
    before = await get(server, DEPLOYMENT)
    plan = await behind.plan(verb, "fraud-api", **GIVEN.get(verb, {}))
    proxy[1].faults[WRITES[verb]] = Fault.EARLY
    row = await behind.carry_out(plan)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)
    assert "it did not happen" in row.outcome
    assert len(proxy[1].writes()) == 1
    assert (await get(server, DEPLOYMENT))["metadata"]["generation"] == before["metadata"]["generation"]


@pytest.mark.parametrize("verb", WRITES)
async def test_what_nobody_can_tell_is_unknown(
    behind: Bench, proxy: tuple[str, LossyProxy], server: Server, verb: str
) -> None:
    plan = await behind.plan(verb, "fraud-api", **GIVEN.get(verb, {}))
    proxy[1].faults[WRITES[verb]] = Fault.DEAF
    row = await behind.carry_out(plan)
    assert (row.state, row.exit_code) == (OperationState.UNKNOWN, 6)
    assert row.next == "look at the row before anything is tried again"
    assert len(proxy[1].writes()) == 1
    assert [record.state for record in behind.journal.records()][-1] is OperationState.UNKNOWN


async def test_an_event_that_is_lost_is_no_reason_to_fail(behind: Bench, proxy: tuple[str, LossyProxy]) -> None:
    plan = await behind.plan("pause", "fraud-api")
    proxy[1].faults["POST /api/v1"] = Fault.LOST
    row = await behind.carry_out(plan)
    assert row.state is OperationState.DONE
    assert any(line.startswith("no Event was written") for line in row.progress)
