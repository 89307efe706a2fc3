"""As whom the source signs in, and what it says of that."""

from pathlib import Path

import pytest

from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.errors import Unauthenticated
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from tests.contract.kubernetes_source.harness import Server, Watcher


def source_with_token(server: Server, folder: Path, token: str) -> KubernetesSource:
    """Return a source for the server that signs in by `token`."""
    text = server.kubeconfig.read_text()
    config = folder / "kubeconfig"
    config.write_text(text.replace(server.admin_token, token))
    target = KubernetesTarget("kubernetes", str(config), "admin", {server.namespace: "production"})
    return KubernetesSource(target, SystemClock())


async def test_who_may_only_read_sees_everything(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source(context="oncall")) as watcher:
        row = await watcher.row("fraud-api")
    assert row.context == "oncall"
    assert watcher.deltas[0].identity == "oncall"


async def test_a_token_that_nobody_issued(server: Server, tmp_path: Path) -> None:
    source = source_with_token(server, tmp_path, "made-up-token")
    with pytest.raises(Unauthenticated) as caught:
        await source.cycle(lambda delta: pytest.fail("nothing can be shown"))
    assert "made-up-token" not in f"{caught.value!r} {caught.value.hint}"
    probe = await source.probe()
    await source.close()
    assert probe.status is SourceStatus.DENIED
    assert probe.error == f"{server.url} does not accept the credentials"
    assert probe.hint


async def test_credentials_that_were_replaced_are_found(server: Server, tmp_path: Path) -> None:
    await server.create("fraud-api")
    source = source_with_token(server, tmp_path, "expired-token")
    with pytest.raises(Unauthenticated):
        await source.cycle(lambda delta: None)
    (tmp_path / "kubeconfig").write_text(server.kubeconfig.read_text())
    async with Watcher(source) as watcher:
        await watcher.row("fraud-api")


async def test_probing_as_one_who_may_do_everything(server: Server) -> None:
    source = server.source()
    probe = await source.probe()
    await source.close()
    assert probe.status is SourceStatus.LIVE
    assert (probe.endpoint, probe.identity, probe.label) == (server.url, "admin", "admin")
    assert probe.version
    assert probe.latency is not None
    assert {permission.scope for permission in probe.permissions} == {f"namespace {server.namespace}"}
    assert {permission.name: permission.allowed for permission in probe.permissions} == {
        "list deployments": True,
        "watch deployments": True,
        "list replicasets": True,
        "list pods": True,
        "list events": True,
        "patch deployments": True,
        "update deployments/scale": True,
    }


async def test_probing_as_one_who_may_only_read(server: Server) -> None:
    source = server.source(context="oncall")
    probe = await source.probe()
    await source.close()
    assert probe.status is SourceStatus.LIVE
    refused = [permission for permission in probe.permissions if permission.allowed is False]
    assert [permission.name for permission in refused] == ["patch deployments", "update deployments/scale"]
    assert all("kubectl auth can-i" in permission.hint for permission in refused)
