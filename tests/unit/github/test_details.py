"""What is fetched when somebody opens a row, and what `doctor` says."""

import asyncio
import threading
from typing import Any

import pytest

from mlops_tui.domain.base import DetailSection, Mark, RowKind, RowRef
from mlops_tui.domain.errors import Denied, Unavailable
from mlops_tui.domain.state import SourceStatus
from tests.unit.github.conftest import Reader
from tests.unit.github.fake import REPOSITORY, FakeGitHub, checks, comment, job, pull, review, run

RUN = RowRef(kind=RowKind.RUN, key=f"github/{REPOSITORY}/run/2")
PULL = RowRef(kind=RowKind.PULL, key=f"github/{REPOSITORY}/pull/7")


def fields(section: DetailSection) -> list[tuple[str, str, Mark]]:
    return [(field.label, field.value, field.mark) for field in section.fields]


async def test_jobs_with_state_duration_and_failed_steps(fake: FakeGitHub, reader: Reader) -> None:
    steps = {"pytest": "failure", "lint": "success"}
    fake.jobs = [
        job("unit-tests", conclusion="failure", steps=steps),
        job("train", status="in_progress", conclusion=None, completed_at=None),
        job("deploy", status="queued", conclusion=None, completed_at=None),
        job("extra", conclusion="skipped"),
        job("quick", completed_at="2026-11-20T13:00:59Z"),
        job("long", completed_at="2026-11-20T14:04:00Z"),
    ]
    await reader.cycle()
    jobs, facts = await reader.source.detail(RUN)
    assert jobs.title == "Jobs"
    assert fields(jobs) == [
        ("unit-tests", "failure · 2m 31s · failed step: pytest", Mark.BAD),
        ("train", "in_progress · 1h 02m", Mark.RUNNING),
        ("deploy", "queued", Mark.WAITING),
        ("extra", "skipped", Mark.NONE),
        ("quick", "success · 59s", Mark.OK),
        ("long", "success · 1h 04m", Mark.OK),
    ]
    assert facts.title == "Run"
    assert ("Duration", "4m 50s", Mark.NONE) in fields(facts)
    assert ("State", "success", Mark.OK) in fields(facts)


async def test_all_pages_of_jobs_are_read(fake: FakeGitHub, reader: Reader) -> None:
    fake.jobs = [job(f"job {number}") for number in range(230)]
    await reader.cycle()
    jobs, _ = await reader.source.detail(RUN)
    assert len(jobs.fields) == 230


async def test_a_pull_request_with_failed_checks_first(fake: FakeGitHub, reader: Reader) -> None:
    team = {"requestedReviewer": {"__typename": "Team", "slug": "ml-platform"}}
    fake.pulls[REPOSITORY] = [
        pull(
            7,
            body="## Model\n- [x] validated\n- [ ] size",
            firstComments={"nodes": [comment("## PR Checklist\n### General\n- [ ] tests")]},
            commits=checks("SUCCESS", "", "TIMED_OUT"),
            reviews={"nodes": [review("bob", "CHANGES_REQUESTED"), review("bob", "APPROVED")]},
            reviewRequests={"nodes": [team]},
        )
    ]
    await reader.cycle()
    model, general, found, reviews = await reader.source.detail(PULL)
    assert (model.title, fields(model)) == (
        "Checklist: Model",
        [("validated", "done", Mark.OK), ("size", "open", Mark.NONE)],
    )
    assert (general.title, len(general.fields)) == ("Checklist: General", 1)
    assert fields(found) == [
        ("check 2", "timed out", Mark.BAD),
        ("check 1", "in progress", Mark.RUNNING),
        ("check 0", "success", Mark.OK),
    ]
    assert fields(reviews) == [
        ("bob", "approved · 2026-11-20 13:30:00 UTC", Mark.OK),
        ("bob", "changes requested · 2026-11-20 13:30:00 UTC", Mark.WARN),
        ("ml-platform", "asked for a review", Mark.WAITING),
    ]


