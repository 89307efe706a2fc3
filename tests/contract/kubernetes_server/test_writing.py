"""Creation, replacement, the three kinds of patches, scale, status, conflicts, deletion."""

from typing import Any

from tests.contract.kubernetes_server.harness import Api, deployment

CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


async def test_creation_fills_in_the_defaults(api: Api) -> None:
    created = await api.create(deployment("fraud", image="fraud:1", replicas=0))
    assert created["metadata"]["generation"] == 1
    assert created["metadata"]["uid"]
    spec = created["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (600, 10)
    assert spec["template"]["spec"] == {
        "containers": [
            {
                "name": "main",
                "image": "fraud:1",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }


async def test_what_creation_refuses(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))

    async def refused(manifest: Any, path: str = "") -> tuple[int, str]:
        answer = await api.admin.post(path or api.deployments, json=manifest)
        return answer.status_code, answer.json()["message"]

    assert await refused(deployment("fraud")) == (409, 'deployments.apps "fraud" already exists')
    mismatch = deployment("bad") | {"metadata": {"name": "bad", "namespace": "other"}}
    code, message = await refused(mismatch)
    assert (code, message) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    unlabelled = deployment("bad")
    unlabelled["spec"]["template"]["metadata"]["labels"] = {"a": "b"}
    expected = (
        'Deployment.apps "bad" is invalid: spec.template.metadata.labels: Invalid value: '
        'map[string]string{"a":"b"}: `selector` does not match template `labels`'
    )
    assert await refused(unlabelled) == (422, expected)
    answer = await api.admin.post(api.deployments, json={"metadata": {"name": "Bad_"}, "spec": {}})
    fields = [cause["field"] for cause in answer.json()["details"]["causes"]]
    assert fields == [
        "metadata.name",
        "spec.selector",
        "spec.template.metadata.labels",
        "spec.template.spec.containers",
    ]
    nowhere = "/api/v1/namespaces/nowhere/services"
    manifest = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    assert await refused(manifest, nowhere) == (404, 'namespaces "nowhere" not found')
    broken = await api.admin.post(api.deployments, content="{bad", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["reason"]) == (400, "BadRequest")


async def test_a_merge_patch_replaces_lists_and_deletes_with_null(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"
    patch = {"metadata": {"labels": {"app": None, "team": "risk"}}, "spec": {"minReadySeconds": 3}}
    patched = (await api.patch(path, patch)).json()
    assert patched["metadata"]["labels"] == {"team": "risk"}
    assert (patched["spec"]["minReadySeconds"], patched["metadata"]["generation"]) == (3, 2)
    nameless = {"spec": {"template": {"spec": {"containers": [{"name": "other"}]}}}}
    refused = await api.patch(path, nameless)
    assert refused.status_code == 422
    assert refused.json()["details"]["causes"][0]["field"] == "spec.template.spec.containers[0].image"


async def test_a_strategic_patch_merges_containers_by_name(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"

    async def containers(patch: list[dict[str, Any]], **extra: Any) -> list[tuple[str, str]]:
        body = {"spec": {"template": {"spec": {"containers": patch, **extra}}}}
        answer = await api.patch(path, body, "strategic-merge-patch")
        assert answer.status_code == 200, answer.text
        return [(found["name"], found["image"]) for found in answer.json()["spec"]["template"]["spec"]["containers"]]

    assert await containers([{"name": "main", "image": "model:2"}]) == [("main", "model:2")]
    side = {"name": "side", "image": "proxy:1"}
    assert await containers([side]) == [("side", "proxy:1"), ("main", "model:2")]
    ordered = {"$setElementOrder/containers": [{"name": "main"}, {"name": "side"}]}
    assert await containers([{"name": "main", "image": "model:3"}], **ordered) == [
        ("main", "model:3"),
        ("side", "proxy:1"),
    ]
    assert await containers([{"name": "side", "$patch": "delete"}]) == [("main", "model:3")]


async def test_a_json_patch_tests_and_changes(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 0},
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}},
        {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "2"},
        {"op": "remove", "path": "/metadata/labels/app"},
    ]
    patched = (await api.patch(path, operations, "json-patch")).json()
    assert patched["metadata"]["annotations"]["a/b"] == "2"
    assert "labels" not in patched["metadata"]
    for operation in (
        {"op": "test", "path": "/spec/replicas", "value": 9},
        {"op": "replace", "path": "/spec/nope/x", "value": 9},
    ):
        refused = await api.patch(path, [operation], "json-patch")
        assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")


async def test_a_patch_has_to_say_its_kind(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    refused = await api.admin.patch(f"{api.deployments}/fraud", json={})
    assert (refused.status_code, refused.json()["reason"]) == (415, "UnsupportedMediaType")


async def test_a_write_on_an_old_version_conflicts(api: Api) -> None:
    old = await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}
    identity = {"name": "fraud", "namespace": api.namespace}
    for answer in (
        await api.patch(path, stale),
        await api.admin.put(path, json={**old, "metadata": {**old["metadata"], "resourceVersion": "1"}}),
        await api.admin.put(f"{path}/scale", json={"metadata": {**identity, "resourceVersion": "1"}}),
    ):
        message = f'Operation cannot be fulfilled on deployments.apps "fraud": {CONFLICT}'
        assert (answer.status_code, answer.json()["message"]) == (409, message)
        assert answer.json()["reason"] == "Conflict"


async def test_a_replacement_keeps_what_is_not_the_clients(live: Api) -> None:
    await live.create(deployment("fraud", replicas=1))

    async def observed() -> bool:
        return bool((await live.get(f"{live.deployments}/fraud"))["status"].get("availableReplicas"))

    await live.until(observed)
    before = await live.get(f"{live.deployments}/fraud")
    replacement = deployment("fraud", replicas=1)
    replacement["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1", "note": "x"}
    answer = await live.admin.put(f"{live.deployments}/fraud", json={**replacement, "status": {"replicas": 9}})
    after = answer.json()
    assert after["status"] == before["status"]
    assert (after["metadata"]["uid"], after["metadata"]["creationTimestamp"]) == (
        before["metadata"]["uid"],
        before["metadata"]["creationTimestamp"],
    )
    assert after["metadata"]["generation"] == 2  # annotations count for Deployments
    other = await live.admin.put(f"{live.deployments}/fraud", json={"metadata": {"name": "x"}})
    assert other.json()["message"] == "the name of the object (x) does not match the name on the URL (fraud)"


async def test_a_write_that_changes_nothing_makes_no_version(api: Api) -> None:
    await api.create(deployment("still", replicas=0, paused=True))

    async def observed() -> bool:
        return bool((await api.get(f"{api.deployments}/still"))["status"].get("observedGeneration") == 1)

    await api.until(observed)
    patch = {"spec": {"replicas": 0}}
    versions = {
        (await api.patch(f"{api.deployments}/still", patch)).json()["metadata"]["resourceVersion"] for _ in "ab"
    }
    assert versions == {(await api.get(f"{api.deployments}/still"))["metadata"]["resourceVersion"]}


async def test_scale(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud/scale"
    scale = await api.get(path)
    assert scale["spec"] == {}
    assert scale["status"]["selector"] == "app=fraud"
    assert (await api.patch(path, {"spec": {"replicas": 3}})).json()["spec"] == {"replicas": 3}
    assert (await api.get(f"{api.deployments}/fraud"))["spec"]["replicas"] == 3
    body = {"metadata": {"name": "fraud", "namespace": api.namespace}, "spec": {"replicas": 1}}
    assert (await api.admin.put(path, json=body)).json()["spec"] == {"replicas": 1}
    refused = await api.admin.put(path, json={**body, "spec": {"replicas": -2}})
    message = (
        'Scale.autoscaling "fraud" is invalid: spec.replicas: Invalid value: -2: must be greater than or equal to 0'
    )
    assert (refused.status_code, refused.json()["message"]) == (422, message)


async def test_the_status_is_written_apart_from_the_spec(api: Api) -> None:
    manifest = {"metadata": {"name": "alone"}, "spec": {"containers": [{"name": "main", "image": "slow:1"}]}}
    assert (await api.admin.post(api.pods, json=manifest)).status_code == 201
    patch = {"spec": {"nodeName": "elsewhere"}, "status": {"reason": "Evicted"}}
    patched = (await api.patch(f"{api.pods}/alone/status", patch)).json()
    assert patched["status"]["reason"] == "Evicted"
    assert patched["spec"].get("nodeName") != "elsewhere"


async def test_the_selector_cannot_change(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    answer = await api.patch(f"{api.deployments}/fraud", {"spec": {"selector": {"matchLabels": {"app": "x"}}}})
    assert answer.status_code == 422
    assert answer.json()["message"].endswith("field is immutable]")


async def test_leases_need_a_version_to_be_replaced(api: Api) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{api.namespace}/leases"
    lease = {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "ada", "leaseDurationSeconds": 15}}
    created = (await api.admin.post(path, json=lease)).json()
    assert created["spec"] == lease["spec"]
    assert (await api.admin.put(f"{path}/lock", json=lease)).status_code == 422
    taken = {**created, "spec": {**created["spec"], "holderIdentity": "bob"}}
    assert (await api.admin.put(f"{path}/lock", json=taken)).status_code == 200
    assert (await api.admin.put(f"{path}/lock", json=taken)).status_code == 409


async def test_services_get_an_address(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/services"
    manifest = {"metadata": {"name": "s"}, "spec": {"selector": {"version": "blue"}, "ports": [{"port": 80}]}}
    created = (await api.admin.post(path, json=manifest)).json()
    assert created["spec"]["clusterIP"].startswith("10.")
    assert created["spec"]["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    patched = await api.patch(f"{path}/s", {"spec": {"selector": {"version": "green"}}}, "strategic-merge-patch")
    assert patched.json()["spec"]["selector"] == {"version": "green"}


async def test_deletion_takes_what_is_owned_along(live: Api) -> None:
    created = await live.create(deployment("fraud", replicas=2))

    async def running() -> bool:
        return len(await live.names(live.pods, fieldSelector="status.phase=Running")) == 2

    await live.until(running)
    answer = (await live.admin.delete(f"{live.deployments}/fraud")).json()
    assert (answer["status"], answer["details"]["uid"]) == ("Success", created["metadata"]["uid"])

    async def gone() -> bool:
        return not (await live.names(live.replica_sets) or await live.names(live.pods))

    await live.until(gone)


async def test_fields_that_there_are_not_are_dropped(api: Api) -> None:
    misspelt = deployment("fraud", replicas=0, foo={"deep": 1})
    misspelt["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    created = await api.create(misspelt)
    assert created["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    replaced = await api.admin.put(f"{api.deployments}/fraud", json=misspelt)
    assert replaced.status_code == 200
    for kind in ("merge-patch", "strategic-merge-patch"):
        patched = await api.patch(f"{api.deployments}/fraud", {"spec": {"foo": 1}, "bar": 2}, kind)
        assert patched.status_code == 200
    found = await api.get(f"{api.deployments}/fraud")
    assert "foo" not in found["spec"]
    assert "bar" not in found
    assert "imagePullpolicy" not in found["spec"]["template"]["spec"]["containers"][0]
