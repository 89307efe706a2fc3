"""What the verbs for Deployments share: finding one, who would undo a change, following a rollout, leaving a mark."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops_tui.domain.errors import ConfigError, Conflict, Denied, Missing, SourceError
from mlops_tui.domain.operation import Concern, PlanRequest
from mlops_tui.domain.rollout import RolloutPhase, rollout_status
from mlops_tui.operations.base import Execution, NotVerified, Place, environment_of
from mlops_tui.operations.systems import ClusterSystem, Json

DEPLOYMENTS: Final = "deployments.apps"
REPLICA_SETS: Final = "replicasets.apps"
AUTOSCALERS: Final = "horizontalpodautoscalers.autoscaling"
CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
REVISION: Final = "deployment.kubernetes.io/revision"
ATTEMPTS: Final = 5
"""How often a write is prepared anew because only the status of its object had changed."""

_GITOPS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Annotations and labels by which the controllers that keep a cluster like a repository mark what is theirs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Deployment as it was when the plan was made."""

    cluster: ClusterSystem
    environment: str
    context: str | None
    body: Json

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def address(self) -> str:
        """What a person calls it."""
        return f"{self.namespace}/{self.name}"

    @property
    def replicas(self) -> int:
        """How many are asked for."""
        return int(self.body["spec"].get("replicas", 1))

    @property
    def paused(self) -> bool:
        return bool(self.body["spec"].get("paused"))

    def kubectl(self, *arguments: str) -> str:
        """Return a kubectl command for this namespace and context."""
        context = ["--context", self.context] if self.context else []
        return shlex.join(["kubectl", *context, "-n", self.namespace, *arguments])


async def find(request: PlanRequest, place: Place) -> Target:
    """Return the Deployment that a request names.

    Raises:
        ConfigError: The target is not of the form NAMESPACE/NAME, or its environment is not known.
        SourceError: It is not there, or cannot be read.
    """
    namespace, slash, name = request.target.partition("/")
    if not namespace or not slash or not name or "/" in name:
        raise ConfigError(f"{request.verb} {request.target}: the target is NAMESPACE/NAME", "such as ml/fraud-api")
    environment = environment_of(request, place, namespace)
    cluster = place.systems.cluster(environment)
    body = await cluster.get(DEPLOYMENTS, namespace, name)
    return Target(cluster, environment, place.environments[environment].context, body)


async def not_permitted(target: Target, *needs: tuple[str, str, str]) -> tuple[Concern, ...]:
    """Return what the credentials may not do of `needs`: verb, kind and subresource each."""
    refused = []
    for verb, kind, subresource in needs:
        try:
            found = await target.cluster.may(verb, kind, target.namespace, subresource=subresource)
        except SourceError:
            continue  # where nobody says it, trying will
        if found.allowed is False:
            refused.append(Concern(text=f"may not {found.name} in namespace {target.namespace}", hint=found.hint))
    return tuple(refused)


def gitops(target: Target) -> tuple[Concern, ...]:
    """Return a warning where a controller would put back what it finds in its repository."""
    metadata = target.body["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    owners = {tool: marks[mark] for mark, tool in _GITOPS.items() if mark in marks}
    return tuple(
        Concern(text=f"{tool} manages it ({mark}) and may undo this", hint="change it in its repository instead")
        for tool, mark in owners.items()
    )


async def autoscaler(target: Target) -> Json | None:
    """Return the HorizontalPodAutoscaler that scales a Deployment, or `None`; also where it cannot be read."""
    try:
        found = await target.cluster.find(AUTOSCALERS, target.namespace)
    except (Denied, Missing):
        return None
    for each in found:
        reference = each["spec"]["scaleTargetRef"]
        if (reference.get("kind"), reference.get("name")) == ("Deployment", target.name):
            return each
    return None


Prepare = Callable[[Json], Sequence[Json]]
"""From the Deployment as it is now to the operations of a JSON patch."""


async def patch(target: Target, prepare: Prepare, title: str) -> Json:
    """Patch a Deployment if nobody has changed its specification since the plan.

    Its status changes all the time, and with it its resource version; what counts is the generation.

    Raises:
        Conflict: The specification has changed, or the Deployment is another one.
        SourceError: As the cluster says.
    """
    for _ in range(ATTEMPTS):
        now = await unchanged(target, title)
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": now["metadata"]["resourceVersion"]}
        try:
            return await target.cluster.patch(DEPLOYMENTS, target.namespace, target.name, [version, *prepare(now)])
        except Conflict:
            continue  # refused as a whole: nothing was changed, and the next look decides
    raise Conflict(f"{title}: {target.address} changes faster than it can be read", "try again")


async def unchanged(target: Target, title: str) -> Json:
    """Return the Deployment as it is now. Raises `Conflict` where it is not what was planned for."""
    try:
        now = await target.cluster.get(DEPLOYMENTS, target.namespace, target.name)
    except Missing:
        raise Conflict(f"{title}: {target.address} is gone") from None
    before, after = target.body["metadata"], now["metadata"]
    if before["uid"] != after["uid"]:
        raise Conflict(f"{title}: {target.address} was deleted and made anew since the plan")
    if before.get("generation") != after.get("generation"):
        raise Conflict(f"{title}: somebody has changed {target.address} since the plan", "plan it again")
    return now


async def follow(target: Target, execution: Execution, *, generation: int) -> str:
    """Watch until the rollout of a generation is complete; return what `kubectl rollout status` says then.

    Raises:
        NotVerified: It failed, was paused or changed by somebody else, or the Deployment is gone.
    """
    async for body in target.cluster.watch(DEPLOYMENTS, target.namespace, target.name):
        if body is None:
            raise NotVerified(f"{target.address} is gone")
        if int(body["metadata"].get("generation", 0)) > generation:
            raise NotVerified(f"somebody changed {target.address} before it was done", "look at the row")
        phase, message = rollout_status(body)
        status, desired = body.get("status") or {}, int(body["spec"].get("replicas", 1))
        execution.say(message)
        execution.count(min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)), desired)
        if phase is RolloutPhase.COMPLETE:
            return message
        if phase is RolloutPhase.FAILED:
            raise NotVerified(message, f"b rolls {target.address} back")
    raise NotVerified(f"{target.address} cannot be watched any more")


async def leave_event(target: Target, execution: Execution, reason: str, message: str) -> None:
    """Write an Event on the Deployment, so that kubectl describe tells of the operation too.

    An Event is a courtesy: where it cannot be written the operation says so and goes on.
    """
    now = execution.clock.now()
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = target.body["metadata"]
    body: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{target.name}.{execution.operation}", "namespace": target.namespace},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": target.name,
            "namespace": target.namespace,
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": f"{message} by {execution.by}{f': {execution.reason}' if execution.reason else ''}"[:1024],
        "type": "Normal",
        "source": {"component": "mlops-tui"},
        "reportingComponent": "mlops-tui",
        "reportingInstance": execution.operation,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
    try:
        await target.cluster.create("events", target.namespace, dict(body))
    except SourceError as error:
        execution.say(f"no Event was written: {error.message}")


def cause(execution: Execution, what: str) -> str:
    """Return a change-cause that names who, how and why."""
    return f"{what} by {execution.by} (mlops-tui {execution.operation})" + (
        f": {execution.reason}" if execution.reason else ""
    )
