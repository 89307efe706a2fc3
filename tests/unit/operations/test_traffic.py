"""What routes traffic to a workload, how shares are reckoned, and what has become of an update."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from mlops_tui.operations.argo import has_happened, progress_of
from mlops_tui.operations.canary import shares
from mlops_tui.operations.rollouts import Target
from mlops_tui.operations.routes import ColouredService, WeightedRoute, routes_to, share_out
from tests.support.clock import ManualClock

CLOCK = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))


class Objects:
    """A cluster of objects that are only listed."""

    def __init__(self, **kinds: list[dict[str, Any]]) -> None:
        self.kinds = kinds

    async def find(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        return self.kinds.get(kind.partition(".")[0], [])


def deployment(name: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name, "namespace": "ml"},
        "spec": {"template": {"metadata": {"labels": labels}}},
    }


def service(name: str, **selector: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ml"}, "spec": {"selector": selector}}


def virtual(*routes: Sequence[tuple[str, int | None]], **match: Any) -> dict[str, Any]:
    http = []
    for route in routes:
        made = [{"destination": {"host": host}, **({} if w is None else {"weight": w})} for host, w in route]
        http.append({"route": made, **({"match": [match]} if match else {})})
    return {"metadata": {"name": "vs", "namespace": "ml"}, "spec": {"http": http}}


async def found(workload: dict[str, Any], **kinds: list[dict[str, Any]]) -> list[Any]:
    cluster: Any = Objects(**kinds)
    return await routes_to(Target(cluster, CLOCK, "production", None, workload))


@pytest.mark.parametrize(
    ("whole", "weights", "parts"),
    [
        (100, [95, 5], [95, 5]),
        (100, [1, 1, 1], [34, 33, 33]),
        (70, [0, 0], [70, 0]),
        (100, [2, 1], [67, 33]),
        (0, [3, 4], [0, 0]),
        (99, [1], [99]),
        (50, [], []),
    ],
)
def test_shares_add_up(whole: int, weights: list[int], parts: list[int]) -> None:
    assert share_out(whole, weights) == parts


async def test_weights_are_found_by_host_and_the_canary_by_its_name() -> None:
    services = [service("model", app="model"), service("model-canary", app="model-canary")]
    routes = [("model-canary.ml.svc.cluster.local", 10), ("model", 30), ("other.elsewhere.svc", 60)]
    stable = deployment("model", app="model")
    [route] = await found(stable, services=services, virtualservices=[virtual(routes)])
    assert isinstance(route, WeightedRoute)
    assert (route.canary, [each.weight for each in route.destinations]) == (0, [10, 30, 60])
    assert [each.selector for each in route.destinations] == [{"app": "model-canary"}, {"app": "model"}, None]
    assert shares(route, 55) == [55, 15, 30]
    assert await found(deployment("x", app="x"), services=services, virtualservices=[virtual(routes)]) == []


async def test_weights_that_do_not_add_up_to_100_are_taken_in_proportion() -> None:
    services = [service("a", app="a"), service("b", app="b")]
    [route] = await found(
        deployment("a", app="a"), services=services, virtualservices=[virtual([("a", 1), ("b", None)])]
    )
    assert [each.weight for each in route.destinations] == [100, 0]
    assert route.canary == 1


async def test_what_matches_by_header_or_has_one_destination_shares_nothing_out() -> None:
    services = [service("a", app="a"), service("b", app="b")]
    headers = virtual([("a", 50), ("b", 50)], headers={"canary": {"exact": "true"}})
    lone = virtual([("a", None)])
    assert await found(deployment("a", app="a"), services=services, virtualservices=[headers, lone]) == []


async def test_colours_are_told_by_a_key_that_is_called_so() -> None:
    blue, green = (deployment(colour, app="a", version=colour) for colour in ("blue", "green"))
    live = service("a", app="a", version="blue")
    [route] = await found(green, services=[live], deployments=[blue, green])
    assert isinstance(route, ColouredService)
    assert (route.key, route.colour, list(route.deployments)) == ("version", "blue", ["blue", "green"])
    # A Service for all of them, one for a tier, and one for nobody else's version are no switches.
    tiers = [deployment(tier, app="a", tier=tier) for tier in ("api", "worker")]
    assert await found(tiers[0], services=[service("a", app="a", tier="api")], deployments=tiers) == []
    assert await found(green, services=[service("a", app="a")], deployments=[blue, green]) == []
    assert await found(green, services=[service("v", version="blue")], deployments=[blue, green]) == []


def update(**status: Any) -> dict[str, Any]:
    steps = [{"setWeight": 20}, {"pause": {}}]
    return {
        "spec": {"strategy": {"canary": {"steps": steps}}},
        "status": {"currentPodHash": "b", "stableRS": "a", **status},
    }


@pytest.mark.parametrize(
    ("do", "status", "happened"),
    [
        ("promote", {"currentStepIndex": 1, "pauseConditions": [{"reason": "x"}]}, False),
        ("promote", {"currentStepIndex": 2}, True),
        ("promote", {"currentStepIndex": 1}, True),
        ("promote", {"currentStepIndex": 0, "abort": True}, False),
        ("promote", {"currentPodHash": "c"}, None),
        ("promote-full", {"promoteFull": True}, True),
        ("promote-full", {"stableRS": "b"}, True),
        ("promote-full", {}, False),
        ("abort", {"abort": True}, True),
        ("abort", {}, False),
        ("retry", {"abort": True}, False),
        ("retry", {}, True),
    ],
)
def test_what_became_of_an_update(do: str, status: dict[str, Any], happened: bool | None) -> None:
    facts = {"do": do, "step": "1", "waits": "yes", "hash": "b"}
    assert has_happened(update(**status), facts) is happened


def test_an_update_is_told_in_a_line() -> None:
    waiting = update(phase="Paused", currentStepIndex=1, pauseConditions=[{"reason": "CanaryPauseStep"}])
    assert str(progress_of(waiting)) == "Paused, step 1 of 2 (CanaryPauseStep)"
    assert str(progress_of(update(phase="Healthy", stableRS="b", currentStepIndex=2))) == "Healthy"
