"""The three kinds of patches: RFC 7386 merge, RFC 6902 JSON patch, and Kubernetes' strategic merge.

All of them return a new document and leave their arguments alone.
"""

from collections.abc import Sequence
from typing import Any

from mlops_tui.demo.kubernetes.errors import bad_request, unprocessable_patch
from mlops_tui.demo.kubernetes.store import JsonObject

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_MERGED_SETS = frozenset({"finalizers"})


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value, several times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch: maps are merged, `null` deletes, everything else replaces."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(document: JsonObject, operations: Any) -> JsonObject:
    """Apply a JSON patch.

    Raises:
        ApiError: 400 for something that is no JSON patch; 422 for a path that is missing and for a failed test.
    """
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch")
    result = copy_json(document)
    for operation in operations:
        try:
            result = _operate(result, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise unprocessable_patch() from error
    if not isinstance(result, dict):
        raise unprocessable_patch()
    return result


def _operate(document: Any, operation: JsonObject) -> Any:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "test":
            if _resolve(document, path) != operation["value"]:
                raise ValueError(operation["path"])
        case "add":
            return _add(document, path, copy_json(operation["value"]))
        case "replace":
            _resolve(document, path)
            return _add(_remove(document, path), path, copy_json(operation["value"])) if path else operation["value"]
        case "remove":
            return _remove(document, path)
        case "copy":
            return _add(document, path, copy_json(_resolve(document, _pointer(operation["from"]))))
        case "move":
            origin = _pointer(operation["from"])
            value = _resolve(document, origin)
            return _add(_remove(document, origin), path, value)
        case _:
            raise ValueError(operation["op"])
    return document


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(text)
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(container: list[Any], part: str, limit: int) -> int:
    index = int(part)
    if not part.isdigit() or index > limit:
        raise IndexError(part)
    return index


def _resolve(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = document[_index(document, part, len(document) - 1)] if isinstance(document, list) else document[part]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, len(parent)), value)
    else:
        parent[last] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    parent, last = _resolve(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[_index(parent, last, len(parent) - 1)]
    else:
        del parent[last]
    return document


def strategic(document: JsonObject, patch: JsonObject) -> JsonObject:
    """Apply a strategic merge patch: lists of named things are merged by their key, other lists replaced.

    Understands `$patch` (delete, replace, merge), `$setElementOrder/…`, `$deleteFromPrimitiveList/…` and
    `$retainKeys`, which `kubectl apply` and `kubectl edit` send.

    Raises:
        ApiError: 400 for an element without its merge key.
    """
    ports_key = "port" if document.get("kind") == "Service" else "containerPort"
    merged: JsonObject = _merge_map(document, patch, {**_MERGE_KEYS, "ports": ports_key})
    return merged


def _merge_map(target: Any, patch: JsonObject, keys: dict[str, str]) -> Any:
    if patch.get("$patch") == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [item for item in result.get(field, ()) if item not in value]
        elif not key.startswith("$"):
            _merge_field(result, key, value, keys)
    for field in [key for key in patch if isinstance(result.get(key), list) and key in keys]:
        if f"$setElementOrder/{field}" not in patch:
            result[field] = _ordered(result[field], patch[field], _list(target, field), keys[field])
    for key, order in patch.items():
        field = key.removeprefix("$setElementOrder/")
        if field != key and isinstance(result.get(field), list):
            result[field] = _ordered(result[field], order, _list(target, field), keys.get(field))
    if (retained := patch.get("$retainKeys")) is not None:
        result = {key: value for key, value in result.items() if key in retained}
    return result


def _list(target: Any, field: str) -> list[Any]:
    found = target.get(field) if isinstance(target, dict) else None
    return found if isinstance(found, list) else []


def _merge_field(result: JsonObject, key: str, value: Any, keys: dict[str, str]) -> None:
    current = result.get(key)
    if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = _merge_map(current, value, keys)
    elif isinstance(value, list) and key in keys and all(isinstance(element, dict) for element in value):
        result[key] = _merge_list(current or [], value, keys[key], keys)
    elif isinstance(value, list) and key in _MERGED_SETS:
        result[key] = [*(current or []), *(item for item in value if item not in (current or []))]
    else:
        result[key] = copy_json(value)


def _merge_list(current: list[JsonObject], patch: list[JsonObject], key: str, keys: dict[str, str]) -> list[JsonObject]:
    if any(element.get("$patch") == "replace" for element in patch):
        return [copy_json(element) for element in patch if "$patch" not in element]
    result = list(current)
    for element in patch:
        if key not in element:
            raise bad_request(f"map: {element} does not contain declared merge key: {key}")
        place = next((index for index, item in enumerate(result) if item.get(key) == element[key]), None)
        if element.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            result.append(_merge_map({}, element, keys))
        else:
            result[place] = _merge_map(result[place], element, keys)
    return result


def _ordered(merged: list[Any], order: list[Any], before: list[Any], key: str | None) -> list[Any]:
    """Return a merged list in order: what `order` names, with the server's own others merged in.

    One of the others comes before one that is named only if it also did in the list `before`.
    """

    def identity(item: Any) -> Any:
        return item.get(key) if isinstance(item, dict) and key else item

    wanted = {identity(item): rank for rank, item in reversed(list(enumerate(order)))}
    places = {identity(item): place for place, item in enumerate(before)}
    named = sorted((item for item in merged if identity(item) in wanted), key=lambda item: wanted[identity(item)])
    others = [item for item in merged if identity(item) not in wanted]
    result = []
    while named and others:
        first, second = places.get(identity(others[0])), places.get(identity(named[0]))
        goes_first = first is not None and second is not None and first < second
        result.append(others.pop(0) if goes_first else named.pop(0))
    return [*result, *named, *others]
