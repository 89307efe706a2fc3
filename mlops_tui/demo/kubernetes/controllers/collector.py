"""Garbage collection: what a deleted owner or namespace leaves behind."""

from mlops_tui.demo.kubernetes.controllers.base import Tools
from mlops_tui.demo.kubernetes.resources import NAMESPACES, RESOURCES
from mlops_tui.demo.kubernetes.store import Stored

_NOW = {"gracePeriodSeconds": 0}


class Collector:
    """Deletes dependents."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def sync_owner(self, _: str, uid: str) -> None:
        """Delete what a deleted object owned."""
        for child in self._tools.store.owned_by(uid):
            self._tools.registry.delete(child.resource, *child.key)

    def sync_namespace(self, _: str, name: str) -> None:
        """Empty a namespace that is being deleted, and delete it."""
        namespace = self._tools.store.get(NAMESPACES, "", name)
        if namespace is None or "deletionTimestamp" not in namespace.metadata:
            return
        for resource in RESOURCES:
            if resource.namespaced:
                for stored in self._tools.store.select(resource, name):
                    self._remove(stored)
        self._tools.store.remove(namespace)

    def _remove(self, stored: Stored) -> None:
        if self._tools.store.get(stored.resource, *stored.key) is not None:
            self._tools.registry.delete(stored.resource, *stored.key, _NOW)
