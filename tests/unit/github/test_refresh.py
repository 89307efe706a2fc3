"""What a refresh, a failure and a used-up quota leave on the board: the last rows, until they are read anew."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mlops_tui.domain.base import RowKind, RowRef
from mlops_tui.domain.errors import NotConfigured, RateLimited, Unauthenticated
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.github import GitHubSource
from tests.support.clock import START, ManualClock
from tests.unit.github.conftest import Reader
from tests.unit.github.fake import REPOSITORY, FakeGitHub, pull, run, target

RUN = f"github/{REPOSITORY}/run/1"
PULL = f"github/{REPOSITORY}/pull/7"
RUNS = "GET /repos/acme/fraud/actions/runs?"
PULLS = "GET /repos/acme/fraud/pulls"
CHURN = "github/acme/churn/run/9"


@pytest.fixture
async def both(fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """A reader of two repositories."""
    fake.runs["acme/churn"] = [run(9)]
    clock = ManualClock()
    source = GitHubSource(target(fake.base_url, repositories=(REPOSITORY, "acme/churn")), clock)
    yield Reader(source, clock)
    await source.close()


async def test_a_refresh_takes_no_row_away_that_is_still_there(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.pulls[REPOSITORY][0]["title"] = "renamed"
    fake.runs[REPOSITORY].insert(0, run(3))
    reader.source.forget()
    deltas = await reader.cycle()
    assert [key for delta in deltas for key in delta.removals] == []
    assert deltas[-1].complete
    assert {row.key for row in deltas[-1].upserts} == set(reader.rows)
    assert len(reader.rows) == 4
    assert [row.title for row in reader.rows.values() if row.kind is RowKind.PULL] == ["renamed"]


async def test_a_refresh_takes_away_what_is_gone(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY] += [pull(8)]
    await reader.cycle()
    fake.pulls[REPOSITORY][0]["state"] = "MERGED"
    fake.runs[REPOSITORY].pop()
    reader.source.forget()
    await reader.cycle()
    assert set(reader.rows) == {f"github/{REPOSITORY}/run/2", f"github/{REPOSITORY}/pull/8"}


async def test_a_refresh_asks_anew_for_what_could_not_be_read(fake: FakeGitHub, reader: Reader) -> None:
    fake.runs[REPOSITORY] = [run(3, status="waiting", conclusion=None)]
    fake.fail("GET /repos/acme/fraud/actions/runs/3/pending", 403)
    await reader.cycle()
    fake.faults.clear()
    fake.wait_for("production")
    reader.source.forget()
    await reader.cycle()
    assert reader.rows[f"github/{REPOSITORY}/run/3"].reason == "waits for approval of production"


@pytest.mark.parametrize(
    ("start", "key", "kind"),
    [(RUNS, RUN, RowKind.RUN), (PULLS, PULL, RowKind.PULL), ("POST /graphql", PULL, RowKind.PULL)],
)
@pytest.mark.parametrize("signed_out", [False, True], ids=["refreshed", "signed out"])
async def test_the_last_rows_stay_when_a_refresh_fails_in_part(
    fake: FakeGitHub, reader: Reader, start: str, key: str, kind: RowKind, signed_out: bool
) -> None:
    await reader.cycle()
    if signed_out:
        fake.fail("GET", 401, message="Bad credentials")
        with pytest.raises(Unauthenticated):
            await reader.cycle()
        fake.faults.clear()
    else:
        reader.source.forget()
    fake.fail(start, 502)
    deltas = await reader.cycle()
    assert [removed for delta in deltas for removed in delta.removals] == []
    assert deltas[-1].complete
    assert key in reader.rows
    assert len(reader.rows) == 3
    assert deltas[-1].problems is not None
    assert [(p.rows, p.status) for p in deltas[-1].problems] == [((kind,), SourceStatus.STALE)]


async def test_one_repository_s_last_rows_stay_when_a_refresh_cannot_read_it(fake: FakeGitHub, both: Reader) -> None:
    await both.cycle()
    before = set(both.rows)
    both.source.forget()
    fake.fail("GET /repos/acme/churn", 502)
    await both.cycle()
    assert set(both.rows) == before
    assert CHURN in before


async def test_a_repository_that_is_read_no_more_leaves_with_the_refresh(
    fake: FakeGitHub, both: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await both.cycle()
    monkeypatch.setattr("mlops_tui.sources.github.source.find_repositories", lambda target: (REPOSITORY,))
    both.source.forget()
    await both.cycle()
    assert CHURN not in both.rows
    assert {RUN, PULL} < set(both.rows)


async def test_details_between_refresh_and_next_cycle_need_no_cycle(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    reader.source.forget()
    sections = await reader.source.detail(RowRef(kind=RowKind.PULL, key=PULL))
    assert [section.title for section in sections] == ["Checks", "Reviews"]


def spend_queries(fake: FakeGitHub, seconds: int) -> None:
    """Let the quota of queries be used up for so long after the start."""
    headers = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(START.timestamp()) + seconds),
        "x-ratelimit-resource": "graphql",
    }
    body = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
    fake.faults["POST /graphql"] = lambda: (200, headers, body)


async def test_runs_go_on_while_the_quota_of_queries_is_used_up(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.pulls[REPOSITORY] += [pull(8)]
    spend_queries(fake, 90)
    deltas = await reader.cycle()
    assert deltas[-1].problems is not None
    (problem,) = deltas[-1].problems
    assert (problem.scope, problem.status, problem.rows) == (REPOSITORY, SourceStatus.LIMITED, (RowKind.PULL,))
    assert "until 14:03:41 UTC" in problem.message
    assert deltas[-1].permissions is not None
    assert {p.name: p.allowed for p in deltas[-1].permissions}["pull requests: read"] is None
    fake.runs[REPOSITORY].insert(0, run(3))
    await reader.clock.advance(12)
    await reader.cycle()
    assert {f"github/{REPOSITORY}/run/3", PULL} < set(reader.rows)
    assert fake.count("POST /graphql") == 2, "nothing is asked for before the time"
    fake.faults.clear()
    await reader.clock.advance(79)
    deltas = await reader.cycle()
    assert deltas[-1].problems == ()
    assert f"github/{REPOSITORY}/pull/8" in reader.rows


async def test_a_repository_without_news_has_no_problem_with_the_quota(fake: FakeGitHub, both: Reader) -> None:
    await both.cycle()
    fake.pulls["acme/churn"] = [pull(11)]
    spend_queries(fake, 90)
    deltas = await both.cycle()
    assert deltas[-1].problems is not None
    assert [problem.scope for problem in deltas[-1].problems] == ["acme/churn"]


async def test_a_used_up_quota_of_queries_is_a_rate_limit_where_nothing_else_can_be_read(
    fake: FakeGitHub, reader: Reader
) -> None:
    spend_queries(fake, 90)
    fake.fail("GET /repos/acme/fraud/actions", 403, message="Resource not accessible")
    with pytest.raises(RateLimited) as raised:
        await reader.cycle()
    assert (raised.value.until - START).total_seconds() == pytest.approx(90, abs=1)


@pytest.mark.parametrize("status", [403, 429])
async def test_a_secondary_limit_pauses_everything(fake: FakeGitHub, reader: Reader, status: int) -> None:
    fake.fail("POST /graphql", status, {"retry-after": "30"}, "You have exceeded a secondary rate limit.")
    with pytest.raises(RateLimited) as raised:
        await reader.cycle()
    assert raised.value.until == START + timedelta(seconds=30)


async def test_the_next_page_is_read_from_the_same_address_whatever_a_link_says(fake: FakeGitHub) -> None:
    fake.runs[REPOSITORY] = [run(number) for number in range(150, 0, -1)]
    fake.links = "http://elsewhere.example:81"
    source = GitHubSource(target(fake.base_url, runs=150), ManualClock())
    reader = Reader(source, ManualClock())
    await reader.cycle()
    await source.close()
    assert sum(row.kind is RowKind.RUN for row in reader.rows.values()) == 150


async def test_a_token_for_github_com_is_not_sent_to_another_host(
    fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.setenv(name, "ghp_public")
    for name in ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    source = GitHubSource(target(fake.base_url, token_env=None), ManualClock())
    with pytest.raises(Unauthenticated, match=r"127\.0\.0\.1"):
        await source.cycle(lambda delta: None)
    assert (await source.probe()).status is SourceStatus.DENIED
    await source.close()
    assert fake.asked == []


async def test_a_token_is_not_sent_through_a_proxy_in_plain_text(
    fake: FakeGitHub, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", fake.base_url)
    with pytest.raises(NotConfigured, match="proxy") as raised:
        await reader.cycle()
    assert "NO_PROXY=127.0.0.1" in raised.value.hint
    assert fake.asked == []
