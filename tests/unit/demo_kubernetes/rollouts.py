"""A cluster with Argo and Istio, and one Rollout in it."""

from typing import Any

from mlops_tui.demo.kubernetes.custom import install_argo, install_istio
from tests.unit.demo_kubernetes.worlds import World, image_patch

Steps = list[dict[str, Any]]
HASH = "rollouts-pod-template-hash"


class RolloutWorld(World):
    """A world whose Rollout is `ml/m`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        install_istio(self.cluster)
        install_argo(self.cluster)

    async def start(self, strategy: dict[str, Any], *, replicas: int = 4, **spec: Any) -> None:
        """Create the Rollout, and let its first pods come up."""
        containers = [{"name": "main", "image": "m:1"}]
        template = {"metadata": {"labels": {"app": "m"}}, "spec": {"containers": containers}}
        selector = {"matchLabels": {"app": "m"}}
        fields = {"replicas": replicas, "selector": selector, "template": template, "strategy": strategy, **spec}
        metadata = {"name": "m", "namespace": "ml"}
        self.cluster.apply({"kind": "Rollout", "metadata": metadata, "spec": fields})
        await self.run(5)

    def service(self, name: str) -> None:
        """Create a Service of the Rollout's pods."""
        spec = {"selector": {"app": "m"}, "ports": [{"port": 80}]}
        self.cluster.apply({"kind": "Service", "metadata": {"name": name, "namespace": "ml"}, "spec": spec})

    async def update(self, image: str, seconds: float) -> None:
        """Change the image and let some time pass."""
        self.cluster.patch("Rollout", "ml", "m", image_patch(image))
        await self.run(seconds)

    async def set_status(self, seconds: float = 0.0, **fields: Any) -> None:
        """Write fields of the status as `kubectl argo rollouts` does, and let some time pass."""
        self.cluster.patch("Rollout", "ml", "m", {"status": fields}, subresource="status")
        await self.run(seconds)

    @property
    def rollout(self) -> dict[str, Any]:
        found = self.cluster.get("Rollout", "ml", "m")
        assert found is not None
        return found

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.rollout["status"]
        return status

    @property
    def phase(self) -> tuple[str, str]:
        """Phase and message."""
        return self.status["phase"], self.status.get("message", "")

    def sizes(self) -> dict[str, tuple[int, int]]:
        """For each image with pods how many there are to be and how many are available."""
        found = {}
        for each in self.cluster.objects("ReplicaSet", "ml"):
            if each["spec"]["replicas"]:
                image = each["spec"]["template"]["spec"]["containers"][0]["image"]
                found[image] = (each["spec"]["replicas"], each["status"].get("availableReplicas", 0))
        return found

    def selected(self, service: str) -> str:
        """The image that a Service's selector reaches."""
        found = self.cluster.get("Service", "ml", service)
        assert found is not None
        wanted = found["spec"]["selector"].get(HASH)
        sets = self.cluster.objects("ReplicaSet", "ml")
        images = {each["metadata"]["labels"][HASH]: each["spec"]["template"]["spec"]["containers"][0] for each in sets}
        return str(images[wanted]["image"]) if wanted else ""

    def weights(self) -> list[int]:
        """The weights of the VirtualService's first route."""
        found = self.cluster.get("VirtualService", "ml", "m")
        assert found is not None
        return [part["weight"] for part in found["spec"]["http"][0]["route"]]

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition."""
        return {each["type"]: (each["status"], each["reason"]) for each in self.status["conditions"]}
