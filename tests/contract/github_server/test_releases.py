"""Releases, and the notes that GitHub writes for them."""

from typing import Any

import httpx
import pytest

from mlops_tui.demo.github import StoreEvent
from tests.contract.github_server.world import REPO, World

BASE = f"/repos/{REPO}"
CATEGORIES = """
changelog:
  exclude:
    labels: [ignore]
    authors: [dependabot]
  categories:
    - title: Models 🎯
      labels: [model]
      exclude:
        labels: [internal]
    - title: Everything else
      labels: ["*"]
"""


def _merge(world: World, title: str, author: str, *labels: str) -> int:
    number = world.store.open_pull(
        REPO, title=title, body="", author=author, head_branch=title, base_branch="main", labels=labels
    )
    world.store.merge_pull(REPO, number)
    return number


async def test_a_release_is_made_edited_and_deleted(client: httpx.AsyncClient, world: World) -> None:
    heard: list[StoreEvent] = []
    world.store.subscribe(heard.append)
    made = await client.post(
        f"{BASE}/releases", json={"tag_name": "v2", "name": "Two", "body": "b", "prerelease": True}
    )
    assert (made.status_code, made.headers["location"]) == (201, made.json()["url"])
    assert made.json()["author"]["login"] == "ada"
    assert (await client.get(f"{BASE}/git/ref/tags/v2")).status_code == 200
    assert (await client.get(f"{BASE}/releases/latest")).json()["tag_name"] == "v1.4.0"
    edited = await client.patch(made.json()["url"], json={"body": "better", "prerelease": False})
    assert (edited.json()["body"], edited.json()["name"]) == ("better", "Two")
    assert (await client.get(made.json()["url"])).json() == edited.json()
    assert (await client.delete(made.json()["url"])).status_code == 204
    assert (await client.get(made.json()["url"])).status_code == 404
    assert (await client.get(f"{BASE}/git/ref/tags/v2")).status_code == 200, "the tag stays"
    assert [event.detail for event in heard] == ["published", "edited", "deleted"]


async def test_a_draft_is_tagged_when_it_is_published(client: httpx.AsyncClient) -> None:
    draft = (await client.post(f"{BASE}/releases", json={"tag_name": "v2", "draft": True})).json()
    assert (draft["published_at"], draft["draft"]) == (None, True)
    readers = {"authorization": "Bearer reads"}
    assert [r["tag_name"] for r in (await client.get(f"{BASE}/releases", headers=readers)).json()] == ["v1.4.0"]
    assert (await client.get(draft["url"], headers=readers)).status_code == 404
    assert (await client.get(f"{BASE}/releases/tags/v2")).status_code == 404
    published = (await client.patch(draft["url"], json={"draft": False})).json()
    assert published["published_at"] is not None
    assert (await client.get(f"{BASE}/releases/tags/v2")).json()["id"] == draft["id"]
    assert (await client.get(f"{BASE}/git/ref/tags/v2")).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "tag_name", "missing_field"),
        ({"tag_name": ""}, "tag_name", "missing_field"),
        ({"tag_name": "v1.4.0"}, "tag_name", "already_exists"),
        ({"tag_name": "no good"}, "tag_name", "custom"),
        ({"tag_name": "v2", "target_commitish": "nowhere"}, "target_commitish", "invalid"),
        ({"tag_name": "v2", "body": 7}, "body", "invalid"),
        ({"tag_name": "v2", "draft": "yes"}, "draft", "invalid"),
    ],
)
async def test_a_release_that_cannot_be_is_422_with_errors(
    client: httpx.AsyncClient, world: World, body: dict[str, Any], field: str, code: str
) -> None:
    answer = await client.post(f"{BASE}/releases", json=body)
    assert (answer.status_code, answer.json()["message"]) == (422, "Validation Failed")
    (error,) = answer.json()["errors"]
    assert (error["resource"], error["field"], error["code"]) == ("Release", field, code)
    assert len(world.store.repository(REPO).releases) == 1


async def test_notes_name_what_was_merged_and_who_is_new(client: httpx.AsyncClient, world: World) -> None:
    numbers = [_merge(world, title, author) for title, author in (("Tune", "bob"), ("Speed", "kim"))]
    notes = await client.post(f"{BASE}/releases/generate-notes", json={"tag_name": "v1.5.0"})
    page = f"http://ghes.test:8080/{REPO}"
    assert notes.json() == {
        "name": "v1.5.0",
        "body": f"""## What's Changed
* Tune by @bob in {page}/pull/{numbers[0]}
* Speed by @kim in {page}/pull/{numbers[1]}

## New Contributors
* @bob made their first contribution in {page}/pull/{numbers[0]}
* @kim made their first contribution in {page}/pull/{numbers[1]}

**Full Changelog**: {page}/compare/v1.4.0...v1.5.0""",
    }


async def test_notes_follow_the_repositorys_categories(client: httpx.AsyncClient, world: World) -> None:
    _merge(world, "Earlier", "bob")
    world.store.add_release(REPO, "v1.5.0")
    world.store.put_file(REPO, ".github/release.yml", CATEGORIES)
    for title, author, label in (
        ("Noise", "bob", "ignore"),
        ("Bump", "dependabot[bot]", "model"),
        ("Deeper", "bob", "model"),
        ("Wider", "bob", "internal"),
    ):
        _merge(world, title, author, label, "model") if label == "internal" else _merge(world, title, author, label)
    body = (await client.post(f"{BASE}/releases/generate-notes", json={"tag_name": "v1.6.0"})).json()["body"]
    told = [line.partition(" in http")[0] for line in body.splitlines()]
    assert told[0].startswith("<!-- Release notes generated using configuration in .github/release.yml at ")
    assert told[2:7] == [
        "## What's Changed",
        "### Models 🎯",
        "* Deeper by @bob",
        "### Everything else",
        "* Wider by @bob",
    ]
    assert told[-1].endswith("compare/v1.5.0...v1.6.0")
    whole = await client.post(
        f"{BASE}/releases/generate-notes", json={"tag_name": "v1.5.0", "previous_tag_name": "v1.4.0"}
    )
    assert "* Earlier by @bob" in whole.json()["body"]
    made = await client.post(f"{BASE}/releases", json={"tag_name": "v1.6.0", "generate_release_notes": True})
    assert made.json()["body"] == body
    wrong = await client.post(f"{BASE}/releases/generate-notes", json={"tag_name": "v2", "previous_tag_name": "v0"})
    assert (wrong.status_code, wrong.json()["message"]) == (422, "Invalid previous_tag parameter")
