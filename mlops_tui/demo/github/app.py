"""The application: every address, at the root as github.com has them, and below `/api` as an Enterprise Server does."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from mlops_tui.demo.github import (
    pages,
    rest_actions,
    rest_contents,
    rest_deployments,
    rest_evidence,
    rest_pulls,
    rest_releases,
    rest_repositories,
    rest_reviews,
)
from mlops_tui.demo.github.blobs import BLOB_PATH, blob_endpoint
from mlops_tui.demo.github.graphql import graphql
from mlops_tui.demo.github.http import DOCUMENTATION, Gate, Handler
from mlops_tui.demo.github.store import GitHubStore

_REPO = "/repos/{owner}/{repo}"
_RUN = _REPO + "/actions/runs/{run_id:int}"
_ARTIFACT = _REPO + "/actions/artifacts/{artifact_id:int}"
_PULL = _REPO + "/pulls/{pull_number:int}"
_REVIEW = _PULL + "/reviews/{review_id:int}"
_LINE_COMMENT = _REPO + "/pulls/comments/{comment_id:int}"
_COMMENT = _REPO + "/issues/comments/{comment_id:int}"
_RELEASE = _REPO + "/releases/{release_id:int}"
_DEPLOYMENT = _REPO + "/deployments/{deployment_id:int}"
_EITHER = "issues,pull_requests"
_ISSUE = _REPO + "/issues/{issue_number:int}"

READS: tuple[tuple[str, Handler, str], ...] = (
    ("/user", rest_repositories.user, "metadata"),
    (_REPO, rest_repositories.repository, "metadata"),
    (_REPO + "/actions/runs", rest_actions.runs, "actions"),
    (_RUN, rest_actions.run, "actions"),
    (_RUN + "/approvals", rest_actions.approvals, "actions"),
    (_RUN + "/attempts/{attempt_number:int}", rest_actions.attempt, "actions"),
    (_RUN + "/attempts/{attempt_number:int}/jobs", rest_actions.jobs_of_attempt, "actions"),
    (_RUN + "/jobs", rest_actions.jobs, "actions"),
    (_RUN + "/pending_deployments", rest_actions.pending_deployments, "actions"),
    (_RUN + "/artifacts", rest_evidence.artifacts_of_run, "actions"),
    (_RUN + "/logs", rest_evidence.run_logs, "actions"),
    (_RUN + "/attempts/{attempt_number:int}/logs", rest_evidence.attempt_logs, "actions"),
    (_RUN + "/timing", rest_evidence.usage, "actions"),
    (_REPO + "/actions/artifacts", rest_evidence.artifacts, "actions"),
    (_ARTIFACT, rest_evidence.artifact, "actions"),
    (_ARTIFACT + "/{archive_format}", rest_evidence.artifact_archive, "actions"),
    (_REPO + "/actions/jobs/{job_id:int}/logs", rest_evidence.job_logs, "actions"),
    (_REPO + "/actions/jobs/{job_id:int}", rest_actions.job, "actions"),
    (_REPO + "/actions/workflows", rest_actions.workflows, "actions"),
    (_REPO + "/actions/workflows/{workflow_id}", rest_actions.workflow, "actions"),
    (_REPO + "/actions/workflows/{workflow_id}/runs", rest_actions.runs_of_workflow, "actions"),
    (_REPO + "/pulls", rest_pulls.pulls, "pull_requests"),
    (_PULL, rest_pulls.pull, "pull_requests"),
    (_PULL + "/comments", rest_reviews.line_comments, "pull_requests"),
    (_LINE_COMMENT, rest_reviews.line_comment, "pull_requests"),
    (_PULL + "/commits", rest_pulls.commits, "pull_requests"),
    (_PULL + "/files", rest_pulls.files, "pull_requests"),
    (_PULL + "/merge", rest_pulls.is_merged, "contents"),
    (_PULL + "/requested_reviewers", rest_reviews.requested_reviewers, "pull_requests"),
    (_PULL + "/reviews", rest_reviews.reviews, "pull_requests"),
    (_REVIEW, rest_reviews.review, "pull_requests"),
    (_ISSUE, rest_pulls.issue, _EITHER),
    (_ISSUE + "/comments", rest_pulls.comments, _EITHER),
    (_ISSUE + "/labels", rest_pulls.labels, _EITHER),
    (_COMMENT, rest_pulls.comment, _EITHER),
    (_REPO + "/branches", rest_repositories.branches, "contents"),
    (_REPO + "/branches/{branch:path}", rest_repositories.branch, "contents"),
    (_REPO + "/commits", rest_repositories.commits, "contents"),
    (_REPO + "/commits/{commit_sha:path}/pulls", rest_repositories.pulls_of_commit, "pull_requests"),
    (_REPO + "/commits/{ref:path}/check-runs", rest_repositories.check_runs, "checks"),
    (_REPO + "/commits/{ref:path}/status", rest_repositories.status, "statuses"),
    (_REPO + "/commits/{ref:path}/statuses", rest_repositories.statuses, "statuses"),
    (_REPO + "/commits/{ref:path}", rest_repositories.commit, "contents"),
    (_REPO + "/compare/{basehead:path}", rest_contents.comparison, "contents"),
    (_REPO + "/contents", rest_contents.contents, "contents"),
    (_REPO + "/contents/{path:path}", rest_contents.contents, "contents"),
    (_REPO + "/git/blobs/{file_sha}", rest_contents.blob, "contents"),
    (_REPO + "/git/commits/{commit_sha}", rest_contents.git_commit, "contents"),
    (_REPO + "/git/matching-refs/{ref:path}", rest_contents.matching_references, "contents"),
    (_REPO + "/git/ref/{ref:path}", rest_contents.reference, "contents"),
    (_REPO + "/git/tags/{tag_sha}", rest_contents.annotated_tag, "contents"),
    (_REPO + "/git/trees/{tree_sha:path}", rest_contents.tree, "contents"),
    (_REPO + "/check-runs/{check_run_id:int}/annotations", rest_evidence.annotations, "checks"),
    (_REPO + "/check-runs/{check_run_id:int}", rest_repositories.check_run, "checks"),
    (_REPO + "/releases", rest_releases.releases, "contents"),
    (_RELEASE, rest_releases.release, "contents"),
    (_REPO + "/releases/latest", rest_releases.latest_release, "contents"),
    (_REPO + "/releases/tags/{tag:path}", rest_releases.release_of_tag, "contents"),
    (_REPO + "/tags", rest_releases.tags, "contents"),
    (_REPO + "/deployments", rest_deployments.deployments, "deployments"),
    (_DEPLOYMENT, rest_deployments.deployment, "deployments"),
    (_DEPLOYMENT + "/statuses", rest_deployments.statuses, "deployments"),
    (_DEPLOYMENT + "/statuses/{status_id:int}", rest_deployments.status, "deployments"),
    (_REPO + "/environments", rest_deployments.environments, "actions"),
    (_REPO + "/environments/{environment_name:path}", rest_deployments.environment, "actions"),
)
"""Address, handler and the fine-grained permission that it needs."""

WRITES: tuple[tuple[str, str, Handler, str], ...] = (
    ("DELETE", _RUN, rest_evidence.delete_run, "actions"),
    ("DELETE", _RUN + "/logs", rest_evidence.delete_logs, "actions"),
    ("DELETE", _ARTIFACT, rest_evidence.delete_artifact, "actions"),
    ("POST", _RUN + "/cancel", rest_actions.cancel, "actions"),
    ("POST", _RUN + "/force-cancel", rest_actions.cancel, "actions"),
    ("POST", _RUN + "/rerun", rest_actions.rerun, "actions"),
    ("POST", _RUN + "/rerun-failed-jobs", rest_actions.rerun_failed, "actions"),
    ("POST", _RUN + "/pending_deployments", rest_actions.review_pending_deployments, "deployments"),
    ("POST", _REPO + "/actions/jobs/{job_id:int}/rerun", rest_actions.rerun_job, "actions"),
    ("POST", _REPO + "/actions/workflows/{workflow_id}/dispatches", rest_actions.dispatch, "actions"),
    ("POST", _REPO + "/pulls", rest_pulls.open_pull, "pull_requests"),
    ("PATCH", _PULL, rest_pulls.edit_pull, "pull_requests"),
    ("POST", _PULL + "/comments", rest_reviews.add_line_comment, "pull_requests"),
    ("PATCH", _LINE_COMMENT, rest_reviews.edit_line_comment, "pull_requests"),
    ("DELETE", _LINE_COMMENT, rest_reviews.delete_line_comment, "pull_requests"),
    ("PUT", _PULL + "/merge", rest_pulls.merge, "contents"),
    ("PUT", _PULL + "/update-branch", rest_pulls.update_branch, "pull_requests"),
    ("POST", _PULL + "/requested_reviewers", rest_reviews.request_reviewers, "pull_requests"),
    ("DELETE", _PULL + "/requested_reviewers", rest_reviews.withdraw_reviewers, "pull_requests"),
    ("POST", _PULL + "/reviews", rest_reviews.create, "pull_requests"),
    ("PUT", _REVIEW, rest_reviews.edit, "pull_requests"),
    ("DELETE", _REVIEW, rest_reviews.discard, "pull_requests"),
    ("POST", _REVIEW + "/events", rest_reviews.submit, "pull_requests"),
    ("PUT", _REVIEW + "/dismissals", rest_reviews.dismiss, "pull_requests"),
    ("PATCH", _ISSUE, rest_pulls.edit_issue, _EITHER),
    ("POST", _ISSUE + "/comments", rest_pulls.add_comment, _EITHER),
    ("POST", _ISSUE + "/labels", rest_pulls.add_labels, _EITHER),
    ("PUT", _ISSUE + "/labels", rest_pulls.set_labels, _EITHER),
    ("DELETE", _ISSUE + "/labels/{name:path}", rest_pulls.remove_label, _EITHER),
    ("PATCH", _COMMENT, rest_pulls.edit_comment, _EITHER),
    ("DELETE", _COMMENT, rest_pulls.delete_comment, _EITHER),
    ("POST", _REPO + "/deployments", rest_deployments.create, "deployments"),
    ("POST", _DEPLOYMENT + "/statuses", rest_deployments.create_status, "deployments"),
    ("POST", _REPO + "/releases", rest_releases.create, "contents"),
    ("POST", _REPO + "/releases/generate-notes", rest_releases.generate_notes, "contents"),
    ("PATCH", _RELEASE, rest_releases.edit, "contents"),
    ("DELETE", _RELEASE, rest_releases.delete, "contents"),
    ("POST", _REPO + "/statuses/{sha}", rest_repositories.set_status, "statuses"),
)


def create_app(store: GitHubStore) -> Starlette:
    """Return the server of a store as an ASGI application.

    REST is at the root with GraphQL at `/graphql`, and at `/api/v3` with GraphQL at `/api/graphql`, so that a client
    may be given `http://HOST:PORT` or `http://HOST:PORT/api/v3`. Addresses in payloads follow the one that was asked.
    Pages for people are at the root, as on github.com.
    """
    gate = Gate(store)
    rest = [Route(path, gate.endpoint(handler, need), methods=["GET"]) for path, handler, need in READS]
    rest += [
        Route(path, gate.endpoint(handler, need, writes=True), methods=[method])
        for method, path, handler, need in WRITES
    ]
    limits = gate.endpoint(rest_repositories.rate_limit, "metadata", free=True)
    rest.append(Route("/rate_limit", limits, methods=["GET"]))
    query = gate.endpoint(graphql, "metadata", resource="graphql")
    app = Starlette(
        routes=[
            Mount("/api/v3", routes=rest),
            Route(BLOB_PATH, blob_endpoint(store), methods=["GET"]),
            Route("/api/graphql", query, methods=["POST"]),
            Route("/graphql", query, methods=["POST"]),
            *rest,
            Route("/repos/{rest:path}", _not_found, methods=["GET"]),
            Route("/api/{rest:path}", _not_found, methods=["GET"]),
            *pages.routes(store),
        ],
        exception_handlers={HTTPException: _not_found},
    )
    # GitHub answers an address with a slash at its end with 404, too.
    app.router.redirect_slashes = False
    return app


async def _not_found(request: Request, _error: Exception | None = None) -> Response:
    # A method that an address does not have is not found, either.
    wants_page = "text/html" in request.headers.get("accept", "")
    if request.method == "GET" and wants_page and not request.url.path.startswith(("/api/", "/repos/")):
        return pages.not_found()
    return JSONResponse({"message": "Not Found", "documentation_url": DOCUMENTATION, "status": "404"}, 404)
