"""What `doctor` asks of a cluster: is it there, as whom are we signed in, and what may we do."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, NotConfigured, SourceError, Unauthenticated
from mlops_tui.domain.state import Permission, Probe, Problem, SourceStatus
from mlops_tui.sources.base import SourceInfo
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.kubeconfig import Access
from mlops_tui.sources.kubernetes.namespaces import absence_of, scope_of
from mlops_tui.sources.kubernetes.target import ALL_NAMESPACES
from mlops_tui.sources.kubernetes.transport import Gone, Missing

ASKED = (
    ("list", "apps", "deployments", ""),
    ("watch", "apps", "deployments", ""),
    ("list", "apps", "replicasets", ""),
    ("list", "", "pods", ""),
    ("list", "", "events", ""),
    ("patch", "apps", "deployments", ""),
    ("update", "apps", "deployments", "scale"),
)
"""Verb, group, resource and subresource of what reading, and later operating, needs."""
NEEDED = 2
"""How many of the first of them nothing works without."""


async def probe_cluster(
    info: SourceInfo, connection: Connection, clock: Clock, environments: Callable[[Access], Mapping[str, str]]
) -> Probe:
    """Return what is known of the cluster, however little. Raises nothing but cancellation."""
    facts: dict[str, Any] = {"label": info.label, "status": SourceStatus.LIVE}
    try:
        access = await connection.access()
        facts |= {"label": access.context, "endpoint": access.server, "identity": access.user}
        began = clock.monotonic()
        version = await connection.get("/version")
        facts |= {"latency": clock.monotonic() - began, "version": version.get("gitVersion")}
        facts["identity"] = await _identity(connection) or access.user
        facts |= await _permission_facts(connection, environments(access))
    except SourceError as error:
        facts |= {"status": _status(error), "error": error.message, "hint": error.hint}
    except (Gone, Missing):
        facts |= {"status": SourceStatus.UNREACHABLE, "error": "something answers, but no Kubernetes API server"}
    except Exception as error:  # noqa: BLE001 - a diagnosis that fails is a diagnosis
        facts |= {"status": SourceStatus.UNREACHABLE, "error": f"internal error: {type(error).__name__}"}
    return Probe(source=info.id, kind=info.kind, **facts)


def _status(error: SourceError) -> SourceStatus:
    if isinstance(error, NotConfigured):
        return SourceStatus.OFF
    return SourceStatus.DENIED if isinstance(error, Unauthenticated | Denied) else SourceStatus.UNREACHABLE


async def _identity(connection: Connection) -> str:
    """Return the user as the server knows it; empty where it does not tell."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await connection.review("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    except (Missing, Denied):  # servers before 1.28 have none
        return ""
    user = (answer.get("status") or {}).get("userInfo") or {}
    return str(user.get("username", ""))


async def _permission_facts(connection: Connection, environments: Mapping[str, str]) -> dict[str, Any]:
    answers = await asyncio.gather(*(_permissions(connection, namespace) for namespace in environments))
    problems = []
    for namespace, permissions in zip(environments, answers, strict=True):
        refused = [found for found in permissions[:NEEDED] if found.allowed is False]
        if refused:
            problems.append(
                Problem(
                    scope=scope_of(namespace),
                    message="may not " + ", ".join(found.name for found in refused),
                    hint=refused[0].hint,
                    status=SourceStatus.DENIED,
                    rows=(RowKind.ROLLOUT,),
                )
            )
    absent = await asyncio.gather(*(absence_of(connection, namespace) for namespace in environments))
    facts: dict[str, Any] = {
        "permissions": tuple(chain.from_iterable(answers)),
        "problems": (*problems, *filter(None, absent)),
    }
    if problems and len(problems) == len(environments):
        facts |= {"status": SourceStatus.DENIED, "error": problems[0].message, "hint": problems[0].hint}
    return facts


async def _permissions(connection: Connection, namespace: str) -> tuple[Permission, ...]:
    return tuple([await permission(connection, namespace, *asked) for asked in ASKED])


async def permission(
    connection: Connection, namespace: str, verb: str, group: str, resource: str, subresource: str
) -> Permission:
    """Return whether we may do this in a namespace, as the server says. Raises `Unavailable`, `Unauthenticated`."""
    attributes = {"verb": verb, "resource": resource}
    # An empty namespace stands for all of them.
    optional = {"group": group, "subresource": subresource, "namespace": namespace.replace(ALL_NAMESPACES, "")}
    attributes |= {key: value for key, value in optional.items() if value}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    name = f"{verb} {resource}{'/' if subresource else ''}{subresource}"
    scope = scope_of(namespace)
    to_read = verb in ("get", "list", "watch")
    try:
        answer = await connection.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    except (Missing, Gone, Denied):
        return Permission(name=name, scope=scope, to_read=to_read, hint="the server does not tell")
    allowed = bool((answer.get("status") or {}).get("allowed"))
    where = "--all-namespaces" if namespace == ALL_NAMESPACES else f"--namespace {namespace}"
    hint = "" if allowed else f"kubectl auth can-i {verb} {resource} {where} says the same; ask for a Role"
    return Permission(name=name, scope=scope, allowed=allowed, to_read=to_read, hint=hint)
