"""The simple JSONPaths that CustomResourceDefinitions use."""

import json
import re
from collections.abc import Mapping
from typing import Any

from mlops_tui.demo.kubernetes.store import JsonObject

_STEP = re.compile(
    r"\.(?P<name>[^.\[\]]+)"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<all>\*)\]"
    r"|\['(?P<quoted>[^']*)'\]"
    r"|\[\?\(@\.(?P<key>[^=\s]+)\s*==\s*(?P<value>[^)]*?)\s*\)\]"
)


def at_path(body: Any, path: str) -> Any:
    """Return the first thing at a JSONPath such as `.status.conditions[?(@.type=="Ready")].status`, or `None`.

    A backslash before a dot makes the dot part of a name, as in the key of a label.
    """
    found = [body]
    for step in _STEP.finditer(path.replace("\\.", "\0")):
        found = [below for value in found for below in _below(value, step)]
    return found[0] if found and path else None


def _below(value: Any, step: re.Match[str]) -> list[Any]:
    name = step["name"] or step["quoted"]
    if isinstance(value, Mapping):
        if step["all"]:
            return list(value.values())
        name = (name or "").replace("\0", ".")
        return [value[name]] if name in value else []
    if not isinstance(value, list) or name:
        return []
    if step["index"]:
        return value[int(step["index"]) :][:1]
    if step["all"]:
        return value
    wanted = step["value"].strip("\"'")
    return [item for item in value if isinstance(item, Mapping) and _text(item.get(step["key"])) == wanted]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def with_path(body: JsonObject, path: str, value: Any) -> JsonObject:
    """Return an object with another value at a path of plain names."""
    first, _, rest = path.removeprefix(".").partition(".")
    return {**body, first: with_path(body.get(first) or {}, rest, value) if rest else value}
