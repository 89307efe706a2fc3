"""Fields that there are not: refused, dropped with a warning, or dropped, as the client wants."""

import gzip
import json
from typing import Any

import httpx
import pytest

from mlops_tui.demo.kubernetes import create_app
from mlops_tui.demo.kubernetes.custom import install_istio
from mlops_tui.demo.kubernetes.resources import DEPLOYMENTS
from mlops_tui.demo.kubernetes.strict import _TYPES, by_name, decoded
from tests.support.kubernetes_schema import SCHEMAS
from tests.unit.demo_kubernetes.worlds import World, manifest

DEPLOYMENTS_PATH = "/apis/apps/v1/namespaces/ml/deployments"
UNKNOWN = ["spec.template.spec.containers[0].imagePullpolicy", "spec.foo", "bar"]


def misspelt() -> dict[str, Any]:
    """Return a manifest with three fields that there are not, and with what may have any field."""
    made = manifest("typo", image="m:1", replicas=0)
    made["spec"]["foo"] = {"deep": 1}
    pod = made["spec"]["template"]["spec"]
    pod["containers"][0]["imagePullpolicy"] = "Always"
    pod["nodeSelector"] = {"foo": "bar"}
    made["metadata"]["annotations"] = {"bar": "x"}
    return {**made, "bar": 2}


@pytest.fixture
async def world() -> World:
    made = World()
    made.cluster.apply(manifest(replicas=0))
    install_istio(made.cluster)
    await made.run(3)
    return made


@pytest.fixture
def admin(world: World) -> httpx.AsyncClient:
    app = create_app(world.cluster, {"a-token": "admin"})
    headers = {"Authorization": "Bearer a-token"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://kube.test", headers=headers)


def test_the_fields_are_those_of_the_official_schemas() -> None:
    with gzip.open(SCHEMAS / "kubernetes-1.32.schema.json.gz") as file:
        official = {name.rpartition(".")[2]: schema for name, schema in json.load(file)["$defs"].items()}
    for name, fields in _TYPES.items():
        assert fields.keys() == official[name]["properties"].keys(), name
        for field, type_ in fields.items():
            assert not type_ or f'.{type_}"' in json.dumps(official[name]["properties"][field]), (name, field)
            assert not type_ or type_ in _TYPES


def test_paths_name_elements_as_decoding_and_as_applying_does() -> None:
    kept, unknown = decoded(DEPLOYMENTS, misspelt())
    assert unknown == UNKNOWN
    assert decoded(DEPLOYMENTS, kept) == (kept, [])
    (container,) = kept["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "m:1"
    named = f'spec.template.spec.containers[name="{container["name"]}"].imagePullpolicy'
    assert named in decoded(DEPLOYMENTS, misspelt(), place=by_name)[1]


@pytest.mark.parametrize("body", [[], "x", 5, None, {"spec": []}, {"spec": {"template": 5}}, {"metadata": "x"}])
def test_what_is_no_object_is_left_to_others(body: Any) -> None:
    assert decoded(DEPLOYMENTS, body) == (body, [])


async def test_strict_writes_are_refused(world: World, admin: httpx.AsyncClient) -> None:
    strict = {"fieldValidation": "Strict"}
    faults = "strict decoding error: " + ", ".join(f'unknown field "{field}"' for field in UNKNOWN)
    answer = await admin.post(DEPLOYMENTS_PATH, json=misspelt(), params=strict)
    expected = f'Deployment in version "v1" cannot be handled as a Deployment: {faults}'
    assert (answer.status_code, answer.json()["message"]) == (400, expected)
    assert world.cluster.get("Deployment", "ml", "typo") is None
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = json.dumps({"spec": {"replicas": 1, "foo": 1}})
    answer = await admin.patch(f"{DEPLOYMENTS_PATH}/m", content=patch, headers=headers, params=strict)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(' "" is invalid: patch: Invalid value: "{')
    assert answer.json()["message"].endswith('strict decoding error: unknown field "spec.foo"')
    assert answer.json()["details"]["causes"][0]["field"] == "patch"
    scale = json.dumps({"spec": {"replicas": 1, "foo": 1}})
    answer = await admin.patch(f"{DEPLOYMENTS_PATH}/m/scale", content=scale, headers=headers, params=strict)
    assert answer.status_code == 422
    assert world.deployment()["spec"]["replicas"] == 0


async def test_a_custom_resource_is_held_against_its_schema(admin: httpx.AsyncClient) -> None:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "m"},
        "spec": {"hosts": ["m"]},
        "sepc": {},
    }
    path = "/apis/networking.istio.io/v1/namespaces/ml/virtualservices"
    answer = await admin.post(path, json=body, params={"fieldValidation": "Strict"})
    assert answer.status_code == 400
    assert answer.json()["message"].endswith('strict decoding error: unknown field "sepc"')


@pytest.mark.parametrize(("wanted", "warned"), [({}, UNKNOWN), ({"fieldValidation": "Ignore"}, [])])
async def test_others_are_dropped(
    world: World, admin: httpx.AsyncClient, wanted: dict[str, str], warned: list[str]
) -> None:
    answer = await admin.post(DEPLOYMENTS_PATH, json=misspelt(), params=wanted)
    assert answer.status_code == 201
    assert answer.headers.get_list("warning") == [f'299 - "unknown field \\"{field}\\""' for field in warned]
    found = world.cluster.get("Deployment", "ml", "typo")
    assert found is not None
    assert decoded(DEPLOYMENTS, found)[1] == []
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"foo": "bar"}


async def test_another_validation_is_none(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(DEPLOYMENTS_PATH, json=misspelt(), params={"fieldValidation": "Lax"})
    assert answer.status_code == 422
    assert "fieldValidation: Unsupported value" in answer.json()["message"]
