"""The application: every address, at the root as github.com has them, and below `/api` as an Enterprise Server does."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from mlops_tui.demo.github import rest_actions, rest_pulls, rest_repositories
from mlops_tui.demo.github.graphql import graphql
from mlops_tui.demo.github.http import DOCUMENTATION, Gate, Handler
from mlops_tui.demo.github.store import GitHubStore

_REPO = "/repos/{owner}/{repo}"
_RUN = _REPO + "/actions/runs/{run_id:int}"
_PULL = _REPO + "/pulls/{pull_number:int}"
_ISSUE = _REPO + "/issues/{issue_number:int}"

READS: tuple[tuple[str, Handler, str], ...] = (
    ("/user", rest_repositories.user, "metadata"),
    ("/rate_limit", rest_repositories.rate_limit, "metadata"),
    (_REPO, rest_repositories.repository, "metadata"),
    (_REPO + "/actions/runs", rest_actions.runs, "actions"),
    (_RUN, rest_actions.run, "actions"),
    (_RUN + "/approvals", rest_actions.approvals, "actions"),
    (_RUN + "/attempts/{attempt_number:int}", rest_actions.attempt, "actions"),
    (_RUN + "/attempts/{attempt_number:int}/jobs", rest_actions.jobs_of_attempt, "actions"),
    (_RUN + "/jobs", rest_actions.jobs, "actions"),
    (_RUN + "/pending_deployments", rest_actions.pending_deployments, "actions"),
    (_REPO + "/actions/jobs/{job_id:int}", rest_actions.job, "actions"),
    (_REPO + "/actions/workflows", rest_actions.workflows, "actions"),
    (_REPO + "/actions/workflows/{workflow_id}", rest_actions.workflow, "actions"),
    (_REPO + "/actions/workflows/{workflow_id}/runs", rest_actions.runs_of_workflow, "actions"),
    (_REPO + "/pulls", rest_pulls.pulls, "pull_requests"),
    (_PULL, rest_pulls.pull, "pull_requests"),
    (_PULL + "/comments", rest_pulls.review_comments, "pull_requests"),
    (_PULL + "/commits", rest_pulls.commits, "pull_requests"),
    (_PULL + "/files", rest_pulls.files, "pull_requests"),
    (_PULL + "/requested_reviewers", rest_pulls.requested_reviewers, "pull_requests"),
    (_PULL + "/reviews", rest_pulls.reviews, "pull_requests"),
    (_ISSUE + "/comments", rest_pulls.comments, "pull_requests"),
    (_ISSUE + "/labels", rest_pulls.labels, "pull_requests"),
    (_REPO + "/issues/comments/{comment_id:int}", rest_pulls.comment, "pull_requests"),
    (_REPO + "/branches", rest_repositories.branches, "contents"),
    (_REPO + "/branches/{branch:path}", rest_repositories.branch, "contents"),
    (_REPO + "/commits", rest_repositories.commits, "contents"),
    (_REPO + "/commits/{commit_sha:path}/pulls", rest_repositories.pulls_of_commit, "pull_requests"),
    (_REPO + "/commits/{ref:path}/check-runs", rest_repositories.check_runs, "checks"),
    (_REPO + "/commits/{ref:path}/status", rest_repositories.status, "statuses"),
    (_REPO + "/commits/{ref:path}", rest_repositories.commit, "contents"),
    (_REPO + "/check-runs/{check_run_id:int}", rest_repositories.check_run, "checks"),
    (_REPO + "/releases", rest_repositories.releases, "contents"),
    (_REPO + "/releases/latest", rest_repositories.latest_release, "contents"),
    (_REPO + "/releases/tags/{tag:path}", rest_repositories.release_of_tag, "contents"),
    (_REPO + "/tags", rest_repositories.tags, "contents"),
    (_REPO + "/environments", rest_repositories.environments, "actions"),
    (_REPO + "/environments/{environment_name:path}", rest_repositories.environment, "actions"),
)
"""Address, handler and the fine-grained permission that it needs."""

WRITES: tuple[tuple[str, str, Handler, str], ...] = (
    ("POST", _RUN + "/cancel", rest_actions.cancel, "actions"),
    ("POST", _RUN + "/force-cancel", rest_actions.cancel, "actions"),
    ("POST", _RUN + "/rerun", rest_actions.rerun, "actions"),
    ("POST", _RUN + "/rerun-failed-jobs", rest_actions.rerun_failed, "actions"),
    ("POST", _RUN + "/pending_deployments", rest_actions.review_pending_deployments, "deployments"),
    ("POST", _REPO + "/actions/jobs/{job_id:int}/rerun", rest_actions.rerun_job, "actions"),
    ("POST", _REPO + "/actions/workflows/{workflow_id}/dispatches", rest_actions.dispatch, "actions"),
    ("PATCH", _PULL, rest_pulls.edit_pull, "pull_requests"),
    ("PUT", _PULL + "/merge", rest_pulls.merge, "contents"),
    ("POST", _PULL + "/reviews", rest_pulls.add_review, "pull_requests"),
    ("POST", _ISSUE + "/comments", rest_pulls.add_comment, "pull_requests"),
    ("POST", _ISSUE + "/labels", rest_pulls.add_labels, "pull_requests"),
    ("PATCH", _REPO + "/issues/comments/{comment_id:int}", rest_pulls.edit_comment, "pull_requests"),
    ("POST", _REPO + "/statuses/{sha}", rest_repositories.set_status, "statuses"),
)


def create_app(store: GitHubStore) -> Starlette:
    """Return the server of a store as an ASGI application.

    REST is at the root with GraphQL at `/graphql`, and at `/api/v3` with GraphQL at `/api/graphql`, so that a client
    may be given `http://HOST:PORT` or `http://HOST:PORT/api/v3`. Addresses in payloads follow the one that was asked.
    """
    gate = Gate(store)
    rest = [Route(path, gate.endpoint(handler, need), methods=["GET"]) for path, handler, need in READS]
    rest += [
        Route(path, gate.endpoint(handler, need, writes=True), methods=[method])
        for method, path, handler, need in WRITES
    ]
    query = gate.endpoint(graphql, "metadata", resource="graphql")
    app = Starlette(
        routes=[
            Mount("/api/v3", routes=rest),
            Route("/api/graphql", query, methods=["POST"]),
            Route("/graphql", query, methods=["POST"]),
            *rest,
        ],
        exception_handlers={HTTPException: _not_found},
    )
    # GitHub answers an address with a slash at its end with 404, too.
    app.router.redirect_slashes = False
    return app


async def _not_found(_request: Request, _error: Exception) -> Response:
    # A method that an address does not have is not found, either.
    return JSONResponse({"message": "Not Found", "documentation_url": DOCUMENTATION, "status": "404"}, 404)
