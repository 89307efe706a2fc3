"""Pod logs over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import bad_request
from mlops_tui.demo.kubernetes.http.paths import Target
from mlops_tui.demo.kubernetes.http.query import flag, number
from mlops_tui.demo.kubernetes.resources import PODS
from mlops_tui.demo.kubernetes.store import Stored

Line = tuple[datetime, str]


def answer_log(cluster: Cluster, request: Request, target: Target) -> Response:
    """Answer what a pod has printed, and with `follow` what it prints from now on.

    Raises:
        ApiError: 404 without such a pod, 400 for a container that it has not or that has not started.
    """
    query = request.query_params
    pod = cluster.registry.find(PODS, target.namespace, target.name)
    container = query.get("container", "")
    names = [each["name"] for each in pod.body["spec"]["containers"]]
    if container and container not in names:
        raise bad_request(f"container {container} is not valid for pod {target.name}")
    if not container and len(names) > 1:
        listed = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {target.name}, choose one of: [{listed}]")
    if not cluster.logs.exists(pod.uid):
        raise bad_request(_not_started(pod, container or names[0]))
    lines, position = cluster.logs.since(pod.uid)
    if (seconds := number(query, "sinceSeconds")) is not None:
        oldest = cluster.clock.now() - timedelta(seconds=seconds)
        lines = [line for line in lines if line[0] >= oldest]
    if (tail := number(query, "tailLines")) is not None:
        lines = lines[-tail:] if tail > 0 else []
    stamped = flag(query, "timestamps")
    if flag(query, "follow"):
        return StreamingResponse(_follow(cluster, pod, lines, position, stamped=stamped), media_type="text/plain")
    text = _text(lines, stamped=stamped)
    limit = number(query, "limitBytes")
    return PlainTextResponse(text if limit is None else text.encode()[: max(0, limit)])


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
