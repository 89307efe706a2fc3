"""A canary's share of the traffic, as the weights of an Istio VirtualService say it."""

import json
from typing import Final

from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import Change, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.base import Draft, Execution, NotVerified, Step
from mlops_tui.operations.rollouts import (
    gitops,
    leave_event,
    list_if_permitted,
    not_permitted,
    patch,
    settled,
)
from mlops_tui.operations.routes import ROLLOUTS, VIRTUAL_SERVICES, Destination, WeightedRoute, ready_pods, share_out
from mlops_tui.operations.systems import Json

WHOLE: Final = 100


async def plan_weight(request: PlanRequest, name: str, route: WeightedRoute, text: str) -> Draft:
    """Return what sends a part of the requests to the canary.

    Args:
        name: What the request names, as a person calls it.
        text: The percentage; today's where empty.
    """
    target, canary = route.target, route.destinations[route.canary]
    now = [each.weight for each in route.destinations]
    wanted = _wanted(request, text, canary.weight)
    then = shares(route, wanted)
    title = f"Send {wanted} % of the requests to {name} to {canary.name}"
    undo = {"weight": str(canary.weight), "through": f"virtualservice/{target.name}"}
    return Draft(
        title=title,
        name=name,
        environment=target.environment,
        fields=(
            PlanField(
                name="weight",
                label=f"Percent to {canary.name}",
                kind=FieldKind.NUMBER,
                value=str(wanted),
                least=0,
                most=WHOLE,
            ),
        ),
        changes=tuple(
            Change(what=each.name, before=f"{before} %", after=f"{after} %")
            for each, before, after in zip(route.destinations, now, then, strict=True)
        ),
        warnings=(*await _undoers(route), *gitops(target), *_more(route, wanted)),
        refusals=(
            *await _unready(route, then),
            *await not_permitted(target, ("patch", VIRTUAL_SERVICES, "")),
        ),
        idle=f"{canary.name} gets {wanted} % already" if now == then else "",
        steps=(_step(route, then, title),),
        command=_command(route, then),
        undo=request.model_copy(update={"environment": target.environment, "parameters": undo}),
        lock=target.namespace,
        patience=60.0,
        facts={
            "route": f"virtualservice/{target.name}",
            "rule": str(route.rule),
            "weights": " ".join(map(str, then)),
            "before": " ".join(map(str, now)),
        },
    )


def weights_of(body: Json, rule: int) -> list[int]:
    """Return the weights of a VirtualService's rule; none where there is no such rule."""
    http = body["spec"].get("http") or []
    return [int(each.get("weight") or 0) for each in http[rule].get("route") or ()] if rule < len(http) else []


def shares(route: WeightedRoute, wanted: int) -> list[int]:
    """Return the weights of all destinations: what the canary leaves is shared as it is today."""
    others = [each.weight for index, each in enumerate(route.destinations) if index != route.canary]
    then = share_out(WHOLE - wanted, others)
    then.insert(route.canary, wanted)
    return then


def _wanted(request: PlanRequest, text: str, present: int) -> int:
    text = text.removesuffix("%").strip() or str(present)
    if not text.isascii() or not text.isdigit() or int(text) > WHOLE:
        raise ConfigError(f"traffic {request.target}: {text} is no percentage", f"0 to {WHOLE}")
    return int(text)


def _operations(route: WeightedRoute, then: list[int]) -> list[Json]:
    rule = f"/spec/http/{route.rule}"
    body = route.target.body["spec"]["http"][route.rule]
    made: list[Json] = []
    if "name" in body:
        made.append({"op": "test", "path": f"{rule}/name", "value": body["name"]})
    for index, each in enumerate(body["route"]):
        made.append({"op": "test", "path": f"{rule}/route/{index}/destination", "value": each["destination"]})
    # A weight of 0 may be written or left out: what is added replaces what is there.
    made += [{"op": "add", "path": f"{rule}/route/{index}/weight", "value": each} for index, each in enumerate(then)]
    return made


def _command(route: WeightedRoute, then: list[int]) -> str:
    operations = json.dumps(_operations(route, then), separators=(",", ":"))
    return route.target.kubectl("patch", "virtualservice", route.target.name, "--type=json", f"--patch={operations}")


def _step(route: WeightedRoute, then: list[int], title: str) -> Step:
    target = route.target
    spread = ", ".join(f"{each.name} {weight} %" for each, weight in zip(route.destinations, then, strict=True))

    async def act(execution: Execution) -> None:
        await patch(target, lambda now: _operations(route, then), title)
        await leave_event(target, execution, "TrafficShifted", spread)

    async def happened() -> bool | None:
        return await settled(target, lambda now: weights_of(now, route.rule) == then)

    async def verify(execution: Execution) -> str:
        now = await target.cluster.get(target.kind, target.namespace, target.name)
        if weights_of(now, route.rule) != then:
            raise NotVerified(
                f"somebody changed the weights of {target.address} at once", "look at them, and plan again"
            )
        return f"{target.address}: {spread}"

    return Step(f"set the weights of virtualservice/{target.name}", act, happened, verify)


async def _unready(route: WeightedRoute, then: list[int]) -> tuple[Concern, ...]:
    """Return a refusal for each destination that would get more than now and has no pod for it."""
    found = []
    for each, weight in zip(route.destinations, then, strict=True):
        if weight > each.weight and each.selector:
            pods = await ready_pods(route.target, each.selector)
            if pods is not None and pods[0] == 0:
                text = f"no pod of {each.name} is ready: {weight} % of the requests would fail"
                found.append(Concern(text=text, hint=f"0 of {pods[1]} are ready"))
    return tuple(found)


async def _undoers(route: WeightedRoute) -> list[Concern]:
    """Return a warning where an Argo Rollout decides the weights."""
    found = []
    for body in await list_if_permitted(route.target, ROLLOUTS):
        canary = body["spec"].get("strategy", {}).get("canary") or {}
        istio = (canary.get("trafficRouting") or {}).get("istio") or {}
        named = [istio.get("virtualService") or {}, *(istio.get("virtualServices") or ())]
        if any(each.get("name") == route.target.name for each in named):
            name = body["metadata"]["name"]
            text = f"the Argo Rollout {name} decides the weights and will undo this"
            found.append(Concern(text=text, hint=f"promote or abort {route.target.namespace}/{name} instead"))
    return found


def _more(route: WeightedRoute, wanted: int) -> list[Concern]:
    found = []
    canary: Destination = route.destinations[route.canary]
    if canary.selector is None:
        text = f"nothing tells which pods {canary.name} reaches"
        found.append(
            Concern(text=text, hint=f"is there a Service {canary.host}, and a DestinationRule with the subset?")
        )
    if wanted == WHOLE and canary.weight < WHOLE:
        found.append(Concern(text=f"everything goes to {canary.name}: that is no canary any more"))
    if route.others:
        text = f"{route.others} more of the rules share requests out; only the first one is changed"
        found.append(Concern(text=text, hint=f"look at virtualservice/{route.target.name}"))
    return found
