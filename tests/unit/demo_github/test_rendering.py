"""Rendering costs what changed, not what is there."""

import httpx
import pytest

from mlops_tui.demo.github import GitHubStore, JobPlan, Token, create_app
from mlops_tui.demo.github.model import Attempt, Pull, Run
from mlops_tui.demo.github.payloads import Payload
from mlops_tui.demo.github.payloads_work import Payloads
from tests.support.clock import ManualClock

REPO = "acme/vision"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the runs and pull requests that were rendered."""
    ids: list[int] = []
    run, pull = Payloads.run, Payloads.pull

    def counted_run(self: Payloads, record: Run, attempt: Attempt, *, with_pulls: bool = True) -> Payload:
        ids.append(record.id)
        return run(self, record, attempt, with_pulls=with_pulls)

    def counted_pull(self: Payloads, record: Pull) -> Payload:
        ids.append(record.id)
        return pull(self, record)

    monkeypatch.setattr(Payloads, "run", counted_run)
    monkeypatch.setattr(Payloads, "pull", counted_pull)
    return ids


@pytest.fixture
def store() -> GitHubStore:
    """5,000 runs and 500 pull requests."""
    store = GitHubStore(ManualClock())
    store.tokens["t"] = Token("ada")
    store.add_repository(REPO)
    store.add_workflow(REPO, "CI", ".github/workflows/ci.yml")
    for number in range(500):
        pull = store.open_pull(
            REPO, title=f"{number}", body="", author="bob", head_branch=f"b{number}", base_branch="main", files=["a"]
        )
        for _ in range(10):
            store.start_run(
                REPO,
                "CI",
                branch=f"b{number}",
                event="pull_request",
                head_sha=store.pull(REPO, pull).head_sha,
                title=f"{number}",
                actor="bob",
                jobs=[JobPlan("lint")],
                pull_numbers=[pull],
            )
    return store


async def test_a_page_renders_its_own_records_once_and_then_what_changed(
    store: GitHubStore, rendered: list[int]
) -> None:
    transport = httpx.ASGITransport(create_app(store))
    headers = {"authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h", headers=headers) as client:
        runs, pulls = f"/repos/{REPO}/actions/runs?per_page=100", f"/repos/{REPO}/pulls?per_page=100"
        first = await client.get(runs)
        assert (first.json()["total_count"], len(rendered)) == (5000, 100)
        await client.get(pulls)
        assert len(rendered) == 200
        rendered.clear()
        unchanged = await client.get(runs, headers={"if-none-match": first.headers["etag"]})
        await client.get(pulls)
        assert (unchanged.status_code, rendered) == (304, [])

        newest = store.repository(REPO).timeline[-1]
        store.set_job(REPO, newest.id, "lint", "in_progress")
        changed = await client.get(runs, headers={"if-none-match": first.headers["etag"]})
        assert (changed.status_code, rendered) == (200, [newest.id])
        assert changed.json()["workflow_runs"][0]["status"] == "in_progress"


async def test_a_run_changes_with_its_pull_request(store: GitHubStore) -> None:
    transport = httpx.ASGITransport(create_app(store))
    headers = {"authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h", headers=headers) as client:
        newest = store.repository(REPO).timeline[-1]
        url = f"/repos/{REPO}/actions/runs/{newest.id}"
        assert [pull["number"] for pull in (await client.get(url)).json()["pull_requests"]] == [500]
        store.merge_pull(REPO, 500)
        assert (await client.get(url)).json()["pull_requests"] == []
