import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mlops_tui.domain.errors import Denied, NotConfigured, RateLimited, Unauthenticated, Unavailable
from mlops_tui.domain.state import Problem, Quota, SourceState, SourceStatus
from mlops_tui.engine.board import Board
from mlops_tui.engine.poller import MOST_BACKOFF, Poller, backoff
from mlops_tui.sources.base import Delta
from tests.support.clock import ManualClock, settle
from tests.support.scripted import SCOPE, ScriptedSource, rollout


class Bench:
    """A poller at work on a scripted source, under a manual clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = Board(SCOPE)
        self.source = ScriptedSource()
        self.poller = Poller(self.source, self.board, self.clock, random.Random(1))
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.create_task(self.poller.run())
        await settle()

    def state(self) -> SourceState:
        return self.board.state("scripted")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    assert bench.task is not None
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_reads_at_the_source_s_cadence(bench: Bench) -> None:
    assert bench.state().status is SourceStatus.CONNECTING
    await bench.start()
    assert (bench.state().status, bench.source.cycles) == (SourceStatus.LIVE, 1)
    await bench.clock.advance(9.9)
    assert bench.source.cycles == 1
    await bench.clock.advance(0.2)
    assert bench.source.cycles == 2


async def test_reads_less_often_while_nobody_looks_and_at_once_when_somebody_does(bench: Bench) -> None:
    await bench.start()
    bench.poller.attend(False)
    await bench.clock.advance(55)
    assert bench.source.cycles == 1
    bench.poller.attend(True)
    await settle()
    assert bench.source.cycles == 2


async def test_a_refresh_forgets_and_reads_again(bench: Bench) -> None:
    await bench.start()
    bench.poller.refresh()
    await settle()
    assert (bench.source.cycles, bench.source.forgotten) == (2, 1)


async def test_a_refresh_while_being_read_is_dropped(bench: Bench) -> None:
    bench.source.hold = asyncio.Event()
    await bench.start()
    bench.poller.refresh()
    await settle()
    bench.source.hold.set()
    await settle()
    assert (bench.source.cycles, bench.source.most_running) == (1, 1)


async def test_a_refresh_begins_a_watch_anew(bench: Bench) -> None:
    bench.source.streaming = True
    await bench.start()
    assert bench.state().streaming
    bench.poller.refresh()
    await settle()
    assert (bench.source.cycles, bench.source.forgotten, bench.source.most_running) == (2, 1, 1)


async def test_failing_before_the_first_answer_is_unreachable_and_after_it_stale_with_the_rows_kept(
    bench: Bench,
) -> None:
    bench.source.steps = [Unavailable("connection refused", "is the VPN up?")]
    await bench.start()
    assert (bench.state().status, bench.state().error, bench.state().hint) == (
        SourceStatus.UNREACHABLE,
        "connection refused",
        "is the VPN up?",
    )
    assert bench.state().retry_at is not None
    await bench.clock.advance(1.1)
    assert bench.state().status is SourceStatus.LIVE
    assert bench.state().error == ""
    answered = bench.state().fetched_at
    bench.source.steps = [Unavailable("HTTP 502")]
    await bench.clock.advance(10.1)
    assert bench.state().status is SourceStatus.STALE
    assert bench.state().fetched_at == answered
    assert len(list(bench.board.rows())) == 3


async def test_failures_back_off_and_never_end(bench: Bench) -> None:
    bench.source.steps = [Unavailable("HTTP 502")] * 40
    await bench.start()
    await bench.clock.advance(1200)
    waits = bench.clock.slept[:40]
    assert waits[0] <= 1.0
    assert all(wait <= MOST_BACKOFF for wait in waits)
    assert waits[10] >= MOST_BACKOFF / 2
    assert bench.state().status is SourceStatus.LIVE


async def test_the_server_s_wish_to_wait_is_honoured(bench: Bench) -> None:
    bench.source.steps = [Unavailable("HTTP 503", retry_after=47)]
    await bench.start()
    await bench.clock.advance(46)
    assert bench.source.cycles == 1
    await bench.clock.advance(2)
    assert bench.source.cycles == 2


async def test_a_used_up_quota_pauses_until_it_is_whole_again(bench: Bench) -> None:
    until = bench.clock.now() + timedelta(minutes=20)
    bench.source.steps = [RateLimited("rate limit used up", until)]
    await bench.start()
    assert (bench.state().status, bench.state().retry_at) == (SourceStatus.LIMITED, until)
    await bench.clock.advance(1199)
    assert bench.source.cycles == 1
    await bench.clock.advance(2)
    assert bench.source.cycles == 2


async def test_pressing_refresh_does_not_defeat_the_system_s_wish_to_wait(bench: Bench) -> None:
    bench.source.steps = [RateLimited("rate limit used up", bench.clock.now() + timedelta(minutes=20))]
    await bench.start()
    for _ in range(20):
        bench.poller.refresh()
        await bench.clock.advance(1)
    assert (bench.source.cycles, bench.source.forgotten) == (1, 0)
    bench.source.steps = [Unavailable("HTTP 503", retry_after=30), Unavailable("HTTP 502")]
    await bench.clock.advance(1180.1)
    assert bench.source.cycles == 2
    bench.poller.refresh()
    await settle()
    assert bench.source.cycles == 2
    await bench.clock.advance(30.1)
    assert bench.source.cycles == 3
    bench.poller.refresh()
    await settle()
    assert bench.source.cycles == 4, "a failure without such a wish may be tried again at once"


@pytest.mark.parametrize("seconds", [1e20, 99_999_999.0])
async def test_a_wish_to_wait_for_years_is_a_mistake(bench: Bench, seconds: float) -> None:
    bench.source.steps = [Unavailable("HTTP 503", retry_after=seconds)]
    await bench.start()
    assert bench.state().status is SourceStatus.UNREACHABLE
    await bench.clock.advance(3701)
    assert bench.state().status is SourceStatus.LIVE


async def test_nothing_ends_a_poller(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget() -> None:
        raise ZeroDivisionError

    await bench.start()
    monkeypatch.setattr(bench.source, "forget", forget)
    bench.poller.refresh()
    await bench.clock.advance(MOST_BACKOFF + 1)
    assert bench.source.cycles == 2


@pytest.mark.parametrize("error", [Denied("forbidden", missing="list deployments"), Unauthenticated("bad token")])
async def test_what_only_a_person_can_mend_is_denied_and_looked_at_each_minute(bench: Bench, error: Exception) -> None:
    bench.source.steps = [error]
    await bench.start()
    assert bench.state().status is SourceStatus.DENIED
    await bench.clock.advance(59)
    assert bench.source.cycles == 1
    await bench.clock.advance(2)
    assert bench.state().status is SourceStatus.LIVE


async def test_what_is_not_configured_is_off_and_complete(bench: Bench) -> None:
    bench.source.steps = [NotConfigured("no kubeconfig", "kubectl config view")]
    await bench.start()
    assert (bench.state().status, bench.state().retry_at) == (SourceStatus.OFF, None)


async def test_an_error_of_our_own_shows_and_ends_nothing(bench: Bench) -> None:
    bench.source.steps = [ZeroDivisionError("secret=hunter2")]
    await bench.start()
    assert bench.state().status is SourceStatus.UNREACHABLE
    assert "ZeroDivisionError" in bench.state().error
    assert "hunter2" not in bench.state().error + bench.state().hint
    await bench.clock.advance(2)
    assert bench.state().status is SourceStatus.LIVE


async def test_what_an_answer_does_not_tell_is_kept(bench: Bench) -> None:
    problem = Problem(scope="acme/fraud", message="not found")
    quota = Quota(remaining=10, limit=5000)
    bench.source.steps = [
        [Delta(upserts=[rollout("a")], complete=True, quota=quota, identity="octocat", problems=(problem,))],
        [Delta()],
        [Delta(problems=())],
    ]
    await bench.start()
    await bench.clock.advance(10.1)
    assert (bench.state().quota, bench.state().identity, bench.state().problems) == (quota, "octocat", (problem,))
    await bench.clock.advance(10.1)
    assert bench.state().problems == ()
    assert [row.key for row in bench.board.rows()] == ["scripted/ml/a"]


def test_backoff_doubles_up_to_a_bound_with_the_upper_half_random() -> None:
    jitter = random.Random(3)
    for failures, whole in [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0), (500, 30.0)]:
        waits = [backoff(failures, None, jitter) for _ in range(200)]
        assert whole / 2 <= min(waits) < max(waits) <= whole
        assert max(waits) - min(waits) > whole / 4
    assert backoff(1, 90, jitter) == 90


async def test_a_source_is_complete_once_it_has_told_everything(bench: Bench) -> None:
    assert not bench.state().complete
    first, rest = Delta(upserts=(rollout("one"),)), Delta(upserts=(rollout("one"),), complete=True)
    bench.source.steps = [[first], [rest], [first]]
    seen = []
    await bench.start()
    for _ in range(3):
        seen.append(bench.state().complete)
        await bench.clock.advance(10.1)
    assert seen == [False, True, True]
