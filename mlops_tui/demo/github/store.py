"""The store behind the GitHub-compatible server, and the handle by which a scenario moves it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from mlops_tui.demo.github.actions import ConflictError, RunWorld
from mlops_tui.demo.github.model import ChangedFile, Comment, Pull, Review, ReviewComment
from mlops_tui.demo.github.world import NotFoundError, node_id

ReviewState = Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]


class GitHubStore(RunWorld):
    """Everything that the server serves: repositories, runs, pull requests, checks, tokens.

    `repo` is always `owner/name`. Times (`at`) default to the clock's; giving past ones seeds a history. All methods
    raise `NotFoundError` for what is not there.
    """

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
        at: datetime | None = None,
    ) -> int:
        """Open a pull request and return its number.

        Args:
            head_sha: A commit that is there, or is to be; `None` draws one.
            files: Paths, or changed files with their counts.
        """
        repository, now = self.repository(repo), self._time(at)
        base_sha = repository.branches[base_branch]
        if head_sha is None or head_sha not in repository.commits:
            head_sha = self.add_commit(repo, head_sha, title, author, branch=head_branch, parents=(base_sha,), at=at)
        repository.branches[head_branch] = head_sha
        number, pull_id = self._next_number(repo), self._id("pull")
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
            commits=[head_sha],
            files=tuple(file if isinstance(file, ChangedFile) else ChangedFile(file) for file in files),
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
        """Add a commit to a pull request's branch and return its sha."""
        pull = self.pull(repo, number)
        sha = self.add_commit(
            repo, sha, message, author or pull.author.login, branch=pull.head_branch, parents=(pull.head_sha,), at=at
        )
        pull.commits.append(sha)
        if files is not None:
            pull.files = tuple(file if isinstance(file, ChangedFile) else ChangedFile(file) for file in files)
        self._pull_changed(pull, self._time(at))
        return sha

    def comment(self, repo: str, number: int, author: str, body: str, *, at: datetime | None = None) -> int:
        """Comment on a pull request and return the comment's id."""
        pull, now = self.pull(repo, number), self._time(at)
        comment_id = self._id("comment")
        comment = Comment(
            id=comment_id,
            author=self.user(author),
            body=body,
            created_at=now,
            updated_at=now,
            node_id=node_id("comment", comment_id),
            pull=pull,
        )
        pull.comments.append(comment)
        pull.repository.comments[comment_id] = comment
        self.nodes[comment.node_id] = comment
        self._touch(comment)
        self._pull_changed(pull, now)
        return comment_id

    def set_comment_body(self, repo: str, comment_id: int, body: str, *, at: datetime | None = None) -> None:
        """Edit a comment."""
        comment = self.comment_of(repo, comment_id)
        comment.body, comment.updated_at = body, self._time(at)
        self._touch(comment)
        self._pull_changed(comment.pull, comment.updated_at)

    def comment_of(self, repo: str, comment_id: int) -> Comment:
        """Return a comment by its id."""
        try:
            return self.repository(repo).comments[comment_id]
        except KeyError:
            raise NotFoundError(f"no comment {comment_id} in {repo}") from None

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

    def review(
        self,
        repo: str,
        number: int,
        author: str,
        state: ReviewState,
        body: str = "",
        *,
        at: datetime | None = None,
    ) -> int:
        """Review a pull request's head and return the review's id."""
        pull, now = self.pull(repo, number), self._time(at)
        review_id = self._id("review")
        review = Review(
            id=review_id,
            author=self.user(author),
            state=state,
            body=body,
            commit_sha=pull.head_sha,
            submitted_at=now,
            node_id=node_id("review", review_id),
            pull=pull,
        )
        pull.reviews.append(review)
        pull.requested_reviewers = tuple(user for user in pull.requested_reviewers if user.login != author)
        self.nodes[review.node_id] = review
        self._touch(review)
        self._pull_changed(pull, now)
        return review_id

    def review_line(
        self, repo: str, number: int, author: str, path: str, line: int, body: str, *, at: datetime | None = None
    ) -> int:
        """Comment on a line of the diff and return the comment's id."""
        pull, now = self.pull(repo, number), self._time(at)
        comment_id = self._id("review_comment")
        comment = ReviewComment(
            id=comment_id,
            author=self.user(author),
            body=body,
            path=path,
            line=line,
            commit_sha=pull.head_sha,
            created_at=now,
            updated_at=now,
            node_id=node_id("review_comment", comment_id),
            pull=pull,
        )
        pull.review_comments.append(comment)
        self._touch(comment)
        self._pull_changed(pull, now)
        return comment_id

    def merge_pull(self, repo: str, number: int, *, actor: str | None = None, at: datetime | None = None) -> str:
        """Merge a pull request and return the merge commit's sha.

        Raises:
            ConflictError: It is not open, is a draft, or its branches conflict.
        """
        pull, now = self.pull(repo, number), self._time(at)
        if pull.state != "OPEN" or pull.draft or pull.mergeable is False:
            raise ConflictError("Pull Request is not mergeable")
        who = self.user(actor) if actor else pull.author
        base = pull.repository.branches[pull.base_branch]
        message = f"Merge pull request #{number} from {pull.repository.owner.login}/{pull.head_branch}\n\n{pull.title}"
        pull.merge_sha = self.add_commit(
            repo, None, message, who.login, branch=pull.base_branch, parents=(base, pull.head_sha), at=at
        )
        pull.merged_at = pull.closed_at = now
        pull.merged_by = who
        self._pull_changed(pull, now)
        return pull.merge_sha

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
