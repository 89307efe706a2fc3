"""A client for the cases: every answer that it gets is held against Kubernetes' schemas."""

import asyncio
import itertools
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.clock import settle
from tests.support.kubernetes_schema import check_event, check_object

PATIENCE = 30.0
"""Seconds to wait for what a controller does; it takes a fraction of one unless the machine is very busy."""
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
_names = itertools.count()


def deployment(name: str, *, image: str = "model:1", replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """Return a Deployment's manifest."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
            **spec,
        },
    }


def new_namespace() -> str:
    """Return a name that no other test uses."""
    return f"case-{os.getpid()}-{next(_names)}"


@dataclass
class Api:
    """One server, a namespace of its own, and its users.

    Attributes:
        anonymous: Sends no token.
        kubeconfig: Has the contexts `admin` and `oncall`.
    """

    admin: httpx.AsyncClient
    oncall: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    namespace: str
    kubeconfig: Path

    @property
    def deployments(self) -> str:
        """The path of the namespace's Deployments."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments"

    @property
    def replica_sets(self) -> str:
        """The path of the namespace's ReplicaSets."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"

    @property
    def pods(self) -> str:
        """The path of the namespace's pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def apply(self, path: str, configuration: Any, manager: str = "ci", **query: str) -> httpx.Response:
        """Apply a configuration on the server's side."""
        headers = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": manager, **query} if manager else query
        return await self.admin.patch(path, content=json.dumps(configuration), headers=headers, params=query)

    async def patch(self, path: str, body: Any, kind: str = "merge-patch", **query: str) -> httpx.Response:
        """Send a patch of a kind."""
        headers = {"Content-Type": f"application/{kind}+json"}
        return await self.admin.patch(path, content=json.dumps(body), headers=headers, params=query)

    async def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Deployment and return it."""
        answer = await self.admin.post(self.deployments, json=manifest)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return what a path answers."""
        answer = await self.admin.get(path, params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def names(self, path: str, **query: str) -> list[str]:
        """Return the names in a list."""
        return [item["metadata"]["name"] for item in (await self.get(path, **query))["items"]]

    async def watch(self, path: str, *, headers: Mapping[str, str] | None = None, **query: str) -> list[dict[str, Any]]:
        """Return all events of a watch that the server ends."""
        answer = await self.admin.get(path, params={"watch": "1", **query}, headers=headers)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.05)


async def judge(response: httpx.Response) -> None:
    """Check an answer, as an event hook of httpx."""
    await response.aread()
    if "json" not in response.headers.get("content-type", ""):
        return
    if response.request.url.params.get("watch"):
        for line in response.text.splitlines():
            check_event(json.loads(line))
    elif not response.request.url.path.startswith(("/version", "/openapi")):
        check_object(response.json())


@asynccontextmanager
async def clients(
    server: str, verify: ssl.SSLContext, tokens: Mapping[str, str], kubeconfig: Path
) -> AsyncIterator[Api]:
    """Yield the users of a server, with a new namespace that is deleted at the end.

    Args:
        tokens: Those of `admin` and `oncall`.
    """

    def client(token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        hooks = {"response": [judge]}
        return httpx.AsyncClient(base_url=server, headers=headers, verify=verify, event_hooks=hooks, timeout=PATIENCE)

    async with client(tokens["admin"]) as first, client(tokens["oncall"]) as second, client() as nobody:
        api = Api(first, second, nobody, new_namespace(), kubeconfig)
        made = await first.post("/api/v1/namespaces", json={"metadata": {"name": api.namespace}})
        assert made.status_code == 201, made.text
        yield api
        await first.delete(f"/api/v1/namespaces/{api.namespace}")
    await settle()  # sockets close in the next turns of the loop
