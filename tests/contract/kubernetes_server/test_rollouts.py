"""The same rollout, step by step, leads to the same states on every server."""

from dataclasses import dataclass
from typing import Any

from tests.contract.kubernetes_server.harness import Api, deployment

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"


@dataclass(frozen=True)
class State:
    """What clients can tell of a rollout.

    Attributes:
        counts: Replicas wanted, total, updated, ready, available, unavailable.
        sets: For each image the size of its ReplicaSet, its revision and the revisions that it had before.
    """

    counts: tuple[int, ...]
    conditions: dict[str, tuple[str, str]]
    revision: str
    sets: dict[str, tuple[int, str, str]]


AVAILABLE = {"Available": ("True", "MinimumReplicasAvailable")}
DONE = {**AVAILABLE, "Progressing": ("True", "NewReplicaSetAvailable")}
OVERDUE = {**AVAILABLE, "Progressing": ("False", "ProgressDeadlineExceeded")}
MOVING = {**AVAILABLE, "Progressing": ("True", "ReplicaSetUpdated")}


async def state_of(api: Api, name: str) -> State | None:
    """Return a Deployment's state, `None` while its newest spec has not been seen."""
    found = await api.get(f"{api.deployments}/{name}")
    status = found["status"]
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        return None
    fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
    sets = (await api.get(api.replica_sets, labelSelector=f"app={name}"))["items"]
    return State(
        counts=(found["spec"]["replicas"], *(status.get(field, 0) for field in fields)),
        conditions={each["type"]: (each["status"], each["reason"]) for each in status.get("conditions", ())},
        revision=found["metadata"].get("annotations", {}).get(REVISION, ""),
        sets={_image(each): (each["spec"]["replicas"], *_revisions(each)) for each in sets},
    )


def _image(replica_set: dict[str, Any]) -> str:
    image: str = replica_set["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _revisions(replica_set: dict[str, Any]) -> tuple[str, str]:
    annotations = replica_set["metadata"]["annotations"]
    return annotations[REVISION], annotations.get(HISTORY, "")


async def reaches(api: Api, name: str, expected: State) -> None:
    """Wait for a state; say which one there was instead."""
    seen: list[State | None] = [None]

    async def holds() -> bool:
        seen[0] = await state_of(api, name)
        return seen[0] == expected

    try:
        await api.until(holds)
    except TimeoutError:
        assert seen[0] == expected


async def set_image(api: Api, name: str, image: str) -> None:
    """Do what `kubectl set image` does."""
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
    answer = await api.patch(f"{api.deployments}/{name}", patch, "strategic-merge-patch")
    assert answer.status_code == 200, answer.text


async def undo(api: Api, name: str, image: str) -> None:
    """Do what `kubectl rollout undo` does: the template of an earlier ReplicaSet, without its hash."""
    sets = (await api.get(api.replica_sets, labelSelector=f"app={name}"))["items"]
    template = next(each for each in sets if _image(each) == image)["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    operations = [{"op": "replace", "path": "/spec/template", "value": template}]
    answer = await api.patch(f"{api.deployments}/{name}", operations, "json-patch")
    assert answer.status_code == 200, answer.text


async def scale(api: Api, name: str, replicas: int) -> None:
    """Do what `kubectl scale` does."""
    answer = await api.patch(f"{api.deployments}/{name}/scale", {"spec": {"replicas": replicas}})
    assert answer.status_code == 200, answer.text


async def test_create_roll_fail_undo_scale(live: Api) -> None:
    await live.create(deployment("m", image="m:1", replicas=4, progressDeadlineSeconds=2))
    await reaches(live, "m", State((4, 4, 4, 4, 4, 0), DONE, "1", {"m:1": (4, "1", "")}))
    await set_image(live, "m", "m:2")
    await reaches(live, "m", State((4, 4, 4, 4, 4, 0), DONE, "2", {"m:1": (0, "1", ""), "m:2": (4, "2", "")}))
    await set_image(live, "m", "m:bad")
    stuck = {"m:1": (0, "1", ""), "m:2": (3, "2", ""), "m:bad": (2, "3", "")}
    await reaches(live, "m", State((4, 5, 2, 3, 3, 2), MOVING, "3", stuck))
    await reaches(live, "m", State((4, 5, 2, 3, 3, 2), OVERDUE, "3", stuck))
    await undo(live, "m", "m:2")
    mended = {"m:1": (0, "1", ""), "m:2": (4, "4", "2"), "m:bad": (0, "3", "")}
    await reaches(live, "m", State((4, 4, 4, 4, 4, 0), DONE, "4", mended))
    await scale(live, "m", 6)
    await reaches(live, "m", State((6, 6, 6, 6, 6, 0), DONE, "4", {**mended, "m:2": (6, "4", "2")}))
    await scale(live, "m", 1)
    await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, "4", {**mended, "m:2": (1, "4", "2")}))
    await undo(live, "m", "m:1")
    earlier = {"m:1": (1, "5", "1"), "m:2": (0, "4", "2"), "m:bad": (0, "3", "")}
    await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, "5", earlier))


