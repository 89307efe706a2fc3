"""REST: pull requests, the issues that they are, too, their files, comments and labels."""

from collections.abc import Callable, Iterable
from typing import Any, get_args

from mlops_tui.demo.github.actions import ConflictError
from mlops_tui.demo.github.contents import compare
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
from mlops_tui.demo.github.model import Pull, StoreEvent
from mlops_tui.demo.github.pulls import MergeMethod
from mlops_tui.demo.github.rest_repositories import moment

_BODY_LIMIT = 65_536
_SORTS: dict[str, Callable[[Pull], Any]] = {
    "created": lambda pull: (pull.created_at, pull.number),
    "updated": lambda pull: (pull.updated_at, pull.number),
    "popularity": lambda pull: (len(pull.comments), pull.number),
    "long-running": lambda pull: (pull.created_at, pull.number),
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
    if direction not in ("asc", "desc"):
        raise invalid("PullRequest", "direction")
    found.sort(key=_SORTS[sort], reverse=direction == "desc")
    page = page_of(call, len(found))
    return fragments_reply(call.payloads.pull_fragments(found[page.start : page.stop]), len(found), page.headers)


def pull(call: Call) -> Reply:
    return json_reply(call.payloads.whole_pull(pull_of(call)))


def files(call: Call) -> Reply:
    found = pull_of(call)
    return list_reply(call, [call.payloads.file(found, entry) for entry in found.files])


def commits(call: Call) -> Reply:
    found = pull_of(call)
    return list_reply(call, [call.payloads.commit(found.repository.commits[sha]) for sha in found.commits])


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
    found, body = _issue(call), text_of(call, "IssueComment")
    comment_id = call.store.comment(call.repo, found.number, call.token.login, body)
    announce(call, "comment", found)
    payload = call.payloads.comment(call.store.comment_of(call.repo, comment_id))
    return json_reply(payload, 201, headers={"location": payload["url"]})


def edit_comment(call: Call) -> Reply:
    found, body = call.store.comment_of(call.repo, call.number("comment_id")), text_of(call, "IssueComment")
    call.store.set_comment_body(call.repo, found.id, body)
    announce(call, "edit", found.pull)
    return json_reply(call.payloads.comment(found))


def delete_comment(call: Call) -> Reply:
    found = call.store.comment_of(call.repo, call.number("comment_id"))
    call.store.delete_comment(call.repo, found.id)
    announce(call, "edit", found.pull)
    return Reply(status=204)


def add_labels(call: Call) -> Reply:
    found = _issue(call)
    return _set_labels(call, found, (*found.labels, *_names(call)))


def set_labels(call: Call) -> Reply:
    return _set_labels(call, _issue(call), _names(call))


def remove_label(call: Call) -> Reply:
    found, name = _issue(call), call.params["name"]
    if name not in found.labels:
        raise ApiError(404, "Label does not exist")
    return _set_labels(call, found, [label for label in found.labels if label != name])


def open_pull(call: Call) -> Reply:
    fields, repo = call.fields, call.repository
    title, head, base = (call.text(name, "PullRequest") for name in ("title", "head", "base"))
    head = head.removeprefix(f"{repo.owner.login}:")
    for name, branch in (("head", head), ("base", base)):
        if branch not in repo.branches:
            raise invalid("PullRequest", name)
    if not isinstance(fields.get("body") or "", str):
        raise invalid("PullRequest", "body")
    opened = (pull for pull in repo.pulls.values() if pull.state == "OPEN")
    if any((pull.head_branch, pull.base_branch) == (head, base) for pull in opened):
        message = f"A pull request already exists for {repo.owner.login}:{head}."
        raise ApiError(422, "Validation Failed", errors=[_custom(message)])
    found = compare(repo, repo.commits[repo.branches[base]], repo.commits[repo.branches[head]])
    if not found.ahead:
        raise ApiError(422, "Validation Failed", errors=[_custom(f"No commits between {base} and {head}")])
    number = call.store.open_pull(
        call.repo,
        title=title,
        body=fields.get("body") or "",
        author=call.token.login,
        head_branch=head,
        base_branch=base,
        head_sha=repo.branches[head],
        files=found.files,
        draft=fields.get("draft") is True,
    )
    made = call.store.pull(call.repo, number)
    announce(call, "open", made)
    payload = call.payloads.whole_pull(made)
    return json_reply(payload, 201, headers={"location": payload["url"]})


def edit_pull(call: Call) -> Reply:
    found = pull_of(call)
    _edit(call, found)
    return json_reply(call.payloads.whole_pull(found))


def issue(call: Call) -> Reply:
    return json_reply(call.payloads.issue(_issue(call)))


def edit_issue(call: Call) -> Reply:
    found = _issue(call)
    if "labels" in call.fields:
        call.store.edit_pull(call.repo, found.number, labels=dict.fromkeys(_names(call)))
    _edit(call, found)
    return json_reply(call.payloads.issue(found))


def _edit(call: Call, found: Pull) -> None:
    fields = call.fields
    for name in ("title", "state"):
        if name in fields and not isinstance(fields[name], str):
            raise invalid("PullRequest", name)
    if not isinstance(fields.get("body") or "", str):
        raise invalid("PullRequest", "body")
    if fields.get("title") == "":
        raise invalid("PullRequest", "title", "missing_field")
    if fields.get("state") not in (None, "open", "closed"):
        raise invalid("PullRequest", "state")
    if "title" in fields:
        call.store.edit_pull(call.repo, found.number, title=fields["title"])
    if "body" in fields:
        call.store.set_body(call.repo, found.number, fields["body"] or "")
    try:
        if fields.get("state") == "closed":
            call.store.close_pull(call.repo, found.number)
        elif fields.get("state") == "open":
            call.store.reopen_pull(call.repo, found.number)
    except ConflictError as error:
        raise invalid("PullRequest", "state", "invalid", str(error)) from None
    announce(call, "close" if fields.get("state") == "closed" else "edit", found)


def _names(call: Call) -> list[str]:
    """Return the labels of a body; GitHub takes texts and objects, in a list of their own or as `labels`."""
    given = call.body.get("labels") if isinstance(call.body, dict) else call.body
    names = []
    for entry in given if isinstance(given, list) else (None,):
        name = entry.get("name") if isinstance(entry, dict) else entry
        if not isinstance(name, str) or not name:
            raise invalid("Label", "name")
        names.append(name)
    return names


def _set_labels(call: Call, found: Pull, names: Iterable[str]) -> Reply:
    call.store.edit_pull(call.repo, found.number, labels=dict.fromkeys(names))
    announce(call, "edit", found)
    return json_reply(call.payloads.labels(found))


def _custom(message: str) -> dict[str, str]:
    return {"resource": "PullRequest", "code": "custom", "message": message}


def merge(call: Call) -> Reply:
    found, fields = pull_of(call), call.fields
    if found.state == "OPEN" and fields.get("sha", found.head_sha) != found.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    method: MergeMethod = fields.get("merge_method") or "merge"
    if method not in get_args(MergeMethod):
        raise invalid("PullRequest", "merge_method")
    if found.state == "OPEN" and not found.draft and (reason := _missing_review(found)):
        raise ApiError(405, reason)
    try:
        sha = call.store.merge_pull(
            call.repo,
            found.number,
            actor=call.token.login,
            method=method,
            title=fields.get("commit_title") or "",
            message=fields.get("commit_message") or "",
        )
    except ConflictError as error:
        raise ApiError(405, str(error)) from None
    announce(call, "merge", found)
    return json_reply({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def is_merged(call: Call) -> Reply:
    if pull_of(call).state != "MERGED":
        raise ApiError(404, "Not Found")
    return Reply(status=204)


def update_branch(call: Call) -> Reply:
    found = pull_of(call)
    if call.fields.get("expected_head_sha", found.head_sha) != found.head_sha:
        raise ApiError(422, "expected_head_sha did not match the current head ref.")
    try:
        call.store.update_branch(call.repo, found.number, actor=call.token.login)
    except ConflictError as error:
        raise ApiError(422, str(error)) from None
    announce(call, "push", found)
    url = call.payloads.pull(found)["url"]
    return json_reply({"message": "Updating pull request branch.", "url": url}, 202)


def _missing_review(found: Pull) -> str:
    """Return what the protection of the default branch asks for before a merge; empty if nothing."""
    if found.base_branch != found.repository.default_branch:
        return ""
    decision = found.review_decision
    if decision == "CHANGES_REQUESTED":
        return "Changes were requested by a reviewer with write access."
    if decision == "REVIEW_REQUIRED":
        return "At least 1 approving review is required by reviewers with write access."
    return ""


def announce(call: Call, action: str, found: Pull, detail: str = "") -> None:
    """Tell the rest of the world what a client did to a pull request."""
    call.store.announce(StoreEvent(action, found.repository.full_name, found.number, call.token.login, detail))


def text_of(call: Call, resource: str) -> str:
    """Return the body of a remark.

    Raises:
        ApiError: 422, there is none, or it is too long.
    """
    text = call.text("body", resource)
    if not text.strip():
        raise invalid(resource, "body", "missing_field", "body cannot be blank")
    if len(text) > _BODY_LIMIT:
        raise invalid(resource, "body", "custom", f"body is too long (maximum is {_BODY_LIMIT} characters)")
    return text


def pull_of(call: Call) -> Pull:
    """Return the pull request of the address; one that is not there raises `NotFoundError`."""
    return call.store.pull(call.repo, call.number("pull_number"))


def _issue(call: Call) -> Pull:
    return call.store.pull(call.repo, call.number("issue_number"))
