"""Runs again: all of a run, what failed, one job; and runs that somebody starts by hand."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from mlops_tui.demo.github import JobPlan, WorkflowInput
from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
GRAPH = (
    JobPlan("lint"),
    JobPlan("unit-tests", needs=("lint",)),
    JobPlan("data-validation", needs=("lint",)),
    JobPlan("training", needs=("unit-tests", "data-validation")),
    JobPlan("report", needs=("training",)),
)
INPUTS = (
    WorkflowInput("model", required=True),
    WorkflowInput("environment", type="choice", options=("staging", "production"), default="staging"),
    WorkflowInput("dry-run", type="boolean", default="false"),
)


@pytest.fixture
def run_id(world: World) -> int:
    """A run whose unit tests failed, and that is over."""
    store = world.store
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml", jobs=GRAPH)
    number = store.start_run(
        REPO, "CI", branch="main", event="push", head_sha=world.sha, title="t", actor="bob", jobs=GRAPH
    )
    for name, conclusion in (("lint", "success"), ("data-validation", "success"), ("unit-tests", "failure")):
        store.set_job(REPO, number, name, "in_progress")
        store.set_job(REPO, number, name, "completed", conclusion)
    store.complete_run(REPO, number, "failure")
    return number


async def _jobs(client: httpx.AsyncClient, url: str, **query: str) -> dict[str, dict[str, Any]]:
    jobs = (await client.get(f"{url}/jobs", params=query)).json()["jobs"]
    return {job["name"]: job for job in jobs}


async def _again(client: httpx.AsyncClient, url: str) -> set[str]:
    """Return what runs again."""
    return {name for name, job in (await _jobs(client, url)).items() if job["status"] == "queued"}


async def test_the_jobs_that_need_a_failed_one_are_skipped(client: httpx.AsyncClient, run_id: int) -> None:
    jobs = await _jobs(client, f"{BASE}/actions/runs/{run_id}")
    assert {name: job["conclusion"] for name, job in jobs.items()} == {
        "lint": "success",
        "unit-tests": "failure",
        "data-validation": "success",
        "training": "skipped",
        "report": "skipped",
    }
    assert jobs["training"]["steps"] == []
    assert jobs["training"]["runner_name"] is None


async def test_they_are_skipped_at_once(client: httpx.AsyncClient, world: World, run_id: int) -> None:
    url = f"{BASE}/actions/runs/{run_id}"
    await client.post(f"{url}/rerun")
    world.store.set_job(REPO, run_id, "lint", "in_progress")
    world.store.set_job(REPO, run_id, "lint", "completed", "success")
    world.store.set_job(REPO, run_id, "data-validation", "completed", "cancelled")
    states = {name: job["conclusion"] for name, job in (await _jobs(client, url)).items()}
    assert states == {
        "lint": "success",
        "unit-tests": None,
        "data-validation": "cancelled",
        "training": "skipped",
        "report": "skipped",
    }
    assert (await client.get(url)).json()["status"] == "in_progress"


@pytest.mark.parametrize(
    ("action", "again"),
    [
        ("runs/{run}/rerun", {plan.name for plan in GRAPH}),
        ("runs/{run}/rerun-failed-jobs", {"unit-tests", "training", "report"}),
        ("jobs/{data-validation}/rerun", {"data-validation", "training", "report"}),
        ("jobs/{report}/rerun", {"report"}),
    ],
)
async def test_what_runs_again_is_what_is_asked_for_and_what_needs_it(
    client: httpx.AsyncClient, run_id: int, action: str, again: set[str]
) -> None:
    url = f"{BASE}/actions/runs/{run_id}"
    before = await _jobs(client, url)
    path = action.format_map({"run": run_id} | {name: job["id"] for name, job in before.items()})
    answer = await client.post(f"{BASE}/actions/{path}", json={"enable_debug_logging": True})
    assert answer.status_code == 201
    assert await _again(client, url) == again
    after = await _jobs(client, url)
    assert {job["run_attempt"] for job in after.values()} == {2}
    for name in after.keys() - again:
        assert after[name]["id"] != before[name]["id"]
        for key in ("conclusion", "started_at", "completed_at", "steps", "runner_name"):
            assert after[name][key] == before[name][key]


async def test_earlier_attempts_can_be_read(client: httpx.AsyncClient, run_id: int) -> None:
    url = f"{BASE}/actions/runs/{run_id}"
    before = await _jobs(client, url)
    await client.post(f"{url}/rerun-failed-jobs")
    run = (await client.get(url)).json()
    assert (run["run_attempt"], run["triggering_actor"]["login"], run["actor"]["login"]) == (2, "ada", "bob")
    first = (await client.get(run["previous_attempt_url"])).json()
    assert (first["run_attempt"], first["conclusion"], first["previous_attempt_url"]) == (1, "failure", None)
    assert await _jobs(client, run["previous_attempt_url"]) == before
    every = (await client.get(f"{url}/jobs", params={"filter": "all"})).json()
    assert every["total_count"] == 2 * len(GRAPH)


async def test_what_is_running_too_old_or_had_no_failure_is_not_run_again(
    client: httpx.AsyncClient, world: World, run_id: int
) -> None:
    running = await client.post(f"{BASE}/actions/runs/{world.run_id}/rerun-failed-jobs")
    assert (running.status_code, running.json()["message"]) == (403, "The workflow run is already running")
    url = f"{BASE}/actions/runs/{run_id}"
    await client.post(f"{url}/rerun-failed-jobs")
    for name in ("unit-tests", "training", "report"):
        world.store.set_job(REPO, run_id, name, "completed", "success")
    world.store.complete_run(REPO, run_id, "success")
    nothing = await client.post(f"{url}/rerun-failed-jobs")
    assert (nothing.status_code, nothing.json()["message"]) == (403, "This workflow run cannot be retried")
    await world.clock.advance(timedelta(days=30, seconds=1).total_seconds())
    old = await client.post(f"{url}/rerun")
    assert (old.status_code, old.json()["message"]) == (
        403,
        "Unable to retry this workflow run because it was created over a month ago",
    )
    assert (await client.get(url)).json()["run_attempt"] == 2


async def test_a_run_that_is_over_cannot_be_cancelled(client: httpx.AsyncClient, run_id: int) -> None:
    for verb in ("cancel", "force-cancel"):
        answer = await client.post(f"{BASE}/actions/runs/{run_id}/{verb}")
        assert (answer.status_code, answer.json()["message"]) == (
            409,
            "Cannot cancel a workflow run that is completed.",
        )


@pytest.mark.parametrize("conclusion", ["timed_out", "startup_failure"])
async def test_runs_end_in_every_way(client: httpx.AsyncClient, world: World, conclusion: str) -> None:
    jobs = (JobPlan("train"),) if conclusion == "timed_out" else ()
    number = world.store.start_run(
        REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title="t", actor="bob", jobs=jobs
    )
    for plan in jobs:
        world.store.set_job(REPO, number, plan.name, "in_progress")
        world.store.set_job(REPO, number, plan.name, "completed", conclusion)
    world.store.complete_run(REPO, number, conclusion)
    run = (await client.get(f"{BASE}/actions/runs/{number}")).json()
    assert (run["status"], run["conclusion"]) == ("completed", conclusion)
    assert [job["conclusion"] for job in (await _jobs(client, run["url"])).values()] == [conclusion] * len(jobs)
    listed = (await client.get(f"{BASE}/actions/runs")).json()["workflow_runs"]
    assert (number, conclusion) in [(entry["id"], entry["conclusion"]) for entry in listed]


async def test_a_rejected_deployment_skips_what_needs_it(client: httpx.AsyncClient, world: World) -> None:
    jobs = (JobPlan("deploy", environment="production"), JobPlan("announce", needs=("deploy",)))
    number = world.store.start_run(
        REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title="t", actor="bob", jobs=jobs
    )
    world.store.wait_for_environment(REPO, number, "production")
    await world.clock.advance(60)
    world.store.set_job(REPO, number, "announce", "queued")
    url = f"{BASE}/actions/runs/{number}"
    (waiting,) = (await client.get(f"{url}/pending_deployments")).json()
    assert waiting["wait_timer_started_at"] == (await client.get(url)).json()["created_at"]
    body = {"environment_ids": [waiting["environment"]["id"]], "state": "rejected", "comment": "no"}
    assert (await client.post(f"{url}/pending_deployments", json=body)).status_code == 200
    found = await _jobs(client, url)
    assert {name: job["conclusion"] for name, job in found.items()} == {"deploy": "failure", "announce": "skipped"}
    again = await client.post(f"{url}/pending_deployments", json=body)
    assert (again.status_code, again.json()["message"]) == (422, "No pending deployment requests to approve or reject")


async def test_each_of_several_environments_is_reviewed(client: httpx.AsyncClient, world: World) -> None:
    world.store.add_environment(REPO, "staging", reviewers=["ada"])
    jobs = (JobPlan("a", environment="staging"), JobPlan("b", environment="production"))
    number = world.store.start_run(
        REPO, "cd.yml", branch="main", event="push", head_sha=world.sha, title="t", actor="bob", jobs=jobs
    )
    for name in ("staging", "production"):
        world.store.wait_for_environment(REPO, number, name)
    url = f"{BASE}/actions/runs/{number}"
    waiting = (await client.get(f"{url}/pending_deployments")).json()
    assert [entry["environment"]["name"] for entry in waiting] == ["staging", "production"]
    body = {"state": "approved", "comment": "go"}
    ids = [entry["environment"]["id"] for entry in waiting]
    first = await client.post(f"{url}/pending_deployments", json={**body, "environment_ids": ids[:1]})
    assert [entry["environment"] for entry in first.json()] == ["staging"]
    assert (await client.get(url)).json()["status"] == "waiting"
    assert {name: job["status"] for name, job in (await _jobs(client, url)).items()} == {"a": "queued", "b": "waiting"}
    await client.post(f"{url}/pending_deployments", json={**body, "environment_ids": ids[1:]})
    assert (await client.get(url)).json()["status"] == "queued"
    approvals = (await client.get(f"{url}/approvals")).json()
    assert [entry["environments"][0]["name"] for entry in approvals] == ["staging", "production"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"model": "m", "colour": "red"}, 'Unexpected inputs provided: ["colour"]'),
        ({}, "Required input 'model' not provided"),
        (
            {"model": "m", "environment": "moon"},
            "Provided value 'moon' for input 'environment' not in the list of allowed values",
        ),
    ],
)
async def test_inputs_that_a_workflow_does_not_take_are_refused(
    client: httpx.AsyncClient, world: World, inputs: dict[str, str], message: str
) -> None:
    world.store.add_workflow(REPO, "Retrain", ".github/workflows/retrain.yml", jobs=GRAPH, inputs=INPUTS)
    url = f"{BASE}/actions/workflows/retrain.yml/dispatches"
    answer = await client.post(url, json={"ref": "main", "inputs": inputs})
    assert (answer.status_code, answer.json()["message"]) == (422, message)


async def test_a_dispatch_carries_its_inputs_into_the_runs_name(client: httpx.AsyncClient, world: World) -> None:
    name = "Retrain ${{ inputs.model }} for ${{ github.event.inputs.environment }}"
    path = ".github/workflows/retrain.yml"
    world.store.add_workflow(REPO, "Retrain", path, jobs=GRAPH, inputs=INPUTS, run_name=name)
    body = {"ref": "main", "inputs": {"model": "ranker", "dry-run": True}, "return_run_details": True}
    told = await client.post(f"{BASE}/actions/workflows/retrain.yml/dispatches", json=body)
    run = (await client.get(told.json()["run_url"])).json()
    assert (run["display_title"], run["name"]) == ("Retrain ranker for staging", "Retrain")
    assert world.store.run(REPO, run["id"]).inputs == {"model": "ranker", "environment": "staging", "dry-run": "true"}
