"""A GitHub-compatible server over a world in memory: REST and GraphQL, as much of both as the product uses."""

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.app import create_app
from mlops_tui.demo.github.model import ChangedFile, JobPlan, StoreEvent, Token, WorkflowInput
from mlops_tui.demo.github.store import GitHubStore
from mlops_tui.demo.github.world import NotFoundError

__all__ = [
    "ChangedFile",
    "ConflictError",
    "GitHubStore",
    "JobPlan",
    "NotFoundError",
    "StoreEvent",
    "Token",
    "WorkflowInput",
    "create_app",
]
