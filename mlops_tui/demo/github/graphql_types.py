"""How the fields of GitHub's GraphQL types follow from the store's records.

A field that is not named here is the attribute of the same name in snake case.
"""

import re
from collections.abc import Callable
from typing import Any

from mlops_tui.demo.github.graphql_records import (
    App,
    CheckAnnotation,
    CheckSuite,
    Connection,
    Context,
    Edge,
    GitActor,
    PullCommit,
    QueryError,
    Ref,
    ReviewRequest,
    Rollup,
    annotations,
    connect,
    node_key,
    rollup_of,
    rollup_state,
)
from mlops_tui.demo.github.http import NOT_ACCESSIBLE
from mlops_tui.demo.github.model import Check, Comment, Commit, Job, Pull, Repository, Review, Status, User
from mlops_tui.demo.github.payloads import Payload, git_person
from mlops_tui.demo.github.world import NotFoundError

_MARKDOWN = re.compile(
    r"^\s{0,3}(?:#{1,6}\s+|>\s?|(?:[-*+]|\d+\.)\s+(?:\[[ xX]\]\s+)?)|\*\*|`+|<!--.*?-->", re.MULTILINE
)
_CHANGES = {"added": "ADDED", "removed": "DELETED", "modified": "MODIFIED", "renamed": "RENAMED"}
_TYPES: dict[type, str] = {
    Check: "CheckRun",
    Comment: "IssueComment",
    Commit: "Commit",
    Job: "CheckRun",
    Pull: "PullRequest",
    Repository: "Repository",
    Review: "PullRequestReview",
    Status: "StatusContext",
}


def type_name(value: object) -> str:
    """Return the GraphQL type of a record, for interfaces and unions."""
    if isinstance(value, User):
        return "Bot" if value.is_bot else "User"
    return _TYPES[type(value)]


def _ordered(items: list[Any], order: Payload | None, keys: dict[str, Callable[[Any], Any]]) -> list[Any]:
    if order:
        items.sort(key=keys[order["field"]], reverse=order["direction"] == "DESC")
    return items


def _repository(_: object, context: Context, _name: str, arguments: Payload) -> Repository:
    full_name = f"{arguments['owner']}/{arguments['name']}"
    try:
        if context.call.token.reaches(full_name):
            return context.call.store.repository(full_name)
    except NotFoundError:
        pass
    raise QueryError("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")


def _node(_: object, context: Context, _name: str, arguments: Payload) -> object:
    return _find(context, arguments["id"])


def _nodes(_: object, context: Context, _name: str, arguments: Payload) -> list[object]:
    # An id that is not known makes its own place null, and an error; the others are answered.
    found: list[object] = []
    for node_id in arguments["ids"]:
        try:
            found.append(_find(context, node_id))
        except QueryError as error:
            found.append(error)
    return found


def _find(context: Context, node_id: str) -> object:
    node = context.call.store.nodes.get(node_id)
    repository = _repository_of(node)
    if node is None or (repository is not None and not context.call.token.reaches(repository.full_name)):
        raise QueryError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id[:100]}'.")
    if isinstance(node, Pull | Comment | Review):
        _need(context, "pull_requests")
    return node


def _repository_of(node: object) -> Repository | None:
    if isinstance(node, Repository):
        return node
    if isinstance(node, Comment | Review):
        return node.pull.repository
    return node.repository if isinstance(node, Pull | Commit) else None


def _need(context: Context, permission: str) -> None:
    if not context.call.token.may(permission):
        raise QueryError("FORBIDDEN", NOT_ACCESSIBLE)


