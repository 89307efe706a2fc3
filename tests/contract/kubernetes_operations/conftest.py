"""The verbs for Kubernetes, planned and carried out by the desk, over the source's connection, at both servers."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.demo.kubernetes.custom import ARGO, ISTIO
from mlops_tui.domain.clock import Clock, SystemClock
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.operations.base import Place
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal, Record
from mlops_tui.operations.restart import Pause, Restart, Resume
from mlops_tui.operations.rollback import Rollback
from mlops_tui.operations.scale import Scale
from mlops_tui.operations.systems import ClusterSystem
from mlops_tui.operations.traffic import Traffic
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget, acting, connection, transport
from mlops_tui.sources.kubernetes.transport import decode
from tests.contract.kubernetes_source.conftest import SERVERS, demo_server, kubeconfig_of, real_server, server
from tests.contract.kubernetes_source.harness import PATIENCE, Server
from tests.contract.kubernetes_source.schema import check
from tests.support.control_plane import available

__all__ = ["SERVERS", "demo_server", "kubeconfig_of", "real_server", "server"]

collect_ignore = [] if available() else ["test_argo_status.py"]
VERBS = (Scale(), Rollback(), Restart(), Pause(), Resume(), Traffic())
YES = Confirmation(patience=PATIENCE)
WITHOUT_SCHEMA = ("autoscaling/v1",)
"""What the official schemas at hand leave out: old servers have nothing newer."""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold whatever operations send, and what is answered, against the official schemas."""
    write = acting.ClusterActor._write

    def checked(data: bytes, server: str) -> dict[str, Any]:
        thing = decode(data, server)
        if thing.get("apiVersion") not in WITHOUT_SCHEMA:
            check(thing)
        return thing

    async def sent(self: acting.ClusterActor, method: str, path: str, body: Any, *rest: Any, **named: Any) -> Any:
        if method != "PATCH":
            check(body)
        return await write(self, method, path, body, *rest, **named)

    monkeypatch.setattr(acting.ClusterActor, "_write", sent)
    monkeypatch.setattr(connection, "decode", checked)
    monkeypatch.setattr(transport, "decode", checked)


@dataclass(frozen=True)
class OneCluster:
    """Systems of which only the cluster is asked for, which is the same in every environment."""

    actor: ClusterSystem

    def cluster(self, environment: str) -> ClusterSystem:
        return self.actor

    def registry(self, environment: str) -> Any:
        raise AssertionError(environment)

    def forge(self) -> Any:
        raise AssertionError


class Bench:
    """A desk before a cluster, and what became of every operation."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        *,
        kubeconfig: Path | None = None,
        context: str = "admin",
        clock: Clock | None = None,
        read_only: bool = False,
        locked: frozenset[str] = frozenset(),
        **environment: Any,
    ) -> None:
        target = KubernetesTarget(
            "kubernetes",
            str(kubeconfig or server.kubeconfig),
            context,
            {server.namespace: "production"},
            read_only=read_only,
            read_only_namespaces=locked,
        )
        self.server = server
        self.source = KubernetesSource(target, SystemClock())
        self.actor: ClusterSystem = self.source.actor
        settings = EnvironmentSettings.model_validate(
            {"context": context, "namespaces": [server.namespace], **environment}
        )
        self.journal = Journal(folder / "journal.jsonl")
        self.place = Place(
            clock or SystemClock(), OneCluster(self.actor), Settings(), {"production": settings}, self.journal
        )
        self.desk = Desk(self.place, VERBS, tell=self._told, notify=_nobody)
        self.rows: dict[str, OperationRow] = {}
        self.progress: list[str] = []
        self._ended = asyncio.Event()

    async def plan(self, verb: str, name: str, **parameters: str) -> Plan:
        """Plan something for an object of the test's namespace."""
        return await self.desk.plan(
            PlanRequest(verb=verb, target=f"{self.server.namespace}/{name}", parameters=parameters)
        )

    async def do(self, verb: str, name: str, **parameters: str) -> OperationRow:
        """Plan something, carry it out, and return how it ended."""
        return await self.carry_out(await self.plan(verb, name, **parameters))

    async def undo(self, row: OperationRow) -> OperationRow:
        """Undo an operation."""
        assert row.undo is not None
        return await self.carry_out(await self.desk.plan(row.undo))

    async def carry_out(self, plan: Plan, confirmation: Confirmation = YES) -> OperationRow:
        """Carry a plan out, and return how it ended."""
        row = self.desk.execute(plan.id, confirmation)
        async with asyncio.timeout(2 * PATIENCE):
            while not self.rows[row.key].state.ended:
                self._ended.clear()
                await self._ended.wait()
        return self.rows[row.key]

    async def close(self) -> None:
        """Close the connections."""
        await self.desk.close()
        await self.source.close()

    def _told(self, row: OperationRow) -> None:
        self.rows[row.key] = row
        self._ended.set()


