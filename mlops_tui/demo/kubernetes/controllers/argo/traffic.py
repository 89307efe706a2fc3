"""Istio's part of a canary: the weights of routes and the hashes of subsets."""

from typing import Any

from mlops_tui.demo.kubernetes.controllers.argo.arithmetic import FULL_WEIGHT
from mlops_tui.demo.kubernetes.controllers.argo.state import HASH_LABEL, RolloutState, hash_of
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

ISTIO = "networking.istio.io"


def virtual_services(strategy: JsonObject) -> list[JsonObject]:
    """Return the references to VirtualServices that a canary strategy has: name, and the names of routes."""
    istio = (strategy.get("trafficRouting") or {}).get("istio") or {}
    one = istio.get("virtualService")
    return [*([one] if one else []), *(istio.get("virtualServices") or ())]


def find(state: RolloutState, kind: str, name: str) -> Stored | None:
    """Return an object of Istio, from the Rollout's namespace or, as `name.namespace`, from another."""
    resource = state.tools.types.find(kind, ISTIO)
    if resource is None:
        return None
    name, _, namespace = name.partition(".")
    return state.tools.store.get(resource, namespace or state.rollout.key[0], name)


def route(state: RolloutState, weight: int) -> None:
    """Send `weight` percent of the traffic to the canary, the rest to the stable version."""
    strategy = state.spec["strategy"]["canary"]
    subsets = ((strategy.get("trafficRouting") or {}).get("istio") or {}).get("destinationRule") or {}
    if (rule := find(state, "DestinationRule", subsets.get("name", ""))) is not None:
        hashes = {subsets.get("canarySubsetName"): hash_of(state.new)}
        if state.stable is not None:
            hashes[subsets.get("stableSubsetName")] = hash_of(state.stable)
        _write(state, rule, {**rule.body["spec"], "subsets": [_labelled(each, hashes) for each in _subsets(rule)]})
    for reference in virtual_services(strategy):
        found = find(state, "VirtualService", reference["name"])
        if found is None:
            continue
        names = reference.get("routes") or ()
        http = [
            {**each, "route": [_weighted(part, strategy, subsets, weight) for part in each.get("route") or ()]}
            if each.get("name") in names or not names
            else each
            for each in found.body["spec"].get("http") or ()
        ]
        _write(state, found, {**found.body["spec"], "http": http})


def _subsets(rule: Stored) -> list[JsonObject]:
    found: list[JsonObject] = rule.body["spec"].get("subsets") or []
    return found


def _labelled(subset: JsonObject, hashes: dict[Any, str]) -> JsonObject:
    if subset.get("name") not in hashes:
        return subset
    return {**subset, "labels": {**(subset.get("labels") or {}), HASH_LABEL: hashes[subset["name"]]}}


def _weighted(part: JsonObject, strategy: JsonObject, subsets: JsonObject, weight: int) -> JsonObject:
    """Return a route's destination with its weight; what is neither canary nor stable is left as it is."""
    destination = part.get("destination") or {}
    host, subset = destination.get("host", "").partition(".")[0], destination.get("subset")
    if subset and subset == subsets.get("canarySubsetName"):
        return {**part, "weight": weight}
    if subset and subset == subsets.get("stableSubsetName"):
        return {**part, "weight": FULL_WEIGHT - weight}
    if not subset and host == strategy.get("canaryService"):
        return {**part, "weight": weight}
    if not subset and host == strategy.get("stableService"):
        return {**part, "weight": FULL_WEIGHT - weight}
    return part


def _write(state: RolloutState, stored: Stored, spec: JsonObject) -> None:
    if spec != stored.body["spec"]:
        metadata = {**stored.metadata, "generation": stored.metadata["generation"] + 1}
        state.tools.store.put(stored.resource, {**stored.body, "metadata": metadata, "spec": spec})
