"""What clients may change, and how a refusal looks."""

from typing import Any

import httpx
import pytest

from mlops_tui.demo.github import StoreEvent
from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
WRITES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", f"{BASE}/issues/{{pull}}/comments", {"body": "hello"}),
    ("PATCH", f"{BASE}/issues/comments/{{comment_id}}", {"body": "hello"}),
    ("PATCH", f"{BASE}/pulls/{{pull}}", {"body": "- [x] done"}),
    ("POST", f"{BASE}/pulls/{{pull}}/reviews", {"event": "APPROVE"}),
    ("PUT", f"{BASE}/pulls/{{pull}}/merge", {}),
    ("POST", f"{BASE}/issues/{{pull}}/labels", {"labels": ["urgent"]}),
    ("POST", f"{BASE}/actions/runs/{{run_id}}/cancel", {}),
    ("POST", f"{BASE}/actions/runs/{{run_id}}/rerun", {}),
    ("POST", f"{BASE}/actions/workflows/cd.yml/dispatches", {"ref": "main"}),
    ("POST", f"{BASE}/statuses/{{sha}}", {"state": "success"}),
)


@pytest.fixture
def events(world: World) -> list[StoreEvent]:
    heard: list[StoreEvent] = []
    world.store.subscribe(heard.append)
    return heard


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_a_token_that_only_reads_changes_nothing(
    client: httpx.AsyncClient, world: World, method: str, path: str, body: dict[str, Any]
) -> None:
    before = world.store.revision
    path = path.format(pull=world.pull, comment_id=world.comment_id, run_id=world.run_id, sha=world.sha)
    answer = await client.request(method, path, json=body, headers={"authorization": "Bearer reads"})
    assert answer.status_code == 403
    assert answer.headers["x-accepted-github-permissions"].endswith("=write")
    assert world.store.revision == before


async def test_a_comment_is_posted_and_edited(
    client: httpx.AsyncClient, world: World, events: list[StoreEvent]
) -> None:
    await world.clock.advance(60)
    posted = await client.post(f"{BASE}/issues/{world.pull}/comments", json={"body": "looks good"})
    assert posted.status_code == 201
    assert posted.json()["user"]["login"] == "ada"
    await world.clock.advance(60)
    edited = await client.patch(posted.json()["url"], json={"body": "on second thought"})
    assert edited.json()["body"] == "on second thought"
    assert edited.json()["updated_at"] > edited.json()["created_at"]
    pull = (await client.get(f"{BASE}/pulls/{world.pull}")).json()
    assert pull["updated_at"] == edited.json()["updated_at"]
    assert [(event.action, event.number, event.actor) for event in events] == [
        ("comment", world.pull, "ada"),
        ("edit", world.pull, "ada"),
    ]


@pytest.mark.parametrize(
    ("body", "code"), [({}, "missing_field"), ({"body": "  "}, "missing_field"), ({"body": "x" * 65_537}, "custom")]
)
async def test_a_comment_that_cannot_be_is_422_with_errors(
    client: httpx.AsyncClient, world: World, body: dict[str, str], code: str
) -> None:
    answer = await client.post(f"{BASE}/issues/{world.pull}/comments", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["resource"], error["field"], error["code"]) == ("IssueComment", "body", code)


