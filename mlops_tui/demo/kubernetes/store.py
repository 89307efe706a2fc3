"""Objects in memory, numbered changes, and who is told of them.

Every write gives the object the next resource version and appends to its type's change log; watches read that log,
controllers are called with each change. A stored body is shared with lists, watches and controllers and is therefore
never modified: a write brings a new body, which may share parts with the old one.
"""

import json
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mlops_tui.demo.kubernetes.resources import Resource

JsonObject = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster-wide objects) and name: the order of lists."""


class Stored:
    """One state of one object."""

    __slots__ = ("_encoded", "body", "key", "resource", "uid", "version")

    def __init__(self, resource: Resource, body: JsonObject) -> None:
        metadata = body["metadata"]
        self.resource = resource
        self.body = body
        self.key: Key = (metadata.get("namespace", ""), metadata["name"])
        self.uid: str = metadata["uid"]
        self.version = int(metadata["resourceVersion"])
        self._encoded: bytes | None = None

    @property
    def metadata(self) -> JsonObject:
        metadata: JsonObject = self.body["metadata"]
        return metadata

    @property
    def item(self) -> bytes:
        """The object in JSON as a list holds it, without kind and apiVersion; encoded once."""
        if self._encoded is None:
            fields = {key: value for key, value in self.body.items() if key not in ("kind", "apiVersion")}
            self._encoded = json.dumps(fields, separators=(",", ":")).encode()
        return self._encoded

    @property
    def encoded(self) -> bytes:
        """The whole object in JSON."""
        return self.resource.type_meta + self.item[1:]

    def seen_as(self, resource: Resource) -> "Stored":
        """Return the object in another version of its type; custom resources are the same in all of them."""
        if self.resource is resource:
            return self
        return Stored(resource, {**self.body, "apiVersion": resource.group_version})

    def owner(self) -> JsonObject | None:
        """Return the reference to the controller that owns the object."""
        references: list[JsonObject] = self.metadata.get("ownerReferences", [])
        return next((reference for reference in references if reference.get("controller")), None)


@dataclass(frozen=True, slots=True)
class Change:
    """One write; `object` is what it left, or, for a deletion, the last state under the deletion's version."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Stored
    previous: Stored | None


class ChangeLog:
    """The latest changes of one resource type, oldest first.

    Attributes:
        floor: The newest version that has been forgotten; a watch from before it has to list again.
    """

    def __init__(self, limit: int) -> None:
        self.floor = 0
        self._limit = limit
        self._versions: list[int] = []
        self._changes: list[Change] = []

    def append(self, change: Change) -> None:
        """Add a change, forgetting the oldest in batches so that the cost stays constant."""
        self._versions.append(change.object.version)
        self._changes.append(change)
        if len(self._changes) >= 2 * self._limit:
            excess = len(self._changes) - self._limit
            self.floor = self._versions[excess - 1]
            del self._versions[:excess], self._changes[:excess]

    def after(self, version: int) -> list[Change] | None:
        """Return what changed after `version`, or `None` if that is no longer known."""
        if version < self.floor:
            return None
        return self._changes[bisect_right(self._versions, version) :]


class _Shelf:
    """The objects of one type, with their keys in list order."""

    def __init__(self, history: int) -> None:
        self.objects: dict[Key, Stored] = {}
        self.keys: list[Key] = []
        self.log = ChangeLog(history)


class Store:
    """All objects.

    Args:
        history: Changes kept for each resource type; up to twice as many between two clean-ups.
    """

    def __init__(self, history: int = 1000) -> None:
        self.version = 1
        self.listeners: list[Callable[[Change], None]] = []
        self._shelves: defaultdict[str, _Shelf] = defaultdict(lambda: _Shelf(history))
        self._owned: defaultdict[str, dict[tuple[str, Key], Stored]] = defaultdict(dict)

    def log(self, resource: Resource) -> ChangeLog:
        """Return the change log of a type."""
        return self._shelves[resource.qualified].log

    def get(self, resource: Resource, namespace: str, name: str) -> Stored | None:
        """Return an object; constant time."""
        stored = self._shelves[resource.qualified].objects.get((namespace, name))
        return stored if stored is None else stored.seen_as(resource)

    def select(self, resource: Resource, namespace: str = "") -> list[Stored]:
        """Return the objects of a type, of one namespace or (empty) of all, in list order."""
        shelf = self._shelves[resource.qualified]
        keys = shelf.keys
        if namespace:
            keys = keys[bisect_left(keys, (namespace, "")) : bisect_left(keys, (namespace + "\0", ""))]
        return [shelf.objects[key].seen_as(resource) for key in keys]

    def owned_by(self, uid: str) -> list[Stored]:
        """Return what has `uid` as its owner, oldest first."""
        return list(self._owned[uid].values()) if uid in self._owned else []

    def put(self, resource: Resource, body: JsonObject) -> Stored:
        """Write a new state of an object, creating it if it is not there.

        Args:
            body: Complete, except for the resource version; the store keeps it and nobody may modify it any more.
        """
        shelf = self._shelves[resource.qualified]
        stored = self._stamp(resource, body)
        previous = shelf.objects.get(stored.key)
        shelf.objects[stored.key] = stored
        if previous is None:
            insort(shelf.keys, stored.key)
        self._index(stored, previous)
        self._publish(shelf, Change("MODIFIED" if previous else "ADDED", stored, previous))
        return stored

    def remove(self, stored: Stored) -> Stored:
        """Delete an object and return its last state."""
        shelf = self._shelves[stored.resource.qualified]
        previous = shelf.objects.pop(stored.key)
        del shelf.keys[bisect_left(shelf.keys, stored.key)]
        last = self._stamp(stored.resource, previous.body)
        for uid in _owners(previous):
            self._disown(uid, previous)
        self._publish(shelf, Change("DELETED", last, previous))
        return last

    def _stamp(self, resource: Resource, body: JsonObject) -> Stored:
        self.version += 1
        return Stored(resource, {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}})

    def _index(self, stored: Stored, previous: Stored | None) -> None:
        owners = set(_owners(stored))
        for uid in _owners(previous) if previous else ():
            if uid not in owners:
                self._disown(uid, stored)
        for uid in owners:
            self._owned[uid][stored.resource.qualified, stored.key] = stored

    def _disown(self, uid: str, stored: Stored) -> None:
        children = self._owned[uid]
        children.pop((stored.resource.qualified, stored.key), None)
        if not children:
            del self._owned[uid]

    def _publish(self, shelf: _Shelf, change: Change) -> None:
        shelf.log.append(change)
        for listener in tuple(self.listeners):
            listener(change)


def _owners(stored: Stored) -> Iterator[str]:
    for reference in stored.metadata.get("ownerReferences", ()):
        yield reference["uid"]
