"""Who manages which fields, and server-side apply, which goes by it.

An object that nobody wrote through the API has no `managedFields`; it gets them when it is applied for the first time,
as objects of the time before server-side apply do in the real server.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from mlops_tui.demo.kubernetes.errors import ApiError, apply_conflict
from mlops_tui.demo.kubernetes.fields import (
    Fields,
    Path,
    Rules,
    compare,
    fields_of,
    from_json,
    merged,
    ownable,
    readable,
    to_json,
    without,
)
from mlops_tui.demo.kubernetes.store import JsonObject

KUBECTL: Final = "kubectl"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_FIRST: Final = "before-first-apply"
"""Who manages what was there before anybody's fields were recorded."""


class Manager(NamedTuple):
    """Somebody who manages fields: a program, by its way of writing."""

    operation: Literal["Apply", "Update"]
    name: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        if self.operation == "Apply":
            return f'"{self.name}"'
        part = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.name}"{part} using {self.api_version}'


@dataclass(frozen=True, slots=True)
class Share:
    """What a manager manages, and since when exactly this."""

    fields: Fields
    time: str


Managers = Mapping[Manager, Share]


def managers_of(body: JsonObject) -> Managers:
    """Return who manages the fields of an object; what cannot be read counts as nobody's."""
    found: dict[Manager, Share] = {}
    for entry in (body.get("metadata") or {}).get("managedFields") or ():
        operation, name = entry.get("operation"), entry.get("manager", "")
        if operation in ("Apply", "Update"):
            manager = Manager(operation, name, entry.get("apiVersion", ""), entry.get("subresource", ""))
            found[manager] = Share(from_json(entry.get("fieldsV1") or {}), entry.get("time", ""))
    return found


def with_managers(body: JsonObject, managers: Managers) -> JsonObject:
    """Return an object with its `managedFields`."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if managers:
        metadata["managedFields"] = [_entry(manager, managers[manager]) for manager in sorted(managers)]
    return {**body, "metadata": metadata}


def _entry(manager: Manager, share: Share) -> JsonObject:
    entry = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": share.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_json(share.fields),
    }
    return {**entry, "subresource": manager.subresource} if manager.subresource else entry


def created_by(manager: Manager, body: JsonObject, rules: Rules, now: str) -> Managers:
    """Return the managers of an object that somebody has just created."""
    return {manager: Share(compare(None, body, rules).changed, now)}


def updated_by(
    manager: Manager, managers: Managers, old: JsonObject, new: JsonObject, rules: Rules, now: str
) -> Managers:
    """Return the managers after somebody has changed an object: what is changed is now theirs."""
    if not managers:
        return managers
    difference = compare(old, new, rules)
    left = _less(managers, difference.changed | difference.removed, manager, now)
    own = managers[manager].fields if manager in managers else frozenset()
    return _with_share(left, manager, (own - difference.removed) | difference.changed, now)


@dataclass(frozen=True)
class Applied:
    """What applying a configuration makes of an object."""

    body: JsonObject
    managers: Managers


def apply(
    live: JsonObject, configuration: JsonObject, manager: Manager, rules: Rules, now: str, *, force: bool
) -> Applied:
    """Apply a configuration to an object.

    What the manager applied before and does not apply any more is removed, unless somebody else manages it too.

    Args:
        force: Take fields over from others instead of refusing to change them.

    Raises:
        ApiError: 409, naming who manages the fields that would change.
    """
    before = managers_of(live)
    if not before:
        before = created_by(Manager("Update", _FIRST, manager.api_version), live, rules, now)
    applied = fields_of(configuration, rules)
    last = before[manager].fields if manager in before else frozenset()
    managers = _with_share(before, manager, applied, now)
    body = {**live, **merged(ownable(live), ownable(configuration), rules)}
    metadata = {**live["metadata"], **body["metadata"]}
    if gone := last - _with_parents(managers):
        kept = without({**body, "metadata": metadata}, gone, rules)
        body, metadata = {**kept, "spec": kept.get("spec", {})} if "spec" in body else kept, kept["metadata"]
    body = {**body, "metadata": metadata}
    difference = compare(live, body, rules)
    contested = difference.changed - _upgraded(live, manager, rules)
    others = {other: share.fields & contested for other, share in managers.items() if other != manager}
    conflicts = {str(other): sorted(map(readable, paths)) for other, paths in sorted(others.items()) if paths}
    if conflicts and not force:
        raise apply_conflict(conflicts)
    body = _with_last_applied(body, configuration, manager)
    return Applied(body, _less(managers, difference.changed | difference.removed, manager, now))


def _upgraded(live: JsonObject, manager: Manager, rules: Rules) -> Fields:
    """Return the fields that kubectl may take over from its own client-side apply: those it set and nobody changed."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if manager.name != KUBECTL or not text:
        return frozenset()
    try:
        last = json.loads(text)
        difference = compare(last, live, rules)
        return fields_of(last, rules) - difference.changed - difference.removed
    except (ValueError, TypeError, AttributeError):
        return frozenset()


def _with_last_applied(body: JsonObject, configuration: JsonObject, manager: Manager) -> JsonObject:
    """Return an object whose annotation of client-side apply, if it has one, follows kubectl's server-side apply."""
    annotations = body["metadata"].get("annotations") or {}
    if manager.name != KUBECTL or LAST_APPLIED not in annotations:
        return body
    text = json.dumps(configuration, separators=(",", ":"), sort_keys=True) + "\n"
    return {**body, "metadata": {**body["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}


def applied_first(configuration: JsonObject, manager: Manager, rules: Rules, now: str) -> Managers:
    """Return the managers of an object that an applied configuration creates."""
    merged({}, configuration, rules)  # refuses what cannot be merged
    return {manager: Share(fields_of(configuration, rules), now)}


def _with_share(managers: Managers, manager: Manager, fields: Fields, now: str) -> Managers:
    rest = {other: share for other, share in managers.items() if other != manager}
    if not fields:
        return rest
    known = managers.get(manager)
    return {**rest, manager: known if known is not None and known.fields == fields else Share(fields, now)}


def _less(managers: Managers, lost: Fields, winner: Manager, now: str) -> Managers:
    """Return the managers after all but one have lost fields."""
    left = {}
    for manager, share in managers.items():
        fields = share.fields if manager == winner else share.fields - lost
        if fields:
            left[manager] = share if fields == share.fields else Share(fields, now)
    return left


def _with_parents(managers: Managers) -> Fields:
    """Return all that is managed, with what it is part of."""
    paths: set[Path] = set()
    for share in managers.values():
        for path in share.fields:
            paths.update(path[:length] for length in range(1, len(path) + 1))
    return frozenset(paths)


def check_configuration(configuration: Any, group_version: str) -> JsonObject:
    """Refuse what cannot be applied to a type.

    Raises:
        ApiError: 400.
    """
    if not isinstance(configuration, dict):
        kind = {list: "array", str: "string", bool: "bool", type(None): "null"}.get(type(configuration), "number")
        reason = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        raise ApiError(
            400, "BadRequest", f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {reason}"
        )
    version = configuration.get("apiVersion", "")
    if version != group_version:
        message = f"Incorrect version specified in apply patch. Specified patch version: {version}"
        raise ApiError(400, "BadRequest", f"{message}, expected: {group_version}")
    metadata = configuration.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise ApiError(400, "BadRequest", "metadata.managedFields must be nil")
    return configuration
