"""Traffic: a canary's weight, blue and green, and the steps of an Argo Rollout."""

import asyncio
from typing import Any

import pytest

from mlops_tui.domain.errors import ConfigError, Missing, Refused
from mlops_tui.domain.operation import Confirmation, OperationState
from mlops_tui.operations import bluegreen
from tests.contract.kubernetes_operations.conftest import (
    Bench,
    MakeBench,
    complete,
    deployed,
    events_of,
    get,
    kubectl,
    post,
)
from tests.contract.kubernetes_source.harness import PATIENCE, Server

SERVICE = "v1 services/features"
VIRTUAL = "networking.istio.io/v1beta1 virtualservices/fraud"
ROLLOUT = "argoproj.io/v1alpha1 rollouts/embedder"


async def variant(server: Server, name: str, labels: dict[str, str], image: str) -> None:
    """Make a Deployment that its labels tell from its siblings."""
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "model", "image": image}]}}
    await server.create(name, image=image, selector={"matchLabels": labels}, template=template)


@pytest.fixture
async def coloured(server: Server) -> None:
    """Blue, which is live, green, and grey, which cannot start."""
    for colour, image in (
        ("blue", "registry/features:v1"),
        ("green", "registry/features:v2"),
        ("grey", "features:bad"),
    ):
        await variant(server, f"features-{colour}", {"app": "features", "version": colour}, image)
    for colour in ("blue", "green"):
        await deployed(server, f"features-{colour}", complete)
    spec = {"selector": {"app": "features", "version": "blue"}, "ports": [{"port": 80, "protocol": "TCP"}]}
    await post(server, "v1", "services", {"metadata": {"name": "features"}, "spec": spec})


async def test_blue_becomes_green_and_blue_again(bench: Bench, server: Server, coloured: None) -> None:
    plan = await bench.plan("traffic", "features-green")
    assert plan.title == f"Switch {server.namespace}/features from blue to green"
    assert [(change.what, change.before, change.after) for change in plan.changes] == [
        ("selector version", "blue", "green"),
        ("image", "registry/features:v1", "registry/features:v2"),
    ]
    assert [choice.label for choice in plan.fields[0].choices] == ["blue (live)", "green", "grey"]
    row = await bench.carry_out(plan)
    assert (row.state, row.outcome) == (
        OperationState.DONE,
        f"{server.namespace}/features serves green: 2 of 2 pods are ready",
    )
    assert (await get(server, SERVICE))["spec"]["selector"] == {"app": "features", "version": "green"}
    assert (await bench.plan("traffic", "features", to="green")).idle == "green is live already"
    [event] = await events_of(server, "features")
    assert (event["reason"], event["involvedObject"]["kind"]) == ("TrafficSwitched", "Service")
    row = await bench.undo(row)
    assert row.state is OperationState.DONE
    assert (await get(server, SERVICE))["spec"]["selector"]["version"] == "blue"


@pytest.mark.tool("kubectl")
async def test_the_equivalent_command_does_the_same(bench: Bench, server: Server, coloured: None) -> None:
    plan = await bench.plan("traffic", "features", to="green")
    patch = plan.command.rpartition("--patch=")[2].strip("'")
    await kubectl(server, "patch", "service", "features", f"--patch={patch}")
    assert (await get(server, SERVICE))["spec"]["selector"] == {"app": "features", "version": "green"}


async def test_nobody_is_sent_to_where_nothing_is_ready(bench: Bench, server: Server, coloured: None) -> None:
    plan = await bench.plan("traffic", "features", to="grey")
    assert plan.refusals[0].text == "no pod of grey is ready: every request would fail"
    with pytest.raises(Refused):
        bench.desk.execute(plan.id, Confirmation())
    with pytest.raises(ConfigError, match="no Deployment has version=pink"):
        await bench.plan("traffic", "features", to="pink")


async def test_a_service_that_was_switched_since_the_plan_is_left_alone(
    bench: Bench, server: Server, coloured: None
) -> None:
    plan = await bench.plan("traffic", "features", to="green")
    path = f"/api/v1/namespaces/{server.namespace}/services/features"
    await server.send("PATCH", path, {"spec": {"sessionAffinity": "ClientIP"}}, "application/merge-patch+json")
    row = await bench.carry_out(plan)
    assert "the world has moved" in row.outcome
    assert (await get(server, SERVICE))["spec"]["selector"]["version"] == "blue"


async def test_who_may_not_switch_is_told(make: MakeBench, server: Server, coloured: None) -> None:
    oncall = make(context="oncall")
    plan = await oncall.plan("traffic", "features")
    assert plan.refusals[0].text == f"may not patch services in namespace {server.namespace}"


