"""The requests for resources: verbs on collections and objects."""

import json
from collections.abc import Callable
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mlops_tui.demo.kubernetes import errors, patch
from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.http import representation
from mlops_tui.demo.kubernetes.http.access import User, authorize
from mlops_tui.demo.kubernetes.http.decoding import Fields
from mlops_tui.demo.kubernetes.http.lists import Pager
from mlops_tui.demo.kubernetes.http.logs import answer_log
from mlops_tui.demo.kubernetes.http.options import APPLY, WriteOptions, write_options
from mlops_tui.demo.kubernetes.http.paths import Target, parse
from mlops_tui.demo.kubernetes.http.query import Selection, flag, number
from mlops_tui.demo.kubernetes.http.watch import DEFAULT_TIMEOUT_SECONDS, Bell, Watch
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

_STRATEGIC = "application/strategic-merge-patch+json"
_PATCHES: dict[str, Callable[[JsonObject, Any], Any]] = {
    "application/merge-patch+json": patch.merge,
    "application/json-patch+json": patch.json_patch,
    _STRATEGIC: patch.strategic,
}
_CUSTOM_PATCHES = ("application/json-patch+json", "application/merge-patch+json", APPLY)
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Objects:
    """Answers requests below `/api/v1` and `/apis/GROUP/VERSION`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pager = Pager(cluster)
        self._bell = Bell(cluster)

    async def answer(self, request: Request, user: User) -> Response:
        """Answer a request of a user.

        Raises:
            ApiError: The request is refused.
        """
        target = parse(request.url.path, self._cluster.types)
        watches = flag(request.query_params, "watch") and not target.name
        verb = (_OBJECT_VERBS if target.name else _COLLECTION_VERBS).get(request.method)
        if verb is None or (target.subresource and verb == "delete"):
            raise errors.method_not_allowed()
        authorize(user, "watch" if watches and verb == "list" else verb, target)
        form = representation.negotiate(request.headers.get("accept", ""))
        if verb == "list":
            return self._watch(request, target, form) if watches else self._list(request, target, form)
        if target.subresource == "log":
            return answer_log(self._cluster, request, target)
        if verb == "get":
            return self._get(request, target, form)
        return await self._write(request, verb, target)

    # --- reading ---------------------------------------------------------------------------------------------------

    def _list(self, request: Request, target: Target, form: representation.Form) -> Response:
        query = request.query_params
        self._check_version(query.get("resourceVersion", ""))
        selection = Selection.of(query, target.resource)
        page = self._pager.page(target, selection, number(query, "limit") or 0, query.get("continue", ""))
        now, include = self._cluster.clock.now(), query.get("includeObject", "")
        return _json(representation.many(target.resource, page.objects, page.metadata, form, now, include))

    def _check_version(self, text: str) -> int:
        if not text:
            return 0
        if not text.isdecimal():
            raise errors.bad_request(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: invalid syntax')
        if int(text) > self._cluster.store.version:
            raise errors.version_too_large(int(text), self._cluster.store.version)
        return int(text)

    def _get(self, request: Request, target: Target, form: representation.Form) -> Response:
        if target.subresource == "scale":
            return _json(self._cluster.registry.scale(target.resource, target.namespace, target.name))
        stored = self._cluster.registry.find(target.resource, target.namespace, target.name)
        include = request.query_params.get("includeObject", "")
        return _json(representation.one(stored, form, self._cluster.clock.now(), include))

    def _watch(self, request: Request, target: Target, form: representation.Form) -> Response:
        query = request.query_params
        version = query.get("resourceVersion", "")
        if version and not version.isdecimal():
            raise errors.bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
        watch = Watch(
            self._cluster,
            self._bell,
            target,
            Selection.of(query, target.resource),
            form,
            version=int(version) if version not in ("", "0") else None,
            timeout=number(query, "timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS,
            bookmarks=flag(query, "allowWatchBookmarks"),
            include=query.get("includeObject", ""),
        )
        return StreamingResponse(watch.lines(), media_type="application/json")

    # --- writing ---------------------------------------------------------------------------------------------------

    async def _write(self, request: Request, verb: str, target: Target) -> Response:
        media_type = _media_type(request)
        body = _parse_body(await request.body(), media_type, verb, target)
        options = write_options(request, verb, media_type, body)
        fields = Fields(target, options)
        try:
            match verb:
                case "create":
                    registry, body = self._cluster.registry, fields.sent(body)
                    created = registry.create(
                        target.resource, target.namespace, body, manager=options.manager, dry_run=options.dry_run
                    )
                    answer = _json(created, 201)
                case "patch" if media_type == APPLY:
                    fields.check_applied(body)
                    answer = self._apply(target, body, options)
                case "update":
                    answer = _json(self._update(target, fields.sent(body), options))
                case "patch":
                    change = _PATCHES[media_type]
                    answer = _json(self._patch(target, lambda old: fields.patched(change(old, body)), options))
                case "deletecollection":
                    answer = self._delete_all(request, target, body, options)
                case _:
                    answer = self._delete(request, target, body, options)
            for warning in fields.warnings:
                answer.headers.append("Warning", f"299 - {json.dumps(warning)}")
            return answer
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A body whose deeper parts are of the wrong type: the real server finds out when it decodes them.
            reason = f"json: cannot unmarshal: {type(error).__name__}"
            kind = target.resource.kind
            raise errors.bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {reason}') from error

    def _apply(self, target: Target, body: Any, options: WriteOptions) -> Response:
        applied, created = self._cluster.registry.apply(
            target.resource, target.namespace, target.name, body, options.manager,
            force=options.force, dry_run=options.dry_run,
        )  # fmt: skip
        return _json(applied, 201 if created else 200)

    def _update(self, target: Target, body: Any, options: WriteOptions) -> JsonObject:
        registry, at = self._cluster.registry, (target.resource, target.namespace, target.name)
        manager, dry_run = options.manager, options.dry_run
        if target.subresource == "scale":
            return registry.update_scale(*at, body, manager=manager, dry_run=dry_run)
        return registry.update(*at, body, subresource=target.subresource, manager=manager, dry_run=dry_run)

    def _patch(self, target: Target, change: Callable[[JsonObject], Any], options: WriteOptions) -> JsonObject:
        registry, at = self._cluster.registry, (target.resource, target.namespace, target.name)
        if target.subresource == "scale":
            return self._update(target, change(registry.scale(*at)), options)
        part, manager = target.subresource, options.manager
        return registry.patch(*at, change, subresource=part, manager=manager, dry_run=options.dry_run)

    def _delete(self, request: Request, target: Target, body: JsonObject, options: WriteOptions) -> Response:
        resource, wanted = target.resource, _delete_options(request, body)
        registry = self._cluster.registry
        left = registry.delete(resource, target.namespace, target.name, wanted, dry_run=options.dry_run)
        if resource.deleted_as_object or "deletionTimestamp" in left["metadata"]:
            return _json(left)
        details = {**errors.object_details(resource, target.name), "uid": left["metadata"]["uid"]}
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    def _delete_all(self, request: Request, target: Target, body: JsonObject, options: WriteOptions) -> Response:
        selection, wanted = Selection.of(request.query_params, target.resource), _delete_options(request, body)
        objects = self._cluster.store.select(target.resource, target.namespace)
        chosen: list[Stored] = [stored for stored in objects if selection(stored.body)]
        for stored in chosen:
            self._cluster.registry.delete(target.resource, *stored.key, wanted, dry_run=options.dry_run)
        metadata = {"resourceVersion": str(self._cluster.store.version)}
        now = self._cluster.clock.now()
        return _json(representation.many(target.resource, chosen, metadata, representation.Form.OBJECT, now, ""))


def _json(content: JsonObject | bytes, status: int = 200) -> Response:
    body = content if isinstance(content, bytes) else representation.encode(content)
    return Response(body, status, media_type="application/json")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip()


def _delete_options(request: Request, body: JsonObject) -> JsonObject:
    """Return the options of a deletion: the query's come before the body's."""
    options, query = dict(body), request.query_params
    if (grace := number(query, "gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    if policy := query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    return options


def _parse_body(content: bytes, media_type: str, verb: str, target: Target) -> Any:
    resource = target.resource
    if verb in ("delete", "deletecollection"):
        # Clients may send the options as protobuf; those that matter also come as query parameters.
        options = _loads(content, resource) if content and media_type == "application/json" else {}
        if not isinstance(options, dict):
            raise errors.bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal array")
        return options
    if media_type not in (_patches(target) if verb == "patch" else ("application/json",)):
        custom = verb == "patch" and resource.definition is not None
        raise errors.unsupported_media_type(_CUSTOM_PATCHES if custom else ())
    if media_type == APPLY:
        return _load_yaml(content)
    body = _loads(content, resource)
    if media_type.endswith("merge-patch+json") and not isinstance(body, dict):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]")
    return body


def _patches(target: Target) -> frozenset[str]:
    """Return the kinds of patches that a resource takes."""
    known = frozenset(_PATCHES) if target.subresource else frozenset({*_PATCHES, APPLY})
    # A strategic merge follows the API server's own types, which custom resources have none of.
    return known - {_STRATEGIC} if target.resource.definition is not None else known


class _JsonLoader(yaml.SafeLoader):
    """Reads YAML as JSON: there are no dates."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _load_yaml(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        pass
    try:
        return yaml.load(content, _JsonLoader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {reason}") from error


def _loads(content: bytes, resource: Resource) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; "
            f"json parse error: {error}"
        ) from error
