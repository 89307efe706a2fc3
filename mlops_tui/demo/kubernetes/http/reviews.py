"""Reviews: who am I, and what may I do?"""

import json
from collections.abc import Iterator
from typing import Any

from mlops_tui.demo.kubernetes.errors import bad_request, forbidden, invalid, unknown_path
from mlops_tui.demo.kubernetes.http.access import ANONYMOUS, User
from mlops_tui.demo.kubernetes.http.discovery import REVIEWS
from mlops_tui.demo.kubernetes.store import JsonObject
from mlops_tui.demo.kubernetes.validation import check_shape

PROTOBUF = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_RESOURCE_ATTRIBUTES = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}
_PATH_ATTRIBUTES = {1: "path", 2: "verb"}
_READABLE = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
]


def authorize_review(user: User, group_version: str, plural: str) -> None:
    """Let everybody ask who is known, or raise 403."""
    if user is not ANONYMOUS:
        return
    group = group_version.partition("/")[0]
    cause = f'User "{user.name}" cannot create resource "{plural}" in API group "{group}" at the cluster scope'
    raise forbidden(f"{plural}.{group}", cause, {"group": group, "kind": plural})


def review(group_version: str, plural: str, user: User, content_type: str, content: bytes) -> JsonObject:
    """Answer a self subject review.

    Raises:
        ApiError: 404 for another kind of review, 400 or 422 for one that does not ask anything.
    """
    kind = REVIEWS[group_version].get(plural)
    if kind is None:
        raise unknown_path()
    answer = {"kind": kind, "apiVersion": group_version, "metadata": {"creationTimestamp": None}}
    if kind == "SelfSubjectReview":
        return {**answer, "status": {"userInfo": {"username": user.name, "groups": ["system:authenticated"]}}}
    spec = _decoded(content, kind) if content_type.startswith(PROTOBUF) else _parsed(content, kind)
    if kind == "SelfSubjectRulesReview":
        return {**answer, "spec": {}, "status": _rules(user)}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        message = 'Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified'
        raise invalid("", "authorization.k8s.io", "", [("spec.resourceAttributes", "FieldValueInvalid", message)])
    return {**answer, "spec": spec, "status": {"allowed": _allows(user, resource, path)}}


def _allows(user: User, resource: JsonObject | None, path: JsonObject | None) -> bool:
    if resource is None:
        asked = path or {}
        return "*" in user.verbs or (asked.get("verb") == "get" and asked.get("path") in _READABLE)
    kinds = REVIEWS.get(f"{resource.get('group')}/v1", {})
    if resource.get("resource") in kinds:
        return user.may("create") or resource.get("verb") == "create"
    return user.may(resource.get("verb", ""))


def _rules(user: User) -> JsonObject:
    reviews = [
        {"verbs": ["create"], "apiGroups": [group_version.partition("/")[0]], "resources": list(kinds)}
        for group_version, kinds in REVIEWS.items()
    ]
    everything = {"verbs": sorted(user.verbs), "apiGroups": ["*"], "resources": ["*"]}
    paths = [{"verbs": ["get"], "nonResourceURLs": _READABLE}]
    if "*" in user.verbs:
        paths.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    return {"resourceRules": [everything, *reviews], "nonResourceRules": paths, "incomplete": False}


def _parsed(content: bytes, kind: str) -> JsonObject:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})") from error
    check_shape(body, kind)
    spec: JsonObject = body.get("spec") or {}
    return spec


def _decoded(content: bytes, kind: str) -> JsonObject:
    """Return the spec of a review in protobuf, which is what `kubectl auth can-i` sends."""
    if not content.startswith(_MAGIC):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind})")
    try:
        envelope = dict(_fields(content[len(_MAGIC) :]))
        spec = dict(_fields(dict(_fields(envelope.get(2, b""))).get(2, b"")))
        if kind == "SelfSubjectRulesReview":
            return {"namespace": spec.get(1, b"").decode()}
        attributes = {1: ("resourceAttributes", _RESOURCE_ATTRIBUTES), 2: ("nonResourceAttributes", _PATH_ATTRIBUTES)}
        return {
            name: {names[tag]: value.decode() for tag, value in _fields(spec[part]) if tag in names and value}
            for part, (name, names) in attributes.items()
            if part in spec
        }
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_request("unable to decode the protobuf body") from error


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and contents of a protobuf message's length-delimited fields; reviews have no others."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        size, place = _varint(message, place)
        if key & 7 != 2 or place + size > len(message):
            raise IndexError(place)
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte: Any = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
