"""An API server, real or embedded, and what tests do to it: the operator's side of each story."""

import asyncio
import itertools
import json
import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.sources.base import Delta
from mlops_tui.sources.kubernetes import KubernetesSource, KubernetesTarget
from tests.contract.kubernetes_source.schema import check

PATIENCE = 30.0
"""Seconds until something that has not happened will not."""

_names = itertools.count(1)


@dataclass
class Server:
    """An API server that a test may write to.

    Attributes:
        kubeconfig: Has the contexts `admin` and `oncall`.
        namespace: The test's own.
    """

    url: str
    kubeconfig: Path
    verify: ssl.SSLContext | bool
    admin_token: str = field(repr=False)
    namespace: str = ""

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, verify=self.verify, timeout=PATIENCE)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post_unchecked(self, path: str, body: Any) -> dict[str, Any]:
        """Make something whose schema the product does not need, and return it."""
        answer = await self._http.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        thing: dict[str, Any] = answer.json()
        return thing

    async def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
        """Send a request, check what comes back, and return it."""
        content = None if body is None else json.dumps(body)
        answer = await self._http.request(method, path, content=content, headers={"Content-Type": kind})
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        thing: dict[str, Any] = answer.json()
        if thing.get("kind") != "Status":
            check(thing)
        return thing

    async def new_namespace(self) -> str:
        """Make a namespace and return its name."""
        name = f"test-{next(_names)}"
        await self.make_namespace(name)
        return name

    async def make_namespace(self, name: str) -> None:
        """Make a namespace."""
        await self.send(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )

    def path(self, name: str = "", namespace: str = "") -> str:
        """Return the path of a Deployment, or of all."""
        base = f"/apis/apps/v1/namespaces/{namespace or self.namespace}/deployments"
        return f"{base}/{name}" if name else base

    async def create(self, name: str, *, image: str = "registry/fraud:v1", namespace: str = "", **spec: Any) -> None:
        """Create a Deployment."""
        body = deployment(name, image, **spec)
        check(body)
        await self.send("POST", self.path(namespace=namespace), body)

    async def patch(self, name: str, patch: Mapping[str, Any]) -> None:
        """Change a Deployment by a strategic merge patch."""
        await self.send("PATCH", self.path(name), patch, "application/strategic-merge-patch+json")

    async def set_image(self, name: str, image: str, cause: str = "") -> None:
        """Start a rollout of another image, saying why."""
        patch: dict[str, Any] = {"spec": {"template": {"spec": {"containers": [{"name": "model", "image": image}]}}}}
        if cause:
            patch["metadata"] = {"annotations": {"kubernetes.io/change-cause": cause}}
        await self.patch(name, patch)

    async def kubectl_status(self, name: str) -> str:
        """Return what `kubectl rollout status` prints of a Deployment now."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--context", "admin", "-n", self.namespace]
        command += ["rollout", "status", f"deployment/{name}", "--watch=false"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().removeprefix("error: ")

    def source(self, *, context: str | None = "admin", **namespaces: str) -> KubernetesSource:
        """Return a source for the test's namespace, or for those given with their environments."""
        target = KubernetesTarget(
            "kubernetes", str(self.kubeconfig), context, namespaces or {self.namespace: "production"}
        )
        return KubernetesSource(target, SystemClock())


def deployment(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """Return a Deployment of two replicas that gives up only after ten minutes."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "model", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"team": "fraud"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


class Watcher:
    """Runs a source's cycle and keeps the board that its deltas make."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.rows: dict[str, RolloutRow] = {}
        self.deltas: list[Delta] = []
        self._changed = asyncio.Event()
        self._cycle: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        await self.source.close()

    def start(self) -> None:
        """Begin a cycle."""
        self._cycle = asyncio.create_task(self.source.cycle(self._publish))

    async def stop(self) -> None:
        """Cancel the cycle and wait for its end."""
        if self._cycle is not None:
            self._cycle.cancel()
            await asyncio.gather(self._cycle, return_exceptions=True)

    def _publish(self, delta: Delta) -> None:
        self.deltas.append(delta)
        if delta.complete:
            self.rows.clear()
        for row in delta.upserts:
            assert isinstance(row, RolloutRow)
            self.rows[row.key] = row
        for key in delta.removals:
            self.rows.pop(key, None)
        self._changed.set()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for `condition` to be true, and return its value; fail if the cycle ends before."""
        assert self._cycle is not None
        async with asyncio.timeout(PATIENCE):
            while not (value := condition()):
                self._changed.clear()
                waiting = asyncio.create_task(self._changed.wait())
                await asyncio.wait((waiting, self._cycle), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self._cycle.done():
                    self._cycle.result()
        return value

    async def row(self, name: str, condition: Callable[[RolloutRow], bool] = lambda _: True) -> RolloutRow:
        """Wait for a row of that name for which `condition` holds, and return it."""

        def found() -> RolloutRow | None:
            return next((row for row in self.rows.values() if row.name == name and condition(row)), None)

        row = await self.until(found)
        assert isinstance(row, RolloutRow)
        return row
