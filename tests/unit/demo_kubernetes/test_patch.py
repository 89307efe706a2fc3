"""The three kinds of patches, case by case."""

import json
from typing import Any

import pytest

from mlops_tui.demo.kubernetes import ApiError
from mlops_tui.demo.kubernetes.patch import json_patch, merge, strategic

POD = {"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}]}}


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_merge(target: Any, patch: Any, expected: Any) -> None:
    before = json.dumps([target, patch])
    assert merge(target, patch) == expected
    assert json.dumps([target, patch]) == before


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2], "m": {"a/b": 1}}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3], "m": {"a/b": 1}}),
        ([{"op": "remove", "path": "/m/a~1b"}], {"l": [1, 2], "m": {}}),
        ([{"op": "replace", "path": "/l/1", "value": 9}], {"l": [1, 9], "m": {"a/b": 1}}),
        ([{"op": "move", "from": "/m", "path": "/n"}], {"l": [1, 2], "n": {"a/b": 1}}),
        ([{"op": "copy", "from": "/l", "path": "/m/l"}], {"l": [1, 2], "m": {"a/b": 1, "l": [1, 2]}}),
        ([{"op": "test", "path": "/l/0", "value": 1}], {"l": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "replace", "path": "", "value": {"new": 1}}], {"new": 1}),
    ],
)
def test_json_patch(operations: Any, expected: Any) -> None:
    document = {"l": [1, 2], "m": {"a/b": 1}}
    assert json_patch(document, operations) == expected
    assert document == {"l": [1, 2], "m": {"a/b": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/l/0", "value": 2},
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/l/2", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "/l/-1", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "add", "path": "/l"},
        {"op": "jump", "path": "/l"},
        {"op": "add", "path": "/l/0/deeper", "value": 1},
        {"op": "replace", "path": "", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_apply_is_unprocessable(operation: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({"l": [1, 2]}, [operation])
    assert caught.value.code == 422


def test_what_is_no_json_patch_is_a_bad_request() -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({}, {"op": "add"})
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{"name": "a", "image": "a:2"}], [("a", "a:2", {"X": "1"})]),
        ([{"name": "b", "image": "b:1"}], [("b", "b:1", {}), ("a", "a:1", {"X": "1"})]),
        ([{"name": "a", "env": [{"name": "Y", "value": "2"}]}], [("a", "a:1", {"X": "1", "Y": "2"})]),
        ([{"name": "a", "env": [{"name": "X", "$patch": "delete"}]}], [("a", "a:1", {})]),
        ([{"name": "a", "env": None}], [("a", "a:1", {})]),
        ([{"$patch": "replace"}, {"name": "c", "image": "c:1"}], [("c", "c:1", {})]),
        ([{"name": "a", "$patch": "delete"}], []),
        ([{"name": "gone", "$patch": "delete"}], [("a", "a:1", {"X": "1"})]),
    ],
)
def test_strategic_merge_of_containers(containers: Any, expected: Any) -> None:
    before = json.dumps(POD)
    merged = strategic(POD, {"spec": {"containers": containers}})["spec"]["containers"]
    found = [(c["name"], c["image"], {each["name"]: each["value"] for each in c.get("env", ())}) for c in merged]
    assert found == expected
    assert json.dumps(POD) == before


def test_strategic_directives() -> None:
    document = {
        "metadata": {"finalizers": ["a", "b"]},
        "spec": {"strategy": {"type": "RollingUpdate", "x": 1}, "m": {"a": 1}},
    }
    added = strategic(document, {"metadata": {"finalizers": ["b", "c"]}})
    assert added["metadata"]["finalizers"] == ["a", "b", "c"]
    removed = strategic(document, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert removed["metadata"]["finalizers"] == ["b"]
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}, "m": {"$patch": "replace", "b": 2}}}
    assert strategic(document, patch)["spec"] == {"strategy": {"type": "Recreate"}, "m": {"b": 2}}
    assert "m" not in strategic(document, {"spec": {"m": {"$patch": "delete"}}})["spec"]


def test_ports_are_told_apart_by_what_has_them() -> None:
    service = {"kind": "Service", "spec": {"ports": [{"port": 80, "name": "http"}]}}
    merged = strategic(service, {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}})
    assert merged["spec"]["ports"] == [{"port": 80, "name": "http", "targetPort": 8080}]


def test_an_element_without_its_merge_key_is_refused() -> None:
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        strategic(POD, {"spec": {"containers": [{"image": "x"}]}})
