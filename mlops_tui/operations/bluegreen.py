"""Blue and green: which of several Deployments is live, as the selector of their Service says it."""

import json
from typing import Final

from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Step
from mlops_tui.operations.rollouts import Target, gitops, leave_event, not_permitted, patch, settled
from mlops_tui.operations.routes import SERVICES, ColouredService, labels_of, ready_pods
from mlops_tui.operations.systems import Json

LOOK_SECONDS: Final = 1.0
"""Between two looks at the pods that a Service selects."""
ARGO_MARK: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"


async def plan_switch(request: PlanRequest, workload: Target, route: ColouredService, wanted: str) -> Draft:
    """Return what makes another Deployment the live one; that of the request, or the other one, where none is named."""
    target, present, name = route.target, route.colour, workload.address
    chosen = wanted or _default(workload, route)
    if chosen not in route.deployments and chosen != present:
        known = ", ".join(sorted(route.deployments))
        raise ConfigError(f"traffic {request.target}: no Deployment has {route.key}={chosen}", f"there are: {known}")
    title = f"Switch {target.address} from {present} to {chosen}"
    undo = {"to": present, "through": f"service/{target.name}"}
    return Draft(
        title=title,
        name=name,
        environment=target.environment,
        fields=(_field(route, chosen),),
        changes=_changes(route, chosen),
        warnings=(*gitops(target), *_undoer(target), *_incomplete(route, chosen), *_no_way_back(route)),
        refusals=(*_unready(route, chosen), *await not_permitted(target, ("patch", SERVICES, ""))),
        idle=f"{chosen} is live already" if chosen == present else "",
        steps=(_step(route, chosen, title),),
        command=target.kubectl(
            "patch", "service", target.name, f"--patch={json.dumps({'spec': {'selector': {route.key: chosen}}})}"
        ),
        undo=request.model_copy(update={"environment": target.environment, "parameters": undo}),
        lock=target.namespace,
        patience=120.0,
        facts={"route": f"service/{target.name}", "key": route.key, "to": chosen, "before": present},
    )


def _default(workload: Target, route: ColouredService) -> str:
    if workload.kind != SERVICES:
        own = labels_of(workload.body)[route.key]
        if own != route.colour:
            return own
    return next((colour for colour in sorted(route.deployments) if colour != route.colour), route.colour)


def _ready(route: ColouredService, colour: str) -> tuple[int, int]:
    """Return how many replicas of a colour are ready, and how many are asked for."""
    bodies = route.deployments.get(colour, ())
    ready = sum((body.get("status") or {}).get("readyReplicas", 0) for body in bodies)
    return ready, sum(body["spec"].get("replicas", 1) for body in bodies)


def _images(route: ColouredService, colour: str) -> str:
    containers = [
        c for body in route.deployments.get(colour, ()) for c in body["spec"]["template"]["spec"]["containers"]
    ]
    return ", ".join(dict.fromkeys(str(container.get("image", "")) for container in containers))


def _field(route: ColouredService, chosen: str) -> PlanField:
    choices = []
    for colour in sorted({*route.deployments, route.colour}):
        ready, asked = _ready(route, colour)
        label = f"{colour} (live)" if colour == route.colour else colour
        choices.append(Choice(value=colour, label=label, note=f"{_images(route, colour)}  {ready}/{asked} ready"))
    return PlanField(name="to", label="Live", kind=FieldKind.CHOICE, value=chosen, choices=tuple(choices))


def _changes(route: ColouredService, chosen: str) -> tuple[Change, ...]:
    found = [
        Change(what=f"selector {route.key}", before=route.colour, after=chosen),
        Change(what="image", before=_images(route, route.colour), after=_images(route, chosen)),
    ]
    return tuple(change for change in found if change.before != change.after)


def _unready(route: ColouredService, chosen: str) -> tuple[Concern, ...]:
    ready, asked = _ready(route, chosen)
    if ready or chosen == route.colour:
        return ()
    return (Concern(text=f"no pod of {chosen} is ready: every request would fail", hint=f"0 of {asked} are ready"),)


def _incomplete(route: ColouredService, chosen: str) -> tuple[Concern, ...]:
    ready, asked = _ready(route, chosen)
    before, _ = _ready(route, route.colour)
    if ready and ready < max(asked, before) and chosen != route.colour:
        return (Concern(text=f"{ready} of {asked} pods of {chosen} are ready; {before} serve now"),)
    return ()


def _no_way_back(route: ColouredService) -> tuple[Concern, ...]:
    ready, _ = _ready(route, route.colour)
    if ready:
        return ()
    return (Concern(text=f"{route.colour} has no pod that is ready: there will be no way back at once"),)


def _undoer(target: Target) -> tuple[Concern, ...]:
    rollout = (target.body["metadata"].get("annotations") or {}).get(ARGO_MARK)
    if not rollout:
        return ()
    text = f"the Argo Rollout {rollout} decides the selector and will undo this"
    return (Concern(text=text, hint=f"promote or abort {target.namespace}/{rollout} instead"),)


def _step(route: ColouredService, chosen: str, title: str) -> Step:
    target = route.target
    path = f"/spec/selector/{route.key.replace('~', '~0').replace('/', '~1')}"

    def prepare(now: Json) -> list[Json]:
        return [
            {"op": "test", "path": path, "value": route.colour},
            {"op": "replace", "path": path, "value": chosen},
        ]

    async def act(execution: Execution) -> None:
        await patch(target, prepare, title)
        await leave_event(target, execution, "TrafficSwitched", f"switched from {route.colour} to {chosen}")

    async def happened() -> bool | None:
        return await settled(target, lambda now: bool((now["spec"].get("selector") or {}).get(route.key) == chosen))

    async def verify(execution: Execution) -> str:
        while True:
            now = await target.cluster.get(target.kind, target.namespace, target.name)
            selector = now["spec"].get("selector") or {}
            if selector.get(route.key) != chosen:
                raise NotVerified(f"somebody switched {target.address} to {selector.get(route.key, 'nothing')} at once")
            pods = await ready_pods(target, selector)
            if pods is None:
                return f"{target.address} selects {chosen}; its pods may not be read"
            execution.say(f"{pods[0]} of {pods[1]} pods behind {target.address} are ready")
            execution.count(*pods)
            if pods[0]:
                return f"{target.address} serves {chosen}: {pods[0]} of {pods[1]} pods are ready"
            await execution.clock.sleep(LOOK_SECONDS)

    return Step(f"point service/{target.name} at {chosen}", act, happened, verify)
