"""Deletion: what waits for it, what goes along, and what is let go."""

from typing import Any

import pytest

from tests.contract.kubernetes_server.harness import Api, deployment

HOLD = "example.com/hold"


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    """Return a pod that a kubelet has not heard of: on the real server there is none, here it starts in an hour."""
    spec = {"containers": [{"name": "main", "image": "slow:1"}], "nodeName": "elsewhere"}
    return {"metadata": {"name": name, **metadata}, "spec": spec}


async def gone(api: Api, path: str) -> None:
    """Wait until there is no such object."""

    async def absent() -> bool:
        return (await api.admin.get(path)).status_code == 404

    await api.until(absent)


async def running(api: Api, count: int) -> None:
    """Wait for pods."""

    async def there() -> bool:
        return len(await api.names(api.pods, fieldSelector="status.phase=Running")) == count

    await api.until(there)


async def test_a_finalizer_keeps_an_object_until_it_is_removed(api: Api) -> None:
    manifest = deployment("fraud", replicas=0)
    manifest["metadata"]["finalizers"] = [HOLD]
    await api.create(manifest)
    path = f"{api.deployments}/fraud"
    answer = (await api.admin.delete(path)).json()
    assert (answer["kind"], answer["metadata"]["finalizers"]) == ("Deployment", [HOLD])
    assert (answer["metadata"]["deletionGracePeriodSeconds"], answer["metadata"]["generation"]) == (0, 2)
    again = (await api.admin.delete(path)).json()
    assert again["metadata"]["deletionTimestamp"] == answer["metadata"]["deletionTimestamp"]
    more = await api.patch(path, {"metadata": {"finalizers": [HOLD, "example.com/other"]}})
    assert (more.status_code, more.json()["details"]["causes"][0]) == (
        422,
        {
            "reason": "FieldValueForbidden",
            "message": "Forbidden: no new finalizers can be added if the object is being deleted, found new "
            'finalizers []string{"example.com/other"}',
            "field": "metadata.finalizers",
        },
    )
    freed = await api.patch(path, {"metadata": {"finalizers": None}})
    assert (freed.status_code, "finalizers" in freed.json()["metadata"]) == (200, False)
    assert (await api.admin.get(path)).status_code == 404


async def test_finalizers_have_qualified_names(api: Api) -> None:
    manifest = deployment("fraud")
    manifest["metadata"]["finalizers"] = ["hold"]
    refused = await api.admin.post(api.deployments, json=manifest)
    assert (refused.status_code, refused.json()["message"]) == (
        422,
        'Deployment.apps "fraud" is invalid: metadata.finalizers[0]: Invalid value: "hold": name is neither a standard '
        "finalizer name nor is it fully qualified",
    )


async def test_in_the_foreground_dependents_go_first(live: Api) -> None:
    await live.create(deployment("fraud", replicas=2))
    await running(live, 2)
    (name,) = await live.names(live.replica_sets)
    await live.patch(f"{live.replica_sets}/{name}", {"metadata": {"finalizers": [HOLD]}})
    path = f"{live.deployments}/fraud"
    answer = (await live.admin.delete(path, params={"propagationPolicy": "Foreground"})).json()
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]

    async def held() -> bool:
        found = await live.get(f"{live.replica_sets}/{name}")
        return not await live.names(live.pods) and found["metadata"].get("finalizers") == [HOLD]

    await live.until(held)
    assert (await live.get(path))["metadata"]["deletionTimestamp"]
    await live.patch(f"{live.replica_sets}/{name}", {"metadata": {"finalizers": None}})
    await gone(live, path)


async def test_orphans_stay(live: Api) -> None:
    await live.create(deployment("fraud", replicas=1))
    await running(live, 1)
    path = f"{live.deployments}/fraud"
    answer = (await live.admin.delete(path, params={"propagationPolicy": "Orphan"})).json()
    assert answer["metadata"]["finalizers"] == ["orphan"]
    await gone(live, path)
    (left,) = (await live.get(live.replica_sets))["items"]
    assert "ownerReferences" not in left["metadata"]
    assert len(await live.names(live.pods)) == 1


