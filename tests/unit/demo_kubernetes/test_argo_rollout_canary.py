"""Canary updates of Argo Rollouts on a clock that is moved by hand."""

from typing import Any

import pytest

from mlops_tui.demo.kubernetes import ImageBehaviour
from mlops_tui.demo.kubernetes.controllers.argo.arithmetic import weighted_counts
from mlops_tui.demo.kubernetes.controllers.argo.state import duration_seconds
from tests.unit.demo_kubernetes.rollouts import RolloutWorld, Steps
from tests.unit.demo_kubernetes.worlds import image_patch

PAUSED = ("Paused", "CanaryPauseStep")
HEALTHY = ("Healthy", "")
STEPS: Steps = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1m"}}]


def canary(steps: Steps | None = None, **fields: Any) -> dict[str, Any]:
    return {"canary": {"steps": STEPS if steps is None else steps, **fields}}


async def routed(world: RolloutWorld) -> None:
    """Start a Rollout whose traffic Istio splits."""
    for name in ("stable", "canary"):
        world.service(name)
    route = [{"destination": {"host": "stable"}, "weight": 100}, {"destination": {"host": "canary"}, "weight": 0}]
    http = [{"name": "primary", "route": route}, {"name": "other", "route": [{"destination": {"host": "stable"}}]}]
    manifest = {"metadata": {"name": "m", "namespace": "ml"}, "spec": {"hosts": ["m"], "http": http}}
    world.cluster.apply({"kind": "VirtualService", **manifest})
    routing = {"istio": {"virtualService": {"name": "m", "routes": ["primary"]}}}
    await world.start(canary(stableService="stable", canaryService="canary", trafficRouting=routing))


async def test_the_first_version_skips_the_steps() -> None:
    world = RolloutWorld()
    await world.start(canary())
    status = world.status
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:1": (4, 4)})
    assert status["stableRS"] == status["currentPodHash"]
    assert (status["currentStepIndex"], status["observedGeneration"]) == (4, "1")
    assert (status["replicas"], status["updatedReplicas"], status["HPAReplicas"]) == (4, 4, 4)
    assert (status["selector"], status["canary"], status["blueGreen"]) == ("app=m", {}, {})
    assert world.conditions() == {
        "Available": ("True", "AvailableReason"),
        "Completed": ("True", "RolloutCompleted"),
        "Healthy": ("True", "RolloutHealthy"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


async def test_an_update_stops_at_a_pause_until_it_is_promoted() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.update("m:2", 600)
    status = world.status
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (3, 3), "m:2": (1, 1)})
    assert (status["currentStepIndex"], status["controllerPause"]) == (1, True)
    assert status["pauseConditions"] == [{"reason": "CanaryPauseStep", "startTime": "2026-11-20T14:02:18Z"}]
    assert world.conditions()["Paused"] == ("True", "RolloutPaused")
    assert status["stableRS"] != status["currentPodHash"]
    await world.set_status(3, pauseConditions=None)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (2, 2), "m:2": (2, 2)})
    await world.run(55)
    assert world.phase == PAUSED
    await world.run(10)
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:2": (4, 4)})
    assert world.status["stableRS"] == world.status["currentPodHash"]
    assert "pauseConditions" not in world.status
    steps = ["setWeight: 25", "pause", "setWeight: 50", "pause: 1m"]
    expected = [f"Rollout step {number}/4 completed ({step})" for number, step in enumerate(steps, 1)]
    assert sorted(world.events("RolloutStepCompleted")) == expected


async def test_an_update_never_leaves_surge_and_unavailability() -> None:
    world = RolloutWorld()
    await world.start(canary([], maxSurge=1, maxUnavailable=0))
    seen = []
    world.cluster.patch("Rollout", "ml", "m", image_patch("m:2"))
    for _ in range(80):
        await world.run(0.25)
        seen.append((world.status["replicas"], world.status["availableReplicas"]))
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:2": (4, 4)})
    assert max(replicas for replicas, _ in seen) == 5
    assert min(available for _, available in seen) == 4


async def test_a_full_promotion_skips_what_is_left() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.update("m:2", 10)
    await world.set_status(10, promoteFull=True)
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:2": (4, 4)})
    assert (world.status["currentStepIndex"], "promoteFull" in world.status) == (4, False)
    assert any(message.endswith(": Full promotion requested") for message in world.events("RolloutCompleted"))


async def test_an_abort_goes_back_and_a_retry_starts_again() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.update("m:2", 10)
    await world.set_status(10, abort=True)
    message = "RolloutAborted: Rollout aborted update to revision 2"
    assert (world.phase, world.sizes()) == (("Degraded", message), {"m:1": (4, 4)})
    assert (world.status["abort"], world.status["currentStepIndex"]) == (True, 0)
    assert world.status["abortedAt"] == "2026-11-20T14:02:26Z"
    assert world.conditions()["Progressing"] == ("False", "RolloutAborted")
    await world.set_status(10, abort=False)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (3, 3), "m:2": (1, 1)})
    assert not {"abort", "abortedAt"} & set(world.status)


