"""Custom types inside the cluster: those of Istio and Argo, JSONPaths, schemas, versions."""

from typing import Any

import httpx
import pytest

from mlops_tui.demo.kubernetes import ApiError, create_app
from mlops_tui.demo.kubernetes.custom import install_argo, install_istio
from mlops_tui.demo.kubernetes.jsonpath import at_path, with_path
from mlops_tui.demo.kubernetes.resources import version_rank
from mlops_tui.demo.kubernetes.schemas import causes, completed
from tests.support.kubernetes_schema import check_object
from tests.unit.demo_kubernetes.worlds import World

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def world() -> World:
    made = World()
    install_istio(made.cluster)
    install_argo(made.cluster)
    return made


def virtual_service(**metadata: Any) -> dict[str, Any]:
    route = [{"destination": {"host": "m"}, "weight": 100}]
    spec = {"hosts": ["m.example"], "gateways": ["public"], "http": [{"route": route}]}
    return {"kind": "VirtualService", "metadata": {"name": "m", "namespace": "ml", **metadata}, "spec": spec}


def client(made: World) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(made.cluster, {"t": "admin"}))
    headers = {"Authorization": "Bearer t"}
    return httpx.AsyncClient(transport=transport, base_url="http://kube.test", headers=headers)


def test_custom_objects_are_handled_like_built_in_ones() -> None:
    cluster = world().cluster
    applied = cluster.apply(virtual_service())
    assert applied["apiVersion"] == "networking.istio.io/v1"
    cluster.apply(virtual_service(labels={"team": "ml"}))
    patched = cluster.patch("VirtualService", "ml", "m", {"spec": {"hosts": ["other"]}})
    assert (patched["metadata"]["generation"], patched["metadata"]["labels"]) == (2, {"team": "ml"})
    assert [each["spec"]["hosts"] for each in cluster.objects("VirtualService")] == [["other"]]
    cluster.delete("VirtualService", "ml", "m")
    assert cluster.get("VirtualService", "ml", "m") is None


def test_a_kind_that_nobody_defined_is_unknown() -> None:
    with pytest.raises(KeyError):
        World().cluster.apply(virtual_service())


def test_types_belong_to_one_cluster() -> None:
    world()
    with pytest.raises(KeyError):
        World().cluster.objects("Rollout")


def test_the_schema_of_istio_refuses_a_weight_that_is_no_number() -> None:
    broken = virtual_service()
    broken["spec"]["http"][0]["route"][0]["weight"] = "5"
    with pytest.raises(ApiError, match=r"spec.http\[0\].route\[0\].weight in body must be of type integer") as caught:
        world().cluster.apply(broken)
    assert caught.value.code == 422


def test_a_deleted_namespace_and_a_deleted_definition_take_objects_along() -> None:
    made = world()
    made.cluster.apply(virtual_service())
    made.cluster.delete("Namespace", "", "ml")
    made.cluster.reconcile()
    assert made.cluster.objects("VirtualService") == []
    made.cluster.apply(virtual_service())
    made.cluster.delete("CustomResourceDefinition", "", "virtualservices.networking.istio.io")
    with pytest.raises(KeyError):
        made.cluster.objects("VirtualService")
    install_istio(made.cluster)
    assert made.cluster.objects("VirtualService") == []


def test_a_definition_that_changes_keeps_its_objects() -> None:
    cluster = world().cluster
    cluster.apply(virtual_service())
    definition = cluster.get("CustomResourceDefinition", "", "virtualservices.networking.istio.io")
    assert definition is not None
    versions = definition["spec"]["versions"][:1]
    cluster.patch(
        "CustomResourceDefinition", "", "virtualservices.networking.istio.io", {"spec": {"versions": versions}}
    )
    assert [each["metadata"]["name"] for each in cluster.objects("VirtualService")] == ["m"]
    assert cluster.types.at("networking.istio.io", "v1beta1", "virtualservices") is None


def test_the_status_of_a_rollout_is_written_apart_from_its_spec() -> None:
    cluster = world().cluster
    cluster.apply({"kind": "Rollout", "metadata": {"name": "m", "namespace": "ml"}, "spec": {"replicas": 3}})
    cluster.patch("Rollout", "ml", "m", {"status": {"phase": "Healthy"}})
    assert "status" not in (cluster.get("Rollout", "ml", "m") or {})
    changed = cluster.patch("Rollout", "ml", "m", {"status": {"abort": True}}, subresource="status")
    assert (changed["status"], changed["metadata"]["generation"]) == ({"abort": True}, 1)


