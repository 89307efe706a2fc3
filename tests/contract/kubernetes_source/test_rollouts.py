"""Rollouts as the source shows them, held against what kubectl says of the same objects."""

import asyncio
from typing import Any

import pytest

from mlops_tui.domain.base import Attention, DetailSection, Mark, RowKind, RowRef
from mlops_tui.domain.rollout import RolloutPhase
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.kubernetes import watch
from mlops_tui.sources.kubernetes.connection import Connection, Query
from tests.contract.kubernetes_source.harness import Server, Watcher


async def test_the_first_delta_is_the_whole_and_the_watch_follows(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source()) as watcher:
        row = await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
    assert watcher.deltas[0].complete
    assert watcher.deltas[0].identity == "admin"
    assert watcher.deltas[0].problems == ()
    assert not any(delta.complete for delta in watcher.deltas[1:])
    assert row.key == f"kubernetes/{server.namespace}/fraud-api"
    assert (row.environment, row.context, row.namespace) == ("production", "admin", server.namespace)
    assert (row.desired, row.total, row.updated, row.ready, row.available) == (2, 2, 2, 2, 2)
    assert row.images == ("registry/fraud:v1",)
    assert row.labels == {"team": "fraud", "app": "fraud-api"}
    assert row.created_at is not None
    assert row.updated_at is not None
    assert row.updated_at >= row.created_at


@pytest.mark.tool("kubectl")
async def test_a_rollout_runs_and_completes(server: Server) -> None:
    async with Watcher(server.source()) as watcher:
        await server.create("fraud-api", replicas=3)
        row = await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
    said = await server.kubectl_status("fraud-api")
    assert row.message == said == 'deployment "fraud-api" successfully rolled out'
    assert (row.mark, row.attention, row.reason) == (Mark.OK, Attention.OK, "")


@pytest.mark.tool("kubectl")
async def test_a_rollout_whose_image_cannot_be_pulled_waits(server: Server) -> None:
    await server.create("fraud-api", image="registry/fraud:bad-1", replicas=3)
    async with Watcher(server.source()) as watcher:
        row = await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.WAITING)
    assert row.message == await server.kubectl_status("fraud-api")
    assert row.message.endswith("0 of 3 updated replicas are available...")
    assert (row.mark, row.attention, row.reason) == (Mark.RUNNING, Attention.INFO, "waiting 0/3")


@pytest.mark.tool("kubectl")
async def test_a_rollout_that_stalls_has_failed(server: Server) -> None:
    await server.create("fraud-api", image="registry/fraud:v1", progressDeadlineSeconds=2)
    async with Watcher(server.source()) as watcher:
        await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await server.set_image("fraud-api", "registry/fraud:bad-2")
        row = await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.FAILED)
    assert row.message == await server.kubectl_status("fraud-api")
    assert row.message == 'deployment "fraud-api" exceeded its progress deadline'
    assert (row.mark, row.attention) == (Mark.BAD, Attention.BAD)
    assert row.reason == "stuck 2/2: progress deadline exceeded"


@pytest.mark.tool("kubectl")
async def test_a_paused_rollout_says_so(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source()) as watcher:
        await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await server.patch("fraud-api", {"spec": {"paused": True}})
        await server.set_image("fraud-api", "registry/fraud:v2")
        row = await watcher.row("fraud-api", lambda row: row.paused and row.phase is RolloutPhase.UPDATING)
    assert row.message == await server.kubectl_status("fraud-api")
    assert row.message.endswith("0 out of 2 new replicas have been updated...")
    assert (row.mark, row.attention, row.reason) == (Mark.PAUSED, Attention.WARN, "paused")
    assert row.images == ("registry/fraud:v2",)


@pytest.mark.tool("kubectl")
async def test_scaling_to_zero_and_back(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source()) as watcher:
        await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await server.patch("fraud-api", {"spec": {"replicas": 0}})
        row = await watcher.row("fraud-api", lambda row: row.total == 0 and row.phase is RolloutPhase.COMPLETE)
        assert (row.mark, row.attention, row.reason) == (Mark.OK, Attention.INFO, "scaled to zero")
        await server.patch("fraud-api", {"spec": {"replicas": 3}})
        row = await watcher.row("fraud-api", lambda row: row.available == 3)
    assert row.message == await server.kubectl_status("fraud-api")
    assert row.phase is RolloutPhase.COMPLETE


async def test_a_deployment_that_is_deleted_goes(server: Server) -> None:
    await server.create("fraud-api")
    await server.create("ranker")
    async with Watcher(server.source()) as watcher:
        row = await watcher.row("fraud-api")
        await watcher.row("ranker")
        await server.send("DELETE", server.path("fraud-api"))
        await watcher.until(lambda: any(row.key in delta.removals for delta in watcher.deltas))
        assert [left.name for left in watcher.rows.values()] == ["ranker"]
        assert await watcher.source.detail(RowRef(kind=RowKind.ROLLOUT, key=row.key)) == ()


