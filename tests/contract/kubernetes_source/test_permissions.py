"""Permissions that end at a namespace, as only a real API server has them."""

from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.base import RowKind, RowRef
from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.errors import Denied
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.base import Delta
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from tests.contract.kubernetes_source.harness import Server, Watcher

RBAC = "rbac.authorization.k8s.io"


async def service_account(server: Server, folder: Path, verbs: list[str]) -> Path:
    """Make a service account that may do `verbs` with Deployments of the test's namespace; return its kubeconfig."""
    core, rbac = f"/api/v1/namespaces/{server.namespace}", f"/apis/{RBAC}/v1/namespaces/{server.namespace}"
    named: dict[str, Any] = {"metadata": {"name": "viewer"}}
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs}]
    subjects = [{"kind": "ServiceAccount", "name": "viewer", "namespace": server.namespace}]
    role = {"apiGroup": RBAC, "kind": "Role", "name": "viewer"}
    await server.post_unchecked(f"{core}/serviceaccounts", named)
    await server.post_unchecked(f"{rbac}/roles", named | {"rules": rules})
    await server.post_unchecked(f"{rbac}/rolebindings", named | {"subjects": subjects, "roleRef": role})
    answer = await server.post_unchecked(f"{core}/serviceaccounts/viewer/token", {"spec": {}})
    config = folder / "kubeconfig"
    config.write_text(server.kubeconfig.read_text().replace(server.admin_token, answer["status"]["token"]))
    return config


def source_of(config: Path, *namespaces: str) -> KubernetesSource:
    """Return a source that watches these namespaces."""
    target = KubernetesTarget("kubernetes", str(config), "admin", dict.fromkeys(namespaces, "production"))
    return KubernetesSource(target, SystemClock())


async def test_a_namespace_that_may_not_be_read_leaves_the_others_alone(real_server: Server, tmp_path: Path) -> None:
    server = real_server
    config = await service_account(server, tmp_path, ["get", "list", "watch"])
    await server.create("fraud-api")
    async with Watcher(source_of(config, server.namespace, "kube-system")) as watcher:
        row = await watcher.row("fraud-api")
        detail = await watcher.source.detail(RowRef(kind=RowKind.ROLLOUT, key=row.key))
        probe = await watcher.source.probe()
    assert watcher.deltas[0].complete
    assert watcher.deltas[0].problems is not None
    [problem] = watcher.deltas[0].problems
    assert (problem.scope, problem.status) == ("namespace kube-system", SourceStatus.DENIED)
    assert problem.message == "may not list deployments in namespace kube-system"
    denied = {section.title: section.fields[0].value for section in detail[:3]}
    assert denied == {
        "Revisions": f"may not list replicasets in namespace {server.namespace}",
        "Pods": f"may not list pods in namespace {server.namespace}",
        "Events": f"may not list events in namespace {server.namespace}",
    }
    assert probe.status is SourceStatus.LIVE
    assert [problem.scope for problem in probe.problems] == ["namespace kube-system"]


async def test_nothing_may_be_read(real_server: Server, tmp_path: Path) -> None:
    config = await service_account(real_server, tmp_path, ["get"])
    source = source_of(config, real_server.namespace, "kube-system")
    with pytest.raises(Denied) as caught:
        await source.cycle(lambda delta: pytest.fail("nothing can be shown"))
    probe = await source.probe()
    await source.close()
    expected = f"list deployments in namespace {real_server.namespace}, list deployments in namespace kube-system"
    assert caught.value.missing == expected
    assert probe.status is SourceStatus.DENIED


async def test_who_may_list_and_not_watch_is_shown_the_list(real_server: Server, tmp_path: Path) -> None:
    config = await service_account(real_server, tmp_path, ["get", "list"])
    await real_server.create("fraud-api")
    source = source_of(config, real_server.namespace)
    published: list[Delta] = []
    with pytest.raises(Denied) as caught:
        await source.cycle(published.append)
    await source.close()
    assert caught.value.missing == f"watch deployments in namespace {real_server.namespace}"
    assert [[row.key for row in delta.upserts] for delta in published] == [
        [f"kubernetes/{real_server.namespace}/fraud-api"]
    ]
    assert published[0].complete


async def test_who_may_not_read_namespaces_is_told_of_none_that_is_missing(real_server: Server, tmp_path: Path) -> None:
    config = await service_account(real_server, tmp_path, ["get", "list", "watch"])
    async with Watcher(source_of(config, real_server.namespace)) as watcher:
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
        probe = await watcher.source.probe()
    assert watcher.deltas[0].problems == ()
    assert probe.problems == ()
