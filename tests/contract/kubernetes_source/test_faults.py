"""Servers that misbehave: the right error, a bounded number of requests, nothing lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_tui.domain.errors import Denied, SourceError, Unavailable
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.base import Delta
from mlops_tui.sources.kubernetes import KubernetesSource, source, transport, watch
from tests.contract.kubernetes_source.faulty import GONE, Exchange, FaultyServer, Script, served
from tests.contract.kubernetes_source.harness import PATIENCE, Watcher


async def failure(subject: KubernetesSource, published: list[Delta] | None = None) -> SourceError:
    """Run a cycle that has to fail, and return why."""
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(PATIENCE):
            await subject.cycle((published if published is not None else []).append)
    return caught.value


def idle_after(first: Script) -> Script:
    """Return a script whose first watch is `first`, and whose later ones are healthy and silent."""
    watches: Iterator[int] = iter(range(1000))

    async def script(request: Exchange) -> None:
        if not request.is_watch:
            await request.items(served("fraud-api", "7"))
        elif next(watches) == 0:
            await first(request)
        else:
            await request.begin()
            await asyncio.sleep(60)

    return script


async def empty_watch(request: Exchange) -> None:
    if not request.is_watch:
        return await request.items(served("fraud-api", "7"))
    await request.begin()
    await request.end()
    return None


async def test_watches_that_are_empty_are_not_asked_for_in_a_loop(tmp_path: Path) -> None:
    async with FaultyServer(empty_watch, tmp_path) as server:
        subject = server.source()
        errors = [await failure(subject) for _ in range(4)]
        await subject.close()
    assert all(isinstance(error, Unavailable) for error in errors)
    assert errors[0].message == "the server ends its watches at once"
    assert all(
        1 <= (error.retry_after or 0) <= watch.MOST_BACKOFF for error in errors if isinstance(error, Unavailable)
    )
    assert (len(server.lists), len(server.watches)) == (1, 4)


async def test_a_failing_namespace_is_asked_seldom_while_another_is_well(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        if "/bad/" in request.path:
            return await empty_watch(request)
        return await idle_after(idle)(request)

    async with FaultyServer(script, tmp_path) as server, Watcher(server.source("bad", "ml")) as watcher:
        await asyncio.sleep(2.5)
        await watcher.until(lambda: watcher.deltas)
    bad = [request for request in server.watches if "/bad/" in request.path]
    assert 1 <= len(bad) <= 3
    problems = [problem for delta in watcher.deltas for problem in delta.problems or ()]
    assert {(problem.scope, problem.status) for problem in problems} == {("namespace bad", SourceStatus.UNREACHABLE)}
    assert [row.name for row in watcher.rows.values()] == ["fraud-api"]


async def idle(request: Exchange) -> None:
    await request.begin()
    await asyncio.sleep(60)


async def test_an_event_before_the_end_is_not_lost(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.begin()
        await asyncio.sleep(0.2)  # long enough for the list and the stream to be published
        await request.event("ADDED", served("ranker", "11"))
        await request.end()

    published: list[Delta] = []
    async with FaultyServer(idle_after(script), tmp_path) as server:
        subject = server.source()
        error = await failure(subject, published)
        await subject.close()
    assert isinstance(error, Unavailable)
    assert {row.key for delta in published for row in delta.upserts} == {
        "kubernetes/ml/fraud-api",
        "kubernetes/ml/ranker",
    }
    assert published[0].complete
    assert "kubernetes/ml/ranker" in {row.key for row in published[-1].upserts}


async def test_a_failure_is_not_published_as_an_answer(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.begin()
        await asyncio.sleep(0.2)
        await request.end()

    published: list[Delta] = []
    async with FaultyServer(idle_after(script), tmp_path) as server:
        subject = server.source()
        await failure(subject, published)
        await subject.close()
    assert published
    assert all(delta.complete or delta.streaming for delta in published)


async def test_a_proxys_error_page(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.answer(502, "<html><b>Bad Gateway</b></html>", Content_Type="text/html")

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        probe = await subject.probe()
        await subject.close()
    assert isinstance(error, Unavailable)
    assert error.message == f"{server.url} answered HTTP 502"
    assert (probe.status, probe.error) == (SourceStatus.UNREACHABLE, error.message)
    assert len(server.requests) == 2


async def test_a_refusal_names_the_missing_permission(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.answer(403, {"kind": "Status", "apiVersion": "v1", "code": 403, "message": "no"})

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        await subject.close()
    assert isinstance(error, Denied)
    assert error.missing == "list deployments in namespace ml"
    assert len(server.requests) == 1


async def test_a_server_that_is_busy_says_when_to_come_back(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.answer(429, "slow down", Retry_After="45")

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        await subject.close()
    assert isinstance(error, Unavailable)
    assert error.retry_after == 45


@pytest.mark.parametrize("in_stream", [False, True])
async def test_a_version_that_is_gone_is_listed_anew(tmp_path: Path, in_stream: bool) -> None:
    lists = iter([[served("fraud-api", "7"), served("old", "8")], [served("fraud-api", "7"), served("new", "12")]])

    async def script(request: Exchange) -> None:
        if not request.is_watch:
            await request.items(*next(lists), version=str(10 * len(server.lists)))
        elif len(server.watches) > 1:
            await idle(request)
        elif in_stream:
            await request.begin()
            await asyncio.sleep(1.1)
            await request.event("ERROR", GONE)
        else:
            await asyncio.sleep(1.1)
            await request.answer(410, GONE)

    async with FaultyServer(script, tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.until(lambda: {row.name for row in watcher.rows.values()} == {"fraud-api", "new"})
    if in_stream:
        change = watcher.deltas[-1]
        assert ([row.key for row in change.upserts], change.removals) == (
            ["kubernetes/ml/new"],
            ["kubernetes/ml/old"],
        )
    assert len(server.lists) == 2


async def test_a_server_that_forgets_at_once_is_not_listed_in_a_loop(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        if request.is_watch:
            await request.answer(410, GONE)
        else:
            await request.items(served("fraud-api", "7"))

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        errors = [await failure(subject) for _ in range(3)]
        await subject.close()
    assert {error.message for error in errors} == {"the server forgets what it has just listed (HTTP 410)"}
    assert len(server.requests) == 6


@pytest.mark.parametrize("kind", ["list", "watch"])
async def test_a_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.3)

    async def script(request: Exchange) -> None:
        if kind == "watch" and not request.is_watch:
            await request.items(served("fraud-api", "7"))
        else:
            await asyncio.sleep(60)

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        await subject.close()
    assert isinstance(error, Unavailable)
    assert error.message == f"{server.url} did not answer in time"


@pytest.mark.parametrize(
    "line", [b"{garbage\n", b"[1]\n", b'{"type": "ADDED"}\n', b'{"type": "ADDED", "object": {}}\n']
)
async def test_something_else_than_an_event(tmp_path: Path, line: bytes) -> None:
    async def script(request: Exchange) -> None:
        await request.begin()
        await request.send(line)
        await asyncio.sleep(60)

    async with FaultyServer(idle_after(script), tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        await subject.close()
    assert isinstance(error, Unavailable)
    assert len(server.requests) == 2


async def test_a_connection_that_drops_in_the_middle_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LEAST_STREAM", 0.1)
    monkeypatch.setattr(watch, "RESUME_SECONDS", 0.1)

    async def script(request: Exchange) -> None:
        await request.begin()
        await request.event("ADDED", served("ranker", "11"))
        await request.send(b'{"type": "ADDED", "object": {"metadata"')
        await asyncio.sleep(0.3)

    async with FaultyServer(idle_after(script), tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.row("ranker")
        await asyncio.sleep(0.8)
        await watcher.until(lambda: len(server.watches) == 2)
    assert [request.query["resourceVersion"] for request in server.watches] == ["10", "11"]
    assert len(server.lists) == 1


async def test_a_long_list_is_read_in_pages(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        if request.is_watch:
            return await idle(request)
        start = int(request.query.get("continue", "0"))
        page = [served(f"model-{number}", str(number)) for number in range(start, start + 100)]
        return await request.items(*page, token=str(start + 100) if start < 200 else "")

    async with FaultyServer(script, tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.until(lambda: watcher.deltas)
    assert watcher.deltas[0].complete
    assert len(watcher.rows) == 300
    assert [request.query.get("continue") for request in server.lists] == [None, "100", "200"]
    assert {request.query["limit"] for request in server.lists} == {"100"}


async def test_credentials_that_expire_are_read_anew_once(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        if request.headers["authorization"] == "bearer old-token":
            server.kubeconfig.write_text(server.kubeconfig.read_text().replace("old-token", "new-token"))
            await request.answer(401, {"kind": "Status", "apiVersion": "v1", "code": 401})
        elif request.is_watch:
            await idle(request)
        else:
            await request.items(served("fraud-api", "7"))

    async with FaultyServer(script, tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.row("fraud-api")
    tokens = [request.headers["authorization"] for request in server.lists]
    assert tokens == ["bearer old-token", "bearer new-token"]


async def test_a_slow_namespace_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PATIENCE_SECONDS", 0.2)

    async def script(request: Exchange) -> None:
        if request.is_watch:
            return await idle(request)
        if "/slow/" in request.path:
            await answer_now.wait()
            return await request.items(served("ranker", "8", "slow"))
        return await request.items(served("fraud-api", "7"))

    answer_now = asyncio.Event()
    async with FaultyServer(script, tmp_path) as server, Watcher(server.source("ml", "slow")) as watcher:
        await watcher.row("fraud-api")
        early = watcher.deltas[-1]
        answer_now.set()
        await watcher.row("ranker")
    assert not early.complete
    assert early.problems is not None
    [problem] = early.problems
    assert (problem.scope, problem.status) == ("namespace slow", SourceStatus.CONNECTING)
    whole = next(delta for delta in watcher.deltas if delta.complete)
    assert {row.key for row in whole.upserts} == {"kubernetes/ml/fraud-api", "kubernetes/slow/ranker"}
    assert whole.problems == ()


async def test_changes_that_come_together_are_one_delta(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.begin()
        await go.wait()
        for number in range(20):
            await request.event("ADDED", served(f"model-{number}", str(20 + number)))
        await asyncio.sleep(60)

    go = asyncio.Event()
    async with FaultyServer(idle_after(script), tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
        before = len(watcher.deltas)
        go.set()
        await watcher.until(lambda: len(watcher.rows) == 21)
    assert len(watcher.deltas) - before <= 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_an_empty_list_whose_namespace_cannot_be_looked_up(tmp_path: Path, status: int) -> None:
    async def script(request: Exchange) -> None:
        if request.path.startswith("/api/v1/namespaces"):
            code = 403 if request.path == "/api/v1/namespaces" else status
            await request.answer(code, {"kind": "Status", "apiVersion": "v1", "code": code, "message": "no"})
        elif request.is_watch:
            await idle(request)
        else:
            await request.items()

    async with FaultyServer(script, tmp_path) as server, Watcher(server.source()) as watcher:
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
    problems = watcher.deltas[0].problems
    assert problems is not None
    # Only one who may not list namespaces is given no names.
    expected = [("does not exist", "check namespaces in [environments]")] if status == 404 else []
    assert [(problem.message, problem.hint) for problem in problems] == expected
    assert len([request for request in server.requests if request.path == "/api/v1/namespaces/ml"]) == 1


async def test_a_server_that_asks_for_years_is_asked_after_an_hour(tmp_path: Path) -> None:
    async def script(request: Exchange) -> None:
        await request.answer(503, "later", Retry_After="99999999999999999999")

    async with FaultyServer(script, tmp_path) as server:
        subject = server.source()
        error = await failure(subject)
        await subject.close()
    assert isinstance(error, Unavailable)
    assert error.retry_after == 3600


async def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    async with FaultyServer(idle, tmp_path) as server:
        subject = server.source()
    error = await failure(subject)
    await subject.close()
    assert isinstance(error, Unavailable)
    assert error.message == f"{server.url} cannot be reached: connection refused"
