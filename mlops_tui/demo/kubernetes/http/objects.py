"""The requests for resources: verbs on collections and objects."""

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mlops_tui.demo.kubernetes import errors, patch
from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.http import representation
from mlops_tui.demo.kubernetes.http.access import User, authorize
from mlops_tui.demo.kubernetes.http.lists import Pager
from mlops_tui.demo.kubernetes.http.logs import answer_log
from mlops_tui.demo.kubernetes.http.paths import Target, parse
from mlops_tui.demo.kubernetes.http.query import Selection, flag, number
from mlops_tui.demo.kubernetes.http.watch import DEFAULT_TIMEOUT_SECONDS, Bell, Watch
from mlops_tui.demo.kubernetes.resources import Resource
from mlops_tui.demo.kubernetes.store import JsonObject, Stored

_PATCHES: dict[str, Callable[[JsonObject, Any], Any]] = {
    "application/merge-patch+json": patch.merge,
    "application/json-patch+json": patch.json_patch,
    "application/strategic-merge-patch+json": patch.strategic,
}
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
        target = parse(request.url.path)
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
        body = _parse_body(await request.body(), request, verb, target.resource)
        dry_run = request.query_params.get("dryRun") == "All"
        try:
            match verb:
                case "create":
                    created = self._cluster.registry.create(target.resource, target.namespace, body, dry_run=dry_run)
                    return _json(created, 201)
                case "update" | "patch":
                    return _json(self._change(request, verb, target, body, dry_run=dry_run))
                case "deletecollection":
                    return self._delete_all(request, target)
                case _:
                    return self._delete(request, target, body, dry_run=dry_run)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A body whose deeper parts are of the wrong type: the real server finds out when it decodes them.
            reason = f"json: cannot unmarshal: {type(error).__name__}"
            kind = target.resource.kind
            raise errors.bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {reason}') from error

    def _change(self, request: Request, verb: str, target: Target, body: Any, *, dry_run: bool) -> JsonObject:
        registry, at = self._cluster.registry, (target.resource, target.namespace, target.name)
        if target.subresource == "scale":
            if verb == "patch":
                body = _patcher(request)(registry.scale(*at), body)
            return registry.update_scale(*at, body, dry_run=dry_run)
        part = target.subresource
        if verb == "update":
            return registry.update(*at, body, subresource=part, dry_run=dry_run)
        change = _patcher(request)
        return registry.patch(*at, lambda old: change(old, body), subresource=part, dry_run=dry_run)

    def _delete(self, request: Request, target: Target, options: JsonObject, *, dry_run: bool) -> Response:
        query, resource = request.query_params, target.resource
        options = dict(options)
        if (grace := number(query, "gracePeriodSeconds")) is not None:
            options["gracePeriodSeconds"] = grace
        if policy := query.get("propagationPolicy"):
            options["propagationPolicy"] = policy
        body = self._cluster.registry.delete(resource, target.namespace, target.name, options, dry_run=dry_run)
        if resource.deleted_as_object:
            return _json(body)
        details = {**errors.object_details(resource, target.name), "uid": body["metadata"]["uid"]}
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    def _delete_all(self, request: Request, target: Target) -> Response:
        selection = Selection.of(request.query_params, target.resource)
        objects = self._cluster.store.select(target.resource, target.namespace)
        chosen: list[Stored] = [stored for stored in objects if selection(stored.body)]
        for stored in chosen:
            self._cluster.registry.delete(target.resource, *stored.key)
        metadata = {"resourceVersion": str(self._cluster.store.version)}
        now = self._cluster.clock.now()
        return _json(representation.many(target.resource, chosen, metadata, representation.Form.OBJECT, now, ""))


def _json(content: JsonObject | bytes, status: int = 200) -> Response:
    body = content if isinstance(content, bytes) else representation.encode(content)
    return Response(body, status, media_type="application/json")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip()


def _patcher(request: Request) -> Callable[[JsonObject, Any], Any]:
    return _PATCHES[_media_type(request)]


def _parse_body(content: bytes, request: Request, verb: str, resource: Resource) -> Any:
    media_type = _media_type(request)
    if verb in ("delete", "deletecollection"):
        # Clients may send the options as protobuf; those that matter also come as query parameters.
        return _loads(content, resource) if content and media_type == "application/json" else {}
    if media_type not in (_PATCHES if verb == "patch" else ("application/json",)):
        raise errors.unsupported_media_type()
    body = _loads(content, resource)
    if media_type.endswith("merge-patch+json") and not isinstance(body, dict):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]")
    return body


def _loads(content: bytes, resource: Resource) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; "
            f"json parse error: {error}"
        ) from error