async def test_going_back_to_the_stable_template_skips_the_steps() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.update("m:2", 10)
    await world.update("m:1", 10)
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:1": (4, 4)})
    assert world.rollout["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "3"
    assert world.events("SkipSteps") == ["Rollback to stable ReplicaSets"]


async def test_an_undo_of_an_old_version_is_an_update_like_any_other() -> None:
    world = RolloutWorld()
    await world.start(canary([{"setWeight": 25}, {"pause": {}}]))
    await world.update("m:2", 10)
    await world.set_status(10, promoteFull=True)
    await world.update("m:1", 10)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:2": (3, 3), "m:1": (1, 1)})


async def test_the_size_follows_the_scale_also_during_a_pause() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.update("m:2", 10)
    resource = world.cluster.types.of_kind("Rollout")
    world.cluster.registry.update_scale(resource, "ml", "m", {"spec": {"replicas": 8}})
    await world.run(10)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (6, 6), "m:2": (2, 2)})
    scale = world.cluster.registry.scale(resource, "ml", "m")
    assert (scale["spec"]["replicas"], scale["status"]) == (8, {"replicas": 8, "selector": "app=m"})


async def test_a_user_may_halt_an_update() -> None:
    world = RolloutWorld()
    await world.start(canary())
    world.cluster.patch("Rollout", "ml", "m", {"spec": {"paused": True}})
    await world.update("m:2", 60)
    assert (world.phase, world.sizes()) == (("Paused", "manually paused"), {"m:1": (4, 4)})
    world.cluster.patch("Rollout", "ml", "m", {"spec": {"paused": False}})
    await world.run(10)
    assert world.phase == PAUSED


async def test_a_restart_replaces_pods_a_few_at_a_time() -> None:
    world = RolloutWorld()
    await world.start(canary())
    await world.run(60)
    old = {pod["metadata"]["name"] for pod in world.cluster.objects("Pod")}
    world.cluster.patch("Rollout", "ml", "m", {"spec": {"restartAt": "2026-11-20T14:03:00Z"}})
    least = 4
    for _ in range(100):
        await world.run(0.5)
        least = min(least, world.status.get("availableReplicas", 0))
    assert not old & {pod["metadata"]["name"] for pod in world.cluster.objects("Pod")}
    assert (world.phase, least) == (HEALTHY, 3)
    assert world.status["restartedAt"] == "2026-11-20T14:03:00Z"


async def test_an_image_that_cannot_be_pulled_exceeds_the_deadline() -> None:
    world = RolloutWorld()
    world.cluster.behaviours.append(ImageBehaviour("*:bad", start_seconds=1.0, pull_error=True))
    await world.start(canary(), progressDeadlineSeconds=60)
    await world.update("m:bad", 50)
    assert world.phase == ("Progressing", "more replicas need to be updated")
    await world.run(20)
    name = next(
        each["metadata"]["name"]
        for each in world.cluster.objects("ReplicaSet")
        if each["metadata"]["labels"]["rollouts-pod-template-hash"] == world.status["currentPodHash"]
    )
    message = f'ProgressDeadlineExceeded: ReplicaSet "{name}" has timed out progressing.'
    assert (world.phase, world.sizes()) == (("Degraded", message), {"m:1": (3, 3), "m:bad": (1, 0)})
    await world.update("m:1", 10)
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:1": (4, 4)})


async def test_istio_gets_the_weights_and_the_services_their_pods() -> None:
    world = RolloutWorld()
    await routed(world)
    assert (world.weights(), world.selected("stable"), world.selected("canary")) == ([100, 0], "m:1", "m:1")
    await world.update("m:2", 10)
    assert (world.weights(), world.sizes()) == ([75, 25], {"m:1": (4, 4), "m:2": (1, 1)})
    assert (world.selected("stable"), world.selected("canary")) == ("m:1", "m:2")
    weights = world.status["canary"]["weights"]
    assert [(weights[part]["weight"], weights[part]["serviceName"]) for part in ("canary", "stable")] == [
        (25, "canary"),
        (75, "stable"),
    ]
    assert "Traffic weight updated from 0 to 25" in world.events("TrafficWeightUpdated")
    await world.set_status(10, pauseConditions=None)
    assert (world.weights(), world.sizes()) == ([50, 50], {"m:1": (4, 4), "m:2": (2, 2)})
    await world.run(60)
    assert (world.weights(), world.selected("stable")) == ([100, 0], "m:2")
    assert world.sizes() == {"m:1": (4, 4), "m:2": (4, 4)}  # the old version is kept for half a minute
    await world.run(40)
    assert (world.phase, world.sizes()) == (HEALTHY, {"m:2": (4, 4)})
    other = world.cluster.get("VirtualService", "ml", "m")
    assert other is not None
    assert other["spec"]["http"][1]["route"] == [{"destination": {"host": "stable"}}]


