"""What clients send: read as an object of its type, and held against the object that it is about."""

import json
from collections.abc import Mapping
from typing import Any

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import JsonObject, Stored
from mlops_tui.demo.kubernetes.validation import check_shape

OWN_METADATA = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that clients send back but do not decide."""


def typed(resource: Resource, body: Any) -> JsonObject:
    """Return `body` as an object of the type, without the nulls that mean absent.

    Raises:
        ApiError: 400 or 422 for something else.
    """
    custom = resource.definition is not None
    check_shape(body, resource.kind, custom=custom)
    if custom:
        _check_type_is_named(resource, body)
    kind, version = body.get("kind", resource.kind), body.get("apiVersion", resource.group_version)
    if (kind, version) != (resource.kind, resource.group_version):
        if kind == resource.kind:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.group_version})"
            )
        if custom:
            cause = ("kind", "FieldValueInvalid", f'Invalid value: "{kind}": must be {resource.kind}')
            raise errors.invalid(kind, resource.group, (body.get("metadata") or {}).get("name", ""), [cause])
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: no kind "{kind}" is registered'
        )
    cleaned: JsonObject = _without_nulls(body)
    return {"kind": resource.kind, "apiVersion": resource.group_version, **cleaned}


def _check_type_is_named(resource: Resource, body: JsonObject) -> None:
    """Refuse a custom resource that leaves its kind or version open, which built-in types may."""
    missing = next((name for name in ("kind", "apiVersion") if not body.get(name)), "")
    if missing:
        named = f"Object '{missing[0].upper()}{missing[1:]}' is missing in '{json.dumps(body)}'"
        raise errors.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {named}'
        )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def check_unchanged(stored: Stored, wanted: Mapping[str, Any]) -> None:
    """Refuse to write over an object that is not the one, or not the state of it, that the client has seen.

    Raises:
        ApiError: 409.
    """
    name = stored.key[1]
    if (uid := wanted.get("uid")) and uid != stored.uid:
        cause = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored.uid}"
        raise errors.conflict(stored.resource, name, cause)
    if (version := wanted.get("resourceVersion")) and version != str(stored.version):
        raise errors.conflict(stored.resource, name)


def check_address(metadata: JsonObject, namespace: str, name: str) -> None:
    """Refuse an object that names itself otherwise than its URL does.

    Raises:
        ApiError: 400.
    """
    if metadata.get("name", name) != name:
        raise errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    if metadata.get("namespace", namespace) != namespace:
        raise errors.bad_request(
            f"the namespace of the object ({metadata['namespace']}) does not match the namespace on the request "
            f"({namespace})"
        )


def kept_metadata(old: JsonObject, new: JsonObject) -> JsonObject:
    """Return new metadata with what clients do not decide as it was."""
    kept = {key: old[key] for key in (*OWN_METADATA, "name", "namespace", "resourceVersion") if key in old}
    return {**{key: value for key, value in new.items() if key not in OWN_METADATA}, **kept}


def generation_moves(resource: Resource, old: JsonObject, new: JsonObject) -> bool:
    """Say whether a change makes a new generation of the object."""
    if not resource.spec_versioned:
        return False
    if resource.definition is not None:
        kept = ("metadata", "status") if "status" in resource.subresources else ("metadata",)
        return {key: old[key] for key in old if key not in kept} != {key: new[key] for key in new if key not in kept}
    if resource.annotations_versioned and old["metadata"].get("annotations") != new["metadata"].get("annotations"):
        return True
    return bool(old["spec"] != new["spec"])
