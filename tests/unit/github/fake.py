"""A scripted GitHub on a loopback port: what it answers is data that a test changes, faults included."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlops_tui.sources.github import GitHubTarget

TOKEN = "ghp_0123456789secret"
REPOSITORY = "acme/fraud"
SHA = "a" * 40

Fault = Callable[[], tuple[int, dict[str, str], Any]]


@dataclass
class FakeGitHub:
    """The data behind the fake, by repository, and what was asked of it.

    Attributes:
        faults: Answers instead of the true ones, by the part of `METHOD path` that they begin with.
        errors: GraphQL errors beside the data, and the paths of `nodes` that become null.
    """

    base_url: str = ""
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pending: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    used: int = 0

    def count(self, start: str, status: int | None = None) -> int:
        """How many requests began with `start`, and were answered with `status`."""
        return sum(line.startswith(start) and status in (None, answered) for line, answered in self.asked)

    def fail(self, start: str, status: int, headers: dict[str, str] | None = None, message: str = "no") -> None:
        """Answer requests that begin with `start` with an error."""
        self.faults[start] = lambda: (status, headers or {}, {"message": message})

    def answer(self, method: str, url: str, body: Any, etag: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON for one request."""
        for start, fault in self.faults.items():
            if f"{method} {url}".startswith(start):
                return fault()
        parts = urlsplit(url)
        if parts.path == "/graphql":
            self.used += 1
            return 200, self._quota("graphql"), self._graphql(body)
        payload, headers = self._rest(parts.path, parse_qs(parts.query))
        if payload is None:
            return 404, self._quota("core"), {"message": "Not Found"}
        tag = '"' + hashlib.sha256(json.dumps([payload, headers]).encode()).hexdigest()[:16] + '"'
        if etag == tag:
            return 304, headers | self._quota("core") | {"etag": tag}, None
        self.used += 1
        return 200, headers | self._quota("core") | {"etag": tag}, payload

    def _quota(self, resource: str) -> dict[str, str]:
        return {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": str(5000 - self.used),
            "x-ratelimit-reset": "1795262400",
            "x-ratelimit-resource": resource,
        } | self.headers

    def _rest(self, path: str, query: dict[str, list[str]]) -> tuple[Any, dict[str, str]]:
        if path == "/user":
            return {"login": "ada"}, {}
        name = "/".join(path.split("/")[2:4])
        rest = "/".join(path.split("/")[4:])
        if name not in self.runs:
            return None, {}
        if rest == "actions/runs":
            page, headers = self._page(path, query, self.runs[name])
            return {"total_count": len(self.runs[name]), "workflow_runs": page}, headers
        if rest == "pulls":
            heads = [_head(pull) for pull in self.pulls.get(name, []) if pull["state"] == "OPEN"]
            return self._page(path, query, heads)
        if rest.endswith("pending_deployments"):
            return self.pending, {}
        if rest.endswith("jobs"):
            page, headers = self._page(path, query, self.jobs)
            return {"total_count": len(self.jobs), "jobs": page}, headers
        if rest.endswith("check-runs"):
            return {"total_count": 0, "check_runs": []}, {}
        return None, {}

    def _page(self, path: str, query: dict[str, list[str]], items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        size, number = int(query["per_page"][0]), int(query.get("page", ["1"])[0])
        end = size * number
        link = f'<{self.base_url}{path}?per_page={size}&page={number + 1}>; rel="next", <{self.base_url}/>; rel="last"'
        return items[end - size : end], {"link": link} if end < len(items) else {}

    def _graphql(self, body: Any) -> dict[str, Any]:
        known = {pull["id"]: pull for pulls in self.pulls.values() for pull in pulls}
        variables = body["variables"]
        if "ids" in variables:
            data: dict[str, Any] = {"nodes": [known.get(node_id) for node_id in variables["ids"]]}
        else:
            data = {"node": known.get(variables["id"])}
        data = json.loads(json.dumps(data))
        for error in self.errors:
            _blank(data, error.get("path") or [])
        return {"data": data} | ({"errors": self.errors} if self.errors else {})


def _blank(data: Any, path: list[Any]) -> None:
    for part in path[:-1]:
        data = data[part] if isinstance(part, int) or part in data else {}
    if path and (isinstance(data, list) or path[-1] in data):
        data[path[-1]] = None


def _head(pull: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": pull["number"],
        "node_id": pull["id"],
        "updated_at": pull["updatedAt"],
        "head": {"sha": pull["headRefOid"]},
    }


@contextmanager
def serving(fake: FakeGitHub) -> Iterator[FakeGitHub]:
    """Serve a fake on a free port for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            fake.tokens.append(self.headers.get("authorization", ""))
            status, headers, payload = fake.answer(self.command, self.path, body, self.headers.get("if-none-match", ""))
            fake.asked.append((f"{self.command} {self.path}", status))
            data = b"" if payload is None else payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            self.send_response(status)
            for name, value in ({"content-type": "application/json; charset=utf-8"} | headers).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def target(base_url: str, *, repositories: tuple[str, ...] = (REPOSITORY,), runs: int = 100) -> GitHubTarget:
    """Return a target at `base_url` whose token is in `$TEST_TOKEN`."""
    return GitHubTarget("github", base_url, repositories, "TEST_TOKEN", runs, ("production",), Path("/"))


def run(number: int, **changes: Any) -> dict[str, Any]:
    """Return a workflow run as REST has it."""
    return {
        "id": number,
        "name": "ML CI Pipeline",
        "display_title": f"change {number}",
        "head_branch": "main",
        "head_sha": f"{number:040}",
        "status": "completed",
        "conclusion": "success",
        "event": "push",
        "run_number": number,
        "run_attempt": 1,
        "actor": {"login": "ada"},
        "created_at": "2026-11-20T13:00:00Z",
        "run_started_at": "2026-11-20T13:00:10Z",
        "updated_at": "2026-11-20T13:05:00Z",
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{number}",
        "pull_requests": [],
    } | changes


def checks(*conclusions: str, state: str = "") -> dict[str, Any]:
    """Return the `commits` connection of a pull request whose checks ended so; `""` is one that still runs."""
    contexts = [
        {
            "__typename": "CheckRun",
            "name": f"check {index}",
            "status": "COMPLETED" if conclusion else "IN_PROGRESS",
            "conclusion": conclusion or None,
        }
        for index, conclusion in enumerate(conclusions)
    ]
    worst = next((word for word in ("FAILURE", "") if word in conclusions), "SUCCESS") or "PENDING"
    rollup = {"state": state or worst, "contexts": {"totalCount": len(contexts), "nodes": contexts}}
    return {"nodes": [{"commit": {"oid": SHA, "statusCheckRollup": rollup if conclusions or state else None}}]}


def comment(body: str, association: str = "MEMBER", login: str = "bob", kind: str = "User") -> dict[str, Any]:
    """Return a comment as GraphQL has it."""
    author = {"__typename": kind, "login": login}
    return {"id": f"IC_{hash(body)}", "body": body, "authorAssociation": association, "author": author}


def review(login: str, state: str) -> dict[str, Any]:
    """Return a review as GraphQL has it."""
    author = {"__typename": "User", "login": login}
    return {"state": state, "author": author, "submittedAt": "2026-11-20T13:30:00Z"}


def pull(number: int, **changes: Any) -> dict[str, Any]:
    """Return an open pull request as GraphQL has it."""
    return {
        "__typename": "PullRequest",
        "id": f"PR_{number}",
        "number": number,
        "title": f"feature {number}",
        "url": f"https://github.com/{REPOSITORY}/pull/{number}",
        "state": "OPEN",
        "isDraft": False,
        "body": "",
        "createdAt": "2026-11-19T13:00:00Z",
        "updatedAt": "2026-11-20T13:00:00Z",
        "headRefOid": f"{number:040}",
        "headRefName": f"feature/{number}",
        "baseRefName": "main",
        "mergeable": "MERGEABLE",
        "reviewDecision": "APPROVED",
        "author": {"__typename": "User", "login": "ada"},
        "labels": {"nodes": [{"name": "model"}]},
        "reviews": {"nodes": [review("bob", "APPROVED")]},
        "reviewRequests": {"nodes": []},
        "firstComments": {"nodes": []},
        "lastComments": {"nodes": []},
        "commits": checks("SUCCESS"),
    } | changes
