"""The ReplicaSet controller: as many pods as its spec says, and a status that counts them."""

from datetime import datetime, timedelta

from mlops_tui.demo.kubernetes.controllers.base import Tools, owner_reference
from mlops_tui.demo.kubernetes.defaults import with_defaults
from mlops_tui.demo.kubernetes.registry import parse_timestamp
from mlops_tui.demo.kubernetes.resources import PODS, REPLICA_SETS
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

_COMPONENT = "replicaset-controller"
_PHASE_RANKS = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_active(pod: Stored) -> bool:
    """Say whether a pod counts: neither finished nor being deleted."""
    return pod.body["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod.metadata


def ready_since(pod: Stored) -> datetime | None:
    """Return since when a pod is ready, if it is."""
    for condition in pod.body["status"].get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return parse_timestamp(condition.get("lastTransitionTime") or pod.metadata["creationTimestamp"])
    return None


class ReplicaSetController:
    """Creates and deletes pods."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def sync(self, namespace: str, name: str) -> None:
        """Bring one ReplicaSet's pods and status in line with its spec."""
        replica_set = self._tools.store.get(REPLICA_SETS, namespace, name)
        if replica_set is None:
            return
        pods = self._active_pods(replica_set)
        leaving = "deletionTimestamp" in replica_set.metadata
        missing = 0 if leaving else replica_set.body["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            self._create_pod(replica_set)
        if missing < 0:
            for pod in sorted(pods, key=_worth)[:-missing]:
                self._tools.registry.delete(PODS, *pod.key)
                message = f"Deleted pod: {pod.key[1]}"
                self._tools.recorder.record(replica_set, "Normal", "SuccessfulDelete", message, _COMPONENT)
        self._update_status(replica_set, self._active_pods(replica_set) if missing else pods)

    def _active_pods(self, replica_set: Stored) -> list[Stored]:
        children = self._tools.store.owned_by(replica_set.uid)
        return [child for child in children if child.resource is PODS and is_active(child)]

    def _create_pod(self, replica_set: Stored) -> None:
        namespace, owner = replica_set.key
        name = f"{owner}-{self._tools.registry.suffix()}"
        while self._tools.store.get(PODS, namespace, name) is not None:
            name = f"{owner}-{self._tools.registry.suffix()}"
        template = replica_set.body["spec"]["template"]
        metadata: JsonObject = {
            "name": name,
            "generateName": f"{owner}-",
            "namespace": namespace,
            "uid": self._tools.registry.uid(),
            "creationTimestamp": self._tools.now(),
            **{key: value for key, value in template["metadata"].items() if key in ("labels", "annotations")},
            "ownerReferences": [owner_reference(replica_set)],
        }
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]}
        self._tools.store.put(PODS, with_defaults(pod))
        self._tools.recorder.record(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {name}", _COMPONENT)

    def _update_status(self, replica_set: Stored, pods: list[Stored]) -> None:
        spec = replica_set.body["spec"]
        settled = timedelta(seconds=spec.get("minReadySeconds", 0))
        now = self._tools.clock.now()
        moments = [since for pod in pods if (since := ready_since(pod)) is not None]
        available = [since for since in moments if since + settled <= now]
        if len(available) < len(moments):
            next_one = min(since + settled for since in moments if since + settled > now)
            due = self._tools.clock.monotonic() + (next_one - now).total_seconds()
            self._tools.queue.add_at(due, ("ReplicaSet", *replica_set.key))
        wanted = spec["template"]["metadata"].get("labels", {}).items()
        counts = {
            "fullyLabeledReplicas": sum(wanted <= pod.metadata.get("labels", {}).items() for pod in pods),
            "readyReplicas": len(moments),
            "availableReplicas": len(available),
            "observedGeneration": replica_set.metadata["generation"],
        }
        status = {"replicas": len(pods), **{key: count for key, count in counts.items() if count}}
        if status != replica_set.body["status"]:
            self._tools.store.put(REPLICA_SETS, {**replica_set.body, "status": status})


def _worth(pod: Stored) -> tuple[bool, int, bool, float]:
    """Return what decides which pods go first: without a node, not running, not ready, ready for the shortest time."""
    since = ready_since(pod)
    return (
        bool(pod.body["spec"].get("nodeName")),
        _PHASE_RANKS.get(pod.body["status"].get("phase", ""), 0),
        since is not None,
        -since.timestamp() if since else 0.0,
    )
