"""The judge of exchanges finds what is wrong: a judge that passes everything proves nothing."""

import json
from typing import Any

import httpx
import pytest

from mlops_tui.demo.github import GitHubStore, Token, create_app
from tests.support.clock import ManualClock
from tests.support.github_schema import ContractError, Judged, check_exchange, judge_response

JSON = {"content-type": "application/json; charset=utf-8"}
RATE = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1}
OVERVIEW = {"resources": {"core": RATE, "search": RATE}, "rate": RATE}
COMMENTS = "/repos/acme/fraud/issues/1/comments"


def _judge(
    method: str = "GET",
    url: str = "/rate_limit",
    sent: Any = None,
    status: int = 200,
    body: Any = OVERVIEW,
    headers: dict[str, str] = JSON,
) -> None:
    check_exchange(method, url, json.dumps(sent) if sent is not None else None, status, headers, json.dumps(body))


@pytest.mark.parametrize("mount", ["", "https://ghes.example.com/api/v3"])
def test_a_right_exchange_passes(mount: str) -> None:
    _judge(url=f"{mount}/rate_limit")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"url": "/nowhere"}, "no operation"),
        ({"method": "DELETE"}, "no operation"),
        ({"url": "/rate_limit?page=1"}, "no parameter page"),
        ({"url": "/repos/a/b/pulls?state=ajar"}, "parameter state"),
        ({"url": "/repos/a/b/actions/runs?per_page=many"}, "parameter per_page"),
        ({"sent": {"a": 1}}, "takes no body"),
        ({"body": {"rate": RATE}}, "resources"),
        ({"body": OVERVIEW | {"rate": RATE | {"limit": "5000"}}}, "rate/limit"),
        ({"status": 418}, "418 is not among"),
        ({"headers": {"content-type": "text/html"}}, "content type"),
        ({"headers": JSON | {"link": "<http://h/x>; rel=next"}}, "Link"),
        ({"status": 304}, "a 304 has"),
        ({"status": 404, "body": {"message": 3}}, "message"),
        ({"method": "POST", "url": COMMENTS, "sent": {}, "status": 201}, "request body"),
        ({"method": "POST", "url": COMMENTS, "status": 201}, "needs a body"),
        ({"url": COMMENTS, "body": [{"id": 1}]}, "is a required property"),
        ({"method": "GET", "url": "/graphql"}, "POST"),
        ({"method": "POST", "url": "/api/graphql", "sent": {"query": "{ shoe }"}, "body": {"data": {}}}, "shoe"),
        ({"method": "POST", "url": "/graphql", "sent": {"query": "{viewer{id}}"}, "body": {"rows": 1}}, "data and"),
    ],
)
def test_a_wrong_exchange_is_named(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        _judge(**wrong)


def test_nulls_are_allowed_only_where_github_allows_them() -> None:
    status = {
        "description": None,
        "id": 1,
        "node_id": "x",
        "state": "success",
        "context": "ci",
        "target_url": None,
        "avatar_url": None,
        "url": "http://h/x",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "creator": None,
    }
    sent = {"state": "success"}
    _judge("POST", "/repos/a/b/statuses/abc", sent, 201, status)
    with pytest.raises(ContractError, match="context"):
        _judge("POST", "/repos/a/b/statuses/abc", sent, 201, status | {"context": None})


def test_a_verdict_that_is_remembered_is_of_the_same_object_only() -> None:
    names = ["avatar", "events", "followers", "following", "gists", "html", "organizations", "received_events"]
    user: dict[str, Any] = {f"{name}_url": "http://h/x" for name in [*names, "repos", "starred", "subscriptions"]}
    user |= {"gravatar_id": "", "node_id": "U", "login": "a", "type": "User", "url": "http://h"}
    user |= {"id": 1, "site_admin": False}
    url = "/repos/a/b/pulls/1/requested_reviewers"
    _judge(url=url, body={"users": [user, user], "teams": []})
    with pytest.raises(ContractError, match="site_admin"):
        _judge(url=url, body={"users": [user, user | {"site_admin": "no"}], "teams": []})


async def test_the_wrapper_keeps_what_was_wrong_and_the_answer_as_it_was() -> None:
    store = GitHubStore(ManualClock())
    store.tokens["t"] = Token("ada")
    app = Judged(create_app(store))
    headers = {"authorization": "token t"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://h", headers=headers) as client:
        assert (await client.get("/user")).json()["login"] == "ada"
        assert app.failures == []
        assert (await client.get("/user?shoe=size")).status_code == 200
    assert app.failures == ["GET /user?shoe=size: GET /user: no parameter shoe"]
    assert app.exchanges == [("GET", "/user", 200), ("GET", "/user?shoe=size", 200)]


def test_the_hook_judges_what_httpx_gets() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"rate": RATE}))
    hooks = {"response": [judge_response]}
    with (
        httpx.Client(transport=transport, event_hooks=hooks) as client,
        pytest.raises(ContractError, match="resources"),
    ):
        client.get("https://api.github.com/rate_limit")
