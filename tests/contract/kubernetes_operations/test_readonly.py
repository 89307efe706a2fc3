"""Where nothing may be changed nothing but reads arrives, whatever verb, rule or guard has failed before."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.types import Receive, Scope, Send

from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.errors import Refused
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations import argo, bluegreen, canary, restart, rollback, scale
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from mlops_tui.sources.mlflow import passage
from tests.contract.kubernetes_operations.conftest import (
    VERBS,
    Bench,
    MakeBench,
    complete,
    deployed,
    get,
    kubeconfig_of,
    proxied,
)
from tests.contract.kubernetes_operations.lossy import LossyProxy, lossy
from tests.contract.kubernetes_operations.test_traffic import coloured, paused, variant
from tests.contract.kubernetes_source.harness import Server
from tests.support.serving import serving

__all__ = ["coloured", "paused"]

pytestmark = pytest.mark.parametrize("server", ["demo_server"], indirect=True)
REVIEWS = re.compile(r"/apis/(authorization|authentication)\.k8s\.io/v1[a-z0-9]*/selfsubject(access|rules)?reviews")
CONNECTS = {"exec", "attach", "portforward", "proxy"}
INSIDE = re.compile(r"/(api/[^/]+|apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+))?/(?P<below>.+)")
GENERATED = 10_000


class Recorder:
    """A server that says yes to everything and writes it down."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests.append((scope["method"], scope["raw_path"].decode("ascii").partition("?")[0]))
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
async def recorder() -> AsyncIterator[tuple[str, Recorder]]:
    """A recorder and its address."""
    app = Recorder()
    async with serving(app) as url:
        yield url, app


def changes(method: str, path: str) -> bool:
    """Say whether a request to an API server may change something, however its path is written."""
    plain = normpath(unquote(path))
    if method != "GET":
        return not (method == "POST" and REVIEWS.fullmatch(plain))
    found = INSIDE.fullmatch(plain)
    below = found["below"].split("/") if found else []
    return len(below) > 2 and below[2] in CONNECTS


ASKED: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("scale", "fraud-api", {"replicas": "3"}),
    ("rollback", "fraud-api", {}),
    ("restart", "fraud-api", {}),
    ("pause", "fraud-api", {}),
    ("resume", "halted", {}),
    ("traffic", "features", {"to": "green"}),
    ("traffic", "fraud", {"weight": "30"}),
    ("traffic", "embedder", {"do": "promote"}),
    ("traffic", "embedder", {"do": "promote-full"}),
    ("traffic", "embedder", {"do": "abort"}),
)


