"""REST as clients see it. The `judged` fixture holds every exchange against GitHub's description."""

from typing import Any

import httpx
import pytest

from tests.contract.github_server.world import REPO, World
from tests.support.github_schema import Judged

BASE = f"/repos/{REPO}"
READS = (
    "/user",
    "/rate_limit",
    BASE,
    f"{BASE}/actions/runs",
    f"{BASE}/actions/runs?per_page=1&page=1&exclude_pull_requests=true",
    f"{BASE}/actions/runs/{{run_id}}",
    f"{BASE}/actions/runs/{{run_id}}/approvals",
    f"{BASE}/actions/runs/{{run_id}}/attempts/1",
    f"{BASE}/actions/runs/{{run_id}}/attempts/1/jobs",
    f"{BASE}/actions/runs/{{run_id}}/jobs?filter=all",
    f"{BASE}/actions/runs/{{run_id}}/pending_deployments",
    f"{BASE}/actions/jobs/{{job_id}}",
    f"{BASE}/actions/workflows",
    f"{BASE}/actions/workflows/cd.yml",
    f"{BASE}/actions/workflows/cd.yml/runs",
    f"{BASE}/pulls",
    f"{BASE}/pulls?state=all&sort=updated&direction=desc&base=main&head=acme:feat/bigger",
    f"{BASE}/pulls/{{pull}}",
    f"{BASE}/pulls/{{pull}}/comments",
    f"{BASE}/pulls/{{pull}}/commits",
    f"{BASE}/pulls/{{pull}}/files",
    f"{BASE}/pulls/{{pull}}/requested_reviewers",
    f"{BASE}/pulls/{{pull}}/reviews",
    f"{BASE}/issues/{{pull}}/comments",
    f"{BASE}/issues/{{pull}}/labels",
    f"{BASE}/issues/comments/{{comment_id}}",
    f"{BASE}/branches",
    f"{BASE}/branches/feat/bigger",
    f"{BASE}/commits",
    f"{BASE}/commits/main",
    f"{BASE}/commits/feat/bigger/check-runs",
    f"{BASE}/commits/{{sha}}/check-runs?check_name=coverage&status=completed",
    f"{BASE}/commits/{{sha}}/status",
    f"{BASE}/commits/{{sha}}/pulls",
    f"{BASE}/check-runs/{{job_id}}",
    f"{BASE}/environments",
    f"{BASE}/environments/production",
    f"{BASE}/releases",
    f"{BASE}/releases/latest",
    f"{BASE}/releases/tags/v1.4.0",
    f"{BASE}/tags",
)


def _fill(path: str, world: World) -> str:
    return path.format(
        run_id=world.run_id,
        pull=world.pull,
        sha=world.sha,
        comment_id=world.comment_id,
        job_id=world.store.run(REPO, world.run_id).latest.jobs[0].id,
    )


def _urls(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [url for key, part in value.items() if key != "target_url" for url in _urls(part)]
    if isinstance(value, list):
        return [url for part in value for url in _urls(part)]
    return [value] if isinstance(value, str) and value.startswith("http") else []


@pytest.mark.parametrize("path", READS)
async def test_each_read_answers_with_addresses_of_the_server_that_was_asked(
    client: httpx.AsyncClient, world: World, path: str
) -> None:
    answer = await client.get(_fill(path, world))
    assert answer.status_code == 200, answer.text
    urls = _urls(answer.json())
    assert all(url.startswith("http://ghes.test:8080/") for url in urls)
    assert "rate_limit" in path or answer.headers["etag"].startswith('W/"')


@pytest.mark.parametrize("mount", ["", "/api/v3"])
async def test_api_addresses_follow_the_mount(judged: Judged, world: World, mount: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(judged), headers={"authorization": "token full"}) as c:
        run = (await c.get(f"http://h:1{mount}{BASE}/actions/runs/{world.run_id}")).json()
    assert run["url"] == f"http://h:1{mount}{BASE}/actions/runs/{world.run_id}"
    assert run["html_url"] == f"http://h:1/{REPO}/actions/runs/{world.run_id}"


async def test_an_unchanged_list_is_304_and_free(client: httpx.AsyncClient, world: World) -> None:
    etags = {}
    for path in (f"{BASE}/actions/runs?per_page=100", f"{BASE}/pulls"):
        first = await client.get(path)
        etags[path] = {"if-none-match": first.headers["etag"]}
        again = await client.get(path, headers=etags[path])
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    world.store.set_job(REPO, world.run_id, "production-deployment", "in_progress")
    statuses = [(await client.get(path, headers=headers)).status_code for path, headers in etags.items()]
    assert statuses == [200, 304], "a run's progress is no change of its pull request"


async def test_an_etag_holds_for_one_token(client: httpx.AsyncClient) -> None:
    etag = (await client.get(f"{BASE}/pulls")).headers["etag"]
    other = await client.get(f"{BASE}/pulls", headers={"if-none-match": etag, "authorization": "Bearer reads"})
    assert other.status_code == 200


async def test_link_leads_through_all_pages_and_no_further(client: httpx.AsyncClient, world: World) -> None:
    for number in range(4):
        world.store.start_run(
            REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title=f"run {number}", actor="ada", jobs=()
        )
    titles, url = [], f"{BASE}/actions/runs?per_page=2"
    while url:
        answer = await client.get(url)
        titles += [run["display_title"] for run in answer.json()["workflow_runs"]]
        assert answer.json()["total_count"] == 5
        url = answer.links.get("next", {}).get("url", "")
    assert titles == ["run 3", "run 2", "run 1", "run 0", "Bigger embedding"]
    assert answer.links["first"]["url"] == f"http://ghes.test:8080/api/v3{BASE}/actions/runs?per_page=2&page=1"
    assert "last" not in answer.links


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("branch=feat/bigger", True),
        ("branch=main", False),
        ("status=waiting", True),
        ("status=completed", False),
        ("event=pull_request", True),
        ("event=push", False),
        ("actor=bob", True),
        ("head_sha={sha}", True),
        ("head_sha=0000", False),
        ("created=>={today}", True),
        ("created=<{today}", False),
        ("created={today}..{today}", True),
        ("created=*..2020-01-01", False),
        ("created={today}", True),
    ],
)
async def test_filters_of_runs(client: httpx.AsyncClient, world: World, query: str, found: bool) -> None:
    today = world.clock.now().date().isoformat()
    answer = await client.get(f"{BASE}/actions/runs?{query.format(sha=world.sha, today=today)}")
    assert answer.json()["total_count"] == int(found)
    assert len(answer.json()["workflow_runs"]) == int(found)


