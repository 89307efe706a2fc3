"""Pod templates: telling them apart, and the hash that names those who run them."""

import hashlib

from mlops_tui.demo.kubernetes.registry import NAME_ALPHABET
from mlops_tui.demo.kubernetes.store import JsonObject


def template_hash(value: object) -> str:
    """Return a hash that looks like the real one, which depends on Go's memory layout and cannot be had elsewhere."""
    number = int.from_bytes(hashlib.sha256(repr(_sorted(value)).encode()).digest()[:4], "big")
    return "".join(NAME_ALPHABET[ord(digit) % len(NAME_ALPHABET)] for digit in str(number))


def own_metadata(template: JsonObject, hash_label: str) -> JsonObject:
    """Return a template's metadata without the hash label that only ReplicaSets have."""
    metadata: JsonObject = template["metadata"]
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key != hash_label}
    return {**metadata, "labels": labels}


def same_template(first: JsonObject, second: JsonObject, hash_label: str) -> bool:
    """Say whether two complete templates make the same pods."""
    if first["spec"] is not second["spec"] and first["spec"] != second["spec"]:
        return False
    return own_metadata(first, hash_label) == own_metadata(second, hash_label)


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list) else value
