"""What routes traffic to a workload, and how many of the pods behind it are ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlops_tui.domain.errors import Denied
from mlops_tui.operations.rollouts import DEPLOYMENTS, Target, beside, list_if_permitted
from mlops_tui.operations.systems import Json

SERVICES: Final = "services"
VIRTUAL_SERVICES: Final = "virtualservices.networking.istio.io"
DESTINATION_RULES: Final = "destinationrules.networking.istio.io"
ROLLOUTS: Final = "rollouts.argoproj.io"
VERSION_KEYS: Final = ("version", "colour", "color", "slot", "track", "release", "deployment")
"""How the selector's key is called, whatever its prefix, by which a Service says which Deployment is live."""
CANARY_WORDS: Final = ("canary", "challenger", "candidate", "preview", "next", "new")
"""How the destination of a canary is called; where none is called so it is the last one."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One of the places that a weighted route sends requests to.

    Attributes:
        selector: The labels of the pods there; `None` where nothing tells.
        weight: Of 100, as it is now.
    """

    host: str
    subset: str
    selector: Mapping[str, str] | None
    weight: int

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.subset or self.host


@dataclass(frozen=True, slots=True)
class WeightedRoute:
    """The rule of a VirtualService that shares requests out.

    Attributes:
        rule: Its index in `spec.http`.
        canary: The index of the canary's destination.
        others: How many more rules share requests out between the workload and something else.
    """

    target: Target
    rule: int
    destinations: tuple[Destination, ...]
    canary: int
    others: int = 0


@dataclass(frozen=True, slots=True)
class ColouredService:
    """A Service whose selector names one of several Deployments.

    Attributes:
        key: The selector's key that does.
        deployments: By the value that each of them has there.
    """

    target: Target
    key: str
    deployments: Mapping[str, tuple[Json, ...]]

    @property
    def colour(self) -> str:
        """Which one is live."""
        return str(self.target.body["spec"]["selector"][self.key])


Route = WeightedRoute | ColouredService


async def routes_to(workload: Target) -> list[Route]:
    """Return what can send the traffic of a Deployment, or of a Service, somewhere else: weights before colours."""
    services = await list_if_permitted(workload, SERVICES)
    deployments = await list_if_permitted(workload, DEPLOYMENTS)
    return [*await _weighted(workload, services), *_coloured(workload, services, deployments)]


def labels_of(workload: Json) -> dict[str, str]:
    """Return the labels of a Deployment's pods."""
    return (workload["spec"]["template"].get("metadata") or {}).get("labels") or {}


