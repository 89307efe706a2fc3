"""Downloads from addresses that carry their own permission for a few minutes, as those of logs on github.com do."""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from mlops_tui.demo.github.archives import zip_of
from mlops_tui.demo.github.logs import has_log, job_log, run_logs
from mlops_tui.demo.github.store import GitHubStore
from mlops_tui.demo.github.world import NotFoundError

BlobKind = Literal["job-logs", "run-logs", "artifacts"]
BLOB_LIFETIME: Final = timedelta(minutes=10)
BLOB_ROOT: Final = "/actions-results"
"""On github.com this is another host."""
BLOB_PATH: Final = BLOB_ROOT + "/{kind}/{owner}/{repo}/{number:int}/{attempt:int}"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_ZIP: Final = "application/zip"


def signed(store: GitHubStore, web: str, kind: BlobKind, repo: str, number: int, attempt: int = 0) -> str:
    """Return an address from which anybody may read something until it expires.

    Args:
        web: The scheme and host.
        number: The id of the job, run or artifact.
        attempt: Of the run.
    """
    path = f"{BLOB_ROOT}/{kind}/{quote(repo)}/{number}/{attempt}"
    expires = (store.clock.now() + BLOB_LIFETIME).strftime(_TIME)
    return f"{web}{path}?{urlencode({'se': expires, 'sig': _signature(store, path, expires)})}"


def blob_endpoint(store: GitHubStore) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint for signed addresses; it asks for no token."""

    async def answer(request: Request) -> Response:
        expires, signature = request.query_params.get("se", ""), request.query_params.get("sig", "")
        expected = _signature(store, request.url.path, expires)
        if not hmac.compare_digest(signature.encode(), expected.encode()) or _is_over(expires, store.clock.now()):
            return _error(403, "AuthenticationFailed", "Server failed to authenticate the request.")
        try:
            return _blob(store, request)
        except NotFoundError:
            return _error(404, "BlobNotFound", "The specified blob does not exist.")

    return answer


def _blob(store: GitHubStore, request: Request) -> Response:
    params = request.path_params
    repo, number, now = f"{params['owner']}/{params['repo']}", params["number"], store.clock.now()
    if params["kind"] == "job-logs":
        job = store.repository(repo).jobs.get(number)
        if job is None or not has_log(job):
            raise NotFoundError(f"no log of job {number}")
        return Response(job_log(job, now), media_type="text/plain")
    if params["kind"] == "run-logs":
        attempt = store.run(repo, number).attempts[params["attempt"] - 1]
        if not any(map(has_log, attempt.jobs)):
            raise NotFoundError(f"no logs of run {number}")
        return _download(f"logs_{number}.zip", run_logs(attempt, now))
    artifact = store.artifact(repo, number)
    return _download(f"{artifact.name}.zip", zip_of(artifact))


def _download(name: str, data: bytes) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(data, media_type=_ZIP, headers={"content-disposition": disposition})


def _is_over(expires: str, now: datetime) -> bool:
    return datetime.strptime(expires, _TIME).replace(tzinfo=UTC) < now


def _signature(store: GitHubStore, path: str, expires: str) -> str:
    digest = hmac.digest(store.signing_key, f"{path}\n{expires}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def _error(status: int, code: str, message: str) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(text, status, media_type="application/xml")
