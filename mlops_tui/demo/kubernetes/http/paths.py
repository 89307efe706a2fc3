"""What a path of the API means."""

from dataclasses import dataclass

from mlops_tui.demo.kubernetes.errors import not_found, unknown_path
from mlops_tui.demo.kubernetes.resources import Resource, ResourceTypes


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: a type, of one namespace or all, or one object, or a part of it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str, types: ResourceTypes) -> Target:
    """Return the target of a path below `/api/v1` or `/apis/GROUP/VERSION`.

    Raises:
        ApiError: 404 for a type that there is not, or that is not addressed like this.
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", *_head(parts[1:])
    else:
        group = parts[1] if len(parts) > 1 else ""
        version, rest = _head(parts[2:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = types.at(group, version, rest[0])
    name, subresource = (*rest[1:], "", "")[:2]
    if resource is None or len(rest) > 3 or "" in rest:
        raise unknown_path()
    if resource.namespaced != bool(namespace) and (name or namespace):
        raise unknown_path()
    if subresource and subresource not in resource.subresources:
        raise unknown_path() if resource.definition is None else not_found(resource, name)
    return Target(resource, namespace, name, subresource)


def _head(parts: list[str]) -> tuple[str, list[str]]:
    if len(parts) < 2:
        raise unknown_path()
    return parts[0], parts[1:]
