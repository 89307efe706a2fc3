"""kubectl itself, as people use it: unchanged, over TLS, with both contexts; what counts is what it leaves behind."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.kubernetes_server.harness import PATIENCE, Api, deployment

pytestmark = pytest.mark.tool("kubectl")


@dataclass(frozen=True)
class Said:
    """What kubectl said."""

    code: int
    out: str
    err: str


@dataclass
class Kubectl:
    """kubectl, for one server and its namespace."""

    api: Api
    cache: Path

    async def attempt(self, *arguments: str, context: str = "admin", stdin: str = "") -> Said:
        """Run it and return what it said."""
        common = (
            "--kubeconfig", str(self.api.kubeconfig), "--context", context, "--namespace", self.api.namespace,
            "--cache-dir", str(self.cache),
        )  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "kubectl", *common, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
        )
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin.encode())
        return Said(process.returncode or 0, out.decode().strip(), err.decode().strip())

    async def __call__(self, *arguments: str, context: str = "admin", stdin: str = "") -> str:
        """Run it, expect success, and return its output."""
        said = await self.attempt(*arguments, context=context, stdin=stdin)
        assert said.code == 0, said.err
        return said.out


@pytest.fixture
def kubectl(live: Api, tmp_path: Path) -> Kubectl:
    """kubectl for a server with pods that run."""
    return Kubectl(live, tmp_path / "cache")


def manifest(**spec: Any) -> str:
    """Return a manifest as it lies in a repository."""
    return json.dumps(deployment("fraud", image="fraud:1", **spec))


async def images(api: Api) -> list[str]:
    """Return the images of the ReplicaSets that have pods."""
    items = (await api.get(api.replica_sets))["items"]
    return [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in items if each["spec"]["replicas"]]


async def test_a_release_from_apply_to_undo(kubectl: Kubectl) -> None:
    api = kubectl.api
    assert await kubectl("apply", "-f", "-", stdin=manifest()) == "deployment.apps/fraud created"
    status = await kubectl("rollout", "status", "deploy/fraud")
    assert status.splitlines()[-1] == 'deployment "fraud" successfully rolled out'
    await kubectl("set", "image", "deploy/fraud", "main=fraud:2")
    await kubectl("annotate", "deploy/fraud", "kubernetes.io/change-cause=fraud v2")
    await kubectl("wait", "deploy/fraud", "--for=jsonpath={.status.updatedReplicas}=2", "--timeout=20s")
    await kubectl("rollout", "status", "deploy/fraud")
    assert await images(api) == ["fraud:2"]
    history = await kubectl("rollout", "history", "deploy/fraud")
    assert [line.split(None, 1) for line in history.splitlines()[2:]] == [["1", "<none>"], ["2", "fraud v2"]]
    assert "fraud:1" in await kubectl("rollout", "history", "deploy/fraud", "--revision=1")
    assert await kubectl("rollout", "undo", "deploy/fraud") == "deployment.apps/fraud rolled back"
    await kubectl("rollout", "status", "deploy/fraud")
    assert await images(api) == ["fraud:1"]


async def test_pausing_scaling_and_restarting(kubectl: Kubectl) -> None:
    api, path = kubectl.api, f"{kubectl.api.deployments}/fraud"
    await kubectl("apply", "-f", "-", stdin=manifest(replicas=1))
    assert await kubectl("scale", "deploy/fraud", "--replicas=3") == "deployment.apps/fraud scaled"
    await kubectl("wait", "deploy/fraud", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=20s")
    assert await kubectl("rollout", "pause", "deploy/fraud") == "deployment.apps/fraud paused"
    refused = await kubectl.attempt("rollout", "restart", "deploy/fraud")
    assert (refused.code, "paused" in refused.err) == (1, True)
    assert await kubectl("rollout", "resume", "deploy/fraud") == "deployment.apps/fraud resumed"
    assert await kubectl("rollout", "restart", "deploy/fraud") == "deployment.apps/fraud restarted"
    await kubectl("rollout", "status", "deploy/fraud")
    template = (await api.get(path))["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    assert (await api.get(path))["status"]["updatedReplicas"] == 3
    wide = (await kubectl("get", "deploy", "-o", "wide")).splitlines()
    assert wide[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert [wide[1].split()[place] for place in (0, 1, 2, 3, 5, 6, 7)] == [
        "fraud", "3/3", "3", "3", "main", "fraud:1", "app=fraud",
    ]  # fmt: skip
    described = await kubectl("describe", "deploy/fraud")
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in described
    assert "Scaled up replica set" in described


async def test_applying_again_and_again(kubectl: Kubectl) -> None:
    path = f"{kubectl.api.deployments}/fraud"
    first, second = manifest(replicas=0), manifest(replicas=0, minReadySeconds=3)
    dry = await kubectl("apply", "-f", "-", "--dry-run=server", stdin=first)
    assert dry == "deployment.apps/fraud created (server dry run)"
    assert await kubectl.api.names(kubectl.api.deployments) == []
    await kubectl("apply", "-f", "-", stdin=first)
    assert await kubectl("apply", "-f", "-", stdin=first) == "deployment.apps/fraud unchanged"
    assert (await kubectl.attempt("diff", "-f", "-", stdin=first)).code == 0
    difference = await kubectl.attempt("diff", "-f", "-", stdin=second)
    assert difference.code == 1
    assert "+  minReadySeconds: 3" in difference.out
    assert await kubectl("apply", "-f", "-", stdin=second) == "deployment.apps/fraud configured"
    await kubectl("apply", "-f", "-", stdin=first)
    assert "minReadySeconds" not in (await kubectl.api.get(path))["spec"]


async def test_applying_on_the_servers_side(kubectl: Kubectl) -> None:
    def apply(*more: str) -> tuple[str, ...]:
        return ("apply", "--server-side", "-f", "-", *more)

    first = manifest(replicas=0)
    assert await kubectl(*apply(), stdin=first) == "deployment.apps/fraud serverside-applied"
    await kubectl("label", "deploy/fraud", "app=other", "--overwrite")
    refused = await kubectl.attempt(*apply(), stdin=first)
    assert refused.code == 1
    assert 'conflict with "kubectl-label" using apps/v1: .metadata.labels.app' in refused.err
    await kubectl(*apply("--force-conflicts"), stdin=first)
    assert (await kubectl.api.get(f"{kubectl.api.deployments}/fraud"))["metadata"]["labels"] == {"app": "fraud"}
    refused = await kubectl.attempt(*apply("--field-manager=ci"), stdin=manifest(replicas=2))
    assert 'conflict with "kubectl": .spec.replicas' in refused.err
    dry = await kubectl(*apply("--dry-run=server"), stdin=manifest(replicas=2))
    assert dry == "deployment.apps/fraud serverside-applied (server dry run)"
    assert (await kubectl.api.get(f"{kubectl.api.deployments}/fraud"))["spec"]["replicas"] == 0


async def test_who_is_on_call_reads_and_is_refused_writes(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=manifest(replicas=0))
    listed = await kubectl("get", "deploy,rs", "-o", "name", context="oncall")
    assert listed.splitlines()[0] == "deployment.apps/fraud"
    assert "fraud:1" in await kubectl("describe", "deploy/fraud", context="oncall")
    can = await kubectl.attempt("auth", "can-i", "list", "deployments", context="oncall")
    cannot = await kubectl.attempt("auth", "can-i", "patch", "deployments", context="oncall")
    assert ((can.out, can.code), (cannot.out, cannot.code)) == (("yes", 0), ("no", 1))
    assert await kubectl("auth", "can-i", "patch", "deployments") == "yes"
    for arguments, verb, resource in (
        (("scale", "deploy/fraud", "--replicas=2"), "patch", "deployments/scale"),
        (("rollout", "restart", "deploy/fraud"), "patch", "deployments"),
        (("delete", "deploy/fraud"), "delete", "deployments"),
    ):
        refused = await kubectl.attempt(*arguments, context="oncall")
        expected = f'User "oncall" cannot {verb} resource "{resource}" in API group "apps"'
        assert (refused.code, expected in refused.err) == (1, True), refused.err
    assert (await kubectl.api.get(f"{kubectl.api.deployments}/fraud"))["spec"]["replicas"] == 0


async def test_deleting_waits_for_what_goes_first(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=manifest(replicas=1))
    await kubectl("rollout", "status", "deploy/fraud")
    deleted = await kubectl("delete", "deploy/fraud", "--cascade=foreground", "--timeout=20s")
    assert deleted == 'deployment.apps "fraud" deleted'
    assert await kubectl.api.names(kubectl.api.replica_sets) == []


async def test_logs(demo_api: Api, tmp_path: Path) -> None:
    kubectl = Kubectl(demo_api, tmp_path / "cache")
    await kubectl("apply", "-f", "-", stdin=manifest(replicas=1))
    await kubectl("rollout", "status", "deploy/fraud")
    lines = (await kubectl("logs", "deploy/fraud", context="oncall")).splitlines()
    assert lines[0] == "starting fraud:1"
    assert await kubectl("logs", "deploy/fraud", "--tail=1") == lines[-1]
    refused = await kubectl.attempt("logs", "deploy/fraud", "--previous")
    assert 'previous terminated container "main" in pod' in refused.err
