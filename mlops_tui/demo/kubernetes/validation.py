"""The rules that objects have to keep, with the API server's words for the broken ones."""

import re
from collections.abc import Iterator
from typing import Any

from mlops_tui.demo.kubernetes import schemas
from mlops_tui.demo.kubernetes.deletion import finalizer_causes
from mlops_tui.demo.kubernetes.errors import ApiError, bad_request, invalid
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.selectors import labels_match
from mlops_tui.demo.kubernetes.store import JsonObject

Cause = tuple[str, str, str]
"""Field, reason and message of a broken rule."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT = re.compile(r"[0-9]{1,9}%")
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', or '93%', regex used for "
    "validation is '[0-9]+%')"
)
NAME_LIMIT = 253
"""Characters in an object's name, for every kind."""

_SHAPES: tuple[tuple[str, type, str], ...] = (
    ("metadata", dict, "v1.ObjectMeta"),
    ("metadata.name", str, "string"),
    ("metadata.namespace", str, "string"),
    ("metadata.labels", dict, "map[string]string"),
    ("metadata.annotations", dict, "map[string]string"),
    ("metadata.ownerReferences", list, "[]v1.OwnerReference"),
    ("metadata.managedFields", list, "[]v1.ManagedFieldsEntry"),
    ("metadata.finalizers", list, "[]string"),
    ("spec", dict, "Spec"),
    ("spec.replicas", int, "int32"),
    ("spec.paused", bool, "bool"),
    ("spec.minReadySeconds", int, "int32"),
    ("spec.progressDeadlineSeconds", int, "int32"),
    ("spec.revisionHistoryLimit", int, "int32"),
    ("spec.selector", dict, "v1.LabelSelector"),
    ("spec.strategy", dict, "v1.DeploymentStrategy"),
    ("spec.strategy.rollingUpdate", dict, "v1.RollingUpdateDeployment"),
    ("spec.template", dict, "v1.PodTemplateSpec"),
    ("spec.template.metadata", dict, "v1.ObjectMeta"),
    ("spec.template.metadata.labels", dict, "map[string]string"),
    ("spec.template.spec", dict, "v1.PodSpec"),
    ("spec.template.spec.containers", list, "[]v1.Container"),
    ("spec.containers", list, "[]v1.Container"),
    ("spec.ports", list, "[]v1.ServicePort"),
    ("status", dict, "Status"),
    ("status.conditions", list, "[]Condition"),
    ("status.containerStatuses", list, "[]v1.ContainerStatus"),
)
_METADATA_SHAPES = tuple(shape for shape in _SHAPES if shape[0].startswith("metadata"))
_STRUCTS = (
    "metadata.ownerReferences",
    "metadata.managedFields",
    "spec.containers",
    "spec.ports",
    "spec.template.spec.containers",
    "status.conditions",
    "status.containerStatuses",
)
_TEXT_MAPS = ("metadata.annotations", "metadata.labels", "spec.template.metadata.labels")


