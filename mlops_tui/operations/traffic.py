"""`traffic`: which version of a model the requests go to, by whatever decides it.

That is the weight of a canary in an Istio VirtualService, the selector of a Service before blue and green Deployments,
or the update of an Argo Rollout; what there is says which of them a plan is about.
"""

from dataclasses import replace

from mlops_tui.domain.base import RowKind
from mlops_tui.domain.errors import ConfigError, Missing
from mlops_tui.domain.operation import Choice, Concern, FieldKind, PlanField, PlanRequest
from mlops_tui.operations.argo import has_happened, plan_update
from mlops_tui.operations.base import Draft, Parameter, Place, Verb
from mlops_tui.operations.bluegreen import plan_switch
from mlops_tui.operations.canary import plan_weight, weights_of
from mlops_tui.operations.journal import Record
from mlops_tui.operations.rollouts import DEPLOYMENTS, Target, find
from mlops_tui.operations.routes import ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Route, WeightedRoute, routes_to

_WAYS = {"weight": "a VirtualService that weighs its traffic", "to": "a Service before several Deployments of it"}
_KINDS = {"virtualservice": VIRTUAL_SERVICES, "service": SERVICES, "rollout": ROLLOUTS}


class Traffic(Verb):
    """Sends requests elsewhere."""

    name = "traffic"
    kind = RowKind.ROLLOUT
    target = "NAMESPACE/NAME of a Deployment, an Argo Rollout or a Service"
    summary = "Send requests elsewhere: a canary's weight, blue or green, an Argo Rollout's next step"
    parameters = (
        Parameter("weight", "the canary's share of the requests, 0 to 100", FieldKind.NUMBER),
        Parameter("to", "which of several Deployments is live, by its label: blue, green", FieldKind.CHOICE),
        Parameter("do", "of an Argo Rollout: promote, promote-full, abort or retry", FieldKind.CHOICE),
        Parameter("through", "virtualservice/NAME or service/NAME, where there are several", FieldKind.CHOICE),
    )

    async def plan(self, request: PlanRequest, place: Place) -> Draft:
        weight, to, do, through = (self.parameter(request, each.name) for each in self.parameters)
        given = [name for name, value in (("weight", weight), ("to", to), ("do", do)) if value]
        if len(given) > 1 and not through:
            raise ConfigError(f"traffic {request.target}: {' and '.join(given)} are of different things", "give one")
        workload = await _workload(request, place, rollout=bool(do))
        if workload.kind == ROLLOUTS:
            if weight or to:
                raise ConfigError(f"traffic {request.target}: an Argo Rollout decides that itself", "--do promote")
            return await plan_update(request, workload, do)
        routes = await routes_to(workload)
        # Where the way is named, what was meant for another one changes nothing: the plan then is as things are.
        kinds = [route for route in routes if through or not given or isinstance(route, WeightedRoute) is bool(weight)]
        chosen = _chosen(request, kinds, through)
        if chosen is None:
            return _nothing(workload, given)
        if isinstance(chosen, WeightedRoute):
            draft = await plan_weight(request, workload.address, chosen, weight)
        else:
            draft = await plan_switch(request, workload, chosen, to or (chosen.colour if weight else ""))
        return _with_ways(draft, routes, chosen)

    async def happened(self, record: Record, place: Place) -> bool | None:
        kind, _, name = record.facts["route"].partition("/")
        namespace = record.request.target.partition("/")[0]
        cluster = place.systems.cluster(record.environment)
        body = await cluster.get(_KINDS[kind], namespace, name)
        if kind == "rollout":
            return has_happened(body, record.facts)
        if kind == "virtualservice":
            wanted = [int(weight) for weight in record.facts["weights"].split()]
            return weights_of(body, int(record.facts["rule"])) == wanted
        return bool((body["spec"].get("selector") or {}).get(record.facts["key"]) == record.facts["to"])


async def _workload(request: PlanRequest, place: Place, *, rollout: bool) -> Target:
    """Return the Deployment, Argo Rollout or Service that a request names. Raises `Missing` where it is none."""
    for kind in (ROLLOUTS,) if rollout else (DEPLOYMENTS, ROLLOUTS, SERVICES):
        try:
            return await find(request, place, kind)
        except Missing:
            continue
    what = "Argo Rollout" if rollout else "Deployment, Argo Rollout or Service"
    raise Missing(f"{request.target}: there is no such {what}")


def _way(route: Route) -> str:
    return f"{'virtualservice' if isinstance(route, WeightedRoute) else 'service'}/{route.target.name}"


def _chosen(request: PlanRequest, routes: list[Route], through: str) -> Route | None:
    if not through:
        return routes[0] if routes else None
    for route in routes:
        if _way(route) == through:
            return route
    known = ", ".join(map(_way, routes)) or "nothing"
    raise ConfigError(f"traffic {request.target}: {through} does not decide that", f"what does: {known}")


def _nothing(workload: Target, given: list[str]) -> Draft:
    ways = [_WAYS[name] for name in given if name in _WAYS] or list(_WAYS.values())
    return Draft(
        title=f"Send the traffic of {workload.address} elsewhere",
        name=workload.address,
        environment=workload.environment,
        steps=(),
        refusals=(
            Concern(
                text=f"nothing routes the traffic of {workload.address} by weight or version",
                hint=f"there is neither {' nor '.join(ways)}" if len(ways) > 1 else f"there is no {ways[0][2:]}",
            ),
        ),
    )


def _with_ways(draft: Draft, routes: list[Route], chosen: Route) -> Draft:
    """Return a draft that also asks which way, where there are several."""
    if len(routes) < 2:
        return draft
    choices = tuple(Choice(value=_way(route), label=_way(route)) for route in routes)
    field = PlanField(name="through", label="Through", kind=FieldKind.CHOICE, value=_way(chosen), choices=choices)
    return replace(draft, fields=(*draft.fields, field))
