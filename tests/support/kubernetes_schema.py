"""Kubernetes' own schemas as a judge of objects, lists, tables and watch events."""

import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SCHEMAS = Path(__file__).parent.parent / "schemas"
_ROOT = "urn:kubernetes"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_COLUMN = {
    "type": "object",
    "required": ["name", "type", "format", "description", "priority"],
    "properties": {
        "name": {"type": "string"},
        "type": {"enum": ["string", "integer", "number", "boolean", "date"]},
        "priority": {"type": "integer", "minimum": 0},
    },
}
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_NAMES = {
    "type": "object",
    "required": ["plural", "kind"],
    "properties": {
        "plural": _TEXT,
        "singular": _TEXT,
        "kind": _TEXT,
        "listKind": _TEXT,
        "shortNames": _TEXTS,
        "categories": _TEXTS,
    },
    "additionalProperties": False,
}
_CONDITION = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {"status": {"enum": ["True", "False", "Unknown"]}, "lastTransitionTime": _TEXT},
}
_VERSION = {
    "type": "object",
    "required": ["name", "served", "storage"],
    "properties": {"served": {"type": "boolean"}, "storage": {"type": "boolean"}, "schema": {"type": "object"}},
}
_DEFINITION: Mapping[str, Any] = {
    "required": ["kind", "apiVersion", "metadata", "spec"],
    "properties": {
        "metadata": {"$ref": f"{_ROOT}#/$defs/{_META}.ObjectMeta"},
        "spec": {
            "required": ["group", "names", "scope", "versions"],
            "properties": {
                "names": _NAMES,
                "scope": {"enum": ["Cluster", "Namespaced"]},
                "versions": {"type": "array", "items": _VERSION},
            },
        },
        "status": {
            "properties": {
                "acceptedNames": _NAMES,
                "conditions": {"type": ["array", "null"], "items": _CONDITION},
                "storedVersions": _TEXTS,
            }
        },
    },
}
_UNPUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "APIVersions": {
        "required": ["versions", "serverAddressByClientCIDRs"],
        "properties": {"versions": {"type": "array", "items": {"type": "string"}}},
    },
    "CustomResourceDefinition": _DEFINITION,
    "CustomResourceDefinitionList": {
        "required": ["kind", "apiVersion", "metadata", "items"],
        "properties": {
            "metadata": {"$ref": f"{_ROOT}#/$defs/{_META}.ListMeta"},
            "items": {"type": "array", "items": {**_DEFINITION, "required": ["metadata", "spec"]}},
        },
    },
    "PartialObjectMetadata": {
        "required": ["kind", "apiVersion", "metadata"],
        "properties": {"metadata": {"$ref": f"{_ROOT}#/$defs/{_META}.ObjectMeta"}},
    },
    "PartialObjectMetadataList": {
        "required": ["kind", "apiVersion", "metadata", "items"],
        "properties": {"metadata": {"$ref": f"{_ROOT}#/$defs/{_META}.ListMeta"}, "items": {"type": "array"}},
    },
    "Table": {
        "required": ["kind", "apiVersion", "metadata", "columnDefinitions", "rows"],
        "properties": {
            "metadata": {"$ref": f"{_ROOT}#/$defs/{_META}.ListMeta"},
            "columnDefinitions": {"type": ["array", "null"], "items": _COLUMN},
            "rows": {"type": "array", "items": {"type": "object", "required": ["cells", "object"]}},
        },
    },
}
"""Kinds that the published schemas leave out, in the words of the API's own types."""


class SchemaError(AssertionError):
    """Something that Kubernetes would not have said."""


@functools.cache
def _registry() -> Registry[Any]:
    document = json.loads(gzip.decompress((SCHEMAS / "kubernetes-1.32.schema.json.gz").read_bytes()))
    resource: Resource[Any] = Resource.from_contents(document, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
    return registry


@functools.cache
def _definitions() -> Mapping[tuple[str, str], str]:
    """For each (apiVersion, kind) the name of its definition."""
    found = {}
    for name, definition in _registry().contents(_ROOT)["$defs"].items():
        for tag in definition.get("x-kubernetes-group-version-kind", ()):
            if name.endswith("." + tag["kind"]):
                group = f"{tag['group']}/" if tag["group"] else ""
                found[f"{group}{tag['version']}", tag["kind"]] = name
    return found


@functools.cache
def _validator(api_version: str, kind: str) -> Draft202012Validator:
    if _is_custom(api_version):
        return Draft202012Validator(_custom(kind), registry=_registry())
    if kind in _UNPUBLISHED:
        return Draft202012Validator(_UNPUBLISHED[kind], registry=_registry())
    name = _definitions().get((api_version, kind))
    if name is None:
        raise SchemaError(f"there is no schema for {api_version} {kind}")
    return Draft202012Validator({"$ref": f"{_ROOT}#/$defs/{name}"}, registry=_registry())


def _is_custom(api_version: str) -> bool:
    """Say whether a group is somebody else's: Kubernetes' own have no dot, or end in `k8s.io`."""
    group = api_version.rpartition("/")[0]
    return "." in group and not group.endswith("k8s.io")


def _custom(kind: str) -> Mapping[str, Any]:
    """Return what holds for every custom resource, or list of them."""
    if kind.endswith("List"):
        listed = {"type": "array", "items": _custom("")}
        metadata = {"$ref": f"{_ROOT}#/$defs/{_META}.ListMeta"}
        required = ["kind", "apiVersion", "metadata", "items"]
        return {"required": required, "properties": {"metadata": metadata, "items": listed}}
    return _UNPUBLISHED["PartialObjectMetadata"]


def check_object(thing: Mapping[str, Any]) -> None:
    """Hold an object that names its kind against the schema of that kind.

    Raises:
        SchemaError: It does not fit, or there is no such kind.
    """
    kind = thing.get("kind", "")
    # The resource lists of the core group come without a version of their own.
    api_version = thing.get("apiVersion", "v1")
    error = best_match(_validator(api_version, kind).iter_errors(thing))
    if error is not None:
        raise SchemaError(f"{api_version} {kind}: {error.json_path}: {error.message[:500]}")
    for row in thing.get("rows", ()) if kind == "Table" else ():
        if row["object"] is not None:
            check_object(row["object"])


def check_event(event: Mapping[str, Any]) -> None:
    """Hold a watch event, and the object in it, against the schemas; a bookmark has nothing but metadata.

    Raises:
        SchemaError: It does not fit.
    """
    if set(event) != {"type", "object"} or event["type"] not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"):
        raise SchemaError(f"no watch event: {str(event)[:200]}")
    if event["type"] == "BOOKMARK":
        check_object({**event["object"], "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"})
    else:
        check_object(event["object"])
