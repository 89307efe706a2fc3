"""Rollouts, step by step, on a clock that is moved by hand."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from mlops_tui.demo.kubernetes import ApiError, Cluster, ImageBehaviour
from mlops_tui.demo.kubernetes.controllers.queue import WorkQueue
from mlops_tui.demo.kubernetes.controllers.rolling import bounds
from tests.support.clock import ManualClock, settle
from tests.unit.demo_kubernetes.worlds import World, image_patch, manifest


def counts(world: World) -> tuple[int, ...]:
    status = world.deployment()["status"]
    return tuple(status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas"))


def waiting(world: World) -> list[str]:
    states = [pod["status"]["containerStatuses"][0]["state"] for pod in world.cluster.objects("Pod")]
    return [state["waiting"]["reason"] for state in states if "waiting" in state]


async def test_pods_start_after_their_delay() -> None:
    world = World()
    world.cluster.behaviours.append(ImageBehaviour("m:*", start_seconds=5.0))
    world.cluster.apply(manifest())
    await world.run(4.9)
    assert counts(world) == (2, 2, 0)
    assert waiting(world) == ["ContainerCreating"] * 2
    assert world.condition("Available") == ("False", "MinimumReplicasUnavailable")
    await world.run(0.1)
    assert counts(world) == (2, 2, 2)
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


async def test_a_rollout_stays_within_surge_and_unavailability() -> None:
    world = World()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    world.cluster.apply(manifest(replicas=3, strategy=strategy))
    await world.run(3)
    world.cluster.patch("Deployment", "ml", "m", image_patch("m:2"))
    seen = []
    for _ in range(40):
        await world.run(0.25)
        seen.append(counts(world))
    assert seen[-1] == (3, 3, 3)
    assert max(total for total, _, _ in seen) == 4
    assert min(available for _, _, available in seen) == 3
    assert {updated for _, updated, _ in seen} == {1, 2, 3}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (1, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (3, 0, 0, (0, 1)),
        (2, 0, 5, (0, 2)),
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_surge_rounds_up_and_unavailability_down(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}
    assert bounds(spec) == expected


async def test_an_image_that_cannot_be_pulled_exceeds_the_deadline_and_recovers_once_it_is_there() -> None:
    world = World()
    world.cluster.behaviours.append(ImageBehaviour("*:bad", start_seconds=1.0, pull_error=True))
    world.cluster.apply(manifest(replicas=4, progressDeadlineSeconds=20))
    await world.run(5)
    world.cluster.patch("Deployment", "ml", "m", image_patch("m:bad"))
    await world.run(1)
    assert waiting(world) == ["ErrImagePull"] * 2
    await world.run(3)
    assert waiting(world) == ["ImagePullBackOff"] * 2
    assert counts(world) == (5, 2, 3)
    assert world.condition("Progressing") == ("True", "ReplicaSetUpdated")
    await world.run(20)
    assert world.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert world.condition("Available") == ("True", "MinimumReplicasAvailable")
    world.cluster.behaviours.clear()
    await world.run(60)
    assert counts(world) == (4, 4, 4)
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


async def test_a_crashing_container_backs_off_longer_each_time() -> None:
    world = World()
    world.cluster.behaviours.append(ImageBehaviour("*", start_seconds=1.0, crash=True))
    world.cluster.apply(manifest(replicas=1))

    def restarts() -> int:
        status = world.cluster.objects("Pod")[0]["status"]["containerStatuses"][0]
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert status["lastState"]["terminated"]["exitCode"] == 1
        return int(status["restartCount"])

    await world.run(1)
    assert restarts() == 0
    await world.run(10)
    assert restarts() == 1
    await world.run(19)
    assert restarts() == 1
    await world.run(1)
    assert restarts() == 2
    assert len(world.events("BackOff")) == 1


async def test_pods_of_a_deployment_that_is_deleted_end_a_moment_later() -> None:
    world = World()
    world.cluster.apply(manifest())
    await world.run(1)  # still starting: the end must not wait for the start, nor be lost with it
    world.cluster.delete("Deployment", "ml", "m")
    world.cluster.reconcile()
    assert world.cluster.objects("ReplicaSet") == []
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.cluster.objects("Pod"))
    await world.run(1.5)
    assert world.cluster.objects("Pod") == []


async def test_a_lost_pod_is_replaced() -> None:
    world = World()
    world.cluster.apply(manifest())
    await world.run(3)
    lost = world.cluster.objects("Pod")[0]["metadata"]["name"]
    world.cluster.delete("Pod", "ml", lost)
    await world.run(4)
    names = [pod["metadata"]["name"] for pod in world.cluster.objects("Pod")]
    assert len(names) == 2
    assert lost not in names


async def test_a_rollback_takes_the_next_revision_and_remembers_its_own() -> None:
    world = World()
    world.cluster.apply(manifest(replicas=1))
    await world.run(3)
    for image in ("m:2", "m:1", "m:2"):
        world.cluster.patch("Deployment", "ml", "m", image_patch(image))
        await world.run(6)
    annotations = [each["metadata"]["annotations"] for each in world.cluster.objects("ReplicaSet")]
    prefix = "deployment.kubernetes.io/revision"
    revisions = {each[prefix]: each.get(f"{prefix}-history") for each in annotations}
    assert revisions == {"3": "1", "4": "2"}
    assert world.deployment()["metadata"]["annotations"][prefix] == "4"


async def test_min_ready_seconds_hold_availability_back() -> None:
    world = World()
    world.cluster.apply(manifest(replicas=1, minReadySeconds=10))
    await world.run(5)
    assert (world.deployment()["status"]["readyReplicas"], counts(world)) == (1, (1, 1, 0))
    await world.run(10)
    assert counts(world) == (1, 1, 1)


async def test_recreate_waits_for_the_last_old_pod() -> None:
    world = World()
    world.cluster.apply(manifest(strategy={"type": "Recreate"}))
    await world.run(3)
    world.cluster.patch("Deployment", "ml", "m", image_patch("m:2"))
    await world.run(0.5)
    assert {pod["spec"]["containers"][0]["image"] for pod in world.cluster.objects("Pod")} == {"m:1"}
    await world.run(5)
    assert {pod["spec"]["containers"][0]["image"] for pod in world.cluster.objects("Pod")} == {"m:2"}
    assert counts(world) == (2, 2, 2)


async def test_same_seed_and_clock_same_world() -> None:
    async def built(seed: int) -> list[Any]:
        world = World(seed=seed)
        world.cluster.apply(manifest(replicas=3))
        await world.run(5)
        kinds = ("Deployment", "ReplicaSet", "Pod", "Event")
        return [world.cluster.objects(kind) for kind in kinds]

    assert await built(1) == await built(1)
    assert await built(1) != await built(2)


async def test_events_are_counted_and_forgotten_after_an_hour() -> None:
    world = World()
    world.cluster.behaviours.append(ImageBehaviour("*", pull_error=True))
    world.cluster.apply(manifest(replicas=1))
    await world.run(60)
    events = [event for event in world.cluster.objects("Event") if event["reason"] == "BackOff"]
    assert [event["count"] > 1 for event in events] == [True]
    assert world.events("ScalingReplicaSet") == [world.events("ScalingReplicaSet")[0]]
    await world.run(3700)
    assert world.events("ScalingReplicaSet") == []


async def test_a_deleted_namespace_takes_everything_along() -> None:
    world = World()
    world.cluster.apply(manifest())
    await world.run(3)
    world.cluster.delete("Namespace", "", "ml")
    await world.run(3)
    assert world.cluster.get("Namespace", "", "ml") is None
    assert [world.cluster.objects(kind, "ml") for kind in ("Deployment", "ReplicaSet", "Pod", "Event")] == [[]] * 4


async def test_apply_merges_and_refuses_what_breaks_a_rule() -> None:
    world = World()
    world.cluster.apply(manifest())
    world.cluster.apply({**manifest(replicas=5), "metadata": {"name": "m", "namespace": "ml", "labels": {"a": "b"}}})
    assert (world.deployment()["spec"]["replicas"], world.deployment()["metadata"]["labels"]) == (5, {"a": "b"})
    with pytest.raises(ApiError, match="must be greater than or equal to 0") as caught:
        world.cluster.apply(manifest(replicas=-1))
    assert caught.value.code == 422
    with pytest.raises(ApiError, match="not found"):
        world.cluster.patch("Deployment", "ml", "nope", {})


async def test_what_is_returned_is_a_copy() -> None:
    world = World()
    world.cluster.apply(manifest())["spec"]["replicas"] = 99
    world.deployment()["spec"]["template"]["spec"]["containers"].clear()
    assert world.deployment()["spec"]["replicas"] == 2
    assert world.deployment()["spec"]["template"]["spec"]["containers"]


async def test_a_world_at_rest_does_nothing() -> None:
    world = World()
    world.cluster.apply(manifest())
    await world.run(700)  # past the progress deadline
    version = world.cluster.store.version
    assert world.cluster.reconcile() is None
    await world.run(10_000)
    assert world.cluster.store.version == version


async def test_run_sleeps_until_something_is_due_or_changes() -> None:
    clock = ManualClock()
    cluster = Cluster(clock)
    task = asyncio.create_task(cluster.run())
    await settle()
    assert clock.waiting == 0
    cluster.apply(manifest())
    await settle()
    assert len(cluster.objects("Pod")) == 2
    await clock.advance(2)
    found = cluster.get("Deployment", "ml", "m")
    assert found is not None
    assert found["status"]["availableReplicas"] == 2
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_a_limit_leaves_the_rest_for_later() -> None:
    cluster = Cluster(ManualClock())
    cluster.apply(manifest())
    assert cluster.reconcile(1) == 0.0
    assert cluster.reconcile() == 2.0


def test_the_queue_does_a_task_once_and_keeps_its_earliest_time() -> None:
    queue = WorkQueue()
    one, two = ("Pod", "ns", "1"), ("Pod", "ns", "2")
    for task in (one, two, one):
        queue.add(task)
    assert [queue.pop(), queue.pop(), queue.pop()] == [one, two, None]
    queue.add_at(9.0, one)
    queue.add_at(5.0, one)
    assert queue.next_due == 5.0
    queue.promote(5.0)
    assert queue.pop() == one
    assert queue.next_due is None
