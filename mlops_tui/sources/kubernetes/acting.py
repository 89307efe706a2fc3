"""What operations do to a cluster: every write carries a precondition, is sent once, and says how it ended."""

import contextlib
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Conflict, Missing, OutcomeUnknown, Refused, Unavailable
from mlops_tui.domain.state import Permission, SourceKind
from mlops_tui.sources.allowlist import only_reads
from mlops_tui.sources.kubernetes import transport
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.probe import permission
from mlops_tui.sources.kubernetes.target import ALL_NAMESPACES, KubernetesTarget

MANAGER = "mlops-tui"
"""The field manager of every write."""
WATCH_SECONDS = 120
"""After which a watch is begun anew, from where it was."""
PAUSE = 1.0
"""Seconds before a watch that broke is begun anew."""

Json = dict[str, Any]
_VERSIONS = {
    "": "v1",
    "apps": "v1",
    "coordination.k8s.io": "v1",
    "autoscaling": "v2",
    "networking.istio.io": "v1beta1",
    "argoproj.io": "v1alpha1",
}
"""The version in which objects of a group are read and written; other groups are asked for theirs."""
_FALLBACKS = {"autoscaling": "v1"}
"""For servers that do not have the first one yet."""
_SEGMENT = r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?"
_NAMESPACED = re.compile(rf"/(?:api/v1|apis/{_SEGMENT}/{_SEGMENT})/namespaces/({_SEGMENT})(?:/{_SEGMENT})*")
"""The path of a namespace, or of something in it, written in the one way that means nothing else."""


