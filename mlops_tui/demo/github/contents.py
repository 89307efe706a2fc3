"""What a repository's commits hold: files, their history, and how two commits compare."""

import bisect
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mlops_tui.demo.github.model import ChangedFile, Commit, FileVersion, Repository
from mlops_tui.demo.github.workflow_file import workflow_text
from mlops_tui.demo.github.world import NotFoundError, World


class ContentsWorld(World):
    """The part of the store that knows files."""

    def put_file(self, repo: str, path: str, text: str, *, ref: str | None = None, at: datetime | None = None) -> None:
        """Say what is in a file from a time on.

        It makes no commit. Who reads a commit older than the file's first text reads that first text.

        Args:
            ref: The branch that has it; `None` for every branch.
        """
        repository = self.repository(repo)
        if ref is not None and ref not in repository.branches:
            raise NotFoundError(f"no branch {ref} in {repo}")
        versions = repository.files.setdefault(path.strip("/"), [])
        bisect.insort(versions, FileVersion(self._time(at), text, ref), key=lambda version: version.at)
        self._touch(repository)

    def file_text(self, repo: str, path: str, ref: str | None = None) -> str:
        """Return what is in a file: what was put, or else what the repository's workflows and changes make of it.

        Args:
            ref: A branch, tag or sha; `None` for the default branch.

        Raises:
            NotFoundError: There is no such ref or file.
        """
        repository = self.repository(repo)
        name = (ref or repository.default_branch).removeprefix("refs/").removeprefix("heads/")
        commit = self.resolve(repo, name)
        versions = [v for v in repository.files.get(path, ()) if v.ref is None or _is_on(repository, commit, v.ref)]
        if versions:
            if repository.branches.get(name) == commit.sha:
                return versions[-1].text
            then = bisect.bisect_right(versions, commit.date, key=lambda version: version.at)
            return versions[max(0, then - 1)].text
        for workflow in repository.workflows.values():
            if workflow.path == path:
                return workflow_text(workflow, tuple(repository.workflows.values()))
        text = _text_of_changes(repository, commit, path)
        if text is None:
            raise NotFoundError(f"no file {path} in {repo} at {name}")
        return text

    def file_paths(self, repo: str, ref: str | None = None) -> list[str]:
        """Return the paths of all files at a branch, tag or sha, sorted.

        Raises:
            NotFoundError: There is no such ref.
        """
        repository = self.repository(repo)
        commit = self.resolve(repo, ref or repository.default_branch)
        paths = {
            path
            for path, versions in repository.files.items()
            if any(version.ref is None or _is_on(repository, commit, version.ref) for version in versions)
        }
        paths |= {workflow.path for workflow in repository.workflows.values()}
        removed: set[str] = set()
        for older in reversed(history(repository, commit)):
            for file in older.files:
                (removed.add if file.status == "removed" else removed.discard)(file.path)
                paths.add(file.path)
        return sorted(paths - (removed - repository.files.keys()))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a commit stands to another.

    Attributes:
        ahead: What the head has and the base has not, the oldest first.
        behind: The number of commits that the base has and the head has not.
        files: What `ahead` changes in all.
    """

    base: Commit
    merge_base: Commit
    ahead: list[Commit]
    behind: int
    files: list[ChangedFile]

    @property
    def status(self) -> Literal["identical", "ahead", "behind", "diverged"]:
        if self.ahead:
            return "diverged" if self.behind else "ahead"
        return "behind" if self.behind else "identical"


def compare(repository: Repository, base: Commit, head: Commit) -> Comparison:
    """Compare two commits, as from their last common ancestor.

    Raises:
        NotFoundError: They have no common ancestor.
    """
    before, after = ancestors(repository, base.sha), ancestors(repository, head.sha)
    common = [commit for sha, commit in after.items() if sha in before]
    if not common:
        raise NotFoundError(f"no common ancestor of {base.sha} and {head.sha}")
    ahead = _in_order(repository, (commit for sha, commit in after.items() if sha not in before))
    return Comparison(
        base=base,
        merge_base=_in_order(repository, common)[-1],
        ahead=ahead,
        behind=len(before) - len(common),
        files=changed_files(ahead),
    )


def history(repository: Repository, head: Commit) -> list[Commit]:
    """Return a commit and its ancestors, newest first."""
    return _in_order(repository, ancestors(repository, head.sha).values())[::-1]


def ancestors(repository: Repository, sha: str) -> dict[str, Commit]:
    """Return a commit and all that it builds on, by sha."""
    seen: dict[str, Commit] = {}
    waiting = [sha]
    while waiting:
        sha = waiting.pop()
        if sha not in seen and sha in repository.commits:
            seen[sha] = repository.commits[sha]
            waiting.extend(seen[sha].parents)
    return seen


def changed_files(commits: Iterable[Commit]) -> list[ChangedFile]:
    """Return what commits, the oldest first, change in all; what a merge brings in are the changes of its parents."""
    files: dict[str, ChangedFile] = {}
    for commit in commits:
        for file in commit.files if len(commit.parents) < 2 else ():
            before = files.pop(file.path, None)
            if before is None:
                files[file.path] = file
            elif not (before.status == "added" and file.status == "removed"):
                files[file.path] = replace(
                    file,
                    additions=before.additions + file.additions,
                    deletions=before.deletions + file.deletions,
                    status=before.status if before.status == "added" else file.status,
                )
    return [files[path] for path in sorted(files)]


def touches(commit: Commit, path: str) -> bool:
    """Whether a commit changes a file, or one in a folder, otherwise than by merging."""
    path = path.strip("/")
    return len(commit.parents) < 2 and any(
        not path or file.path == path or file.path.startswith(f"{path}/") for file in commit.files
    )


def blob_sha(text: str) -> str:
    """Return the id that git gives to a file with this text."""
    data = text.encode()
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False).hexdigest()


def tree_sha(paths: Iterable[str]) -> str:
    """Return an id for a folder, from what it holds."""
    return hashlib.sha1("\0".join(("tree", *paths)).encode(), usedforsecurity=False).hexdigest()


def _in_order(repository: Repository, commits: Iterable[Commit]) -> list[Commit]:
    """Return commits, the oldest first; of the same second, in the order of their making."""
    order = {sha: place for place, sha in enumerate(repository.commits)}
    return sorted(commits, key=lambda commit: (commit.date, order[commit.sha]))


def _is_on(repository: Repository, commit: Commit, branch: str) -> bool:
    return commit.sha in ancestors(repository, repository.branches.get(branch, ""))


def _text_of_changes(repository: Repository, commit: Commit, path: str) -> str | None:
    """Return the part of a file that the last patch of it shows; `None` where no commit has it, or it was removed."""
    for older in history(repository, commit):
        for file in older.files:
            if file.path == path:
                lines = [line[1:] for line in file.patch.splitlines() if line[:1] in ("+", " ")]
                return None if file.status == "removed" else "\n".join((*lines, ""))
    return None
