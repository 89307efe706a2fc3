"""Structural schemas of custom resources: what the server drops, fills in and refuses by them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Cause = tuple[str, str, str]
"""Field, reason and message of a broken rule."""
Schema = Mapping[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_ENVELOPE = ("apiVersion", "kind", "metadata")
"""Fields of every object, which a schema does not decide."""
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def completed(schema: Schema, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the fields that its schema does not know, and with the schema's defaults."""
    envelope = {key: body[key] for key in _ENVELOPE if key in body}
    rest = {key: value for key, value in body.items() if key not in _ENVELOPE}
    return {**envelope, **_completed(schema, rest)}


def _completed(schema: Schema, value: Any) -> Any:
    if isinstance(value, list):
        return [_completed(schema.get("items") or {}, item) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    result = {}
    for key, item in value.items():
        if key in known:
            result[key] = _completed(known[key], item)
        elif isinstance(others, Mapping):
            result[key] = _completed(others, item)
        elif others or schema.get(_PRESERVE):
            result[key] = item
    for key, field in known.items():
        if key not in result and "default" in field:
            result[key] = _completed(field, field["default"])
    return result


def causes(schema: Schema, body: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield the rules of its schema that an object breaks."""
    yield from _causes(schema, {key: value for key, value in body.items() if key not in _ENVELOPE}, "")


def _causes(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    wanted = schema.get("type")
    if wanted and not schema.get(_INT_OR_STRING) and not _is_a(wanted, value):
        found = _type_of(value)
        message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
        yield path, "FieldValueInvalid", message
        return
    yield from _scalar_causes(schema, value, path)
    if isinstance(value, dict):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key in schema.get("required") or ():
            if key not in value and key not in (_ENVELOPE if not path else ()):
                yield _below(path, key), "FieldValueRequired", "Required value"
        for key, item in value.items():
            below = known.get(key) or (others if isinstance(others, Mapping) else {})
            yield from _causes(below, item, _below(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _causes(schema.get("items") or {}, item, f"{path}[{index}]")


def _scalar_causes(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{choice}"' for choice in schema["enum"])
        yield path, "FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {supported}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for name, wrong, rule in (
            ("minimum", value < schema.get("minimum", value), "greater"),
            ("maximum", value > schema.get("maximum", value), "less"),
        ):
            if wrong:
                message = f"Invalid value: {shown}: {path} in body should be {rule} than or equal to {schema[name]}"
                yield path, "FieldValueInvalid", message
    if isinstance(value, str) and (pattern := schema.get("pattern")) and not re.search(pattern, value):
        yield path, "FieldValueInvalid", f"Invalid value: {shown}: {path} in body should match '{pattern}'"


def _is_a(wanted: str, value: Any) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    return next(name for name in _TYPES if _is_a(name, value))


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def definition_causes(body: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield the rules that a CustomResourceDefinition breaks: field, reason and message."""
    spec = body["spec"]
    names = spec.get("names") or {}
    expected = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if body["metadata"].get("name") != expected:
        message = f'Invalid value: "{body["metadata"].get("name", "")}": must be spec.names.plural+"."+spec.group'
        yield "metadata.name", "FieldValueInvalid", message
    for field, found in (
        ("group", spec.get("group")),
        ("versions", spec.get("versions")),
        ("scope", spec.get("scope")),
        ("names.plural", names.get("plural")),
        ("names.kind", names.get("kind")),
    ):
        if not found:
            yield f"spec.{field}", "FieldValueRequired", "Required value"
    if spec.get("scope") not in (None, "", "Namespaced", "Cluster"):
        message = f'Unsupported value: "{spec["scope"]}": supported values: "Cluster", "Namespaced"'
        yield "spec.scope", "FieldValueNotSupported", message
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            message = "Required value: schemas are required"
            yield f"spec.versions[{index}].schema.openAPIV3Schema", "FieldValueRequired", message
    if versions and sum(bool(version.get("storage")) for version in versions) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        yield "spec.versions", "FieldValueInvalid", message
