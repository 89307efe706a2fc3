"""Tables: the columns that kubectl prints."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mlops_tui.demo.kubernetes.jsonpath import at_path
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.selectors import selector_text
from mlops_tui.demo.kubernetes.store import JsonObject

Cells = list[Any]
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def human_duration(seconds: float) -> str:
    """Return an age as kubectl shows it: `45s`, `5m3s`, `3h20m`, `2d`."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{max(0, total)}s"
    if minutes < 10:
        return _pair(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    return _pair(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def _age(stamp: str | None, now: datetime) -> str:
    if not stamp:
        return "<unknown>"
    return human_duration((now - datetime.fromisoformat(stamp)).total_seconds())


def _created(body: JsonObject, now: datetime) -> str:
    return _age(body["metadata"].get("creationTimestamp"), now)


def _containers(template: JsonObject) -> tuple[str, str]:
    containers = template["spec"].get("containers") or []
    return ",".join(container["name"] for container in containers), ",".join(c["image"] for c in containers)


def _namespace(body: JsonObject, now: datetime) -> Cells:
    return [body["metadata"]["name"], body["status"].get("phase", ""), _created(body, now)]


def _deployment(body: JsonObject, now: datetime) -> Cells:
    spec, status = body["spec"], body["status"]
    ready = f"{status.get('readyReplicas', 0)}/{spec['replicas']}"
    return [
        body["metadata"]["name"], ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0),
        _created(body, now), *_containers(spec["template"]), selector_text(spec["selector"]),
    ]  # fmt: skip


def _replica_set(body: JsonObject, now: datetime) -> Cells:
    spec, status = body["spec"], body["status"]
    return [
        body["metadata"]["name"], spec["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0),
        _created(body, now), *_containers(spec["template"]), selector_text(spec["selector"]),
    ]  # fmt: skip


def _pod(body: JsonObject, now: datetime) -> Cells:
    spec, status = body["spec"], body["status"]
    statuses = status.get("containerStatuses") or []
    ready = sum(bool(container.get("ready")) for container in statuses)
    restarts = sum(container.get("restartCount", 0) for container in statuses)
    return [
        body["metadata"]["name"], f"{ready}/{len(spec['containers'])}", pod_reason(body), str(restarts),
        _created(body, now), status.get("podIP", "<none>"), spec.get("nodeName", "<none>"), "<none>", "<none>",
    ]  # fmt: skip


def pod_reason(body: JsonObject) -> str:
    """Return the one word that says how a pod is."""
    if "deletionTimestamp" in body["metadata"]:
        return "Terminating"
    for container in body["status"].get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            if reason := (container.get("state") or {}).get(state, {}).get("reason"):
                return str(reason)
    return str(body["status"].get("reason") or body["status"].get("phase", "Unknown"))


def _service(body: JsonObject, now: datetime) -> Cells:
    spec = body["spec"]
    ports = ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ())
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return [
        body["metadata"]["name"], spec.get("type", ""), spec.get("clusterIP") or "<none>", "<none>",
        ports or "<none>", _created(body, now), selector or "<none>",
    ]  # fmt: skip


def _event(body: JsonObject, now: datetime) -> Cells:
    about, source = body["involvedObject"], body.get("source") or {}
    seen = _age(body.get("lastTimestamp") or body.get("eventTime"), now)
    return [
        seen, body.get("type", ""), body.get("reason", ""), f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""), ", ".join(filter(None, (source.get("component"), source.get("host")))),
        body.get("message", "").strip(), _age(body.get("firstTimestamp"), now), body.get("count", 1),
        body["metadata"]["name"],
    ]  # fmt: skip


def _lease(body: JsonObject, now: datetime) -> Cells:
    return [body["metadata"]["name"], body["spec"].get("holderIdentity", ""), _created(body, now)]


def _autoscaler(body: JsonObject, now: datetime) -> Cells:
    spec, status = body["spec"], body.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        body["metadata"]["name"], f"{target.get('kind', '')}/{target.get('name', '')}", _targets(spec, status),
        str(spec.get("minReplicas", 1)), spec.get("maxReplicas", 0), status.get("currentReplicas", 0),
        _created(body, now),
    ]  # fmt: skip


