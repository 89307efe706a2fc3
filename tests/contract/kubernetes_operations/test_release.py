"""A release goes back as a whole: in a registry in memory, and in a cluster."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Denied
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.release import RollbackRelease, model_of, version_of
from mlops_tui.operations.systems import ClusterSystem, RegistrySystem
from tests.contract.kubernetes_operations.conftest import Bench, MakeBench, complete, deployed, get
from tests.contract.kubernetes_source.harness import Server
from tests.support.registry import ScriptedRegistry

NAME = "fraud-api"


@dataclass(frozen=True)
class Both:
    """Systems of one environment."""

    actor: ClusterSystem
    system: RegistrySystem

    def cluster(self, environment: str) -> ClusterSystem:
        return self.actor

    def registry(self, environment: str) -> RegistrySystem:
        return self.system

    def forge(self) -> Any:
        raise AssertionError


@pytest.fixture
def registry() -> ScriptedRegistry:
    """Versions 11, which served before, and 12, which serves."""
    made = ScriptedRegistry()
    made.add(11, "Archived")
    made.add(12, "Production", "champion")
    return made


@pytest.fixture
async def bench(make: MakeBench, server: Server, registry: ScriptedRegistry, tmp_path: Path) -> Bench:
    """A bench with both systems, and a Deployment whose first revision ran v11."""
    for version in (11, 12):
        labels = {"app": NAME, "model": "fraud", "model-version": f"v{version}"}
        containers = [{"name": "model", "image": f"registry/fraud:v{version}-abc1234"}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        if version == 11:
            await server.create(NAME, selector={"matchLabels": {"app": NAME}}, template=template)
        else:
            await server.patch(NAME, {"spec": {"template": template}})
        await deployed(server, NAME, complete)
    made = make(stage="Production", alias="champion")
    made.place = replace(made.place, systems=Both(made.actor, registry))
    made.desk = Desk(made.place, [RollbackRelease()], tell=made._told, notify=_nobody)
    return made


async def _nobody(record: Any) -> None:
    return None


async def image(server: Server) -> str:
    """Return what the Deployment asks for."""
    body = await get(server, f"apps/v1 deployments/{NAME}")
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_both_go_back_and_forth(bench: Bench, server: Server, registry: ScriptedRegistry) -> None:
    plan = await bench.plan("rollback-release", NAME)
    assert plan.title == "Roll the release of fraud in production back to v11"
    assert plan.refusals == ()
    assert plan.steps[0] == "move v11 to Production"
    assert plan.steps[-1] == f"roll {server.namespace}/{NAME} back to revision 1"
    assert any("revision 1" in choice.note for choice in plan.fields[0].choices)
    assert "rollout undo" in plan.command
    assert "MlflowClient" in plan.command
    row = await bench.carry_out(plan)
    assert row.state is OperationState.DONE, row.outcome
    assert registry.serving() == ([11], 11)
    assert await image(server) == "registry/fraud:v11-abc1234"
    assert row.undo is not None
    assert row.undo.parameters == {"to_version": "12"}
    row = await bench.undo(row)
    assert row.state is OperationState.DONE, row.outcome
    assert registry.serving() == ([12], 12)
    assert await image(server) == "registry/fraud:v12-abc1234"
    [*_, record] = bench.journal.records()
    assert await RollbackRelease().happened(record, bench.place) is True
    registry.bodies[12]["aliases"], registry.bodies[11]["aliases"] = [], ["champion"]
    assert await RollbackRelease().happened(record, bench.place) is None


async def test_what_stopped_half_way_says_so_and_is_finished(
    bench: Bench, server: Server, registry: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bench.actor.patch

    async def denied(*arguments: Any, **named: Any) -> Any:
        raise Denied("may not patch deployments")

    monkeypatch.setattr(bench.actor, "patch", denied)
    row = await bench.do("rollback-release", NAME)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 4)
    assert "done: move v11 to Production" in row.outcome
    assert row.outcome.endswith(f"not done: roll {server.namespace}/{NAME} back to revision 1")
    assert row.next == "plan it again to finish, or undo it"
    assert (registry.serving(), await image(server)) == (([11], 11), "registry/fraud:v12-abc1234")
    monkeypatch.setattr(bench.actor, "patch", write)
    again = await bench.plan("rollback-release", NAME)
    assert again.steps == (f"roll {server.namespace}/{NAME} back to revision 1",)
    assert again.warnings[-1].text == "the registry says v11, and v12 is deployed"
    assert (await bench.carry_out(again)).state is OperationState.DONE
    assert await image(server) == "registry/fraud:v11-abc1234"


async def test_the_half_that_was_done_is_undone(
    bench: Bench, server: Server, registry: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bench.actor.patch

    async def denied(*arguments: Any, **named: Any) -> Any:
        raise Denied("may not patch deployments")

    monkeypatch.setattr(bench.actor, "patch", denied)
    row = await bench.do("rollback-release", NAME)
    monkeypatch.setattr(bench.actor, "patch", write)
    before = await get(server, f"apps/v1 deployments/{NAME}")
    assert (await bench.undo(row)).state is OperationState.DONE
    assert registry.serving() == ([12], 12)
    after = await get(server, f"apps/v1 deployments/{NAME}")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_a_version_that_no_revision_ran_is_refused(bench: Bench, registry: ScriptedRegistry) -> None:
    registry.add(10, "Archived")
    plan = await bench.plan("rollback-release", NAME, to_version="10")
    [refusal] = plan.refusals
    assert (refusal.text, refusal.hint) == ("no revision is kept that ran v10", "revisions are kept of: v12, v11")
    assert plan.steps == ()
    with pytest.raises(ConfigError, match="is no version"):
        await bench.plan("rollback-release", NAME, to_version="old")


async def test_a_model_finds_its_deployment(bench: Bench, server: Server) -> None:
    request = (await bench.plan("rollback-release", NAME)).request
    plan = await bench.desk.plan(request.model_copy(update={"target": "fraud"}))
    assert (plan.name, plan.steps[-1]) == ("fraud", f"roll {server.namespace}/{NAME} back to revision 1")
    with pytest.raises(ConfigError, match="no Deployment in production serves it"):
        await bench.desk.plan(request.model_copy(update={"target": "churn"}))


@pytest.mark.parametrize(
    ("labels", "env", "tag", "version"),
    [
        ({"model-version": "v12"}, "", "latest", 12),
        ({"ml.example/model-version": "12"}, "", "latest", 12),
        ({}, "7", "v12", 7),
        ({}, "", "v12-abc1234", 12),
        ({}, "", "v12", 12),
        ({"model-version": "main"}, "", "v1.2.3", None),
        ({}, "", "12", None),
    ],
)
def test_what_a_template_says_of_its_version(labels: dict[str, str], env: str, tag: str, version: int | None) -> None:
    variables = [{"name": "MODEL_VERSION", "value": env}, {"name": "MODEL_NAME", "value": "fraud"}]
    container = {"name": "model", "image": f"registry:5000/fraud:{tag}", "env": variables if env else variables[1:]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    assert version_of(template) == version
    assert model_of({"metadata": {}, "spec": {"template": template}}) == "fraud"