async def test_a_body_that_is_no_json_is_400(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(f"{BASE}/issues/{world.pull}/comments", content=b"[1]")
    assert answer.status_code == 400


async def test_an_approved_deployment_goes_on(
    client: httpx.AsyncClient, world: World, events: list[StoreEvent]
) -> None:
    url = f"{BASE}/actions/runs/{world.run_id}"
    (waiting,) = (await client.get(f"{url}/pending_deployments")).json()
    assert waiting["current_user_can_approve"] is True
    body = {"environment_ids": [waiting["environment"]["id"]], "state": "approved", "comment": "go"}
    refused = await client.post(f"{url}/pending_deployments", json=body, headers={"authorization": "Bearer bob"})
    assert refused.status_code == 422
    (deployment,) = (await client.post(f"{url}/pending_deployments", json=body)).json()
    assert deployment["environment"] == "production"
    assert (await client.get(f"{url}/pending_deployments")).json() == []
    (approval,) = (await client.get(f"{url}/approvals")).json()
    assert (approval["state"], approval["user"]["login"], approval["comment"]) == ("approved", "ada", "go")
    assert (await client.get(url)).json()["status"] == "queued"
    assert events == [StoreEvent("approved", REPO, world.run_id, "ada", "production")]


async def test_a_rejected_deployment_fails_the_run(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/actions/runs/{world.run_id}"
    (waiting,) = (await client.get(f"{url}/pending_deployments")).json()
    body = {"environment_ids": [waiting["environment"]["id"]], "state": "rejected", "comment": "no"}
    assert (await client.post(f"{url}/pending_deployments", json=body)).status_code == 200
    run = (await client.get(url)).json()
    assert (run["status"], run["conclusion"]) == ("completed", "failure")


async def test_a_run_is_cancelled_once_and_then_run_again(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/actions/runs/{world.run_id}"
    early = await client.post(f"{url}/rerun")
    assert (early.status_code, early.json()["message"]) == (403, "The workflow run is already running")
    assert (await client.post(f"{url}/cancel")).status_code == 202
    assert (await client.post(f"{url}/cancel")).status_code == 409
    assert (await client.post(f"{url}/rerun-failed-jobs")).status_code == 201
    run = (await client.get(url)).json()
    assert (run["run_attempt"], run["status"]) == (2, "queued")
    jobs = (await client.get(f"{url}/jobs")).json()["jobs"]
    assert [(job["name"], job["status"]) for job in jobs] == [
        ("full-training", "completed"),
        ("production-deployment", "queued"),
    ]
    before = (await client.get(f"{url}/attempts/1/jobs")).json()["jobs"]
    assert [job["conclusion"] for job in before] == ["success", "cancelled"]
    assert {job["id"] for job in jobs}.isdisjoint(job["id"] for job in before)


async def test_one_job_is_run_again(client: httpx.AsyncClient, world: World) -> None:
    world.store.complete_run(REPO, world.run_id, "failure")
    job = world.store.run(REPO, world.run_id).latest.jobs[0]
    assert (await client.post(f"{BASE}/actions/jobs/{job.id}/rerun")).status_code == 201
    states = {j.name: j.status for j in world.store.run(REPO, world.run_id).latest.jobs}
    assert states == {"full-training": "queued", "production-deployment": "completed"}


async def test_a_dispatch_starts_a_run(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/actions/workflows/cd.yml/dispatches"
    assert (await client.post(url, json={"ref": "main"})).status_code == 204
    told = await client.post(url, json={"ref": "main", "return_run_details": True})
    run = (await client.get(told.json()["run_url"])).json()
    assert (run["event"], run["head_branch"], run["run_number"]) == ("workflow_dispatch", "main", 3)
    assert (await client.post(url, json={"ref": "nowhere"})).status_code == 422


async def test_a_pull_request_is_reviewed_and_merged(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/pulls/{world.pull}"
    own = await client.post(f"{url}/reviews", json={"event": "APPROVE"}, headers={"authorization": "Bearer bob"})
    assert (own.status_code, own.json()["errors"]) == (422, ["Can not approve your own pull request"])
    assert (await client.post(f"{url}/reviews", json={"event": "APPROVE"})).json()["state"] == "APPROVED"
    moved = await client.put(f"{url}/merge", json={"sha": "0" * 40})
    assert moved.status_code == 409
    merged = await client.put(f"{url}/merge", json={"sha": world.sha})
    assert merged.json()["merged"] is True
    assert (await client.put(f"{url}/merge", json={})).status_code == 405
    pull = (await client.get(url)).json()
    assert (pull["state"], pull["merged"], pull["merge_commit_sha"]) == ("closed", True, merged.json()["sha"])
    main = (await client.get(f"{BASE}/branches/main")).json()
    assert main["commit"]["sha"] == merged.json()["sha"]
    assert (await client.get(f"{BASE}/pulls")).json() == []


async def test_labels_and_state_change(client: httpx.AsyncClient, world: World) -> None:
    labels = await client.post(f"{BASE}/issues/{world.pull}/labels", json={"labels": ["urgent", "model"]})
    assert [label["name"] for label in labels.json()] == ["model", "urgent"]
    url = f"{BASE}/pulls/{world.pull}"
    assert (await client.patch(url, json={"state": "closed", "title": "T"})).json()["closed_at"] is not None
    assert (await client.patch(url, json={"state": "open"})).json()["state"] == "open"
    assert (await client.patch(url, json={"state": "ajar"})).status_code == 422
    status = await client.post(f"{BASE}/statuses/{world.sha}", json={"state": "success", "context": "dvc/push"})
    assert status.status_code == 201
    assert (await client.get(f"{BASE}/commits/{world.sha}/status")).json()["state"] == "success"
