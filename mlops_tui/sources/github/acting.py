"""What operations do at GitHub: reads of one thing as it is now, and writes that are sent once."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from mlops_tui.domain.errors import (
    Conflict,
    Denied,
    Missing,
    OutcomeUnknown,
    RateLimited,
    SourceError,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.domain.state import Permission
from mlops_tui.sources.github.client import GitHubClient, NotFound, path_with
from mlops_tui.sources.github.inputs import dispatch_inputs
from mlops_tui.sources.github.session import Session

PAGES: Final = 30
"""Pages of 100 that are read of a list: more comments than any pull request has that somebody still reads."""
LARGEST_FILE: Final = 1_000_000
"""Characters of a workflow file that are parsed."""

Json = dict[str, Any]
Job = Callable[..., Awaitable[Any]]
"""Runs `call(client, …)` in the worker thread."""


class GitHubActor:
    """Implements `operations.systems.ForgeSystem` over a source's connection.

    Args:
        open_session: Returns the source's session, signing in first where there is none.
        job: Runs `call(client, …)` in the source's worker thread.
    """

    def __init__(self, open_session: Callable[[], Awaitable[Session]], job: Job) -> None:
        self._open = open_session
        self._job = job

    async def identity(self) -> str:
        session = await self._open()
        return await introduce(session, self._job) if session.identity is None else session.identity

    async def repository(self, repository: str) -> Json:
        return await self._object(repository, "", repository)

    async def may(self, repository: str, permission: str) -> Permission:
        session = await self._open()
        if session.identity is None:
            await introduce(session, self._job)
        await study(session, self._job, repository)
        return session.permission(repository, permission)

    # --- pull requests

    async def pull(self, repository: str, number: int) -> Json:
        return await self._object(repository, f"/pulls/{number}", f"{repository}#{number}")

    async def files(self, repository: str, number: int) -> list[str]:
        found = await self._list(repository, f"/pulls/{number}/files", f"the files of {repository}#{number}")
        return [str(file["filename"]) for file in found]

    async def comments(self, repository: str, number: int, since: str = "") -> list[Json]:
        query = {"since": since} if since else {}
        what = f"the comments of {repository}#{number}"
        return await self._list(repository, f"/issues/{number}/comments", what, query=query)

    async def comment(self, repository: str, number: int, body: str) -> Json:
        path, what = f"/issues/{number}/comments", f"comment on {repository}#{number}"
        return _object_of(await self._write("POST", repository, path, {"body": body}, what, "issues: write"))

    async def edit_comment(self, repository: str, comment: int, body: str) -> Json:
        path, what = f"/issues/comments/{comment}", f"edit comment {comment} of {repository}"
        return _object_of(await self._write("PATCH", repository, path, {"body": body}, what, "issues: write"))

    async def edit_pull(self, repository: str, number: int, body: str) -> Json:
        path, what = f"/pulls/{number}", f"edit {repository}#{number}"
        return _object_of(await self._write("PATCH", repository, path, {"body": body}, what, "pull requests: write"))

    async def reviews(self, repository: str, number: int) -> list[Json]:
        return await self._list(repository, f"/pulls/{number}/reviews", f"the reviews of {repository}#{number}")

    async def review(self, repository: str, number: int, *, event: str, body: str, commit: str) -> Json:
        payload = {"commit_id": commit, "event": event, "body": body}
        path, what = f"/pulls/{number}/reviews", f"review {repository}#{number}"
        return _object_of(await self._write("POST", repository, path, payload, what, "pull requests: write"))

    # --- runs

    async def run(self, repository: str, run: int) -> Json:
        return await self._object(repository, f"/actions/runs/{run}", f"run {run} of {repository}")

    async def jobs(self, repository: str, run: int) -> list[Json]:
        path, what = f"/actions/runs/{run}/jobs", f"the jobs of run {run} of {repository}"
        return await self._list(repository, path, what, key="jobs")

    async def runs(self, repository: str, query: Mapping[str, str]) -> list[Json]:
        what = f"the runs of {repository}"
        return await self._list(repository, "/actions/runs", what, key="workflow_runs", query=query, pages=1)

    async def rerun(self, repository: str, run: int, *, failed_only: bool = False, job: int | None = None) -> None:
        path = f"/actions/runs/{run}/{'rerun-failed-jobs' if failed_only else 'rerun'}"
        if job is not None:
            path = f"/actions/jobs/{job}/rerun"
        await self._write("POST", repository, path, None, f"rerun run {run} of {repository}", "actions: write")

    async def cancel(self, repository: str, run: int) -> None:
        path, what = f"/actions/runs/{run}/cancel", f"cancel run {run} of {repository}"
        await self._write("POST", repository, path, None, what, "actions: write")

    async def dispatch(self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        payload = {"ref": ref, **({"inputs": dict(inputs)} if inputs else {})}
        path = f"/actions/workflows/{quote(workflow, safe='')}/dispatches"
        await self._write("POST", repository, path, payload, f"start {workflow} of {repository}", "actions: write")

    async def workflow(self, repository: str, workflow: str, ref: str = "") -> Json:
        path = f"/actions/workflows/{quote(workflow, safe='')}"
        found = await self._object(repository, path, f"workflow {workflow} of {repository}")
        file = path_with(_api(repository, f"/contents/{quote(str(found['path']))}"), **({"ref": ref} if ref else {}))
        try:
            session = await self._open()
            inputs = await self._job(session.client, _read_inputs, file)
        except (Denied, Unavailable, ValueError):
            return found  # what it takes is then up to GitHub to say
        return {**found, "inputs": inputs}

    async def pending(self, repository: str, run: int) -> list[Json]:
        path, what = f"/actions/runs/{run}/pending_deployments", f"what run {run} of {repository} waits for"
        return await self._list(repository, path, what, paged=False)

    async def approvals(self, repository: str, run: int) -> list[Json]:
        path, what = f"/actions/runs/{run}/approvals", f"the approvals of run {run} of {repository}"
        return await self._list(repository, path, what, paged=False)

    async def decide(
        self, repository: str, run: int, environments: Sequence[int], *, approve: bool, comment: str
    ) -> None:
        payload = {
            "environment_ids": list(environments),
            "state": "approved" if approve else "rejected",
            "comment": comment,
        }
        path, what = f"/actions/runs/{run}/pending_deployments", f"review run {run} of {repository}"
        await self._write("POST", repository, path, payload, what, "deployments: write")

    # --- the wire

    async def _object(self, repository: str, path: str, what: str) -> Json:
        session = await self._open()
        with _told(what):
            answer = await self._job(session.client, GitHubClient.get, _api(repository, path))
            return session.client.projected(_whole_object, answer.data)

    async def _list(
        self,
        repository: str,
        path: str,
        what: str,
        *,
        key: str = "",
        query: Mapping[str, str] | None = None,
        paged: bool = True,
        pages: int = PAGES,
    ) -> list[Json]:
        session, found = await self._open(), []
        for page in range(1, pages + 1):
            parameters = {**(query or {}), **({"per_page": 100, "page": page} if paged else {})}
            address = path_with(_api(repository, path), **parameters) if parameters else _api(repository, path)
            with _told(what):
                answer = await self._job(session.client, GitHubClient.get, address)
                part = session.client.projected(lambda data: _objects(data[key] if key else data), answer.data)
            found += part
            if not paged or len(part) < 100:
                break
        return found

    async def _write(self, verb: str, repository: str, path: str, payload: Json | None, what: str, needs: str) -> Any:
        session = await self._open()
        with _told(what):
            try:
                return await self._job(session.client, GitHubClient.write, verb, _api(repository, path), payload)
            except Denied as error:
                if not _about_permission(error):
                    raise Denied(error.message) from None
                hint = f"give the token the permission {needs}"
                for name in {needs, *_alternatives(error.missing)}:
                    session.denials[repository.casefold(), name] = hint
                raise Denied(error.message, hint, missing=error.missing) from None


async def introduce(session: Session, job: Job) -> str:
    """Ask GitHub who we are, and keep it in the session; empty for a token that stands for no person."""
    login, headers = await job(session.client, GitHubClient.whoami)
    session.identity, session.scopes = str(login), headers.get("x-oauth-scopes")
    return session.identity


async def study(session: Session, job: Job, repository: str) -> None:
    """Ask GitHub, once in a session, what a repository is and what we are in it; keep it where GitHub says it."""
    key = repository.casefold()
    if key in session.facts:
        return
    try:
        answer = await job(session.client, GitHubClient.get, _api(repository, ""))
    except Denied:
        session.facts[key] = {}
    except Unavailable:
        return  # asked again the next time
    else:
        names = ("permissions", "private", "archived", "default_branch")
        session.facts[key] = {n: answer.data.get(n) for n in names} if isinstance(answer.data, dict) else {}


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in an error what was asked for."""
    try:
        yield
    except NotFound as error:
        raise Missing(f"{what}: not found, or the token may not see it", error.hint) from None
    except RateLimited as error:
        raise RateLimited(f"{what}: {error.message}", error.until, error.hint) from None
    except Denied as error:
        raise Denied(f"{what}: {error.message}", error.hint, missing=error.missing) from None
    except Unauthenticated:
        raise
    except (Missing, Conflict, OutcomeUnknown) as error:
        raise type(error)(f"{what}: {error.message}", error.hint) from None
    except Unavailable as error:
        raise Unavailable(f"{what}: {error.message}", error.hint, retry_after=error.retry_after) from None
    except SourceError:
        raise


def _about_permission(error: Denied) -> bool:
    """Whether a refusal is about the token, and not about the state of what it was to change."""
    said = error.message.casefold()
    return said.startswith(("resource not accessible", "must have", "forbidden")) or "permission" in said


def _alternatives(accepted: str) -> list[str]:
    """Return the permissions each of which would have been enough by itself: `issues: write; pull_requests: write`."""
    return [each.strip().replace("_", " ") for each in accepted.split(";") if each.strip() and "," not in each]


def _read_inputs(client: GitHubClient, path: str) -> dict[str, Json] | None:
    return dispatch_inputs(client.text(path)[:LARGEST_FILE])


def _api(repository: str, path: str) -> str:
    return f"/repos/{quote(repository)}{path}"


def _whole_object(data: Any) -> Json:
    if not isinstance(data, dict):
        raise TypeError
    return data


def _object_of(data: Any) -> Json:
    return data if isinstance(data, dict) else {}


def _objects(data: Any) -> list[Json]:
    if not isinstance(data, list):
        raise TypeError
    return [item for item in data if isinstance(item, dict)]