async def test_an_abort_takes_the_traffic_back_before_the_pods() -> None:
    world = RolloutWorld()
    await routed(world)
    await world.update("m:2", 10)
    await world.set_status(1, abort=True)
    assert (world.weights(), world.selected("canary")) == ([100, 0], "m:1")
    assert world.sizes() == {"m:1": (4, 4), "m:2": (1, 1)}
    await world.run(40)
    assert world.sizes() == {"m:1": (4, 4)}


async def test_weights_that_somebody_changes_are_put_back() -> None:
    world = RolloutWorld()
    await routed(world)
    await world.update("m:2", 10)
    found = world.cluster.get("VirtualService", "ml", "m")
    assert found is not None
    found["spec"]["http"][0]["route"][0]["weight"] = 1
    world.cluster.patch("VirtualService", "ml", "m", {"spec": {"http": found["spec"]["http"]}})
    await world.run(0)
    assert world.weights() == [75, 25]


async def test_a_rollout_that_refers_to_nothing_is_invalid_until_it_is_there() -> None:
    world = RolloutWorld()
    await world.start(canary(stableService="stable"))
    fault = 'spec.strategy.canary.stableService: Invalid value: "stable": service "stable" not found'
    assert world.phase == ("Degraded", f'InvalidSpec: The Rollout "m" is invalid: {fault}')
    world.service("stable")
    await world.run(5)
    assert (world.phase, "InvalidSpec" in world.conditions()) == (HEALTHY, False)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        ({"template": {"metadata": {"labels": {"app": "x"}}}}, "`selector` does not match template `labels`"),
        ({"template": {"spec": None}}, "spec.template.spec.containers: Required value"),
        ({"strategy": {"canary": None}}, "spec.strategy.strategy: Required value"),
    ],
)
async def test_what_a_rollout_has_to_say(change: dict[str, Any], fault: str) -> None:
    world = RolloutWorld()
    await world.start(canary())
    world.cluster.patch("Rollout", "ml", "m", {"spec": change})
    await world.run(5)
    phase, message = world.phase
    assert (phase, fault in message) == ("Degraded", True)
    assert world.sizes() == {"m:1": (4, 4)}


async def test_a_rollout_at_rest_does_nothing_and_its_deletion_takes_everything_along() -> None:
    world = RolloutWorld()
    await routed(world)
    await world.update("m:2", 10)
    await world.set_status(4000, promoteFull=True)
    version = world.cluster.store.version
    assert world.cluster.reconcile() is None
    await world.run(10_000)
    assert world.cluster.store.version == version
    world.cluster.delete("Rollout", "ml", "m")
    await world.run(3)
    assert [world.cluster.objects(kind) for kind in ("ReplicaSet", "Pod")] == [[], []]


async def test_old_revisions_are_forgotten() -> None:
    world = RolloutWorld()
    await world.start(canary([]), replicas=1, revisionHistoryLimit=1)
    for number in range(2, 6):
        await world.update(f"m:{number}", 20)
    kept = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in world.cluster.objects("ReplicaSet")]
    assert sorted(kept) == ["m:4", "m:5"]


@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "expected"),
    [
        (10, 10, 1, (1, 9)), (10, 5, 1, (1, 10)), (10, 0, 1, (0, 10)), (10, 100, 1, (10, 0)), (4, 25, 1, (1, 3)),
        (3, 50, 0, (2, 1)), (1, 5, 1, (1, 1)), (1, 5, 0, (0, 1)), (2, 99, 0, (1, 1)), (0, 50, 1, (0, 0)),
    ],
)  # fmt: skip
def test_pods_come_as_near_to_a_weight_as_they_can(
    replicas: int, weight: int, surge: int, expected: tuple[int, int]
) -> None:
    assert weighted_counts(replicas, weight, surge) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [(30, 30), ("30", 30), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("soon", 0)]
)
def test_durations_read_as_go_writes_them(text: int | str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


async def test_nothing_new_is_made_of_a_rollout_that_is_being_deleted() -> None:
    world = RolloutWorld()
    await world.start(canary())
    registry, resource = world.cluster.registry, world.cluster.types.of_kind("Rollout")
    registry.delete(resource, "ml", "m", {"propagationPolicy": "Foreground"})
    assert "deletionTimestamp" in world.rollout["metadata"]
    world.cluster.patch("Rollout", "ml", "m", {"spec": {"replicas": 9, **image_patch("m:2")["spec"]}})
    world.cluster.reconcile()
    assert len(world.cluster.objects("Pod", "ml")) == 4
    assert set(world.sizes()) <= {"m:1"}
    await world.run(60)
    assert world.cluster.get("Rollout", "ml", "m") is None
    assert world.cluster.objects("ReplicaSet", "ml") == []
