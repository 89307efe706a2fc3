"""What the API server fills in.

Deployments and ReplicaSets get their pod template from the same function: were there a difference, every Deployment
would see a template that none of its ReplicaSets has, and would roll at start. Functions here return new documents.
"""

from collections.abc import Callable
from typing import Any

from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.schemas import completed
from mlops_tui.demo.kubernetes.store import JsonObject

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _container(container: JsonObject) -> JsonObject:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    filled = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if latest else "IfNotPresent",
        **container,
    }
    if filled.get("ports"):
        filled["ports"] = [{"protocol": "TCP", **port} for port in filled["ports"]]
    for probe in _PROBES:
        if filled.get(probe):
            filled[probe] = _probe(filled[probe])
    return filled


def _probe(probe: JsonObject) -> JsonObject:
    filled = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3, **probe}
    if "httpGet" in filled:
        filled["httpGet"] = {"path": "/", "scheme": "HTTP", **filled["httpGet"]}
    return filled


def pod_spec(spec: JsonObject) -> JsonObject:
    """Return the spec of a pod, or of a pod template, with the defaults of both."""
    filled = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        **spec,
    }
    for field in ("containers", "initContainers"):
        if filled.get(field):
            filled[field] = [_container(container) for container in filled[field]]
    return filled


def pod_template(template: JsonObject) -> JsonObject:
    """Return a pod template with its defaults."""
    metadata = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return {**template, "metadata": metadata, "spec": pod_spec(template.get("spec") or {})}


def _deployment(body: JsonObject) -> JsonObject:
    spec = {
        "replicas": 1,
        "strategy": {},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        **_without_none(body.get("spec") or {}),
    }
    strategy = {"type": "RollingUpdate", **(spec["strategy"] or {})}
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {
            "maxUnavailable": "25%",
            "maxSurge": "25%",
            **(strategy.get("rollingUpdate") or {}),
        }
    spec["strategy"] = strategy
    spec["template"] = pod_template(spec.get("template") or {})
    return {**body, "spec": spec, "status": body.get("status") or {}}


def _replica_set(body: JsonObject) -> JsonObject:
    spec = {"replicas": 1, **_without_none(body.get("spec") or {})}
    spec["template"] = pod_template(spec.get("template") or {})
    return {**body, "spec": spec, "status": {"replicas": 0, **(body.get("status") or {})}}


def _pod(body: JsonObject) -> JsonObject:
    spec = {
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        **pod_spec(body.get("spec") or {}),
    }
    status = {"phase": "Pending", "qosClass": "BestEffort", **(body.get("status") or {})}
    return {**body, "spec": spec, "status": status}


def _service(body: JsonObject) -> JsonObject:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **(body.get("spec") or {})}
    spec["ports"] = [
        {"protocol": "TCP", "targetPort": port.get("port"), **port} for port in spec.get("ports") or () if port
    ]
    return {**body, "spec": spec, "status": {"loadBalancer": {}, **(body.get("status") or {})}}


def _namespace(body: JsonObject) -> JsonObject:
    spec = {"finalizers": ["kubernetes"], **(body.get("spec") or {})}
    return {**body, "spec": spec, "status": {"phase": "Active", **(body.get("status") or {})}}


def _event(body: JsonObject) -> JsonObject:
    return {
        "involvedObject": {},
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
        **body,
    }


def _lease(body: JsonObject) -> JsonObject:
    return {**body, "spec": body.get("spec") or {}}


def _autoscaler(body: JsonObject) -> JsonObject:
    status = {"desiredReplicas": 0, "currentMetrics": None, **(body.get("status") or {})}
    spec = {"minReplicas": 1, **(body.get("spec") or {})}
    target = {"type": "Utilization", "averageUtilization": 80}
    spec["metrics"] = spec.get("metrics") or [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {**body, "spec": spec, "status": status}


def _definition(body: JsonObject) -> JsonObject:
    spec = {"conversion": {"strategy": "None"}, **(body.get("spec") or {})}
    names = spec.get("names") or {}
    kind = str(names.get("kind", ""))
    spec["names"] = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    spec["versions"] = [{"served": False, "storage": False, **version} for version in spec.get("versions") or ()]
    stored = [version["name"] for version in spec["versions"] if version["storage"] and "name" in version]
    status = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    return {**body, "spec": spec, "status": {**status, **(body.get("status") or {})}}


_DEFAULTS: dict[str, Callable[[JsonObject], JsonObject]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "Pod": _pod,
    "Service": _service,
    "Namespace": _namespace,
    "Event": _event,
    "Lease": _lease,
    "HorizontalPodAutoscaler": _autoscaler,
    "CustomResourceDefinition": _definition,
}


def with_defaults(body: JsonObject) -> JsonObject:
    """Return an object with its kind's defaults filled in."""
    return _DEFAULTS[body["kind"]](body)


def complete(resource: Resource, body: JsonObject) -> JsonObject:
    """Return an object with what its type fills in, without what its schema does not know."""
    return with_defaults(body) if resource.definition is None else completed(resource.definition.schema, body)


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
