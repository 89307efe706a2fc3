"""What the server has: versions, groups, resource types, and as much of OpenAPI as clients ask about."""

from mlops_tui.demo.kubernetes.resources import VERBS, Resource, ResourceTypes, version_rank
from mlops_tui.demo.kubernetes.store import JsonObject

VERSION: JsonObject = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0",
    "gitCommit": "70d3cc986aa8221cd1dfb1121852688902d3bf53",
    "gitTreeState": "clean",
    "buildDate": "2024-12-11T17:59:15Z",
    "goVersion": "go1.23.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
AUTHENTICATION = "authentication.k8s.io/v1"
AUTHORIZATION = "authorization.k8s.io/v1"
REVIEWS = {
    AUTHENTICATION: {"selfsubjectreviews": "SelfSubjectReview"},
    AUTHORIZATION: {
        "selfsubjectaccessreviews": "SelfSubjectAccessReview",
        "selfsubjectrulesreviews": "SelfSubjectRulesReview",
    },
}
"""For each group version the kinds that are only asked, never kept."""


def api_versions(address: str) -> JsonObject:
    """Return what `/api` answers."""
    client = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [client]}


def group_versions(types: ResourceTypes) -> list[str]:
    """Return `apps/v1` and its like, without the core group."""
    return [*dict.fromkeys(resource.group_version for resource in types if resource.group), *REVIEWS]


def _groups(types: ResourceTypes) -> dict[str, JsonObject]:
    """Return the groups by name, each with its versions, the preferred one first."""
    versions: dict[str, list[str]] = {}
    for each in group_versions(types):
        name, _, version = each.partition("/")
        versions.setdefault(name, []).append(version)
    groups = {}
    for name, found in versions.items():
        ordered = sorted(found, key=version_rank, reverse=True)
        references = [{"groupVersion": f"{name}/{version}", "version": version} for version in ordered]
        groups[name] = {"name": name, "versions": references, "preferredVersion": references[0]}
    return groups


def group_list(types: ResourceTypes) -> JsonObject:
    """Return what `/apis` answers."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [*_groups(types).values()]}


def group(types: ResourceTypes, name: str) -> JsonObject | None:
    """Return what `/apis/GROUP` answers, or `None`."""
    found = _groups(types).get(name)
    return None if found is None else {"kind": "APIGroup", "apiVersion": "v1", **found}


def resource_list(types: ResourceTypes, group_version: str) -> JsonObject | None:
    """Return what `/api/v1` or `/apis/GROUP/VERSION` answers, or `None`."""
    if group_version in REVIEWS:
        kinds = REVIEWS[group_version].items()
        listed = [_entry(plural, kind, namespaced=False, verbs=["create"]) for plural, kind in kinds]
    else:
        found = sorted((each for each in types if each.group_version == group_version), key=lambda each: each.plural)
        listed = [entry for resource in found for entry in _entries(resource)]
    if not listed:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _entry(name: str, kind: str, *, namespaced: bool, verbs: list[str], singular: str = "") -> JsonObject:
    return {"name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs}


def _entries(resource: Resource) -> list[JsonObject]:
    verbs = [verb for verb in VERBS if resource.namespaced or verb != "deletecollection"]
    if resource.definition is not None:
        verbs = list(_CUSTOM_VERBS)
    scope = resource.namespaced
    whole = _entry(resource.plural, resource.kind, namespaced=scope, verbs=verbs, singular=resource.singular)
    if resource.short_names:
        whole["shortNames"] = list(resource.short_names)
    if resource.categories:
        whole["categories"] = list(resource.categories)
    entries = [whole]
    for part in resource.subresources:
        name = f"{resource.plural}/{part}"
        if part == "scale":
            scale = _entry(name, "Scale", namespaced=scope, verbs=["get", "patch", "update"])
            entries.append({**scale, "group": "autoscaling", "version": "v1"})
        else:
            part_verbs = ["get"] if part == "log" else ["get", "patch", "update"]
            entries.append(_entry(name, resource.kind, namespaced=scope, verbs=part_verbs))
    return entries


def openapi_paths(types: ResourceTypes) -> JsonObject:
    """Return what `/openapi/v3` answers."""
    names = ["api/v1", *(f"apis/{each}" for each in group_versions(types))]
    return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash=1"} for name in names}}


def openapi_document(types: ResourceTypes, path: str) -> JsonObject | None:
    """Return the OpenAPI document of a group, or `None`.

    It holds no schemas. It says that PATCH knows `fieldValidation`, which is what kubectl looks up before it applies.
    """
    group_version = path.removeprefix("apis/").removeprefix("api/")
    found = [each for each in types if each.group_version == group_version]
    if not found:
        return None
    paths = {}
    for each in found:
        scope = "namespaces/{namespace}/" if each.namespaced else ""
        patch = {
            "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-group-version-kind": {"group": each.group, "version": each.version, "kind": each.kind},
        }
        paths[f"/{path}/{scope}{each.plural}/{{name}}"] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}
