"""Sets of fields: what is set, what differs, and how it is written down."""

from typing import Any

import pytest

from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.fields import compare, fields_of, from_json, merged, readable, rules_of, to_json, without
from mlops_tui.demo.kubernetes.resources import DEPLOYMENTS, SERVICES

RULES = rules_of(DEPLOYMENTS)


def pods(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


MAIN = '.spec.template.spec.containers[name="main"]'


def test_a_set_survives_being_written() -> None:
    body = {
        "metadata": {"labels": {"app": "m"}, "finalizers": ["a/b"]},
        **pods({"name": "main", "ports": [{"containerPort": 80}], "resources": {}}),
    }
    fields = fields_of(body, RULES)
    assert from_json(to_json(fields)) == fields
    assert sorted(map(readable, fields)) == [
        '.metadata.finalizers[="a/b"]',
        ".metadata.labels.app",
        MAIN,
        f"{MAIN}.name",
        f'{MAIN}.ports[containerPort=80,protocol="TCP"]',
        f'{MAIN}.ports[containerPort=80,protocol="TCP"].containerPort',
        f"{MAIN}.resources",
    ]


def test_nobody_owns_names_and_versions() -> None:
    body = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "m", "uid": "u", "resourceVersion": "1"},
    }
    assert fields_of(body, RULES) == frozenset()


def test_differences() -> None:
    old = pods({"name": "main", "image": "m:1"}, {"name": "side", "image": "p:1"})
    new = pods({"name": "more", "image": "x"}, {"name": "main", "image": "m:2", "args": ["a"]})
    found = compare(old, new, RULES)
    assert sorted(map(readable, found.modified)) == [f"{MAIN}.image"]
    more, side = MAIN.replace("main", "more"), MAIN.replace("main", "side")
    assert sorted(map(readable, found.added)) == [f"{MAIN}.args", more, f"{more}.image", f"{more}.name"]
    assert sorted(map(readable, found.removed)) == [side, f"{side}.image", f"{side}.name"]


def test_selectors_are_owned_as_a_whole() -> None:
    old, new = ({"spec": {"selector": {"matchLabels": {"app": app}}}} for app in "ab")
    assert [readable(path) for path in compare(old, new, RULES).changed] == [".spec.selector"]


def test_merging_keeps_the_order_and_what_is_not_configured() -> None:
    live = pods({"name": "side", "image": "p:1"}, {"name": "main", "image": "m:1", "args": ["a"]})
    configuration = pods({"name": "main", "image": "m:2"}, {"name": "new", "image": "n"})
    (containers,) = merged(live, configuration, RULES)["spec"]["template"]["spec"].values()
    assert containers == [
        {"name": "side", "image": "p:1"},
        {"name": "main", "image": "m:2", "args": ["a"]},
        {"name": "new", "image": "n"},
    ]


def test_ports_of_services_are_told_apart_by_protocol() -> None:
    live = {"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "name": "dns"}]}}
    found = merged(live, {"spec": {"ports": [{"port": 53, "name": "tcp"}]}}, rules_of(SERVICES))
    assert [each.get("name") for each in found["spec"]["ports"]] == [None, "tcp"]


def test_taking_away_leaves_the_key_of_an_element() -> None:
    body = pods({"name": "main", "image": "m:1", "env": [{"name": "A", "value": "1"}]})
    gone = fields_of(pods({"name": "main", "env": [{"name": "A", "value": "1"}]}), RULES)
    main = next(path for path in gone if readable(path) == MAIN)
    assert without(body, gone - {main}, RULES) == pods({"name": "main", "image": "m:1"})
    assert without(body, gone, RULES) == {}


@pytest.mark.parametrize("containers", [[{"image": "m"}], [{"name": "a"}, {"name": "a"}]])
def test_elements_that_cannot_be_told_apart(containers: list[dict[str, Any]]) -> None:
    with pytest.raises(ApiError, match="failed to create typed patch object") as caught:
        merged({}, pods(*containers), RULES)
    assert caught.value.code == 500