def _targets(spec: JsonObject, status: JsonObject) -> str:
    """Return what an autoscaler aims at, as `cpu: 45%/80%`."""
    found = {}
    for metric in status.get("currentMetrics") or ():
        resource = metric.get("resource") or {}
        found[resource.get("name")] = (resource.get("current") or {}).get("averageUtilization")
    shown = []
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        name, wanted = resource.get("name"), (resource.get("target") or {}).get("averageUtilization")
        current = found.get(name)
        shown.append(f"{name}: {'<unknown>' if current is None else f'{current}%'}/{wanted}%")
    return ", ".join(shown) or "<none>"


def _definition(body: JsonObject, now: datetime) -> Cells:
    return [body["metadata"]["name"], body["metadata"]["creationTimestamp"]]


_WORKLOAD = "Containers+ Images+ Selector+"
_TABLES: dict[str, tuple[str, Callable[[JsonObject, datetime], Cells]]] = {
    "Namespace": ("Name:name Status Age", _namespace),
    "Deployment": (f"Name:name Ready Up-to-date Available Age {_WORKLOAD}", _deployment),
    "ReplicaSet": (f"Name:name Desired:integer Current:integer Ready:integer Age {_WORKLOAD}", _replica_set),
    "Pod": ("Name:name Ready Status Restarts Age IP+ Node+ Nominated_Node+ Readiness_Gates+", _pod),
    "Service": ("Name:name Type Cluster-IP External-IP Port(s) Age Selector+", _service),
    "Event": ("Last_Seen Type Reason Object Subobject+ Source+ Message First_Seen+ Count+ Name:name+", _event),
    "Lease": ("Name:name Holder Age", _lease),
    "HorizontalPodAutoscaler": ("Name:name Reference Targets MinPods MaxPods Replicas Age", _autoscaler),
    "CustomResourceDefinition": ("Name:name Created_At", _definition),
}
"""For each kind its columns (`_` for a space, `:name` or `:integer` for what it holds, `+` for wide output only)."""


_NAME_COLUMN = {"name": "Name", "type": "string", "format": "name", "description": "Name", "priority": 0}
_AGE_COLUMN = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def columns(resource: Resource) -> list[JsonObject]:
    """Return the column definitions of a type's table."""
    if resource.definition is None:
        return [_column(text) for text in _TABLES[resource.kind][0].split()]
    return [_NAME_COLUMN, *(_custom_column(column) for column in resource.definition.columns or (_AGE_COLUMN,))]


def _custom_column(column: Mapping[str, Any]) -> JsonObject:
    described = (
        column.get("description") or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    )
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": described,
        "priority": column.get("priority", 0),
    }


def _column(text: str) -> JsonObject:
    name, _, holds = text.rstrip("+").partition(":")
    title = name.replace("_", " ")
    return {
        "name": title,
        "type": "integer" if holds == "integer" else "string",
        "format": "name" if holds == "name" else "",
        "description": title,
        "priority": 1 if text.endswith("+") else 0,
    }


def row(resource: Resource, body: JsonObject, now: datetime) -> Cells:
    """Return an object's row in its type's table."""
    if resource.definition is None:
        return cells(body, now)
    found = [_custom_cell(column, body, now) for column in resource.definition.columns or (_AGE_COLUMN,)]
    return [body["metadata"]["name"], *found]


def _custom_cell(column: Mapping[str, Any], body: JsonObject, now: datetime) -> Any:
    value = at_path(body, column["jsonPath"])
    match column["type"]:
        case "string" if value is not None:
            return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
        case "integer" if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value)
        case "number" if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str):
            return _age(value, now) if _STAMP.match(value) else "<invalid>"
    return None


def cells(body: JsonObject, now: datetime) -> Cells:
    """Return the row of an object of a built-in type."""
    return _TABLES[body["kind"]][1](body, now)
