"""What a repository holds: commits, how they compare, files and git's own objects."""

import base64
import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest
import yaml

from mlops_tui.demo.github import ChangedFile
from tests.contract.github_server.world import REPO, World
from tests.support.github_schema import Judged

BASE = f"/repos/{REPO}"


def _shas(commits: list[dict[str, Any]]) -> list[str]:
    return [commit["sha"] for commit in commits]


async def test_a_merged_pull_request_leaves_its_files_on_the_commit(client: httpx.AsyncClient, world: World) -> None:
    sha = world.store.merge_pull(REPO, world.pull)
    commit = (await client.get(f"{BASE}/commits/{sha[:8]}")).json()
    assert commit["sha"] == sha
    assert [file["filename"] for file in commit["files"]] == ["src/model.py", "data/train.dvc"]
    assert commit["stats"] == {"total": 2, "additions": 2, "deletions": 0}


@pytest.mark.parametrize("ref", ["0000000", "nowhere", "f" * 40])
async def test_no_commit_is_422(client: httpx.AsyncClient, ref: str) -> None:
    answer = await client.get(f"{BASE}/commits/{ref}")
    assert (answer.status_code, answer.json()["message"]) == (422, f"No commit found for SHA: {ref}")


async def test_a_short_sha_of_two_commits_is_no_commit(client: httpx.AsyncClient, world: World) -> None:
    for end in ("0", "1"):
        world.store.add_commit(REPO, "abcdef0" + end * 33, "twin", "ada")
    assert (await client.get(f"{BASE}/commits/abcdef0")).status_code == 422
    assert (await client.get(f"{BASE}/commits/abcdef00")).json()["sha"] == "abcdef0" + "0" * 33


async def test_commits_are_filtered(client: httpx.AsyncClient, world: World) -> None:
    start = world.store.resolve(REPO, "main").sha
    await world.clock.advance(3600)
    model = world.store.add_commit(REPO, None, "Tune", "bob", files=[ChangedFile("src/model/train.py")])
    noon = world.store.clock.now()
    await world.clock.advance(3600)
    data = world.store.add_commit(REPO, None, "Data", "ada", files=[ChangedFile("data/train.dvc")])

    async def found(query: str) -> list[str]:
        return _shas((await client.get(f"{BASE}/commits?{query}")).json())

    assert await found("") == [data, model, start]
    assert await found("author=bob") == [model]
    assert await found("path=src/model") == [model]
    assert await found("path=data/train.dvc") == [data]
    assert await found(f"since={(noon + timedelta(seconds=1)).strftime('%Y-%m-%dT%H:%M:%SZ')}") == [data]
    assert await found(f"until={noon.strftime('%Y-%m-%dT%H:%M:%SZ')}") == [model, start]
    assert await found(f"sha={model}&per_page=1&page=2") == [start]
    assert (await client.get(f"{BASE}/commits?sha=nowhere")).status_code == 404


