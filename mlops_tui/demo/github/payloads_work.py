"""GitHub's REST payloads of workflow runs and pull requests, and the cache of their rendered bytes."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic_core import to_json

from mlops_tui.demo.github.archives import zip_of
from mlops_tui.demo.github.model import (
    Annotation,
    Approval,
    Artifact,
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
from mlops_tui.demo.github.payloads import Payload, git_person
from mlops_tui.demo.github.payloads_tree import TreePayloads

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


class Payloads(TreePayloads):
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
        on_runner = bool(job.steps)
        self_hosted = job.is_self_hosted
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
            "runner_id": job.runner_id if on_runner else None,
            "runner_name": job.runner_name if on_runner else None,
            "runner_group_id": int(self_hosted) if on_runner else None,
            "runner_group_name": ("Default" if self_hosted else "GitHub Actions") if on_runner else None,
        }

    def pending_deployment(self, run: Run, name: str, reviewer: User, *, may_write: bool) -> Payload:
        environment = run.repository.environments[name]
        reviewers = environment.reviewers
        return {
            "environment": self.short_environment(run.repository, environment),
            "wait_timer": environment.wait_timer,
            "wait_timer_started_at": run.waiting_since[name] if environment.wait_timer else None,
            "current_user_can_approve": may_write and (not reviewers or reviewer in reviewers),
            "reviewers": [{"type": "User", "reviewer": self.user(user)} for user in reviewers],
        }

    def artifact(self, artifact: Artifact, now: datetime) -> Payload:
        run = artifact.run
        url = f"{self.repository_url(run.repository)}/actions/artifacts/{artifact.id}"
        data = zip_of(artifact)
        return {
            "id": artifact.id,
            "node_id": base64.b64encode(f"08:Artifact{artifact.id}".encode()).decode(),
            "name": artifact.name,
            "size_in_bytes": len(data),
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": artifact.expires_at <= now,
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "created_at": artifact.created_at,
            "updated_at": artifact.created_at,
            "expires_at": artifact.expires_at,
            "workflow_run": {
                "id": run.id,
                "repository_id": run.repository.id,
                "head_repository_id": run.repository.id,
                "head_branch": run.branch,
                "head_sha": run.head_sha,
            },
        }

    def usage(self, attempt: Attempt) -> Payload:
        """Return what a run's time is billed as: nothing on the owner's own runners."""
        took = [
            (job.id, int((job.completed_at - job.started_at).total_seconds() * 1000))
            for job in attempt.jobs
            if job.started_at and job.completed_at and job.steps and not job.is_self_hosted
        ]
        billed = {
            "total_ms": sum(duration for _, duration in took),
            "jobs": len(took),
            "job_runs": [{"job_id": number, "duration_ms": duration} for number, duration in took],
        }
        duration = (attempt.updated_at - attempt.started_at).total_seconds()
        return {"billable": {"UBUNTU": billed} if took else {}, "run_duration_ms": int(duration * 1000)}

    def annotation(self, job: Job, annotation: Annotation) -> Payload:
        path, sha = annotation.path, job.run.head_sha
        return {
            "path": path,
            "blob_href": self.page(job.run.repository, "blob", sha, path),
            "start_line": annotation.line,
            "start_column": None,
            "end_line": annotation.line,
            "end_column": None,
            "annotation_level": annotation.level,
            "title": annotation.title,
            "message": annotation.message,
            "raw_details": "",
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

    def issue(self, pull: Pull) -> Payload:
        """Return a pull request as the issue that it is, too."""
        url, issue, page = self._pull_urls(pull)
        return {
            "id": pull.id,
            "node_id": pull.node_id,
            "number": pull.number,
            "url": issue,
            "repository_url": self.repository_url(pull.repository),
            "labels_url": f"{issue}/labels{{/name}}",
            "comments_url": f"{issue}/comments",
            "events_url": f"{issue}/events",
            "html_url": page,
            "title": pull.title,
            "user": self.user(pull.author),
            "labels": self.labels(pull),
            "state": "open" if pull.state == "OPEN" else "closed",
            "state_reason": None,
            "locked": False,
            "active_lock_reason": None,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(pull.comments),
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "closed_by": self.user(pull.merged_by) if pull.merged_by else None,
            "author_association": _COLLABORATOR,
            "body": pull.body or None,
            "draft": pull.draft,
            "pull_request": {
                "url": url,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": pull.merged_at,
            },
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
        return self.changed_file(pull.repository, pull.head_sha, file)

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
        # One that is begun and not submitted has no time yet.
        submitted = {} if review.state == "PENDING" else {"submitted_at": review.submitted_at}
        return submitted | {
            "id": review.id,
            "node_id": review.node_id,
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": url,
            "author_association": _COLLABORATOR,
            "_links": {"html": {"href": page}, "pull_request": {"href": url}},
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