async def test_a_pod_on_a_node_gets_its_time(api: Api) -> None:
    assert (await api.admin.post(api.pods, json=pod("alone", finalizers=[HOLD]))).status_code == 201
    path = f"{api.pods}/alone"

    async def left(**query: str) -> int:
        answer = await api.admin.delete(path, params=query)
        seconds: int = answer.json()["metadata"]["deletionGracePeriodSeconds"]
        return seconds

    assert await left(dryRun="All") == 30
    assert "deletionTimestamp" not in (await api.get(path))["metadata"]
    assert await left() == 30
    assert await left(gracePeriodSeconds="5") == 5
    assert await left(gracePeriodSeconds="60") == 5
    assert await left(gracePeriodSeconds="0") == 0
    await api.patch(path, {"metadata": {"finalizers": None}})
    await gone(api, path)


async def test_a_pod_may_go_at_once(api: Api) -> None:
    await api.admin.post(api.pods, json=pod("alone"))
    answer = await api.admin.delete(f"{api.pods}/alone", params={"gracePeriodSeconds": "0"})
    assert (answer.status_code, answer.json()["kind"]) == (200, "Pod")
    assert (await api.admin.get(f"{api.pods}/alone")).status_code == 404


@pytest.mark.parametrize(
    ("precondition", "reason"),
    [
        ("uid", "the UID in the precondition (1) does not match the UID in record ({uid}). The object might have been "
         "deleted and then recreated"),
        ("resourceVersion", "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
         "({version}). The object might have been modified"),
    ],
)  # fmt: skip
async def test_a_deletion_may_have_preconditions(api: Api, precondition: str, reason: str) -> None:
    await api.create(deployment("fraud", replicas=0, paused=True))
    path = f"{api.deployments}/fraud"

    async def observed() -> bool:
        return bool((await api.get(path))["status"].get("observedGeneration") == 1)

    await api.until(observed)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {precondition: "1"}}
    refused = await api.admin.request("DELETE", path, json=options)
    metadata = (await api.get(path))["metadata"]
    expected = reason.format(uid=metadata["uid"], version=metadata["resourceVersion"])
    assert (refused.status_code, refused.json()["message"]) == (
        409,
        f'Operation cannot be fulfilled on Deployment.apps "fraud": {expected}',
    )
    options["preconditions"] = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    assert (await api.admin.request("DELETE", path, json=options)).status_code == 200
    assert (await api.admin.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"propagationPolicy": "Sideways"}, 'propagationPolicy: Unsupported value: "Sideways": supported values: '
         '"Foreground", "Background", "Orphan", "nil"'),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 'propagationPolicy: Invalid value: "Orphan": '
         "orphanDependents and deletionPropagation cannot be both set"),
        ({"dryRun": ["Some"]}, 'dryRun: Unsupported value: []string{"Some"}: supported values: "All"'),
    ],
)  # fmt: skip
async def test_options_that_there_are_not(api: Api, options: dict[str, Any], message: str) -> None:
    await api.create(deployment("fraud", replicas=0))
    body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
    refused = await api.admin.request("DELETE", f"{api.deployments}/fraud", json=body)
    assert (refused.status_code, refused.json()["message"]) == (
        422,
        f'DeleteOptions.meta.k8s.io "" is invalid: {message}',
    )
    assert await api.names(api.deployments) == ["fraud"]


async def test_a_namespace_waits_for_what_is_in_it_and_takes_nothing_new(api: Api) -> None:
    manifest = deployment("fraud", replicas=0)
    manifest["metadata"]["finalizers"] = [HOLD]
    namespace = f"{api.namespace}-more"
    assert (await api.admin.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})).status_code == 201
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert (await api.admin.post(path, json=manifest)).status_code == 201
    assert (await api.admin.delete(f"/api/v1/namespaces/{namespace}")).json()["status"]["phase"] == "Terminating"
    refused = await api.admin.post(path, json=deployment("late"))
    assert (refused.status_code, refused.json()["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")

    async def held() -> bool:
        return "deletionTimestamp" in (await api.get(f"{path}/fraud"))["metadata"]

    await api.until(held)
    assert (await api.admin.get(f"/api/v1/namespaces/{namespace}")).status_code == 200
    await api.patch(f"{path}/fraud", {"metadata": {"finalizers": None}})
    await gone(api, f"{path}/fraud")