async def test_a_filtered_list_ends_at_a_thousand(client: httpx.AsyncClient, world: World) -> None:
    for _ in range(1005):
        world.store.start_run(
            REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title="t", actor="ada", jobs=()
        )
    last = await client.get(f"{BASE}/actions/runs?branch=main&per_page=100&page=10")
    assert len(last.json()["workflow_runs"]) == 100
    assert last.json()["total_count"] == 1005
    assert "next" not in last.links
    beyond = await client.get(f"{BASE}/actions/runs?branch=main&per_page=100&page=11")
    assert beyond.json()["workflow_runs"] == []


async def test_jobs_of_the_pull_request_are_its_checks(client: httpx.AsyncClient, world: World) -> None:
    checks = (await client.get(f"{BASE}/commits/{world.sha}/check-runs")).json()["check_runs"]
    jobs = (await client.get(f"{BASE}/actions/runs/{world.run_id}/jobs")).json()["jobs"]
    assert [check["name"] for check in checks] == ["full-training", "production-deployment", "coverage"]
    assert [check["id"] for check in checks[:2]] == [job["id"] for job in jobs]
    assert jobs[0]["steps"][2] | {"started_at": "", "completed_at": ""} == {
        "name": "Train",
        "number": 3,
        "status": "completed",
        "conclusion": "success",
        "started_at": "",
        "completed_at": "",
    }


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"authorization": ""}, 401, "Requires authentication"),
        ({"authorization": "Bearer wrong"}, 401, "Bad credentials"),
        ({"authorization": "Basic full"}, 401, "Bad credentials"),
    ],
)
async def test_who_is_not_known_gets_no_further(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, message: str
) -> None:
    answer = await client.get(BASE, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (status, message)
    assert "x-ratelimit-remaining" not in answer.headers


async def test_checks_need_a_permission(client: httpx.AsyncClient, world: World) -> None:
    headers = {"authorization": "Bearer unchecked"}
    answer = await client.get(f"{BASE}/commits/{world.sha}/check-runs", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["message"] == "Resource not accessible by personal access token"
    assert answer.headers["x-accepted-github-permissions"] == "checks=read"
    assert (await client.get(f"{BASE}/actions/runs", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/repos/acme/none", f"{BASE}/pulls/99", f"{BASE}/actions/runs/1"])
async def test_what_is_not_there_is_404_in_the_usual_shape(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["message"] == "Not Found"
    assert answer.json()["status"] == "404"


async def test_a_rate_limit_on_demand_says_when_to_come_back(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.secondary(seconds=42)
    limited = await client.get(f"{BASE}/pulls")
    assert (limited.status_code, limited.headers["retry-after"]) == (403, "42")
    assert "secondary rate limit" in limited.json()["message"]
    await world.clock.advance(42)
    assert (await client.get(f"{BASE}/pulls")).status_code == 200


async def test_a_used_up_quota_is_whole_again_after_its_reset(client: httpx.AsyncClient, world: World) -> None:
    world.store.limits.quota = 2
    assert [(await client.get(BASE)).status_code for _ in range(3)] == [200, 200, 403]
    empty = await client.get(BASE)
    assert empty.headers["x-ratelimit-remaining"] == "0"
    assert "API rate limit exceeded" in empty.json()["message"]
    assert "retry-after" not in empty.headers
    await world.clock.advance(3600)
    assert (await client.get(BASE)).status_code == 200


async def test_calls_are_counted_and_asking_for_the_count_is_free(client: httpx.AsyncClient) -> None:
    used = [(await client.get("/rate_limit")).json()["rate"]["used"] for _ in range(2)]
    await client.get(BASE)
    used.append((await client.get("/rate_limit")).json()["rate"]["used"])
    assert used == [0, 0, 1]
