"""The Deployments of the world as the pipelines and the people handle them."""

from enum import Enum
from typing import Any, Final

from mlops_tui.demo.kubernetes import ApiError, Cluster, ImageBehaviour
from mlops_tui.demo.runner import StepFailed
from mlops_tui.demo.story import Model

PRODUCTION: Final = "ml"
STAGING: Final = "ml-staging"
REVISION: Final = "deployment.kubernetes.io/revision"
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
DEADLINE_SECONDS: Final = 600
_MEMORY: Final = {PRODUCTION: "32Gi", STAGING: "16Gi"}
_GPUS: Final = {PRODUCTION: "2", STAGING: "1"}


class FleetError(StepFailed):
    """The cluster refused."""


class Outcome(Enum):
    """Where a rollout is."""

    PROGRESSING = "progressing"
    COMPLETE = "complete"
    FAILED = "failed"


class Fleet:
    """Deploys, scales and undoes; all methods raise `FleetError` if the cluster refuses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def deploy(
        self,
        model: Model,
        namespace: str,
        name: str,
        *,
        image: str,
        version: int | None,
        commit: str,
        cause: str,
        replicas: int | None,
    ) -> None:
        """Apply a Deployment.

        Args:
            version: Of the model in the image; `None` where nobody wrote it down.
            replicas: `None` leaves the number that is there.
        """
        labels = {"app": name, "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": model.image_name}
        labels["app.kubernetes.io/version"] = image.rpartition(":")[2]
        known = {"model": model.name} | ({} if version is None else {"model-version": f"v{version}"})
        spec: dict[str, Any] = {
            "progressDeadlineSeconds": DEADLINE_SECONDS,
            "selector": {"matchLabels": {"app": name}},
            "strategy": _strategy(model),
            "template": {
                "metadata": {"labels": {"app": name, **known}},
                "spec": {"containers": [_container(model, namespace, image, version, commit)]},
            },
        }
        if replicas is not None:
            spec["replicas"] = replicas
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": labels | known,
            "annotations": {CHANGE_CAUSE: cause},
        }
        self._apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Ask for a number of replicas; what is not there is left alone."""
        if self._deployment(namespace, name) is not None:
            self._patch(namespace, name, {"spec": {"replicas": replicas}})

    def replicas(self, namespace: str, name: str) -> int:
        """Return how many are asked for; 0 of what is not there."""
        found = self._deployment(namespace, name)
        return int(found["spec"]["replicas"]) if found else 0

    def image(self, namespace: str, name: str) -> str:
        """Return the image asked for; empty of what is not there."""
        found = self._deployment(namespace, name)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""

    def pause(self, namespace: str, name: str) -> None:
        """Stop rolling out."""
        self._patch(namespace, name, {"spec": {"paused": True}})

    def resume(self, namespace: str, name: str) -> None:
        """Go on rolling out."""
        self._patch(namespace, name, {"spec": {"paused": None}})

    def undo(self, namespace: str, name: str) -> None:
        """Go back to the revision before the present one, as `kubectl rollout undo` does."""
        found = self._deployment(namespace, name)
        if found is None or found["spec"].get("paused"):
            raise FleetError(f"{namespace}/{name} is not there, or paused")
        owned = [
            replica_set
            for replica_set in self._cluster.objects("ReplicaSet", namespace)
            if any(
                owner["uid"] == found["metadata"]["uid"] for owner in replica_set["metadata"].get("ownerReferences", ())
            )
        ]
        owned.sort(key=lambda replica_set: int(replica_set["metadata"]["annotations"][REVISION]))
        if len(owned) < 2:
            raise FleetError(f"{namespace}/{name} has no revision to go back to")
        template, before = owned[-2]["spec"]["template"], owned[-2]["metadata"]["annotations"]
        template["metadata"]["labels"]["pod-template-hash"] = None
        annotations = {CHANGE_CAUSE: before.get(CHANGE_CAUSE)}
        self._patch(namespace, name, {"metadata": {"annotations": annotations}, "spec": {"template": template}})

    def outcome(self, namespace: str, name: str) -> Outcome:
        """Say where a rollout is, by the rules of `kubectl rollout status`."""
        found = self._deployment(namespace, name)
        if found is None:
            return Outcome.FAILED
        spec, status = found["spec"], found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return Outcome.PROGRESSING
        if any(condition.get("reason") == "ProgressDeadlineExceeded" for condition in status.get("conditions", ())):
            return Outcome.FAILED
        updated = status.get("updatedReplicas", 0)
        complete = (
            updated >= spec["replicas"]
            and status.get("replicas", 0) <= updated
            and status.get("availableReplicas", 0) >= updated
        )
        return Outcome.COMPLETE if complete else Outcome.PROGRESSING

    def break_image(self, image: str) -> None:
        """Let an image be one that cannot be pulled."""
        self._cluster.behaviours.insert(0, ImageBehaviour(image, start_seconds=2.0, pull_error=True))

    def _deployment(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self._cluster.get("Deployment", namespace, name)

    def _apply(self, manifest: dict[str, Any]) -> None:
        try:
            self._cluster.apply(manifest)
        except ApiError as error:
            raise FleetError(error.message) from error

    def _patch(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        try:
            self._cluster.patch("Deployment", namespace, name, patch)
        except ApiError as error:
            raise FleetError(error.message) from error


def _strategy(model: Model) -> dict[str, Any]:
    # Where GPUs are scarce there is no room for a surge: old pods make place for new ones.
    surge, unavailable = ("0", "50%") if model.task == "classification" else ("25%", "25%")
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0 if surge == "0" else surge, "maxUnavailable": unavailable},
    }


def _container(model: Model, namespace: str, image: str, version: int | None, commit: str) -> dict[str, Any]:
    environment = {"MODEL_NAME": model.name, "GIT_COMMIT": commit}
    if version is not None:
        environment["MODEL_VERSION"] = str(version)
    return {
        "name": "server",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {"limits": {"memory": _MEMORY[namespace], "nvidia.com/gpu": _GPUS[namespace]}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
