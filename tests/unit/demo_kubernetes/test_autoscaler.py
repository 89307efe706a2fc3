"""HorizontalPodAutoscalers on a clock that is moved by hand."""

from typing import Any

import pytest

from mlops_tui.demo.kubernetes import ApiError
from mlops_tui.demo.kubernetes.controllers.autoscaler import SYNC_SECONDS
from mlops_tui.demo.kubernetes.http.tables import cells
from tests.unit.demo_kubernetes.rollouts import RolloutWorld
from tests.unit.demo_kubernetes.worlds import World, manifest


def autoscale(world: World, kind: str = "Deployment", *, target: int = 70, **spec: Any) -> None:
    versions = {"Deployment": "apps/v1", "Rollout": "argoproj.io/v1alpha1"}
    utilization = {"type": "Utilization", "averageUtilization": target}
    fields = {
        "scaleTargetRef": {"apiVersion": versions[kind], "kind": kind, "name": "m"},
        "minReplicas": 2,
        "maxReplicas": 10,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
        **spec,
    }
    metadata = {"name": "m", "namespace": "ml"}
    world.cluster.apply({"kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": fields})


class Load:
    """What is asked for the load; it can be set, and remembers who was asked about."""

    def __init__(self, percent: float | None) -> None:
        self.percent = percent
        self.asked: list[tuple[str, str]] = []

    def __call__(self, namespace: str, name: str) -> float | None:
        self.asked.append((namespace, name))
        return self.percent


async def started(percent: float | None, *, replicas: int = 4, **spec: Any) -> tuple[World, Load]:
    """Return a world with a Deployment that is up, and its autoscaler."""
    world, load = World(), Load(percent)
    world.cluster.utilization = load
    world.cluster.apply(manifest(replicas=replicas))
    await world.run(5)
    autoscale(world, **spec)
    return world, load


def size(world: World) -> int:
    return int(world.deployment()["spec"]["replicas"])


def autoscaler(world: World) -> dict[str, Any]:
    found = world.cluster.get("HorizontalPodAutoscaler", "ml", "m")
    assert found is not None
    return found


def conditions(world: World) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in autoscaler(world)["status"]["conditions"]}


async def test_it_looks_every_quarter_of_a_minute_and_grows_with_the_load() -> None:
    world, load = await started(105.0)
    await world.run(SYNC_SECONDS - 0.1)
    assert (load.asked, size(world)) == ([], 4)
    await world.run(0.1)
    assert (load.asked, size(world)) == ([("ml", "m")], 6)
    assert world.events("SuccessfulRescale") == [
        "New size: 6; reason: cpu resource utilization (percentage of request) above target"
    ]
    status = autoscaler(world)["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (4, 6)
    assert status["lastScaleTime"] == "2026-11-20T14:02:31Z"
    assert status["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 105, "averageValue": "1050m"}
    assert conditions(world) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    await world.run(600)
    assert len(load.asked) == 41


async def test_pods_that_start_are_not_scaled_for_again() -> None:
    world, _ = await started(140.0, replicas=3)
    await world.run(14)
    for pod in world.cluster.objects("Pod")[1:]:
        world.cluster.delete("Pod", "ml", pod["metadata"]["name"])
    await world.run(1.5)
    assert (size(world), world.deployment()["status"]["readyReplicas"]) == (3, 1)


@pytest.mark.parametrize("percent", [63.5, 70.0, 76.5])
async def test_a_small_difference_changes_nothing(percent: float) -> None:
    world, _ = await started(percent)
    await world.run(1000)
    assert size(world) == 4
    assert conditions(world)["AbleToScale"] == ("True", "ReadyForNewScale")


async def test_it_shrinks_only_after_the_window() -> None:
    world, _ = await started(20.0, replicas=8)
    await world.run(300)
    assert size(world) == 8
    assert conditions(world)["AbleToScale"] == ("True", "ScaleDownStabilized")
    await world.run(30)
    assert size(world) == 3
    assert "New size: 3; reason: All metrics below target" in world.events("SuccessfulRescale")


async def test_the_windows_can_be_chosen() -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}, "scaleUp": {"stabilizationWindowSeconds": 120}}
    world, load = await started(20.0, replicas=8, behavior=behavior)
    await world.run(16)
    assert size(world) == 3
    load.percent = 140.0
    await world.run(100)
    assert size(world) == 3
    assert conditions(world)["AbleToScale"] == ("True", "ScaleUpStabilized")
    await world.run(60)
    assert size(world) > 3


