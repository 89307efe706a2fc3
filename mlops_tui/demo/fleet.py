"""The Deployments of the world as the pipelines and the people handle them."""

from enum import Enum
from typing import Any, Final

from mlops_tui.demo.argocd import ArgoCD
from mlops_tui.demo.kubernetes import ApiError, Cluster, ImageBehaviour
from mlops_tui.demo.logbook import rollout_line
from mlops_tui.demo.runner import StepFailed
from mlops_tui.demo.story import Model, digest

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

    def __init__(self, cluster: Cluster, argocd: ArgoCD | None = None) -> None:
        """Handle the Deployments of a cluster; those that `argocd` manages by what is committed for them."""
        self._cluster = cluster
        self._argocd = argocd

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
                "metadata": {"labels": {"app": name, **known, **_track(model, name)}},
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
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        try:
            if self._argocd is not None and self._argocd.manages(namespace, name):
                self._argocd.commit(manifest, commit)
            else:
                self._cluster.apply(manifest)
        except ApiError as error:
            raise FleetError(error.message) from error

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        """Ask for a number of replicas as the pipeline does; what is not there is left alone."""
        found = self._deployment(namespace, name)
        if found is None or found["spec"]["replicas"] == replicas:
            return
        if self._argocd is not None and self._argocd.manages(namespace, name):
            self._argocd.scale(namespace, name, replicas, digest(namespace, name, replicas))
        else:
            self.scale_by_hand(namespace, name, replicas)

    def scale_by_hand(self, namespace: str, name: str, replicas: int) -> None:
        """Ask for a number of replicas with `kubectl scale`, whoever decides about the Deployment."""
        self._patch(namespace, name, {"spec": {"replicas": replicas}})

    def is_autoscaled(self, namespace: str, name: str) -> bool:
        """Say whether an autoscaler decides about the number of replicas."""
        return self._cluster.get("HorizontalPodAutoscaler", namespace, name) is not None

    def is_committed(self, namespace: str, name: str) -> bool:
        """Say whether Git decides about a Deployment."""
        return self._argocd is not None and self._argocd.manages(namespace, name)

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
        if self._argocd is not None and self._argocd.manages(namespace, name):
            if not self._argocd.revert(namespace, name):
                raise FleetError(f"{namespace}/{name} has no revision to go back to")
            return
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

    def progress(self, namespace: str, name: str) -> str:
        """Return what `kubectl rollout status` would print now."""
        found = self._deployment(namespace, name)
        if found is None:
            return f'Error from server (NotFound): deployments.apps "{name}" not found'
        spec, status = found["spec"], found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return "Waiting for deployment spec update to be observed..."
        counts = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
        return rollout_line(name, spec["replicas"], *counts)

    def waiting_pods(self, namespace: str, name: str) -> list[str]:
        """Return what the pods of a Deployment wait for, as `kubectl get pods` shows it."""
        lines = []
        for pod in self._cluster.objects("Pod", namespace):
            states = [status["state"] for status in pod["status"].get("containerStatuses", ())]
            reasons = [state["waiting"]["reason"] for state in states if "waiting" in state]
            if reasons and pod["metadata"]["labels"].get("app") == name:
                lines.append(f"{pod['metadata']['name']:<40} 0/1     {reasons[0]}")
        return lines

    def route(self, model: Model, canary: int) -> None:
        """Send `canary` percent of a model's requests in production to its canary, by its VirtualService."""
        found = self._cluster.get("VirtualService", PRODUCTION, model.deployment)
        if found is None:
            raise FleetError(f'virtualservices.networking.istio.io "{model.deployment}" not found')
        http = found["spec"]["http"]
        for route in http:
            for target in route["route"] if len(route["route"]) > 1 else ():
                is_canary = target["destination"].get("subset") == "canary"
                target["weight"] = canary if is_canary else 100 - canary
        try:
            self._cluster.patch("VirtualService", PRODUCTION, model.deployment, {"spec": {"http": http}})
        except ApiError as error:
            raise FleetError(error.message) from error

    def break_image(self, image: str) -> None:
        """Let an image be one that cannot be pulled."""
        self._cluster.behaviours.insert(0, ImageBehaviour(image, start_seconds=2.0, pull_error=True))

    def _deployment(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self._cluster.get("Deployment", namespace, name)

    def _patch(self, namespace: str, name: str, patch: dict[str, Any]) -> None:
        try:
            self._cluster.patch("Deployment", namespace, name, patch)
        except ApiError as error:
            raise FleetError(error.message) from error


def _track(model: Model, name: str) -> dict[str, str]:
    """Return the label by which routes tell a model's canary from what is stable."""
    return {"track": "canary" if name.endswith("-canary") else "stable"} if model.canary else {}


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