def fits(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """Say whether a selector finds pods with these labels; an empty one finds none."""
    return bool(selector) and (selector or {}).items() <= labels.items()


def in_words(selector: Mapping[str, str]) -> str:
    """Return a selector as kubectl writes it."""
    return ",".join(f"{key}={value}" for key, value in selector.items())


async def ready_pods(target: Target, selector: Mapping[str, str]) -> tuple[int, int] | None:
    """Return how many of the pods that a selector finds are ready, and how many there are.

    `None` where they may not be read. Raises `SourceError`.
    """
    try:
        pods = await target.cluster.find("pods", target.namespace, in_words(selector))
    except Denied:
        return None
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return sum(map(_is_ready, alive)), len(alive)


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


async def _weighted(workload: Target, services: Sequence[Json]) -> list[Route]:
    virtual = await list_if_permitted(workload, VIRTUAL_SERVICES)
    if not virtual:
        return []
    rules = await list_if_permitted(workload, DESTINATION_RULES)
    found: list[Route] = []
    for body in virtual:
        shared = []
        for index, rule in enumerate(body["spec"].get("http") or ()):
            destinations = _destinations(rule, workload.namespace, services, rules)
            # What matches by a header is somebody's test, not the traffic.
            by_header = any("headers" in match for match in rule.get("match") or ())
            if len(destinations) > 1 and not by_header and any(_reaches(each, workload) for each in destinations):
                shared.append((index, destinations))
        if shared:
            index, destinations = shared[0]
            target = beside(workload, VIRTUAL_SERVICES, {**_VIRTUAL_SERVICE, **body})
            found.append(WeightedRoute(target, index, destinations, _canary(destinations), len(shared) - 1))
    return found


_VIRTUAL_SERVICE: Final = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService"}
_SERVICE: Final = {"apiVersion": "v1", "kind": "Service"}
"""What objects in a list do not say of themselves."""


def _destinations(
    rule: Json, namespace: str, services: Sequence[Json], rules: Sequence[Json]
) -> tuple[Destination, ...]:
    found = []
    weights = _percentages([int(each.get("weight") or 0) for each in rule.get("route") or ()])
    for each, weight in zip(rule.get("route") or (), weights, strict=True):
        destination = each.get("destination") or {}
        host, subset = str(destination.get("host", "")), str(destination.get("subset", ""))
        name = _service_name(host, namespace)
        service = next((service for service in services if service["metadata"]["name"] == name), None)
        labels = _subset_labels(name, subset, namespace, rules)
        selector = None
        if service is not None and labels is not None:
            selector = {**(service["spec"].get("selector") or {}), **labels}
        found.append(Destination(name or host, subset, selector, weight))
    return tuple(found)


def _percentages(weights: Sequence[int]) -> list[int]:
    """Return weights as they add up to 100: Istio takes them in proportion."""
    return share_out(100, weights) if sum(weights) else [100 if len(weights) == 1 else 0 for _ in weights]


def share_out(whole: int, weights: Sequence[int]) -> list[int]:
    """Return `whole` in parts that are in proportion to weights; the first gets all where there is no proportion."""
    total = sum(weights)
    if not total:
        return [whole if not index else 0 for index, _ in enumerate(weights)]
    parts = [whole * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(whole * weights[index] % total))
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    return parts


def _service_name(host: str, namespace: str) -> str:
    """Return the Service that a host means from a namespace; empty for one of another namespace, or outside."""
    name, _, rest = host.partition(".")
    return name if rest in ("", namespace, f"{namespace}.svc") or rest.startswith(f"{namespace}.svc.") else ""


def _subset_labels(name: str, subset: str, namespace: str, rules: Sequence[Json]) -> Mapping[str, str] | None:
    if not subset:
        return {}
    for rule in rules:
        if name and _service_name(rule["spec"].get("host", ""), namespace) == name:
            for each in rule["spec"].get("subsets") or ():
                if each["name"] == subset:
                    return each.get("labels") or {}
    return None


def _reaches(destination: Destination, workload: Target) -> bool:
    if workload.kind == SERVICES:
        return destination.host == workload.name
    return fits(destination.selector, labels_of(workload.body))


def _canary(destinations: Sequence[Destination]) -> int:
    for word in CANARY_WORDS:
        for index, each in enumerate(destinations):
            if word in f"{each.subset}-{each.host}".lower().replace(".", "-").split("-"):
                return index
    return len(destinations) - 1


def _coloured(workload: Target, services: Sequence[Json], deployments: Sequence[Json]) -> list[Route]:
    found = []
    for body in services:
        selector = body["spec"].get("selector") or {}
        for key in selector:
            coloured = _by_colour(selector, key, deployments)
            if key.rpartition("/")[2] in VERSION_KEYS and len(coloured) > 1 and _concerns(workload, body, coloured):
                found.append(ColouredService(beside(workload, SERVICES, {**_SERVICE, **body}), key, coloured))
                break
    # What shows the next version to testers is not what serves.
    return sorted(found, key=lambda route: "preview" in route.target.name)


def _by_colour(selector: Mapping[str, str], key: str, deployments: Sequence[Json]) -> dict[str, tuple[Json, ...]]:
    """Return the Deployments that a Service finds but for one key of its selector, by their value of it."""
    rest = {name: value for name, value in selector.items() if name != key}
    found: dict[str, tuple[Json, ...]] = {}
    for body in deployments:
        labels = labels_of(body)
        if fits(rest, labels) and key in labels:
            found[labels[key]] = (*found.get(labels[key], ()), body)
    return found


def _concerns(workload: Target, service: Json, coloured: Mapping[str, tuple[Json, ...]]) -> bool:
    if workload.kind == SERVICES:
        return bool(service["metadata"]["name"] == workload.name)
    return any(
        body["metadata"]["uid"] == workload.body["metadata"]["uid"] for many in coloured.values() for body in many
    )
