"""Versions, history, order and ownership."""

from typing import Any

from mlops_tui.demo.kubernetes.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from mlops_tui.demo.kubernetes.store import Change, Store


def body(name: str, namespace: str = "ns", owner: str = "", **fields: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}"}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True, "kind": "X", "name": "x"}]
    return {"kind": "K", "apiVersion": "v1", "metadata": metadata, **fields}


def changes(store: Store, resource: Resource, version: int) -> list[tuple[str, str]]:
    found = store.log(resource).after(version)
    assert found is not None
    return [(change.type, change.object.key[1]) for change in found]


def test_every_write_has_the_next_version_and_is_told() -> None:
    store, told = Store(), list[Change]()
    store.listeners.append(told.append)
    first = store.put(PODS, body("a"))
    second = store.put(PODS, body("a", x=1))
    last = store.remove(second)
    assert [first.version, second.version, last.version] == [2, 3, 4]
    assert [(change.type, change.object.version) for change in told] == [("ADDED", 2), ("MODIFIED", 3), ("DELETED", 4)]
    assert told[1].previous is first
    assert store.get(PODS, "ns", "a") is None
    assert changes(store, PODS, 2) == [("MODIFIED", "a"), ("DELETED", "a")]
    assert changes(store, DEPLOYMENTS, 0) == []


def test_history_is_bounded_and_says_where_it_begins() -> None:
    store = Store(history=10)
    for index in range(40):
        store.put(PODS, body("a", x=index))
    log = store.log(PODS)
    assert log.after(1) is None
    assert log.floor > 1
    assert log.after(log.floor - 1) is None
    known = log.after(log.floor)
    assert known is not None
    assert 10 <= len(known) < 20
    assert known[-1].object.version == store.version


def test_lists_are_in_order_of_namespace_and_name() -> None:
    store = Store()
    for namespace, name in (("b", "1"), ("a", "2"), ("a", "1"), ("a-b", "1")):
        store.put(PODS, body(name, namespace))
    assert [stored.key for stored in store.select(PODS)] == [("a", "1"), ("a", "2"), ("a-b", "1"), ("b", "1")]
    assert [stored.key for stored in store.select(PODS, "a")] == [("a", "1"), ("a", "2")]
    assert store.select(PODS, "none") == []


def test_owners_know_their_own_in_order_of_creation() -> None:
    store = Store()
    for name in ("b", "a"):
        store.put(REPLICA_SETS, body(name, owner="boss"))
    store.put(REPLICA_SETS, body("b", owner="boss", x=1))
    assert [child.key[1] for child in store.owned_by("boss")] == ["b", "a"]
    assert store.owned_by("boss")[0].body["x"] == 1
    store.put(REPLICA_SETS, body("b"))
    assert [child.key[1] for child in store.owned_by("boss")] == ["a"]
    store.remove(store.owned_by("boss")[0])
    assert store.owned_by("boss") == []


def test_a_stored_state_does_not_change_with_the_next() -> None:
    store = Store()
    first = store.put(DEPLOYMENTS, body("a", spec={"replicas": 1}))
    encoded = first.encoded
    store.put(DEPLOYMENTS, {**first.body, "spec": {"replicas": 2}})
    assert first.encoded == encoded
    assert encoded.startswith(b'{"kind":"Deployment","apiVersion":"apps/v1","metadata":{')
