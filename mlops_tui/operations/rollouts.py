"""What the verbs for Deployments share: finding one, who would undo a change, following a rollout, leaving a mark."""

import asyncio
import re
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mlops_tui.domain.clock import Clock
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
POD_SECONDS: Final = 5.0
"""Between two looks at the pods of a rollout that is waited for."""
ON_THE_WAY: Final = ("", "ContainerCreating", "PodInitializing")
"""What a container waits for that is starting."""
ATTEMPTS: Final = 5
"""How often a write is prepared anew because only the status of its object had changed."""
SETTLING: Final = 2.0
"""Seconds after which a write that nobody answered is looked for once more: it may still have been on its way."""

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
"""What a name in a cluster is made of: it becomes part of an address."""
_GITOPS: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
"""Annotations and labels by which the controllers that keep a cluster like a repository mark what is theirs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Deployment, or another object, as it was when the plan was made."""

    cluster: ClusterSystem
    clock: Clock
    environment: str
    context: str | None
    body: Json
    kind: str = DEPLOYMENTS

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


async def find(request: PlanRequest, place: Place, kind: str = DEPLOYMENTS) -> Target:
    """Return the Deployment, or the object of another kind, that a request names.

    Raises:
        ConfigError: The target is not of the form NAMESPACE/NAME, or its environment is not known.
        SourceError: It is not there, or cannot be read.
    """
    namespace, slash, name = request.target.partition("/")
    if not all(map(_NAME.fullmatch, (namespace, name))) or not slash:
        raise ConfigError(f"{request.verb} {request.target}: the target is NAMESPACE/NAME", "such as ml/fraud-api")
    environment = environment_of(request, place, namespace)
    cluster = place.systems.cluster(environment)
    body = await cluster.get(kind, namespace, name)
    return Target(cluster, place.clock, environment, place.environments[environment].context, body, kind)


def beside(target: Target, kind: str, body: Json) -> Target:
    """Return another object of the same namespace."""
    return replace(target, kind=kind, body=body)


async def list_if_permitted(target: Target, kind: str, selector: str = "") -> list[Json]:
    """Return the objects of a kind beside the target; none where they may not be read."""
    try:
        return await target.cluster.find(kind, target.namespace, selector)
    except (Denied, Missing):
        return []


async def not_permitted(target: Target, *needs: tuple[str, str, str]) -> tuple[Concern, ...]:
    """Return what the credentials may not do of `needs`: verb, kind and subresource each."""
    refused = []
    for verb, kind, subresource in needs:
        try:
            found = await target.cluster.may(verb, kind, target.namespace, subresource=subresource)
        except SourceError:
            continue  # where nobody says it, trying will
        if found.allowed is False:
            text = f"may not {found.name} in namespace {target.namespace}"
            refused.append(Concern(text=text, hint=found.hint, permission=True))
    return tuple(refused)