async def test_two_branches_compare_as_in_git(client: httpx.AsyncClient, world: World) -> None:
    base = world.store.resolve(REPO, "main").sha
    side = world.store.push(REPO, world.pull, message="More", files=["src/model.py", "docs/model.md"])
    await world.clock.advance(60)
    onward = world.store.add_commit(REPO, None, "Fix", "ada", files=[ChangedFile("README.md", status="added")])
    world.store.add_tag(REPO, "v2", onward)

    async def compared(span: str) -> dict[str, Any]:
        answer = await client.get(f"{BASE}/compare/{span}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    diverged = await compared("main...feat/bigger")
    assert (diverged["status"], diverged["ahead_by"], diverged["behind_by"]) == ("diverged", 2, 1)
    assert diverged["merge_base_commit"]["sha"] == base
    assert _shas(diverged["commits"]) == [world.sha, side]
    files = {file["filename"]: file["additions"] for file in diverged["files"]}
    assert files == {"data/train.dvc": 1, "docs/model.md": 1, "src/model.py": 1}
    ahead = await compared(f"{base[:7]}...v2")
    assert (ahead["status"], _shas(ahead["commits"])) == ("ahead", [onward])
    assert (await compared(f"v2...acme:{base}"))["status"] == "behind"
    assert (await compared("v2...main"))["status"] == "identical"
    second = await client.get(f"{BASE}/compare/main...feat/bigger?per_page=1&page=2")
    assert _shas(second.json()["commits"]) == [side]
    assert "files" not in second.json()
    assert second.links["prev"]["url"].endswith("per_page=1&page=1")


@pytest.mark.parametrize("span", ["main...nowhere", "nowhere...main", "main", "other:main...main", "main..."])
async def test_what_cannot_be_compared_is_not_found(client: httpx.AsyncClient, span: str) -> None:
    assert (await client.get(f"{BASE}/compare/{span}")).status_code == 404


async def test_files_and_folders_are_read(client: httpx.AsyncClient, world: World) -> None:
    world.store.put_file(REPO, "docs/naïve #1.md", "été\n")
    world.store.put_file(REPO, "docs/deep/a.txt", "a")
    file = (await client.get(f"{BASE}/contents/docs/naïve%20%231.md")).json()
    assert base64.b64decode(file["content"]).decode() == "été\n"
    assert file["size"] == len("été\n".encode())
    raw = await client.get(file["url"], headers={"accept": "application/vnd.github.raw+json"})
    assert raw.text == "été\n"
    assert raw.headers["content-type"].startswith("application/vnd.github.raw")
    unchanged = {"accept": "application/vnd.github.raw+json", "if-none-match": raw.headers["etag"]}
    assert (await client.get(file["url"], headers=unchanged)).status_code == 304
    blob = (await client.get(file["git_url"])).json()
    assert (blob["sha"], blob["content"]) == (file["sha"], file["content"])
    listing = (await client.get(f"{BASE}/contents/docs")).json()
    assert [(entry["name"], entry["type"]) for entry in listing] == [("deep", "dir"), ("naïve #1.md", "file")]
    assert [entry["name"] for entry in (await client.get(listing[0]["url"])).json()] == ["a.txt"]
    root = (await client.get(f"{BASE}/contents/")).json()
    assert {".github", "docs"} <= {entry["name"] for entry in root}
    assert (await client.get(f"{BASE}/contents/docs/none.md")).status_code == 404
    assert "ref" in (await client.get(f"{BASE}/contents/docs?ref=nowhere")).json()["message"]


async def test_a_file_is_what_it_was_at_its_commit(client: httpx.AsyncClient, world: World) -> None:
    world.store.put_file(REPO, "params.yaml", "epochs: 5\n")
    old = world.store.add_commit(REPO, None, "Five", "ada")
    await world.clock.advance(60)
    world.store.put_file(REPO, "params.yaml", "epochs: 9\n")
    world.store.put_file(REPO, "draft.md", "not yet", ref="feat/bigger")
    world.store.add_commit(REPO, None, "Nine", "ada")

    async def text(path: str, ref: str) -> str:
        answer = await client.get(f"{BASE}/contents/{path}?ref={ref}", headers={"accept": "application/vnd.github.raw"})
        return answer.text if answer.status_code == 200 else str(answer.status_code)

    assert [await text("params.yaml", ref) for ref in ("main", old)] == ["epochs: 9\n", "epochs: 5\n"]
    assert [await text("draft.md", ref) for ref in ("main", "feat/bigger", world.sha)] == ["404", "not yet", "not yet"]


async def test_changed_files_lead_to_their_text(client: httpx.AsyncClient, world: World) -> None:
    files = (await client.get(f"{BASE}/pulls/{world.pull}/files")).json()
    for file in files:
        answer = await client.get(file["contents_url"], headers={"accept": "application/vnd.github.raw"})
        assert answer.text == "change\n"


async def test_a_workflow_has_a_file(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        f"{BASE}/contents/.github/workflows/cd.yml", headers={"accept": "application/vnd.github.raw"}
    )
    text = yaml.load(answer.text, yaml.BaseLoader)
    assert (text["name"], "workflow_dispatch" in text["on"]) == ("ML CD Pipeline", True)
    assert text["jobs"]["full-training"] == {
        "runs-on": ["self-hosted", "gpu"],
        "steps": [{"uses": "actions/checkout@v4"}, {"name": "Train", "run": "make train"}],
    }
    assert text["jobs"]["production-deployment"]["environment"] == "production"


async def test_gits_own_objects(client: httpx.AsyncClient, world: World) -> None:
    world.store.add_tag(REPO, "v2", message="Second", tagger="ada")
    main = (await client.get(f"{BASE}/git/ref/heads/main")).json()["object"]
    assert main["type"] == "commit"
    commit = (await client.get(main["url"])).json()
    assert commit["message"] == "Initial commit"
    tag = (await client.get(f"{BASE}/git/ref/tags/v2")).json()["object"]
    assert tag["type"] == "tag"
    annotated = (await client.get(tag["url"])).json()
    assert (annotated["message"], annotated["object"]["sha"]) == ("Second", main["sha"])
    refs = (await client.get(f"{BASE}/git/matching-refs/tags/v")).json()
    assert [ref["ref"] for ref in refs] == ["refs/tags/v1.4.0", "refs/tags/v2"]
    tree = (await client.get(f"{commit['tree']['url']}?recursive=1")).json()["tree"]
    assert [(entry["path"], entry["type"]) for entry in tree] == [
        (".github", "tree"),
        (".github/workflows", "tree"),
        (".github/workflows/cd.yml", "blob"),
    ]
    assert (await client.get(tree[-1]["url"])).json()["size"] == tree[-1]["size"]
    for missing in ("git/ref/tags/v9", f"git/tags/{main['sha']}", f"git/blobs/{main['sha']}", "git/commits/0"):
        assert (await client.get(f"{BASE}/{missing}")).status_code == 404


async def test_pull_requests_are_opened_from_branches(client: httpx.AsyncClient, world: World) -> None:
    made = world.store.add_commit(
        REPO, None, "Try", "ada", branch="try", files=[ChangedFile("src/try.py", status="added")]
    )
    body = {"title": "Try it", "head": "acme:try", "base": "main", "body": "why not"}
    opened = await client.post(f"{BASE}/pulls", json=body)
    assert (opened.status_code, opened.json()["head"]["sha"], opened.json()["changed_files"]) == (201, made, 1)
    again = await client.post(f"{BASE}/pulls", json=body)
    assert again.json()["errors"][0]["message"] == "A pull request already exists for acme:try."
    same = await client.post(f"{BASE}/pulls", json=body | {"head": "main"})
    assert same.json()["errors"][0]["message"] == "No commits between main and main"
    missing = await client.post(f"{BASE}/pulls", json=body | {"base": "nowhere"})
    assert missing.json()["errors"] == [{"resource": "PullRequest", "field": "base", "code": "invalid"}]
    assert world.store.open_pull(
        REPO, title="t", body="", author="ada", head_branch="x", base_branch="main", number=77
    ) == 77  # fmt: skip


async def test_a_review_is_begun_submitted_and_dismissed(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/pulls/{world.pull}/reviews"
    begun = (await client.post(url, json={"body": "thinking"})).json()
    assert (begun["state"], "submitted_at" in begun) == ("PENDING", False)
    assert (await client.post(url, json={})).status_code == 422, "one at a time"
    others = (await client.get(url, headers={"authorization": "Bearer bob"})).json()
    assert begun["id"] not in [review["id"] for review in others]
    hidden = await client.get(f"{url}/{begun['id']}", headers={"authorization": "Bearer bob"})
    assert hidden.status_code == 404
    sent = await client.post(f"{url}/{begun['id']}/events", json={"event": "REQUEST_CHANGES"})
    assert (sent.json()["state"], sent.json()["body"]) == ("CHANGES_REQUESTED", "thinking")
    assert world.store.pull(REPO, world.pull).review_decision == "CHANGES_REQUESTED"
    assert (await client.put(f"{url}/{begun['id']}", json={"body": "sure"})).json()["body"] == "sure"
    dismissed = await client.put(f"{url}/{begun['id']}/dismissals", json={"message": "settled"})
    assert dismissed.json()["state"] == "DISMISSED"
    twice = await client.put(f"{url}/{begun['id']}/dismissals", json={"message": "settled"})
    assert (twice.status_code, twice.json()["errors"]) == (422, ["Can not dismiss a dismissed pull request review"])
    assert (await client.delete(f"{url}/{begun['id']}")).status_code == 422
    draft = (await client.post(url, json={})).json()
    assert (await client.delete(f"{url}/{draft['id']}")).status_code == 200


async def test_reviewers_are_asked_and_let_go(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/pulls/{world.pull}/requested_reviewers"
    asked = await client.post(url, json={"reviewers": ["kim"]})
    assert [user["login"] for user in asked.json()["requested_reviewers"]] == ["eve", "kim"]
    own = await client.post(url, json={"reviewers": ["bob"]})
    assert (own.status_code, own.json()["message"]) == (422, "Review cannot be requested from pull request author.")
    await client.request("DELETE", url, json={"reviewers": ["eve"]})
    assert [user["login"] for user in (await client.get(url)).json()["users"]] == ["kim"]


async def test_remarks_are_edited_and_deleted(client: httpx.AsyncClient, world: World) -> None:
    line = {"body": "why?", "path": "src/model.py", "line": 4, "commit_id": world.sha}
    posted = await client.post(f"{BASE}/pulls/{world.pull}/comments", json=line)
    assert posted.status_code == 201
    edited = await client.patch(posted.json()["url"], json={"body": "ah"})
    assert edited.json()["body"] == "ah"
    assert (await client.delete(posted.json()["url"])).status_code == 204
    assert (await client.get(posted.json()["url"])).status_code == 404
    wrong = await client.post(f"{BASE}/pulls/{world.pull}/comments", json=line | {"path": "none.py"})
    assert wrong.json()["errors"][0]["field"] == "pull_request_review_thread.path"
    comment = f"{BASE}/issues/comments/{world.comment_id}"
    assert (await client.delete(comment)).status_code == 204
    assert (await client.get(comment)).status_code == 404
    assert (await client.get(f"{BASE}/issues/{world.pull}/comments")).json() == []


async def test_a_pull_request_is_an_issue_too(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/issues/{world.pull}"
    assert (await client.get(url)).json()["pull_request"]["url"].endswith(f"/pulls/{world.pull}")
    patched = (await client.patch(url, json={"labels": ["a", "b"], "state": "closed", "body": None})).json()
    assert ([label["name"] for label in patched["labels"]], patched["state"], patched["body"]) == (
        ["a", "b"], "closed", None,
    )  # fmt: skip
    assert [label["name"] for label in (await client.put(f"{url}/labels", json={"labels": ["c"]})).json()] == ["c"]
    assert (await client.delete(f"{url}/labels/c")).json() == []
    assert (await client.delete(f"{url}/labels/c")).status_code == 404


async def test_a_protected_branch_takes_no_unreviewed_change(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/pulls/{world.pull}"
    review = (await client.get(f"{url}/reviews")).json()[0]
    await client.put(f"{url}/reviews/{review['id']}/dismissals", json={"message": "too early"})
    refused = await client.put(f"{url}/merge", json={})
    assert (refused.status_code, "approving review is required" in refused.json()["message"]) == (405, True)
    await client.post(f"{url}/reviews", json={"event": "APPROVE"})
    assert (await client.get(f"{url}/merge")).status_code == 404
    squashed = await client.put(f"{url}/merge", json={"merge_method": "squash"})
    assert (await client.get(f"{url}/merge")).status_code == 204
    commit = (await client.get(f"{BASE}/commits/{squashed.json()['sha']}")).json()
    assert (commit["commit"]["message"], len(commit["parents"])) == (f"Bigger embedding (#{world.pull})", 1)


async def test_a_branch_is_brought_up_to_date(client: httpx.AsyncClient, world: World) -> None:
    url = f"{BASE}/pulls/{world.pull}/update-branch"
    assert (await client.put(url)).json()["message"] == "There are no new commits on the base branch."
    main = world.store.add_commit(REPO, None, "Fix", "ada")
    assert (await client.put(url, json={"expected_head_sha": main})).status_code == 422
    assert (await client.put(url)).status_code == 202
    head = (await client.get(f"{BASE}/commits/feat/bigger")).json()
    assert _shas(head["parents"]) == [world.sha, main]


@pytest.mark.parametrize("query", ["state=ajar", "sort=size", "direction=up"])
async def test_filters_that_make_no_sense_are_422(client: httpx.AsyncClient, query: str, judged: Judged) -> None:
    answer = await client.get(f"{BASE}/pulls?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])
    assert ["parameter" in failure for failure in judged.failures] == [True], "GitHub describes no such value, either"
    judged.failures.clear()


def test_the_client_library_reads_and_writes_all_of_it(served: str, world: World) -> None:
    import github

    # Importing the library puts a handler on stderr.
    logging.getLogger("github.Requester").handlers.clear()
    client = github.Github(auth=github.Auth.Token("full"), base_url=served, retry=None, timeout=5,
                           seconds_between_requests=0, seconds_between_writes=0)  # fmt: skip
    with client:
        repo = client.get_repo(REPO)
        assert repo.compare("main", "feat/bigger").ahead_by == 1
        file = repo.get_contents(".github/workflows/cd.yml")
        assert not isinstance(file, list)
        assert file.decoded_content.startswith(b"name: ML CD Pipeline\n")
        release = repo.create_git_release("v2", "Two", "b", draft=False)
        assert release.update_release("Two", "better").body == "better"
        assert repo.get_git_ref("tags/v2").object.sha == repo.get_branch("main").commit.sha
        release.delete_release()
        deployment = repo.create_deployment("main", environment="staging", required_contexts=[])
        deployment.create_status("success", environment_url=f"{served}/{REPO}")
        assert [status.state for status in deployment.get_statuses()] == ["success"]
        pull = repo.get_pull(world.pull)
        review = pull.create_review(body="hm", event="REQUEST_CHANGES")
        review.dismiss("fine")
        pull.create_review_request(reviewers=["kim"])
        pull.create_review(event="APPROVE")
        assert pull.as_issue().comments == 1
        assert pull.merge(merge_method="squash").merged
        assert [file.filename for file in repo.get_commit(pull.head.sha).files] == ["src/model.py", "data/train.dvc"]
        assert client.get_rate_limit().rate.remaining < 5000
