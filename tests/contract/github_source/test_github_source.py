"""The source's contract on a GitHub-compatible server: both interfaces, every token, and what it costs."""

import dataclasses
from datetime import timedelta

import pytest

from mlops_tui.domain.base import Attention, Mark, RowKind, RowRef
from mlops_tui.domain.errors import Denied, RateLimited, Unauthenticated
from mlops_tui.domain.pull import Checks, Mergeable, PullRow, Review
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.github import GitHubSource, GitHubTarget
from tests.contract.github_source.conftest import CD, CI, OTHER, REPO, Board, World
from tests.support.github_schema import Judged


def count(judged: Judged, method: str, part: str = "", status: int | None = None) -> int:
    return sum(
        verb == method and part in path and status in (None, answered) for verb, path, answered in judged.exchanges
    )


async def test_runs_and_pull_requests_of_both_repositories(board: Board, world: World) -> None:
    other = world.start(CD, world.store.repository(OTHER).branches["main"], "nightly", OTHER)
    deltas = await board.cycle()
    assert deltas[-1].complete
    assert (deltas[-1].identity, deltas[-1].problems) == ("ada", ())
    run, pull = board.run(world.run), board.pull(world.pull)
    assert (run.workflow, run.title, run.branch, run.event, run.actor) == (
        CI,
        "Bigger embedding",
        "main",
        "push",
        "bob",
    )
    assert (run.status, run.conclusion, run.attempt, run.head_sha) == ("queued", "", 1, world.sha)
    assert board.run(other, OTHER).repository == OTHER
    assert (pull.title, pull.author, pull.labels, pull.head_sha) == ("Bigger embedding", "bob", ("model",), world.sha)
    assert (pull.base_branch, pull.checklist_done, len(pull.checklist)) == ("main", 1, 2)
    assert (pull.checks, pull.review, pull.mergeable) == (Checks.PENDING, Review.REQUIRED, Mergeable.YES)


async def test_github_coms_layout_works_as_well(board: Board, world: World, target: GitHubTarget) -> None:
    await board.cycle()
    assert target.base_url is not None
    source = GitHubSource(dataclasses.replace(target, base_url=target.base_url.removesuffix("/api/v3")), world.clock)
    other = Board(source)
    await other.cycle()
    await source.close()
    assert {key: row.model_copy(update={"url": ""}) for key, row in other.rows.items()} == {
        key: row.model_copy(update={"url": ""}) for key, row in board.rows.items()
    }


async def test_a_quiet_world_costs_no_quota_and_no_query(board: Board, world: World, judged: Judged) -> None:
    world.finish(world.run, "success")
    await world.clock.advance(12)
    await board.cycle()
    core, graphql = world.store.limits.meter("full", "core").used, world.store.limits.meter("full", "graphql").used
    for _ in range(4):
        await world.clock.advance(12)
        (delta,) = await board.cycle()
        assert (delta.upserts, delta.removals, delta.complete) == ((), (), False)
    assert (world.store.limits.meter("full", "core").used, world.store.limits.meter("full", "graphql").used) == (
        core,
        graphql,
    )
    assert count(judged, "POST") == 1
    # The server notes an exchange when its answer is out, so the last one may not be there yet.
    assert count(judged, "GET", "/repos/", 200) == 6, "runs, pull requests and the repository itself, twice"
    assert count(judged, "GET", "/repos/", 304) >= 15


async def test_a_run_from_queue_to_failure_and_rerun(board: Board, world: World) -> None:
    await board.cycle()
    world.store.set_job(REPO, world.run, "lint-and-format", "in_progress")
    await board.cycle()
    assert (board.run(world.run).mark, board.run(world.run).status) == (Mark.RUNNING, "in_progress")
    world.finish(world.run, "failure")
    await board.cycle()
    row = board.run(world.run)
    assert (row.conclusion, row.attention) == ("failure", Attention.BAD)
    assert row.finished_at is not None
    assert (board.pull(world.pull).checks, board.pull(world.pull).checks_failed) == (Checks.FAILED, 1)
    world.store.rerun(REPO, world.run, failed_only=True)
    await board.cycle()
    assert (board.run(world.run).attempt, board.run(world.run).finished_at) == (2, None)
    assert board.pull(world.pull).checks is Checks.PENDING


async def test_a_run_that_waits_for_production(board: Board, world: World) -> None:
    run = world.start(CD, world.sha, "release")
    world.store.wait_for_environment(REPO, run, "production")
    await board.cycle()
    row = board.run(run)
    assert (row.mark, row.attention) == (Mark.WAITING, Attention.WARN)
    assert (row.waiting_for, row.reason) == ("production", "waits for approval of production")
    world.store.review_deployment(REPO, run, "production", "approved", "ada")
    await board.cycle()
    assert board.run(run).waiting_for == ""


