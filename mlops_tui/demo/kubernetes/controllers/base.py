"""What all controllers work with."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from mlops_tui.demo.kubernetes.controllers.queue import WorkQueue
from mlops_tui.demo.kubernetes.registry import Registry, timestamp
from mlops_tui.demo.kubernetes.resources import EVENTS, ResourceTypes
from mlops_tui.demo.kubernetes.store import JsonObject, Key, Store, Stored
from mlops_tui.domain.clock import Clock

EVENT_TTL = timedelta(hours=1)
"""How long Events are kept, as in a default cluster."""
EVENT_LIMIT = 20_000
"""Events kept at most: a busy hour of a large world must not fill the memory."""


class Recorder:
    """Writes Events: a repeated one is counted, an old one forgotten."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._known: dict[tuple[str, str, str], Key] = {}
        self._ages: deque[tuple[float, tuple[str, str, str]]] = deque()

    def record(self, about: Stored, type_: str, reason: str, message: str, component: str, host: str = "") -> None:
        """Record that something happened to an object.

        Args:
            type_: `Normal` or `Warning`.
            host: The node, for what a kubelet reports.
        """
        self._forget_old()
        now = timestamp(self._clock.now())
        known = (about.uid, reason, message)
        store = self._registry.store
        if known in self._known and (event := store.get(EVENTS, *self._known[known])) is not None:
            store.put(EVENTS, {**event.body, "count": event.body.get("count", 1) + 1, "lastTimestamp": now})
            return
        namespace, name = about.key
        metadata = {
            "name": f"{name}.{self._registry.suffix(16)}",
            "namespace": namespace or "default",
            "uid": self._registry.uid(),
            "creationTimestamp": now,
        }
        body: JsonObject = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": metadata,
            "involvedObject": _reference(about),
            "reason": reason,
            "message": message,
            "source": {"component": component, **({"host": host} if host else {})},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": type_,
            "eventTime": None,
            "reportingComponent": "",
            "reportingInstance": "",
        }
        self._known[known] = store.put(EVENTS, body).key
        self._ages.append((self._clock.monotonic(), known))

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - EVENT_TTL.total_seconds()
        while self._ages and (self._ages[0][0] < oldest or len(self._ages) >= EVENT_LIMIT):
            event = self._registry.store.get(EVENTS, *self._known.pop(self._ages.popleft()[1]))
            if event is not None:
                self._registry.store.remove(event)


def _reference(about: Stored) -> JsonObject:
    namespace, name = about.key
    reference = {
        "kind": about.resource.kind,
        "namespace": namespace,
        "name": name,
        "uid": about.uid,
        "apiVersion": about.resource.group_version,
        "resourceVersion": str(about.version),
    }
    return {key: value for key, value in reference.items() if value}


@dataclass(frozen=True)
class Tools:
    """What a controller is given."""

    store: Store
    registry: Registry
    clock: Clock
    queue: WorkQueue
    recorder: Recorder
    types: ResourceTypes

    def now(self) -> str:
        """Return the present as the API writes it."""
        return timestamp(self.clock.now())


def owner_reference(owner: Stored) -> JsonObject:
    """Return the reference by which `owner` controls another object."""
    return {
        "apiVersion": owner.resource.group_version,
        "kind": owner.resource.kind,
        "name": owner.key[1],
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