async def test_the_limits_hold() -> None:
    world, load = await started(1000.0, replicas=3)
    await world.run(16)
    assert (size(world), conditions(world)["ScalingLimited"]) == (6, ("True", "ScaleUpLimit"))
    await world.run(30)
    assert (size(world), conditions(world)["ScalingLimited"]) == (10, ("True", "TooManyReplicas"))
    load.percent = 1.0
    await world.run(400)
    assert (size(world), conditions(world)["ScalingLimited"]) == (2, ("True", "TooFewReplicas"))


async def test_a_size_set_by_hand_is_undone_at_the_next_look() -> None:
    world, _ = await started(70.0)
    await world.run(60)
    world.cluster.patch("Deployment", "ml", "m", {"spec": {"replicas": 1}})
    await world.run(15)
    assert size(world) == 2
    assert "New size: 2; reason: Current number of replicas below Spec.MinReplicas" in world.events("SuccessfulRescale")
    world.cluster.patch("Deployment", "ml", "m", {"spec": {"replicas": 30}})
    await world.run(15)
    assert size(world) == 10


async def test_without_figures_it_says_so_and_only_keeps_the_limits() -> None:
    world, _ = await started(None)
    await world.run(61)
    cause = "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource "
    assert (size(world), conditions(world)["ScalingActive"]) == (4, ("False", "FailedGetResourceMetric"))
    assert world.events("FailedGetResourceMetric") == [f"{cause}metrics API"]
    assert cells(autoscaler(world), world.clock.now())[2] == "cpu: <unknown>/70%"
    world.cluster.patch("Deployment", "ml", "m", {"spec": {"replicas": 11}})
    await world.run(15)
    assert size(world) == 10


async def test_nobody_to_ask_is_no_figures() -> None:
    world, _ = await started(100.0)
    world.cluster.utilization = None
    await world.run(16)
    assert conditions(world)["ScalingActive"] == ("False", "FailedGetResourceMetric")


async def test_what_is_scaled_to_nothing_is_left_alone() -> None:
    world, load = await started(200.0)
    world.cluster.patch("Deployment", "ml", "m", {"spec": {"replicas": 0}})
    await world.run(60)
    assert (size(world), load.asked) == (0, [])
    assert conditions(world)["ScalingActive"] == ("False", "ScalingDisabled")


async def test_a_target_that_is_missing_is_reported() -> None:
    world = World()
    world.cluster.apply({"kind": "Namespace", "metadata": {"name": "ml"}})
    autoscale(world)
    await world.run(16)
    assert conditions(world)["AbleToScale"] == ("False", "FailedGetScale")
    assert world.events("FailedGetScale") == ['deployments.apps "m" not found']


async def test_rollouts_are_scaled_too() -> None:
    world = RolloutWorld()
    world.cluster.utilization = Load(140.0)
    await world.start({"canary": {"steps": []}})
    autoscale(world, "Rollout")
    await world.run(20)
    assert (world.rollout["spec"]["replicas"], world.sizes()) == (8, {"m:1": (8, 8)})
    assert cells(autoscaler(world), world.clock.now())[1:6] == ["Rollout/m", "cpu: 140%/70%", "2", 10, 4]


async def test_one_that_is_deleted_looks_no_more() -> None:
    world, load = await started(70.0)
    await world.run(20)
    world.cluster.delete("HorizontalPodAutoscaler", "ml", "m")
    asked = len(load.asked)
    await world.run(700)
    assert (len(load.asked), world.cluster.reconcile()) == (asked, None)


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"minReplicas": 5, "maxReplicas": 3}, ["spec.maxReplicas"]),
        ({"minReplicas": 0}, ["spec.minReplicas"]),
        ({"maxReplicas": 0}, ["spec.maxReplicas", "spec.maxReplicas"]),
        ({"scaleTargetRef": {}}, ["spec.scaleTargetRef.kind", "spec.scaleTargetRef.name"]),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(spec: dict[str, Any], fields: list[str]) -> None:
    world = World()
    with pytest.raises(ApiError) as refused:
        autoscale(world, **spec)
    assert refused.value.code == 422
    assert [cause["field"] for cause in (refused.value.details or {})["causes"]] == fields
    autoscale(world, minReplicas=3, maxReplicas=3)
    with pytest.raises(ApiError, match="must be greater than or equal to `minReplicas`"):
        world.cluster.patch("HorizontalPodAutoscaler", "ml", "m", {"spec": {"maxReplicas": 2}})
