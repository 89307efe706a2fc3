"""REST: reviews of pull requests, who is asked for one, and comments on lines of the diff."""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.http import ApiError, Call, Reply, invalid, json_reply, list_reply
from mlops_tui.demo.github.model import Pull, Review, ReviewComment
from mlops_tui.demo.github.rest_pulls import announce, pull_of, text_of
from mlops_tui.demo.github.rest_repositories import moment
from mlops_tui.demo.github.store import ReviewState

_P = ParamSpec("_P")
_T = TypeVar("_T")
_EVENTS: Final[dict[str, ReviewState]] = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
}


def reviews(call: Call) -> Reply:
    found = pull_of(call)
    own = [review for review in found.drafts if review.author == call.user]
    return list_reply(call, [call.payloads.review(entry) for entry in (*found.reviews, *own)])


def review(call: Call) -> Reply:
    return json_reply(call.payloads.review(_review(call)))


def create(call: Call) -> Reply:
    found, event, body = pull_of(call), call.fields.get("event"), _body(call)
    if event is None:
        review_id = _or_unprocessable(call.store.draft_review, call.repo, found.number, call.token.login, body)
    else:
        state = _state(call, found, event, body)
        review_id = call.store.review(call.repo, found.number, call.token.login, state, body)
        announce(call, "review", found, state)
    return json_reply(call.payloads.review(call.store.review_of(call.repo, found.number, review_id)))


def submit(call: Call) -> Reply:
    found, begun, body = pull_of(call), _review(call), _body(call)
    state = _state(call, found, call.fields.get("event"), body or begun.body)
    _or_unprocessable(call.store.submit_review, call.repo, found.number, begun.id, state, body)
    announce(call, "review", found, state)
    return json_reply(call.payloads.review(begun))


def edit(call: Call) -> Reply:
    found, body = _review(call), call.text("body", "PullRequestReview")
    call.store.edit_review(call.repo, found.pull.number, found.id, body)
    announce(call, "edit", found.pull)
    return json_reply(call.payloads.review(found))


def discard(call: Call) -> Reply:
    found = _review(call)
    payload = call.payloads.review(found)
    _or_unprocessable(call.store.discard_review, call.repo, found.pull.number, found.id)
    return json_reply(payload)


def dismiss(call: Call) -> Reply:
    found = _review(call)
    if not call.text("message", "PullRequestReview").strip():
        raise _unprocessable("Message can't be blank")
    _or_unprocessable(call.store.dismiss_review, call.repo, found.pull.number, found.id)
    announce(call, "review", found.pull, "DISMISSED")
    return json_reply(call.payloads.review(found))


def requested_reviewers(call: Call) -> Reply:
    return json_reply({"users": [call.payloads.user(user) for user in pull_of(call).requested_reviewers], "teams": []})


def request_reviewers(call: Call) -> Reply:
    found, logins = pull_of(call), _logins(call)
    if found.author.login in logins:
        raise ApiError(422, "Review cannot be requested from pull request author.")
    return _ask(call, found, logins, 201)


def withdraw_reviewers(call: Call) -> Reply:
    return _ask(call, pull_of(call), _logins(call), 200)


def line_comments(call: Call) -> Reply:
    found = pull_of(call).review_comments
    if since := call.query.get("since"):
        found = [entry for entry in found if entry.updated_at >= moment(since)]
    return list_reply(call, [call.payloads.review_comment(entry) for entry in found])


def line_comment(call: Call) -> Reply:
    return json_reply(call.payloads.review_comment(_line_comment(call)))


def add_line_comment(call: Call) -> Reply:
    found, body = pull_of(call), text_of(call, "PullRequestReviewComment")
    path, line = call.text("path", "PullRequestReviewComment"), call.fields.get("line")
    if path not in {file.path for file in found.files}:
        raise invalid("PullRequestReviewComment", "pull_request_review_thread.path")
    if not isinstance(line, int) or isinstance(line, bool) or line < 1:
        raise invalid("PullRequestReviewComment", "pull_request_review_thread.line", "missing_field")
    if call.text("commit_id", "PullRequestReviewComment") not in found.commits:
        raise invalid("PullRequestReviewComment", "commit_id", "custom", "commit_id is not part of the pull request")
    number = call.store.review_line(call.repo, found.number, call.token.login, path, line, body)
    announce(call, "comment", found)
    payload = call.payloads.review_comment(call.store.review_comment_of(call.repo, number))
    return json_reply(payload, 201, headers={"location": payload["url"]})


def edit_line_comment(call: Call) -> Reply:
    found, body = _line_comment(call), text_of(call, "PullRequestReviewComment")
    call.store.edit_review_comment(call.repo, found.id, body)
    announce(call, "edit", found.pull)
    return json_reply(call.payloads.review_comment(found))


def delete_line_comment(call: Call) -> Reply:
    found = _line_comment(call)
    call.store.delete_review_comment(call.repo, found.id)
    announce(call, "edit", found.pull)
    return Reply(status=204)


def _state(call: Call, found: Pull, event: object, body: str) -> ReviewState:
    """Return the state that a verdict gives a review.

    Raises:
        ApiError: 422, there is no such verdict, or it cannot be given by this account or without a word.
    """
    if not isinstance(event, str) or event not in _EVENTS:
        raise _unprocessable("Variable $event of type PullRequestReviewEvent is invalid")
    if event != "APPROVE" and not body:
        raise _unprocessable("Body cannot be blank")
    if event != "COMMENT" and call.token.login == found.author.login:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise _unprocessable(f"Can not {verb} your own pull request")
    return _EVENTS[event]


def _ask(call: Call, found: Pull, logins: list[str], status: int) -> Reply:
    call.store.request_reviewers(call.repo, found.number, logins, withdraw=status == 200)
    announce(call, "edit", found)
    return json_reply(call.payloads.pull(found), status)


def _logins(call: Call) -> list[str]:
    named = call.fields.get("reviewers", [])
    if not isinstance(named, list) or not all(isinstance(login, str) and login for login in named):
        raise invalid("PullRequest", "reviewers")
    return named


def _body(call: Call) -> str:
    body = call.fields.get("body") or ""
    if not isinstance(body, str):
        raise invalid("PullRequestReview", "body")
    return body


def _or_unprocessable(change: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    try:
        return change(*args, **kwargs)
    except ConflictError as error:
        raise _unprocessable(str(error)) from None


def _unprocessable(message: str) -> ApiError:
    return ApiError(422, "Unprocessable Entity", errors=[message])


def _review(call: Call) -> Review:
    found = call.store.review_of(call.repo, pull_of(call).number, call.number("review_id"))
    if found.state == "PENDING" and found.author != call.user:
        raise ApiError(404, "Not Found")
    return found


def _line_comment(call: Call) -> ReviewComment:
    return call.store.review_comment_of(call.repo, call.number("comment_id"))
