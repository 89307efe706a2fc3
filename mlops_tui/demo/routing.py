"""Where the requests to a model go: by Istio's routes, a Service's selector, or to all of its pods."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mlops_tui.demo.kubernetes import ApiError, Cluster
from mlops_tui.demo.kubernetes.resources import REPLICA_SETS

_ROUTES: Final = ("Service", "VirtualService", "DestinationRule")


@dataclass(slots=True)
class Pod:
    """A pod of a model as its requests see it.

    Attributes:
        deployment: The Deployment that it belongs to, or what else owns its ReplicaSet.
    """

    namespace: str
    name: str
    uid: str
    deployment: str
    labels: Mapping[str, str]
    image: str
    address: str
    is_ready: bool

    @property
    def model(self) -> str:
        return self.labels["model"]


@dataclass(slots=True)
class Backends:
    """The pods of one model in one namespace, by name."""

    namespace: str
    model: str
    pods: dict[str, Pod] = field(default_factory=dict)


class Routing:
    """Follows a cluster's pods that carry a `model` label, and what routes to them.

    Attributes:
        backends: By namespace and model.
    """

    def __init__(self, cluster: Cluster, namespaces: Iterable[str]) -> None:
        self.backends: dict[tuple[str, str], Backends] = {}
        self._cluster = cluster
        self._namespaces = frozenset(namespaces)
        self._routes: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
        """By kind and namespace, then name."""
        self._shares: dict[tuple[str, str], dict[str, float]] = {}
        """What is known since the last change."""
        for kind in ("Pod", *_ROUTES):
            # A kind that nobody has installed is none.
            with suppress(KeyError, ApiError):
                for body in cluster.objects(kind):
                    self._see(kind, body, gone=False)
        cluster.store.listeners.append(
            lambda change: self._see(change.object.resource.kind, change.object.body, gone=change.type == "DELETED")
        )

    def shares(self, backends: Backends) -> dict[str, float]:
        """Return the part of the requests that each ready pod gets, by its name.

        What is routed to where no pod is ready gets lost: the parts add up to less than one.
        """
        key = backends.namespace, backends.model
        if key not in self._shares:
            self._shares[key] = self._split(backends)
        return self._shares[key]

    def _split(self, backends: Backends) -> dict[str, float]:
        shares: dict[str, float] = {}
        for pods, weight in self._destinations(backends):
            ready = [pod.name for pod in pods if pod.is_ready]
            for name in ready:
                shares[name] = shares.get(name, 0.0) + weight / len(ready)
        return shares

    def _destinations(self, backends: Backends) -> list[tuple[list[Pod], float]]:
        """Return groups of pods, ready or not, with the part of the requests that each group gets."""
        for virtual in self._of("VirtualService", backends.namespace):
            destinations = self._weighted(virtual, backends)
            if any(pods for pods, _ in destinations):
                return destinations
        for service in self._of("Service", backends.namespace):
            pods = _selected(backends.pods.values(), service["spec"].get("selector"))
            # One that selects none of them is still theirs if it says so: nobody is reached through it.
            if pods or (service["metadata"].get("labels") or {}).get("model") == backends.model:
                return [(pods, 1.0)]
        return [(list(backends.pods.values()), 1.0)]

    def _weighted(self, virtual: Mapping[str, Any], backends: Backends) -> list[tuple[list[Pod], float]]:
        # What matches by a header is somebody's test, not the traffic.
        plain = [route for route in virtual["spec"].get("http") or () if not _matches_header(route)]
        targets = (plain[0].get("route") or []) if plain else []
        weights = [float(target.get("weight") or 0) for target in targets]
        if len(targets) == 1:
            weights = [1.0]
        whole = math.fsum(weights) or 1.0
        return [
            (self._destined(target.get("destination") or {}, backends), weight / whole)
            for target, weight in zip(targets, weights, strict=True)
        ]

    def _destined(self, destination: Mapping[str, Any], backends: Backends) -> list[Pod]:
        host, subset = _short(destination.get("host", "")), destination.get("subset")
        pods = self._behind(host, backends)
        if subset is None:
            return pods
        for rule in self._of("DestinationRule", backends.namespace):
            if _short(rule["spec"].get("host", "")) == host:
                for each in rule["spec"].get("subsets") or ():
                    if each["name"] == subset:
                        return [pod for pod in pods if (each.get("labels") or {}).items() <= pod.labels.items()]
        return []

    def _behind(self, host: str, backends: Backends) -> list[Pod]:
        service = self._routes.get(("Service", backends.namespace), {}).get(host)
        pods = backends.pods.values()
        if service is not None:
            return _selected(pods, service["spec"].get("selector"))
        # Without a Service of that name the host is the Deployment's.
        return [pod for pod in pods if pod.deployment == host]

    def _of(self, kind: str, namespace: str) -> list[Mapping[str, Any]]:
        return [body for _, body in sorted(self._routes.get((kind, namespace), {}).items())]

    def _see(self, kind: str, body: Mapping[str, Any], *, gone: bool) -> None:
        """Keep of an object that changed what concerns the models."""
        metadata = body["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        if namespace not in self._namespaces:
            return
        if kind in _ROUTES:
            self._shares.clear()
            routes = self._routes.setdefault((kind, namespace), {})
            routes.pop(name, None)
            if not gone:
                routes[name] = body
        elif kind == "Pod":
            model = (metadata.get("labels") or {}).get("model")
            if model:
                self._shares.pop((namespace, model), None)
                backends = self.backends.setdefault((namespace, model), Backends(namespace, model))
                backends.pods.pop(name, None)
                if not gone:
                    backends.pods[name] = self._pod(body)

    def _pod(self, body: Mapping[str, Any]) -> Pod:
        metadata, status = body["metadata"], body.get("status") or {}
        conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
        return Pod(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            deployment=self._deployment(metadata),
            labels=metadata["labels"],
            image=body["spec"]["containers"][0]["image"],
            address=status.get("podIP", ""),
            is_ready=conditions.get("Ready") == "True" and "deletionTimestamp" not in metadata,
        )

    def _deployment(self, metadata: Mapping[str, Any]) -> str:
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == "ReplicaSet":
                # Read, and so not copied as `Cluster.get` does: every change of a pod comes here.
                found = self._cluster.store.get(REPLICA_SETS, metadata["namespace"], owner["name"])
                above = None if found is None else found.owner()
                return str(above["name"] if above else owner["name"])
        return str(metadata["labels"].get("app", metadata["name"]))


def _selected(pods: Iterable[Pod], selector: Mapping[str, str] | None) -> list[Pod]:
    """Return the pods that a Service selects; without a selector it selects none."""
    return [pod for pod in pods if selector and selector.items() <= pod.labels.items()]


def _matches_header(route: Mapping[str, Any]) -> bool:
    return any("headers" in match for match in route.get("match") or ())


def _short(host: str) -> str:
    """Return the Service's name in `name`, `name.namespace` or `name.namespace.svc.cluster.local`."""
    return host.partition(".")[0]
