"""The servers that the Kubernetes source is tried on."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.demo.kubernetes import Cluster, ImageBehaviour, create_app
from mlops_tui.domain.clock import SystemClock
from mlops_tui.sources.kubernetes import connection, watch
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.transport import decode
from tests.contract.kubernetes_source.harness import Server
from tests.contract.kubernetes_source.schema import check
from tests.support.clock import settle
from tests.support.control_plane import ControlPlane, available
from tests.support.kubelet import Kubelet
from tests.support.serving import serving

SERVERS = ["demo_server", *(["real_server"] if available() else [])]
START_SECONDS = 0.05
"""How long the demo's pods take: about as long as the stand-in for the kubelet on the real server."""
collect_ignore = [] if available() else ["test_permissions.py"]


def checked_decode(data: bytes, server: str) -> dict[str, Any]:
    """Decode as the source does, and hold the object against the official schemas."""
    thing = decode(data, server)
    check(thing)
    return thing


async def checked_review(self: Connection, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post as the source does, after checking what it sends."""
    check(body)
    return await plain_review(self, path, body)


plain_review = Connection.review


@pytest.fixture
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check whatever the source sends to a server that behaves, and reads from it."""
    monkeypatch.setattr(Connection, "review", checked_review)
    for module in (connection, watch):
        monkeypatch.setattr(module, "decode", checked_decode)


@pytest.fixture
async def demo_server(tmp_path: Path, _checked: None) -> AsyncIterator[Server]:
    """The demo's server on a port of its own."""
    cluster = Cluster(SystemClock())
    cluster.behaviours += [ImageBehaviour("*bad*", START_SECONDS, pull_error=True), ImageBehaviour("*", START_SECONDS)]
    app = create_app(cluster, {"admin-token": "admin", "oncall-token": "oncall"})
    controllers = asyncio.create_task(cluster.run())
    async with serving(app) as url:
        server = Server(url, kubeconfig_of(url, tmp_path / "demo-kubeconfig"), True, "admin-token")
        server.namespace = await server.new_namespace()
        yield server
        await server.aclose()
    controllers.cancel()
    with suppress(asyncio.CancelledError):
        await controllers
    await settle()


def kubeconfig_of(url: str, path: Path) -> Path:
    """Write a kubeconfig with the contexts `admin` and `oncall`, and return its path."""
    roles = ("admin", "oncall")
    config = {
        "clusters": [{"name": "local", "cluster": {"server": url}}],
        "users": [{"name": role, "user": {"token": f"{role}-token"}} for role in roles],
        "contexts": [{"name": role, "context": {"cluster": "local", "user": role}} for role in roles],
        "current-context": "admin",
    }
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
async def real_server(control_plane: ControlPlane, _checked: None) -> AsyncIterator[Server]:
    """The real control plane, with a namespace and a kubelet's stand-in for this test."""
    plane = control_plane
    server = Server(plane.server, plane.kubeconfig, plane.ssl_context(), plane.admin_token)
    server.namespace = await server.new_namespace()
    async with Kubelet(plane.server, plane.admin_token, server.namespace, plane.ssl_context()):
        yield server
    await server.aclose()
    await settle()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """An API server with a namespace for this test."""
    found: Server = request.getfixturevalue(request.param)
    return found
