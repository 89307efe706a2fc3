"""GitHub: workflow runs and pull requests, of github.com and of GitHub Enterprise Server."""

from mlops_tui.sources.github.source import GitHubSource
from mlops_tui.sources.github.target import GitHubTarget

__all__ = ["GitHubSource", "GitHubTarget"]
