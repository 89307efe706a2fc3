"""The ASGI application."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mlops_tui.demo.kubernetes import errors
from mlops_tui.demo.kubernetes.cluster import Cluster
from mlops_tui.demo.kubernetes.errors import ApiError
from mlops_tui.demo.kubernetes.http import discovery
from mlops_tui.demo.kubernetes.http.access import Gate, User
from mlops_tui.demo.kubernetes.http.objects import Objects
from mlops_tui.demo.kubernetes.http.reviews import review

Handler = Callable[[Request, User], Awaitable[Response]]
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")


def create_app(cluster: Cluster, tokens: Mapping[str, str]) -> Starlette:
    """Return the application that shows a cluster to clients.

    Args:
        tokens: For each bearer token its role: `admin` may do everything, `oncall` may get, list and watch.
    """
    gate, objects = Gate(tokens), Objects(cluster)

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request, gate.identify(request))
            except ApiError as refusal:
                headers = {"Retry-After": "1"} if refusal.code == 504 else None
                return JSONResponse(refusal.status(), refusal.code, headers)

        return endpoint

    routes = {
        "/version": _version,
        "/healthz": _healthy,
        "/livez": _healthy,
        "/readyz": _healthy,
        "/api": _api,
        "/apis": _groups,
        "/api/{version}": _core_resources,
        "/apis/{group}": _group,
        "/apis/{group}/{version}": _resources,
        "/apis/authorization.k8s.io/v1/{plural}": _review,
        "/openapi/v3": _openapi,
        "/openapi/v3/{path:path}": _openapi_document,
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


async def _groups(request: Request, _: User) -> Response:
    return _document(request, discovery.group_list())


async def _group(request: Request, _: User) -> Response:
    return _document(request, discovery.group(request.path_params["group"]))


async def _core_resources(request: Request, _: User) -> Response:
    return _document(request, discovery.resource_list(request.path_params["version"]))


async def _resources(request: Request, _: User) -> Response:
    parameters = request.path_params
    return _document(request, discovery.resource_list(f"{parameters['group']}/{parameters['version']}"))


async def _openapi(request: Request, _: User) -> Response:
    return _document(request, discovery.openapi_paths())


async def _openapi_document(request: Request, _: User) -> Response:
    return _document(request, discovery.openapi_document(request.path_params["path"]))


async def _review(request: Request, user: User) -> Response:
    _only(request, "POST")
    content_type = request.headers.get("content-type", "application/json")
    return JSONResponse(review(request.path_params["plural"], user, content_type, await request.body()), 201)


async def _unknown(_: Request, __: User) -> Response:
    raise errors.unknown_path()