@pytest.mark.parametrize(
    ("path", "titles", "cells"),
    [
        (
            "/apis/networking.istio.io/v1/namespaces/ml/virtualservices",
            ["Name", "Gateways", "Hosts", "Age"],
            ["m", '["public"]', '["m.example"]', "5s"],
        ),
        (
            "/apis/argoproj.io/v1alpha1/namespaces/ml/rollouts",
            ["Name", "Desired", "Current", "Up-to-date", "Available", "Age"],
            ["m", 3, None, None, None, "5s"],
        ),
        (
            "/apis/argoproj.io/v1alpha1/namespaces/ml/applications",
            ["Name", "Sync Status", "Health Status", "Revision", "Project"],
            ["m", "Synced", "Healthy", None, "models"],
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            ["Name", "Created At"],
            ["applications.argoproj.io", "2026-11-20T14:02:11Z"],
        ),
    ],
)
async def test_tables(path: str, titles: list[str], cells: list[Any]) -> None:
    made, at = world(), {"name": "m", "namespace": "ml"}
    made.cluster.apply(virtual_service())
    made.cluster.apply({"kind": "Rollout", "metadata": at, "spec": {"replicas": 3}})
    spec = {"project": "models", "destination": {"namespace": "ml"}}
    status = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
    made.cluster.apply({"kind": "Application", "metadata": at, "spec": spec, "status": status})
    await made.clock.advance(5)
    async with client(made) as http:
        table = (await http.get(path, headers=TABLE)).json()
    check_object(table)
    assert [column["name"] for column in table["columnDefinitions"]] == titles
    assert table["rows"][0]["cells"] == cells


async def test_short_names_and_versions_are_discovered() -> None:
    async with client(world()) as http:
        group = (await http.get("/apis/networking.istio.io")).json()
        resources = (await http.get("/apis/argoproj.io/v1alpha1")).json()["resources"]
        openapi = (await http.get("/openapi/v3")).json()["paths"]
    assert [each["version"] for each in group["versions"]] == ["v1", "v1beta1"]
    short = {each["name"]: each["shortNames"] for each in resources if "shortNames" in each}
    assert short == {"applications": ["app", "apps"], "rollouts": ["ro"]}
    assert "apis/argoproj.io/v1alpha1" in openapi


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.hosts", ["a", "b"]), (".spec.hosts[0]", "a"), (".spec.hosts[-1]", "b"), (".spec.hosts[*]", "a"),
        (".spec.hosts[7]", None), (".spec.nothing.below", None), (r".metadata.labels.a\.b/c", "x"),
        (".metadata.labels['a.b/c']", "x"), ('.status.conditions[?(@.type=="Ready")].status', "True"),
        (".status.conditions[?(@.type=='Lost')].status", None), (".status.conditions[*].status", "False"),
        (".status.conditions[?(@.count==2)].type", "Ready"), ("", None),
    ],
)  # fmt: skip
def test_json_paths(path: str, expected: Any) -> None:
    conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True", "count": 2}]
    body = {
        "metadata": {"labels": {"a.b/c": "x"}},
        "spec": {"hosts": ["a", "b"]},
        "status": {"conditions": conditions},
    }
    assert at_path(body, path) == expected


def test_a_value_is_set_at_a_path_that_is_not_there_yet() -> None:
    body = {"spec": {"a": 1}}
    assert with_path(body, ".spec.size.replicas", 3) == {"spec": {"a": 1, "size": {"replicas": 3}}}
    assert body == {"spec": {"a": 1}}


def test_versions_are_ordered_as_clients_prefer_them() -> None:
    versions = ["v1alpha1", "v10", "foo", "v1beta2", "v2", "v1", "v11beta1"]
    assert sorted(versions, key=version_rank, reverse=True) == [
        "v10", "v2", "v1", "v11beta1", "v1beta2", "v1alpha1", "foo",
    ]  # fmt: skip


def test_a_schema_completes_and_judges_what_is_nested() -> None:
    item = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "size": {"type": "integer", "default": 1}},
    }
    share = {"x-kubernetes-int-or-string": True}
    schema = {"type": "object", "properties": {"list": {"type": "array", "items": item}, "share": share}}
    assert completed(schema, {"list": [{"name": "a", "junk": 1}], "share": "5%", "junk": 2}) == {
        "list": [{"name": "a", "size": 1}],
        "share": "5%",
    }
    found = list(causes(schema, {"list": [{"size": True}, {"name": "A"}], "share": 5}))
    assert [(field, reason) for field, reason, _ in found] == [
        ("list[0].name", "FieldValueRequired"),
        ("list[0].size", "FieldValueInvalid"),
        ("list[1].name", "FieldValueInvalid"),
    ]