async def test_revisions_and_their_causes(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source()) as watcher:
        await watcher.row("fraud-api", lambda row: row.revision == 1 and row.phase is RolloutPhase.COMPLETE)
        await server.set_image("fraud-api", "registry/fraud:v2", "promote v2")
        row = await watcher.row("fraud-api", lambda row: row.revision == 2 and row.phase is RolloutPhase.COMPLETE)
        assert row.change_cause == "promote v2"
        detail = await watcher.source.detail(RowRef(kind=RowKind.ROLLOUT, key=row.key))
    sections = {section.title: section for section in detail}
    assert list(sections) == ["Revisions", "Pods", "Events", "Conditions"]
    newest, oldest = sections["Revisions"].fields
    assert (newest.label, newest.mark) == ("2 current", Mark.OK)
    assert "registry/fraud:v2" in newest.value
    assert "2 replicas" in newest.value
    assert newest.value.endswith("promote v2")
    assert (oldest.label, oldest.mark) == ("1", Mark.NONE)
    assert "registry/fraud:v1" in oldest.value
    running = [pod for pod in sections["Pods"].fields if pod.mark is Mark.OK]
    assert [pod.value for pod in running] == ["Running  0 restarts"] * 2
    assert any("ScalingReplicaSet" in event.value for event in sections["Events"].fields)
    assert ("Available", Mark.OK) in [(field.label, field.mark) for field in sections["Conditions"].fields]


async def test_pods_say_why_they_wait(server: Server) -> None:
    await server.create("fraud-api", image="registry/fraud:bad-1")
    async with Watcher(server.source()) as watcher:
        row = await watcher.row("fraud-api", lambda row: row.updated == 2)

        async def pods() -> DetailSection:
            return (await watcher.source.detail(RowRef(kind=RowKind.ROLLOUT, key=row.key)))[1]

        section = await pods()
        async with asyncio.timeout(20):
            while not all("ImagePullBackOff" in pod.value for pod in section.fields):
                await asyncio.sleep(0.1)
                section = await pods()
    assert len(section.fields) == 2
    assert {pod.mark for pod in section.fields} == {Mark.BAD}


async def test_a_watch_that_ends_is_resumed_where_it_was(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", (2, 2))
    requests: list[str] = []
    plain = Connection.open

    def counting(self: Connection, method: str, path: str, query: Query, **rest: Any) -> Any:
        requests.append("watch" if "watch" in query else "list")
        return plain(self, method, path, query, **rest)

    monkeypatch.setattr(Connection, "open", counting)
    await server.create("ranker")
    async with Watcher(server.source()) as watcher:
        await watcher.until(lambda: watcher.deltas)
        await asyncio.sleep(2.5)  # the first watch has ended, the second may not have begun
        await server.create("fraud-api")
        await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
    assert requests[:2] == ["list", "watch"]
    assert requests[1:] == ["watch"] * (len(requests) - 1)
    assert 3 <= len(requests) <= 5


async def test_a_cycle_after_forgetting_is_complete_and_the_same(server: Server) -> None:
    await server.create("fraud-api")
    async with Watcher(server.source()) as watcher:
        before = await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await watcher.stop()
        watcher.source.forget()
        watcher.rows.clear()
        watcher.deltas.clear()
        watcher.start()
        after = await watcher.row("fraud-api")
    assert watcher.deltas[0].complete
    assert after == before


async def test_an_interrupted_cycle_misses_nothing(server: Server) -> None:
    await server.create("fraud-api")
    await server.create("ranker")
    async with Watcher(server.source()) as watcher:
        await watcher.row("ranker")
        await watcher.row("fraud-api", lambda row: row.phase is RolloutPhase.COMPLETE)
        await watcher.stop()
        await server.send("DELETE", server.path("ranker"))
        await server.create("churn")
        watcher.start()
        await watcher.row("churn")
        await watcher.until(lambda: {row.name for row in watcher.rows.values()} == {"fraud-api", "churn"})


async def test_all_namespaces(server: Server) -> None:
    other = await server.new_namespace()
    await server.create("fraud-api")
    await server.create("fraud-api", namespace=other)
    async with Watcher(server.source(**{"*": "staging", other: "production"})) as watcher:
        await watcher.until(lambda: {server.namespace, other} <= {row.namespace for row in watcher.rows.values()})
        environments = {row.namespace: row.environment for row in watcher.rows.values()}
    assert environments[server.namespace] == "staging"
    assert environments[other] == "production"


async def test_a_namespace_that_does_not_exist_is_named_until_it_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", (2, 2))
    typo = f"{server.namespace}0"
    async with Watcher(server.source(**{server.namespace: "production", typo: "staging"})) as watcher:
        await watcher.until(lambda: watcher.deltas)
        assert watcher.deltas[0].problems is not None
        [problem] = watcher.deltas[0].problems
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
        probe = await watcher.source.probe()
        await server.make_namespace(typo)
        await watcher.until(lambda: watcher.deltas[-1].problems == ())
    assert (problem.scope, problem.status) == (f"namespace {typo}", SourceStatus.UNREACHABLE)
    assert problem.message == "does not exist"
    assert server.namespace in problem.hint
    assert probe.status is SourceStatus.LIVE
    assert probe.problems == (problem,)


async def test_an_empty_namespace_is_no_problem(server: Server) -> None:
    async with Watcher(server.source()) as watcher:
        await watcher.until(lambda: any(delta.streaming for delta in watcher.deltas))
        probe = await watcher.source.probe()
    assert [delta.problems for delta in watcher.deltas] == [(), *[None] * (len(watcher.deltas) - 1)]
    assert probe.problems == ()
