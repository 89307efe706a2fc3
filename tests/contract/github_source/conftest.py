"""The source on the demo's server, over a socket, each exchange held against GitHub's own description."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mlops_tui.demo.github import GitHubStore, JobPlan, Token, create_app
from mlops_tui.domain.pull import PullRow
from mlops_tui.domain.rows import Row
from mlops_tui.domain.workflow import RunRow
from mlops_tui.sources.base import Delta
from mlops_tui.sources.github import GitHubSource, GitHubTarget
from tests.support.clock import ManualClock
from tests.support.github_schema import Judged
from tests.support.serving import serving

REPO = "acme/fraud"
OTHER = "acme/churn"
CI = "ML CI Pipeline"
CD = "ML CD Pipeline"
CI_JOBS = (JobPlan("lint-and-format"), JobPlan("unit-tests", ("Run actions/checkout@v4", "pytest")))
CD_JOBS = (JobPlan("full-training"), JobPlan("production-deployment", environment="production"))


class World:
    """Two repositories, one with runs and pull requests; the tests move it from there."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = GitHubStore(self.clock, seed=3)
        self.store.tokens |= {
            "full": Token("ada"),
            "reads": Token("eve", "read-only"),
            "unchecked": Token("kim", "no-checks"),
        }
        for repository in (REPO, OTHER):
            self.store.add_repository(repository)
            self.store.add_workflow(repository, CI, ".github/workflows/ci.yml")
            self.store.add_workflow(repository, CD, ".github/workflows/cd.yml")
        self.pull = self.open_pull(
            "Bigger embedding", body="## Before merging\n- [x] tests pass\n- [ ] data documented"
        )
        self.sha = self.store.pull(REPO, self.pull).head_sha
        self.run = self.start(CI, self.sha, "Bigger embedding")

    def open_pull(self, title: str, body: str = "") -> int:
        """Open a pull request in `REPO` and return its number."""
        branch = f"feature/{len(self.store.repository(REPO).pulls) + 1}"
        number = self.store.open_pull(
            REPO, title=title, body=body, author="bob", head_branch=branch, base_branch="main", labels=["model"]
        )
        self.store.set_mergeable(REPO, number, True)
        return number

    def start(self, workflow: str, sha: str, title: str, repository: str = REPO) -> int:
        """Start a run and return its id."""
        jobs = CI_JOBS if workflow == CI else CD_JOBS
        return self.store.start_run(
            repository, workflow, branch="main", event="push", head_sha=sha, title=title, actor="bob", jobs=jobs
        )

    def finish(self, run: int, conclusion: str) -> None:
        """Run all jobs of a run to their end, the last with this conclusion."""
        names = [job.name for job in self.store.run(REPO, run).latest.jobs]
        for name in names:
            self.store.set_job(REPO, run, name, "in_progress")
            self.store.set_job(REPO, run, name, "completed", conclusion if name == names[-1] else "success")
        self.store.complete_run(REPO, run, conclusion)


class Board:
    """What a source has published, put together as the engine does it."""

    def __init__(self, source: GitHubSource) -> None:
        self.source = source
        self.rows: dict[str, Row] = {}

    async def cycle(self) -> list[Delta]:
        """Read the world once and return what was published."""
        deltas: list[Delta] = []
        await self.source.cycle(deltas.append)
        for delta in deltas:
            if delta.complete:
                self.rows.clear()
            for key in delta.removals:
                del self.rows[key]
            self.rows.update((row.key, row) for row in delta.upserts)
        return deltas

    def run(self, run: int, repository: str = REPO) -> RunRow:
        """Return the row of a run."""
        row = self.rows[f"github/{repository}/run/{run}"]
        assert isinstance(row, RunRow)
        return row

    def pull(self, number: int) -> PullRow:
        """Return the row of a pull request."""
        row = self.rows[f"github/{REPO}/pull/{number}"]
        assert isinstance(row, PullRow)
        return row


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def judged(world: World) -> Iterator[Judged]:
    app = Judged(create_app(world.store))
    yield app
    assert app.exchanges
    assert app.failures == []


@pytest.fixture
async def served(judged: Judged) -> AsyncIterator[str]:
    """The server's address on loopback, at a port of its own."""
    async with serving(judged) as address:
        yield address


@pytest.fixture
def target(served: str, monkeypatch: pytest.MonkeyPatch) -> GitHubTarget:
    """Both repositories, at the address of an Enterprise Server, with a token that may do everything."""
    monkeypatch.setenv("WORLD_TOKEN", "full")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return GitHubTarget("github", f"{served}/api/v3", (REPO, OTHER), "WORLD_TOKEN", 100, ("production",), Path("/"))


@pytest.fixture
async def board(target: GitHubTarget, world: World) -> AsyncIterator[Board]:
    source = GitHubSource(target, world.clock)
    yield Board(source)
    await source.close()
