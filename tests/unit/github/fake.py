"""A scripted GitHub on a loopback port: what it answers is data that a test changes, faults included.

What is no fault is held against GitHub's own description, so a test's data cannot be what GitHub never says.
"""

import functools
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

from graphql import GraphQLResolveInfo, execute_sync, parse
from pydantic_core import to_json

from mlops_tui.demo.github import GitHubStore, JobPlan
from mlops_tui.demo.github.payloads_work import Payloads
from mlops_tui.sources.github import GitHubTarget
from tests.support.clock import START, ManualClock
from tests.support.github_schema import ContractError, check_exchange, graphql_schema

TOKEN = "ghp_0123456789secret"
REPOSITORY = "acme/fraud"
SHA = "a" * 40

Fault = Callable[[], tuple[int, dict[str, str], Any]]


@dataclass
class FakeGitHub:
    """The data behind the fake, by repository, and what was asked of it.

    Attributes:
        faults: Answers instead of the true ones, by the part of `METHOD path` that they begin with; nobody judges them.
        errors: GraphQL errors beside the data, and the paths of `nodes` that become null.
        links: The host that links to further pages name, where it is not `base_url`.
        failures: What GitHub's description does not allow of what was asked and answered.
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
    links: str = ""
    failures: list[str] = field(default_factory=list)
    used: int = 0

    def wait_for(self, environment: str) -> None:
        """Let waiting runs wait for the approval of an environment."""
        pending = _examples()["pending"]
        self.pending = [pending | {"environment": pending["environment"] | {"name": environment}}]

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
        status, headers, payload = self._true_answer(url, body, etag)
        try:
            sent, answered = (json.dumps(data) if data is not None else "" for data in (body, payload))
            check_exchange(method, url, sent, status, {"content-type": "application/json"} | headers, answered)
        except ContractError as error:
            self.failures.append(f"{method} {url}: {error}")
        return status, headers, payload

    def _true_answer(self, url: str, body: Any, etag: str) -> tuple[int, dict[str, str], Any]:
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
            return _examples()["viewer"], {}
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
        host = self.links or self.base_url
        pages = {"next": number + 1, "last": -(-len(items) // size)}
        link = ", ".join(f'<{host}{path}?per_page={size}&page={to}>; rel="{name}"' for name, to in pages.items())
        return items[end - size : end], {"link": link} if end < len(items) else {}

    def _graphql(self, body: Any) -> dict[str, Any]:
        known = {pull["id"]: pull for pulls in self.pulls.values() for pull in pulls}
        variables = body["variables"]
        root = {
            "nodes": [known.get(node_id) for node_id in variables.get("ids", ())],
            "node": known.get(variables.get("id")),
        }
        result = execute_sync(
            graphql_schema(), parse(body["query"]), root, variable_values=variables, field_resolver=_by_response_key
        )
        self.failures += [f"GraphQL: {error}" for error in result.errors or ()]
        data = result.data
        for error in self.errors:
            _blank(data, error.get("path") or [])
        return {"data": data} | ({"errors": self.errors} if self.errors else {})


def _by_response_key(source: dict[str, Any], info: GraphQLResolveInfo, **_arguments: object) -> Any:
    return source.get(str(info.path.key))


def _blank(data: Any, path: list[Any]) -> None:
    for part in path[:-1]:
        data = data[part] if isinstance(part, int) or part in data else {}
    if path and (isinstance(data, list) or path[-1] in data):
        data[path[-1]] = None


def _head(pull: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = _examples()["pull"]
    return whole | {
        "number": pull["number"],
        "node_id": pull["id"],
        "updated_at": pull["updatedAt"],
        "head": whole["head"] | {"sha": pull["headRefOid"]},
    }


@functools.cache
def _examples() -> dict[str, Any]:
    """Return one whole payload of each kind, for all that no test is about."""
    store = GitHubStore(ManualClock(), seed=1)
    repository = store.add_repository(REPOSITORY)
    store.add_workflow(REPOSITORY, "ML CI Pipeline", ".github/workflows/ci.yml")
    store.add_environment(REPOSITORY, "production", reviewers=["ada"])
    number = store.open_pull(
        REPOSITORY, title="feature", body="", author="ada", head_branch="feature", base_branch="main"
    )
    pull = store.pull(REPOSITORY, number)
    run_id = store.start_run(
        REPOSITORY,
        "ML CI Pipeline",
        branch="main",
        event="push",
        head_sha=pull.head_sha,
        title="change",
        actor="ada",
        jobs=[JobPlan("lint")],
    )
    store.set_job(REPOSITORY, run_id, "lint", "in_progress")
    store.set_job(REPOSITORY, run_id, "lint", "completed", "success")
    run, ada = store.run(REPOSITORY, run_id), store.user("ada")
    payloads = Payloads("https://api.github.com", "https://github.com")
    examples = {
        "viewer": payloads.viewer(ada, START),
        "user": payloads.user(ada),
        "run": payloads.run(run, run.latest),
        "job": payloads.job(run.latest.jobs[0]),
        "pending": payloads.pending_deployment(run, "production", ada, may_write=True),
        "pull": payloads.pull(repository.pulls[number]),
        "minimal pull": payloads.minimal_pull(pull),
    }
    whole: dict[str, Any] = json.loads(to_json(examples))
    return whole


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


def target(
    base_url: str,
    *,
    repositories: tuple[str, ...] = (REPOSITORY,),
    runs: int = 100,
    token_env: str | None = "TEST_TOKEN",
) -> GitHubTarget:
    """Return a target at `base_url`."""
    return GitHubTarget("github", base_url, repositories, token_env, runs, ("production",), Path("/"))


def run(number: int, **changes: Any) -> dict[str, Any]:
    """Return a workflow run as REST has it; accounts and pull requests in `changes` need only be named."""
    made: dict[str, Any] = _examples()["run"] | {
        "id": number,
        "display_title": f"change {number}",
        "head_sha": f"{number:040}",
        "status": "completed",
        "conclusion": "success",
        "run_number": number,
        "created_at": "2026-11-20T13:00:00Z",
        "run_started_at": "2026-11-20T13:00:10Z",
        "updated_at": "2026-11-20T13:05:00Z",
        "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{number}",
    }
    made |= {"actor": {"login": "ada"}, "triggering_actor": None} | changes
    for role in ("actor", "triggering_actor"):
        if account := made.pop(role):
            made[role] = _examples()["user"] | account
    made["pull_requests"] = [_examples()["minimal pull"] | pull for pull in made["pull_requests"]]
    return made


def job(name: str, **changes: Any) -> dict[str, Any]:
    """Return a job of a run as REST has it; `steps` are names with their conclusions."""
    times = {"started_at": "2026-11-20T13:00:00Z", "completed_at": "2026-11-20T13:02:31Z"}
    steps = [
        {"name": step, "status": "completed", "conclusion": conclusion, "number": number} | times
        for number, (step, conclusion) in enumerate(changes.pop("steps", {}).items(), 1)
    ]
    made: dict[str, Any] = _examples()["job"] | times | {"name": name, "steps": steps} | changes
    return made


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
