"""CustomResourceDefinition objects become resource types."""

from collections.abc import Iterator

from mlops_tui.demo.kubernetes.registry import Registry, timestamp
from mlops_tui.demo.kubernetes.resources import DEFINITIONS, Definition, Resource, ResourceTypes
from mlops_tui.demo.kubernetes.store import Change, JsonObject, Store
from mlops_tui.domain.clock import Clock


class Definitions:
    """Keeps the types of a cluster in line with its CustomResourceDefinitions, as they are written."""

    def __init__(self, store: Store, registry: Registry, clock: Clock, types: ResourceTypes) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._types = types

    def notice(self, change: Change) -> None:
        """Establish a type that is new or changed; with one that is deleted its objects go."""
        stored = change.object
        if stored.resource is not DEFINITIONS:
            return
        versions = list(_versions(stored.body["spec"]))
        if change.type == "DELETED":
            for each in self._store.select(versions[0]):
                if self._store.get(versions[0], *each.key) is not None:
                    self._registry.delete(versions[0], *each.key, {"gracePeriodSeconds": 0})
            self._types.withdraw(versions[0].qualified)
            return
        if change.previous is None or change.previous.body["spec"] != stored.body["spec"]:
            self._types.establish(versions)
        status = self._status(stored.body)
        if status != stored.body.get("status"):
            self._store.put(DEFINITIONS, {**stored.body, "status": status})

    def _status(self, body: JsonObject) -> JsonObject:
        old = body.get("status") or {}
        storage = next(version["name"] for version in body["spec"]["versions"] if version["storage"])
        kept = [name for name in old.get("storedVersions") or () if name != storage]
        verdicts = (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
        now = timestamp(self._clock.now())
        fresh = [
            {"type": type_, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
            for type_, reason, message in verdicts
        ]
        return {
            "conditions": old.get("conditions") or fresh,
            "acceptedNames": body["spec"]["names"],
            "storedVersions": [*kept, storage],
        }


def _versions(spec: JsonObject) -> Iterator[Resource]:
    names = spec["names"]
    for version in spec["versions"]:
        if not version["served"]:
            continue
        subresources = version.get("subresources") or {}
        yield Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=tuple(part for part in ("status", "scale") if part in subresources),
            spec_versioned=True,
            unconditional_update=False,
            singular_name=names.get("singular", ""),
            list_name=names.get("listKind", ""),
            definition=Definition(
                version["schema"]["openAPIV3Schema"],
                tuple(version.get("additionalPrinterColumns") or ()),
                subresources.get("scale"),
            ),
        )