def gitops(target: Target) -> tuple[Concern, ...]:
    """Return a warning where a controller would put back what it finds in its repository."""
    metadata = target.body["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    owners = {tool: marks[mark] for mark, tool in _GITOPS.items() if mark in marks}
    found = [
        Concern(text=f"{tool} manages it ({mark}) and may undo this", hint="change it in its repository instead")
        for tool, mark in owners.items()
    ]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            text = f"{owner['kind']} {owner['name']} owns it and may undo this"
            found.append(Concern(text=text, hint=f"change the {owner['kind']} instead"))
    return tuple(found)


async def autoscaler(target: Target) -> Json | None:
    """Return the HorizontalPodAutoscaler that scales a Deployment, or `None`; also where it cannot be read."""
    for each in await list_if_permitted(target, AUTOSCALERS):
        reference = each["spec"]["scaleTargetRef"]
        if (reference.get("kind"), reference.get("name")) == ("Deployment", target.name):
            return each
    return None


Prepare = Callable[[Json], Sequence[Json]]
"""From the object as it is now to the operations of a JSON patch. Raises `Conflict` where it has moved."""


async def patch(target: Target, prepare: Prepare, title: str, *, subresource: str = "") -> Json:
    """Patch an object if nobody has changed its specification since the plan.

    Its status changes all the time, and with it its resource version; what counts is the generation.

    Raises:
        Conflict: The specification has changed, or the object is another one.
        SourceError: As the cluster says.
    """
    for _ in range(ATTEMPTS):
        now = await unchanged(target, title)
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": now["metadata"]["resourceVersion"]}
        operations = [version, *prepare(now)]
        try:
            return await target.cluster.patch(
                target.kind, target.namespace, target.name, operations, subresource=subresource
            )
        except Conflict:
            continue  # refused as a whole: nothing was changed, and the next look decides
    raise Conflict(f"{title}: {target.address} changes faster than it can be read", "try again")


async def unchanged(target: Target, title: str) -> Json:
    """Return the object as it is now. Raises `Conflict` where it is not what was planned for."""
    try:
        now = await target.cluster.get(target.kind, target.namespace, target.name)
    except Missing:
        raise Conflict(f"{title}: {target.address} is gone") from None
    before, after = target.body["metadata"], now["metadata"]
    if before["uid"] != after["uid"]:
        raise Conflict(f"{title}: {target.address} was deleted and made anew since the plan")
    counted = "generation" in before  # Services and some others have none
    if before.get("generation") != after.get("generation") or not (counted or target.body["spec"] == now["spec"]):
        raise Conflict(f"{title}: somebody has changed {target.address} since the plan", "plan it again")
    return now


async def settled(target: Target, look: Callable[[Json], bool | None]) -> bool | None:
    """Return what `look` sees in the object, asked twice if it is not yet what was written."""
    seen = look(await target.cluster.get(target.kind, target.namespace, target.name))
    if seen is False:
        await target.clock.sleep(SETTLING)
        seen = look(await target.cluster.get(target.kind, target.namespace, target.name))
    return seen


def followed(target: Target, accepted: Sequence[Json], *fields: str) -> Callable[[Execution], Awaitable[str]]:
    """Return a step's `verify` that follows what was accepted last; see `follow`."""

    async def verify(execution: Execution) -> str:
        return await follow(target, execution, accepted[-1], *fields)

    return verify


async def follow(target: Target, execution: Execution, accepted: Json, *fields: str) -> str:
    """Watch until the rollout is complete; return what `kubectl rollout status` says then.

    Args:
        accepted: The Deployment as the write left it.
        fields: Of its specification those that nobody else may change meanwhile.

    Raises:
        NotVerified: It failed, was changed by somebody else, or the Deployment is gone.
    """
    telling = asyncio.create_task(_tell_of_pods(target, execution))
    try:
        return await _followed(target, execution, accepted, fields)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _followed(target: Target, execution: Execution, accepted: Json, fields: Sequence[str]) -> str:
    generation = int(accepted["metadata"]["generation"])
    async for body in target.cluster.watch(DEPLOYMENTS, target.namespace, target.name):
        if body is None:
            raise NotVerified(f"{target.address} is gone")
        if int(body["metadata"]["generation"]) < generation:
            continue  # a cache of the server's that lags behind
        for field in fields:
            if body["spec"].get(field) != accepted["spec"].get(field):
                raise NotVerified(f"somebody changed {field} of {target.address} before it was done", "look at the row")
        phase, message = rollout_status(body)
        if phase is RolloutPhase.FAILED and "template" in fields and _progressing(body) == _progressing(accepted):
            continue  # that is how the last rollout ended: the controller has not judged this one yet
        status, desired = body.get("status") or {}, int(body["spec"].get("replicas", 1))
        execution.say(message)
        execution.count(min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0)), desired)
        if phase is RolloutPhase.COMPLETE:
            return message
        if phase is RolloutPhase.FAILED:
            raise NotVerified(message, f"roll {target.address} back")
    raise NotVerified(f"{target.address} cannot be watched any more")


async def _tell_of_pods(target: Target, execution: Execution) -> None:
    """Say again and again why pods do not start: the Deployment itself only says that they have not."""
    labels = target.body["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    while True:
        await execution.clock.sleep(POD_SECONDS)
        try:
            pods = await target.cluster.find("pods", target.namespace, selector)
        except SourceError:
            return  # a courtesy: whoever may not read pods still sees the rollout
        reasons = Counter(reason for pod in pods if (reason := _waits(pod)) not in ON_THE_WAY)
        for reason, count in sorted(reasons.items()):
            execution.say(f"{count} pod{'s' if count > 1 else ''}: {reason}")


def _waits(pod: Json) -> str:
    """Return why a pod's first container that waits does so; empty where none does."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    waiting = ((status.get("state") or {}).get("waiting") or {} for status in statuses)
    return next((str(state["reason"]) for state in waiting if state.get("reason")), "")


def _progressing(body: Json) -> Json | None:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition["type"] == "Progressing"), None)


async def leave_event(target: Target, execution: Execution, reason: str, message: str) -> None:
    """Write an Event on the object, so that kubectl describe tells of the operation too.

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
            "apiVersion": target.body["apiVersion"],
            "kind": target.body["kind"],
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
