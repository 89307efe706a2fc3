"""Pull requests: from their opening to their merge."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.contents import ancestors, compare
from mlops_tui.demo.github.evidence import EvidenceWorld
from mlops_tui.demo.github.model import ChangedFile, Pull
from mlops_tui.demo.github.world import NotFoundError, node_id

MergeMethod = Literal["merge", "squash", "rebase"]


class PullWorld(EvidenceWorld):
    """The part of the store that knows pull requests."""

    def pull(self, repo: str, number: int) -> Pull:
        """Return a pull request."""
        try:
            return self.repository(repo).pulls[number]
        except KeyError:
            raise NotFoundError(f"no pull request {number} in {repo}") from None

    def open_pull(
        self,
        repo: str,
        *,
        title: str,
        body: str,
        author: str,
        head_branch: str,
        base_branch: str,
        labels: Iterable[str] = (),
        head_sha: str | None = None,
        files: Iterable[str | ChangedFile] = (),
        draft: bool = False,
        requested_reviewers: Iterable[str] = (),
        number: int | None = None,
        at: datetime | None = None,
    ) -> int:
        """Open a pull request and return its number.

        Args:
            head_sha: A commit that is there, or is to be; `None` draws one.
            files: Paths, or changed files with their counts.
            number: One that is not taken; `None` for the next one.

        Raises:
            ConflictError: The number is taken.
        """
        repository, now, changed = self.repository(repo), self._time(at), _changed_files(files)
        if number is not None and number in repository.pulls:
            raise ConflictError(f"pull request {number} is there already")
        base_sha = repository.branches[base_branch]
        if head_sha is None or head_sha not in repository.commits:
            commits = [
                self.add_commit(
                    repo, head_sha, title, author, branch=head_branch, parents=(base_sha,), files=changed, at=at
                )
            ]
        else:
            ahead = compare(repository, repository.commits[base_sha], repository.commits[head_sha]).ahead
            commits = [commit.sha for commit in ahead] or [head_sha]
        repository.branches[head_branch] = commits[-1]
        number, pull_id = number or self._next_number(repo), self._id("pull")
        pull = Pull(
            id=pull_id,
            number=number,
            repository=repository,
            title=title,
            body=body,
            author=self.user(author),
            head_branch=head_branch,
            base_branch=base_branch,
            base_sha=base_sha,
            labels=tuple(labels),
            commits=commits,
            files=changed,
            draft=draft,
            created_at=now,
            updated_at=now,
            node_id=node_id("pull", pull_id),
            requested_reviewers=tuple(self.user(login) for login in requested_reviewers),
        )
        repository.pulls[number] = pull
        self.nodes[pull.node_id] = pull
        self._touch(pull, repository)
        return number

    def push(
        self,
        repo: str,
        number: int,
        *,
        message: str,
        author: str | None = None,
        sha: str | None = None,
        files: Iterable[str | ChangedFile] | None = None,
        at: datetime | None = None,
    ) -> str:
        """Add a commit to a pull request's branch and return its sha.

        Args:
            files: What the pull request changes now; `None` for the same as before.
        """
        pull = self.pull(repo, number)
        changed = pull.files if files is None else _changed_files(files)
        sha = self.add_commit(
            repo,
            sha,
            message,
            author or pull.author.login,
            branch=pull.head_branch,
            parents=(pull.head_sha,),
            files=changed if files is None else [file for file in changed if file not in pull.files] or changed,
            at=at,
        )
        pull.commits.append(sha)
        pull.files = changed
        self._pull_changed(pull, self._time(at))
        return sha

    def set_body(self, repo: str, number: int, body: str, *, at: datetime | None = None) -> None:
        """Edit a pull request's description."""
        pull, now = self.pull(repo, number), self._time(at)
        pull.body, pull.edited_at = body, now
        self._pull_changed(pull, now)

    def edit_pull(
        self,
        repo: str,
        number: int,
        *,
        title: str | None = None,
        labels: Iterable[str] | None = None,
        draft: bool | None = None,
        at: datetime | None = None,
    ) -> None:
        """Change what is given, leave the rest."""
        pull = self.pull(repo, number)
        pull.title = pull.title if title is None else title
        pull.labels = pull.labels if labels is None else tuple(labels)
        pull.draft = pull.draft if draft is None else draft
        self._pull_changed(pull, self._time(at))

    def set_mergeable(self, repo: str, number: int, mergeable: bool | None) -> None:
        """Say whether the branches can be merged; `None` while it is not computed."""
        pull = self.pull(repo, number)
        pull.mergeable = mergeable
        self._touch(pull)

    def merge_pull(
        self,
        repo: str,
        number: int,
        *,
        actor: str | None = None,
        method: MergeMethod = "merge",
        title: str = "",
        message: str = "",
        at: datetime | None = None,
    ) -> str:
        """Merge a pull request and return the sha of the commit that the base branch gets.

        Args:
            title: Of the commit; empty for GitHub's own.
            message: What the commit says below its title; empty for GitHub's own.

        Raises:
            ConflictError: It is not open, is a draft, or its branches conflict.
        """
        pull, now = self.pull(repo, number), self._time(at)
        if pull.state == "OPEN" and pull.draft:
            raise ConflictError("Pull Request is still a draft")
        if pull.state != "OPEN" or pull.mergeable is False:
            raise ConflictError("Pull Request is not mergeable")
        who = self.user(actor) if actor else pull.author
        base = pull.repository.branches[pull.base_branch]
        if method == "merge":
            title = title or f"Merge pull request #{number} from {pull.repository.owner.login}/{pull.head_branch}"
            text = f"{title}\n\n{message or pull.title}"
        else:
            text = "\n\n".join(filter(None, (title or f"{pull.title} (#{number})", message)))
        pull.merge_sha = self.add_commit(
            repo,
            None,
            text,
            who.login if method == "merge" else pull.author.login,
            branch=pull.base_branch,
            parents=(base, pull.head_sha) if method == "merge" else (base,),
            files=pull.files,
            at=at,
        )
        pull.merged_at = pull.closed_at = now
        pull.merged_by = who
        self._pull_changed(pull, now)
        return pull.merge_sha

    def update_branch(self, repo: str, number: int, *, actor: str | None = None, at: datetime | None = None) -> str:
        """Merge a pull request's base branch into its own and return the new head's sha.

        Raises:
            ConflictError: The base branch has nothing new, or the branches conflict.
        """
        pull = self.pull(repo, number)
        base = pull.repository.branches[pull.base_branch]
        if base in ancestors(pull.repository, pull.head_sha):
            raise ConflictError("There are no new commits on the base branch.")
        if pull.mergeable is False:
            raise ConflictError("merge conflict between base and head")
        message = f"Merge branch '{pull.base_branch}' into {pull.head_branch}"
        who = actor or pull.author.login
        sha = self.add_commit(repo, None, message, who, branch=pull.head_branch, parents=(pull.head_sha, base), at=at)
        pull.commits.append(sha)
        pull.base_sha = base
        self._pull_changed(pull, self._time(at))
        return sha

    def close_pull(self, repo: str, number: int, *, at: datetime | None = None) -> None:
        """Close a pull request without merging it.

        Raises:
            ConflictError: It is merged.
        """
        pull, now = self.pull(repo, number), self._time(at)
        if pull.state == "MERGED":
            raise ConflictError("Pull Request is merged")
        pull.closed_at = pull.closed_at or now
        self._pull_changed(pull, now)

    def reopen_pull(self, repo: str, number: int, *, at: datetime | None = None) -> None:
        """Open a closed pull request again.

        Raises:
            ConflictError: It is merged.
        """
        pull = self.pull(repo, number)
        if pull.state == "MERGED":
            raise ConflictError("Pull Request is merged")
        pull.closed_at = None
        self._pull_changed(pull, self._time(at))

    def _pull_changed(self, pull: Pull, now: datetime) -> None:
        # Past times are given when a history is seeded; a pull request never gets younger by it.
        pull.updated_at = max(pull.updated_at, now)
        self._touch(pull, pull.repository)

    def _next_number(self, repo: str) -> int:
        return max(self.repository(repo).pulls, default=0) + 1


def _changed_files(files: Iterable[str | ChangedFile]) -> tuple[ChangedFile, ...]:
    return tuple(file if isinstance(file, ChangedFile) else ChangedFile(file) for file in files)
