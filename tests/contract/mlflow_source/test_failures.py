"""What the source says of servers that are down, silent, strange or refuse."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest

from mlops_tui.domain.base import RowKind, RowRef
from mlops_tui.domain.errors import Denied, NotConfigured, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.mlflow import MlflowSource, MlflowTarget
from mlops_tui.sources.mlflow import source as source_module
from mlops_tui.sources.mlflow.sdk import Registry, load_sdk
from tests.support.clock import ManualClock, settle
from tests.support.mlflow_server import answering, http_answer

PASSWORD = "hunter2"


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., MlflowSource]]:
    """Makes sources that are closed in the end."""
    sources: list[MlflowSource] = []

    def make(uri: str | None, registry_uri: str | None = None) -> MlflowSource:
        source = MlflowSource(
            MlflowTarget(source_id="mlflow", tracking_uri=uri, registry_uri=registry_uri), ManualClock()
        )
        sources.append(source)
        return source

    yield make
    for source in sources:
        await source.close()


async def failure(source: MlflowSource) -> SourceError:
    """Return what a cycle raises."""
    with pytest.raises(SourceError) as caught:
        await source.cycle(lambda delta: None)
    return caught.value


NOTHING = http_answer(200, "{}")
BREAK = b""


@contextlib.asynccontextmanager
async def scripted(*answers: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that gives one answer after the other, then `NOTHING`; `None` is silence. Yield its requests too."""
    left = iter(answers)
    requests: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                answer = next(left, NOTHING)
                if answer == BREAK:
                    writer.transport.abort()
                elif answer is not None:
                    writer.write(answer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await settle()


LOGIN_PAGE = "<html><title>Sign in</title>hunter2</html>"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (http_answer(401, "You are not authenticated.", "text/html"), Unauthenticated, "HTTP 401"),
        (http_answer(401, '{"message": "Unauthorized"}'), Unauthenticated, "HTTP 401"),
        (http_answer(401, '{"error_code": "UNAUTHENTICATED", "message": "no"}'), Unauthenticated, "HTTP 401"),
        (http_answer(403, "Permission denied", "text/html"), Denied, "HTTP 403"),
        (http_answer(403, '{"error_code": "PERMISSION_DENIED", "message": "no"}'), Denied, "HTTP 403"),
        (http_answer(403, '{"detail": "Forbidden"}'), Denied, "HTTP 403"),
        (http_answer(404, "<h1>Not Found</h1>", "text/html"), Unavailable, "no MLflow API"),
        (http_answer(404, '{"detail": "Not Found"}'), Unavailable, "no MLflow API"),
        (http_answer(200, LOGIN_PAGE, "text/html"), Unavailable, "something else than MLflow's API"),
        (http_answer(502, "<h1>Bad Gateway</h1>", "text/html"), Unavailable, "HTTP 502"),
        (http_answer(503, "", headers="Retry-After: 3600\r\n"), Unavailable, "HTTP 503"),
        (http_answer(429, "", headers="Retry-After: 3600\r\n"), Unavailable, "too many requests"),
        (http_answer(400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "odd"}'), Unavailable, "odd"),
        (b"nonsense\r\n\r\n", Unavailable, ""),
    ],
)
async def test_an_answer_that_is_no_registry(
    make: Callable[..., MlflowSource], answer: bytes, kind: type[SourceError], words: str
) -> None:
    async with answering(answer) as uri:
        started = time.monotonic()
        source = make(uri.replace("http://", f"http://ada:{PASSWORD}@"))
        error = await failure(source)
        assert time.monotonic() - started < 5
        assert type(error) is kind, error
        assert words in error.message
        assert uri.removeprefix("http://") in error.message
        for text in (error.message, error.hint, repr(error), source.info.label):
            assert PASSWORD not in text
        assert error.__suppress_context__
        probe = await source.probe()
        denied = kind in (Denied, Unauthenticated)
        assert probe.status is (SourceStatus.DENIED if denied else SourceStatus.UNREACHABLE)
        assert PASSWORD not in probe.model_dump_json()
        assert {permission.allowed for permission in probe.permissions} == ({False} if denied else set())


async def test_credentials_of_the_environment_are_used_and_never_shown(
    make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ps3cret")
    echo = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "bad header Bearer t0ps3cret"})
    async with answering(http_answer(400, echo)) as uri:
        source = make(uri)
        error = await failure(source)
        assert "bad header" in error.message
        assert "t0ps3cret" not in error.message
        assert (await source.probe()).identity == "token"
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "t0ps3cret")
        assert (await source.probe()).identity == "ada"


