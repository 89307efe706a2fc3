"""REST: pull requests, their files, reviews, comments and labels."""

from collections.abc import Callable
from typing import Any

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.http import (
    ApiError,
    Call,
    Reply,
    fragments_reply,
    invalid,
    json_reply,
    list_reply,
    page_of,
)
from mlops_tui.demo.github.model import Pull, Review, StoreEvent
from mlops_tui.demo.github.rest_repositories import moment
from mlops_tui.demo.github.store import ReviewState

_BODY_LIMIT = 65_536
_SORTS: dict[str, Callable[[Pull], Any]] = {
    "created": lambda pull: (pull.created_at, pull.number),
    "updated": lambda pull: (pull.updated_at, pull.number),
    "popularity": lambda pull: (len(pull.comments), pull.number),
    "long-running": lambda pull: (pull.created_at, pull.number),
}
_REVIEW_EVENTS: dict[str, ReviewState] = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
}


def pulls(call: Call) -> Reply:
    state, sort = call.query.get("state", "open"), call.query.get("sort", "created")
    if state not in ("open", "closed", "all"):
        raise invalid("PullRequest", "state")
    if sort not in _SORTS:
        raise invalid("PullRequest", "sort")
    found = [
        pull for pull in call.repository.pulls.values() if state == "all" or (pull.state == "OPEN") is (state == "open")
    ]
    if base := call.query.get("base"):
        found = [pull for pull in found if pull.base_branch == base]
    if head := call.query.get("head"):
        owner = call.repository.owner.login
        found = [pull for pull in found if head in (pull.head_branch, f"{owner}:{pull.head_branch}")]
    # As GitHub has it: newest first, unless another order than the creation's is asked for without a direction.
    direction = call.query.get("direction", "desc" if sort == "created" else "asc")
    found.sort(key=_SORTS[sort], reverse=direction == "desc")
    page = page_of(call, len(found))
    return fragments_reply(call.payloads.pull_fragments(found[page.start : page.stop]), len(found), page.headers)


def pull(call: Call) -> Reply:
    return json_reply(call.payloads.whole_pull(_pull(call)))


def files(call: Call) -> Reply:
    found = _pull(call)
    return list_reply(call, [call.payloads.file(found, entry) for entry in found.files])


def commits(call: Call) -> Reply:
    found = _pull(call)
    return list_reply(call, [call.payloads.commit(found.repository.commits[sha]) for sha in found.commits])


def reviews(call: Call) -> Reply:
    return list_reply(call, [call.payloads.review(entry) for entry in _pull(call).reviews])


def requested_reviewers(call: Call) -> Reply:
    return json_reply({"users": [call.payloads.user(user) for user in _pull(call).requested_reviewers], "teams": []})


def review_comments(call: Call) -> Reply:
    found = _pull(call).review_comments
    if since := call.query.get("since"):
        found = [entry for entry in found if entry.updated_at >= moment(since)]
    return list_reply(call, [call.payloads.review_comment(entry) for entry in found])


def comments(call: Call) -> Reply:
    found = _issue(call).comments
    if since := call.query.get("since"):
        found = [entry for entry in found if entry.updated_at >= moment(since)]
    return list_reply(call, [call.payloads.comment(entry) for entry in found])


def comment(call: Call) -> Reply:
    return json_reply(call.payloads.comment(call.store.comment_of(call.repo, call.number("comment_id"))))


def labels(call: Call) -> Reply:
    return list_reply(call, call.payloads.labels(_issue(call)))


def add_comment(call: Call) -> Reply:
    found, body = _issue(call), _body(call, "IssueComment")
    comment_id = call.store.comment(call.repo, found.number, call.token.login, body)
    _announce(call, "comment", found)
    payload = call.payloads.comment(call.store.comment_of(call.repo, comment_id))
    return json_reply(payload, 201, headers={"location": payload["url"]})


def edit_comment(call: Call) -> Reply:
    found, body = call.store.comment_of(call.repo, call.number("comment_id")), _body(call, "IssueComment")
    call.store.set_comment_body(call.repo, found.id, body)
    _announce(call, "edit", found.pull)
    return json_reply(call.payloads.comment(found))


def add_labels(call: Call) -> Reply:
    found = _issue(call)
    names = call.body.get("labels") if isinstance(call.body, dict) else call.body
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("Label", "labels")
    call.store.edit_pull(call.repo, found.number, labels=dict.fromkeys((*found.labels, *names)))
    _announce(call, "edit", found)
    return json_reply(call.payloads.labels(found))


def edit_pull(call: Call) -> Reply:
    found, fields = _pull(call), call.fields
    for name in ("title", "body", "state"):
        if name in fields and not isinstance(fields[name], str):
            raise invalid("PullRequest", name)
    if fields.get("title") == "":
        raise invalid("PullRequest", "title", "missing_field")
    if fields.get("state") not in (None, "open", "closed"):
        raise invalid("PullRequest", "state")
    if "title" in fields:
        call.store.edit_pull(call.repo, found.number, title=fields["title"])
    if "body" in fields:
        call.store.set_body(call.repo, found.number, fields["body"])
    try:
        if fields.get("state") == "closed":
            call.store.close_pull(call.repo, found.number)
        elif fields.get("state") == "open":
            call.store.reopen_pull(call.repo, found.number)
    except ConflictError as error:
        raise invalid("PullRequest", "state", "invalid", str(error)) from None
    _announce(call, "close" if fields.get("state") == "closed" else "edit", found)
    return json_reply(call.payloads.whole_pull(found))


def add_review(call: Call) -> Reply:
    found, fields = _pull(call), call.fields
    event, body = fields.get("event"), fields.get("body") or ""
    if event not in _REVIEW_EVENTS:
        raise ApiError(
            422, "Unprocessable Entity", errors=["Variable $event of type PullRequestReviewEvent is invalid"]
        )
    if event != "APPROVE" and not body:
        raise ApiError(422, "Unprocessable Entity", errors=["Body cannot be blank"])
    if event != "COMMENT" and call.token.login == found.author.login:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise ApiError(422, "Unprocessable Entity", errors=[f"Can not {verb} your own pull request"])
    review_id = call.store.review(call.repo, found.number, call.token.login, _REVIEW_EVENTS[event], body)
    _announce(call, "review", found, _REVIEW_EVENTS[event])
    return json_reply(call.payloads.review(_review(found, review_id)))


def merge(call: Call) -> Reply:
    found = _pull(call)
    if call.fields.get("sha", found.head_sha) != found.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    try:
        sha = call.store.merge_pull(call.repo, found.number, actor=call.token.login)
    except ConflictError as error:
        raise ApiError(405, str(error)) from None
    _announce(call, "merge", found)
    return json_reply({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _announce(call: Call, action: str, found: Pull, detail: str = "") -> None:
    call.store.announce(StoreEvent(action, found.repository.full_name, found.number, call.token.login, detail))


def _body(call: Call, resource: str) -> str:
    text = call.text("body", resource)
    if not text.strip():
        raise invalid(resource, "body", "missing_field", "body cannot be blank")
    if len(text) > _BODY_LIMIT:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {_BODY_LIMIT} characters)")
    return text


def _pull(call: Call) -> Pull:
    return call.store.pull(call.repo, call.number("pull_number"))


def _issue(call: Call) -> Pull:
    return call.store.pull(call.repo, call.number("issue_number"))


def _review(found: Pull, review_id: int) -> Review:
    return next(review for review in found.reviews if review.id == review_id)
