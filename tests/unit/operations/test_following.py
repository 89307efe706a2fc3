"""A rollout that is waited for says why its pods do not start."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from mlops_tui.operations.rollouts import POD_SECONDS, Target, follow
from tests.support.clock import ManualClock


def deployment(updated: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "api", "namespace": "ml", "generation": 2, "uid": "u"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}, "template": {}},
        "status": {
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": updated, "availableReplicas": updated,
        },
    }  # fmt: skip


def pod(reason: str) -> dict[str, Any]:
    return {
        "status": {"containerStatuses": [{"state": {"waiting": {"reason": reason}} if reason else {"running": {}}}]}
    }


class HangingCluster:
    """A Deployment whose rollout hangs until it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked: list[str] = []

    async def watch(self, kind: str, namespace: str, name: str) -> AsyncGenerator[dict[str, Any]]:
        yield deployment(1)
        await self.go_on.wait()
        yield deployment(3)

    async def find(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        self.asked.append(f"{kind} {selector}")
        return [pod("ImagePullBackOff"), pod(""), pod("ImagePullBackOff"), pod("ContainerCreating")]


class Heard:
    """An execution that remembers what it was told."""

    operation = "op"
    by = "dana"
    reason = ""
    patience = 60.0

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def count(self, done: int, of: int) -> None:
        pass


async def test_the_reasons_of_pods_that_wait_are_told() -> None:
    cluster, heard = HangingCluster(), Heard()
    target = Target(cluster, heard.clock, "home", None, deployment(1))  # type: ignore[arg-type]
    following = asyncio.create_task(follow(target, heard, deployment(1)))
    await heard.clock.advance(POD_SECONDS + 1)
    assert heard.lines[-1] == "2 pods: ImagePullBackOff"
    assert cluster.asked == ["pods app=api"]
    cluster.go_on.set()
    assert await following == 'deployment "api" successfully rolled out'
    asked = len(cluster.asked)
    await heard.clock.advance(10 * POD_SECONDS)
    assert len(cluster.asked) == asked