async def test_checklist_reviews_and_mergeability_follow(board: Board, world: World) -> None:
    world.finish(world.run, "success")
    await board.cycle()
    await world.clock.advance(12)
    comment = world.store.comment(
        REPO, world.pull, "github-actions[bot]", "## PR Checklist\n### General\n- [ ] code review completed"
    )
    world.store.review(REPO, world.pull, "ada", "CHANGES_REQUESTED")
    await board.cycle()
    row = board.pull(world.pull)
    assert [item.section for item in row.checklist] == ["Before merging", "Before merging", "General"]
    assert (row.review, row.approvals) == (Review.CHANGES_REQUESTED, 0)
    await world.clock.advance(12)
    world.store.set_comment_body(REPO, comment, "## PR Checklist\n### General\n- [x] code review completed")
    world.store.set_body(REPO, world.pull, "")
    world.store.review(REPO, world.pull, "ada", "APPROVED")
    world.store.set_mergeable(REPO, world.pull, None)
    await board.cycle()
    row = board.pull(world.pull)
    assert (row.checklist_done, len(row.checklist)) == (1, 1)
    assert (row.review, row.approvals, row.mergeable) == (Review.APPROVED, 1, Mergeable.UNKNOWN)
    world.store.set_mergeable(REPO, world.pull, True)
    await world.clock.advance(12)
    await board.cycle()
    assert (board.pull(world.pull).mark, board.pull(world.pull).reason) == (Mark.OK, "")


async def test_merged_and_closed_pull_requests_vanish(board: Board, world: World) -> None:
    second, third = world.open_pull("second"), world.open_pull("third")
    await board.cycle()
    await world.clock.advance(12)
    world.store.merge_pull(REPO, second)
    world.store.close_pull(REPO, third)
    await board.cycle()
    assert [row.number for row in board.rows.values() if isinstance(row, PullRow)] == [world.pull]
    world.store.reopen_pull(REPO, third)
    await board.cycle()
    assert board.pull(third).title == "third"


async def test_many_pull_requests_and_runs_are_paged(world: World, target: GitHubTarget, judged: Judged) -> None:
    for number in range(119):
        world.open_pull(f"change {number}")
    for number in range(130):
        world.start(CI, world.sha, f"run {number}")
    source = GitHubSource(dataclasses.replace(target, runs=120), world.clock)
    board = Board(source)
    await board.cycle()
    await source.close()
    kinds = [row.kind for row in board.rows.values()]
    assert (kinds.count(RowKind.RUN), kinds.count(RowKind.PULL)) == (120, 120)
    assert board.run(max(row.run_id for row in board.rows.values() if row.kind is RowKind.RUN)).title == "run 129"
    assert count(judged, "POST") == 3
    assert count(judged, "GET", f"/{REPO}/pulls") == 2


