"""The three forms in which objects are answered: whole, metadata only, and as a table."""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from mlops_tui.demo.kubernetes.errors import not_acceptable
from mlops_tui.demo.kubernetes.http.tables import columns, row
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

META_VERSION = "meta.k8s.io/v1"


class Form(StrEnum):
    """How the client wants its answer."""

    OBJECT = "object"
    TABLE = "table"
    METADATA = "metadata"


_AS = {"Table": Form.TABLE, "PartialObjectMetadata": Form.METADATA, "PartialObjectMetadataList": Form.METADATA}


def negotiate(accept: str) -> Form:
    """Return the first form of an Accept header that this server has.

    Raises:
        ApiError: 406 if it has none; protobuf and YAML are not spoken here.
    """
    for choice in (accept or "*/*").split(","):
        media_type, *parameters = [part.strip() for part in choice.split(";")]
        if media_type not in ("application/json", "application/*", "*/*"):
            continue
        wanted = dict(parameter.partition("=")[::2] for parameter in parameters)
        if "as" not in wanted:
            return Form.OBJECT
        if wanted["as"] in _AS and wanted.get("g") == "meta.k8s.io" and wanted.get("v") == "v1":
            return _AS[wanted["as"]]
    raise not_acceptable()


def encode(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def partial(stored: Stored) -> JsonObject:
    """Return an object's metadata as an object of its own."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": stored.metadata}


def table(
    resource: Resource,
    objects: Sequence[Stored],
    metadata: JsonObject,
    now: datetime,
    include: str,
    *,
    head: bool = True,
) -> JsonObject:
    """Return a table of objects.

    Args:
        include: What rows carry of their object: `None`, `Metadata` or `Object`.
        head: Whether to define the columns; the events of a watch do so only once.
    """

    def carried(stored: Stored) -> JsonObject | None:
        return None if include == "None" else stored.body if include == "Object" else partial(stored)

    rows = [{"cells": row(resource, stored.body, now), "object": carried(stored)} for stored in objects]
    return {
        "kind": "Table",
        "apiVersion": META_VERSION,
        "metadata": metadata,
        "columnDefinitions": columns(resource) if head else None,
        "rows": rows,
    }


def one(stored: Stored, form: Form, now: datetime, include: str = "", *, head: bool = True) -> bytes:
    """Return one object in the form that was asked for."""
    match form:
        case Form.OBJECT:
            return stored.encoded
        case Form.METADATA:
            return encode(partial(stored))
        case Form.TABLE:
            metadata = {"resourceVersion": str(stored.version)}
            return encode(table(stored.resource, [stored], metadata, now, include, head=head))


def many(
    resource: Resource, objects: Sequence[Stored], metadata: JsonObject, form: Form, now: datetime, include: str
) -> bytes:
    """Return a list in the form that was asked for."""
    match form:
        case Form.OBJECT:
            head = encode({"kind": resource.list_kind, "apiVersion": resource.group_version, "metadata": metadata})
            # Items of a custom resource name their kind each, those of a built-in type do not.
            custom = resource.definition is not None
            items = b",".join(stored.encoded if custom else stored.item for stored in objects)
            return b"".join((head[:-1], b',"items":[', items, b"]}"))
        case Form.METADATA:
            listed = [partial(stored) for stored in objects]
            kind = "PartialObjectMetadataList"
            return encode({"kind": kind, "apiVersion": META_VERSION, "metadata": metadata, "items": listed})
        case Form.TABLE:
            return encode(table(resource, objects, metadata, now, include))
