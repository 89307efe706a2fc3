"""Artifacts over HTTP, and the end of runs: what is billed, and deletion."""

import hashlib
import io
import zipfile
from datetime import timedelta

import httpx
import pytest

from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
FILES = {"training_diagnostics.json": '{"error": {"type": "MemoryError"}}'}


@pytest.fixture
def artifact_id(world: World) -> int:
    world.store.add_artifact(REPO, world.run_id, "coverage", {"coverage.xml": "<coverage/>"})
    return world.store.add_artifact(REPO, world.run_id, "training_diagnostics", FILES)


async def test_an_artifact_says_what_its_download_is(client: httpx.AsyncClient, world: World, artifact_id: int) -> None:
    found = (await client.get(f"{BASE}/actions/artifacts/{artifact_id}")).json()
    redirect = await client.get(found["archive_download_url"])
    assert redirect.status_code == 302
    answer = await client.get(redirect.headers["location"])
    data = answer.content
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''training_diagnostics.zip"
    assert (found["size_in_bytes"], found["digest"]) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == FILES
    repository = world.store.repository(REPO)
    assert found["workflow_run"] == {
        "id": world.run_id,
        "repository_id": repository.id,
        "head_repository_id": repository.id,
        "head_branch": "feat/bigger",
        "head_sha": world.sha,
    }
    assert (await client.get(f"{BASE}/actions/artifacts/{artifact_id}/tar")).status_code == 404


async def test_artifacts_are_listed_by_run_and_repository(
    client: httpx.AsyncClient, world: World, artifact_id: int
) -> None:
    run = (await client.get(f"{BASE}/actions/runs/{world.run_id}")).json()
    for url in (run["artifacts_url"], f"{BASE}/actions/artifacts"):
        every = (await client.get(url)).json()
        assert [entry["name"] for entry in every["artifacts"]] == ["training_diagnostics", "coverage"]
        named = (await client.get(url, params={"name": "coverage"})).json()
        assert (named["total_count"], named["artifacts"][0]["name"]) == (1, "coverage")
        assert (await client.get(url, params={"name": "none"})).json() == {"total_count": 0, "artifacts": []}
    page = await client.get(run["artifacts_url"], params={"per_page": 1, "direction": "asc"})
    assert (page.json()["total_count"], page.json()["artifacts"][0]["name"]) == (2, "coverage")
    assert 'rel="next"' in page.headers["link"]


async def test_an_expired_artifact_is_known_and_gone(client: httpx.AsyncClient, world: World, artifact_id: int) -> None:
    url = f"{BASE}/actions/artifacts/{artifact_id}"
    assert (await client.get(url)).json()["expired"] is False
    await world.clock.advance(timedelta(days=90).total_seconds())
    assert (await client.get(url)).json()["expired"] is True
    gone = await client.get(f"{url}/zip")
    assert (gone.status_code, gone.json()["message"]) == (410, "Artifact has expired")


async def test_a_deleted_artifact_is_not_found(client: httpx.AsyncClient, world: World, artifact_id: int) -> None:
    url = f"{BASE}/actions/artifacts/{artifact_id}"
    held = (await client.get(f"{url}/zip")).headers["location"]
    assert (await client.delete(url, headers={"authorization": "Bearer reads"})).status_code == 403
    assert (await client.delete(url)).status_code == 204
    assert [(await client.get(path)).status_code for path in (url, f"{url}/zip", held)] == [404, 404, 404]
    assert (await client.delete(url)).status_code == 404


async def test_only_time_on_githubs_runners_is_billed(client: httpx.AsyncClient, world: World) -> None:
    store, url = world.store, f"{BASE}/actions/runs/{world.run_id}"
    store.review_deployment(REPO, world.run_id, "production", "approved", "ada")
    store.set_job(REPO, world.run_id, "production-deployment", "in_progress")
    await world.clock.advance(90)
    job_id = store.set_job(REPO, world.run_id, "production-deployment", "completed", "success")
    store.complete_run(REPO, world.run_id, "success")
    usage = (await client.get(f"{url}/timing")).json()
    billed = {"total_ms": 90_000, "jobs": 1, "job_runs": [{"job_id": job_id, "duration_ms": 90_000}]}
    assert usage == {"billable": {"UBUNTU": billed}, "run_duration_ms": 90_000}


async def test_a_deleted_run_is_not_found(client: httpx.AsyncClient, world: World, artifact_id: int) -> None:
    url = f"{BASE}/actions/runs/{world.run_id}"
    assert (await client.delete(url)).status_code == 403
    job_id = world.store.run(REPO, world.run_id).latest.jobs[0].id
    world.store.complete_run(REPO, world.run_id, "success")
    assert (await client.delete(url)).status_code == 204
    for gone in (url, f"{url}/jobs", f"{BASE}/actions/jobs/{job_id}", f"{BASE}/actions/artifacts/{artifact_id}"):
        assert (await client.get(gone)).status_code == 404
    assert (await client.get(f"{BASE}/actions/runs")).json()["total_count"] == 0
