"""What the pipelines release on GitHub: a tag and its notes for every version that came to its end in production."""

from datetime import datetime
from typing import Final

from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.story import BOT, Model

NOTES_PATH: Final = ".github/release.yml"
NOTES_CONFIGURATION: Final = """\
changelog:
  exclude:
    authors: [dependabot]
  categories:
    - title: New data
      labels: [data]
    - title: Models
      labels: [model]
    - title: Everything else
      labels: ["*"]
"""


def release_tag(model: Model, version: int) -> str:
    """Return the Git tag of a version: that of an image has the commit as well."""
    return f"{model.name}-v{version}"


def publish(github: GitHubStore, model: Model, version: int, commit: str, *, at: datetime | None = None) -> None:
    """Release a version from its commit; one that is released already stays as it is."""
    repo, tag = model.repository, release_tag(model, version)
    if any(release.tag == tag for release in github.repository(repo).releases):
        return
    notes = github.release_notes(repo, tag, github.web, target=commit)
    name = f"{model.name} v{version}"
    github.add_release(repo, tag, name=name, body=notes, author=BOT, sha=commit, at=at)