def check_shape(body: Any, kind: str, *, custom: bool = False) -> None:
    """Refuse what cannot be read as an object of `kind`, before anything relies on its structure.

    Args:
        custom: Only the metadata has a known structure, the rest is for the schema of a custom resource.

    Raises:
        ApiError: 400, as decoding in the server does.
    """
    if not isinstance(body, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind")
    for path, wanted, type_name in _METADATA_SHAPES if custom else _SHAPES:
        value = _at(body, path)
        if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            raise _not_a(kind, path, value, type_name)
    for path in _STRUCTS[:2] if custom else _STRUCTS:
        for element in _at(body, path) or ():
            if not isinstance(element, dict):
                raise _not_a(kind, path, element, "struct")
    for path in _TEXT_MAPS[:2] if custom else _TEXT_MAPS:
        for value in (_at(body, path) or {}).values():
            if not isinstance(value, str):
                raise _not_a(kind, path, value, "string")


def _not_a(kind: str, path: str, value: Any, type_name: str) -> ApiError:
    found = {str: "string", bool: "bool", dict: "object", list: "array"}.get(type(value), "number")
    reason = f"json: cannot unmarshal {found} into Go struct field {kind}.{path} of type {type_name}"
    return bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {reason}')


def _at(body: JsonObject, path: str) -> Any:
    value: Any = body
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def validate(resource: Resource, body: JsonObject, previous: JsonObject | None = None) -> None:
    """Check an object with its defaults filled in; `previous` is the state that it would replace.

    Raises:
        ApiError: 422, naming every broken rule.
    """
    causes = [*_metadata_causes(body), *finalizer_causes(body, previous)]
    if resource.definition is not None:
        causes += schemas.causes(resource.definition.schema, body)
    elif resource.kind == "CustomResourceDefinition":
        causes += schemas.definition_causes(body)
    elif resource.kind in ("Deployment", "ReplicaSet"):
        causes += _workload_causes(body, previous)
    elif resource.kind == "Pod":
        causes += _container_causes(body["spec"], "spec")
    elif resource.kind == "Event":
        causes += _event_causes(body)
    elif resource.kind == "Lease":
        causes += _lease_causes(body["spec"])
    elif resource.kind == "HorizontalPodAutoscaler":
        causes += _autoscaler_causes(body["spec"])
    if causes:
        raise invalid(resource.kind, resource.group, body["metadata"].get("name", ""), causes)


def _metadata_causes(body: JsonObject) -> Iterator[Cause]:
    name = body["metadata"].get("name", "")
    if not name:
        yield "metadata.name", "FieldValueRequired", "Required value: name or generateName is required"
    elif not _SUBDOMAIN.fullmatch(name):
        yield "metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {_NAME_RULE}'
    elif len(name) > NAME_LIMIT:
        message = f'Invalid value: "{name}": must be no more than {NAME_LIMIT} characters'
        yield "metadata.name", "FieldValueInvalid", message


def _workload_causes(body: JsonObject, previous: JsonObject | None) -> Iterator[Cause]:
    spec = body["spec"]
    selector, labels = spec.get("selector"), spec["template"]["metadata"].get("labels")
    if spec["replicas"] < 0:
        yield "spec.replicas", "FieldValueInvalid", f"Invalid value: {spec['replicas']}: {_NOT_NEGATIVE}"
    if selector is None:
        yield "spec.selector", "FieldValueRequired", "Required value"
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        message = f"Invalid value: {_go_selector(selector)}: empty selector is invalid for {_noun(body)}"
        yield "spec.selector", "FieldValueInvalid", message
    if selector is None or not labels_match(selector, labels or {}):
        message = f"Invalid value: {_go_map(labels)}: `selector` does not match template `labels`"
        yield "spec.template.metadata.labels", "FieldValueInvalid", message
    yield from _container_causes(spec["template"]["spec"], "spec.template.spec")
    if body["kind"] == "Deployment":
        yield from _strategy_causes(spec)
    if previous is not None and selector != previous["spec"].get("selector"):
        yield "spec.selector", "FieldValueInvalid", f"Invalid value: {_go_selector(selector)}: field is immutable"


def _strategy_causes(spec: JsonObject) -> Iterator[Cause]:
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        message = f'Unsupported value: "{strategy["type"]}": supported values: "Recreate", "RollingUpdate"'
        yield "spec.strategy.type", "FieldValueNotSupported", message
    for field, value in (strategy.get("rollingUpdate") or {}).items():
        if not _is_share(value):
            message = f'Invalid value: "{value}": {_PERCENT_RULE}'
            yield f"spec.strategy.rollingUpdate.{field}", "FieldValueInvalid", message
    for field in ("minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit"):
        if (value := spec.get(field, 0)) < 0:
            yield f"spec.{field}", "FieldValueInvalid", f"Invalid value: {value}: {_NOT_NEGATIVE}"
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        message = f"Invalid value: {spec['progressDeadlineSeconds']}: must be greater than minReadySeconds"
        yield "spec.progressDeadlineSeconds", "FieldValueInvalid", message


def _is_share(value: Any) -> bool:
    if isinstance(value, str):
        return _PERCENT.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _container_causes(spec: JsonObject, path: str) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield f"{path}.containers", "FieldValueRequired", "Required value"
    names: set[str] = set()
    for index, container in enumerate(containers):
        for field in ("name", "image"):
            if not container.get(field):
                yield f"{path}.containers[{index}].{field}", "FieldValueRequired", "Required value"
        name = container.get("name", "")
        if name in names:
            yield f"{path}.containers[{index}].name", "FieldValueDuplicate", f'Duplicate value: "{name}"'
        names.add(name)


def _event_causes(body: JsonObject) -> Iterator[Cause]:
    namespace = body["involvedObject"].get("namespace") or "default"
    if namespace != body["metadata"].get("namespace"):
        message = f'Invalid value: "{body["involvedObject"].get("namespace", "")}": does not match event.namespace'
        yield "involvedObject.namespace", "FieldValueInvalid", message


def _lease_causes(spec: JsonObject) -> Iterator[Cause]:
    for field in ("leaseDurationSeconds", "leaseTransitions"):
        value, least = spec.get(field), 1 if field == "leaseDurationSeconds" else 0
        if isinstance(value, int) and value < least:
            rule = "must be greater than 0" if least else _NOT_NEGATIVE
            yield f"spec.{field}", "FieldValueInvalid", f"Invalid value: {value}: {rule}"


def _autoscaler_causes(spec: JsonObject) -> Iterator[Cause]:
    least, most = spec["minReplicas"], spec.get("maxReplicas", 0)
    if least < 1:
        yield "spec.minReplicas", "FieldValueInvalid", f"Invalid value: {least}: must be greater than or equal to 1"
    if most < 1:
        yield "spec.maxReplicas", "FieldValueInvalid", f"Invalid value: {most}: must be greater than 0"
    if most < least:
        message = f"Invalid value: {most}: must be greater than or equal to `minReplicas`"
        yield "spec.maxReplicas", "FieldValueInvalid", message
    reference = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not reference.get(field):
            yield f"spec.scaleTargetRef.{field}", "FieldValueRequired", "Required value"


def negative_scale(resource: Resource, name: str, replicas: int) -> ApiError:
    """Return the refusal of a `Scale` below zero."""
    if resource.definition is not None:
        message = f"Invalid value: {replicas}: should be a non-negative integer"
        cause = ((resource.definition.scale or {})["specReplicasPath"], "FieldValueInvalid", message)
        return invalid(resource.kind, resource.group, name, [cause])
    message = f"Invalid value: {replicas}: {_NOT_NEGATIVE}"
    return invalid("Scale", "autoscaling", name, [("spec.replicas", "FieldValueInvalid", message)])


def _noun(body: JsonObject) -> str:
    return str(body["kind"]).lower()


def _go_map(labels: Any) -> str:
    if labels is None:
        return "map[string]string(nil)"
    pairs = ", ".join(f'"{key}":"{value}"' for key, value in sorted(labels.items()))
    return f"map[string]string{{{pairs}}}"


def _go_selector(selector: Any) -> str:
    labels = (selector or {}).get("matchLabels")
    return f"v1.LabelSelector{{MatchLabels:{_go_map(labels)}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}}"