async def test_what_may_not_be_read_is_said(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    denial = {"type": "FORBIDDEN", "message": "Resource not accessible by personal access token"}
    fake.errors = [
        denial | {"path": ["node", "commits", "nodes", 0, "commit", "statusCheckRollup"]},
        {"message": "reviewers timed out", "path": ["node", "reviewRequests"]},
    ]
    found, _, missing = await reader.source.detail(PULL)
    assert fields(found) == [("checks", "no permission to read them (checks: read)", Mark.UNKNOWN)]
    assert fields(missing) == [("GitHub says", "reviewers timed out (node.reviewRequests)", Mark.NONE)]


async def test_a_pull_request_that_is_gone_is_an_error(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.errors = [{"type": "NOT_FOUND", "message": "Could not resolve to a node", "path": ["node"]}]
    with pytest.raises(Unavailable, match="Could not resolve"):
        await reader.source.detail(PULL)


async def test_an_unknown_row_has_no_details(fake: FakeGitHub, reader: Reader) -> None:
    assert await reader.source.detail(RUN) == ()
    await reader.cycle()
    assert await reader.source.detail(RowRef(kind=RowKind.RUN, key="github/x/run/9")) == ()


async def test_a_run_that_may_not_be_read_is_an_error(fake: FakeGitHub, reader: Reader) -> None:
    await reader.cycle()
    fake.fail("GET /repos/acme/fraud/actions/runs/2/jobs", 403)
    with pytest.raises(Denied):
        await reader.source.detail(RUN)


async def test_probe_of_a_classic_token(fake: FakeGitHub, reader: Reader) -> None:
    fake.headers = {"x-oauth-scopes": "repo, workflow", "x-github-enterprise-version": "3.16.0"}
    fake.faults["GET /user"] = lambda: (200, fake.headers, {"login": "ada"})
    probe = await reader.source.probe()
    assert (probe.status, probe.identity, probe.error) == (SourceStatus.LIVE, "ada", "")
    assert probe.version == "GitHub Enterprise Server 3.16.0"
    assert probe.endpoint == fake.base_url
    assert probe.latency is not None
    assert [(p.name, p.scope, p.allowed) for p in probe.permissions] == [
        ("classic token", "repo, workflow", True),
        ("actions: read", REPOSITORY, True),
        ("pull requests: read", REPOSITORY, True),
        ("checks: read", REPOSITORY, True),
        ("issues: write", REPOSITORY, True),
        ("pull requests: write", REPOSITORY, True),
    ], "whether runs may be changed is up to our role, which the repository does not tell here"


async def test_probe_of_a_fine_grained_token_that_lacks_checks(fake: FakeGitHub, reader: Reader) -> None:
    fake.fail("GET /user", 403, message="Resource not accessible by integration")
    fake.fail(f"GET /repos/acme/fraud/commits/{run(2)['head_sha']}/check-runs", 403, message="Resource not accessible")
    probe = await reader.source.probe()
    assert (probe.status, probe.identity) == (SourceStatus.DENIED, "")
    assert [(p.name, p.allowed) for p in probe.permissions] == [
        ("fine-grained token", None),
        ("actions: read", True),
        ("pull requests: read", True),
        ("checks: read", False),
    ]
    assert probe.permissions[-1].hint == "give the token the permission checks: read"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, SourceStatus.DENIED),
        (429, SourceStatus.LIMITED),
        (500, SourceStatus.UNREACHABLE),
    ],
)
async def test_probe_never_raises(fake: FakeGitHub, reader: Reader, status: int, expected: SourceStatus) -> None:
    fake.fail("GET", status)
    probe = await reader.source.probe()
    assert probe.status is expected
    assert probe.error


@pytest.mark.parametrize(
    "broken",
    ["mlops_tui.sources.github.client.GitHubClient.whoami", "mlops_tui.sources.github.source.find_repositories"],
)
async def test_a_probe_that_fails_for_a_reason_of_our_own_says_so(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("ghp_secret")

    monkeypatch.setattr(broken, fail)
    probe = await reader.source.probe()
    assert (probe.status, probe.error) == (SourceStatus.UNREACHABLE, "internal error: ZeroDivisionError")


async def test_a_probe_can_be_cancelled(fake: FakeGitHub, reader: Reader) -> None:
    gate, entered = threading.Event(), threading.Event()

    def slow() -> tuple[int, dict[str, str], Any]:
        entered.set()
        gate.wait(10)
        return 401, {}, {"message": "Bad credentials"}

    fake.faults["GET /user"] = slow
    probe = asyncio.create_task(reader.source.probe())
    await asyncio.to_thread(entered.wait, 10)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    gate.set()


async def test_probe_of_an_empty_repository_does_not_guess(fake: FakeGitHub, reader: Reader) -> None:
    fake.runs[REPOSITORY], fake.pulls[REPOSITORY] = [], []
    probe = await reader.source.probe()
    assert probe.permissions[-1].allowed is None


async def test_probe_after_close_still_answers(reader: Reader) -> None:
    await reader.source.close()
    assert (await reader.source.probe()).status is SourceStatus.UNREACHABLE
