"""A whole cluster in memory, for the process that it lives in."""

import asyncio

from mlops_tui.demo.kubernetes.behaviour import ImageBehaviour
from mlops_tui.demo.kubernetes.controllers.argo.controller import RolloutController
from mlops_tui.demo.kubernetes.controllers.autoscaler import Autoscaler, Utilization
from mlops_tui.demo.kubernetes.controllers.base import Recorder, Tools
from mlops_tui.demo.kubernetes.controllers.collector import Collector
from mlops_tui.demo.kubernetes.controllers.deployment import DeploymentController
from mlops_tui.demo.kubernetes.controllers.kubelet import Kubelet
from mlops_tui.demo.kubernetes.controllers.queue import WorkQueue
from mlops_tui.demo.kubernetes.controllers.replica_set import ReplicaSetController
from mlops_tui.demo.kubernetes.definitions import Definitions
from mlops_tui.demo.kubernetes.logs import PodLogs
from mlops_tui.demo.kubernetes.patch import copy_json, merge
from mlops_tui.demo.kubernetes.registry import Registry
from mlops_tui.demo.kubernetes.resources import AUTOSCALERS, NAMESPACES, PODS, REPLICA_SETS, Resource, ResourceTypes
from mlops_tui.demo.kubernetes.store import Change, JsonObject, Store, Stored
from mlops_tui.domain.clock import Clock

