"""Garbage collection: what a deleted owner or namespace leaves behind, and what has to go before its owner."""

from mlops_tui.demo.kubernetes.controllers.base import Tools
from mlops_tui.demo.kubernetes.deletion import FOREGROUND, ORPHAN
from mlops_tui.demo.kubernetes.resources import NAMESPACES
from mlops_tui.demo.kubernetes.store import Change, Stored

_NOW = {"gracePeriodSeconds": 0}
_FOREGROUND = {"propagationPolicy": "Foreground"}


class Collector:
    """Deletes dependents."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def notice(self, change: Change) -> None:
        """Queue whose deletion can go on after a change."""
        stored = change.object
        if change.type != "DELETED":
            if "deletionTimestamp" in stored.metadata and stored.metadata.get("finalizers"):
                self._queue_deletion(stored)
            return
        owner = self._owner(stored)
        if owner is not None and FOREGROUND in owner.metadata.get("finalizers", ()):
            self._queue_deletion(owner)
        namespace = self._tools.store.get(NAMESPACES, "", stored.key[0])
        if namespace is not None and "deletionTimestamp" in namespace.metadata:
            self._tools.queue.add(("Namespace", *namespace.key))

    def _queue_deletion(self, stored: Stored) -> None:
        namespace, name = stored.key
        self._tools.queue.add(("Deletion", namespace, f"{stored.resource.qualified}/{name}"))

    def _owner(self, stored: Stored) -> Stored | None:
        reference = stored.owner()
        if reference is None:
            return None
        kind, group = reference["kind"], reference.get("apiVersion", "").rpartition("/")[0]
        resource = self._tools.types.find(kind, group)
        return None if resource is None else self._tools.store.get(resource, stored.key[0], reference["name"])

    def sync_owner(self, _: str, uid: str) -> None:
        """Delete what a deleted object owned."""
        for child in self._tools.store.owned_by(uid):
            self._tools.registry.delete(child.resource, *child.key)

    def sync_deletion(self, namespace: str, text: str) -> None:
        """Do what the finalizers of garbage collection ask for; others are for whoever put them there.

        Args:
            text: The type, as in `deployments.apps`, a slash, and the name.
        """
        qualified, _, name = text.partition("/")
        resource = next((each for each in self._tools.types if each.qualified == qualified), None)
        stored = None if resource is None else self._tools.store.get(resource, namespace, name)
        if stored is None or "deletionTimestamp" not in stored.metadata:
            return
        finalizers, children = stored.metadata.get("finalizers", ()), self._tools.store.owned_by(stored.uid)
        if ORPHAN in finalizers:
            for child in children:
                self._tools.registry.orphan(child, stored.uid)
            self._tools.registry.finalize(stored, ORPHAN)
        elif FOREGROUND in finalizers and not children:
            self._tools.registry.finalize(stored, FOREGROUND)
        elif FOREGROUND in finalizers:
            for child in children:
                if "deletionTimestamp" not in child.metadata:
                    self._tools.registry.delete(child.resource, *child.key, _FOREGROUND)

    def sync_namespace(self, _: str, name: str) -> None:
        """Empty a namespace that is being deleted, and delete it when nothing is left."""
        namespace = self._tools.store.get(NAMESPACES, "", name)
        if namespace is None or "deletionTimestamp" not in namespace.metadata:
            return
        types = {each.qualified: each for each in self._tools.types if each.namespaced}.values()
        for resource in types:
            for stored in self._tools.store.select(resource, name):
                self._remove(stored)
        if not any(self._tools.store.select(resource, name) for resource in types):
            self._tools.store.remove(namespace)

    def _remove(self, stored: Stored) -> None:
        if self._tools.store.get(stored.resource, *stored.key) is not None:
            self._tools.registry.delete(stored.resource, *stored.key, _NOW)
