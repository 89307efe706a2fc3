"""Server-side apply: who manages which fields, who conflicts with whom, what goes when nobody applies it any more."""

from typing import Any

import pytest

from tests.contract.kubernetes_server.harness import Api, deployment

CONTROLLER = "kube-controller-manager"


def configuration(name: str, *, image: str = "model:1", **spec: Any) -> dict[str, Any]:
    """Return what a manager applies: a Deployment without what it leaves to others."""
    made = deployment(name, image=image, **spec)
    if "replicas" not in spec:
        del made["spec"]["replicas"]
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    return made


def managers(body: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return the fields of every manager, by name and operation; controllers are not of interest."""
    entries = body["metadata"].get("managedFields", [])
    return {(each["manager"], each["operation"]): each["fieldsV1"] for each in entries if each["manager"] != CONTROLLER}


def causes(status: dict[str, Any]) -> set[tuple[str, str]]:
    """Return who conflicts about which field."""
    assert {cause["reason"] for cause in status["details"]["causes"]} == {"FieldManagerConflict"}
    return {(cause["message"], cause["field"]) for cause in status["details"]["causes"]}


APPLIED = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            },
        },
    },
}


async def test_applying_creates_and_says_what_is_managed(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    created = await api.apply(path, configuration("fraud"))
    assert created.status_code == 201
    assert managers(created.json()) == {("ci", "Apply"): APPLIED}
    assert created.json()["spec"]["replicas"] == 1
    again = await api.apply(path, configuration("fraud"))
    assert again.status_code == 200
    assert managers(again.json()) == {("ci", "Apply"): APPLIED}
    assert again.json()["metadata"]["generation"] == 1


async def test_applying_takes_yaml(api: Api) -> None:
    text = """
        apiVersion: v1
        kind: Service
        metadata: {name: fraud, annotations: {since: 2024-01-01}}
        spec: {selector: {app: fraud}, ports: [{port: 80, protocol: TCP}]}
    """
    headers = {"Content-Type": "application/apply-patch+yaml"}
    path = f"/api/v1/namespaces/{api.namespace}/services/fraud"
    applied = await api.admin.patch(path, content=text, headers=headers, params={"fieldManager": "ci"})
    assert (applied.status_code, applied.json()["metadata"]["annotations"]) == (201, {"since": "2024-01-01"})
    for broken in ("a: [", "- 1"):
        refused = await api.admin.patch(path, content=broken, headers=headers, params={"fieldManager": "ci"})
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("error decoding YAML: ")


async def test_what_another_applies_conflicts_unless_it_agrees(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    await api.apply(path, configuration("fraud", replicas=0), "one")
    refused = await api.apply(path, configuration("fraud", replicas=3), "two")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert refused.json()["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    assert causes(refused.json()) == {('conflict with "one"', ".spec.replicas")}
    refused = await api.apply(path, configuration("fraud", replicas=3, image="model:2"), "two")
    image = '.spec.template.spec.containers[name="main"].image'
    assert refused.json()["message"] == (
        f'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.replicas\n- {image}'
    )
    agreed = await api.apply(path, configuration("fraud", replicas=0), "two")
    assert agreed.status_code == 200
    shares = managers(agreed.json())
    assert shares["one", "Apply"] == shares["two", "Apply"]
    refused = await api.apply(path, configuration("fraud", replicas=3), "three")
    assert causes(refused.json()) == {(f'conflict with "{each}"', ".spec.replicas") for each in ("one", "two")}


async def test_force_takes_fields_over(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    await api.apply(path, configuration("fraud", replicas=0), "one")
    forced = await api.apply(path, configuration("fraud", replicas=2), "two", force="true")
    assert forced.json()["spec"]["replicas"] == 2
    shares = managers(forced.json())
    assert "f:replicas" in shares["two", "Apply"]["f:spec"]
    assert "f:replicas" not in shares["one", "Apply"]["f:spec"]
    dropped = await api.apply(path, configuration("fraud"), "one")
    assert dropped.json()["spec"]["replicas"] == 2


async def test_what_is_not_applied_any_more_goes(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    first = configuration("fraud", replicas=0, minReadySeconds=5)
    first["metadata"]["labels"]["team"] = "risk"
    first["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "proxy:1"})
    await api.apply(path, first, "one")
    shared = configuration("fraud", minReadySeconds=5)
    await api.apply(path, shared, "two")
    left = (await api.apply(path, configuration("fraud", replicas=0), "one")).json()
    assert left["metadata"]["labels"] == {"app": "fraud"}
    assert [each["name"] for each in left["spec"]["template"]["spec"]["containers"]] == ["main"]
    assert left["spec"]["minReadySeconds"] == 5  # the other still wants it
    gone = (await api.apply(path, configuration("fraud"), "two")).json()
    assert "minReadySeconds" not in gone["spec"]


async def test_who_updates_manages_what_changed(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    await api.apply(path, configuration("fraud", replicas=0), "one")
    patch = {"spec": {"replicas": 1, "minReadySeconds": 2}}
    patched = (await api.patch(path, patch, fieldManager="editor")).json()
    shares = managers(patched)
    assert shares["editor", "Update"] == {"f:spec": {"f:minReadySeconds": {}, "f:replicas": {}}}
    assert "f:replicas" not in shares["one", "Apply"]["f:spec"]
    refused = await api.apply(path, configuration("fraud", replicas=0), "one")
    assert causes(refused.json()) == {('conflict with "editor" using apps/v1', ".spec.replicas")}
    removal = {"metadata": {"labels": None}, "spec": {"minReadySeconds": None}}
    shares = managers((await api.patch(path, removal, fieldManager="editor")).json())
    assert shares["editor", "Update"] == {"f:spec": {"f:replicas": {}}}
    assert "f:metadata" not in shares["one", "Apply"]


async def test_who_creates_manages_the_defaults_too(api: Api) -> None:
    answer = await api.admin.post(
        api.deployments, json=deployment("fraud", replicas=0), params={"fieldManager": "maker"}
    )
    shares = managers(answer.json())
    assert set(shares) == {("maker", "Update")}
    spec = shares["maker", "Update"]["f:spec"]
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}
    assert set(spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"main"}']) == {
        ".", "f:image", "f:imagePullPolicy", "f:name", "f:resources", "f:terminationMessagePath",
        "f:terminationMessagePolicy",
    }  # fmt: skip
    refused = await api.apply(f"{api.deployments}/fraud", configuration("fraud", replicas=3))
    assert causes(refused.json()) == {('conflict with "maker" using apps/v1', ".spec.replicas")}


async def test_a_manager_names_itself_by_its_program(api: Api) -> None:
    created = await api.create(deployment("fraud", replicas=0))
    assert set(managers(created)) == {("python-httpx", "Update")}


async def test_what_nobody_managed_belongs_to_the_time_before(api: Api) -> None:
    await api.create(deployment("fraud", replicas=0))
    path = f"{api.deployments}/fraud"
    assert managers((await api.patch(path, {"metadata": {"managedFields": [{}]}})).json()) == {}
    assert managers((await api.patch(path, {"spec": {"minReadySeconds": 1}})).json()) == {}
    refused = await api.apply(path, configuration("fraud", replicas=1))
    assert causes(refused.json()) == {('conflict with "before-first-apply" using apps/v1', ".spec.replicas")}
    applied = await api.apply(path, configuration("fraud", replicas=0))
    assert set(managers(applied.json())) == {("ci", "Apply"), ("before-first-apply", "Update")}


async def test_kubectl_takes_over_what_it_applied_on_the_clients_side(api: Api) -> None:
    last = (
        '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fraud"},'
        '"spec":{"replicas":0,"minReadySeconds":3}}'
    )
    manifest = deployment("fraud", replicas=0, minReadySeconds=3)
    manifest["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": last}
    await api.admin.post(api.deployments, json=manifest, params={"fieldManager": "kubectl-client-side-apply"})
    path = f"{api.deployments}/fraud"
    wanted = configuration("fraud", replicas=1, minReadySeconds=3)
    assert (await api.apply(path, wanted, "other")).status_code == 409
    taken = await api.apply(path, wanted, "kubectl")
    assert (taken.status_code, taken.json()["spec"]["replicas"]) == (200, 1)
    annotation = taken.json()["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert '"replicas":1' in annotation
    await api.patch(path, {"spec": {"minReadySeconds": 9}}, fieldManager="editor")
    refused = await api.apply(path, wanted, "kubectl")
    assert causes(refused.json()) == {('conflict with "editor" using apps/v1', ".spec.minReadySeconds")}


async def test_a_dry_run_applies_nothing(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    dry = await api.apply(path, configuration("fraud"), dryRun="All")
    assert (dry.status_code, managers(dry.json())) == (201, {("ci", "Apply"): APPLIED})
    assert await api.names(api.deployments) == []
    await api.apply(path, configuration("fraud", replicas=0), "one")
    dry = await api.apply(path, configuration("fraud", replicas=0, minReadySeconds=9), "one", dryRun="All")
    assert dry.json()["spec"]["minReadySeconds"] == 9
    assert (await api.apply(path, configuration("fraud", replicas=4), "two", dryRun="All")).status_code == 409
    assert "minReadySeconds" not in (await api.get(path))["spec"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "apps/v2"}, "Incorrect version specified in apply patch. Specified patch version: apps/v2, "
         "expected: apps/v1"),
        ({"metadata": {"name": "fraud", "managedFields": [{}]}}, "metadata.managedFields must be nil"),
        ({"metadata": {"name": "fraud", "namespace": "other"}}, "the namespace of the object (other) does not match "
         "the namespace on the request ({namespace})"),
    ],
)  # fmt: skip
async def test_what_cannot_be_applied(api: Api, change: dict[str, Any], message: str) -> None:
    path = f"{api.deployments}/fraud"
    await api.apply(path, configuration("fraud", replicas=0))
    refused = await api.apply(path, {**configuration("fraud", replicas=0), **change})
    assert (refused.status_code, refused.json()["message"]) == (400, message.format(namespace=api.namespace))


async def test_applying_needs_a_manager_and_respects_versions(api: Api) -> None:
    path = f"{api.deployments}/fraud"
    refused = await api.apply(path, configuration("fraud"), manager="")
    assert (refused.status_code, refused.json()["message"]) == (
        422,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
    await api.apply(path, configuration("fraud", replicas=0))
    stale = configuration("fraud", replicas=0)
    stale["metadata"]["resourceVersion"] = "1"
    assert (await api.apply(path, stale)).status_code == 409
    forced = await api.patch(path, {}, force="true")
    assert (forced.status_code, forced.json()["details"]["causes"][0]["field"]) == (422, "force")
    broken = configuration("broken")
    del broken["spec"]["selector"]
    invalid = await api.apply(f"{api.deployments}/broken", broken)
    assert (invalid.status_code, invalid.json()["details"]["causes"][0]["field"]) == (422, "spec.selector")


async def test_fields_that_there_are_not_cannot_be_applied(api: Api) -> None:
    answer = await api.apply(f"{api.deployments}/fraud", deployment("fraud", replicas=0, foo=1))
    message = "failed to create typed patch object: .spec.foo: field not declared in schema"
    assert (answer.status_code, answer.json()["message"]) == (500, message)