SLICE = 200
"""Tasks done in one go: some milliseconds, then others on the event loop get their turn."""
_REFERRED = ("Service", "VirtualService", "DestinationRule")
"""Kinds that Rollouts refer to by name."""
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Cluster:
    """Namespaces, workloads and the controllers that run them.

    Args:
        seed: Uids, generated names and nodes follow from it: same seed, clock and calls, same world.
        history: Changes of each resource type that a watch can resume from.

    Attributes:
        behaviours: How images behave; the first match counts, and one that matches nothing starts in two seconds.
        utilization: What autoscalers ask: for a namespace and a workload's name the load of its ready pods in percent
            of what they are meant to take, `None` for no figures.
    """

    def __init__(self, clock: Clock, *, seed: int = 0, history: int = 1000) -> None:
        self.clock = clock
        self.store = Store(history)
        self.registry = Registry(self.store, clock, seed)
        self.types = ResourceTypes()
        self.behaviours: list[ImageBehaviour] = []
        self.utilization: Utilization | None = None
        self.logs = PodLogs()
        self._queue = WorkQueue()
        self._wake = asyncio.Event()
        tools = Tools(self.store, self.registry, clock, self._queue, Recorder(self.registry, clock), self.types)
        self._kubelet = Kubelet(tools, self.behaviours, self.logs)
        collector = Collector(tools)
        self._rollouts = RolloutController(tools)
        self._autoscaler = Autoscaler(tools, lambda: self.utilization)
        self._controllers = {
            "Deployment": DeploymentController(tools).sync,
            "ReplicaSet": ReplicaSetController(tools).sync,
            "Rollout": self._rollouts.sync,
            "Autoscaler": self._autoscaler.sync,
            "Pod": self._kubelet.sync,
            "Owner": collector.sync_owner,
            "Deletion": collector.sync_deletion,
            "Namespace": collector.sync_namespace,
        }
        definitions = Definitions(self.store, self.registry, clock, self.types)
        self.store.listeners += [definitions.notice, collector.notice, self._notice]
        for name in FIRST_NAMESPACES:
            self.apply({"kind": "Namespace", "metadata": {"name": name}})

    def apply(self, manifest: JsonObject) -> JsonObject:
        """Create the object that a manifest describes, or merge the manifest into it; return the object.

        A namespace that is missing is made: a world is built in any order.

        Raises:
            ApiError: The manifest breaks a rule of its kind.
        """
        resource = self.types.of_kind(manifest["kind"], manifest.get("apiVersion", ""))
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        if namespace and self.store.get(NAMESPACES, "", namespace) is None:
            self.registry.create(NAMESPACES, "", {"metadata": {"name": namespace}})
        if self.store.get(resource, namespace, metadata.get("name", "")) is None:
            named = {"apiVersion": resource.group_version, **copy_json(manifest)}
            body = self.registry.create(resource, namespace, named)
        else:
            body = self.registry.patch(resource, namespace, metadata["name"], lambda old: merge(old, manifest))
        return self._copy(body)

    def get(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        """Return an object, or `None`."""
        resource = self.types.of_kind(kind)
        stored = self.store.get(resource, namespace if resource.namespaced else "", name)
        return None if stored is None else self._copy(stored.body)

    def objects(self, kind: str, namespace: str = "") -> list[JsonObject]:
        """Return the objects of a kind, of one namespace or of all, by namespace and name."""
        return [self._copy(stored.body) for stored in self.store.select(self.types.of_kind(kind), namespace)]

    def patch(
        self, kind: str, namespace: str, name: str, merge_patch: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Change an object, or with `subresource="status"` its status, by a JSON merge patch and return it.

        Raises:
            ApiError: There is no such object, or it would break a rule of its kind.
        """
        resource, namespace = self._at(kind, namespace)
        changed = self.registry.patch(
            resource, namespace, name, lambda old: merge(old, merge_patch), subresource=subresource
        )
        return self._copy(changed)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object and, as the controllers come to it, what it owns.

        Raises:
            ApiError: There is no such object.
        """
        resource, namespace = self._at(kind, namespace)
        self.registry.delete(resource, namespace, name)

    def log(self, namespace: str, pod: str, line: str) -> None:
        """Append a line to what a pod has printed.

        Raises:
            ApiError: There is no such pod.
        """
        self.logs.add(self.registry.find(PODS, namespace, pod).uid, self.clock.now(), line)

    def reconcile(self, limit: int | None = None) -> float | None:
        """Let the controllers do what there is to do now, without waiting.

        Args:
            limit: The most tasks to do.

        Returns:
            Seconds until something is due, 0 if `limit` left something, `None` if nothing is.
        """
        self._queue.promote(self.clock.monotonic())
        done = 0
        while (limit is None or done < limit) and (task := self._queue.pop()) is not None:
            controller, namespace, name = task
            self._controllers[controller](namespace, name)
            done += 1
        if self._queue.ready:
            return 0.0
        due = self._queue.next_due
        return None if due is None else max(0.0, due - self.clock.monotonic())

    async def run(self) -> None:
        """Run the controllers until cancelled; while nothing happens they sleep."""
        timer: asyncio.Task[None] | None = None
        try:
            while True:
                self._wake.clear()
                delay = self.reconcile(SLICE)
                if delay == 0.0:
                    await asyncio.sleep(0)
                    continue
                if timer is not None:
                    timer.cancel()
                timer = None if delay is None else asyncio.create_task(self._ring(delay))
                await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _ring(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._wake.set()

    def _notice(self, change: Change) -> None:
        """Queue whom a change concerns."""
        stored = change.object
        resource, gone = stored.resource, change.type == "DELETED"
        if resource.kind in self._controllers:
            self._queue.add((resource.kind, *stored.key))
        owner = stored.owner()
        if owner is not None and owner["kind"] in self._controllers:
            self._queue.add((owner["kind"], stored.key[0], owner["name"]))
        if resource is AUTOSCALERS and change.type == "ADDED":
            self._autoscaler.watch(stored)
        if resource.kind in _REFERRED:
            self._rollouts.queue_namespace(stored.key[0])
        if gone:
            self._queue.add(("Owner", "", stored.uid))
        if gone and resource is PODS:
            self._kubelet.forget(stored)
            self._queue_grand_owner(stored)
        self._wake.set()

    def _queue_grand_owner(self, pod: Stored) -> None:
        """Queue the Deployment of a pod that is gone: one that recreates waits for the last of the old pods."""
        owner = pod.owner()
        if owner is None or owner["kind"] != "ReplicaSet":
            return
        replica_set = self.store.get(REPLICA_SETS, pod.key[0], owner["name"])
        above = replica_set.owner() if replica_set is not None else None
        if above is not None and above["kind"] == "Deployment":
            self._queue.add(("Deployment", pod.key[0], above["name"]))

    def _at(self, kind: str, namespace: str) -> tuple[Resource, str]:
        resource = self.types.of_kind(kind)
        return resource, namespace if resource.namespaced else ""

    @staticmethod
    def _copy(body: JsonObject) -> JsonObject:
        copied: JsonObject = copy_json(body)
        return copied
