"""The store behind the GitHub-compatible server, and the handle by which a scenario moves it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.model import Comment, Review, ReviewComment
from mlops_tui.demo.github.pulls import PullWorld
from mlops_tui.demo.github.world import NotFoundError, node_id

ReviewState = Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED"]


class GitHubStore(PullWorld):
    """Everything that the server serves: repositories, runs, pull requests, checks, tokens.

    `repo` is always `owner/name`. Times (`at`) default to the clock's; giving past ones seeds a history. All methods
    raise `NotFoundError` for what is not there.
    """

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
        review = self._new_review(repo, number, author, body, at)
        self._submit(review, state, self._time(at))
        return review.id

    def draft_review(self, repo: str, number: int, author: str, body: str = "", *, at: datetime | None = None) -> int:
        """Begin a review that only its author sees until it is submitted, and return its id.

        Raises:
            ConflictError: The author has begun one already.
        """
        if any(review.author.login == author for review in self.pull(repo, number).drafts):
            raise ConflictError("User can only have one pending review per pull request")
        review = self._new_review(repo, number, author, body, at)
        review.pull.drafts.append(review)
        return review.id

    def submit_review(
        self, repo: str, number: int, review_id: int, state: ReviewState, body: str = "", *, at: datetime | None = None
    ) -> None:
        """Submit a review that was begun.

        Raises:
            ConflictError: It is submitted already.
        """
        pull, review = self.pull(repo, number), self.review_of(repo, number, review_id)
        if review not in pull.drafts:
            raise ConflictError("Review has already been submitted")
        pull.drafts.remove(review)
        review.body = body or review.body
        self._submit(review, state, self._time(at))

    def discard_review(self, repo: str, number: int, review_id: int) -> None:
        """Delete a review that was begun.

        Raises:
            ConflictError: It is submitted.
        """
        pull, review = self.pull(repo, number), self.review_of(repo, number, review_id)
        if review not in pull.drafts:
            raise ConflictError("Can not delete a non-pending pull request review")
        pull.drafts.remove(review)

    def edit_review(self, repo: str, number: int, review_id: int, body: str, *, at: datetime | None = None) -> None:
        """Change what a review says."""
        review = self.review_of(repo, number, review_id)
        review.body = body
        self._review_changed(review, self._time(at))

    def dismiss_review(self, repo: str, number: int, review_id: int, *, at: datetime | None = None) -> None:
        """Take the verdict from a review.

        Raises:
            ConflictError: It has none.
        """
        review = self.review_of(repo, number, review_id)
        if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
            raise ConflictError(f"Can not dismiss a {review.state.lower()} pull request review")
        review.state = "DISMISSED"
        self._review_changed(review, self._time(at))

    def review_of(self, repo: str, number: int, review_id: int) -> Review:
        """Return a review of a pull request by its id."""
        pull = self.pull(repo, number)
        for review in (*pull.reviews, *pull.drafts):
            if review.id == review_id:
                return review
        raise NotFoundError(f"no review {review_id} of {repo}#{number}")

    def request_reviewers(
        self, repo: str, number: int, logins: Iterable[str], *, withdraw: bool = False, at: datetime | None = None
    ) -> None:
        """Ask people for a review, or no longer ask them."""
        pull, named = self.pull(repo, number), [self.user(login) for login in logins]
        stay = tuple(user for user in pull.requested_reviewers if user not in named)
        pull.requested_reviewers = stay if withdraw else (*stay, *dict.fromkeys(named))
        self._pull_changed(pull, self._time(at))

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

    def review_comment_of(self, repo: str, comment_id: int) -> ReviewComment:
        """Return a comment on a line by its id."""
        for pull in self.repository(repo).pulls.values():
            for comment in pull.review_comments:
                if comment.id == comment_id:
                    return comment
        raise NotFoundError(f"no review comment {comment_id} in {repo}")

    def edit_review_comment(self, repo: str, comment_id: int, body: str, *, at: datetime | None = None) -> None:
        """Edit a comment on a line."""
        comment = self.review_comment_of(repo, comment_id)
        comment.body, comment.updated_at = body, self._time(at)
        self._touch(comment)
        self._pull_changed(comment.pull, comment.updated_at)

    def delete_comment(self, repo: str, comment_id: int, *, at: datetime | None = None) -> None:
        """Delete a comment on a pull request."""
        comment = self.comment_of(repo, comment_id)
        comment.pull.comments.remove(comment)
        del comment.pull.repository.comments[comment_id], self.nodes[comment.node_id]
        self._pull_changed(comment.pull, self._time(at))

    def delete_review_comment(self, repo: str, comment_id: int, *, at: datetime | None = None) -> None:
        """Delete a comment on a line."""
        comment = self.review_comment_of(repo, comment_id)
        comment.pull.review_comments.remove(comment)
        self._pull_changed(comment.pull, self._time(at))

    def _new_review(self, repo: str, number: int, author: str, body: str, at: datetime | None) -> Review:
        pull, review_id = self.pull(repo, number), self._id("review")
        return Review(
            id=review_id,
            author=self.user(author),
            state="PENDING",
            body=body,
            commit_sha=pull.head_sha,
            submitted_at=self._time(at),
            node_id=node_id("review", review_id),
            pull=pull,
        )

    def _submit(self, review: Review, state: ReviewState, now: datetime) -> None:
        pull = review.pull
        review.state, review.submitted_at, review.commit_sha = state, now, pull.head_sha
        pull.reviews.append(review)
        pull.requested_reviewers = tuple(user for user in pull.requested_reviewers if user != review.author)
        self.nodes[review.node_id] = review
        self._review_changed(review, now)

    def _review_changed(self, review: Review, now: datetime) -> None:
        self._touch(review)
        if review.state != "PENDING":
            self._pull_changed(review.pull, now)
