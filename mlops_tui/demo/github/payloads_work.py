"""GitHub's REST payloads of workflow runs and pull requests, and the cache of their rendered bytes."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import to_json

from mlops_tui.demo.github.model import (
    Approval,
    Attempt,
    ChangedFile,
    Comment,
    Job,
    Pull,
    Review,
    ReviewComment,
    Run,
    Step,
    User,
)
from mlops_tui.demo.github.payloads import BasePayloads, Payload, git_person

_CACHED_FRAGMENTS = 2000
"""Rendered records kept, at most 15 KB each."""
_COLLABORATOR = "COLLABORATOR"
_LABEL_COLOUR = "ededed"


class Rendered(Protocol):
    """A record with an identity and a revision."""

    node_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A record's payload as bytes, and their digest."""

    revision: tuple[int, ...]
    body: bytes
    digest: bytes


class Payloads(BasePayloads):
    """All payloads under one base URL."""

    def __init__(self, api: str, web: str) -> None:
        super().__init__(api, web)
        self._fragments: dict[tuple[str, str], Fragment] = {}

    def fragment(self, kind: str, record: Rendered, render: Callable[[], Payload], *parts: Rendered) -> Fragment:
        """Return the rendered record, rendering it again only if it, or one of its `parts`, has changed."""
        key = (kind, record.node_id)
        revision = (record.revision, *(part.revision for part in parts))
        fragment = self._fragments.get(key)
        if fragment is None or fragment.revision != revision:
            if len(self._fragments) >= _CACHED_FRAGMENTS:
                self._fragments.clear()
            body = to_json(render())
            fragment = Fragment(revision, body, hashlib.blake2b(body, digest_size=16).digest())
            self._fragments[key] = fragment
        return fragment

    def run_fragments(self, runs: Iterable[Run], *, with_pulls: bool = True) -> list[Fragment]:
        """Return the payloads of runs at their latest attempts."""
        kind = "run" if with_pulls else "run without pulls"
        return [
            self.fragment(
                kind,
                run,
                lambda run=run: self.run(run, run.latest, with_pulls=with_pulls),  # type: ignore[misc]
                *(run.repository.pulls[number] for number in run.pull_numbers),
            )
            for run in runs
        ]

    def run(self, run: Run, attempt: Attempt, *, with_pulls: bool = True) -> Payload:
        """Return a run as of one attempt."""
        repository = run.repository
        api = self.repository_url(repository)
        url = f"{api}/actions/runs/{run.id}"
        commit = repository.commits.get(run.head_sha)
        minimal = self.nested_repository(repository)[0]
        previous = f"{url}/attempts/{attempt.number - 1}" if attempt.number > 1 else None
        return {
            "id": run.id,
            "name": run.workflow.name,
            "node_id": run.node_id,
            "head_branch": run.branch,
            "head_sha": run.head_sha,
            "path": run.workflow.path,
            "display_title": run.title,
            "run_number": run.number,
            "event": run.event,
            "status": attempt.status,
            "conclusion": attempt.conclusion,
            "workflow_id": run.workflow.id,
            "check_suite_id": run.check_suite_id,
            "check_suite_node_id": f"CS_{run.check_suite_id}",
            "url": url,
            "html_url": self.page(repository, "actions", "runs", run.id),
            "pull_requests": self.pulls_of(run) if with_pulls else [],
            "created_at": run.created_at,
            "updated_at": attempt.updated_at,
            "actor": self.user(run.actor),
            "run_attempt": attempt.number,
            "referenced_workflows": [],
            "run_started_at": attempt.started_at,
            "triggering_actor": self.user(attempt.actor),
            "jobs_url": f"{url}/jobs",
            "logs_url": f"{url}/logs",
            "check_suite_url": f"{api}/check-suites/{run.check_suite_id}",
            "artifacts_url": f"{url}/artifacts",
            "cancel_url": f"{url}/cancel",
            "rerun_url": f"{url}/rerun",
            "previous_attempt_url": previous,
            "workflow_url": f"{api}/actions/workflows/{run.workflow.id}",
            "head_commit": commit
            and {
                "id": commit.sha,
                "tree_id": commit.tree,
                "message": commit.message,
                "timestamp": commit.date,
                "author": git_person(commit.author),
                "committer": git_person(commit.author),
            },
            "repository": minimal,
            "head_repository": minimal,
        }

    def pulls_of(self, run: Run) -> list[Payload]:
        """Return the open pull requests of a run, as runs name them; GitHub leaves out the closed ones."""
        pulls = (run.repository.pulls[number] for number in run.pull_numbers)
        return [self.minimal_pull(pull) for pull in pulls if pull.state == "OPEN"]

    def job(self, job: Job) -> Payload:
        run = job.run
        api = self.repository_url(run.repository)
        on_runner = job.started_at is not None and job.conclusion != "skipped"
        self_hosted = "self-hosted" in job.plan.labels
        return {
            "id": job.id,
            "run_id": run.id,
            "run_url": f"{api}/actions/runs/{run.id}",
            "run_attempt": job.attempt,
            "node_id": job.node_id,
            "head_sha": run.head_sha,
            "head_branch": run.branch,
            "workflow_name": run.workflow.name,
            "url": f"{api}/actions/jobs/{job.id}",
            "html_url": self.page(run.repository, "actions", "runs", run.id, "job", job.id),
            "check_run_url": f"{api}/check-runs/{job.id}",
            "status": job.status,
            "conclusion": job.conclusion,
            "created_at": job.created_at,
            "started_at": job.started_at or job.created_at,
            "completed_at": job.completed_at,
            "name": job.name,
            "steps": [_step(step) for step in job.steps],
            "labels": list(job.plan.labels),
            "runner_id": job.id % 97 + 1 if on_runner else None,
            "runner_name": (f"gpu-runner-{job.id % 4}" if self_hosted else f"GitHub Actions {job.id % 97 + 1}")
            if on_runner
            else None,
            "runner_group_id": int(self_hosted) if on_runner else None,
            "runner_group_name": ("Default" if self_hosted else "GitHub Actions") if on_runner else None,
        }

    def pending_deployment(self, run: Run, name: str, reviewer: User, *, may_write: bool) -> Payload:
        environment = run.repository.environments[name]
        reviewers = environment.reviewers
        return {
            "environment": self.short_environment(run.repository, environment),
            "wait_timer": environment.wait_timer,
            "wait_timer_started_at": run.latest.updated_at if environment.wait_timer else None,
            "current_user_can_approve": may_write and (not reviewers or reviewer in reviewers),
            "reviewers": [{"type": "User", "reviewer": self.user(user)} for user in reviewers],
        }

    def approval(self, run: Run, approval: Approval) -> Payload:
        environment = run.repository.environments[approval.environment]
        moment = {"created_at": environment.created_at, "updated_at": environment.created_at}
        return {
            "environments": [self.short_environment(run.repository, environment) | moment],
            "state": approval.state,
            "user": self.user(approval.user),
            "comment": approval.comment,
        }

    def deployment(self, run: Run, environment: str, number: int) -> Payload:
        api = self.repository_url(run.repository)
        return {
            "id": number,
            "node_id": f"DE_{number}",
            "url": f"{api}/deployments/{number}",
            "sha": run.head_sha,
            "ref": run.branch,
            "task": "deploy",
            "payload": {},
            "original_environment": environment,
            "environment": environment,
            "description": "",
            "creator": self.user(run.actor),
            "created_at": run.latest.started_at,
            "updated_at": run.latest.updated_at,
            "statuses_url": f"{api}/deployments/{number}/statuses",
            "repository_url": api,
            "transient_environment": False,
            "production_environment": environment == "production",
        }

    def pull_fragments(self, pulls: Iterable[Pull]) -> list[Fragment]:
        """Return the payloads of pull requests as lists have them."""
        return [
            self.fragment("pull", pull, lambda pull=pull: self.pull(pull))  # type: ignore[misc]
            for pull in pulls
        ]

    def pull(self, pull: Pull) -> Payload:
        """Return a pull request as lists have it."""
        api = self.repository_url(pull.repository)
        url, issue, page = self._pull_urls(pull)
        urls = {
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{api}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{api}/statuses/{pull.head_sha}",
        }
        return {
            "id": pull.id,
            "node_id": pull.node_id,
            "number": pull.number,
            "url": url,
            **{f"{name}_url": address for name, address in urls.items()},
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "state": "open" if pull.state == "OPEN" else "closed",
            "locked": False,
            "active_lock_reason": None,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body or None,
            "labels": self.labels(pull),
            "milestone": None,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_sha,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [self.user(user) for user in pull.requested_reviewers],
            "requested_teams": [],
            "head": self._end(pull, pull.head_branch, pull.head_sha),
            "base": self._end(pull, pull.base_branch, pull.base_sha),
            "_links": {"self": {"href": url}} | {name: {"href": address} for name, address in urls.items()},
            "author_association": _COLLABORATOR,
            "auto_merge": None,
            "draft": pull.draft,
        }

    def whole_pull(self, pull: Pull) -> Payload:
        """Return a pull request with what only its own address tells."""
        state = {None: "unknown", False: "dirty", True: "draft" if pull.draft else "clean"}[pull.mergeable]
        return self.pull(pull) | {
            "merged": pull.state == "MERGED",
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "mergeable": pull.mergeable if pull.state == "OPEN" else None,
            "mergeable_state": state if pull.state == "OPEN" else "unknown",
            "rebaseable": pull.mergeable if pull.state == "OPEN" else None,
            "maintainer_can_modify": False,
            "comments": len(pull.comments),
            "review_comments": len(pull.review_comments),
            "commits": len(pull.commits),
            "additions": sum(file.additions for file in pull.files),
            "deletions": sum(file.deletions for file in pull.files),
            "changed_files": len(pull.files),
        }

    def labels(self, pull: Pull) -> list[Payload]:
        api = self.repository_url(pull.repository)
        return [
            {
                "id": self._label_id(pull, name),
                "node_id": f"LA_{self._label_id(pull, name)}",
                "url": f"{api}/labels/{name}",
                "name": name,
                "description": "",
                "color": _LABEL_COLOUR,
                "default": False,
            }
            for name in pull.labels
        ]

    @staticmethod
    def _label_id(pull: Pull, name: str) -> int:
        digest = hashlib.blake2b(f"{pull.repository.id}/{name}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big")

    def file(self, pull: Pull, file: ChangedFile) -> Payload:
        api, sha = self.repository_url(pull.repository), pull.head_sha
        blob = hashlib.sha1(f"{sha}/{file.path}".encode(), usedforsecurity=False).hexdigest()
        return {
            "sha": blob,
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": self.page(pull.repository, "blob", sha, file.path),
            "raw_url": self.page(pull.repository, "raw", sha, file.path),
            "contents_url": f"{api}/contents/{file.path}?ref={sha}",
            "patch": file.patch,
        }

    def comment(self, comment: Comment) -> Payload:
        pull = comment.pull
        _, issue, page = self._pull_urls(pull)
        url = f"{self.repository_url(pull.repository)}/issues/comments/{comment.id}"
        return self._remark(comment) | {
            "url": url,
            "html_url": f"{page}#issuecomment-{comment.id}",
            "issue_url": issue,
            "performed_via_github_app": None,
        }

    def review(self, review: Review) -> Payload:
        url, _, page = self._pull_urls(review.pull)
        page = f"{page}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": review.node_id,
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": url,
            "author_association": _COLLABORATOR,
            "_links": {"html": {"href": page}, "pull_request": {"href": url}},
            "submitted_at": review.submitted_at,
            "commit_id": review.commit_sha,
        }

    def review_comment(self, comment: ReviewComment) -> Payload:
        pull_url, _, page = self._pull_urls(comment.pull)
        url = f"{self.repository_url(comment.pull.repository)}/pulls/comments/{comment.id}"
        page = f"{page}#discussion_r{comment.id}"
        return self._remark(comment) | {
            "url": url,
            "html_url": page,
            "pull_request_url": pull_url,
            "pull_request_review_id": None,
            "diff_hunk": f"@@ -{comment.line} +{comment.line} @@",
            "path": comment.path,
            "line": comment.line,
            "original_line": comment.line,
            "side": "RIGHT",
            "commit_id": comment.commit_sha,
            "original_commit_id": comment.commit_sha,
            "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull_url}},
        }

    def _remark(self, remark: Comment | ReviewComment) -> Payload:
        return {
            "id": remark.id,
            "node_id": remark.node_id,
            "user": self.user(remark.author),
            "body": remark.body,
            "created_at": remark.created_at,
            "updated_at": remark.updated_at,
            "author_association": _COLLABORATOR,
        }

    def _end(self, pull: Pull, ref: str, sha: str) -> Payload:
        owner = pull.repository.owner
        return {
            "label": f"{owner.login}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.user(owner),
            "repo": self.nested_repository(pull.repository)[1],
        }

    def _pull_urls(self, pull: Pull) -> tuple[str, str, str]:
        api = self.repository_url(pull.repository)
        page = self.page(pull.repository, "pull", pull.number)
        return f"{api}/pulls/{pull.number}", f"{api}/issues/{pull.number}", page


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "conclusion": step.conclusion,
        "number": step.number,
        "started_at": step.started_at,
        "completed_at": step.completed_at,
    }
