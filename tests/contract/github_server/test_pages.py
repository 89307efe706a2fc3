"""The pages to which `html_url` leads."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from tests.contract.github_server.world import REPO, World
from tests.support.github_schema import Judged

BASE = f"/repos/{REPO}"
HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)> \" ' & \x1b[31m"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "nav", "strong", "a", "bdi", "h1", "h2", "p", "pre"),
    *("table", "tr", "th", "td", "span", "small", "details", "summary"),
}


class Outline(HTMLParser):
    """The elements, attributes, links and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


async def _page(client: httpx.AsyncClient, url: str) -> Outline:
    answer = await client.get(url, headers={"authorization": ""})
    assert answer.status_code == 200, url
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    outline = Outline(answer.text)
    assert outline.tags <= ALLOWED
    assert outline.attributes <= {"lang", "charset", "name", "content", "class", "href"}
    return outline


async def test_addresses_for_people_lead_to_pages(client: httpx.AsyncClient, world: World) -> None:
    run = f"{BASE}/actions/runs/{world.run_id}"
    job = (await client.get(f"{run}/jobs")).json()["jobs"][0]
    for path, said in (
        (BASE, "Bigger embedding"),
        (run, "production-deployment"),
        (f"{BASE}/actions/jobs/{job['id']}", "Train"),
        (f"{BASE}/pulls/{world.pull}", "PR Checklist"),
        (f"{BASE}/commits/{world.sha}", "src/model.py"),
        (f"{BASE}/releases/latest", "first"),
        (f"{BASE}/compare/main...feat/bigger", "1 ahead"),
        (f"{BASE}/contents/.github/workflows/cd.yml", "runs-on: [self-hosted, gpu]"),
        (f"{BASE}/issues/comments/{world.comment_id}", "performance validated"),
    ):
        answer = (await client.get(path)).json()
        url = answer["html_url"]
        assert url.startswith("http://ghes.test:8080/acme/fraud")
        assert said in (await _page(client, url)).text
    for check in (await client.get(f"{BASE}/commits/{world.sha}/check-runs")).json()["check_runs"]:
        assert check["name"] in (await _page(client, check["html_url"])).text


async def test_pages_lead_to_pages(client: httpx.AsyncClient) -> None:
    waiting, seen = [f"/{REPO}"], {f"/{REPO}"}
    while waiting:
        for link in (await _page(client, "http://ghes.test:8080" + waiting.pop())).links:
            assert link.startswith(f"/{REPO}")
            if link not in seen:
                seen.add(link)
                waiting.append(link)
    assert len(seen) > 10


async def test_a_job_shows_its_log(client: httpx.AsyncClient, world: World) -> None:
    world.store.add_log(REPO, world.run_id, "full-training", f"epoch 1 {HOSTILE}")
    job = world.store.run(REPO, world.run_id).latest.jobs[0]
    page = await _page(client, f"http://ghes.test:8080/{REPO}/actions/runs/{world.run_id}/job/{job.id}")
    assert "epoch 1 </title><script>" in page.text
    assert "\x1b" not in page.text


async def test_what_people_write_is_text(client: httpx.AsyncClient, world: World) -> None:
    store = world.store
    number = store.open_pull(
        REPO, title=HOSTILE, body=HOSTILE, author="eve", head_branch="a/<b>", base_branch="main", labels=[HOSTILE],
        files=[HOSTILE],
    )  # fmt: skip
    store.comment(REPO, number, "eve", HOSTILE)
    store.review(REPO, number, "ada", "COMMENTED", HOSTILE)
    sha = store.merge_pull(REPO, number)
    store.set_check(REPO, sha, HOSTILE, "completed", "failure", title=HOSTILE, summary=HOSTILE)
    store.set_status(REPO, sha, HOSTILE, "failure", description=HOSTILE)
    store.add_release(REPO, "v9", name=HOSTILE, body=HOSTILE)
    run = store.start_run(
        REPO, "cd.yml", branch="a/<b>", event="push", head_sha=sha, title=HOSTILE, actor="eve", jobs=()
    )
    check = store.repository(REPO).checks[sha][HOSTILE].id
    for path in ("", f"/pull/{number}", f"/commit/{sha}", "/releases/tag/v9", f"/actions/runs/{run}", f"/runs/{check}"):
        page = await _page(client, f"http://ghes.test:8080/{REPO}{path}")
        assert "<script>alert(1)</script>" in page.text, "as text"
        assert all(re.fullmatch(r"/acme/fraud[\w/.%-]*", link) for link in page.links)


@pytest.mark.parametrize(
    "path", [f"/{REPO}/pull/99", f"/{REPO}/actions/runs/1", "/acme/none", f"/{REPO}/commit/zz", f"/{REPO}/blob/main/x"]
)
async def test_a_page_that_is_not_there_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"http://ghes.test:8080{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not found" in Outline(answer.text).text


@pytest.mark.parametrize(("accept", "kind"), [("text/html,*/*", "text/html"), ("*/*", "application/json")])
async def test_an_address_without_meaning_is_404_in_the_clients_terms(
    client: httpx.AsyncClient, judged: Judged, accept: str, kind: str
) -> None:
    answer = await client.get("http://ghes.test:8080/nowhere", headers={"accept": accept})
    judged.failures.clear()  # no description has it
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, kind)
