"""Sets of fields: which parts of an object somebody has set.

A field's path is a tuple of elements as `fieldsV1` writes them: `f:NAME`, `k:{KEYS}` for an element of a list that is
merged by keys, `v:VALUE` for one of a list that is a set. The rules are those of structured-merge-diff, by which the
API server tells who owns what.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import JsonObject

Path = tuple[str, ...]
Fields = frozenset[Path]

_DEFAULT_KEYS: Final = {"protocol": "TCP"}
"""What an element is identified by that leaves a key out."""
_LIST_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_METADATA_KEYS: Final = {"ownerReferences": ("uid",)}
_ATOMIC: Final = frozenset(
    ("configMapKeyRef", "fieldRef", "involvedObject", "nodeSelector", "resourceFieldRef", "secretKeyRef", "selector")
)
"""Maps that are owned as a whole."""
_NOBODYS: Final = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "name",
    "namespace", "resourceVersion", "selfLink", "uid",
)  # fmt: skip
"""Metadata that is never owned."""
_ABSENT: Final = object()
_EMPTY_OBJECT: Final[JsonObject] = {
    "metadata": {},
    "spec": {"containers": [], "strategy": {}, "template": {"metadata": {}, "spec": {"containers": []}}},
    "status": {"loadBalancer": {}},
}
"""What every object has before anything is set: the parts that are structures in the API server's own types."""


@dataclass(frozen=True)
class Rules:
    """How the values of a type are merged.

    Attributes:
        keys: For each list of structures that is merged the fields that identify an element; other lists are atomic.
        atomic: Names of maps that are not merged either.
        sets: Names of lists whose values are merged.
    """

    keys: Mapping[str, tuple[str, ...]]
    atomic: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset({"finalizers"})

    def element(self, name: str, item: Any) -> str:
        """Return the path element of an item in a merged list.

        Raises:
            ApiError: 500, as the server answers to an element that lacks a key.
        """
        if name in self.sets:
            return f"v:{json.dumps(item)}"
        keys = {}
        for key in sorted(self.keys[name]):
            keys[key] = item.get(key, _DEFAULT_KEYS.get(key)) if isinstance(item, dict) else None
            if keys[key] is None:
                message = f'associative list with keys has an element that omits key field "{key}"'
                raise ApiError(500, "", f"failed to create typed patch object: .{name}: {message}")
        return f"k:{json.dumps(keys, separators=(',', ':'))}"

    def merges(self, name: str, *values: Any) -> type | None:
        """Say whether the values of a field are merged, and as what."""
        if any(isinstance(value, dict) for value in values) and name not in self.atomic:
            return dict
        if any(isinstance(value, list) for value in values) and (name in self.keys or name in self.sets):
            return list
        return None


def rules_of(resource: Resource) -> Rules:
    """Return the rules of a type; a custom resource's lists are atomic, its maps are not."""
    if resource.definition is not None:
        return Rules(_METADATA_KEYS)
    ports = ("port", "protocol") if resource.kind == "Service" else ("containerPort", "protocol")
    return Rules({**_LIST_KEYS, "ports": ports}, _ATOMIC)


def ownable(body: JsonObject) -> JsonObject:
    """Return the part of an object that managers own fields of."""
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key not in _NOBODYS}
    rest = {key: value for key, value in body.items() if key not in ("apiVersion", "kind", "metadata")}
    return {"metadata": metadata, **rest} if metadata else rest


def named(items: Iterable[Any], name: str, rules: Rules) -> dict[str, Any]:
    """Return the elements of a merged list by their path elements; of equal ones the first."""
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(rules.element(name, item), item)
    return found


def _parts(value: Any, name: str, kind: type, rules: Rules) -> dict[str, tuple[str, Any]]:
    """Return the parts of a merged value: for each path element the name of the field and its value."""
    if kind is list and isinstance(value, list):
        return {element: ("", item) for element, item in named(value, name, rules).items()}
    if kind is dict and isinstance(value, dict):
        return {f"f:{key}": (key, item) for key, item in value.items() if item is not None}
    return {}


def fields_of(configuration: JsonObject, rules: Rules) -> Fields:
    """Return the fields that a configuration sets, as somebody's who applies it."""
    return frozenset(path for path in _set(ownable(configuration), "", (), rules) if path)


