"""The arithmetic of rolling updates, as the Deployment controller does it."""

import math

from mlops_tui.demo.kubernetes.store import JsonObject, Stored

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HASH_LABEL = "pod-template-hash"


def share(value: int | str, replicas: int, *, up: bool) -> int:
    """Return a number of pods that is given as such or as a percentage of the replicas, rounded up or down."""
    if isinstance(value, int):
        return value
    exact = int(value.rstrip("%")) * replicas / 100
    return math.ceil(exact) if up else math.floor(exact)


def bounds(spec: JsonObject) -> tuple[int, int]:
    """Return how many pods above and how many below its replicas a Deployment may have (surge, unavailable)."""
    strategy, replicas = spec["strategy"], spec["replicas"]
    if strategy["type"] != "RollingUpdate":
        return 0, 0
    surge = share(strategy["rollingUpdate"]["maxSurge"], replicas, up=True)
    unavailable = share(strategy["rollingUpdate"]["maxUnavailable"], replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # else a rollout could never move
    return surge, min(unavailable, replicas)


def replicas_of(replica_set: Stored) -> int:
    """Return how many pods a ReplicaSet is to have."""
    replicas: int = replica_set.body["spec"]["replicas"]
    return replicas


def wanted(replica_sets: list[Stored]) -> int:
    """Return how many pods these ReplicaSets are to have in all."""
    return sum(replicas_of(replica_set) for replica_set in replica_sets)


def counted(replica_sets: list[Stored], field: str) -> int:
    """Return the sum of a status field of these ReplicaSets."""
    return sum(replica_set.body["status"].get(field, 0) for replica_set in replica_sets)


def active(replica_sets: list[Stored]) -> list[Stored]:
    """Return those that are to have pods."""
    return [replica_set for replica_set in replica_sets if replicas_of(replica_set) > 0]


def revision_of(stored: Stored) -> int:
    """Return the revision in an object's annotations, 0 without one."""
    text = stored.metadata.get("annotations", {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def new_size(spec: JsonObject, all_sets: list[Stored], current: int) -> int:
    """Return how many replicas the newest ReplicaSet, which has `current`, may have now."""
    replicas: int = spec["replicas"]
    if spec["strategy"]["type"] != "RollingUpdate":
        return replicas
    room = replicas + bounds(spec)[0] - wanted(all_sets)
    return current if room <= 0 else current + min(room, replicas - current)


def proportional_sizes(spec: JsonObject, replica_sets: list[Stored], status_replicas: int) -> dict[str, int]:
    """Return new sizes, by name, for the active ReplicaSets of a Deployment that is scaled during a rollout.

    Each grows or shrinks by its share; what rounding leaves goes to the largest.
    """
    limit = spec["replicas"] + bounds(spec)[0] if spec["replicas"] > 0 else 0
    to_add = limit - wanted(replica_sets)
    # Equal sizes: growth favours the newest, shrinking the oldest. `replica_sets` is in order of creation.
    newest_first = list(reversed(replica_sets)) if to_add > 0 else list(replica_sets)
    ordered = sorted(newest_first, key=lambda replica_set: -replicas_of(replica_set))
    sizes, added = {}, 0
    for replica_set in ordered:
        change = _proportion(spec, replica_set, to_add - added, status_replicas) if to_add else 0
        sizes[replica_set.key[1]] = replicas_of(replica_set) + change
        added += change
    if to_add and ordered:
        largest = ordered[0].key[1]
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _proportion(spec: JsonObject, replica_set: Stored, allowed: int, status_replicas: int) -> int:
    replicas = replicas_of(replica_set)
    if replicas == 0 or allowed == 0:
        return 0
    if spec["replicas"] == 0:
        return max(-replicas, allowed)
    maximum = replica_set.metadata.get("annotations", {}).get(MAXIMUM, "")
    whole = int(maximum) if maximum.isdigit() and int(maximum) else status_replicas or 1
    share: float = replicas * (spec["replicas"] + bounds(spec)[0]) / whole
    change = math.floor(share + 0.5) - replicas
    return min(change, allowed) if allowed > 0 else max(change, allowed)
