"""The verbs for GitHub, planned and carried out by the desk, over the source's connection, at the demo's server."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.config.settings import EnvironmentSettings, Settings
from mlops_tui.demo.github import GitHubStore, JobPlan, Token, create_app
from mlops_tui.demo.github.model import WorkflowInput
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.operations.approve import Approve
from mlops_tui.operations.base import Place
from mlops_tui.operations.cancel import Cancel
from mlops_tui.operations.checklist import Checklist
from mlops_tui.operations.comment import Comment
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.dispatch import Dispatch
from mlops_tui.operations.journal import Journal, Record
from mlops_tui.operations.rerun import Rerun
from mlops_tui.operations.review import Review
from mlops_tui.operations.systems import ForgeSystem
from mlops_tui.operations.tick import Tick
from mlops_tui.sources.github import GitHubSource, GitHubTarget
from tests.contract.github_operations.faulty import FaultyProxy, faulty
from tests.support.clock import ManualClock
from tests.support.github_schema import Judged
from tests.support.serving import serving

REPO = "acme/fraud"
JOBS = (JobPlan("unit-tests"), JobPlan("production-deployment", environment="production"))
VERBS = (Comment(), Tick(), Checklist(), Review(), Rerun(), Cancel(), Dispatch(), Approve())


class QuickClock(ManualClock):
    """A clock on which nobody waits: who sleeps wakes up later at once; `meanwhile` happens first, once."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._elapsed += seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()
        await asyncio.sleep(0)


class World:
    """A repository with a pull request of somebody else, and a workflow that deploys."""

    def __init__(self) -> None:
        self.clock = QuickClock()
        self.store = GitHubStore(self.clock, seed=5)
        self.store.tokens |= {"full": Token("ada"), "bob": Token("bob"), "reads": Token("eve", "read-only")}
        self.store.add_repository(REPO)
        inputs = (WorkflowInput("model", required=True, default="fraud"), WorkflowInput("dry", type="boolean"))
        self.store.add_workflow(REPO, "ML CD Pipeline", ".github/workflows/cd.yml", jobs=JOBS, inputs=inputs)
        self.store.add_workflow(REPO, "Quality", ".github/workflows/quality.yml")
        self.store.add_environment(REPO, "production", reviewers=["ada"])
        self.pull = self.store.open_pull(
            REPO,
            title="Bigger embedding",
            body="Why:\r\n\r\n- [ ] tests pass\r\n- [x] data documented\r\n",
            author="bob",
            head_branch="feat/bigger",
            base_branch="main",
            files=["src/model/network.py", "data/train.dvc"],
        )
        self.run = self.start()

    def start(self) -> int:
        """Start a run of the workflow that deploys."""
        sha = self.store.pull(REPO, self.pull).head_sha
        return self.store.start_run(
            REPO, "cd.yml", branch="main", event="push", head_sha=sha, title="t", actor="bob", jobs=JOBS
        )

    @property
    def comments(self) -> list[str]:
        return [comment.body for comment in self.store.pull(REPO, self.pull).comments]

    def fail(self) -> None:
        """Let the run's tests fail."""
        self.store.set_job(REPO, self.run, "unit-tests", "in_progress")
        self.store.set_job(REPO, self.run, "unit-tests", "completed", "failure")
        self.store.complete_run(REPO, self.run, "failure")

    def wait_for_production(self) -> None:
        """Let the run come to the deployment that somebody has to approve."""
        self.store.set_job(REPO, self.run, "unit-tests", "in_progress")
        self.store.set_job(REPO, self.run, "unit-tests", "completed", "success")
        self.store.wait_for_environment(REPO, self.run, "production")

    def begin(self) -> None:
        """Let a runner take the first job of the run's latest attempt."""
        self.store.set_job(REPO, self.run, "unit-tests", "in_progress")


@dataclass
class Bench:
    """A desk at a world, and all that can be seen of both."""

    world: World
    place: Place
    proxy: FaultyProxy
    judged: Judged
    source: GitHubSource
    rows: list[OperationRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk(self.place, VERBS, tell=self.rows.append, notify=self._heard)

    async def _heard(self, record: Record) -> None:
        """Nobody is told."""

    @property
    def pull(self) -> str:
        return f"{REPO}#{self.world.pull}"

    @property
    def run(self) -> str:
        return f"{REPO}/runs/{self.world.run}"

    @property
    def journal(self) -> Journal:
        return self.place.journal

    async def plan(self, verb: str, target: str, **parameters: str) -> Plan:
        """Plan an operation."""
        return await self.desk.plan(PlanRequest(verb=verb, target=target, parameters=parameters))

    async def end(self, plan: Plan) -> OperationRow:
        """Carry a plan out, and return the operation as it ended."""
        self.desk.execute(plan.id, Confirmation(typed=plan.demand.typed))
        async with asyncio.timeout(10):
            while not self.rows[-1].state.ended or self.desk.running:
                await asyncio.sleep(0.002)
        return self.rows[-1]

    async def carry_out(self, verb: str, target: str, **parameters: str) -> OperationRow:
        """Plan an operation and carry it out."""
        plan = await self.plan(verb, target, **parameters)
        assert not plan.refusals, plan.refusals
        return await self.end(plan)

    def writes(self) -> list[str]:
        """Return what has arrived at the server that was no read."""
        return [
            f"{method} {path}" for method, path, _ in self.judged.exchanges if method != "GET" and "graphql" not in path
        ]


@dataclass(frozen=True)
class _Systems:
    github: ForgeSystem

    def forge(self) -> ForgeSystem:
        return self.github

    def cluster(self, environment: str) -> Any:
        raise AssertionError(environment)

    registry = cluster


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def judged(world: World) -> Iterator[Judged]:
    app = Judged(create_app(world.store))
    yield app
    assert app.failures == []


@pytest.fixture
async def served(judged: Judged) -> AsyncIterator[tuple[str, FaultyProxy]]:
    async with serving(judged) as address, faulty(address) as passed:
        yield passed


@pytest.fixture
def target(served: tuple[str, FaultyProxy], monkeypatch: pytest.MonkeyPatch) -> GitHubTarget:
    monkeypatch.setenv("WORLD_TOKEN", "full")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return GitHubTarget("github", f"{served[0]}/api/v3", (REPO,), "WORLD_TOKEN", 100, ("production",), Path("/"))


MakeBench = Callable[..., Bench]


@pytest.fixture
async def make(
    world: World, judged: Judged, served: tuple[str, FaultyProxy], target: GitHubTarget, tmp_path: Path
) -> AsyncIterator[MakeBench]:
    """Make a bench; changes are of the target."""
    sources: list[GitHubSource] = []
    settings = Settings.model_validate({"github": {"repositories": (REPO,)}})

    def made(environments: dict[str, EnvironmentSettings] | None = None, **changes: Any) -> Bench:
        source = GitHubSource(dataclasses.replace(target, **changes), world.clock)
        sources.append(source)
        journal = Journal(tmp_path / "journal.jsonl")
        place = Place(world.clock, _Systems(source.actor), settings, environments or {}, journal)
        return Bench(world, place, served[1], judged, source)

    yield made
    for source in sources:
        await source.close()


@pytest.fixture
def bench(make: MakeBench) -> Bench:
    return make()