class ClusterActor:
    """Implements `operations.systems.ClusterSystem` for one context."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    async def get(self, kind: str, namespace: str, name: str) -> Json:
        with _told(f"{kind} {namespace}/{name}", sent=False):
            return await self._connection.get(_path(kind, namespace, name), permission=_may("get", kind, namespace))

    async def find(self, kind: str, namespace: str, selector: str = "") -> list[Json]:
        query = {"labelSelector": selector} if selector else {}
        try:
            with _told(f"{kind} in {namespace}", sent=False):
                answer = await self._list(kind, namespace, query)
        except Missing:
            return []  # a kind that the cluster does not know
        return [item for item in answer.get("items") or () if isinstance(item, dict)]

    async def _list(self, kind: str, namespace: str, query: Mapping[str, str]) -> Json:
        needs = _may("list", kind, namespace)
        try:
            return await self._connection.get(_path(kind, namespace), query, permission=needs)
        except transport.Missing:
            if (fallback := _FALLBACKS.get(_group(kind))) is None:
                raise
            return await self._connection.get(_path(kind, namespace, version=fallback), query, permission=needs)

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Json],
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        path = _path(kind, namespace, name, subresource)
        return await self._write(
            "PATCH", path, list(operations), f"{kind} {namespace}/{name}", _may("patch", kind, namespace, subresource),
            content_type="application/json-patch+json", dry_run=dry_run,
        )  # fmt: skip

    async def put(
        self, kind: str, namespace: str, name: str, body: Json, *, subresource: str = "", dry_run: bool = False
    ) -> Json:
        path = _path(kind, namespace, name, subresource)
        needs = _may("update", kind, namespace, subresource)
        return await self._write("PUT", path, body, f"{kind} {namespace}/{name}", needs, dry_run=dry_run)

    async def create(self, kind: str, namespace: str, body: Json, *, dry_run: bool = False) -> Json:
        what = f"{kind} {namespace}/{body['metadata'].get('name', '')}"
        return await self._write(
            "POST", _path(kind, namespace), body, what, _may("create", kind, namespace), dry_run=dry_run
        )

    async def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any],
        what: str,
        needs: str,
        *,
        content_type: str = "application/json",
        dry_run: bool = False,
    ) -> Json:
        query: dict[str, str | int] = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        with _told(what, sent=not dry_run):
            async with self._connection.open(
                method, path, query, body=body, content_type=content_type, permission=needs
            ) as response:
                return transport.decode(await response.read(), str(response.url.origin()))

    async def watch(self, kind: str, namespace: str, name: str) -> AsyncGenerator[Json | None]:
        version = ""
        while True:
            try:
                if not version:
                    found = await self.get(kind, namespace, name)
                    yield found
                    version = found["metadata"]["resourceVersion"]
                async for event in self._events(kind, namespace, name, version):
                    if event["type"] == "DELETED":
                        yield None
                        return
                    if event["type"] == "ERROR":
                        version = ""
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["object"]
            except Missing:
                yield None
                return
            except (transport.Gone, Unavailable):
                version = ""
            await self._clock.sleep(PAUSE)

    async def _events(self, kind: str, namespace: str, name: str, version: str) -> AsyncGenerator[Json]:
        query: dict[str, str | int] = {
            "watch": "1",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": version,
            "timeoutSeconds": WATCH_SECONDS,
            "allowWatchBookmarks": "true",
        }
        async with self._connection.open(
            "GET", _path(kind, namespace), query, permission=_may("watch", kind, namespace), total=WATCH_SECONDS + 10
        ) as response:
            with transport.naming_failures(str(response.url.origin())):
                async for line in response.content:
                    yield transport.decode(line, str(response.url.origin()))

    async def may(self, verb: str, kind: str, namespace: str, *, subresource: str = "") -> Permission:
        plural, _, group = kind.partition(".")
        with _told(f"{verb} {kind}", sent=False):
            return await permission(self._connection, namespace, verb, group, plural, subresource)


def rule_of(target: KubernetesTarget) -> transport.Rule:
    """Return what may not be sent for a target: writes where it is read-only."""
    named = set(target.namespaces)

    def rule(method: str, path: str) -> None:
        if only_reads(SourceKind.KUBERNETES, method, path):
            return
        found = _NAMESPACED.fullmatch(path)
        namespace = found[1] if found else ""
        silent = ALL_NAMESPACES in target.read_only_namespaces and namespace not in named
        if target.read_only or namespace in target.read_only_namespaces or silent:
            where = "this" if target.read_only or not namespace else f"namespace {namespace}"
            raise Refused(f"{where} is read-only: {method} {path} was not sent")
        if target.read_only_namespaces and not namespace:
            # What belongs to no namespace, or does not say to which, may change any of them.
            raise Refused(f"a namespace is read-only: {method} {path} was not sent")

    return rule


@contextlib.contextmanager
def _told(what: str, *, sent: bool) -> Iterator[None]:
    """Name how a request failed; `sent` is whether it would have changed something."""
    try:
        yield
    except transport.Missing:
        raise Missing(f"{what}: there is none") from None
    except transport.Stale as error:
        raise Conflict(f"{what}: {error or 'it has changed meanwhile'}", "plan it again") from None
    except transport.Gone:
        raise Unavailable(f"{what}: the server has forgotten the version that was asked for") from None
    except (transport.NotReached, transport.Invalid, transport.Busy) as error:
        raise Unavailable(error.message, error.hint, retry_after=error.retry_after) from None
    except Unavailable as error:
        # A server's error may come after the write: of one without an answer nobody can say anything at all.
        if sent:
            raise OutcomeUnknown(f"{what}: {error.message}", "look before you try again") from None
        raise


def _group(kind: str) -> str:
    return kind.partition(".")[2]


def _path(kind: str, namespace: str, name: str = "", subresource: str = "", version: str = "") -> str:
    plural, _, group = kind.partition(".")
    version = version or _VERSIONS[group]
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return "/".join([f"{root}{place}/{plural}", *filter(None, (name, subresource))])


def _may(verb: str, kind: str, namespace: str, subresource: str = "") -> str:
    plural = kind.partition(".")[0]
    return f"{verb} {plural}{f'/{subresource}' if subresource else ''} in namespace {namespace}"