async def test_a_silent_server_is_given_up(make: Callable[..., MlflowSource]) -> None:
    load_sdk()
    async with answering(None) as uri:
        place = uri.removeprefix("http://")
        watched = make(uri)
        started = time.monotonic()
        error, probe = await asyncio.gather(failure(watched), make(uri).probe())
        assert time.monotonic() - started < 10
        assert isinstance(error, Unavailable)
        assert error.message == probe.error == f"{place}: no answer in time"
        assert probe.status is SourceStatus.UNREACHABLE
        assert (await watched.probe()).error == error.message  # though its threads still wait
        assert time.monotonic() - started < 20


async def test_a_server_that_is_silent_in_the_end_is_asked_once(
    make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sdk()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    async with scripted(NOTHING, NOTHING, None) as (uri, requests):
        source = make(uri)
        started = time.monotonic()
        error = await failure(source)
        assert time.monotonic() - started < 2
    assert error.message.endswith("no answer in time")
    assert len(requests) == 3


async def test_a_connection_that_breaks_is_made_again_once(make: Callable[..., MlflowSource]) -> None:
    load_sdk()
    async with scripted(NOTHING, NOTHING, BREAK) as (uri, requests):
        await make(uri).cycle(lambda delta: None)
        assert len(requests) == 5  # two heads, the models twice, the versions
    async with scripted(NOTHING, NOTHING, BREAK, BREAK) as (uri, requests):
        assert "the connection broke" in (await failure(make(uri))).message
        assert len(requests) == 4


async def test_a_run_on_a_server_that_has_become_silent(
    make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sdk()
    monkeypatch.setattr(source_module, "ANSWER_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    version = {"name": "fraud", "version": "1", "run_id": "r1"}
    versions = http_answer(200, json.dumps({"model_versions": [version]}))
    models = http_answer(200, json.dumps({"registered_models": [{"name": "fraud"}]}))
    found = http_answer(200, json.dumps({"model_version": version}))
    async with scripted(NOTHING, NOTHING, models, versions, NOTHING, NOTHING, found, None, None) as (uri, _):
        source = make(uri)
        await source.cycle(lambda delta: None)
        ref = RowRef(kind=RowKind.VERSION, key="mlflow/fraud/1")
        started = time.monotonic()
        [_, run] = await source.detail(ref)
        assert [field.label for field in run.fields] == ["Run", "Not read"]
        assert run.fields[1].value.endswith("no answer in time")
        with pytest.raises(Unavailable, match="no answer in time"):
            await source.detail(ref)
        assert time.monotonic() - started < 1.9


async def test_a_probe_reports_whatever_happens(
    make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Registry) -> str:
        raise ValueError(PASSWORD)

    monkeypatch.setattr(Registry, "identity", fail)
    probe = await make("http://127.0.0.1:1").probe()
    assert probe.status is SourceStatus.UNREACHABLE
    assert probe.error == "internal error: ValueError"
    assert PASSWORD not in probe.model_dump_json()


async def test_a_cycle_can_be_cancelled_while_a_server_is_silent(
    make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sdk()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    async with answering(None) as uri:
        cycle = asyncio.ensure_future(make(uri).cycle(lambda delta: None))
        await asyncio.sleep(0.1)
        cycle.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await cycle
        assert time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("http://ada:hunter2@127.0.0.1:1", "connection refused"),
        ("http://nowhere.invalid", "no such host"),
        ("http://[nonsense", "is no MLflow address"),
        ("gopher://ada:hunter2@x", "is no MLflow address"),
    ],
)
async def test_an_address_without_a_server(make: Callable[..., MlflowSource], uri: str, words: str) -> None:
    source = make(uri)
    error = await failure(source)
    assert isinstance(error, Unavailable)
    assert words in error.message
    assert PASSWORD not in error.message + error.hint + source.info.label


async def test_nothing_configured(make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    source = make(None)
    error = await failure(source)
    assert isinstance(error, NotConfigured)
    assert "MLFLOW_TRACKING_URI" in error.hint
    assert (await source.probe()).status is SourceStatus.OFF


async def test_the_environment_says_where(make: Callable[..., MlflowSource], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    source = make(None)
    assert source.info.label == "127.0.0.1:1"
    assert "connection refused" in (await failure(source)).message


async def test_a_folder_of_files_is_not_supported(make: Callable[..., MlflowSource]) -> None:
    for uri in ("file:///tmp/mlruns", "./mlruns"):
        error = await failure(make(uri))
        assert isinstance(error, NotConfigured)
        assert "sqlite:///" in error.hint


async def test_failures_leave_stderr_alone(
    make: Callable[..., MlflowSource], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sdk()
    # As in an engine that set no logging up: Python would print warnings itself.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for answer in (http_answer(502, ""), http_answer(418, '{"error_code": "TEAPOT", "message": "x"}')):
        async with answering(answer) as uri:
            await failure(make(uri))
    assert capfd.readouterr().err == ""
