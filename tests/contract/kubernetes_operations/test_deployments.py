"""Scale, undo, restart, pause: what is sent, what it takes, and what is left behind."""

import asyncio
from typing import Any

import pytest

from mlops_tui.domain.errors import Conflict, Refused
from mlops_tui.domain.operation import Confirmation, OperationState
from mlops_tui.operations import restart, rollback, scale
from mlops_tui.operations.rollouts import REVISION
from mlops_tui.operations.systems import ClusterSystem
from tests.contract.kubernetes_operations.conftest import (
    Bench,
    MakeBench,
    complete,
    deployed,
    events_of,
    get,
    kubectl,
    overdue,
    post,
)
from tests.contract.kubernetes_source.harness import Server

DEPLOYMENT = "apps/v1 deployments/fraud-api"


async def rolled_out(server: Server, name: str = "fraud-api", **spec: Any) -> None:
    await server.create(name, **spec)
    await deployed(server, name, complete)


async def test_scaling_waits_for_the_pods_and_leaves_a_mark(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    row = await bench.do("scale", "fraud-api", replicas="4")
    assert (row.state, row.outcome) == (OperationState.DONE, 'deployment "fraud-api" successfully rolled out')
    assert complete(await get(server, DEPLOYMENT))
    assert row.progress[-1] == row.outcome
    [event] = await events_of(server, "fraud-api")
    assert (event["reason"], event["reportingInstance"]) == ("Scaled", row.id)
    row = await bench.undo(row)
    assert row.state is OperationState.DONE
    assert (await get(server, DEPLOYMENT))["spec"]["replicas"] == 2


async def test_scaling_to_what_it_has_is_nothing_to_do(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    plan = await bench.plan("scale", "fraud-api")
    assert (plan.idle, plan.fields[0].value) == ("it asks for 2 replicas already", "2")


async def test_a_rollout_that_hangs_is_undone_to_a_chosen_revision(bench: Bench, server: Server) -> None:
    await rolled_out(server, progressDeadlineSeconds=2)
    await server.set_image("fraud-api", "registry/fraud:v2", "release v2")
    await deployed(server, "fraud-api", complete)
    await server.set_image("fraud-api", "registry/fraud:bad", "release v3")
    await deployed(server, "fraud-api", overdue)
    plan = await bench.plan("rollback", "fraud-api", to_revision="1")
    assert [choice.label for choice in plan.fields[0].choices] == ["3 (now)", "2", "1"]
    assert [choice.note.split()[0] for choice in plan.fields[0].choices] == [
        "registry/fraud:bad",
        "registry/fraud:v2",
        "registry/fraud:v1",
    ]
    row = await bench.carry_out(plan)
    assert (row.state, row.outcome) == (OperationState.DONE, 'deployment "fraud-api" successfully rolled out')
    body = await get(server, DEPLOYMENT)
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/fraud:v1"
    assert row.undo is not None
    assert row.undo.parameters == {"to_revision": "3"}
    # Undone while it hangs, the undo is one that fails as loudly as the rollout did.
    row = await bench.undo(row)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)
    assert "exceeded its progress deadline" in row.outcome


@pytest.mark.tool("kubectl")
@pytest.mark.parametrize("revision", [0, 1])
async def test_an_undo_leaves_what_kubectl_leaves(bench: Bench, server: Server, revision: int) -> None:
    for name in ("ours", "kubectls"):
        await rolled_out(server, name)
        await server.set_image(name, "registry/fraud:v2", "release v2")
        await deployed(server, name, complete)
        patch = {
            "metadata": {"annotations": {"mine": "kept in the revision", "kubernetes.io/change-cause": "release v3"}},
            "spec": {
                "template": {
                    "metadata": {"annotations": {"scrape": "yes"}},
                    "spec": {"containers": [{"name": "model", "image": "registry/fraud:bad"}]},
                }
            },
        }
        await server.patch(name, patch)
        await deployed(server, name, lambda body: body["metadata"]["annotations"][REVISION] == "3")
    given = {"to_revision": str(revision)} if revision else {}
    row = await bench.do("rollback", "ours", **given)
    await kubectl(server, "rollout", "undo", "deployment/kubectls", f"--to-revision={revision}")
    assert row.state is OperationState.DONE
    left = []
    for name in ("ours", "kubectls"):
        body = await deployed(server, name, complete)
        sets = (await get(server, f"apps/v1 replicasets?labelSelector=app={name}"))["items"]
        numbers = {
            each["spec"]["template"]["spec"]["containers"][0]["image"]: (
                each["metadata"]["annotations"][REVISION],
                each["metadata"]["annotations"].get("deployment.kubernetes.io/revision-history"),
                each["metadata"]["annotations"].get("kubernetes.io/change-cause"),
                each["metadata"]["annotations"].get("mine"),
            )
            for each in sets
        }
        body["spec"]["template"]["metadata"]["labels"].pop("app")
        left.append((body["spec"]["template"], body["metadata"]["annotations"], numbers))
    assert left[0] == left[1]


async def test_restart_pause_and_resume(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    before = (await get(server, DEPLOYMENT))["spec"]["template"]
    row = await bench.do("restart", "fraud-api")
    assert (row.state, row.outcome) == (OperationState.DONE, 'deployment "fraud-api" successfully rolled out')
    body = await get(server, DEPLOYMENT)
    assert "kubectl.kubernetes.io/restartedAt" in body["spec"]["template"]["metadata"]["annotations"]
    assert body["spec"]["template"]["spec"] == before["spec"]
    paused = await bench.do("pause", "fraud-api")
    assert (await get(server, DEPLOYMENT))["spec"]["paused"] is True
    for verb in ("restart", "rollback"):
        assert "paused" in (await bench.plan(verb, "fraud-api")).refusals[0].text
    assert (await bench.plan("pause", "fraud-api")).idle == "it is paused already"
    assert (await bench.undo(paused)).state is OperationState.DONE
    assert "paused" not in (await get(server, DEPLOYMENT))["spec"]


@pytest.mark.parametrize("verb", ["scale", "rollback", "restart", "pause"])
async def test_what_was_changed_since_the_plan_is_left_alone(bench: Bench, server: Server, verb: str) -> None:
    await rolled_out(server)
    await server.set_image("fraud-api", "registry/fraud:v2")
    await deployed(server, "fraud-api", complete)
    plan = await bench.plan(verb, "fraud-api", **({"replicas": "9"} if verb == "scale" else {}))
    await server.set_image("fraud-api", "registry/fraud:v3")
    moved = await deployed(server, "fraud-api", complete)
    row = await bench.carry_out(plan)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)
    assert "the world has moved" in row.outcome
    assert row.next == "nothing was changed; plan it again"
    now = await get(server, DEPLOYMENT)
    assert now["spec"] == moved["spec"]
    assert now["metadata"]["generation"] == moved["metadata"]["generation"]


async def test_a_deployment_made_anew_is_another_one(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    plan = await bench.plan("restart", "fraud-api")
    await server.send("DELETE", server.path("fraud-api"))
    await rolled_out(server, image="registry/fraud:v1")
    row = await bench.carry_out(plan)
    assert "was deleted and made anew" in row.outcome


@pytest.mark.parametrize("verb", ["scale", "rollback", "pause"])
async def test_changes_that_are_not_of_the_specification_do_not_stop_it(
    bench: Bench, server: Server, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rolled_out(server)
    await server.set_image("fraud-api", "registry/fraud:v2")
    await deployed(server, "fraud-api", complete)
    plan = await bench.plan(verb, "fraud-api", **({"replicas": "3"} if verb == "scale" else {}))
    read, races = bench.actor.get, 3

    async def racing(kind: str, namespace: str, name: str) -> Any:
        nonlocal races
        found = await read(kind, namespace, name)
        if kind == "deployments.apps" and races:
            races -= 1
            await server.patch("fraud-api", {"metadata": {"labels": {"race": str(races)}}})
        return found

    monkeypatch.setattr(bench.actor, "get", racing)
    row = await bench.carry_out(plan)
    assert (row.state, races) == (OperationState.DONE, 0)


async def test_one_that_never_rests_is_given_up(bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await rolled_out(server)
    plan = await bench.plan("scale", "fraud-api", replicas="3")

    async def lost(*arguments: Any, **named: Any) -> Any:
        raise Conflict("it has changed meanwhile")

    monkeypatch.setattr(bench.actor, "put", lost)
    row = await bench.carry_out(plan)
    assert (row.state, row.exit_code) == (OperationState.FAILED, 1)
    assert "changes faster than it can be read" in row.outcome


async def test_a_dry_run_changes_nothing(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    before = await get(server, DEPLOYMENT)
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]}
    operations = [version, {"op": "replace", "path": "/spec/replicas", "value": 7}]
    actor: ClusterSystem = bench.actor
    answer = await actor.patch("deployments.apps", server.namespace, "fraud-api", operations, dry_run=True)
    assert answer["spec"]["replicas"] == 7
    await actor.create("events", server.namespace, {**_event(server), "kind": "Event"}, dry_run=True)
    now = await get(server, DEPLOYMENT)
    assert now["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await events_of(server, "fraud-api") == []


def _event(server: Server) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "metadata": {"name": "tried", "namespace": server.namespace},
        "involvedObject": {"kind": "Deployment", "name": "fraud-api", "namespace": server.namespace},
        "reason": "Tried",
        "message": "tried",
        "type": "Normal",
        "source": {"component": "mlops-tui"},
    }


@pytest.mark.parametrize("verb", ["scale", "rollback", "restart", "pause"])
async def test_who_may_not_is_told_in_the_plan_and_by_the_server(
    make: MakeBench, server: Server, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rolled_out(server)
    await server.set_image("fraud-api", "registry/fraud:v2")
    before = await deployed(server, "fraud-api", complete)
    oncall = make(context="oncall")
    given = {"replicas": "3"} if verb == "scale" else {}
    plan = await oncall.plan(verb, "fraud-api", **given)
    lacking = "update deployments/scale" if verb == "scale" else "patch deployments"
    assert plan.refusals[0].text == f"may not {lacking} in namespace {server.namespace}"
    with pytest.raises(Refused, match="may not"):
        oncall.desk.execute(plan.id, Confirmation())

    async def nobody_knows(*needs: Any) -> tuple[()]:
        return ()

    for module in (scale, rollback, restart):
        monkeypatch.setattr(module, "not_permitted", nobody_knows)
    row = await oncall.carry_out(await oncall.plan(verb, "fraud-api", **given))
    assert (row.state, row.exit_code) == (OperationState.FAILED, 4)
    assert lacking in row.outcome
    assert (await get(server, DEPLOYMENT))["metadata"]["generation"] == before["metadata"]["generation"]


async def test_who_would_undo_it_is_named(bench: Bench, server: Server) -> None:
    await rolled_out(server)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud-api"}
    spec = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 8}
    # Old servers have nothing newer, new ones nothing older.
    root = f"namespaces/{server.namespace}/horizontalpodautoscalers"
    scaler = {"metadata": {"name": "fraud-api"}, "spec": spec}
    answers = [await server._http.post(f"/apis/autoscaling/{version}/{root}", json=scaler) for version in ("v2", "v1")]
    assert any(answer.status_code == 201 for answer in answers)
    marks = {
        "argocd.argoproj.io/tracking-id": "fraud:apps/Deployment:ml/fraud-api",
        "meta.helm.sh/release-name": "fraud",
    }
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    await server.patch("fraud-api", {"metadata": {"annotations": marks, "labels": labels}})
    plan = await bench.plan("scale", "fraud-api", replicas="3")
    said = [concern.text for concern in plan.warnings]
    assert said[0] == "the autoscaler fraud-api (2 to 8) decides the number and will undo this"
    assert plan.warnings[0].hint == "change minReplicas and maxReplicas of hpa/fraud-api instead"
    assert {text.partition(" manages")[0] for text in said[1:]} == {"Argo CD", "Flux", "Helm"}


async def test_two_desks_and_one_lock(make: MakeBench, server: Server) -> None:
    for name in ("one", "two"):
        await rolled_out(server, name, image="registry/fraud:v1")
    first, second = make(lock=True), make(lock=True)
    plans = [await first.plan("scale", "one", replicas="3"), await second.plan("scale", "two", replicas="3")]
    rows = await asyncio.gather(first.carry_out(plans[0]), second.carry_out(plans[1]))
    assert sorted(row.state for row in rows) == [OperationState.DONE, OperationState.REFUSED]
    [refused] = [row for row in rows if row.state is OperationState.REFUSED]
    assert refused.exit_code == 5
    assert "the release lock of" in refused.outcome
    replicas = [(await get(server, f"apps/v1 deployments/{name}"))["spec"]["replicas"] for name in ("one", "two")]
    assert sorted(replicas) == [2, 3]
    lease = await get(server, "coordination.k8s.io/v1 leases/mlops-tui-release")
    assert not lease["spec"].get("holderIdentity")
    # Given back: the next one has it.
    again = second if rows[1] is refused else first
    name = "two" if rows[1] is refused else "one"
    assert (await again.do("scale", name, replicas="3")).state is OperationState.DONE


async def test_the_lock_of_the_dead_expires(make: MakeBench, server: Server) -> None:
    await rolled_out(server)
    lease: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "mlops-tui-release"},
        "spec": {
            "holderIdentity": "dana/gone",
            "leaseDurationSeconds": 60,
            "acquireTime": "2020-01-01T00:00:00.000000Z",
            "renewTime": "2020-01-01T00:00:00.000000Z",
            "leaseTransitions": 3,
        },
    }
    await post(server, "coordination.k8s.io/v1", "leases", lease)
    assert (await make(lock=True).do("scale", "fraud-api", replicas="3")).state is OperationState.DONE
    left = await get(server, "coordination.k8s.io/v1 leases/mlops-tui-release")
    assert left["spec"]["leaseTransitions"] == 4
