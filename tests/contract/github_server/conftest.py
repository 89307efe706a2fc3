"""A small world behind the server, and the server on a port of its own."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from mlops_tui.demo.github import GitHubStore, Token, create_app
from tests.contract.github_server.world import JOBS, REPO, World
from tests.support.clock import ManualClock
from tests.support.github_schema import Judged
from tests.support.serving import serving


@pytest.fixture
def world() -> World:
    """A repository with a run that waits for production and a pull request with checks, comments and reviews."""
    clock = ManualClock()
    store = GitHubStore(clock, seed=7)
    for secret, token in (
        ("full", Token("ada")),
        ("bob", Token("bob")),
        ("reads", Token("eve", "read-only")),
        ("unchecked", Token("kim", "no-checks")),
    ):
        store.tokens[secret] = token
    store.add_repository(REPO)
    store.add_workflow(REPO, "ML CD Pipeline", ".github/workflows/cd.yml", jobs=JOBS)
    store.add_environment(REPO, "production", reviewers=["ada"], wait_timer=5)
    pull = store.open_pull(
        REPO,
        title="Bigger embedding",
        body="- [x] tests pass\n- [ ] review done",
        author="bob",
        head_branch="feat/bigger",
        base_branch="main",
        labels=["model"],
        files=["src/model.py", "data/train.dvc"],
        requested_reviewers=["eve"],
    )
    sha = store.pull(REPO, pull).head_sha
    run_id = store.start_run(
        REPO,
        "ML CD Pipeline",
        branch="feat/bigger",
        event="pull_request",
        head_sha=sha,
        title="Bigger embedding",
        actor="bob",
        jobs=JOBS,
        pull_numbers=[pull],
    )
    store.set_job(REPO, run_id, "full-training", "in_progress")
    store.set_job(REPO, run_id, "full-training", "completed", "success")
    store.wait_for_environment(REPO, run_id, "production")
    comment_id = store.comment(REPO, pull, "github-actions[bot]", "## PR Checklist\n- [ ] performance validated")
    store.review(REPO, pull, "ada", "APPROVED", "fine")
    store.review_line(REPO, pull, "ada", "src/model.py", 3, "why 512?")
    store.set_check(REPO, sha, "coverage", "completed", "success", title="86 %")
    store.set_status(REPO, sha, "dvc/push", "pending", target_url="https://dvc.example.com/1", author="ada")
    store.add_release(REPO, "v1.4.0", body="first")
    return World(store, clock, run_id, pull, sha, comment_id)


@pytest.fixture
def judged(world: World) -> Iterator[Judged]:
    """The application; each exchange with it is held against GitHub's own description at the end of the test."""
    app = Judged(create_app(world.store))
    yield app
    assert app.failures == []


@pytest.fixture
async def client(judged: Judged) -> AsyncIterator[httpx.AsyncClient]:
    """A client with every permission, at the address of an Enterprise Server, without a network."""
    transport = httpx.ASGITransport(judged)
    headers = {"authorization": "Bearer full"}
    async with httpx.AsyncClient(transport=transport, base_url="http://ghes.test:8080/api/v3", headers=headers) as made:
        yield made


@pytest.fixture
def served(judged: Judged) -> Iterator[str]:
    """The address of the server on loopback, in a loop of its own: its client blocks."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(judged)) as address:
        yield address
