"""The ASGI application."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.http import discovery
from mlops_tui.demo.kubernetes.http.access import Gate, User, authorize_path
from mlops_tui.demo.kubernetes.http.objects import Objects
from mlops_tui.demo.kubernetes.http.reviews import authorize_review, review
from mlops_tui.demo.kubernetes.resources import ResourceTypes

Handler = Callable[[Request, User], Awaitable[Response]]
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")


def create_app(cluster: Cluster, tokens: Mapping[str, str]) -> Starlette:
    """Return the application that shows a cluster to clients.

    Args:
        tokens: For each bearer token its role: `admin` may do everything, `oncall` may get, list and watch.
    """
    gate, objects, types = Gate(tokens), Objects(cluster), _Types(cluster.types)
    reviews: dict[str, Handler] = {f"/apis/{each}/{{plural}}": partial(_review, each) for each in discovery.REVIEWS}

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        authorizes = handler in (objects.answer, *reviews.values())

        async def endpoint(request: Request) -> Response:
            try:
                user = gate.identify(request)
                if not authorizes:
                    authorize_path(user, request.method, request.url.path)
                return await handler(request, user)
            except ApiError as refusal:
                headers = {"Retry-After": "1"} if refusal.code == 504 else None
                return JSONResponse(refusal.status(), refusal.code, headers)

        return endpoint

    routes: dict[str, Handler] = {
        "/version": _version,
        "/healthz": _healthy,
        "/livez": _healthy,
        "/readyz": _healthy,
        "/api": _api,
        "/apis": types.groups,
        "/api/{version}": types.core_resources,
        "/apis/{group}": types.group,
        "/apis/{group}/{version}": types.resources,
        **reviews,
        "/openapi/v3": types.openapi,
        "/openapi/v3/{path:path}": types.openapi_document,
        "/api/{path:path}": objects.answer,
        "/apis/{path:path}": objects.answer,
        "/{path:path}": _unknown,
    }
    return Starlette(routes=[Route(path, guarded(handler), methods=_ANY) for path, handler in routes.items()])


def _only(request: Request, method: str) -> None:
    if request.method != method:
        raise errors.method_not_allowed()


def _document(request: Request, document: dict[str, object] | None) -> Response:
    _only(request, "GET")
    if document is None:
        raise errors.unknown_path()
    return JSONResponse(document)


async def _version(request: Request, _: User) -> Response:
    return _document(request, discovery.VERSION)


async def _healthy(request: Request, _: User) -> Response:
    _only(request, "GET")
    return PlainTextResponse("ok")


async def _api(request: Request, _: User) -> Response:
    return _document(request, discovery.api_versions(request.url.netloc))


async def _review(group_version: str, request: Request, user: User) -> Response:
    plural = request.path_params["plural"]
    authorize_review(user, group_version, plural)
    _only(request, "POST")
    content_type = request.headers.get("content-type", "application/json")
    return JSONResponse(review(group_version, plural, user, content_type, await request.body()), 201)


async def _unknown(_: Request, __: User) -> Response:
    raise errors.unknown_path()


class _Types:
    """Answers what types there are, as CustomResourceDefinitions come and go."""

    def __init__(self, types: ResourceTypes) -> None:
        self._types = types

    async def groups(self, request: Request, _: User) -> Response:
        return _document(request, discovery.group_list(self._types))

    async def group(self, request: Request, _: User) -> Response:
        return _document(request, discovery.group(self._types, request.path_params["group"]))

    async def core_resources(self, request: Request, _: User) -> Response:
        return _document(request, discovery.resource_list(self._types, request.path_params["version"]))

    async def resources(self, request: Request, _: User) -> Response:
        parameters = request.path_params
        group_version = f"{parameters['group']}/{parameters['version']}"
        return _document(request, discovery.resource_list(self._types, group_version))

    async def openapi(self, request: Request, _: User) -> Response:
        return _document(request, discovery.openapi_paths(self._types))

    async def openapi_document(self, request: Request, _: User) -> Response:
        return _document(request, discovery.openapi_document(self._types, request.path_params["path"]))