async def test_it_waits_for_pods_and_says_so(
    bench: Bench, server: Server, coloured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([(0, 2), (1, 2)])

    async def ready(*given: Any) -> Any:
        return next(looks)

    monkeypatch.setattr(bluegreen, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(bluegreen, "ready_pods", ready)
    row = await bench.do("traffic", "features", to="green")
    assert [line.partition(" behind")[0] for line in row.progress] == ["0 of 2 pods", "1 of 2 pods"]


@pytest.fixture
async def canary(server: Server, with_custom_resources: None) -> None:
    """A stable Deployment and a canary, with 95 and 5 % of the requests, and a route by header."""
    for track, image in (("stable", "registry/fraud:v1"), ("canary", "registry/fraud:v2")):
        name = "fraud" if track == "stable" else "fraud-canary"
        await variant(server, name, {"app": "fraud", "track": track}, image)
        await deployed(server, name, complete)
    spec = {"selector": {"app": "fraud"}, "ports": [{"port": 80, "protocol": "TCP"}]}
    await post(server, "v1", "services", {"metadata": {"name": "fraud"}, "spec": spec})
    host = f"fraud.{server.namespace}.svc.cluster.local"
    subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
    rule = {"metadata": {"name": "fraud"}, "spec": {"host": host, "subsets": subsets}}
    istio = "networking.istio.io/v1beta1"
    await post(server, istio, "destinationrules", {"apiVersion": istio, "kind": "DestinationRule", **rule})
    header = {
        "name": "by-header",
        "match": [{"headers": {"canary": {"exact": "true"}}}],
        "route": [{"destination": {"host": host, "subset": "canary"}}],
    }
    shared = {
        "route": [
            {"destination": {"host": host, "subset": "stable"}, "weight": 95},
            {"destination": {"host": host, "subset": "canary"}, "weight": 5},
        ]
    }
    virtual = {"metadata": {"name": "fraud"}, "spec": {"hosts": ["fraud"], "http": [header, shared]}}
    await post(server, istio, "virtualservices", {"apiVersion": istio, "kind": "VirtualService", **virtual})


@pytest.mark.parametrize("name", ["fraud", "fraud-canary"])
async def test_a_canary_gets_more_and_less(bench: Bench, server: Server, canary: None, name: str) -> None:
    before = await get(server, VIRTUAL)
    plan = await bench.plan("traffic", name)
    assert (plan.idle, plan.fields[0].value) == ("canary gets 5 % already", "5")
    plan = await bench.plan("traffic", name, weight="30")
    assert [(change.what, change.before, change.after) for change in plan.changes] == [
        ("stable", "95 %", "70 %"),
        ("canary", "5 %", "30 %"),
    ]
    row = await bench.carry_out(plan)
    assert (row.state, row.outcome) == (OperationState.DONE, f"{server.namespace}/fraud: stable 70 %, canary 30 %")
    after = await get(server, VIRTUAL)
    assert after["spec"]["http"][0] == before["spec"]["http"][0]
    assert [each["weight"] for each in after["spec"]["http"][1]["route"]] == [70, 30]
    [event] = await events_of(server, "fraud")
    assert event["involvedObject"]["kind"] == "VirtualService"
    assert (await bench.undo(row)).state is OperationState.DONE
    assert (await get(server, VIRTUAL))["spec"] == before["spec"]


@pytest.mark.tool("kubectl")
async def test_the_equivalent_command_for_weights(bench: Bench, server: Server, canary: None) -> None:
    plan = await bench.plan("traffic", "fraud", weight="30")
    patch = plan.command.rpartition("--patch=")[2].strip("'")
    await kubectl(server, "patch", "virtualservice", "fraud", "--type=json", f"--patch={patch}")
    http = (await get(server, VIRTUAL))["spec"]["http"]
    assert [each["weight"] for each in http[1]["route"]] == [70, 30]


async def test_weights_that_were_changed_since_the_plan_are_left_alone(
    bench: Bench, server: Server, canary: None
) -> None:
    mine, theirs = [await bench.plan("traffic", "fraud", weight=weight) for weight in ("30", "50")]
    assert (await bench.carry_out(theirs)).state is OperationState.DONE
    row = await bench.carry_out(mine)
    assert "somebody has changed" in row.outcome
    assert [each["weight"] for each in (await get(server, VIRTUAL))["spec"]["http"][1]["route"]] == [50, 50]


async def test_a_canary_that_does_not_run_gets_nothing(bench: Bench, server: Server, canary: None) -> None:
    await server.patch("fraud-canary", {"spec": {"replicas": 0}})
    await deployed(server, "fraud-canary", complete)
    async with asyncio.timeout(PATIENCE):
        while not (plan := await bench.plan("traffic", "fraud", weight="30")).refusals:
            await asyncio.sleep(0.05)
    assert plan.refusals[0].text == "no pod of canary is ready: 30 % of the requests would fail"
    assert (await bench.plan("traffic", "fraud", weight="0")).refusals == ()


async def test_what_does_not_fit_is_refused_by_name(bench: Bench, server: Server, canary: None) -> None:
    for given, said in (
        ({"weight": "101"}, "no percentage"),
        ({"weight": "-1"}, "no percentage"),
        ({"weight": "5", "to": "blue"}, "of different things"),
        ({"through": "service/fraud"}, "does not decide that"),
    ):
        with pytest.raises(ConfigError, match=said):
            await bench.plan("traffic", "fraud", **given)
    assert "neither" not in (await bench.plan("traffic", "fraud", to="blue")).refusals[0].hint
    with pytest.raises(Missing):
        await bench.plan("traffic", "nothing")
    with pytest.raises(Missing, match="Argo Rollout"):
        await bench.plan("traffic", "fraud", do="promote")


def rollout(image: str) -> dict[str, Any]:
    """Return a Rollout that pauses after its first step and after its second."""
    template = {
        "metadata": {"labels": {"app": "embedder"}},
        "spec": {"containers": [{"name": "server", "image": image}]},
    }
    steps = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "embedder"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "embedder"}},
            "template": template,
            "strategy": {"canary": {"steps": steps}},
        },
    }