def _set(value: Any, name: str, path: Path, rules: Rules) -> Iterator[Path]:
    kind = rules.merges(name, value)
    if kind is None or value == {}:
        yield path
        return
    for element, (key, item) in _parts(value, name, kind, rules).items():
        yield from _set(item, key, (*path, element), rules)
        if kind is list:
            yield (*path, element)


@dataclass
class Comparison:
    """How one object differs from another."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def changed(self) -> Fields:
        """What has a new value."""
        return frozenset(self.added | self.modified)


def compare(old: JsonObject | None, new: JsonObject, rules: Rules) -> Comparison:
    """Return what is different in `new`; without `old`, what it sets."""
    found = Comparison()
    before = _EMPTY_OBJECT if old is None else ownable(old)
    _compare(before, ownable(new), "", (), rules, found)
    return found


def _compare(old: Any, new: Any, name: str, path: Path, rules: Rules, found: Comparison) -> None:
    kind = rules.merges(name, old, new)
    if kind is not None and (_filled(old) or _filled(new)):
        before, after = _parts(old, name, kind, rules), _parts(new, name, kind, rules)
        for element in {**before, **after}:
            key = (before.get(element) or after[element])[0]
            was, becomes = (side[element][1] if element in side else _ABSENT for side in (before, after))
            _compare(was, becomes, key, (*path, element), rules, found)
        if path and old is _ABSENT:
            found.added.add(path)
        elif path and new is _ABSENT:
            found.removed.add(path)
    elif old is _ABSENT:
        found.added.add(path)
    elif new is _ABSENT:
        found.removed.add(path)
    elif old != new:
        found.modified.add(path)


def _filled(value: Any) -> bool:
    return value is not _ABSENT and bool(value)


def to_json(fields: Fields) -> JsonObject:
    """Return a set in the form `fieldsV1`."""
    root: JsonObject = {}
    for path in sorted(fields):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _bare(root)


def _bare(node: JsonObject) -> JsonObject:
    return {} if set(node) == {"."} else {element: _bare(child) for element, child in node.items()}


def from_json(tree: Mapping[str, Any]) -> Fields:
    """Return the set that a `fieldsV1` describes."""
    return frozenset(_paths(tree, ()))


def _paths(tree: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for element, child in tree.items():
        if element == ".":
            yield path
        elif child:
            yield from _paths(child, (*path, element))
        else:
            yield (*path, element)


def readable(path: Path) -> str:
    """Return a path as messages write it: `.spec.containers[name="main"].image`."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += f"[{','.join(f'{key}={json.dumps(value)}' for key, value in json.loads(rest).items())}]"
        else:
            text += f"[={rest}]"
    return text


def merged(live: Any, configuration: Any, rules: Rules, name: str = "") -> Any:
    """Return a value with a configuration merged into it."""
    kind = rules.merges(name, configuration)
    if kind is dict:
        old = live if isinstance(live, dict) else {}
        return {**old, **{key: merged(old.get(key), value, rules, key) for key, value in configuration.items()}}
    if kind is list:
        wanted = named(configuration, name, rules)
        if len(wanted) < len(configuration):
            raise ApiError(500, "", f"failed to create typed patch object: .{name}: duplicate entries for key")
        old_items = [(rules.element(name, item), item) for item in live or ()]
        kept = [merged(item, wanted.get(element, item), rules) for element, item in old_items]
        present = {element for element, _ in old_items}
        return [*kept, *(item for element, item in wanted.items() if element not in present)]
    return configuration


def without(value: Any, gone: Fields, rules: Rules, name: str = "", path: Path = ()) -> Any:
    """Return a value without some of its fields, and without the maps and lists that this leaves empty."""
    kind = rules.merges(name, value)
    if kind is list:
        items = [(item, (*path, rules.element(name, item))) for item in value]
        return [without(item, gone, rules, "", place) for item, place in items if place not in gone]
    if kind is None:
        return value
    keys = json.loads(path[-1][2:]) if path and path[-1].startswith("k:") else ()
    left = {}
    for key, item in value.items():
        place = (*path, f"f:{key}")
        if place in gone and key not in keys:
            continue
        rest = without(item, gone, rules, key, place)
        if rest or not item:
            left[key] = rest
    return left