async def test_a_token_that_may_not_read_checks(board: Board, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_TOKEN", "unchecked")
    world.store.set_check(REPO, world.sha, "coverage", "completed", "failure")
    deltas = await board.cycle()
    row = board.pull(world.pull)
    assert (row.checks, row.checks_failed, row.mark) == (Checks.DENIED, 0, Mark.UNKNOWN)
    assert deltas[-1].permissions is not None
    assert [(p.name, p.allowed) for p in deltas[-1].permissions if p.scope == REPO] == [
        ("actions: read", True),
        ("pull requests: read", True),
        ("checks: read", False),
    ]
    assert deltas[-1].problems is not None
    assert [(p.scope, p.status) for p in deltas[-1].problems] == [(REPO, SourceStatus.DENIED)]
    sections = await board.source.detail(RowRef(kind=RowKind.PULL, key=row.key))
    (checks,) = [section for section in sections if section.title == "Checks"]
    assert "no permission" in checks.fields[0].value
    probe = await board.source.probe()
    assert [p.allowed for p in probe.permissions if p.name == "checks: read" and p.scope == REPO] == [False]


async def test_a_token_that_only_reads_is_enough(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_TOKEN", "reads")
    deltas = await board.cycle()
    assert (deltas[-1].identity, deltas[-1].problems) == ("eve", ())


async def test_an_unknown_token(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_TOKEN", "stolen-secret")
    with pytest.raises(Unauthenticated) as raised:
        await board.cycle()
    assert "stolen-secret" not in raised.value.message + raised.value.hint
    probe = await board.source.probe()
    assert (probe.status, probe.identity) == (SourceStatus.DENIED, "")


async def test_a_repository_that_is_not_there(world: World, target: GitHubTarget) -> None:
    source = GitHubSource(dataclasses.replace(target, repositories=("acme/nothing", REPO)), world.clock)
    board = Board(source)
    deltas = await board.cycle()
    assert deltas[-1].problems is not None
    assert {(p.scope, p.message) for p in deltas[-1].problems} == {("acme/nothing", "not found or no access")}
    assert board.pull(world.pull)
    await source.close()
    source = GitHubSource(dataclasses.replace(target, repositories=("acme/nothing",)), world.clock)
    with pytest.raises(Denied, match="acme/nothing: not found or no access"):
        await source.cycle(lambda delta: None)
    await source.close()


async def test_the_secondary_rate_limit(board: Board, world: World) -> None:
    await board.cycle()
    world.store.limits.secondary(seconds=45)
    with pytest.raises(RateLimited) as raised:
        await board.cycle()
    assert raised.value.until == world.clock.now() + timedelta(seconds=45)
    await world.clock.advance(46)
    await board.cycle()


async def test_a_quota_that_is_used_up(board: Board, world: World) -> None:
    meter = world.store.limits.meter("full", "core")
    meter.used = meter.limit
    with pytest.raises(RateLimited) as raised:
        await board.cycle()
    assert raised.value.until == meter.reset
    await world.clock.advance(3_601)
    deltas = await board.cycle()
    assert deltas[-1].quota is not None
    assert deltas[-1].quota.remaining > 4_900


async def test_a_quota_of_queries_that_is_used_up(board: Board, world: World, judged: Judged) -> None:
    await board.cycle()
    meter = world.store.limits.meter("full", "graphql")
    meter.used = meter.limit
    second = world.open_pull("second")
    deltas = await board.cycle()
    assert deltas[-1].problems is not None
    assert [(p.scope, p.status, p.rows) for p in deltas[-1].problems] == [(REPO, SourceStatus.LIMITED, (RowKind.PULL,))]
    asked = count(judged, "POST")
    world.finish(world.run, "failure")
    await world.clock.advance(12)
    await board.cycle()
    assert board.run(world.run).conclusion == "failure"
    assert board.pull(world.pull).checks is Checks.PENDING
    assert count(judged, "POST") == asked
    await world.clock.advance(3_601)
    deltas = await board.cycle()
    assert deltas[-1].problems == ()
    assert (board.pull(world.pull).checks, board.pull(second).title) == (Checks.FAILED, "second")


async def test_jobs_of_a_run(board: Board, world: World) -> None:
    world.store.set_job(REPO, world.run, "lint-and-format", "in_progress")
    await world.clock.advance(61)
    world.store.set_job(REPO, world.run, "lint-and-format", "completed", "success")
    world.store.set_job(REPO, world.run, "unit-tests", "in_progress")
    await world.clock.advance(125)
    world.store.set_job(REPO, world.run, "unit-tests", "completed", "failure", failed_step="pytest")
    world.store.complete_run(REPO, world.run, "failure")
    await board.cycle()
    jobs, facts = await board.source.detail(RowRef(kind=RowKind.RUN, key=board.run(world.run).key))
    assert [(field.label, field.value, field.mark) for field in jobs.fields] == [
        ("lint-and-format", "success · 1m 01s", Mark.OK),
        ("unit-tests", "failure · 2m 05s · failed step: pytest", Mark.BAD),
    ]
    assert facts.title == "Run"


async def test_details_of_a_pull_request(board: Board, world: World) -> None:
    world.finish(world.run, "success")
    world.store.set_check(REPO, world.sha, "model size", "completed", "failure")
    world.store.set_status(REPO, world.sha, "dvc/push", "pending")
    world.store.review(REPO, world.pull, "ada", "APPROVED")
    await board.cycle()
    sections = await board.source.detail(RowRef(kind=RowKind.PULL, key=board.pull(world.pull).key))
    assert [section.title for section in sections] == ["Checklist: Before merging", "Checks", "Reviews"]
    assert [(field.label, field.value) for field in sections[1].fields][:2] == [
        ("model size", "failure"),
        ("dvc/push", "pending"),
    ]
    assert sections[2].fields[0].value.startswith("approved · 2026-11-20")


async def test_what_may_be_changed_is_known_before_anything_is_changed(board: Board, world: World) -> None:
    assert (await board.source.actor.may(REPO, "issues: write")).allowed is True
    deltas = await board.cycle()
    assert deltas[-1].identity == "ada", "also where somebody has asked before"
    assert deltas[-1].permissions is not None
    changes = {(p.name, p.scope): p.allowed for p in deltas[-1].permissions if not p.to_read}
    assert changes == {
        (f"{part}: write", name): True for part in ("actions", "issues", "pull requests") for name in (REPO, OTHER)
    }


async def test_probe(board: Board, target: GitHubTarget) -> None:
    probe = await board.source.probe()
    assert (probe.status, probe.identity, probe.error, probe.endpoint) == (
        SourceStatus.LIVE,
        "ada",
        "",
        target.base_url,
    )
    assert {(p.name, p.scope): p.allowed for p in probe.permissions if "/" in p.scope} == {
        ("actions: read", REPO): True,
        ("pull requests: read", REPO): True,
        ("checks: read", REPO): True,
        ("actions: read", OTHER): True,
        ("pull requests: read", OTHER): True,
        ("checks: read", OTHER): None,
        **{(f"{part}: write", name): True for part in ("actions", "issues", "pull requests") for name in (REPO, OTHER)},
    }
    assert all(permission.to_read is not permission.name.endswith(": write") for permission in probe.permissions)


async def test_hostile_texts_reach_no_row(board: Board, world: World) -> None:
    evil = "\x1b[2J\x1b]52;c;aGk=\x07\u202e[/red] " + "z" * 10_000
    number = world.open_pull(evil, body=f"- [x] {evil}")
    run = world.start(CI, world.sha, evil)
    await board.cycle()
    texts = [board.pull(number).title, board.pull(number).checklist[0].text, board.run(run).title]
    assert all(text.startswith("[/red] zzz") and len(text) <= 500 and text.isprintable() for text in texts)
