"""What the tests of the server put into it."""

from dataclasses import dataclass

from mlops_tui.demo.github import GitHubStore, JobPlan
from tests.support.clock import ManualClock

REPO = "acme/fraud"
JOBS = (
    JobPlan("full-training", ("Run actions/checkout@v4", "Train"), labels=("self-hosted", "gpu")),
    JobPlan("production-deployment", environment="production"),
)


@dataclass(frozen=True)
class World:
    """The store and what was put into it."""

    store: GitHubStore
    clock: ManualClock
    run_id: int
    pull: int
    sha: str
    comment_id: int