async def at(server: Server, **wanted: Any) -> dict[str, Any]:
    """Wait until the Rollout's status is as wanted, and return it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            body = await get(server, ROLLOUT)
            status = body.get("status") or {}
            if all(status.get(key) == value for key, value in wanted.items()):
                return body
            await asyncio.sleep(0.05)


@pytest.fixture
async def paused(demo_server: Server, server: Server, with_custom_resources: None) -> Server:
    """The demo's server, whose Argo works, with an update that waits at its first pause."""
    await post(server, "argoproj.io/v1alpha1", "rollouts", rollout("registry/embedder:v1"))
    await at(server, phase="Healthy")
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{server.namespace}/rollouts/embedder"
    template = rollout("registry/embedder:v2")["spec"]["template"]
    await server._http.patch(
        path, json={"spec": {"template": template}}, headers={"Content-Type": "application/merge-patch+json"}
    )
    await at(server, phase="Paused", currentStepIndex=1)
    return server


only_demo = pytest.mark.parametrize("server", ["demo_server"], indirect=True)


@only_demo
async def test_an_update_goes_on_step_by_step_and_to_the_end(bench: Bench, paused: Server) -> None:
    plan = await bench.plan("traffic", "embedder")
    assert plan.title == f"Promote the update of {paused.namespace}/embedder"
    assert plan.command.endswith("argo rollouts promote embedder")
    row = await bench.carry_out(plan)
    assert row.state is OperationState.DONE, row.outcome
    body = await at(paused, phase="Paused", currentStepIndex=3)
    assert body["status"]["stableRS"] != body["status"]["currentPodHash"]
    row = await bench.do("traffic", "embedder", do="promote-full")
    assert row.state is OperationState.DONE, row.outcome
    body = await get(paused, ROLLOUT)
    assert body["status"]["stableRS"] == body["status"]["currentPodHash"]
    assert (await bench.plan("traffic", "embedder", do="abort")).idle == "nothing is being rolled out"
    events = [event["reason"] for event in await events_of(paused, "embedder")]
    assert sorted(events) == ["FullyPromoted", "Promoted"]


@only_demo
async def test_an_update_is_aborted_and_begun_once_more(bench: Bench, paused: Server) -> None:
    row = await bench.do("traffic", "embedder", do="abort")
    assert row.state is OperationState.DONE, row.outcome
    body = await get(paused, ROLLOUT)
    assert (body["status"]["phase"], body["status"].get("updatedReplicas", 0)) == ("Degraded", 0)
    assert row.undo is not None
    assert row.undo.parameters == {"do": "retry"}
    row = await bench.undo(row)
    assert row.state is OperationState.DONE, row.outcome
    await at(paused, phase="Paused", currentStepIndex=1)


@only_demo
async def test_a_step_that_was_taken_since_the_plan_is_not_taken_again(bench: Bench, paused: Server) -> None:
    plans = [await bench.plan("traffic", "embedder") for _ in range(2)]
    assert (await bench.carry_out(plans[0])).state is OperationState.DONE
    await at(paused, phase="Paused", currentStepIndex=3)
    row = await bench.carry_out(plans[1])
    assert "it has moved since the plan" in row.outcome
    assert (await get(paused, ROLLOUT))["status"]["currentStepIndex"] == 3
