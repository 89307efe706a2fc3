"""How many pods a canary and its stable ReplicaSet have, as Argo Rollouts counts them."""

import math
from collections.abc import Sequence

from mlops_tui.demo.kubernetes.controllers.rolling import replicas_of, share, wanted
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

FULL_WEIGHT = 100
_DEFAULT_SHARE = "25%"


def replicas_in(spec: JsonObject) -> int:
    """Return how many pods a Rollout is to have."""
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def available(replica_set: Stored | None) -> int:
    """Return how many pods of a ReplicaSet are available."""
    return 0 if replica_set is None else int(replica_set.body["status"].get("availableReplicas", 0))


def bounds(spec: JsonObject) -> tuple[int, int]:
    """Return how many pods above and how many below its replicas a Rollout may have (surge, unavailable)."""
    replicas = replicas_in(spec)
    strategy = spec["strategy"].get("canary")
    if strategy is None:
        strategy = spec["strategy"]["blueGreen"]
        return 0, min(replicas, share(strategy.get("maxUnavailable", _DEFAULT_SHARE), replicas, up=False))
    surge = share(strategy.get("maxSurge", _DEFAULT_SHARE), replicas, up=True)
    unavailable = share(strategy.get("maxUnavailable", _DEFAULT_SHARE), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # else an update could never move
    return surge, min(unavailable, replicas)


def weighted_counts(replicas: int, weight: int, surge: int) -> tuple[int, int]:
    """Return the sizes of canary and stable that come closest to a weight in percent.

    Together they are `replicas`, or one more where a surge is allowed; neither is empty unless the weight says so.
    """
    if replicas == 0:
        return 0, 0
    exact = replicas * weight / FULL_WEIGHT
    ceiling, floor = math.ceil(exact), math.floor(exact)
    zero_allowed = weight in (0, FULL_WEIGHT) or (replicas == 1 and surge == 0)
    floor_allowed = floor != 0 or zero_allowed
    options = []
    if ceiling < replicas or zero_allowed:
        options.append((ceiling, replicas))
    if floor_allowed and not _tied(replicas, weight):
        options.append((floor, replicas))
    if surge > 0:
        options.append((ceiling, replicas + 1))
        if floor_allowed and not _tied(replicas + 1, weight):
            options.append((floor, replicas + 1))
    if not options:
        return 0, replicas
    canary, total = min(options, key=lambda option: abs(option[0] * FULL_WEIGHT / option[1] - weight))
    return canary, total - canary


def _tied(total: int, weight: int) -> bool:
    return math.modf(total * (weight / FULL_WEIGHT))[0] == 0.5


def routed_counts(spec: JsonObject, weight: int) -> tuple[int, int]:
    """Return the sizes of canary and stable where a router splits the traffic: the stable one stays whole."""
    replicas = replicas_in(spec)
    return math.ceil(weight * replicas / FULL_WEIGHT), replicas


def basic_counts(
    spec: JsonObject, weight: int, new: Stored, stable: Stored | None, others: Sequence[Stored]
) -> tuple[int, int]:
    """Return the next sizes of canary and stable where pods alone split the traffic, within surge and unavailability.

    Args:
        stable: `None`, or `new` itself, while there is nothing else to keep up: then only the new one grows.
    """
    replicas, (surge, unavailable) = replicas_in(spec), bounds(spec)
    if stable is not None and stable.key == new.key:
        stable = None
    new_wanted, stable_wanted = weighted_counts(replicas, weight, surge)
    if stable is None:
        new_wanted, stable_wanted = replicas, 0
    new_now, stable_now = replicas_of(new), replicas_of(stable) if stable is not None else 0
    room = replicas + surge - new_now - stable_now - wanted(list(others))
    stable_next = stable_now + min(max(0, room), max(0, stable_wanted - stable_now))
    room -= stable_next - stable_now
    new_next = new_now + min(max(0, room), max(0, new_wanted - new_now))
    if wanted(list(others)) > 0:
        return new_next, stable_next  # older ones go first
    growing = new_wanted >= new_now
    least = replicas - unavailable
    spare = _counts_for(new, ignore_availability=not growing) + _counts_for(stable, ignore_availability=growing) - least
    if spare <= 0:
        return new_next, stable_next
    if not growing:
        new_next = max(new_wanted, new_now - spare) if new_now > new_wanted else new_next
        return _within(new, stable, new_next, stable_next, replicas + surge, least)
    if stable is not None:
        stable_next = max(stable_wanted, stable_now - spare) if stable_now > stable_wanted else stable_next
        stable_next, new_next = _within(stable, new, stable_next, new_next, replicas + surge, least)
    return new_next, stable_next


def _counts_for(replica_set: Stored | None, *, ignore_availability: bool) -> int:
    if replica_set is None:
        return 0
    size = replicas_of(replica_set)
    return size if ignore_availability else min(size, available(replica_set))


def _within(
    drained: Stored, kept: Stored | None, drained_next: int, kept_next: int, most: int, least: int
) -> tuple[int, int]:
    """Return both sizes without what is over the limit: first `kept` gives, as far as enough pods stay available."""
    if kept is None:
        return drained_next, kept_next
    over = max(0, kept_next + drained_next - most)
    kept_next -= over
    serving = min(available(drained), drained_next) + min(available(kept), kept_next)
    lost = max(0, available(kept) - kept_next)
    kept_next += min(lost, max(0, least - serving))
    return drained_next - max(0, kept_next + drained_next - most), kept_next
