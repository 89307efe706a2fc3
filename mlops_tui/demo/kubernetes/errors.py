"""Refusals in the API server's own words.

An `ApiError` is the `Status` object that a client receives: code, reason, message and details are those of the real
server, because clients (kubectl first) read them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_tui.demo.kubernetes.resources import Resource


class ApiError(Exception):
    """A request that the server refuses."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """Return the `Status` object of this refusal."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def object_details(resource: Resource, name: str) -> dict[str, Any]:
    """Return the `details` that name an object: empty parts are left out, as the server does."""
    parts = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in parts.items() if value}


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: a token that nobody issued."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(subject: str, explanation: str, details: dict[str, Any]) -> ApiError:
    """403: `explanation` names user, verb and resource."""
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {explanation}", details)


def forbidden_path(user: str, verb: str, path: str) -> ApiError:
    """403 for a path that is no resource."""
    return ApiError(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"', {})


def unknown_path() -> ApiError:
    """404: no such resource type."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no such object."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', object_details(resource, name))


def method_not_allowed() -> ApiError:
    """405: the resource type knows no such verb."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_acceptable() -> ApiError:
    """406: no representation that the client accepts."""
    return ApiError(406, "NotAcceptable", "406: Not Acceptable", {})


def unsupported_media_type(accepted: Sequence[str] = ()) -> ApiError:
    """415: a body, or a kind of patch, that is not understood; for custom resources the server names what is."""
    if accepted:
        known = f"accepted media types include: {', '.join(accepted)}"
        message = f"the body of the request was in an unknown format - {known}"
        return ApiError(415, "UnsupportedMediaType", message)
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 on creation."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, object_details(resource, name))


def conflict(resource: Resource, name: str, cause: str = "") -> ApiError:
    """409: the precondition (resourceVersion, uid) does not hold."""
    cause = cause or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {cause}'
    return ApiError(409, "Conflict", message, object_details(resource, name))


def precondition_failed(resource: Resource, name: str, reason: str) -> ApiError:
    """409: the precondition of a deletion does not hold; here the server names the kind, not the type."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {**object_details(resource, name), "kind": resource.kind}
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {reason}', details)


def apply_conflict(conflicts: Mapping[str, Sequence[str]]) -> ApiError:
    """409: an applied configuration would change what others manage.

    Args:
        conflicts: For each manager, as messages name it, the paths of the fields.
    """
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, paths in conflicts.items()
        for path in paths
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        listed = [line for each, paths in conflicts.items() for line in _conflict_lines(each, paths)]
        message = "\n".join((f"Apply failed with {len(causes)} conflicts: {listed[0]}", *listed[1:]))
    return ApiError(409, "Conflict", message, {"causes": causes})


def _conflict_lines(manager: str, paths: Sequence[str]) -> list[str]:
    return [f"conflicts with {manager}:", *(f"- {path}" for path in paths)]


def unknown_fields(resource: Resource, fields: Sequence[str]) -> ApiError:
    """400: an object with fields that its type does not have."""
    kind, faults = resource.kind, _unknown(fields)
    return bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {faults}')


def unknown_fields_patched(patched: str, fields: Sequence[str]) -> ApiError:
    """422: a patch that sets such fields; `patched` is what it makes of the object."""
    message = f"Invalid value: {json.dumps(patched)}: {_unknown(fields)}"
    return invalid("", "", "", [("patch", "FieldValueInvalid", message)])


def unknown_fields_applied(fields: Sequence[str]) -> ApiError:
    """500, as the server answers to a configuration with such fields."""
    faults = [f".{field}: field not declared in schema" for field in fields]
    listed = faults[0] if len(faults) == 1 else "\n  ".join(("errors:", *faults))
    return ApiError(500, "", f"failed to create typed patch object: {listed}")


def _unknown(fields: Sequence[str]) -> str:
    return "strict decoding error: " + ", ".join(f'unknown field "{field}"' for field in fields)


def namespace_terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    """403: nothing new in a namespace that is being deleted."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    reason = f"unable to create new content in namespace {namespace} because it is being terminated"
    details = {**object_details(resource, name), "causes": [cause]}
    return forbidden(f'{resource.qualified} "{name}"', reason, details)


def expired(message: str) -> ApiError:
    """410: a resource version or a continue token that history no longer covers."""
    return ApiError(410, "Expired", message)


def unprocessable_patch() -> ApiError:
    """422: a JSON patch whose test fails or whose path does not exist."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str, str]]) -> ApiError:
    """422: the object breaks rules of its kind.

    Args:
        causes: For each broken rule the field's path, the reason (`FieldValueInvalid` …) and the message.
    """
    faults = [f"{field}: {message}" for field, _, message in causes]
    listed = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
    details: dict[str, Any] = {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}
    details["causes"] = [{"reason": reason, "message": message, "field": field} for field, reason, message in causes]
    qualified = f"{kind}.{group}" if group else kind
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details)


def invalid_options(kind: str, field: str, reason: str, message: str) -> ApiError:
    """422: an option of a request (`CreateOptions`, `PatchOptions` …) that there is not, or not here."""
    causes = [{"reason": reason, "message": message, "field": field}]
    details = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return ApiError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {field}: {message}', details)


def version_too_large(version: int, current: int) -> ApiError:
    """504: a resource version from a future that this server does not know."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {version}, current: {current}",
        {"causes": causes, "retryAfterSeconds": 1},
    )
