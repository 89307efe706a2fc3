"""GitHub's REST payloads of files, comparisons, references, releases and deployments."""

import base64
from typing import Any
from urllib.parse import quote

from mlops_tui.demo.github.contents import Comparison, blob_sha, tree_sha
from mlops_tui.demo.github.deployments import ACTIONS_BOT
from mlops_tui.demo.github.model import (
    AnnotatedTag,
    ChangedFile,
    Commit,
    Deployment,
    DeploymentStatus,
    Release,
    Repository,
    User,
)
from mlops_tui.demo.github.payloads import BasePayloads, Payload, git_person

VERIFICATION = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


class TreePayloads(BasePayloads):
    """Payloads of what a repository holds and where it went."""

    def whole_commit(self, commit: Commit) -> Payload:
        """Return a commit with what only its own address tells."""
        additions = sum(file.additions for file in commit.files)
        deletions = sum(file.deletions for file in commit.files)
        return self.commit(commit) | {
            "stats": {"total": additions + deletions, "additions": additions, "deletions": deletions},
            "files": [self.changed_file(commit.repository, commit.sha, file) for file in commit.files],
        }

    def changed_file(self, repository: Repository, sha: str, file: ChangedFile) -> Payload:
        path = quote(file.path)
        return {
            "sha": blob_sha(f"{sha}/{file.path}"),
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": self.page(repository, "blob", sha, file.path),
            "raw_url": self.page(repository, "raw", sha, file.path),
            "contents_url": f"{self.repository_url(repository)}/contents/{path}?ref={sha}",
            "patch": file.patch,
        }

    def comparison(
        self, repository: Repository, basehead: str, found: Comparison, commits: list[Commit], head: Commit
    ) -> Payload:
        """Return how two commits compare, with this page of the commits; the files belong to the first one."""
        owner = repository.owner.login
        page = self.page(repository, "compare", basehead)
        return {
            "url": f"{self.repository_url(repository)}/compare/{quote(basehead)}",
            "html_url": page,
            "permalink_url": self.page(repository, "compare", f"{owner}:{found.base.sha[:7]}...{owner}:{head.sha[:7]}"),
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "base_commit": self.commit(found.base),
            "merge_base_commit": self.commit(found.merge_base),
            "status": found.status,
            "ahead_by": len(found.ahead),
            "behind_by": found.behind,
            "total_commits": len(found.ahead),
            "commits": [self.commit(commit) for commit in commits],
        }

    def content(self, repository: Repository, ref: str, path: str, text: str, *, whole: bool) -> Payload:
        """Return a file, with what is in it if it is `whole`."""
        sha, data = blob_sha(text), text.encode()
        entry = self._entry(repository, ref, path, "file", sha, len(data))
        if whole:
            entry |= {"content": base64.encodebytes(data).decode(), "encoding": "base64"}
        return entry

    def folder(self, repository: Repository, ref: str, path: str, paths: list[str]) -> Payload:
        """Return a folder as the one above lists it."""
        return self._entry(repository, ref, path, "dir", tree_sha(paths), 0)

    def _entry(self, repository: Repository, ref: str, path: str, kind: str, sha: str, size: int) -> Payload:
        api = self.repository_url(repository)
        url = f"{api}/contents/{quote(path)}?ref={quote(ref)}"
        git = f"{api}/git/{'blobs' if kind == 'file' else 'trees'}/{sha}"
        page = self.page(repository, "blob" if kind == "file" else "tree", ref, path)
        return {
            "type": kind,
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": sha,
            "size": size,
            "url": url,
            "git_url": git,
            "html_url": page,
            "download_url": self.page(repository, "raw", ref, path) if kind == "file" else None,
            "_links": {"self": url, "git": git, "html": page},
        }

    def blob(self, repository: Repository, text: str) -> Payload:
        sha, data = blob_sha(text), text.encode()
        return {
            "sha": sha,
            "node_id": f"B_{sha}",
            "size": len(data),
            "url": f"{self.repository_url(repository)}/git/blobs/{sha}",
            "content": base64.encodebytes(data).decode(),
            "encoding": "base64",
        }

    def reference(self, repository: Repository, ref: str, sha: str, kind: str = "commit") -> Payload:
        git = f"{self.repository_url(repository)}/git"
        return {
            "ref": ref,
            "node_id": f"REF_{repository.id}_{ref}",
            "url": f"{git}/{quote(ref)}",
            "object": {"type": kind, "sha": sha, "url": f"{git}/{kind}s/{sha}"},
        }

    def annotated_tag(self, repository: Repository, tag: AnnotatedTag) -> Payload:
        git = f"{self.repository_url(repository)}/git"
        return {
            "sha": tag.sha,
            "node_id": f"T_{tag.sha}",
            "url": f"{git}/tags/{tag.sha}",
            "tag": tag.name,
            "message": tag.message,
            "tagger": git_person(tag.tagger) | {"date": tag.date},
            "object": {"type": "commit", "sha": tag.target, "url": f"{git}/commits/{tag.target}"},
            "verification": VERIFICATION,
        }

    def release(self, repository: Repository, release: Release) -> Payload:
        url = f"{self.repository_url(repository)}/releases/{release.id}"
        tag = f"untagged-{release.id:x}" if release.draft else release.tag
        return {
            "id": release.id,
            "node_id": release.node_id,
            "url": url,
            "html_url": self.page(repository, "releases", "tag", tag),
            "assets_url": f"{url}/assets",
            "upload_url": f"{url}/assets{{?name,label}}",
            "tarball_url": None if release.draft else f"{self.repository_url(repository)}/tarball/{quote(release.tag)}",
            "zipball_url": None if release.draft else f"{self.repository_url(repository)}/zipball/{quote(release.tag)}",
            "tag_name": release.tag,
            "target_commitish": release.target,
            "name": release.name,
            "body": release.body,
            "draft": release.draft,
            "immutable": False,
            "prerelease": release.prerelease,
            "created_at": release.created_at,
            "updated_at": release.updated_at or release.created_at,
            "published_at": release.published_at,
            "author": self.user(release.author),
            "assets": [],
        }

    def deployment(self, deployment: Deployment) -> Payload:
        repository = deployment.repository
        api = self.repository_url(repository)
        return {
            "id": deployment.id,
            "node_id": deployment.node_id,
            "url": f"{api}/deployments/{deployment.id}",
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description or None,
            "creator": self.user(deployment.creator),
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
            "statuses_url": f"{api}/deployments/{deployment.id}/statuses",
            "repository_url": api,
            "transient_environment": deployment.transient,
            "production_environment": deployment.production,
            "performed_via_github_app": self._app_of(repository, deployment.creator),
        }

    def deployment_status(self, deployment: Deployment, status: DeploymentStatus) -> Payload:
        repository, job = deployment.repository, deployment.job
        api = self.repository_url(repository)
        log = status.log_url or (self.page(repository, "actions", "runs", job.run.id, "job", job.id) if job else "")
        target = log or status.environment_url or self.page(repository, "deployments")
        urls = {"log_url": log, "environment_url": status.environment_url, "target_url": target}
        return {name: url for name, url in urls.items() if url} | {
            "id": status.id,
            "node_id": status.node_id,
            "url": f"{api}/deployments/{deployment.id}/statuses/{status.id}",
            # REST describes no state for what waits for its approval.
            "state": "pending" if status.state == "waiting" else status.state,
            "creator": self.user(status.creator),
            "description": status.description,
            "environment": status.environment,
            "created_at": status.created_at,
            "updated_at": status.created_at,
            "deployment_url": f"{api}/deployments/{deployment.id}",
            "repository_url": api,
            "performed_via_github_app": self._app_of(repository, status.creator),
        }

    def _app_of(self, repository: Repository, creator: User) -> dict[str, Any] | None:
        return self.actions_app(repository) if creator.login == ACTIONS_BOT else None
