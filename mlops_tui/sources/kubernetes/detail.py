"""What can be fetched of one Deployment beyond its row: revisions, pods, events."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlops_tui.domain.base import DetailField, DetailSection, Mark
from mlops_tui.domain.errors import Denied, Unavailable
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.projection import CHANGE_CAUSE, images, latest, moment, revision
from mlops_tui.sources.kubernetes.transport import Gone, Missing

MOST_OBJECTS = 500
"""Pods or events read at most: a person reads the first few."""
EVENTS = 10

STARTING_OR_ENDING = ("Pending", "ContainerCreating", "PodInitializing", "Running", "Terminating")
"""Words for a pod that is on its way, rather than in trouble."""

Object = Mapping[str, Any]


async def rollout_detail(connection: Connection, row: RolloutRow) -> tuple[DetailSection, ...]:
    """Return the sections Revisions, Pods, Events and Conditions.

    A section that may not be read says so. Raises `Unavailable` or `Unauthenticated` if the server does not answer.
    """
    base = f"/apis/apps/v1/namespaces/{row.namespace}"
    try:
        deployment = await connection.get(f"{base}/deployments/{row.name}")
        labels = label_selector(deployment["spec"]["selector"])
        selector: dict[str, str | int] = {"labelSelector": labels, "limit": MOST_OBJECTS}
        sets, pods = await asyncio.gather(
            _items(connection, f"{base}/replicasets", selector, f"list replicasets in namespace {row.namespace}"),
            _items(
                connection,
                f"/api/v1/namespaces/{row.namespace}/pods",
                selector,
                f"list pods in namespace {row.namespace}",
            ),
        )
        sets = _owned(sets, {row.uid})
        pods = _owned(pods, {_uid(found) for found in sets}) if isinstance(sets, list) else pods
        events = await _events(connection, row, sets, pods)
    except (Gone, Missing):
        raise Unavailable(f"Deployment {row.namespace}/{row.name} is not there any more") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"the server's answer cannot be read ({type(error).__name__})") from None
    return (
        _section("Revisions", sets, lambda found: _revisions(found, row.revision)),
        _section("Pods", pods, lambda found: [_pod(pod) for pod in found]),
        _section("Events", events, lambda found: [_event(event) for event in found]),
        _conditions(row),
    )


def label_selector(selector: Object) -> str:
    """Return a Deployment's selector in the form of the `labelSelector` parameter."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(expression.get("values") or ())
        match expression["operator"]:
            case "In":
                terms.append(f"{key} in ({values})")
            case "NotIn":
                terms.append(f"{key} notin ({values})")
            case "Exists":
                terms.append(key)
            case "DoesNotExist":
                terms.append(f"!{key}")
    return ",".join(terms)


async def _items(
    connection: Connection, path: str, query: Mapping[str, str | int], permission: str
) -> list[Object] | Denied:
    try:
        return list((await connection.get(path, query, permission=permission)).get("items") or ())
    except Denied as error:
        return error


async def _events(
    connection: Connection, row: RolloutRow, sets: list[Object] | Denied, pods: list[Object] | Denied
) -> list[Object] | Denied:
    """Return the newest events of the Deployment, its newest ReplicaSet and its pods."""
    path, permission = f"/api/v1/namespaces/{row.namespace}/events", f"list events in namespace {row.namespace}"
    uids = {row.uid}
    newest = max(sets, key=_number, default=None) if isinstance(sets, list) else None
    wanted = [f"involvedObject.kind=Deployment,involvedObject.name={row.name}"]
    if newest is not None:
        uids.add(_uid(newest))
        wanted.append(f"involvedObject.kind=ReplicaSet,involvedObject.name={newest['metadata']['name']}")
    if isinstance(pods, list) and pods:
        uids.update(map(_uid, pods))
        wanted.append("involvedObject.kind=Pod")
    reads: list[Awaitable[list[Object] | Denied]] = [
        _items(connection, path, {"fieldSelector": selector, "limit": MOST_OBJECTS}, permission) for selector in wanted
    ]
    found: list[Object] = []
    for answer in await asyncio.gather(*reads):
        if isinstance(answer, Denied):
            return answer
        found += [event for event in answer if (event.get("involvedObject") or {}).get("uid") in uids]
    earliest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda event: _seen(event) or earliest, reverse=True)[:EVENTS]