def _pull(repository: Repository, context: Context, _name: str, arguments: Payload) -> Pull:
    _need(context, "pull_requests")
    number = arguments["number"]
    if number not in repository.pulls:
        raise QueryError("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
    return repository.pulls[number]


def _pulls(repository: Repository, context: Context, name: str, arguments: Payload) -> Connection:
    _need(context, "pull_requests")
    states, labels = arguments.get("states"), arguments.get("labels")
    found = [
        pull
        for pull in repository.pulls.values()
        if (not states or pull.state in states)
        and (not labels or set(labels) & set(pull.labels))
        and arguments.get("headRefName", pull.head_branch) == pull.head_branch
        and arguments.get("baseRefName", pull.base_branch) == pull.base_branch
    ]
    keys: dict[str, Callable[[Pull], Any]] = {
        "CREATED_AT": lambda pull: (pull.created_at, pull.number),
        "UPDATED_AT": lambda pull: (pull.updated_at, pull.number),
        "COMMENTS": lambda pull: (len(pull.comments), pull.number),
    }
    return connect(_ordered(found, arguments.get("orderBy"), keys), name, arguments, node_key)


def _labels(pull: Pull, context: Context, name: str, arguments: Payload) -> Connection:
    return connect(context.call.payloads.labels(pull), name, arguments, lambda label: label["id"])


def _comments(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    keys: dict[str, Callable[[Comment], Any]] = {"UPDATED_AT": lambda comment: comment.updated_at}
    return connect(_ordered(list(pull.comments), arguments.get("orderBy"), keys), name, arguments, node_key)


def _reviews(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    states, author = arguments.get("states"), arguments.get("author")
    found = [
        review
        for review in pull.reviews
        if (not states or review.state in states) and (author is None or review.author.login == author)
    ]
    return connect(found, name, arguments, node_key)


def _latest_reviews(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    latest = {review.author.login: review for review in pull.reviews}
    return connect(list(latest.values()), name, arguments, node_key)


def _review_requests(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    found = [ReviewRequest(pull, user) for user in pull.requested_reviewers]
    return connect(found, name, arguments, lambda request: request.requested_reviewer.login)


def _commits(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    found = [PullCommit(pull, pull.repository.commits[sha]) for sha in pull.commits]
    return connect(found, name, arguments, lambda entry: entry.commit.sha)


def _files(pull: Pull, _: Context, name: str, arguments: Payload) -> Connection:
    return connect(pull.files, name, arguments, lambda file: file.path)


def _rollup(commit: Commit, context: Context, _name: str, _arguments: Payload) -> Rollup | None:
    _need(context, "checks")
    return rollup_of(commit)


def _contexts(rollup: Rollup, _: Context, name: str, arguments: Payload) -> Connection:
    return connect(rollup.contexts, name, arguments, node_key)


def _rate_limit(_: object, context: Context, _name: str, _arguments: Payload) -> Payload:
    meter = context.call.store.limits.meter(context.call.secret, "graphql")
    used = min(meter.limit, meter.used + context.points)
    return {
        "cost": context.points,
        "limit": meter.limit,
        "nodeCount": context.nodes,
        "remaining": meter.limit - used,
        "resetAt": meter.reset,
        "used": used,
    }


def _page_info(connection: Connection, _: Context, _name: str, _arguments: Payload) -> Payload:
    size = len(connection.nodes)
    return {
        "startCursor": connection.cursor(0) if size else None,
        "endCursor": connection.cursor(size - 1) if size else None,
        "hasPreviousPage": connection.start > 0,
        "hasNextPage": connection.start + size < connection.total,
    }


def _edges(connection: Connection, _: Context, _name: str, _arguments: Payload) -> list[Edge]:
    return [Edge(connection.cursor(index), node) for index, node in enumerate(connection.nodes)]


def _text(record: Any, _: Context, _name: str, _arguments: Payload) -> str:
    return _MARKDOWN.sub("", record.body).strip()


def _mapping(source: Payload, _: Context, name: str, _arguments: Payload) -> Any:
    return source[name]


def _check_page(check: Check | Job, context: Context, _name: str, _arguments: Payload) -> str:
    if isinstance(check, Job):
        return context.page(check.run.repository, "actions", "runs", check.run.id, "job", check.id)
    repository = next(
        repository
        for repository in context.call.store.repositories.values()
        if check.name in repository.checks.get(check.head_sha, {})
    )
    return context.page(repository, "runs", check.id)


def _annotation(entry: CheckAnnotation, context: Context) -> Payload:
    return context.call.payloads.annotation(entry.job, entry.annotation)


Resolver = Callable[[Any, Context, str, Payload], Any]


def _of(function: Callable[[Any], Any]) -> Resolver:
    """Return a resolver that needs the record alone."""
    return lambda record, _context, _name, _arguments: function(record)


def _with(function: Callable[[Any, Context], Any]) -> Resolver:
    """Return a resolver that needs the record, and who asks where."""
    return lambda record, context, _name, _arguments: function(record, context)


_ID = _of(lambda record: record.node_id)
_LARGE_ID = _of(lambda record: str(record.id))
_LOGIN: dict[str, Resolver] = {
    "id": _of(lambda user: f"U_{user.id}"),
    "login": _of(lambda user: user.login.removesuffix("[bot]")),
    "name": _of(lambda user: user.login),
    "url": _with(lambda user, context: context.call.payloads.user(user)["html_url"]),
    "avatarUrl": _with(lambda user, context: context.call.payloads.user(user)["avatar_url"]),
}
_CONNECTION: dict[str, Resolver] = {
    "totalCount": _of(lambda connection: connection.total),
    "pageInfo": _page_info,
    "edges": _edges,
}

RESOLVERS: dict[str, dict[str, Resolver]] = {
    "Query": {
        "viewer": _with(lambda _, context: context.call.user),
        "rateLimit": _rate_limit,
        "repository": _repository,
        "node": _node,
        "nodes": _nodes,
    },
    "RateLimit": dict.fromkeys(("cost", "limit", "nodeCount", "remaining", "resetAt", "used"), _mapping),
    "PageInfo": dict.fromkeys(("startCursor", "endCursor", "hasPreviousPage", "hasNextPage"), _mapping),
    "User": _LOGIN,
    "Bot": _LOGIN,
    **dict.fromkeys(
        (
            "IssueCommentConnection",
            "LabelConnection",
            "PullRequestChangedFileConnection",
            "PullRequestCommitConnection",
            "PullRequestConnection",
            "PullRequestReviewConnection",
            "ReviewRequestConnection",
        ),
        _CONNECTION,
    ),
    "CheckAnnotationConnection": _CONNECTION,
    "StatusCheckRollupContextConnection": _CONNECTION
    | {
        "checkRunCount": _of(lambda c: sum(not isinstance(context, Status) for context in c.everything)),
        "statusContextCount": _of(lambda c: sum(isinstance(context, Status) for context in c.everything)),
    },
    "Repository": {
        "id": _ID,
        "databaseId": _of(lambda repository: repository.id),
        "nameWithOwner": _of(lambda repository: repository.full_name),
        "url": _with(lambda repository, context: context.page(repository)),
        "isPrivate": _of(lambda _: True),
        "isArchived": _of(lambda _: False),
        "viewerPermission": _with(
            lambda _, context: "WRITE" if context.call.token.may("contents", "write") else "READ"
        ),
        "defaultBranchRef": _of(lambda repository: Ref(repository, repository.default_branch)),
        "updatedAt": _of(lambda repository: max(commit.date for commit in repository.commits.values())),
        "pushedAt": _of(lambda repository: max(commit.date for commit in repository.commits.values())),
        "pullRequest": _pull,
        "pullRequests": _pulls,
    },
    "Ref": {
        "id": _of(lambda ref: f"REF_{ref.repository.id}_{ref.name}"),
        "target": _of(lambda ref: ref.repository.commits[ref.repository.branches[ref.name]]),
    },
    "PullRequest": {
        "id": _ID,
        "fullDatabaseId": _LARGE_ID,
        "bodyText": _text,
        "url": _with(lambda pull, context: context.page(pull.repository, "pull", pull.number)),
        "isDraft": _of(lambda pull: pull.draft),
        "authorAssociation": _of(lambda _: "COLLABORATOR"),
        "headRefName": _of(lambda pull: pull.head_branch),
        "headRefOid": _of(lambda pull: pull.head_sha),
        "baseRefName": _of(lambda pull: pull.base_branch),
        "baseRefOid": _of(lambda pull: pull.base_sha),
        "labels": _labels,
        "mergeable": _of(lambda pull: {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}[pull.mergeable]),
        "merged": _of(lambda pull: pull.state == "MERGED"),
        "mergeCommit": _of(lambda pull: pull.repository.commits[pull.merge_sha] if pull.merge_sha else None),
        "closed": _of(lambda pull: pull.closed_at is not None),
        "lastEditedAt": _of(lambda pull: pull.edited_at),
        "locked": _of(lambda _: False),
        "additions": _of(lambda pull: sum(file.additions for file in pull.files)),
        "deletions": _of(lambda pull: sum(file.deletions for file in pull.files)),
        "changedFiles": _of(lambda pull: len(pull.files)),
        "totalCommentsCount": _of(lambda pull: len(pull.comments) + len(pull.review_comments)),
        "viewerDidAuthor": _with(lambda pull, context: pull.author == context.call.user),
        "isCrossRepository": _of(lambda _: False),
        "reviews": _reviews,
        "latestReviews": _latest_reviews,
        "reviewRequests": _review_requests,
        "comments": _comments,
        "commits": _commits,
        "files": _files,
    },
    "Label": {
        "id": _of(lambda label: label["node_id"]),
        "name": _of(lambda label: label["name"]),
        "color": _of(lambda label: label["color"]),
        "description": _of(lambda label: label["description"]),
        "isDefault": _of(lambda label: label["default"]),
    },
    "PullRequestReview": {
        "id": _ID,
        "fullDatabaseId": _LARGE_ID,
        "bodyText": _text,
        "createdAt": _of(lambda review: review.submitted_at),
        "updatedAt": _of(lambda review: review.submitted_at),
        "url": _with(
            lambda review, context: context.page(
                review.pull.repository, "pull", f"{review.pull.number}#pullrequestreview-{review.id}"
            )
        ),
        "commit": _of(lambda review: review.pull.repository.commits.get(review.commit_sha)),
    },
    "ReviewRequest": {"id": _of(lambda request: f"RR_{request.pull.id}_{request.requested_reviewer.id}")},
    "IssueComment": {
        "authorAssociation": _of(lambda _: "COLLABORATOR"),
        "id": _ID,
        "fullDatabaseId": _LARGE_ID,
        "bodyText": _text,
        "lastEditedAt": _of(lambda c: c.updated_at if c.updated_at != c.created_at else None),
        "isMinimized": _of(lambda _: False),
        "viewerDidAuthor": _with(lambda comment, context: comment.author == context.call.user),
        "viewerCanUpdate": _with(lambda _, context: context.call.token.may("pull_requests", "write")),
        "url": _with(
            lambda comment, context: context.page(
                comment.pull.repository, "pull", f"{comment.pull.number}#issuecomment-{comment.id}"
            )
        ),
    },
    "PullRequestCommit": {
        "id": _of(lambda entry: f"PURC_{entry.pull.id}_{entry.commit.sha}"),
        "url": _with(
            lambda entry, context: context.page(
                entry.pull.repository, "pull", entry.pull.number, "commits", entry.commit.sha
            )
        ),
    },
    "Commit": {
        "id": _ID,
        "oid": _of(lambda commit: commit.sha),
        "abbreviatedOid": _of(lambda commit: commit.sha[:7]),
        "messageHeadline": _of(lambda commit: commit.message.partition("\n")[0]),
        "authoredDate": _of(lambda commit: commit.date),
        "committedDate": _of(lambda commit: commit.date),
        "url": _with(lambda commit, context: context.page(commit.repository, "commit", commit.sha)),
        "author": _of(lambda commit: GitActor(commit.author, commit.date)),
        "statusCheckRollup": _rollup,
    },
    "GitActor": {
        "name": _of(lambda actor: git_person(actor.account)["name"]),
        "email": _of(lambda actor: git_person(actor.account)["email"]),
        "user": _of(lambda actor: None if actor.account.is_bot else actor.account),
    },
    "StatusCheckRollup": {
        "id": _of(lambda rollup: f"SCR_{rollup.commit.sha}"),
        "state": _of(rollup_state),
        "contexts": _contexts,
    },
    "CheckRun": {
        "id": _ID,
        "databaseId": _of(lambda check: check.id),
        "status": _of(lambda check: check.status.upper()),
        "conclusion": _of(lambda check: check.conclusion and check.conclusion.upper()),
        "detailsUrl": _check_page,
        "url": _check_page,
        "title": _of(lambda check: getattr(check, "title", "") or None),
        "summary": _of(lambda check: getattr(check, "summary", "") or None),
        "text": _of(lambda _: None),
        "isRequired": _of(lambda _: False),
        "checkSuite": _of(CheckSuite),
        "annotations": lambda check, _context, name, arguments: connect(
            annotations(check), name, arguments, lambda entry: entry.number
        ),
    },
    "CheckAnnotation": {
        "annotationLevel": _of(lambda entry: entry.annotation.level.upper()),
        "blobUrl": _with(lambda entry, context: _annotation(entry, context)["blob_href"]),
        "location": _of(lambda entry: {end: {"line": entry.annotation.line} for end in ("start", "end")}),
        "message": _of(lambda entry: entry.annotation.message),
        "path": _of(lambda entry: entry.annotation.path),
        "rawDetails": _of(lambda _: ""),
        "title": _of(lambda entry: entry.annotation.title),
    },
    "CheckAnnotationSpan": dict.fromkeys(("start", "end"), _mapping),
    "CheckAnnotationPosition": {"line": _mapping, "column": _of(lambda _: None)},
    "CheckSuite": {
        "id": _of(lambda suite: f"CS_{_suite_id(suite.check)}"),
        "databaseId": _of(lambda suite: _suite_id(suite.check)),
        "status": _of(lambda suite: _suite_source(suite.check).status.upper()),
        "conclusion": _of(lambda suite: (_suite_source(suite.check).conclusion or "").upper() or None),
        "app": _of(lambda _: App("A_15368", "GitHub Actions", "github-actions")),
        "workflowRun": _of(lambda suite: suite.check.run if isinstance(suite.check, Job) else None),
    },
    "WorkflowRun": {
        "id": _ID,
        "databaseId": _of(lambda run: run.id),
        "runNumber": _of(lambda run: run.number),
        "url": _with(lambda run, context: context.page(run.repository, "actions", "runs", run.id)),
    },
    "Workflow": {"id": _ID, "databaseId": _of(lambda workflow: workflow.id)},
    "StatusContext": {
        "id": _ID,
        "state": _of(lambda status: status.state.upper()),
        "isRequired": _of(lambda _: False),
    },
    "PullRequestChangedFile": {"changeType": _of(lambda file: _CHANGES[file.status])},
}


def _suite_id(check: Check | Job) -> int:
    return check.run.check_suite_id if isinstance(check, Job) else check.id


def _suite_source(check: Check | Job) -> Any:
    return check.run.latest if isinstance(check, Job) else check
