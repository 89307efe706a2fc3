"""The servers that the cases run on: the demo's, and the real control plane where there is one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from mlops_tui.demo.configuration import write_kubeconfig
from mlops_tui.demo.kubernetes import Cluster, ImageBehaviour, create_app
from mlops_tui.demo.kubernetes.tls import Certificate
from mlops_tui.demo.kubernetes.tls import certificate as make_certificate
from mlops_tui.domain.clock import SystemClock
from tests.contract.kubernetes_server.harness import Api, clients
from tests.support.clock import settle
from tests.support.control_plane import ControlPlane, available
from tests.support.kubelet import Kubelet
from tests.support.serving import serving

SERVERS = ["demo_api", *(["real_api"] if available() else [])]
TOKENS = {"admin": "admin-token", "oncall": "oncall-token"}
START_SECONDS = 0.05
"""How long the demo's pods take: about as long as the stand-in for the kubelet on the real server."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of all demo servers of the session."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def demo_api(certificate: Certificate, tmp_path: Path) -> AsyncIterator[Api]:
    """The demo's server on a port of its own."""
    cluster = Cluster(SystemClock())
    cluster.behaviours += [
        ImageBehaviour("*bad*", START_SECONDS, pull_error=True),
        ImageBehaviour("*slow*", start_seconds=3600.0),
        ImageBehaviour("*", START_SECONDS),
    ]
    app = create_app(cluster, {token: role for role, token in TOKENS.items()})
    controllers = asyncio.create_task(cluster.run())
    async with serving(app, certificate) as address:
        kubeconfig = tmp_path / "kubeconfig"
        write_kubeconfig(kubeconfig, address, TOKENS, certificate.ca_pem)
        async with clients(address, certificate.client_context(), TOKENS, kubeconfig) as api:
            yield api
    controllers.cancel()
    with suppress(asyncio.CancelledError):
        await controllers
    await settle()


@pytest.fixture
async def real_api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    """The real control plane, whose pods stay as they were created."""
    plane = control_plane
    tokens = {"admin": plane.admin_token, "oncall": plane.oncall_token}
    async with clients(plane.server, plane.ssl_context(), tokens, plane.kubeconfig) as api:
        yield api


@pytest.fixture(params=SERVERS)
def api(request: pytest.FixtureRequest) -> Api:
    """A server to try a case on."""
    found: Api = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def live(request: pytest.FixtureRequest, api: Api) -> AsyncIterator[Api]:
    """The same server with pods that run: on the real one by a stand-in for the kubelet."""
    if request.node.callspec.params["api"] == "demo_api":
        yield api
        return
    plane: ControlPlane = request.getfixturevalue("control_plane")
    async with Kubelet(plane.server, plane.admin_token, api.namespace, plane.ssl_context()):
        yield api
    await settle()
