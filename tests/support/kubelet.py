"""A stand-in for the kubelet: it says of pods on a real API server that they run, or that they cannot."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx

WATCH_SECONDS = 60


class Kubelet:
    """Watches the pods of one namespace and patches their status.

    What happens to a pod follows from its first image: one whose name contains `bad` waits in `ImagePullBackOff`, one
    that contains `slow` stays as it was created, any other runs and is ready.

    Args:
        server: The API server's address.
        token: A bearer token that may list, watch and patch pods.
        namespace: The namespace to look after.
        verify: How to verify the server.
    """

    def __init__(self, server: str, token: str, namespace: str, verify: ssl.SSLContext | bool = True) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=server, headers=headers, verify=verify, timeout=httpx.Timeout(30))
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._http.aclose()

    async def _run(self) -> None:
        while True:
            listed = (await self._http.get(self._pods)).raise_for_status().json()
            for pod in listed["items"]:
                await self._look_after(pod)
            await self._watch(listed["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> None:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        timeout = httpx.Timeout(WATCH_SECONDS + 10)
        async with self._http.stream("GET", self._pods, params=query, timeout=timeout) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "DELETED":
                    await self._look_after(event["object"])

    async def _look_after(self, pod: Mapping[str, Any]) -> None:
        containers = pod["spec"]["containers"]
        if pod["metadata"].get("deletionTimestamp") or pod["status"].get("containerStatuses"):
            return
        if "slow" in containers[0]["image"]:
            return
        path = f"{self._pods}/{pod['metadata']['name']}/status"
        headers = {"Content-Type": "application/merge-patch+json"}
        body = json.dumps({"status": pod_status(containers, datetime.now(UTC))})
        answer = await self._http.patch(path, content=body, headers=headers)
        if answer.status_code not in (404, 409):  # the pod went away meanwhile
            answer.raise_for_status()


def pod_status(containers: list[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """Return the status that a kubelet would report for a pod of these containers."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    bad = "bad" in containers[0]["image"]
    state: dict[str, Any] = {"running": {"startedAt": stamp}}
    if bad:
        message = f'Back-off pulling image "{containers[0]["image"]}"'
        state = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    ready = {"type": "Ready", "status": "False" if bad else "True", "lastTransitionTime": stamp}
    statuses = [
        {"name": c["name"], "image": c["image"], "imageID": "", "ready": not bad, "restartCount": 0, "state": state}
        for c in containers
    ]
    return {
        "phase": "Pending" if bad else "Running",
        "startTime": stamp,
        "conditions": [ready],
        "containerStatuses": statuses,
    }
