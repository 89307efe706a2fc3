"""REST: how commits compare, files and folders, and the git objects and references behind them."""

from typing import Final

from mlops_tui.demo.github.contents import blob_sha, compare, tree_sha
from mlops_tui.demo.github.http import ApiError, Call, Reply, json_reply, list_reply, page_of
from mlops_tui.demo.github.model import Commit
from mlops_tui.demo.github.payloads import Payload
from mlops_tui.demo.github.payloads_tree import VERIFICATION
from mlops_tui.demo.github.world import NotFoundError

COMPARED_COMMITS: Final = 250
COMPARED_FILES: Final = 300
"""Commits that a comparison lists where no page is asked for, and files, as on github.com."""
LARGEST_FILE: Final = 1_000_000
"""Bytes up to which a file's text is part of the answer in JSON."""
_RAW: Final = ("application/vnd.github.raw", "application/vnd.github.v3.raw")


def comparison(call: Call) -> Reply:
    basehead = call.params["basehead"]
    base_name, dots, head_name = basehead.partition("...")
    if not (base_name and dots and head_name):
        raise NotFoundError(f"not two refs: {basehead}")
    base, head = _end(call, base_name), _end(call, head_name)
    try:
        found = compare(call.repository, base, head)
    except NotFoundError:
        raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.") from None
    paged = "page" in call.query or "per_page" in call.query
    page = page_of(call, len(found.ahead))
    commits = found.ahead[page.start : page.stop] if paged else found.ahead[-COMPARED_COMMITS:]
    payload = call.payloads.comparison(call.repository, basehead, found, commits, head)
    if not paged or page.start == 0:
        files = found.files[:COMPARED_FILES]
        payload["files"] = [call.payloads.changed_file(call.repository, head.sha, file) for file in files]
    return json_reply(payload, headers=page.headers if paged else {})


def contents(call: Call) -> Reply:
    path = call.params.get("path", "").strip("/")
    ref = call.query.get("ref") or call.repository.default_branch
    try:
        call.store.resolve(call.repo, ref)
    except NotFoundError:
        raise ApiError(404, f"No commit found for the ref {ref[:100]}") from None
    paths = call.store.file_paths(call.repo, ref)
    if path in paths:
        return _file(call, ref, path)
    inside = [name for name in paths if not path or name.startswith(f"{path}/")]
    if not inside:
        raise NotFoundError(f"nothing at {path}")
    return json_reply(_folder(call, ref, path, inside))


def blob(call: Call) -> Reply:
    wanted = call.params["file_sha"]
    for ref in (call.repository.default_branch, *call.repository.branches):
        for path in call.store.file_paths(call.repo, ref):
            text = call.store.file_text(call.repo, path, ref)
            if blob_sha(text) == wanted:
                return json_reply(call.payloads.blob(call.repository, text))
    raise NotFoundError(f"no blob {wanted}")


def tree(call: Call) -> Reply:
    name, repo = call.params["tree_sha"], call.repository
    commit = next((entry for entry in repo.commits.values() if entry.tree == name), None)
    commit = commit or call.store.resolve(call.repo, name)
    paths = call.store.file_paths(call.repo, commit.sha)
    url = f"{call.payloads.repository_url(repo)}/git"
    folders = {path.rpartition("/")[0] for path in paths if "/" in path}
    folders |= {folder[:place] for folder in folders for place, sign in enumerate(folder) if sign == "/"}
    entries: list[Payload] = []
    for path in sorted({*paths, *folders}):
        if "/" in path and "recursive" not in call.query:
            continue
        if path in folders:
            sha = tree_sha([inner for inner in paths if inner.startswith(f"{path}/")])
            entries.append({"path": path, "mode": "040000", "type": "tree", "sha": sha, "url": f"{url}/trees/{sha}"})
        else:
            text = call.store.file_text(call.repo, path, commit.sha)
            sha, size = blob_sha(text), len(text.encode())
            entries.append(
                {"path": path, "mode": "100644", "type": "blob", "sha": sha, "size": size, "url": f"{url}/blobs/{sha}"}
            )
    return json_reply(
        {"sha": commit.tree, "url": f"{url}/trees/{commit.tree}", "tree": entries, "truncated": False}
    )  # fmt: skip


def git_commit(call: Call) -> Reply:
    found = call.repository.commits.get(call.params["commit_sha"])
    if found is None:
        raise NotFoundError("no such commit")
    git = f"{call.payloads.repository_url(call.repository)}/git/commits"
    whole = call.payloads.commit(found)
    inner = whole["commit"]
    return json_reply(
        {key: whole[key] for key in ("sha", "node_id", "html_url")}
        | {key: inner[key] for key in ("message", "author", "committer", "tree", "url")}
        | {
            "verification": VERIFICATION,
            "parents": [parent | {"url": f"{git}/{parent['sha']}"} for parent in whole["parents"]],
        }
    )


def reference(call: Call) -> Reply:
    found = {payload["ref"]: payload for payload in _references(call)}
    name = f"refs/{call.params['ref']}"
    if name not in found:
        raise NotFoundError(f"no {name}")
    return json_reply(found[name])


def matching_references(call: Call) -> Reply:
    start = f"refs/{call.params['ref']}"
    return list_reply(call, [payload for payload in _references(call) if payload["ref"].startswith(start)])


def annotated_tag(call: Call) -> Reply:
    for tag in call.repository.annotated_tags.values():
        if tag.sha == call.params["tag_sha"]:
            return json_reply(call.payloads.annotated_tag(call.repository, tag))
    raise NotFoundError("no such tag object")


def _references(call: Call) -> list[Payload]:
    repo, render = call.repository, call.payloads.reference
    found = [render(repo, f"refs/heads/{name}", sha) for name, sha in repo.branches.items()]
    for name, sha in repo.tags.items():
        tag = repo.annotated_tags.get(name)
        found.append(render(repo, f"refs/tags/{name}", tag.sha if tag else sha, "tag" if tag else "commit"))
    return sorted(found, key=lambda payload: str(payload["ref"]))


def _end(call: Call, name: str) -> Commit:
    """Return the commit at one end of a comparison, whose ref may name the owner before a colon."""
    owner, colon, ref = name.rpartition(":")
    if colon and owner.lower() != call.repository.owner.login.lower():
        raise NotFoundError(f"no fork of {owner}")
    return call.store.resolve(call.repo, ref)


def _file(call: Call, ref: str, path: str) -> Reply:
    text = call.store.file_text(call.repo, path, ref)
    if any(kind in call.accept for kind in _RAW):
        data = text.encode()
        return Reply(data, digest=bytes.fromhex(blob_sha(text)), headers={"content-type": f"{_RAW[0]}; charset=utf-8"})
    payload = call.payloads.content(call.repository, ref, path, text, whole=True)
    if payload["size"] > LARGEST_FILE:
        payload |= {"content": "", "encoding": "none"}
    return json_reply(payload)


def _folder(call: Call, ref: str, path: str, inside: list[str]) -> list[Payload]:
    before = f"{path}/" if path else ""
    entries: dict[str, Payload] = {}
    for name in inside:
        own, slash, _ = name.removeprefix(before).partition("/")
        if slash:
            folder = before + own
            held = [other for other in inside if other.startswith(f"{folder}/")]
            entries[own] = entries.get(own) or call.payloads.folder(call.repository, ref, folder, held)
        else:
            text = call.store.file_text(call.repo, name, ref)
            entries[own] = call.payloads.content(call.repository, ref, name, text, whole=False)
    return [entries[own] for own in sorted(entries)]
