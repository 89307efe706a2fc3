"""Deployments: those of jobs, and those that other services tell of."""

from typing import Any

import httpx
import pytest

from tests.contract.github_server.world import JOBS, REPO, World

BASE = f"/repos/{REPO}"


async def _states(client: httpx.AsyncClient, deployment: dict[str, Any]) -> list[str]:
    return [status["state"] for status in (await client.get(deployment["statuses_url"])).json()]


def _start(world: World) -> int:
    sha = world.store.resolve(REPO, "main").sha
    return world.store.start_run(
        REPO, "cd.yml", branch="main", event="push", head_sha=sha, title="t", actor="ada", jobs=JOBS
    )


async def test_a_job_with_an_environment_deploys_to_it(client: httpx.AsyncClient, world: World) -> None:
    world.store.repository(REPO).environments["production"].url = "http://ghes.test:8080/fraud"
    (deployment,) = (await client.get(f"{BASE}/deployments")).json()
    assert (deployment["environment"], deployment["sha"], deployment["ref"]) == ("production", world.sha, "feat/bigger")
    assert deployment["creator"]["login"] == "github-actions[bot]"
    assert await _states(client, deployment) == ["pending"]
    world.store.review_deployment(REPO, world.run_id, "production", "approved", "ada")
    world.store.set_job(REPO, world.run_id, "production-deployment", "in_progress")
    await world.clock.advance(60)
    world.store.set_job(REPO, world.run_id, "production-deployment", "completed", "success")
    assert await _states(client, deployment) == ["success", "in_progress", "queued", "pending"]
    latest = (await client.get(deployment["statuses_url"])).json()[0]
    job = world.store.run(REPO, world.run_id).latest.jobs[1]
    assert latest["log_url"] == f"http://ghes.test:8080/{REPO}/actions/runs/{world.run_id}/job/{job.id}"
    assert latest["environment_url"] == "http://ghes.test:8080/fraud"
    assert (await client.get(latest["url"])).json() == latest
    assert (await client.get(deployment["url"])).json()["updated_at"] == latest["created_at"]


@pytest.mark.parametrize(
    ("conclusion", "state"), [("success", "success"), ("failure", "failure"), ("cancelled", "error")]
)
async def test_a_deployment_ends_as_its_job_does(
    client: httpx.AsyncClient, world: World, conclusion: str, state: str
) -> None:
    run_id = _start(world)
    world.store.set_job(REPO, run_id, "production-deployment", "in_progress")
    world.store.set_job(REPO, run_id, "production-deployment", "completed", conclusion)
    (deployment,) = (await client.get(f"{BASE}/deployments?ref=main")).json()
    assert await _states(client, deployment) == [state, "in_progress"]


async def test_what_was_rejected_failed_and_what_was_skipped_never_was(client: httpx.AsyncClient, world: World) -> None:
    world.store.review_deployment(REPO, world.run_id, "production", "rejected", "ada")
    world.store.complete_run(REPO, _start(world), "failure")
    (deployment,) = (await client.get(f"{BASE}/deployments")).json()
    assert (await _states(client, deployment))[0] == "failure"


async def test_the_next_success_makes_the_last_one_inactive(client: httpx.AsyncClient, world: World) -> None:
    for _ in range(2):
        world.store.set_job(REPO, _start(world), "production-deployment", "completed", "success")
        await world.clock.advance(60)
    new, old = (await client.get(f"{BASE}/deployments?ref=main&environment=production")).json()
    assert (await _states(client, new), (await _states(client, old))[:2]) == (["success"], ["inactive", "success"])
    rerun = world.store.run(REPO, _start(world))
    world.store.set_job(REPO, rerun.id, "production-deployment", "completed", "failure")
    assert (await _states(client, new))[0] == "success", "a failure leaves what is there"


@pytest.mark.parametrize(
    ("query", "count"),
    [("environment=production", 1), ("environment=staging", 0), ("ref=main", 0), ("sha={sha}", 1), ("task=none", 1)],
)
async def test_deployments_are_filtered(client: httpx.AsyncClient, world: World, query: str, count: int) -> None:
    assert len((await client.get(f"{BASE}/deployments?{query.format(sha=world.sha)}")).json()) == count


async def test_a_service_tells_of_its_deployment(client: httpx.AsyncClient, world: World) -> None:
    refused = await client.post(f"{BASE}/deployments", json={"ref": "feat/bigger"})
    assert (refused.status_code, "Commit status checks failed" in refused.json()["message"]) == (409, True)
    body = {"ref": "feat/bigger", "environment": "staging", "required_contexts": [], "payload": {"by": "argo"}}
    made = await client.post(f"{BASE}/deployments", json=body)
    assert (made.status_code, made.json()["payload"], made.json()["sha"]) == (201, {"by": "argo"}, world.sha)
    told = await client.post(
        made.json()["statuses_url"], json={"state": "success", "environment_url": "http://ghes.test:8080/s"}
    )
    assert (told.status_code, told.json()["creator"]["login"]) == (201, "ada")
    assert await _states(client, made.json()) == ["success"]
    assert (await client.post(made.json()["statuses_url"], json={"state": "great"})).status_code == 422
    assert (await client.post(made.json()["statuses_url"], json={"state": "waiting"})).status_code == 422
    nowhere = await client.post(f"{BASE}/deployments", json={"ref": "nowhere"})
    assert (nowhere.status_code, nowhere.json()["message"]) == (422, "No ref found for: nowhere")
    assert (await client.get(f"{BASE}/deployments/1")).status_code == 404
