"""Blue-green updates of Argo Rollouts on a clock that is moved by hand."""

from typing import Any

from mlops_tui.demo.kubernetes import ImageBehaviour
from tests.unit.demo_kubernetes.rollouts import RolloutWorld

PAUSED = ("Paused", "BlueGreenPause")
HEALTHY = ("Healthy", "")


async def started(**fields: Any) -> RolloutWorld:
    """Return a world with a Rollout that is up, and its two Services."""
    world = RolloutWorld()
    for name in ("active", "preview"):
        world.service(name)
    await world.start({"blueGreen": {"activeService": "active", "previewService": "preview", **fields}})
    return world


def selected(world: RolloutWorld) -> tuple[str, str]:
    return world.selected("active"), world.selected("preview")


async def test_the_first_version_becomes_active() -> None:
    world = await started()
    status = world.status
    assert (world.phase, world.sizes(), selected(world)) == (HEALTHY, {"m:1": (4, 4)}, ("m:1", "m:1"))
    pod_hash = status["currentPodHash"]
    assert status["blueGreen"] == {"activeSelector": pod_hash, "previewSelector": pod_hash}
    assert (status["stableRS"], status["selector"]) == (pod_hash, f"app=m,rollouts-pod-template-hash={pod_hash}")
    assert "currentStepIndex" not in status


async def test_an_update_waits_as_preview_until_it_is_promoted() -> None:
    world = await started(autoPromotionEnabled=False)
    await world.update("m:2", 300)
    assert (world.phase, selected(world)) == (PAUSED, ("m:1", "m:2"))
    assert world.sizes() == {"m:1": (4, 4), "m:2": (4, 4)}
    status = world.status
    assert (status["replicas"], status["updatedReplicas"], status["HPAReplicas"]) == (8, 4, 4)
    await world.set_status(1, pauseConditions=None)
    assert (world.phase, selected(world)) == (HEALTHY, ("m:2", "m:2"))
    assert world.sizes() == {"m:1": (4, 4), "m:2": (4, 4)}
    await world.run(40)
    assert world.sizes() == {"m:2": (4, 4)}
    switched = [message for message in world.events("SwitchService") if "'active'" in message]
    assert len(switched) == 2


async def test_by_default_an_update_becomes_active_once_it_is_whole() -> None:
    world = await started()
    await world.update("m:2", 1)
    assert selected(world) == ("m:1", "m:2")
    await world.run(3)
    assert (world.phase, selected(world)) == (HEALTHY, ("m:2", "m:2"))


async def test_a_promotion_may_come_by_itself_after_a_while() -> None:
    world = await started(autoPromotionSeconds=60)
    await world.update("m:2", 50)
    assert (world.phase, selected(world)) == (PAUSED, ("m:1", "m:2"))
    await world.run(20)
    assert (world.phase, selected(world)) == (HEALTHY, ("m:2", "m:2"))


async def test_going_back_while_the_old_pods_are_up_takes_no_pause() -> None:
    world = await started(autoPromotionEnabled=False)
    await world.update("m:2", 5)
    await world.set_status(5, pauseConditions=None)
    await world.update("m:1", 2)
    assert (world.phase, selected(world)) == (HEALTHY, ("m:1", "m:1"))
    await world.run(40)
    await world.update("m:2", 10)
    assert world.phase == PAUSED  # too late: its pods had gone


async def test_an_abort_leaves_the_traffic_where_it_is() -> None:
    world = await started(autoPromotionEnabled=False)
    await world.update("m:2", 5)
    await world.set_status(1, abort=True)
    assert world.phase == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")
    assert world.selected("active") == "m:1"
    await world.run(40)
    assert world.sizes() == {"m:1": (4, 4)}
    await world.set_status(10, abort=False)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (4, 4), "m:2": (4, 4)})


async def test_a_full_promotion_skips_the_pause() -> None:
    world = await started(autoPromotionEnabled=False)
    await world.update("m:2", 1)
    await world.set_status(5, promoteFull=True)
    assert (world.phase, selected(world)) == (HEALTHY, ("m:2", "m:2"))


async def test_what_does_not_start_never_becomes_active() -> None:
    world = await started()
    world.cluster.behaviours.append(ImageBehaviour("*:bad", start_seconds=1.0, crash=True))
    await world.update("m:bad", 700)
    phase, message = world.phase
    assert (phase, message.partition(":")[0]) == ("Degraded", "ProgressDeadlineExceeded")
    assert world.selected("active") == "m:1"
    assert world.conditions()["Available"] == ("True", "AvailableReason")


async def test_the_size_follows_the_spec_on_both_sides() -> None:
    world = await started(autoPromotionEnabled=False)
    await world.update("m:2", 5)
    world.cluster.patch("Rollout", "ml", "m", {"spec": {"replicas": 2}})
    await world.run(10)
    assert (world.phase, world.sizes()) == (PAUSED, {"m:1": (2, 2), "m:2": (2, 2)})
    version = world.cluster.store.version
    await world.run(3700)
    assert (world.cluster.store.version, world.cluster.reconcile()) == (version, None)
