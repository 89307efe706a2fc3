"""The ASGI application: Prometheus' HTTP API over a store."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mlops_tui.demo.prometheus import parameters
from mlops_tui.demo.prometheus.aggregation import LABEL_NAME
from mlops_tui.demo.prometheus.exposition import CONTENT_TYPE, expose
from mlops_tui.demo.prometheus.families import Family
from mlops_tui.demo.prometheus.parameters import Parameters
from mlops_tui.demo.prometheus.queries import instant, over
from mlops_tui.demo.prometheus.ranges import Window
from mlops_tui.demo.prometheus.storage import NAME, Labels, SampleStore
from mlops_tui.demo.prometheus.values import BadQuery, QueryError, Value, render
from mlops_tui.domain.clock import Clock

VERSION: Final = "2.42.0"
"""Of Prometheus: whose API this is."""
_CODES: Final = {"bad_data": 400, "execution": 422, "timeout": 503, "internal": 500}


class Source(Protocol):
    """Who scrapes.

    Attributes:
        store: What was scraped.
        clock: What `now` is for queries.
        families: The metrics.
    """

    @property
    def store(self) -> SampleStore: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def families(self) -> Iterable[Family]: ...

    @property
    def interval(self) -> float:
        """Return the seconds between two scrapes."""


def create_app(source: Source) -> Starlette:
    """Return the application that answers queries about what a source has scraped."""
    api = _Api(source)
    both, get = ("GET", "POST"), ("GET",)
    answers: dict[str, tuple[_Answer, tuple[str, ...]]] = {
        "query": (api.query, both),
        "query_range": (api.query_range, both),
        "series": (api.series, both),
        "labels": (api.labels, both),
        "label/{name}/values": (api.label_values, get),
        "metadata": (api.metadata, get),
        "targets": (api.targets, get),
        "status/buildinfo": (api.buildinfo, get),
    }
    routes = [
        Route(f"/api/v1/{path}", _enveloped(answer), methods=methods) for path, (answer, methods) in answers.items()
    ]
    routes += [
        Route("/metrics", api.metrics),
        Route("/-/healthy", _says("Prometheus Server is Healthy.\n")),
        Route("/-/ready", _says("Prometheus Server is Ready.\n")),
    ]
    return Starlette(routes=routes)


_Answer = Callable[[Request, Parameters], Awaitable[Any]]
_Endpoint = Callable[[Request], Awaitable[Response]]


def _enveloped(answer: _Answer) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            data = await answer(request, await _parameters(request))
        except QueryError as error:
            body = {"status": "error", "errorType": error.kind, "error": str(error)}
            return JSONResponse(body, _CODES[error.kind])
        return JSONResponse({"status": "success", "data": data})

    return endpoint


async def _parameters(request: Request) -> Parameters:
    """Return the parameters of the form and of the URL, the form's first."""
    given: dict[str, list[str]] = {}
    if request.headers.get("content-type", "").partition(";")[0] == "application/x-www-form-urlencoded":
        given = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    return given


def _says(text: str) -> _Endpoint:
    async def endpoint(_: Request) -> Response:
        return PlainTextResponse(text)

    return endpoint


class _Api:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._store = source.store

    def _now(self) -> int:
        return round(self._source.clock.now().timestamp() * 1000)

    async def query(self, _: Request, given: Parameters) -> Any:
        at = parameters.moment(given, "time", self._now())
        timeout = parameters.timeout(given)
        try:
            answer = instant(self._store, parameters.first(given, "query"), at, timeout=timeout)
        except BadQuery as error:
            raise _invalid_query(error) from None
        return {"resultType": answer.type, "result": _result(answer.value, at)}

    async def query_range(self, _: Request, given: Parameters) -> Any:
        start, end, step = parameters.steps(given)
        try:
            rows = await over(
                self._store, parameters.first(given, "query"), start, end, step, timeout=parameters.timeout(given)
            )
        except BadQuery as error:
            raise _invalid_query(error) from None
        return {"resultType": "matrix", "result": [_row(labels, samples) for labels, samples in rows]}

    async def series(self, _: Request, given: Parameters) -> Any:
        if not given.get("match[]"):
            raise BadQuery("no match[] parameter provided")
        return [dict(series.labels) for series in parameters.selected(self._store, given)]

    async def labels(self, _: Request, given: Parameters) -> Any:
        return sorted({name for series in parameters.selected(self._store, given) for name, _ in series.labels})

    async def label_values(self, request: Request, given: Parameters) -> Any:
        name = request.path_params["name"]
        if not LABEL_NAME.fullmatch(name):
            raise BadQuery(f'invalid label name: "{name}"')
        found = parameters.selected(self._store, given)
        return sorted({series.lookup[name] for series in found if name in series.lookup})

    async def metadata(self, _: Request, given: Parameters) -> Any:
        wanted, limit = parameters.first(given, "metric"), parameters.first(given, "limit")
        if limit and not limit.removeprefix("-").isdecimal():
            raise BadQuery("limit must be a number")
        families = [family for family in self._source.families if wanted in ("", family.name)]
        shown = families[: int(limit)] if limit and int(limit) >= 0 else families
        return {family.name: [{"type": family.type, "help": family.help, "unit": ""}] for family in shown}

    async def targets(self, _: Request, given: Parameters) -> Any:
        active = [_target(series.labels, series.times[-1], self._source.interval) for series in self._active("up")]
        return {
            "activeTargets": active if parameters.first(given, "state") != "dropped" else [],
            "droppedTargets": [],
        }

    def _active(self, name: str) -> list[Any]:
        return [series for series in self._store.select((), name) if series.is_active]

    async def buildinfo(self, _: Request, __: Parameters) -> Any:
        return {"version": VERSION, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}

    async def metrics(self, _: Request) -> Response:
        return Response(expose(self._store, self._source.families), media_type=CONTENT_TYPE)


def _invalid_query(error: BadQuery) -> BadQuery:
    return BadQuery(f'invalid parameter "query": {error}')


def _result(value: Value, at: int) -> list[Any]:
    if isinstance(value, float):
        return [_seconds(at), render(value)]
    if isinstance(value, str):
        return [_seconds(at), value]
    return [
        _row(labels, zip(each.times, each.values, strict=True))
        if isinstance(each, Window)
        else {"metric": dict(labels), "value": [_seconds(at), render(each)]}
        for labels, each in value
    ]


def _row(labels: Labels, samples: Iterable[tuple[int, float]]) -> dict[str, Any]:
    return {"metric": dict(labels), "values": [[_seconds(at), render(value)] for at, value in samples]}


def _seconds(at: int) -> float | int:
    return at // 1000 if at % 1000 == 0 else at / 1000


def _target(labels: Labels, scraped: int, interval: float) -> dict[str, Any]:
    own = {name: value for name, value in labels if name != NAME}
    address, path = own.get("instance", ""), "/metrics"
    return {
        "discoveredLabels": {"__address__": address, "__metrics_path__": path, "__scheme__": "http"},
        "labels": own,
        "scrapePool": own.get("job", ""),
        "scrapeUrl": f"http://{address}{path}",
        "globalUrl": f"http://{address}{path}",
        "lastError": "",
        "lastScrape": datetime.fromtimestamp(scraped / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "lastScrapeDuration": 0.0,
        "health": "up",
        "scrapeInterval": f"{interval:g}s",
        "scrapeTimeout": f"{interval:g}s",
    }
