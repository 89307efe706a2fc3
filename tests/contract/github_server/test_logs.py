"""Logs over HTTP: the redirect to an address that needs no token, and what is there; annotations beside them."""

import io
import re
import zipfile
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
RUN = BASE + "/actions/runs/{run}"


@pytest.fixture
def job_id(world: World) -> int:
    """The job that is complete."""
    return world.store.run(REPO, world.run_id).latest.jobs[0].id


async def _location(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert (answer.status_code, answer.content) == (302, b"")
    return answer.headers["location"]


async def _read(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Follow a redirect as a stranger would."""
    request = client.build_request("GET", url)
    del request.headers["authorization"]
    return await client.send(request)


async def test_a_log_is_behind_a_redirect_and_needs_no_token(client: httpx.AsyncClient, job_id: int) -> None:
    location = await _location(client, f"{BASE}/actions/jobs/{job_id}/logs")
    parts = urlsplit(location)
    assert (parts.netloc, parts.path.startswith("/repos")) == ("ghes.test:8080", False)
    answer = await _read(client, location)
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z .*\n)+", answer.text)
    assert "##[group]Run Train" in answer.text
    assert (await client.get(f"{BASE}/actions/jobs/{job_id}/logs", follow_redirects=True)).text == answer.text


async def test_only_the_address_that_was_given_opens_the_log(
    client: httpx.AsyncClient, world: World, job_id: int
) -> None:
    location = await _location(client, f"{BASE}/actions/jobs/{job_id}/logs")
    other = await _location(client, RUN.format(run=world.run_id) + "/logs")
    forged = [
        location.partition("?")[0],
        location[:-8] + "AAAAA%3D",
        re.sub(r"se=20\d\d", "se=2099", location),
        f"{location.partition('?')[0]}?{urlsplit(other).query}",
        location.partition("?")[0] + "?se=&sig=%C3%A9",
    ]
    for url in forged:
        assert (await _read(client, url)).status_code == 403, url
    await world.clock.advance(599)
    assert (await _read(client, location)).status_code == 200
    await world.clock.advance(2)
    expired = await _read(client, location)
    assert (expired.status_code, "AuthenticationFailed" in expired.text) == (403, True)


async def test_a_log_grows_while_its_job_runs(client: httpx.AsyncClient, world: World) -> None:
    store = world.store
    job = store.run(REPO, world.run_id).latest.jobs[1]
    url = f"{BASE}/actions/jobs/{job.id}/logs"
    assert (await client.get(url)).status_code == 404
    store.review_deployment(REPO, world.run_id, "production", "approved", "ada")
    assert (await client.get(url)).status_code == 404
    store.set_job(REPO, world.run_id, job.name, "in_progress")
    store.set_step(REPO, world.run_id, job.name, "Run")
    first = (await client.get(url, follow_redirects=True)).text
    await world.clock.advance(3)
    store.add_log(REPO, world.run_id, job.name, "weight 5 %")
    second = (await client.get(url, follow_redirects=True)).text
    assert second.startswith(first)
    assert second.endswith("Z weight 5 %\n")
    store.set_job(REPO, world.run_id, job.name, "completed", "failure", failed_step="Run")
    third = (await client.get(url, follow_redirects=True)).text
    assert third.startswith(second)
    assert "##[error]Process completed with exit code 1." in third


async def test_the_logs_of_a_run_and_of_its_attempts(client: httpx.AsyncClient, world: World) -> None:
    store, url = world.store, RUN.format(run=world.run_id)
    store.complete_run(REPO, world.run_id, "failure")
    first = await client.get(f"{url}/logs", follow_redirects=True)
    assert first.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(first.content)) as found:
        names = found.namelist()
        assert names[:2] == ["0_full-training.txt", "full-training/1_Set up job.txt"]
        assert found.testzip() is None
    store.rerun(REPO, world.run_id)
    assert (await client.get(f"{url}/logs")).status_code == 404, "nothing of the second attempt has begun"
    again = await client.get(f"{url}/attempts/1/logs", follow_redirects=True)
    assert again.content == first.content
    for number in (0, 2, 3):
        assert (await client.get(f"{url}/attempts/{number}/logs")).status_code == 404


async def test_deleted_logs_are_gone(client: httpx.AsyncClient, world: World, job_id: int) -> None:
    url = RUN.format(run=world.run_id)
    assert (await client.delete(f"{url}/logs")).status_code == 403
    world.store.complete_run(REPO, world.run_id, "failure")
    held = [await _location(client, f"{url}/logs"), await _location(client, f"{BASE}/actions/jobs/{job_id}/logs")]
    refused = await client.delete(f"{url}/logs", headers={"authorization": "Bearer reads"})
    assert refused.status_code == 403
    assert (await client.delete(f"{url}/logs")).status_code == 204
    assert (await client.get(f"{url}/logs")).status_code == 404
    assert (await client.get(f"{BASE}/actions/jobs/{job_id}/logs")).status_code == 404
    assert [(await _read(client, address)).status_code for address in held] == [404, 404]
    assert (await client.get(url)).status_code == 200


async def test_annotations_are_counted_and_paged(client: httpx.AsyncClient, world: World) -> None:
    store = world.store
    store.review_deployment(REPO, world.run_id, "production", "approved", "ada")
    store.set_job(REPO, world.run_id, "production-deployment", "in_progress")
    for line in (3, 9):
        store.annotate(
            REPO, world.run_id, "production-deployment", level="warning", message="slow", path="src/a.py", line=line
        )
    job_id = store.set_job(REPO, world.run_id, "production-deployment", "completed", "failure")
    check = (await client.get(f"{BASE}/check-runs/{job_id}")).json()
    assert check["output"]["annotations_count"] == 3
    first = await client.get(check["output"]["annotations_url"], params={"per_page": 2})
    assert 'rel="next"' in first.headers["link"]
    rest = await client.get(first.links["next"]["url"])
    levels = [(entry["annotation_level"], entry["path"], entry["start_line"]) for entry in first.json() + rest.json()]
    assert levels == [("failure", ".github", 1), ("warning", "src/a.py", 3), ("warning", "src/a.py", 9)]
    assert first.json()[0]["message"] == "Process completed with exit code 1."
    unpermitted = await client.get(
        f"{BASE}/check-runs/{job_id}/annotations", headers={"authorization": "Bearer unchecked"}
    )
    assert unpermitted.status_code == 403
    assert (await client.get(f"{BASE}/check-runs/1/annotations")).status_code == 404
    other = next(iter(store.repository(REPO).checks[world.sha].values()))
    assert (await client.get(f"{BASE}/check-runs/{other.id}/annotations")).json() == []


async def test_annotations_come_with_the_checks_of_graphql(client: httpx.AsyncClient, world: World) -> None:
    world.store.annotate(REPO, world.run_id, "full-training", level="notice", message="m", path="a.py", line=4)
    query = """query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) {
      pullRequest(number: $number) { commits(last: 1) { nodes { commit { statusCheckRollup { contexts(first: 1) {
        nodes { ... on CheckRun { name annotations(first: 5) { totalCount pageInfo { hasNextPage } nodes {
          annotationLevel message path title blobUrl rawDetails
          location { start { line column } end { line } } } } } } } } } } } } } }"""
    owner, _, name = REPO.partition("/")
    variables = {"owner": owner, "name": name, "number": world.pull}
    answer = await client.post("http://ghes.test:8080/api/graphql", json={"query": query, "variables": variables})
    commit = answer.json()["data"]["repository"]["pullRequest"]["commits"]["nodes"][0]["commit"]
    (check,) = commit["statusCheckRollup"]["contexts"]["nodes"]
    (annotation,) = check["annotations"]["nodes"]
    assert (annotation["annotationLevel"], annotation["message"], annotation["path"]) == ("NOTICE", "m", "a.py")
    assert annotation["location"] == {"start": {"line": 4, "column": None}, "end": {"line": 4}}
    assert annotation["blobUrl"].endswith(f"/acme/fraud/blob/{world.sha}/a.py")
