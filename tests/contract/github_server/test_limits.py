"""What a client runs into: rate limits on demand, and tokens that may not."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mlops_tui.demo.github import Token, create_app
from mlops_tui.demo.github.app import READS, WRITES
from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
QUERY = {"query": "{ viewer { login } }"}


async def _statuses(client: httpx.AsyncClient, count: int) -> list[int]:
    return [(await client.get(BASE)).status_code for _ in range(count)]


@pytest.mark.parametrize("status", [403, 429])
async def test_an_exhausted_quota_says_so_everywhere(client: httpx.AsyncClient, world: World, status: Any) -> None:
    world.store.limits.exhaust(status=status, seconds=90)
    answer = await client.get(BASE)
    reset = int(world.clock.now().timestamp()) + 90
    assert answer.status_code == status
    assert "API rate limit exceeded for user ID" in answer.json()["message"]
    shown = {
        name: answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used", "reset", "resource")
    }
    assert shown == {"limit": "5000", "remaining": "0", "used": "5000", "reset": str(reset), "resource": "core"}
    told = (await client.get("/rate_limit")).json()["resources"]
    assert told["core"] == {"limit": 5000, "used": 5000, "remaining": 0, "reset": reset}
    assert told["graphql"]["remaining"] == 5000
    assert told["search"]["limit"] == 30
    assert (await client.post("http://ghes.test:8080/api/graphql", json=QUERY)).json()["data"]
    await world.clock.advance(90)
    again = await client.get(BASE)
    assert (again.status_code, again.headers["x-ratelimit-remaining"]) == (200, "4999")


async def test_a_quota_is_exhausted_for_some_calls(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.exhaust(requests=2)
    first, second, third = [await client.get(BASE) for _ in range(3)]
    assert [answer.status_code for answer in (first, second, third)] == [403, 403, 200]
    assert [answer.headers["x-ratelimit-remaining"] for answer in (first, second, third)] == ["0", "0", "4999"]


async def test_graphql_says_it_in_a_success(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.exhaust(resource="graphql")
    answer = await client.post("http://ghes.test:8080/api/graphql", json=QUERY)
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (200, "RATE_LIMITED")
    assert (answer.headers["x-ratelimit-remaining"], answer.headers["x-ratelimit-resource"]) == ("0", "graphql")
    assert await _statuses(client, 1) == [200]


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("says_when", [True, False])
async def test_a_secondary_limit_on_demand(
    client: httpx.AsyncClient, world: World, status: Any, says_when: bool
) -> None:
    world.store.limits.secondary(status=status, seconds=20, says_when=says_when)
    await world.clock.advance(5)
    answer = await client.get(BASE)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, "15" if says_when else None)
    assert answer.json()["message"].startswith("You have exceeded a secondary rate limit")
    assert answer.json()["documentation_url"].endswith("#about-secondary-rate-limits")
    assert answer.headers["x-ratelimit-remaining"] != "0"
    await world.clock.advance(15)
    assert await _statuses(client, 1) == [200]


async def test_limits_are_for_a_token_and_a_resource_and_can_be_lifted(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.secondary(token="bob", resource="core", requests=1)
    assert await _statuses(client, 1) == [200]
    bob = {"authorization": "Bearer bob"}
    assert (await client.post("http://ghes.test:8080/api/graphql", json=QUERY, headers=bob)).status_code == 200
    limited = await client.get(BASE, headers=bob)
    assert (limited.status_code, limited.headers["retry-after"]) == (403, "60")
    assert (await client.get(BASE, headers=bob)).status_code == 200
    world.store.limits.secondary()
    assert await _statuses(client, 1) == [403]
    world.store.limits.lift()
    assert await _statuses(client, 1) == [200]


async def test_a_token_that_is_revoked_or_expires_is_a_wrong_one(client: httpx.AsyncClient, world: World) -> None:
    expires = world.clock.now() + timedelta(hours=1)
    world.store.tokens["short"] = Token("ada", expires_at=expires)
    headers = {"authorization": "Bearer short"}
    alive = await client.get("/user", headers=headers)
    assert alive.headers["github-authentication-token-expiration"] == f"{expires:%Y-%m-%d %H:%M:%S} UTC"
    await world.clock.advance(3600)
    world.store.revoke("full")
    for answer in (await client.get("/user", headers=headers), await client.get("/user")):
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


@pytest.mark.parametrize(
    ("permissions", "method", "path", "body", "status"),
    [
        ({}, "GET", BASE, None, 200),
        ({}, "GET", f"{BASE}/pulls", None, 403),
        ({"pull_requests": "read"}, "GET", f"{BASE}/pulls", None, 200),
        ({"issues": "read"}, "GET", f"{BASE}/issues/{{pull}}/comments", None, 200),
        ({"issues": "read"}, "POST", f"{BASE}/issues/{{pull}}/comments", {"body": "x"}, 403),
        ({"issues": "write"}, "POST", f"{BASE}/issues/{{pull}}/comments", {"body": "x"}, 201),
        ({"contents": "read"}, "GET", f"{BASE}/contents/.github/workflows/cd.yml", None, 200),
        ({"contents": "read"}, "POST", f"{BASE}/releases", {"tag_name": "v2"}, 403),
        ({"actions": "write"}, "GET", f"{BASE}/deployments", None, 403),
        ({"deployments": "read"}, "GET", f"{BASE}/deployments", None, 200),
    ],
)
async def test_a_fine_grained_token_may_what_it_was_given(
    client: httpx.AsyncClient,
    world: World,
    permissions: dict[str, Any],
    method: str,
    path: str,
    body: dict[str, str] | None,
    status: int,
) -> None:
    world.store.tokens["fine"] = Token("ada", permissions=permissions)
    answer = await client.request(
        method, path.format(pull=world.pull), json=body, headers={"authorization": "Bearer fine"}
    )
    assert answer.status_code == status, answer.text
    accepted = answer.headers["x-accepted-github-permissions"].split("; ")
    assert all(entry.endswith("=read" if method == "GET" else "=write") for entry in accepted)
    assert "x-oauth-scopes" not in answer.headers
    if status == 403:
        assert answer.json()["message"] == "Resource not accessible by personal access token"


async def test_a_classic_token_has_scopes(client: httpx.AsyncClient) -> None:
    answer = await client.get(BASE)
    assert answer.headers["x-oauth-scopes"] == "repo, workflow"
    assert "x-accepted-github-permissions" not in answer.headers


async def test_a_repository_out_of_reach_does_not_exist(client: httpx.AsyncClient, world: World) -> None:
    world.store.add_repository("acme/other")
    world.store.tokens["fine"] = Token("ada", repositories=("acme/other",))
    headers = {"authorization": "Bearer fine"}
    for path in (BASE, f"{BASE}/pulls", f"{BASE}/contents/README.md"):
        assert (await client.get(path, headers=headers)).status_code == 404
    assert (await client.get("/repos/Acme/Other", headers=headers)).status_code == 200
    node = world.store.pull(REPO, world.pull).node_id
    query = f'{{ repository(owner: "acme", name: "fraud") {{ id }} node(id: "{node}") {{ id }} }}'
    answer = await client.post("http://ghes.test:8080/api/graphql", json={"query": query}, headers=headers)
    assert [(error["type"], error["path"]) for error in answer.json()["errors"]] == [
        ("NOT_FOUND", ["repository"]),
        ("NOT_FOUND", ["node"]),
    ]


async def test_graphql_asks_for_the_same_permissions(client: httpx.AsyncClient, world: World) -> None:
    world.store.tokens["fine"] = Token("ada", permissions={"contents": "read"})
    query = '{ repository(owner: "acme", name: "fraud") { viewerPermission pullRequest(number: 1) { id } } }'
    answer = await client.post(
        "http://ghes.test:8080/api/graphql", json={"query": query}, headers={"authorization": "Bearer fine"}
    )
    assert answer.json()["data"]["repository"] == {"viewerPermission": "READ", "pullRequest": None}
    assert answer.json()["errors"][0]["type"] == "FORBIDDEN"


async def test_graphql_says_which_field_there_is_not(client: httpx.AsyncClient) -> None:
    query = '{ repository(owner: "acme", name: "fraud") { name ... on Node { id all: stars } } }'
    (error,) = (await client.post("http://ghes.test:8080/api/graphql", json={"query": query})).json()["errors"]
    assert error == {
        "message": "Field 'stars' doesn't exist on type 'Node'",
        "path": ["query", "repository", "... on Node", "all"],
        "extensions": {"code": "undefinedField", "typeName": "Node", "fieldName": "stars"},
        "locations": [{"line": 1, "column": query.index("all:") + 1}],
    }


@pytest.mark.parametrize(
    ("query", "count", "links"),
    [
        ("per_page=2", 2, {"next", "last"}),
        ("per_page=2&page=3", 1, {"prev", "first"}),
        ("per_page=500", 5, set()),
        ("per_page=0&page=0", 5, set()),
        ("per_page=x&page=-1", 5, set()),
        ("per_page=2&page=9", 0, {"prev", "first"}),
    ],
)
async def test_pages_have_bounds(
    client: httpx.AsyncClient, world: World, judged: Any, query: str, count: int, links: set[str]
) -> None:
    for number in range(5):
        world.store.comment(REPO, world.pull, "ada", f"{number}", at=world.clock.now() + timedelta(minutes=number + 1))
    since = (world.clock.now() + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await client.get(f"{BASE}/issues/{world.pull}/comments?since={since}&{query}")
    assert (len(answer.json()), set(answer.links)) == (count, links)
    assert all(f"since={since.replace(':', '%3A')}" in link["url"] for link in answer.links.values())
    judged.failures[:] = [failure for failure in judged.failures if "parameter" not in failure]


async def test_pages_lead_back_from_beyond_the_end(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get(f"{BASE}/tags?per_page=1&page=7")
    assert answer.json() == []
    back = await client.get(answer.links["prev"]["url"])
    assert [tag["name"] for tag in back.json()] == ["v1.4.0"]


ODD: tuple[Any, ...] = (None, 7, "", "é\x00\ud83d", [7], {"x": []})
FIELDS = (
    *("body", "title", "state", "event", "message", "labels", "reviewers", "sha", "merge_method", "commit_title"),
    *("commit_message", "expected_head_sha", "ref", "inputs", "environment", "payload", "required_contexts", "task"),
    *("description", "environment_url", "log_url", "tag_name", "name", "draft", "target_commitish", "head", "base"),
    *("previous_tag_name", "configuration_file_path", "context", "target_url", "path", "line", "commit_id", "comment"),
    *("environment_ids", "production_environment", "generate_release_notes", "auto_inactive", "committer"),
)
MINIMAL = {
    "body": "x", "title": "t", "head": "feat/bigger", "base": "main", "ref": "main", "tag_name": "v1.4.0",
    "state": "success", "event": "COMMENT", "message": "m", "comment": "c", "path": "src/model.py", "line": 1,
}  # fmt: skip


@pytest.mark.parametrize(("method", "template"), sorted({(method, path) for method, path, *_ in WRITES}))
async def test_no_body_breaks_the_server(world: World, method: str, template: str) -> None:
    release = world.store.repository(REPO).releases[0].id
    (deployment,) = world.store.repository(REPO).deployments
    review = world.store.draft_review(REPO, world.pull, "ada", "hm")
    (line,) = world.store.pull(REPO, world.pull).review_comments
    job = world.store.run(REPO, world.run_id).latest.jobs[0].id
    path = re.sub(r":(?:int|path)}", "}", template).format(
        owner="acme", repo="fraud", run_id=world.run_id, job_id=job, artifact_id=1, workflow_id="cd.yml",
        pull_number=world.pull, issue_number=world.pull, review_id=review, release_id=release, sha=world.sha,
        comment_id=line.id if "pulls/comments" in template else world.comment_id, name="model",
        deployment_id=deployment, check_run_id=job,
    )  # fmt: skip
    bodies: list[object] = [7, "x", [], ["x"], {}, None]
    if method != "DELETE" or template.endswith("reviewers"):
        bodies += [MINIMAL | {field: value} for field in FIELDS for value in ODD]
    transport = httpx.ASGITransport(create_app(world.store))
    headers = {"authorization": "Bearer full"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h:1", headers=headers) as client:
        for body in bodies:
            answer = await client.request(method, path, content=json.dumps(body))
            assert answer.status_code < 500, body


@pytest.mark.parametrize("template", sorted(path for path, *_ in READS))
async def test_no_query_breaks_the_server(world: World, template: str) -> None:
    names = ("sha", "ref", "path", "since", "until", "author", "state", "sort", "direction", "head", "base", "page",
             "per_page", "filter", "status", "created", "environment", "recursive", "name", "check_name")  # fmt: skip
    odd = ("", "x", "9" * 40, "é\x00", "..", "a...b", "2026-13-99", "*..*")
    path = re.sub(r"\{\w+:int\}", "1", template)
    path = path.replace("{owner}", "acme").replace("{repo}", "fraud")
    transport = httpx.ASGITransport(create_app(world.store))
    headers = {"authorization": "Bearer full"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h:1", headers=headers) as client:
        for value in odd:
            filled = re.sub(r"\{\w+(?::path)?\}", lambda _, value=value: quote(value or "x"), path)  # type: ignore[misc]
            for query in (
                {},
                dict.fromkeys(names, value),
                *({name: value} for name in ("since", "sha", "ref", "created")),
            ):
                answer = await client.get(filled, params=query)
                assert answer.status_code < 500, (filled, query)