def _owned(things: list[Object] | Denied, uids: set[str]) -> list[Object] | Denied:
    if isinstance(things, Denied):
        return things
    return [
        thing
        for thing in things
        if any(o.get("controller") and o.get("uid") in uids for o in thing["metadata"].get("ownerReferences") or ())
    ]


def _uid(thing: Object) -> str:
    return str(thing["metadata"]["uid"])


def _number(replica_set: Object) -> int:
    return revision(replica_set["metadata"]) or 0


def _section(title: str, found: list[Object] | Denied, fields: Any) -> DetailSection:
    if isinstance(found, Denied):
        return DetailSection(title=title, fields=(DetailField(label="denied", value=found.message, mark=Mark.WARN),))
    return DetailSection(title=title, fields=tuple(fields(found)) or (DetailField(label="none", value=""),))


def _revisions(sets: Sequence[Object], current: int | None) -> list[DetailField]:
    fields = []
    for found in sorted(sets, key=_number, reverse=True):
        metadata, number = found["metadata"], _number(found)
        replicas = (found.get("status") or {}).get("replicas", 0)
        parts = [
            " ".join(images(found["spec"]["template"])),
            f"{replicas} replicas" if replicas != 1 else "1 replica",
            _stamp(moment(metadata.get("creationTimestamp"))),
            str((metadata.get("annotations") or {}).get(CHANGE_CAUSE, "")),
        ]
        is_current = number == current
        label = f"{number} current" if is_current else str(number)
        mark = Mark.OK if is_current else Mark.NONE
        fields.append(DetailField(label=label, value="  ".join(filter(None, parts)), mark=mark))
    return fields


def _pod(pod: Object) -> DetailField:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    reason = pod_reason(pod)
    restarts = sum(container.get("restartCount", 0) for container in containers)
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    mark = Mark.WAITING if reason in STARTING_OR_ENDING else Mark.BAD
    if ready and reason == "Running":
        mark = Mark.OK
    value = f"{reason}  {restarts} restart{'' if restarts == 1 else 's'}"
    return DetailField(label=pod["metadata"]["name"], value=value, mark=mark)


def pod_reason(pod: Object) -> str:
    """Return why a pod does not run, in the words of `kubectl get pods`, or else its phase."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status") or {}
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(key) or ():
            state = container.get("state") or {}
            ended = state.get("terminated") or {}
            if waiting := (state.get("waiting") or {}).get("reason"):
                return str(waiting)
            if ended.get("exitCode"):
                return str(ended.get("reason") or f"ExitCode:{ended['exitCode']}")
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _seen(event: Object) -> datetime | None:
    metadata, series = event["metadata"], event.get("series") or {}
    return latest((event.get("lastTimestamp"), event.get("eventTime"), series.get("lastObservedTime"))) or moment(
        metadata.get("creationTimestamp")
    )


def _event(event: Object) -> DetailField:
    thing = event.get("involvedObject") or {}
    about = f"{str(thing.get('kind', '')).lower()}/{thing.get('name', '')}"
    times = (event.get("series") or {}).get("count") or event.get("count") or 1
    repeated = f" ×{times}" if times > 1 else ""
    value = f"{event.get('reason', '')}{repeated}  {about}  {event.get('message', '')}"
    return DetailField(
        label=_stamp(_seen(event)), value=value, mark=Mark.WARN if event.get("type") == "Warning" else Mark.NONE
    )


def _conditions(row: RolloutRow) -> DetailSection:
    fields = [
        DetailField(
            label=condition.type,
            value="  ".join(filter(None, (condition.status, condition.reason, condition.message))),
            mark=Mark.OK if (condition.status == "True") != (condition.type == "ReplicaFailure") else Mark.BAD,
        )
        for condition in row.conditions
    ]
    return DetailSection(title="Conditions", fields=tuple(fields) or (DetailField(label="none", value=""),))


def _stamp(when: datetime | None) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if when else ""
