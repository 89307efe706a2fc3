"""Types that CustomResourceDefinitions add: discovery, objects, versions, subresources, tables, deletion."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.kubernetes_server.harness import TABLE, Api

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": {"type": "string"},
                "replicas": {"type": "integer"},
                "mode": {"type": "string", "enum": ["blue", "green"]},
                "weight": {"type": "integer", "minimum": 0, "maximum": 100},
                "retries": {"type": "integer", "default": 3},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
COLUMNS = [
    {"name": "Host", "type": "string", "jsonPath": ".spec.host"},
    {"name": "Wanted", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Labels", "type": "string", "jsonPath": ".spec.labels", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def definition(group: str, kind: str = "Route", **parts: Any) -> dict[str, Any]:
    """Return a definition with two versions, v1 and v1beta1."""
    plural = f"{kind.lower()}s"
    version = {"served": True, "schema": {"openAPIV3Schema": SCHEMA}, "additionalPrinterColumns": COLUMNS, **parts}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "shortNames": ["rt"]},
            "versions": [{"name": name, "storage": name == "v1", **version} for name in ("v1", "v1beta1")],
        },
    }


@dataclass
class Type:
    """A custom type on a server."""

    api: Api
    group: str
    name: str

    def path(self, version: str = "v1") -> str:
        plural = self.name.partition(".")[0]
        return f"/apis/{self.group}/{version}/namespaces/{self.api.namespace}/{plural}"

    def object(self, name: str = "r", *, version: str = "v1", **spec: Any) -> dict[str, Any]:
        api_version = f"{self.group}/{version}"
        return {
            "apiVersion": api_version,
            "kind": "Route",
            "metadata": {"name": name},
            "spec": {"host": "model", **spec},
        }

    async def create(self, **given: Any) -> dict[str, Any]:
        answer = await self.api.admin.post(self.path(), json=self.object() | given)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created


async def established(api: Api, manifest: dict[str, Any]) -> Type:
    """Create a definition and wait until its type is served."""
    made = await api.admin.post(DEFINITIONS, json=manifest)
    assert made.status_code == 201, made.text
    found = Type(api, manifest["spec"]["group"], manifest["metadata"]["name"])

    async def served() -> bool:
        return (await api.admin.get(found.path())).status_code == 200

    await api.until(served)
    return found


@pytest.fixture
async def routes(api: Api) -> AsyncIterator[Type]:
    """A type with both subresources."""
    group = f"{api.namespace}.example.com"
    yield await established(api, definition(group, subresources={"status": {}, "scale": SCALE}))
    await api.admin.delete(f"{DEFINITIONS}/routes.{group}")


@pytest.fixture
async def plain(api: Api) -> AsyncIterator[Type]:
    """A type without subresources."""
    group = f"plain-{api.namespace}.example.com"
    yield await established(api, definition(group))
    await api.admin.delete(f"{DEFINITIONS}/routes.{group}")


async def test_a_definition_is_completed_accepted_and_established(routes: Type) -> None:
    async def judged() -> bool:
        found = await routes.api.get(f"{DEFINITIONS}/{routes.name}")
        conditions = {each["type"]: each["status"] for each in found["status"].get("conditions") or ()}
        return conditions == {"NamesAccepted": "True", "Established": "True"}

    await routes.api.until(judged)
    found = await routes.api.get(f"{DEFINITIONS}/{routes.name}")
    names = {"plural": "routes", "singular": "route", "kind": "Route", "listKind": "RouteList", "shortNames": ["rt"]}
    assert (found["spec"]["names"], found["status"]["acceptedNames"]) == (names, names)
    assert (found["spec"]["conversion"], found["status"]["storedVersions"]) == ({"strategy": "None"}, ["v1"])


async def test_discovery_lists_the_type(routes: Type) -> None:
    api = routes.api

    async def listed() -> bool:
        return routes.group in [group["name"] for group in (await api.get("/apis"))["groups"]]

    await api.until(listed)
    group = await api.get(f"/apis/{routes.group}")
    assert [each["version"] for each in group["versions"]] == ["v1", "v1beta1"]
    assert group["preferredVersion"]["version"] == "v1"
    whole, *parts = (await api.get(f"/apis/{routes.group}/v1beta1"))["resources"]
    whole.pop("storageVersionHash", None)
    assert whole == {
        "name": "routes",
        "singularName": "route",
        "namespaced": True,
        "kind": "Route",
        "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        "shortNames": ["rt"],
    }
    assert [(part["name"], part["kind"]) for part in parts] == [("routes/status", "Route"), ("routes/scale", "Scale")]


async def test_unknown_fields_are_dropped_and_defaults_filled_in(routes: Type) -> None:
    spec = {"host": "m", "junk": 1, "open": {"any": [1, {"thing": None}]}, "labels": {"a": "b"}}
    created = await routes.create(spec=spec, status={"replicas": 3}, junk=2)
    kept = {"host": "m", "retries": 3, "labels": {"a": "b"}}
    assert {key: value for key, value in created["spec"].items() if key != "open"} == kept
    assert created["spec"]["open"]["any"][0] == 1
    assert not {"status", "junk"} & set(created)
    assert created["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "field", "reason", "message"),
    [
        ({}, "spec.host", "FieldValueRequired", "Required value"),
        (
            {"host": 5},
            "spec.host",
            "FieldValueInvalid",
            'Invalid value: "integer": spec.host in body must be of type string: "integer"',
        ),
        (
            {"host": "m", "mode": "red"},
            "spec.mode",
            "FieldValueNotSupported",
            'Unsupported value: "red": supported values: "blue", "green"',
        ),
        (
            {"host": "m", "weight": 101},
            "spec.weight",
            "FieldValueInvalid",
            "Invalid value: 101: spec.weight in body should be less than or equal to 100",
        ),
    ],
)
async def test_the_schema_is_enforced(
    routes: Type, spec: dict[str, Any], field: str, reason: str, message: str
) -> None:
    refused = await routes.api.admin.post(routes.path(), json=routes.object() | {"spec": spec})
    assert refused.status_code == 422
    status = refused.json()
    assert status["details"]["causes"] == [{"reason": reason, "message": message, "field": field}]
    assert status["message"] == f'Route.{routes.group} "r" is invalid: {field}: {message}'


async def test_what_creation_refuses(routes: Type) -> None:
    async def refused(body: dict[str, Any]) -> tuple[int, str]:
        answer = await routes.api.admin.post(routes.path(), json=body)
        return answer.status_code, answer.json()["message"]

    other = f"{routes.group}/v1beta1"
    message = "the API version in the data ({}) does not match the expected API version ({})"
    assert await refused(routes.object(version="v1beta1")) == (400, message.format(other, f"{routes.group}/v1"))
    kind = f'Way.{routes.group} "r" is invalid: kind: Invalid value: "Way": must be Route'
    assert await refused(routes.object() | {"kind": "Way"}) == (422, kind)
    code, text = await refused({"metadata": {"name": "r"}, "spec": {"host": "m"}})
    assert (code, "Object 'Kind' is missing in" in text) == (400, True)
    await routes.create()
    assert await refused(routes.object()) == (409, f'routes.{routes.group} "r" already exists')


async def test_an_object_is_the_same_in_all_versions(routes: Type) -> None:
    api = routes.api
    await routes.create()
    older = await api.get(f"{routes.path('v1beta1')}/r")
    assert (older["apiVersion"], older["spec"]["host"]) == (f"{routes.group}/v1beta1", "model")
    await api.patch(f"{routes.path('v1beta1')}/r", {"spec": {"host": "changed"}})
    listed = await api.get(routes.path())
    assert listed["kind"] == "RouteList"
    assert [(item["apiVersion"], item["spec"]["host"]) for item in listed["items"]] == [
        (f"{routes.group}/v1", "changed")
    ]


async def test_patches_merge_or_operate_but_not_strategically(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    await routes.create()
    merged = (await api.patch(path, {"spec": {"weight": 5, "host": "n"}})).json()
    assert (merged["spec"]["weight"], merged["spec"]["host"], merged["metadata"]["generation"]) == (5, "n", 2)
    operations = [
        {"op": "test", "path": "/spec/weight", "value": 5},
        {"op": "replace", "path": "/spec/weight", "value": 50},
    ]
    assert (await api.patch(path, operations, "json-patch")).json()["spec"]["weight"] == 50
    refused = await api.patch(path, {"spec": {"weight": 1}}, "strategic-merge-patch")
    assert (refused.status_code, refused.json()["message"]) == (
        415,
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )
    stale = {"metadata": {"resourceVersion": merged["metadata"]["resourceVersion"]}, "spec": {"weight": 1}}
    assert (await api.patch(path, stale)).status_code == 409


async def test_a_replacement_needs_the_version_that_it_replaces(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    created = await routes.create()
    refused = await api.admin.put(path, json=routes.object(weight=1))
    message = f'routes.{routes.group} "r" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified'
    assert (refused.status_code, refused.json()["message"]) == (422, f"{message} for an update")
    replaced = await api.admin.put(path, json=created | {"spec": {"host": "new"}})
    assert (replaced.status_code, replaced.json()["spec"]["host"]) == (200, "new")


async def test_generation_follows_everything_but_metadata_and_status(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    await routes.create()

    async def generation(at: str, body: dict[str, Any]) -> int:
        answer = await api.patch(at, body)
        assert answer.status_code == 200, answer.text
        number: int = answer.json()["metadata"]["generation"]
        return number

    assert await generation(path, {"metadata": {"labels": {"a": "b"}}}) == 1
    assert await generation(f"{path}/status", {"status": {"replicas": 2}}) == 1
    assert await generation(path, {"spec": {"weight": 1}}) == 2


async def test_status_and_the_rest_are_written_apart(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    await routes.create()
    everything = {"metadata": {"labels": {"a": "b"}}, "spec": {"host": "new"}, "status": {"phase": "Ready"}}
    by_status = (await api.patch(f"{path}/status", everything)).json()
    assert (by_status["spec"]["host"], by_status["status"]) == ("model", {"phase": "Ready"})
    assert "labels" not in by_status["metadata"]
    whole = (await api.patch(path, {"spec": {"host": "new"}, "status": {"phase": "Lost"}})).json()
    assert (whole["spec"]["host"], whole["status"]) == ("new", {"phase": "Ready"})


async def test_without_the_subresource_the_status_is_a_field_like_others(plain: Type) -> None:
    api, path = plain.api, f"{plain.path()}/r"
    created = await plain.create(status={"phase": "New"})
    assert created["status"] == {"phase": "New"}
    changed = (await api.patch(path, {"status": {"phase": "Ready"}})).json()
    assert (changed["status"], changed["metadata"]["generation"]) == ({"phase": "Ready"}, 2)
    for part in ("status", "scale"):
        refused = await api.admin.get(f"{path}/{part}")
        assert (refused.status_code, refused.json()["message"]) == (404, f'routes.{plain.group} "r" not found')


async def test_scale_shows_and_sets_what_the_definition_says(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    await routes.create(spec={"host": "m", "replicas": 3})
    await api.patch(f"{path}/status", {"status": {"replicas": 2, "selector": "app=m"}})
    scale = await api.get(f"{path}/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 3})
    assert scale["status"] == {"replicas": 2, "selector": "app=m"}
    scaled = await api.patch(f"{path}/scale", {"spec": {"replicas": 7}})
    assert scaled.json()["spec"] == {"replicas": 7}
    found = await api.get(path)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (7, 2)
    refused = await api.patch(f"{path}/scale", {"spec": {"replicas": -1}})
    message = (
        f'Route.{routes.group} "r" is invalid: .spec.replicas: Invalid value: -1: should be a non-negative integer'
    )
    assert (refused.status_code, refused.json()["message"]) == (422, message)


async def test_tables_have_the_columns_of_the_definition(routes: Type) -> None:
    api, path = routes.api, f"{routes.path()}/r"
    await routes.create(spec={"host": "m", "labels": {"b": "2", "a": "1"}})

    async def table() -> dict[str, Any]:
        answer = await api.admin.get(routes.path(), headers=TABLE)
        found: dict[str, Any] = answer.json()
        return found

    found = await table()
    columns = [(each["name"], each["type"], each["priority"]) for each in found["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0), ("Host", "string", 0), ("Wanted", "integer", 0), ("Ready", "string", 0),
        ("Labels", "string", 1), ("Age", "date", 0),
    ]  # fmt: skip
    assert found["rows"][0]["cells"][:-1] == ["r", "m", None, None, '{"a":"1","b":"2"}']
    await api.patch(path, {"spec": {"replicas": 4}})
    conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
    await api.patch(f"{path}/status", {"status": {"conditions": conditions}})
    assert (await table())["rows"][0]["cells"][2:4] == [4, "True"]


async def test_a_watch_in_one_version_sees_what_another_writes(routes: Type) -> None:
    api = routes.api
    version = (await api.get(routes.path("v1beta1")))["metadata"]["resourceVersion"]
    await routes.create()
    await api.patch(f"{routes.path()}/r", {"spec": {"weight": 1}})
    await api.admin.delete(f"{routes.path()}/r")
    events = await api.watch(routes.path("v1beta1"), resourceVersion=version, timeoutSeconds="1")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert {event["object"]["apiVersion"] for event in events} == {f"{routes.group}/v1beta1"}


async def test_selectors_know_labels_and_names(routes: Type) -> None:
    api = routes.api
    for name in ("a", "b"):
        body = routes.object(name)
        body["metadata"]["labels"] = {"is": name}
        assert (await api.admin.post(routes.path(), json=body)).status_code == 201
    assert await api.names(routes.path(), labelSelector="is=b") == ["b"]
    assert await api.names(routes.path(), fieldSelector="metadata.name=a") == ["a"]
    refused = await api.admin.get(routes.path(), params={"fieldSelector": "spec.host=model"})
    assert refused.status_code == 400


async def test_with_a_definition_go_its_objects_and_its_paths(api: Api) -> None:
    group = f"gone-{api.namespace}.example.com"
    routes = await established(api, definition(group))
    await routes.create()
    assert (await api.admin.delete(f"{DEFINITIONS}/{routes.name}")).status_code == 200

    async def gone() -> bool:
        paths = (routes.path(), f"{DEFINITIONS}/{routes.name}", f"/apis/{group}/v1")
        return {(await api.admin.get(path)).status_code for path in paths} == {404}

    await api.until(gone)
    again = await established(api, definition(group))
    assert await api.names(again.path()) == []
    await api.admin.delete(f"{DEFINITIONS}/{routes.name}")


async def test_what_a_definition_has_to_say(api: Api) -> None:
    versions = [{"name": "v1", "served": True, "storage": False}]
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {"group": "example.com", "scope": "Odd", "names": names, "versions": versions}
    refused = await api.admin.post(DEFINITIONS, json={"metadata": {"name": "x.example.com"}, "spec": spec})
    assert refused.status_code == 422
    assert [cause["field"] for cause in refused.json()["details"]["causes"]][:4] == [
        "metadata.name",
        "spec.scope",
        "spec.versions[0].schema.openAPIV3Schema",
        "spec.versions",
    ]


async def test_who_may_only_read_may_not_define(api: Api) -> None:
    group = f"{api.namespace}.example.com"
    refused = await api.oncall.post(DEFINITIONS, json=definition(group))
    assert refused.status_code == 403