@pytest.mark.parametrize("locked", [{"read_only": True}, {"locked": True}])
@pytest.mark.usefixtures("coloured", "paused")
async def test_every_verb_is_refused_before_a_byte_leaves(
    make: MakeBench, server: Server, tmp_path: Path, locked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {verb for verb, _, _ in ASKED} == {verb.name for verb in VERBS}
    await _fraud(server)

    async def nobody_knows(*needs: Any) -> tuple[()]:
        return ()

    for module in (scale, rollback, restart, canary, bluegreen, argo):
        monkeypatch.setattr(module, "not_permitted", nobody_knows)
    given = {"locked": frozenset({server.namespace})} if "locked" in locked else locked
    async with lossy(server.url, server.verify) as (url, proxy):
        # The guard knows of nothing: the transport alone refuses, with the release lock and without.
        for lock in (False, True):
            bench: Bench = make(kubeconfig=proxied(server, url, tmp_path), lock=lock, **given)
            for verb, name, parameters in ASKED:
                plan = await bench.plan(verb, name, **parameters)
                assert not plan.refusals, (verb, plan.refusals)
                row = await bench.carry_out(plan)
                assert (row.state, row.exit_code) == (OperationState.REFUSED, 5), (verb, row.outcome)
                assert "is read-only" in row.outcome
        assert len(proxy.lines) > 50
        assert _changing(proxy) == []


async def _fraud(server: Server) -> None:
    """Make what verbs are tried on: a Deployment with two revisions, one that is paused, and a canary."""
    await server.create("fraud-api")
    await server.create("halted", paused=True)
    await deployed(server, "fraud-api", complete)
    await server.set_image("fraud-api", "registry/fraud:v2")
    await deployed(server, "fraud-api", complete)
    for track in ("stable", "canary"):
        await variant(server, "fraud" if track == "stable" else "fraud-canary", {"app": track}, "registry/fraud:v1")
        await deployed(server, "fraud" if track == "stable" else "fraud-canary", complete)
        spec = {"selector": {"app": track}, "ports": [{"port": 80, "protocol": "TCP"}]}
        body = {"metadata": {"name": track}, "spec": spec}
        await server.post_unchecked(f"/api/v1/namespaces/{server.namespace}/services", body)
    istio = "networking.istio.io/v1beta1"
    shared = [{"destination": {"host": track}, "weight": 50} for track in ("stable", "canary")]
    spec = {"hosts": ["fraud"], "http": [{"route": shared}]}
    body = {"apiVersion": istio, "kind": "VirtualService", "metadata": {"name": "fraud"}, "spec": spec}
    await server.post_unchecked(f"/apis/{istio}/namespaces/{server.namespace}/virtualservices", body)


def _changing(proxy: LossyProxy) -> list[str]:
    return [line for line in proxy.lines if changes(*line.partition("?")[0].split(" ", 1))]


PARTS = (
    "api", "v1", "apis", "apps", "v1", "namespaces", "prod", "staging", "Prod", "pods", "deployments", "scale",
    "status", "exec", "EXEC", "attach", "proxy", "portforward", "log", "..", ".", "", "%2e%2e", "%2F", "x", "watch",
    "services", "https:x:443", "authorization.k8s.io", "selfsubjectaccessreviews", "authentication.k8s.io",
    "selfsubjectreviews", "nodes", "n1", "openapi", "version", "healthz", "prod%2f..", "a;b", "a\\b", "exec ",
)  # fmt: skip
STARTS = (
    "/api/v1/namespaces/prod/pods/x/", "/apis/apps/v1/namespaces/prod/", "/api/v1/namespaces/staging/../prod/pods/",
    "/apis/authorization.k8s.io/v1/", "/api/v1/namespaces/staging/", "/", "//", "/api/v1/nodes/n1/", "",
    "/apis/apps/v1/namespaces/staging/deployments/",
)  # fmt: skip
METHODS = ("GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "post", "Patch", "delete")


def generated(seed: int) -> list[tuple[str, str]]:
    """Return requests, many of them to where something can be changed by other names."""
    chance = random.Random(seed)
    made = []
    for _ in range(GENERATED):
        tail = "/".join(chance.choice(PARTS) for _ in range(chance.randint(0, 5)))
        made.append((chance.choice(METHODS), chance.choice(STARTS) + tail))
    return made


async def _send_all(source: KubernetesSource, requests: list[tuple[str, str]]) -> tuple[int, int]:
    """Send requests over a source's connection; return how many were refused, and how many were not."""
    refused = passed = 0
    for method, path in requests:
        try:
            async with source._connection.open(method, path, {}, body={}) as response:
                await response.read()
        except Refused:
            refused += 1
        else:
            passed += 1
    return refused, passed


async def test_no_generated_request_changes_anything(
    server: Server, recorder: tuple[str, Recorder], tmp_path: Path
) -> None:
    config = str(kubeconfig_of(recorder[0], tmp_path / "recorded"))
    source = KubernetesSource(
        KubernetesTarget("kubernetes", config, "admin", {"prod": "production"}, read_only=True), SystemClock()
    )
    refused, passed = await _send_all(source, generated(4))
    await source.close()
    assert refused + passed == GENERATED
    assert passed > 100
    assert len(recorder[1].requests) == passed
    assert [request for request in recorder[1].requests if changes(*request)] == []


async def test_nothing_generated_reaches_a_namespace_that_is_read_only(
    server: Server, recorder: tuple[str, Recorder], tmp_path: Path
) -> None:
    config = str(kubeconfig_of(recorder[0], tmp_path / "recorded"))
    namespaces = {"prod": "production", "staging": "staging"}
    target = KubernetesTarget("kubernetes", config, "admin", namespaces, read_only_namespaces=frozenset({"prod"}))
    source = KubernetesSource(target, SystemClock())
    await _send_all(source, generated(5))
    await source.close()
    written = [request for request in recorder[1].requests if changes(*request)]
    assert len(written) > 50
    for method, path in written:
        plain = normpath(unquote(path))
        found = re.fullmatch(r"/(api/[^/]+|apis/[^/]+/[^/]+)/namespaces/([^/]+)(/.*)?", plain)
        assert found is not None, (method, path)
        assert found[2] != "prod", (method, path)


async def test_no_generated_request_changes_the_registry(server: Server, recorder: tuple[str, Recorder]) -> None:
    import requests

    url, app = recorder
    words = (
        "api", "ajax-api", "2.0", "3.0", "mlflow", "runs", "search", "model-versions", "transition-stage", "create",
        "registered-models", "alias", "..", "%2e%2e", "", "experiments", "delete", "set-tag", "graphql", "Search",
    )  # fmt: skip
    starts = ("/api/2.0/mlflow/", "/ajax-api/3.0/mlflow/", "/", "/api/2.0/mlflow/runs/search/..", "/graphql")
    chance = random.Random(6)
    asked = []
    for _ in range(GENERATED):
        tail = "/".join(chance.choice(words) for _ in range(chance.randint(0, 3)))
        asked.append((chance.choice(("POST", "PUT", "PATCH", "DELETE", "post", "patch")), chance.choice(starts) + tail))
    asked += [("POST", "/api/2.0/mlflow/runs/search"), ("GET", "/api/2.0/mlflow/registered-models/search")]

    def send_all() -> int:
        passage.install()
        refused = 0
        with requests.Session() as session, passage.Passage(url, read_only=True):
            session.trust_env = False
            for method, path in asked:
                try:
                    session.request(method, url + path, json={}, timeout=10)
                except Refused:
                    refused += 1
        return refused

    refused = await asyncio.to_thread(send_all)
    searches = re.compile(r"/(ajax-)?api/[23]\.0/mlflow/(runs|experiments|logged-models)/search")
    assert refused + len(app.requests) == len(asked)
    assert [path for method, path in app.requests if method != "GET" and not searches.fullmatch(path)] == []


async def test_what_is_not_locked_may_be_changed(make: MakeBench, server: Server) -> None:
    await server.create("fraud-api")
    bench = make(locked=frozenset({"elsewhere"}))
    assert (await bench.do("scale", "fraud-api", replicas="3")).state is OperationState.DONE
    assert (await get(server, "apps/v1 deployments/fraud-api"))["spec"]["replicas"] == 3