async def _nobody(record: Record) -> None:
    return None


MakeBench = Callable[..., Bench]


@pytest.fixture
async def make(server: Server, tmp_path: Path) -> AsyncIterator[MakeBench]:
    """Make benches that are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        def made(**given: Any) -> Bench:
            bench = Bench(server, tmp_path, **given)
            stack.push_async_callback(bench.close)
            return bench

        yield made


@pytest.fixture
def bench(make: MakeBench) -> Bench:
    """A bench of somebody who may do everything."""
    return make()


@pytest.fixture
async def with_custom_resources(server: Server) -> None:
    """Make Istio's and Argo's kinds known."""
    for definition in (*ISTIO, *ARGO):
        answer = await server._http.post(CRDS, json=definition)
        assert answer.status_code in (201, 409), answer.text
    for definition in (*ISTIO, *ARGO):
        spec = definition["spec"]
        version = "v1alpha1" if spec["group"] == "argoproj.io" else "v1beta1"
        path = f"/apis/{spec['group']}/{version}/namespaces/{server.namespace}/{spec['names']['plural']}"
        async with asyncio.timeout(PATIENCE):
            while (await server._http.get(path)).status_code != 200:
                await asyncio.sleep(0.1)


async def get(server: Server, path: str) -> dict[str, Any]:
    """Return an object of the test's namespace: `apps/v1 deployments/fraud-api`, `v1 services/fraud-api`."""
    group, _, rest = path.partition(" ")
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    answer = await server._http.get(f"{root}/namespaces/{server.namespace}/{rest}")
    assert answer.is_success, answer.text
    thing: dict[str, Any] = answer.json()
    return thing


async def post(server: Server, group: str, plural: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make an object in the test's namespace."""
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    return await server.post_unchecked(f"{root}/namespaces/{server.namespace}/{plural}", body)


async def deployed(server: Server, name: str, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait until a Deployment is as `condition` wants it, and return it."""
    async with asyncio.timeout(PATIENCE):
        while not condition(body := await get(server, f"apps/v1 deployments/{name}")):
            await asyncio.sleep(0.05)
    return body


def complete(body: Mapping[str, Any]) -> bool:
    """Say whether a Deployment is rolled out."""
    status, wanted = body.get("status") or {}, body["spec"]["replicas"]
    observed = status.get("observedGeneration", 0) >= body["metadata"]["generation"]
    counts = [status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas")]
    return bool(observed and counts == [wanted] * 3)


def overdue(body: Mapping[str, Any]) -> bool:
    """Say whether a Deployment has exceeded its deadline."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(condition.get("reason") == "ProgressDeadlineExceeded" for condition in conditions)


async def kubectl(server: Server, *arguments: str) -> str:
    """Run kubectl in the test's namespace."""
    command = ["kubectl", "--kubeconfig", str(server.kubeconfig), "--context", "admin", "-n", server.namespace]
    done = await asyncio.to_thread(subprocess.run, [*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def events_of(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the Events that operations left on an object."""
    items = (await get(server, "v1 events"))["items"]
    return [e for e in items if e["involvedObject"]["name"] == name and e["source"].get("component") == "mlops-tui"]


def proxied(server: Server, url: str, folder: Path) -> Path:
    """Return a kubeconfig that leads to a proxy."""
    return kubeconfig_of(url, folder / "proxied-kubeconfig")


def text_of(thing: Any) -> str:
    """Return JSON as text."""
    return json.dumps(thing, sort_keys=True)
