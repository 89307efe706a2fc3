"""What `doctor` says of GitHub: as whom we are signed in, and what the token may read of each repository."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, NotConfigured, RateLimited, SourceError, Unauthenticated, Unavailable
from mlops_tui.domain.state import Permission, Probe, Problem, SourceStatus
from mlops_tui.sources.base import SourceInfo
from mlops_tui.sources.github.client import Answer, GitHubClient, Headers, path_with
from mlops_tui.sources.github.target import GitHubTarget

T = TypeVar("T")
Job = Callable[..., Awaitable[Any]]
"""Runs `call(client, …)` in the worker thread."""

_STATUSES: dict[type[SourceError], SourceStatus] = {
    NotConfigured: SourceStatus.OFF,
    Unauthenticated: SourceStatus.DENIED,
    Denied: SourceStatus.DENIED,
    RateLimited: SourceStatus.LIMITED,
}


def refused(info: SourceInfo, target: GitHubTarget, error: SourceError, latency: float | None = None) -> Probe:
    """Return the probe of a GitHub that gave nothing."""
    return Probe(
        source=info.id,
        kind=info.kind,
        label=info.label,
        status=_status(error),
        endpoint=_without_user(target.api),
        latency=latency,
        error=error.message,
        hint=error.hint,
    )


def _without_user(address: str) -> str:
    """Return an address without the user and password that somebody may have written into it."""
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


async def probe_client(
    info: SourceInfo, target: GitHubTarget, clock: Clock, job: Job, repositories: Sequence[str]
) -> Probe:
    """Ask who we are, then for the smallest page of each list."""
    started = clock.monotonic()
    try:
        login, headers = await job(GitHubClient.whoami)
    except SourceError as error:
        return refused(info, target, error)
    latency = clock.monotonic() - started
    permissions, problems = [_scopes(headers)], []
    for repository in repositories:
        found, problem = await _probe_repository(job, repository)
        permissions += found
        problems += problem
    failed = len(repositories) and len({problem.scope for problem in problems}) == len(repositories)
    return Probe(
        source=info.id,
        kind=info.kind,
        label=info.label,
        status=problems[0].status if failed else SourceStatus.LIVE,
        endpoint=_without_user(target.api),
        identity=login,
        version=_version(headers),
        latency=latency,
        error=f"{problems[0].scope}: {problems[0].message}" if failed else "",
        hint=problems[0].hint if failed else "",
        permissions=tuple(permissions),
        problems=tuple(problems),
    )


async def _probe_repository(job: Job, repository: str) -> tuple[list[Permission], list[Problem]]:
    """Return what may be read of one repository; checks are tried on the commit of its newest run or pull request."""
    base = f"/repos/{quote(repository)}"
    permissions: list[Permission] = []
    problems: dict[str, Problem] = {}

    async def attempt(name: str, path: str) -> Answer | None:
        try:
            answer: Answer = await job(GitHubClient.get, path)
        except SourceError as error:
            denied = isinstance(error, Denied)
            hint = f"give the token the permission {name}" if denied else error.hint
            permissions.append(Permission(name=name, scope=repository, allowed=False if denied else None, hint=hint))
            problem = Problem(scope=repository, message=error.message, hint=error.hint, status=_status(error))
            problems.setdefault(error.message, problem)
            return None
        permissions.append(Permission(name=name, scope=repository, allowed=True))
        return answer

    runs = await attempt("actions: read", path_with(f"{base}/actions/runs", per_page=1))
    pulls = await attempt("pull requests: read", path_with(f"{base}/pulls", state="open", per_page=1))
    commit = _newest_commit(runs, pulls)
    if commit:
        await attempt("checks: read", path_with(f"{base}/commits/{quote(commit)}/check-runs", per_page=1))
    else:
        permissions.append(Permission(name="checks: read", scope=repository))
    return permissions, list(problems.values())


def _newest_commit(runs: Answer | None, pulls: Answer | None) -> str:
    try:
        if runs and runs.data["workflow_runs"]:
            return str(runs.data["workflow_runs"][0]["head_sha"])
        return str(pulls.data[0]["head"]["sha"]) if pulls and pulls.data else ""
    except (KeyError, TypeError, IndexError):
        return ""


def _scopes(headers: Headers) -> Permission:
    scopes = headers.get("x-oauth-scopes")
    if scopes is None:
        hint = "fine-grained and App tokens do not list their permissions; each was tried"
        return Permission(name="fine-grained token", allowed=None, hint=hint)
    return Permission(name="classic token", scope=scopes or "no scopes", allowed=True)


def _version(headers: Headers) -> str:
    if enterprise := headers.get("x-github-enterprise-version"):
        return f"GitHub Enterprise Server {enterprise}"
    api = headers.get("x-github-api-version-selected")
    return f"REST API {api}" if api else ""


def _status(error: SourceError) -> SourceStatus:
    if isinstance(error, Unavailable):
        return SourceStatus.UNREACHABLE
    return _STATUSES.get(type(error), SourceStatus.UNREACHABLE)
