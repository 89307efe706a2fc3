"""Dry runs: everything is checked and answered as if it were done, and nothing is."""

from typing import Any

import pytest

from tests.contract.kubernetes_server.harness import Api, deployment

DRY = {"dryRun": "All"}


@pytest.fixture
async def path(api: Api) -> str:
    """A Deployment that nobody touches any more."""
    await api.create(deployment("fraud", replicas=0, paused=True))
    path = f"{api.deployments}/fraud"

    async def observed() -> bool:
        return bool((await api.get(path))["status"].get("observedGeneration") == 1)

    await api.until(observed)
    return path


async def test_creating(api: Api) -> None:
    answer = await api.admin.post(api.deployments, json=deployment("dry", replicas=3), params=DRY)
    metadata = answer.json()["metadata"]
    assert (answer.status_code, bool(metadata["uid"]), metadata["generation"]) == (201, True, 1)
    assert "resourceVersion" not in metadata
    assert await api.names(api.deployments) == []
    refused = await api.admin.post(api.deployments, json=deployment("dry", replicas=-1), params=DRY)
    assert refused.status_code == 422
    await api.create(deployment("dry", replicas=0))
    taken = await api.admin.post(api.deployments, json=deployment("dry"), params=DRY)
    assert (taken.status_code, taken.json()["reason"]) == (409, "AlreadyExists")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("merge-patch", {"spec": {"replicas": 3}}),
        ("strategic-merge-patch", {"spec": {"replicas": 3}}),
        ("json-patch", [{"op": "replace", "path": "/spec/replicas", "value": 3}]),
        ("put", None),
    ],
)
async def test_changing(api: Api, path: str, kind: str, change: Any) -> None:
    before = await api.get(path)
    if kind == "put":
        body = {**before, "spec": {**before["spec"], "replicas": 3}}
        answer = (await api.admin.put(path, json=body, params=DRY)).json()
    else:
        answer = (await api.patch(path, change, kind, **DRY)).json()
    assert (answer["spec"]["replicas"], answer["metadata"]["generation"]) == (3, 2)
    assert answer["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await api.get(path) == before


async def test_scaling_and_status(api: Api, path: str) -> None:
    before = await api.get(path)
    scaled = (await api.patch(f"{path}/scale", {"spec": {"replicas": 4}}, **DRY)).json()
    assert (scaled["spec"], scaled["status"]["replicas"]) == ({"replicas": 4}, 0)
    body = {"metadata": {"name": "fraud", "namespace": api.namespace}, "spec": {"replicas": 5}}
    assert (await api.admin.put(f"{path}/scale", json=body, params=DRY)).json()["spec"] == {"replicas": 5}
    status = (await api.patch(f"{path}/status", {"status": {"replicas": 7}}, **DRY)).json()
    assert status["status"]["replicas"] == 7
    assert await api.get(path) == before


async def test_refusals_are_the_same(api: Api, path: str) -> None:
    assert (await api.patch(path, {"spec": {"replicas": -1}}, **DRY)).status_code == 422
    assert (await api.patch(path, {"metadata": {"resourceVersion": "1"}}, **DRY)).status_code == 409
    assert (await api.patch(f"{path}-not", {}, **DRY)).status_code == 404
    assert (await api.oncall.delete(path, params=DRY)).status_code == 403


async def test_deleting(api: Api, path: str) -> None:
    before = await api.get(path)
    answer = (await api.admin.delete(path, params=DRY)).json()
    assert (answer["status"], answer["details"]["uid"]) == ("Success", before["metadata"]["uid"])
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}
    assert (await api.admin.request("DELETE", path, json=options)).status_code == 200
    everything = (await api.admin.delete(api.deployments, params=DRY)).json()
    assert [each["metadata"]["name"] for each in everything["items"]] == ["fraud"]
    foreground = await api.admin.delete(path, params={**DRY, "propagationPolicy": "Foreground"})
    assert foreground.json()["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert await api.get(path) == before


async def test_only_all_is_known(api: Api, path: str) -> None:
    manifest, query = deployment("dry"), {"dryRun": "Some"}
    for kind, answer in {
        "CreateOptions": await api.admin.post(api.deployments, json=manifest, params=query),
        "UpdateOptions": await api.admin.put(path, json=manifest, params=query),
        "PatchOptions": await api.patch(path, {}, **query),
        "DeleteOptions": await api.admin.delete(path, params=query),
    }.items():
        message = (
            f'{kind}.meta.k8s.io "" is invalid: dryRun: Unsupported value: []string{{"Some"}}: supported values: "All"'
        )
        assert (answer.status_code, answer.json()["message"]) == (422, message)