async def test_a_pod_that_cannot_pull_its_image_says_so(live: Api) -> None:
    await live.create(deployment("m", image="m:bad", replicas=1))

    async def backs_off() -> bool:
        pods = (await live.get(live.pods, labelSelector="app=m"))["items"]
        statuses = [each for pod in pods for each in pod["status"].get("containerStatuses", ())]
        return [each["state"].get("waiting", {}).get("reason") for each in statuses] == ["ImagePullBackOff"]

    await live.until(backs_off)


async def test_scaling_a_stuck_rollout_is_proportional(live: Api) -> None:
    await live.create(deployment("m", image="m:1", replicas=8))
    await reaches(live, "m", State((8, 8, 8, 8, 8, 0), DONE, "1", {"m:1": (8, "1", "")}))
    await set_image(live, "m", "m:slow")
    await reaches(live, "m", State((8, 10, 4, 6, 6, 4), MOVING, "2", {"m:1": (6, "1", ""), "m:slow": (4, "2", "")}))
    await scale(live, "m", 16)

    async def grown() -> bool:
        state = await state_of(live, "m")
        return state is not None and state.counts == (16, 20, 8, 12, 12, 8)

    await live.until(grown)
    state = await state_of(live, "m")
    assert state is not None
    assert state.sets == {"m:1": (12, "1", ""), "m:slow": (8, "2", "")}


async def test_a_paused_rollout_waits_and_resumes(live: Api) -> None:
    await live.create(deployment("m", image="m:1", replicas=1))
    await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, "1", {"m:1": (1, "1", "")}))
    await live.patch(f"{live.deployments}/m", {"spec": {"paused": True}})
    await set_image(live, "m", "m:2")
    paused = {**AVAILABLE, "Progressing": ("Unknown", "DeploymentPaused")}
    await reaches(live, "m", State((1, 1, 0, 1, 1, 0), paused, "1", {"m:1": (1, "1", "")}))
    await live.patch(f"{live.deployments}/m", {"spec": {"paused": False}})
    await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, "2", {"m:1": (0, "1", ""), "m:2": (1, "2", "")}))


async def test_recreate_ends_the_old_pods_first(live: Api) -> None:
    await live.create(deployment("m", image="m:1", replicas=2, strategy={"type": "Recreate"}))
    await reaches(live, "m", State((2, 2, 2, 2, 2, 0), DONE, "1", {"m:1": (2, "1", "")}))
    await set_image(live, "m", "m:2")
    await reaches(live, "m", State((2, 2, 2, 2, 2, 0), DONE, "2", {"m:1": (0, "1", ""), "m:2": (2, "2", "")}))


async def test_old_revisions_beyond_the_limit_go(live: Api) -> None:
    await live.create(deployment("m", image="m:1", replicas=1, revisionHistoryLimit=1))
    for revision in (2, 3):
        await set_image(live, "m", f"m:{revision}")
        before = {f"m:{revision - 1}": (0, str(revision - 1), ""), f"m:{revision}": (1, str(revision), "")}
        await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, str(revision), before))


async def test_change_cause_belongs_to_the_revision(live: Api) -> None:
    manifest = deployment("m", image="m:1", replicas=1)
    manifest["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first", "kubectl.kubernetes.io/other": "x"}
    await live.create(manifest)
    await reaches(live, "m", State((1, 1, 1, 1, 1, 0), DONE, "1", {"m:1": (1, "1", "")}))
    (owned,) = (await live.get(live.replica_sets))["items"]
    assert owned["metadata"]["annotations"]["kubernetes.io/change-cause"] == "first"
    assert owned["metadata"]["ownerReferences"][0]["name"] == "m"
    hash_label = owned["metadata"]["labels"]["pod-template-hash"]
    assert owned["metadata"]["name"] == f"m-{hash_label}"
    assert owned["spec"]["selector"]["matchLabels"] == {"app": "m", "pod-template-hash": hash_label}
    pods = (await live.get(live.pods, labelSelector=f"pod-template-hash={hash_label}"))["items"]
    assert [pod["metadata"]["ownerReferences"][0]["name"] for pod in pods] == [f"m-{hash_label}"]
