"""`scale`: how many replicas a Deployment asks for."""

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError, Conflict
from mlops_tui.domain.operation import Change, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, Parameter, Place, Step, Verb
from mlops_tui.operations.rollouts import (
    ATTEMPTS,
    DEPLOYMENTS,
    Target,
    autoscaler,
    find,
    followed,
    gitops,
    leave_event,
    not_permitted,
    settled,
    unchanged,
)
from mlops_tui.operations.systems import Json

MOST = 1000
"""More replicas than anybody means: a number that was mistyped must not take a cluster down."""


class Scale(Verb):
    """Sets `spec.replicas` through the `/scale` subresource."""

    name = "scale"
    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment"
    summary = "Set the number of replicas"
    parameters = (Parameter("replicas", "how many", FieldKind.NUMBER, positional=True),)

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        target = await find(request, place)
        wanted = self._wanted(request, target)
        scaler = await autoscaler(target)
        same = wanted == target.replicas
        title = f"Scale {target.address}" + ("" if same else f" from {target.replicas} to {wanted} replicas")
        back = {"replicas": str(target.replicas)}
        return Draft(
            title=title,
            name=target.address,
            environment=target.environment,
            fields=(
                PlanField(
                    name="replicas", label="Replicas", kind=FieldKind.NUMBER, value=str(wanted), least=0, most=MOST
                ),
            ),
            changes=(Change(what="replicas", before=str(target.replicas), after=str(wanted)),),
            warnings=(*_autoscaled(scaler), *gitops(target), *_empties(target, wanted)),
            refusals=await not_permitted(target, ("update", DEPLOYMENTS, "scale")),
            idle=f"it asks for {wanted} replicas already" if same else "",
            steps=(_step(target, wanted, title),),
            command=target.kubectl("scale", "deployment", target.name, f"--replicas={wanted}"),
            undo=request.model_copy(update={"parameters": back, "environment": target.environment}),
            lock=target.namespace,
            facts={"replicas": str(wanted), "before": str(target.replicas)},
        )

    def _wanted(self, request: PlanRequest, target: Target) -> int:
        text = self.parameter(request, "replicas") or str(target.replicas)
        if not text.isascii() or not text.isdigit() or int(text) > MOST:
            raise ConfigError(f"scale {request.target}: {text} is no number of replicas", f"0 to {MOST}")
        return int(text)


def _autoscaled(scaler: Json | None) -> tuple[Concern, ...]:
    if scaler is None:
        return ()
    spec, name = scaler["spec"], scaler["metadata"]["name"]
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    return (
        Concern(
            text=f"the autoscaler {name} ({least} to {most}) decides the number and will undo this",
            hint=f"change minReplicas and maxReplicas of hpa/{name} instead",
        ),
    )


def _empties(target: Target, wanted: int) -> tuple[Concern, ...]:
    if wanted or not target.replicas:
        return ()
    return (Concern(text="nothing will serve", hint="0 replicas take it out of service"),)


def _step(target: Target, wanted: int, title: str) -> Step:
    accepted: list[Json] = []

    async def act(execution: Execution) -> None:
        for _ in range(ATTEMPTS):
            now = await unchanged(target, title)
            body = {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {
                    "name": target.name,
                    "namespace": target.namespace,
                    "resourceVersion": now["metadata"]["resourceVersion"],
                },
                "spec": {"replicas": wanted},
            }
            try:
                await target.cluster.put(DEPLOYMENTS, target.namespace, target.name, body, subresource="scale")
            except Conflict:
                continue
            accepted.append(await target.cluster.get(DEPLOYMENTS, target.namespace, target.name))
            await leave_event(target, execution, "Scaled", f"scaled from {target.replicas} to {wanted}")
            return
        raise Conflict(f"{title}: it changes faster than it can be read", "try again")

    def look(now: Json) -> bool | None:
        # Every change of the specification counts one up: after one, what it is now is what that one made of it.
        changes = int(now["metadata"]["generation"]) - int(target.body["metadata"]["generation"])
        if now["spec"].get("replicas", 1) == wanted and changes:
            accepted.append(now)
            return True
        return False if changes <= 1 else None

    async def happened() -> bool | None:
        return await settled(target, look)

    return Step(f"scale {target.address} to {wanted}", act, happened, followed(target, accepted, "replicas"))
