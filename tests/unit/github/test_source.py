"""The source's cycles against a scripted server: what is asked, what is shown, what fails alone."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops_tui.domain.base import Attention, Mark, RowKind, RowRef
from mlops_tui.domain.errors import Denied, RateLimited, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.pull import Checks, Mergeable, PullRow, Review
from mlops_tui.domain.state import SourceStatus
from mlops_tui.domain.workflow import RunRow
from mlops_tui.sources.base import Delta
from mlops_tui.sources.github import GitHubSource
from tests.support.clock import START, ManualClock
from tests.unit.github.conftest import Reader
from tests.unit.github.fake import (
    REPOSITORY,
    TOKEN,
    FakeGitHub,
    checks,
    comment,
    job,
    pull,
    review,
    run,
    target,
)

PULL = f"github/{REPOSITORY}/pull/7"
DENIAL = {"type": "FORBIDDEN", "message": "Resource not accessible by personal access token"}


def pull_row(reader: Reader, number: int = 7) -> PullRow:
    row = reader.rows[f"github/{REPOSITORY}/pull/{number}"]
    assert isinstance(row, PullRow)
    return row


def run_row(reader: Reader, number: int) -> RunRow:
    row = reader.rows[f"github/{REPOSITORY}/run/{number}"]
    assert isinstance(row, RunRow)
    return row


async def test_the_first_cycle_shows_rows_early_and_ends_with_everything(fake: FakeGitHub, reader: Reader) -> None:
    deltas = await reader.cycle()
    assert [row.kind for row in deltas[0].upserts] == [RowKind.RUN, RowKind.RUN]
    assert not deltas[0].complete
    assert deltas[-1].complete
    assert {row.key for row in deltas[-1].upserts} == {
        f"github/{REPOSITORY}/run/1",
        f"github/{REPOSITORY}/run/2",
        PULL,
    }
    assert deltas[-1].identity == "ada"
    assert deltas[-1].quota is not None
    assert deltas[-1].quota.limit == 5000
    assert deltas[-1].problems == ()
    assert deltas[-1].permissions is not None
    assert all(permission.allowed for permission in deltas[-1].permissions)
    assert set(fake.tokens) == {f"token {TOKEN}"}


async def test_a_run_row_says_what_github_says(fake: FakeGitHub, reader: Reader) -> None:
    fake.runs[REPOSITORY] = [
        run(3, status="in_progress", conclusion=None, run_attempt=2, triggering_actor={"login": "bob"}),
        run(2, conclusion="failure", pull_requests=[{"number": 7}], head_branch=None, actor=None),
    ]
    await reader.cycle()
    running, failed = run_row(reader, 3), run_row(reader, 2)
    assert (running.mark, running.attention, running.attempt) == (Mark.RUNNING, Attention.INFO, 2)
    assert (running.actor, running.finished_at) == ("bob", None)
    assert (failed.mark, failed.attention, failed.reason) == (Mark.BAD, Attention.BAD, "failed")
    assert (failed.branch, failed.actor, failed.pull_numbers) == ("", "", (7,))
    assert failed.started_at == datetime(2026, 11, 20, 13, 0, 10, tzinfo=UTC)
    assert failed.finished_at == datetime(2026, 11, 20, 13, 5, tzinfo=UTC)
    assert failed.url == f"https://github.com/{REPOSITORY}/actions/runs/2"


async def test_a_waiting_run_names_its_environment_and_asks_once(fake: FakeGitHub, reader: Reader) -> None:
    fake.runs[REPOSITORY] = [run(3, status="waiting", conclusion=None)]
    fake.wait_for("production")
    await reader.cycle()
    row = run_row(reader, 3)
    assert (row.mark, row.attention, row.waiting_for) == (Mark.WAITING, Attention.WARN, "production")
    assert row.reason == "waits for approval of production"
    await reader.cycle()
    assert fake.count("GET /repos/acme/fraud/actions/runs/3/pending_deployments") == 1
    fake.runs[REPOSITORY] = [run(3, status="waiting", conclusion=None, run_attempt=2)]
    await reader.cycle()
    assert fake.count("GET /repos/acme/fraud/actions/runs/3/pending_deployments") == 2


async def test_a_waiting_run_whose_environment_may_not_be_read_still_waits(fake: FakeGitHub, reader: Reader) -> None:
    fake.runs[REPOSITORY] = [run(3, status="waiting", conclusion=None)]
    fake.fail("GET /repos/acme/fraud/actions/runs/3/pending", 403)
    await reader.cycle()
    assert run_row(reader, 3).reason == "waits for approval"


async def test_a_pull_row_folds_checks_reviews_and_checklist(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY] = [
        pull(
            7,
            body="- [x] in the body",
            commits=checks("SUCCESS", "SKIPPED", "FAILURE", ""),
            reviewDecision="CHANGES_REQUESTED",
            mergeable="CONFLICTING",
            reviews={
                "nodes": [
                    review("bob", "CHANGES_REQUESTED"),
                    review("bob", "APPROVED"),
                    review("bob", "COMMENTED"),
                    review("eve", "APPROVED"),
                    review("eve", "DISMISSED"),
                ]
            },
            lastComments={"nodes": [comment("## PR Checklist\n### General\n- [ ] tests pass locally")]},
        )
    ]
    await reader.cycle()
    row = pull_row(reader)
    assert (row.checks, row.checks_passed, row.checks_failed, row.checks_pending) == (Checks.FAILED, 2, 1, 1)
    assert (row.review, row.approvals, row.mergeable) == (Review.CHANGES_REQUESTED, 1, Mergeable.CONFLICTING)
    assert (row.checklist_done, len(row.checklist)) == (1, 2)
    assert row.checklist[1].section == "General"
    assert (row.mark, row.attention, row.reason) == (Mark.BAD, Attention.BAD, "a check failed")
    assert row.labels == ("model",)


@pytest.mark.parametrize(
    ("made_by", "counts"),
    [
        ({"association": "NONE", "login": "mallory"}, False),
        ({"association": "CONTRIBUTOR", "login": "mallory"}, False),
        ({"association": "NONE", "login": "github-actions", "kind": "Bot"}, True),
        ({"association": "CONTRIBUTOR", "login": "ada"}, True),
        ({"association": "OWNER"}, True),
    ],
)
async def test_a_stranger_cannot_tick_the_checklist(
    fake: FakeGitHub, reader: Reader, made_by: dict[str, str], counts: bool
) -> None:
    theirs = comment("## PR Checklist\n- [x] all is well", **made_by)
    fake.pulls[REPOSITORY] = [pull(7, lastComments={"nodes": [theirs]})]
    await reader.cycle()
    assert len(pull_row(reader).checklist) == counts


async def test_an_unchanged_world_costs_no_quota_and_no_query(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    used, asked = fake.used, len(fake.asked)
    for _ in range(3):
        (delta,) = await reader.cycle()
        assert (delta.upserts, delta.removals, delta.complete, delta.problems) == ((), (), False, None)
    assert fake.used == used
    assert [status for _, status in fake.asked[asked:]] == [304] * 6
    assert fake.count("POST /graphql") == 1


async def test_only_what_changed_is_published(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.runs[REPOSITORY].insert(0, run(3))
    fake.pulls[REPOSITORY] += [pull(8)]
    deltas = await reader.cycle()
    keys = [row.key for delta in deltas for row in delta.upserts]
    assert keys == [f"github/{REPOSITORY}/run/3", f"github/{REPOSITORY}/pull/8"]


async def test_what_is_gone_vanishes(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.runs[REPOSITORY].pop()
    fake.pulls[REPOSITORY][0]["state"] = "MERGED"
    await reader.cycle()
    assert set(reader.rows) == {f"github/{REPOSITORY}/run/2"}
    assert fake.count("POST /graphql") == 1


async def test_a_pull_request_closed_between_list_and_query_is_not_shown(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY][0]["state"] = "CLOSED"
    fake.faults["GET /repos/acme/fraud/pulls"] = lambda: (
        200,
        {},
        [{"number": 7, "node_id": "PR_7", "updated_at": "x", "head": {"sha": "y"}}],
    )
    deltas = await reader.cycle()
    assert PULL not in reader.rows
    assert deltas[-1].problems == ()


async def test_pages_are_followed_up_to_the_newest_runs_asked_for(fake: FakeGitHub) -> None:
    fake.runs[REPOSITORY] = [run(number) for number in range(500, 0, -1)]
    fake.pulls[REPOSITORY] = [pull(number) for number in range(1, 231)]
    source = GitHubSource(target(fake.base_url, runs=150), ManualClock())
    reader = Reader(source, ManualClock())
    await reader.cycle()
    await source.close()
    numbers = sorted(row.run_id for row in reader.rows.values() if isinstance(row, RunRow))
    assert numbers == list(range(351, 501))
    assert sum(isinstance(row, PullRow) for row in reader.rows.values()) == 230
    assert fake.count("GET /repos/acme/fraud/actions/runs") == 2
    assert fake.count("GET /repos/acme/fraud/pulls") == 3
    assert fake.count("POST /graphql") == 5


async def test_pending_checks_are_asked_for_again_until_they_end(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY][0]["commits"] = checks("SUCCESS", "")
    await reader.cycle()
    assert pull_row(reader).checks is Checks.PENDING
    fake.pulls[REPOSITORY][0]["commits"] = checks("SUCCESS", "SUCCESS")
    await reader.clock.advance(12)
    await reader.cycle()
    assert pull_row(reader).checks is Checks.PASSED
    await reader.clock.advance(12)
    await reader.cycle()
    assert fake.count("POST /graphql") == 2


async def test_unknown_mergeability_is_asked_for_again_ever_more_seldom(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY][0]["mergeable"] = "UNKNOWN"
    for _ in range(45):
        await reader.cycle()
        await reader.clock.advance(12)
    assert pull_row(reader).mergeable is Mergeable.UNKNOWN
    assert 10 < fake.count("POST /graphql") < 25


async def test_what_changes_in_the_second_of_the_last_change_is_not_missed(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY][0]["updatedAt"] = f"{START:%Y-%m-%dT%H:%M:%SZ}"
    await reader.cycle()
    fake.pulls[REPOSITORY][0]["body"] = "- [ ] written within the same second"
    await reader.clock.advance(12)
    await reader.cycle()
    assert len(pull_row(reader).checklist) == 1
    await reader.clock.advance(12)
    await reader.cycle()
    assert fake.count("POST /graphql") == 2


async def test_a_run_that_changed_for_the_head_commit_renews_the_pull_request(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.runs[REPOSITORY].insert(0, run(3, head_sha=f"{7:040}"))
    fake.pulls[REPOSITORY][0]["commits"] = checks("FAILURE")
    await reader.cycle()
    assert pull_row(reader).checks is Checks.FAILED
    assert fake.count("POST /graphql") == 2


async def test_such_a_change_is_not_lost_when_the_query_fails(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.runs[REPOSITORY].insert(0, run(3, head_sha=f"{7:040}"))
    fake.pulls[REPOSITORY][0]["commits"] = checks("FAILURE")
    fake.fail("POST /graphql", 502)
    deltas = await reader.cycle()
    assert deltas[-1].problems is not None
    assert [(p.rows, p.status) for p in deltas[-1].problems] == [((RowKind.PULL,), SourceStatus.STALE)]
    assert pull_row(reader).checks is Checks.PASSED
    fake.faults.clear()
    deltas = await reader.cycle()
    assert pull_row(reader).checks is Checks.FAILED
    assert deltas[-1].problems == ()


async def test_every_ten_minutes_all_pull_requests_are_read(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.pulls[REPOSITORY][0]["mergeable"] = "CONFLICTING"
    await reader.clock.advance(599)
    await reader.cycle()
    assert pull_row(reader).mergeable is Mergeable.YES
    await reader.clock.advance(1)
    await reader.cycle()
    assert pull_row(reader).mergeable is Mergeable.CONFLICTING


@pytest.mark.parametrize(
    "path",
    [
        ["nodes", 0, "commits", "nodes", 0, "commit", "statusCheckRollup"],
        ["nodes", 0, "commits", "nodes", 0, "commit", "statusCheckRollup", "contexts", "nodes", 0],
    ],
)
async def test_no_permission_to_read_checks_is_not_no_checks(fake: FakeGitHub, reader: Reader, path: list[Any]) -> None:
    fake.pulls[REPOSITORY] += [pull(8, commits=checks())]
    fake.errors = [DENIAL | {"path": path}]
    deltas = await reader.cycle()
    assert pull_row(reader).checks is Checks.DENIED
    assert (pull_row(reader).mark, pull_row(reader).attention) == (Mark.UNKNOWN, Attention.UNKNOWN)
    assert pull_row(reader, 8).checks is Checks.NONE
    problems, permissions = deltas[-1].problems, deltas[-1].permissions
    assert problems is not None
    assert [(p.scope, p.message, p.status) for p in problems] == [
        (REPOSITORY, "no permission to read checks", SourceStatus.DENIED)
    ]
    assert permissions is not None
    assert {p.name: p.allowed for p in permissions} == {
        "actions: read": True,
        "pull requests: read": True,
        "checks: read": False,
    }


async def test_an_error_about_checks_keeps_what_was_known(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.pulls[REPOSITORY][0]["updatedAt"] = "2026-11-20T13:59:00Z"
    path = ["nodes", 0, "commits", "nodes", 0, "commit", "statusCheckRollup"]
    fake.errors = [{"message": "Something went wrong", "path": path}]
    deltas = await reader.cycle()
    assert pull_row(reader).checks is Checks.PASSED
    assert deltas[-1].problems is not None
    assert "Something went wrong" in deltas[-1].problems[0].message
    fake.errors = []
    await reader.clock.advance(12)
    deltas = await reader.cycle()
    assert deltas[-1].problems == ()
    assert pull_row(reader).updated_at == datetime(2026, 11, 20, 13, 59, tzinfo=UTC)


async def test_other_query_errors_are_shown_beside_the_rows(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY] += [pull(8)]
    fake.errors = [
        DENIAL | {"path": ["nodes", 0]},
        {"message": "labels timed out", "path": ["nodes", 1, "labels"]},
    ]
    deltas = await reader.cycle()
    assert PULL not in reader.rows
    assert pull_row(reader, 8).labels == ()
    assert deltas[-1].problems is not None
    assert deltas[-1].problems[0].message.startswith("2 pull requests not read in full: Resource not accessible")


@pytest.mark.parametrize(
    ("body", "status", "shown"),
    [
        ({"data": None, "errors": [DENIAL]}, SourceStatus.DENIED, DENIAL["message"]),
        ({"errors": [{"message": "Field 'x' doesn't exist"}]}, SourceStatus.UNREACHABLE, "Field 'x' doesn't exist"),
        ({}, SourceStatus.UNREACHABLE, "no data"),
    ],
)
async def test_a_query_that_brings_nothing_is_a_problem(
    fake: FakeGitHub, reader: Reader, body: dict[str, Any], status: SourceStatus, shown: str
) -> None:
    fake.faults["POST /graphql"] = lambda: (200, {}, body)
    deltas = await reader.cycle()
    assert deltas[-1].problems is not None
    assert [(p.status, shown in p.message) for p in deltas[-1].problems] == [(status, True)]


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        (checks("SUCCESS", state="FAILURE"), Checks.FAILED),
        (checks("SUCCESS", state="EXPECTED"), Checks.PENDING),
        (checks("FAILURE", state="PENDING"), Checks.FAILED),
        (checks(state="PENDING"), Checks.PENDING),
        (checks("SKIPPED", state="SUCCESS"), Checks.PASSED),
    ],
)
async def test_githubs_own_word_counts_where_it_is_worse(
    fake: FakeGitHub, reader: Reader, commits: dict[str, Any], expected: Checks
) -> None:
    fake.pulls[REPOSITORY][0]["commits"] = commits
    await reader.cycle()
    assert pull_row(reader).checks is expected


async def test_a_failed_query_is_tried_with_fewer_pull_requests(fake: FakeGitHub, reader: Reader) -> None:
    fake.pulls[REPOSITORY] = [pull(number) for number in range(1, 51)]
    fake.fail("POST /graphql", 502)
    await reader.cycle()
    fake.faults.clear()
    await reader.cycle()
    assert fake.count("POST /graphql") == 3
    assert sum(isinstance(row, PullRow) for row in reader.rows.values()) == 50


@pytest.mark.parametrize(
    ("status", "message", "shown"),
    [
        (404, "Not Found", "not found or no access"),
        (403, "Resource not accessible by personal access token", "Resource not accessible by personal access token"),
        (502, "Bad Gateway", "answered 502: Bad Gateway"),
    ],
)
async def test_one_repository_fails_while_the_others_live(
    fake: FakeGitHub, status: int, message: str, shown: str
) -> None:
    fake.runs["acme/churn"] = [run(9)]
    source = GitHubSource(target(fake.base_url, repositories=("acme/churn", REPOSITORY)), ManualClock())
    reader = Reader(source, ManualClock())
    fake.fail("GET /repos/acme/churn", status, {"x-accepted-github-permissions": "actions=read"}, message)
    deltas = await reader.cycle()
    assert PULL in reader.rows
    assert deltas[-1].problems is not None
    assert [(p.scope, p.rows) for p in deltas[-1].problems] == [
        ("acme/churn", (RowKind.RUN,)),
        ("acme/churn", (RowKind.PULL,)),
    ]
    assert all(shown in p.message for p in deltas[-1].problems)
    fake.faults.clear()
    deltas = await reader.cycle()
    assert deltas[-1].problems == ()
    assert "github/acme/churn/run/9" in reader.rows
    await source.close()


async def test_rows_of_a_repository_stay_while_it_fails(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.fail("GET /repos/acme/fraud/actions", 500)
    deltas = await reader.cycle()
    assert f"github/{REPOSITORY}/run/1" in reader.rows
    assert deltas[-1].problems is not None
    assert deltas[-1].problems[0].status is SourceStatus.STALE


@pytest.mark.parametrize(
    ("status", "headers", "message", "expected", "says"),
    [
        (404, {}, "Not Found", Denied, "acme/fraud: not found or no access"),
        (403, {"x-github-sso": "required; url=https://sso"}, "SAML", Denied, "acme/fraud: SAML"),
        (401, {}, "Bad credentials", Unauthenticated, "does not accept the token from $TEST_TOKEN"),
        (502, {"retry-after": "17"}, "Bad Gateway", Unavailable, "answered 502"),
        (422, {}, "nonsense", Unavailable, "answered 422"),
        (307, {"location": "https://elsewhere/"}, "", Unavailable, "answered 307"),
        (429, {}, "Too many", RateLimited, "Too many"),
        (403, {"retry-after": "30"}, "You have exceeded a secondary rate limit.", RateLimited, "secondary"),
        (403, {}, "You have exceeded a secondary rate limit.", RateLimited, "secondary"),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795184531"}, "API rate", RateLimited, "API rate"),
    ],
)
async def test_errors_keep_their_meaning(
    fake: FakeGitHub,
    reader: Reader,
    status: int,
    headers: dict[str, str],
    message: str,
    expected: type[SourceError],
    says: str,
) -> None:
    fake.fail("GET /repos", status, headers, message)
    with pytest.raises(expected) as raised:
        await reader.cycle()
    assert says in raised.value.message
    if isinstance(raised.value, Unavailable) and status == 502:
        assert raised.value.retry_after == 17
    if isinstance(raised.value, RateLimited):
        pauses = {"30": 30, "1795184531": 1795184531 - START.timestamp()}
        told = headers.get("retry-after") or headers.get("x-ratelimit-reset") or ""
        assert raised.value.until == START + timedelta(seconds=pauses.get(told, 60))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Fri, 20 Nov 2026 14:03:11 GMT"}, 60),
        ({"retry-after": "soon"}, 60),
        ({"retry-after": "nan"}, 60),
        ({"retry-after": "9" * 30}, 3_700),
        ({"retry-after": "-5"}, 1),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 30}, 60),
    ],
)
async def test_a_pause_is_always_bounded(
    fake: FakeGitHub, reader: Reader, headers: dict[str, str], seconds: int
) -> None:
    fake.fail("GET /repos", 429, headers)
    with pytest.raises(RateLimited) as raised:
        await reader.cycle()
    assert raised.value.until == START + timedelta(seconds=seconds)


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[]", b'{"data": 1}', b"null", b"{", b'"x"'])
async def test_an_answer_of_another_shape_is_no_answer(fake: FakeGitHub, reader: Reader, body: bytes) -> None:
    fake.faults["GET /repos/acme/fraud/actions"] = lambda: (200, {}, body)
    fake.faults["POST /graphql"] = lambda: (200, {}, body)
    with pytest.raises(Unavailable, match=r"unexpected|could not answer"):
        await reader.cycle()


async def test_a_refused_connection_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = GitHubSource(target(f"http://127.0.0.1:{port}"), ManualClock())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_TOKEN", TOKEN)
        patch.setenv("NO_PROXY", "*")
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: connection refused"):
            await source.cycle(lambda delta: None)
    await source.close()


async def test_a_silent_server_ends_in_an_error_and_is_asked_once(
    fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_tui.sources.github.client.READ_TIMEOUT", 1)
    silence = threading.Event()

    def say_nothing() -> tuple[int, dict[str, str], Any]:
        silence.wait(10)
        return 200, {}, {}

    fake.faults["GET /repos"] = say_nothing
    source = GitHubSource(target(fake.base_url, repositories=(REPOSITORY, "acme/churn")), ManualClock())
    with pytest.raises(Unavailable, match="no answer within 1 s"):
        await source.cycle(lambda delta: None)
    silence.set()
    await source.close()
    assert fake.count("GET /repos") <= 1


async def test_a_new_token_starts_with_an_empty_cache(
    fake: FakeGitHub, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.cycle()
    monkeypatch.setenv("TEST_TOKEN", "ghp_another")
    reader.source.forget()
    deltas = await reader.cycle()
    assert deltas[-1].complete
    assert fake.count("GET", 304) == 0
    assert fake.tokens[-1] == "token ghp_another"


async def test_a_refused_token_is_looked_up_anew(
    fake: FakeGitHub, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.cycle()
    fake.fail("GET", 401, message="Bad credentials")
    with pytest.raises(Unauthenticated):
        await reader.cycle()
    fake.faults.clear()
    monkeypatch.setenv("TEST_TOKEN", "ghp_renewed")
    await reader.cycle()
    assert fake.tokens[-1] == "token ghp_renewed"


async def test_a_token_without_a_user_is_fine(fake: FakeGitHub, reader: Reader) -> None:
    fake.fail("GET /user", 403, message="Resource not accessible by integration")
    deltas = await reader.cycle()
    assert deltas[-1].identity == ""
    await reader.cycle()
    assert fake.count("GET /user") == 1


async def test_hostile_texts_reach_no_row(fake: FakeGitHub, reader: Reader) -> None:
    evil = "\x1b[31mred\x1b]0;title\x07 \u202eright\u2066 [/bold]\x00\n" + "y" * 10_000
    fake.runs[REPOSITORY] = [run(1, display_title=evil, name=evil, head_branch=evil, html_url="javascript:alert(1)")]
    fake.pulls[REPOSITORY] = [pull(7, title=evil, headRefName=evil, labels={"nodes": [{"name": evil}]}, body=evil)]
    await reader.cycle()
    texts = [run_row(reader, 1).title, run_row(reader, 1).branch, pull_row(reader).title, pull_row(reader).labels[0]]
    assert {text[:16] for text in texts} == {"red right [/bold"}
    assert all(text.isprintable() and len(text) <= 500 for text in texts)
    assert run_row(reader, 1).url == ""


@pytest.mark.parametrize("start", ["GET /repos", "GET /user", "POST /graphql", "GET /repos/acme/fraud/pulls"])
@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_the_token_appears_nowhere(
    fake: FakeGitHub, reader: Reader, caplog: pytest.LogCaptureFixture, start: str, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.fail(start, status)
    try:
        deltas: object = await reader.cycle()
    except SourceError as error:
        deltas = (repr(error), error.message, error.hint)
    probe = await reader.source.probe()
    seen = f"{deltas!r} {probe!r} {reader.source!r} {caplog.text} {reader.source._session!r}"
    assert TOKEN not in seen
    assert not [record for record in caplog.records if record.name.startswith("github")]


@pytest.mark.parametrize("secret", [f"{TOKEN}\nX-Evil: 1", f"{TOKEN} x", f"{TOKEN}ü"])
async def test_a_token_that_is_none_is_refused_without_showing_it(
    fake: FakeGitHub, reader: Reader, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("TEST_TOKEN", secret)
    with pytest.raises(Unauthenticated) as raised:
        await reader.cycle()
    assert TOKEN not in repr(raised.value) + raised.value.hint
    assert fake.asked == []


async def test_a_details_request_waits_for_one_request_not_for_a_cycle(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.jobs = [job("lint")]
    gate, entered = threading.Event(), threading.Event()

    def slow() -> tuple[int, dict[str, str], Any]:
        entered.set()
        gate.wait(10)
        return 404, {}, {"message": "Not Found"}

    fake.faults["GET /repos/acme/fraud/actions/runs?"] = slow
    cycle = asyncio.create_task(reader.cycle())
    await asyncio.to_thread(entered.wait, 10)
    detail = asyncio.create_task(reader.source.detail(RowRef(kind=RowKind.RUN, key=f"github/{REPOSITORY}/run/2")))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(cycle, detail)
    order = [line.split("?")[0] for line, _ in fake.asked[-3:]]
    assert order == [
        "GET /repos/acme/fraud/actions/runs",
        "GET /repos/acme/fraud/actions/runs/2/jobs",
        "GET /repos/acme/fraud/pulls",
    ]


async def test_a_cancelled_cycle_loses_nothing(fake: FakeGitHub, reader: Reader) -> None:
    gate, entered = threading.Event(), threading.Event()

    def slow() -> tuple[int, dict[str, str], Any]:
        entered.set()
        gate.wait(10)
        return 404, {}, {"message": "Not Found"}

    fake.faults["GET /repos/acme/fraud/pulls"] = slow
    cycle = asyncio.create_task(reader.cycle())
    await asyncio.to_thread(entered.wait, 10)
    cycle.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cycle
    gate.set()
    fake.faults.clear()
    deltas = await reader.cycle()
    assert deltas[-1].complete
    assert len(reader.rows) == 3


async def test_a_closed_source_says_so(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    await reader.source.close()
    await reader.source.close()
    reader.source.forget()
    ignore: Callable[[Delta], None] = lambda delta: None  # noqa: E731
    with pytest.raises(Unavailable, match="closed"):
        await reader.source.cycle(ignore)
