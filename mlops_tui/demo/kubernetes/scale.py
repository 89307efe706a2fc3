"""The `scale` subresource: the size of a workload, whatever its kind."""

from collections.abc import Mapping

from mlops_tui.demo.kubernetes.jsonpath import at_path
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.selectors import selector_text
from mlops_tui.demo.kubernetes.store import JsonObject

_BUILT_IN_SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def scale_paths(resource: Resource) -> Mapping[str, str]:
    """Return where an object has the numbers that its `Scale` shows."""
    declared = resource.definition.scale if resource.definition is not None else None
    return declared or _BUILT_IN_SCALE


def scale_of(resource: Resource, body: JsonObject) -> JsonObject:
    """Return the `Scale` that presents an object: a workload, or a custom resource that declares one."""
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    paths = scale_paths(resource)
    replicas = at_path(body, paths["specReplicasPath"])
    if resource.definition is None:
        selector = selector_text(body["spec"]["selector"])
    else:
        selector = at_path(body, paths.get("labelSelectorPath", "")) or ""
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: body["metadata"][field] for field in fields if field in body["metadata"]},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": at_path(body, paths["statusReplicasPath"]) or 0,
            **({"selector": selector} if selector else {}),
        },
    }
