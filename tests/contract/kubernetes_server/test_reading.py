"""Discovery, lists, selectors, tables, permissions: what clients read."""

import httpx
import pytest

from tests.contract.kubernetes_server.harness import TABLE, Api, deployment

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def test_discovery_names_what_clients_look_up(api: Api) -> None:
    assert (await api.get("/api"))["versions"] == ["v1"]
    groups = {group["name"]: group for group in (await api.get("/apis"))["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert {"authorization.k8s.io", "autoscaling", "coordination.k8s.io"} <= groups.keys()
    assert (await api.get("/apis/apps"))["preferredVersion"]["version"] == "v1"
    types = {entry["name"]: entry for entry in (await api.get("/apis/apps/v1"))["resources"]}
    assert types["deployments"]["shortNames"] == ["deploy"]
    assert {"get", "list", "watch", "patch", "update", "create", "delete"} <= set(types["deployments"]["verbs"])
    assert (types["deployments/scale"]["group"], types["deployments/scale"]["kind"]) == ("autoscaling", "Scale")
    core = {entry["name"]: entry["namespaced"] for entry in (await api.get("/api/v1"))["resources"]}
    assert core["pods"]
    assert not core["namespaces"]
    assert {"pods/log", "events", "services"} <= core.keys()
    reviews = await api.get("/apis/authorization.k8s.io/v1")
    assert "selfsubjectaccessreviews" in [entry["name"] for entry in reviews["resources"]]


async def test_health_and_version_are_answered(api: Api) -> None:
    for path in ("/readyz", "/livez", "/healthz"):
        assert (await api.admin.get(path)).text == "ok"
    assert (await api.get("/version"))["gitVersion"].startswith("v")


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", "{deployments}/nope", 404, 'deployments.apps "nope" not found'),
        ("DELETE", "{deployments}/nope", 404, 'deployments.apps "nope" not found'),
        ("GET", "/apis/apps/v1/namespaces/x/foos", 404, "the server could not find the requested resource"),
        ("GET", "/apis/apps/v2/deployments", 404, "the server could not find the requested resource"),
        ("GET", "/api/v1/pods/x", 404, "the server could not find the requested resource"),
        ("PUT", "{deployments}", 405, "the server does not allow this method on the requested resource"),
        ("GET", "{deployments}?limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "GET",
            "{deployments}?labelSelector=a b c",
            400,
            "unable to parse requirement: found 'b', expected: '=', '!=', '==', 'in', notin'",
        ),
        (
            "GET",
            "{deployments}?labelSelector=a in (b",
            400,
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
        ("GET", "{deployments}?fieldSelector=zz", 400, "invalid selector: 'zz'; can't understand 'zz'"),
        (
            "GET",
            "{deployments}?fieldSelector=spec.foo=1",
            400,
            '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_refusals_are_worded_as_the_real_server_does(
    api: Api, method: str, path: str, code: int, message: str
) -> None:
    answer = await api.admin.request(method, path.format(deployments=api.deployments))
    assert (answer.status_code, answer.json()["message"]) == (code, message)
    assert answer.json()["code"] == code


async def test_a_list_comes_in_pages_that_show_one_moment(api: Api) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await api.create(deployment(name, replicas=0))
    first = await api.get(api.deployments, limit="2")
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.admin.delete(f"{api.deployments}/c")
    second = await api.get(api.deployments, limit="2", **{"continue": first["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    last = await api.get(api.deployments, limit="2", **{"continue": second["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in last["items"]] == ["e"]
    assert "continue" not in last["metadata"]
    assert await api.names(api.deployments) == ["a", "b", "d", "e"]
    broken = await api.admin.get(api.deployments, params={"continue": "xx"})
    assert broken.status_code == 400
    assert broken.json()["message"].startswith("invalid continue token")


async def test_lists_reach_over_namespaces(api: Api) -> None:
    await api.create(deployment("lonely", replicas=0))
    found = await api.get("/apis/apps/v1/deployments", fieldSelector=f"metadata.namespace={api.namespace}")
    assert [item["metadata"]["name"] for item in found["items"]] == ["lonely"]
    assert "kind" not in found["items"][0]
    assert (found["kind"], found["apiVersion"]) == ("DeploymentList", "apps/v1")


async def test_label_selectors(api: Api) -> None:
    for name, tier in (("a", "gold"), ("b", "silver"), ("c", "")):
        manifest = deployment(name, replicas=0)
        manifest["metadata"]["labels"] |= {"tier": tier} if tier else {}
        await api.create(manifest)

    async def selected(selector: str) -> list[str]:
        return await api.names(api.deployments, labelSelector=selector)

    assert await selected("tier=gold") == ["a"]
    assert await selected("tier==gold,app=b") == []
    assert await selected("tier!=gold") == ["b", "c"]
    assert await selected("tier in (gold, silver)") == ["a", "b"]
    assert await selected("tier notin (gold)") == ["b", "c"]
    assert await selected("tier") == ["a", "b"]
    assert await selected("!tier") == ["c"]
    assert await selected("app in (a,c),!tier") == ["c"]


async def test_field_selectors(api: Api) -> None:
    for name in ("a", "b"):
        await api.create(deployment(name, replicas=0))
    assert await api.names(api.deployments, fieldSelector="metadata.name=a") == ["a"]
    assert await api.names(api.deployments, fieldSelector="metadata.name!=a") == ["b"]

    async def events(reason: str) -> list[str]:
        fields = f"involvedObject.kind=Deployment,involvedObject.name=a,reason={reason}"
        return await api.names(f"/api/v1/namespaces/{api.namespace}/events", fieldSelector=fields)

    await api.patch(f"{api.deployments}/a/scale", {"spec": {"replicas": 1}})

    async def scaled() -> bool:
        return len(await events("ScalingReplicaSet")) == 1

    await api.until(scaled)
    assert await events("Other") == []


async def test_tables_have_the_columns_that_kubectl_prints(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    table = (await api.admin.get(api.deployments, headers=TABLE)).json()
    narrow = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    wide = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 1]
    assert (narrow, wide) == (
        ["Name", "Ready", "Up-to-date", "Available", "Age"],
        ["Containers", "Images", "Selector"],
    )
    row = table["rows"][0]
    assert row["cells"][:4] == ["fraud", "0/0", 0, 0]
    assert row["cells"][5:] == ["main", "model:1", "app=fraud"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    bare = (await api.admin.get(api.deployments, headers=TABLE, params={"includeObject": "None"})).json()
    assert bare["rows"][0]["object"] is None
    for path, first in (
        (api.replica_sets, ["Name", "Desired", "Current", "Ready", "Age"]),
        (api.pods, ["Name", "Ready", "Status", "Restarts", "Age"]),
        ("/api/v1/namespaces", ["Name", "Status", "Age"]),
        (f"/apis/coordination.k8s.io/v1/namespaces/{api.namespace}/leases", ["Name", "Holder", "Age"]),
    ):
        columns = (await api.admin.get(path, headers=TABLE)).json()["columnDefinitions"]
        assert [column["name"] for column in columns if column["priority"] == 0] == first


async def test_metadata_alone_and_forms_that_are_not_spoken(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    only = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    found = (await api.admin.get(f"{api.deployments}/fraud", headers=only)).json()
    assert (found["kind"], "spec" in found) == ("PartialObjectMetadata", False)
    refused = await api.admin.get(f"{api.deployments}/fraud", headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.json()["reason"]) == (406, "NotAcceptable")


async def test_oncall_reads_and_may_not_write(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"
    assert (await api.oncall.get(path)).status_code == 200
    watched = await api.oncall.get(api.deployments, params={"watch": "1", "timeoutSeconds": "1"})
    assert watched.status_code == 200
    merge = {"Content-Type": "application/merge-patch+json"}
    scope = f'in API group "apps" in the namespace "{api.namespace}"'
    refusals = [
        (await api.oncall.delete(path), 'deployments.apps "fraud"', "delete", "deployments"),
        (await api.oncall.patch(path, content="{}", headers=merge), 'deployments.apps "fraud"', "patch", "deployments"),
        (await api.oncall.put(f"{path}/scale", json={}), 'deployments.apps "fraud"', "update", "deployments/scale"),
        (await api.oncall.post(api.deployments, json={}), "deployments.apps", "create", "deployments"),
    ]
    for answer, subject, verb, resource in refusals:
        explanation = f'User "oncall" cannot {verb} resource "{resource}" {scope}'
        assert answer.status_code == 403
        assert answer.json()["message"] == f"{subject} is forbidden: {explanation}"
    cluster_wide = (await api.oncall.post("/api/v1/namespaces", json={})).json()
    scope = 'in API group "" at the cluster scope'
    expected = f'namespaces is forbidden: User "oncall" cannot create resource "namespaces" {scope}'
    assert (cluster_wide["message"], cluster_wide["details"]) == (expected, {"kind": "namespaces"})


async def test_an_unknown_token_is_nobodys(api: Api) -> None:
    for path in (api.deployments, "/version", "/api"):
        answer = await api.admin.get(path, headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code, answer.json()["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(("verb", "for_oncall"), [("list", True), ("watch", True), ("patch", False), ("delete", False)])
async def test_access_reviews(api: Api, verb: str, for_oncall: bool) -> None:
    asked = {"namespace": api.namespace, "verb": verb, "group": "apps", "resource": "deployments"}

    async def allowed(client: httpx.AsyncClient) -> bool:
        answer = await client.post(REVIEWS, json={"spec": {"resourceAttributes": asked}})
        assert answer.status_code == 201
        assert answer.json()["spec"]["resourceAttributes"] == asked
        return bool(answer.json()["status"]["allowed"])

    assert await allowed(api.admin)
    assert await allowed(api.oncall) == for_oncall


async def test_an_access_review_has_to_ask_something(api: Api) -> None:
    answer = await api.admin.post(REVIEWS, json={"spec": {}})
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")


async def test_rules_reviews(api: Api) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = (await api.oncall.post(path, json={"spec": {"namespace": api.namespace}})).json()["status"]
    everything = [rule for rule in rules["resourceRules"] if rule["resources"] == ["*"]]
    assert [(rule["verbs"], rule["apiGroups"]) for rule in everything] == [(["get", "list", "watch"], ["*"])]
    assert not rules["incomplete"]
