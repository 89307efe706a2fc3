"""A cluster whose time is moved by hand."""

from typing import Any

from mlops_tui.demo.kubernetes import Cluster
from tests.support.clock import ManualClock


class World:
    """A cluster and its clock; nothing waits, nothing runs by itself."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock()
        self.cluster = Cluster(self.clock, **options)

    async def run(self, seconds: float) -> None:
        """Let the controllers work through the next `seconds`, each step at its own time."""
        end = self.clock.monotonic() + seconds
        while (delay := self.cluster.reconcile()) is not None and self.clock.monotonic() + delay <= end:
            await self.clock.advance(delay)
        await self.clock.advance(end - self.clock.monotonic())

    def deployment(self, name: str = "m") -> dict[str, Any]:
        """Return a Deployment."""
        found = self.cluster.get("Deployment", "ml", name)
        assert found is not None
        return found

    def condition(self, type_: str, name: str = "m") -> tuple[str, str]:
        """Return status and reason of a Deployment's condition."""
        conditions = self.deployment(name)["status"]["conditions"]
        return next((each["status"], each["reason"]) for each in conditions if each["type"] == type_)

    def events(self, reason: str) -> list[str]:
        """Return the messages of the Events of a reason."""
        return [event["message"] for event in self.cluster.objects("Event") if event["reason"] == reason]


def manifest(name: str = "m", *, image: str = "m:1", replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """Return a Deployment's manifest."""
    containers = [{"name": "main", "image": image}]
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ml"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
            **spec,
        },
    }


def image_patch(image: str) -> dict[str, Any]:
    """Return the merge patch that sets the image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
