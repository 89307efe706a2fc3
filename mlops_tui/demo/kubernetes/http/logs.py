"""Pod logs over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import bad_request, invalid
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.http.query import flag, number
from mlops_tui.demo.kubernetes.resources import PODS
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

Line = tuple[datetime, str]


def answer_log(cluster: Cluster, request: Request, target: Target) -> Response:
    """Answer what a pod's container has printed since it started, and with `follow` what it prints from now on.

    Raises:
        ApiError: 404 without such a pod, 422 for options that contradict each other, 400 for a container that the pod
            has not, that has not started, or that did not run before when `previous` asks for that.
    """
    query = request.query_params
    pod = cluster.registry.find(PODS, target.namespace, target.name)
    oldest = _oldest(query, target.name, cluster.clock.now())
    tail = _at_least(query, target.name, "tailLines", 0)
    limit = _at_least(query, target.name, "limitBytes", 1)
    container = _container(pod, query.get("container", ""))
    if not pod.body["spec"].get("nodeName"):
        return Response(status_code=204)
    if not cluster.logs.exists(pod.uid):
        raise bad_request(_not_started(pod, container))
    lines, position = _lines(cluster, pod, container, previous=flag(query, "previous"))
    if oldest is not None:
        lines = [line for line in lines if line[0] >= oldest]
    if tail is not None:
        lines = lines[-tail:] if tail else []
    stamped = flag(query, "timestamps")
    if flag(query, "follow"):
        return StreamingResponse(_follow(cluster, pod, lines, position, stamped=stamped), media_type="text/plain")
    text = _text(lines, stamped=stamped)
    return PlainTextResponse(text if limit is None else text.encode()[:limit])


def _container(pod: Stored, wanted: str) -> str:
    names: list[str] = [each["name"] for each in pod.body["spec"]["containers"]]
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {pod.key[1]}")
    if not wanted and len(names) > 1:
        raise bad_request(
            f"a container name must be specified for pod {pod.key[1]}, choose one of: [{' '.join(names)}]"
        )
    return wanted or names[0]


def _oldest(query: QueryParams, pod: str, now: datetime) -> datetime | None:
    """Return since when lines are asked for."""
    seconds, text = _at_least(query, pod, "sinceSeconds", 1), query.get("sinceTime", "")
    if text and seconds is not None:
        message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        raise invalid("PodLogOptions", "", pod, [("[]", "FieldValueForbidden", message)])
    if seconds is not None:
        return now - timedelta(seconds=seconds)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _at_least(query: QueryParams, pod: str, name: str, least: int) -> int | None:
    value = number(query, name)
    if value is not None and value < least:
        rule = "greater than 0" if least else "greater than or equal to 0"
        message = f"Invalid value: {value}: must be {rule}"
        raise invalid("PodLogOptions", "", pod, [(name, "FieldValueInvalid", message)])
    return value


def _lines(cluster: Cluster, pod: Stored, container: str, *, previous: bool) -> tuple[list[Line], int]:
    if not previous:
        return cluster.logs.latest(pod.uid)
    statuses = pod.body["status"].get("containerStatuses") or ()
    status: JsonObject = next((each for each in statuses if each.get("name") == container), {})
    if "terminated" not in (status.get("lastState") or {}):
        raise bad_request(f'previous terminated container "{container}" in pod "{pod.key[1]}" not found')
    # While it waits for its next start, the container that ran last is the previous one.
    return cluster.logs.latest(pod.uid, previous="running" in (status.get("state") or {}))


def _not_started(pod: Stored, container: str) -> str:
    message = f'container "{container}" in pod "{pod.key[1]}" is waiting to start'
    for status in pod.body["status"].get("containerStatuses") or ():
        if status.get("name") != container:
            continue
        reason = (status.get("state") or {}).get("waiting", {}).get("reason", "")
        if reason in ("ErrImagePull", "ImagePullBackOff"):
            return f"{message}: trying and failing to pull image"
        if reason:
            return f"{message}: {reason}"
    return message


def _text(lines: list[Line], *, stamped: bool) -> str:
    if stamped:
        return "".join(f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z {line}\n" for moment, line in lines)
    return "".join(f"{line}\n" for _, line in lines)


async def _follow(
    cluster: Cluster, pod: Stored, lines: list[Line], position: int, *, stamped: bool
) -> AsyncIterator[str]:
    if lines:
        yield _text(lines, stamped=stamped)
    while cluster.store.get(PODS, *pod.key) is not None:
        lines, position = cluster.logs.since(pod.uid, position)
        if lines:
            yield _text(lines, stamped=stamped)
        else:
            await cluster.logs.changed(pod.uid)
