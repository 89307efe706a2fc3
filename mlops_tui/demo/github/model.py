"""What the GitHub-compatible server knows: plain mutable records, changed only by the store.

Every record carries a `revision`, which the store raises when the record's payload changes; rendered payloads are
cached against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

TokenKind = Literal["full", "read-only", "no-checks"]
Access = Literal["read", "write"]
AnnotationLevel = Literal["notice", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Token:
    """As whom a bearer of the token acts, and what the token may do.

    Attributes:
        kind: `full` is a classic token with every scope; `read-only` a fine-grained one that may write nothing;
            `no-checks` a fine-grained one without the permission to read checks.
        permissions: What a fine-grained token may, by GitHub's name of the permission; says more than `kind`.
        repositories: Those that the token reaches, as `owner/name`; `None` for all.
        expires_at: From then on it is as unknown as a wrong one.
    """

    login: str
    kind: TokenKind = "full"
    permissions: Mapping[str, Access] | None = field(default=None, hash=False)
    repositories: tuple[str, ...] | None = None
    expires_at: datetime | None = None

    @property
    def is_classic(self) -> bool:
        return self.kind == "full" and self.permissions is None and self.repositories is None

    def may(self, permission: str, access: Access = "read") -> bool:
        """Whether the token has a permission; every fine-grained one may read `metadata`."""
        if self.permissions is not None:
            granted = self.permissions.get(permission)
            return granted == "write" or (access == "read" and (granted == "read" or permission == "metadata"))
        if self.kind == "read-only":
            return access == "read"
        return self.kind == "full" or permission != "checks"

    def reaches(self, full_name: str) -> bool:
        """Whether a repository exists as far as this token can tell."""
        return self.repositories is None or full_name.lower() in map(str.lower, self.repositories)


@dataclass(frozen=True, slots=True)
class User:
    """An account. Logins that end in `[bot]` are GitHub Apps."""

    id: int
    login: str

    @property
    def is_bot(self) -> bool:
        return self.login.endswith("[bot]")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a workflow file says of one job.

    Attributes:
        name: Unique in the run.
        steps: Their names, without the runner's own "Set up job" and "Complete job".
        labels: What the job runs on.
        environment: The deployment environment that the job targets.
        needs: The jobs that have to succeed before this one starts.
    """

    name: str
    steps: tuple[str, ...] = ("Run actions/checkout@v4", "Run")
    labels: tuple[str, ...] = ("ubuntu-latest",)
    environment: str | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowInput:
    """One of the inputs that a workflow takes when it is dispatched.

    Attributes:
        options: The values of a `choice`.
    """

    name: str
    required: bool = False
    default: str = ""
    type: Literal["string", "boolean", "number", "choice", "environment"] = "string"
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file of a pull request's diff."""

    path: str
    additions: int = 1
    deletions: int = 0
    status: Literal["added", "removed", "modified", "renamed"] = "modified"
    patch: str = "@@ -0,0 +1 @@\n+change"


@dataclass(slots=True, eq=False)
class Commit:
    sha: str
    message: str
    author: User
    date: datetime
    parents: tuple[str, ...]
    tree: str
    node_id: str
    repository: "Repository" = field(repr=False)
    files: tuple[ChangedFile, ...] = ()
    """What it changes, compared with its first parent."""
    revision: int = 0


@dataclass(slots=True, eq=False)
class Workflow:
    id: int
    name: str
    path: str
    created_at: datetime
    jobs: tuple[JobPlan, ...]
    """What a dispatch starts."""
    inputs: tuple[WorkflowInput, ...]
    """What a dispatch takes."""
    run_name: str
    """How a dispatched run is called: `${{ inputs.NAME }}` stands for an input, an empty text for the workflow's
    name."""
    node_id: str
    runs: int = 0
    on: tuple[str, ...] = ("push",)
    """The events that start it."""
    revision: int = 0


@dataclass(slots=True)
class Step:
    number: int
    name: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a step wrote.

    Attributes:
        step: The number of the step.
    """

    at: datetime
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark of a check on a line of a file; jobs put those about themselves on `.github`."""

    level: AnnotationLevel
    message: str
    path: str = ".github"
    line: int = 1
    title: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """A job of one attempt. It is also the check run of the same id."""

    id: int
    plan: JobPlan
    run: "Run" = field(repr=False)
    attempt: int
    created_at: datetime
    node_id: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[Step] = field(default_factory=list)
    kept_from: int | None = None
    """The id of the job of an earlier attempt whose outcome this one keeps."""
    deployment_id: int | None = None
    """The deployment that it makes."""
    log: list[LogLine] = field(default_factory=list)
    """What was written beyond what the runner and the tools themselves write."""
    log_deleted: bool = False
    annotations: list[Annotation] = field(default_factory=list)
    """Beyond those that GitHub itself makes of the job's conclusion."""
    revision: int = 0

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def ran_as(self) -> int:
        """The id of the job that a runner had."""
        return self.kept_from or self.id

    @property
    def is_self_hosted(self) -> bool:
        return "self-hosted" in self.plan.labels

    @property
    def runner_name(self) -> str:
        return f"gpu-runner-{self.ran_as % 4}" if self.is_self_hosted else f"GitHub Actions {self.runner_id}"

    @property
    def runner_id(self) -> int:
        return self.ran_as % 97 + 1


@dataclass(slots=True, eq=False)
class Attempt:
    """One go at a run."""

    number: int
    actor: User
    started_at: datetime
    updated_at: datetime
    jobs: list[Job] = field(default_factory=list)
    status: str = "queued"
    conclusion: str | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A reviewer's answer to a run that waited for an environment."""

    environment: str
    state: Literal["approved", "rejected"]
    user: User
    comment: str


@dataclass(slots=True, eq=False)
class Run:
    id: int
    number: int
    workflow: Workflow
    repository: "Repository" = field(repr=False)
    event: str
    branch: str
    head_sha: str
    title: str
    actor: User
    created_at: datetime
    check_suite_id: int
    node_id: str
    environment: str | None = None
    pull_numbers: tuple[int, ...] = ()
    attempts: list[Attempt] = field(default_factory=list)
    pending: dict[str, int] = field(default_factory=dict)
    """The environments whose approval the run waits for, with the ids of their deployments."""
    waiting_since: dict[str, datetime] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)
    artifacts: dict[int, "Artifact"] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """What a dispatch gave."""
    revision: int = 0

    @property
    def latest(self) -> Attempt:
        return self.attempts[-1]


@dataclass(slots=True, eq=False)
class Artifact:
    """Files that an attempt of a run keeps."""

    id: int
    name: str
    run: Run = field(repr=False)
    attempt: int
    files: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    expires_at: datetime
    revision: int = 0


@dataclass(slots=True, eq=False)
class Check:
    """A check run that no job of a workflow made."""

    id: int
    head_sha: str
    name: str
    node_id: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    title: str = ""
    summary: str = ""
    revision: int = 0


@dataclass(slots=True, eq=False)
class Status:
    """A commit status, as other services than Actions post them."""

    id: int
    sha: str
    context: str
    node_id: str
    creator: User
    created_at: datetime
    updated_at: datetime
    state: str = "pending"
    target_url: str | None = None
    description: str | None = None
    revision: int = 0


@dataclass(slots=True, eq=False)
class Comment:
    id: int
    author: User
    body: str
    created_at: datetime
    updated_at: datetime
    node_id: str
    pull: "Pull" = field(repr=False)
    revision: int = 0


@dataclass(slots=True, eq=False)
class Review:
    id: int
    author: User
    state: str
    body: str
    commit_sha: str
    submitted_at: datetime
    node_id: str
    pull: "Pull" = field(repr=False)
    revision: int = 0


@dataclass(slots=True, eq=False)
class ReviewComment:
    """A comment on a line of the diff."""

    id: int
    author: User
    body: str
    path: str
    line: int
    commit_sha: str
    created_at: datetime
    updated_at: datetime
    node_id: str
    pull: "Pull" = field(repr=False)
    revision: int = 0


@dataclass(slots=True, eq=False)
class Pull:
    id: int
    number: int
    repository: "Repository" = field(repr=False)
    title: str
    body: str
    author: User
    head_branch: str
    base_branch: str
    base_sha: str
    labels: tuple[str, ...]
    commits: list[str]
    """Shas, the head last."""
    files: tuple[ChangedFile, ...]
    draft: bool
    created_at: datetime
    updated_at: datetime
    node_id: str
    mergeable: bool | None = True
    """`None` while it is not computed yet."""
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: User | None = None
    merge_sha: str | None = None
    edited_at: datetime | None = None
    requested_reviewers: tuple[User, ...] = ()
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    drafts: list[Review] = field(default_factory=list)
    """Reviews that are begun and not submitted, which only their authors see."""
    review_comments: list[ReviewComment] = field(default_factory=list)
    revision: int = 0

    @property
    def head_sha(self) -> str:
        return self.commits[-1]

    @property
    def state(self) -> Literal["OPEN", "CLOSED", "MERGED"]:
        if self.merged_at is not None:
            return "MERGED"
        return "OPEN" if self.closed_at is None else "CLOSED"

    @property
    def review_decision(self) -> Literal["APPROVED", "CHANGES_REQUESTED", "REVIEW_REQUIRED"] | None:
        """The verdict that follows from each reviewer's latest opinion."""
        needed = self.repository.required_reviews
        if needed == 0:
            return None
        opinions = {review.author.login: review.state for review in self.reviews if review.state != "COMMENTED"}
        if "CHANGES_REQUESTED" in opinions.values():
            return "CHANGES_REQUESTED"
        approvals = sum(state == "APPROVED" for state in opinions.values())
        return "APPROVED" if approvals >= needed else "REVIEW_REQUIRED"


@dataclass(slots=True, eq=False)
class Environment:
    id: int
    name: str
    reviewers: tuple[User, ...]
    wait_timer: int
    """Minutes."""
    created_at: datetime
    node_id: str
    rule_id: int
    url: str = ""
    """Where what is deployed to it is found."""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    id: int
    state: str
    creator: User
    created_at: datetime
    node_id: str
    environment: str
    description: str = ""
    environment_url: str = ""
    log_url: str = ""


@dataclass(slots=True, eq=False)
class Deployment:
    """What was, is or is to be deployed to an environment."""

    id: int
    repository: "Repository" = field(repr=False)
    sha: str
    ref: str
    environment: str
    creator: User
    created_at: datetime
    node_id: str
    job: Job | None = None
    """The job that deploys; `None` where another service does."""
    task: str = "deploy"
    description: str = ""
    payload: object = field(default_factory=dict)
    transient: bool = False
    production: bool = False
    statuses: list[DeploymentStatus] = field(default_factory=list)
    """The latest last."""
    revision: int = 0

    @property
    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    @property
    def updated_at(self) -> datetime:
        return self.statuses[-1].created_at if self.statuses else self.created_at


@dataclass(frozen=True, slots=True)
class AnnotatedTag:
    """A tag that says who set it, and why."""

    sha: str
    name: str
    target: str
    """The sha of the commit."""
    message: str
    tagger: User
    date: datetime


@dataclass(frozen=True, slots=True)
class FileVersion:
    """The text of a file from a time on.

    Attributes:
        ref: The branch that has it; `None` for all.
    """

    at: datetime
    text: str
    ref: str | None


@dataclass(slots=True, eq=False)
class Release:
    id: int
    tag: str
    name: str
    body: str
    author: User
    target: str
    created_at: datetime
    node_id: str
    prerelease: bool = False
    draft: bool = False
    published_at: datetime | None = None
    """`None` while it is a draft."""
    updated_at: datetime | None = None
    revision: int = 0


@dataclass(slots=True, eq=False)
class Repository:
    id: int
    full_name: str
    owner: User
    default_branch: str
    created_at: datetime
    node_id: str
    required_reviews: int = 1
    """Approvals that the default branch asks for; at 0 there is no review decision."""
    workflows: dict[int, Workflow] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    timeline: list[Run] = field(default_factory=list)
    """All runs, oldest first."""
    runs_of_sha: dict[str, list[Run]] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    checks: dict[str, dict[str, Check]] = field(default_factory=dict)
    """By sha, then name."""
    statuses: dict[str, dict[str, Status]] = field(default_factory=dict)
    """By sha, then context: the latest of each."""
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    """Newest first."""
    tags: dict[str, str] = field(default_factory=dict)
    """Name to the sha of the commit, newest last."""
    annotated_tags: dict[str, AnnotatedTag] = field(default_factory=dict)
    """By name, those of the tags that are objects of their own."""
    deployments: dict[int, Deployment] = field(default_factory=dict)
    live: dict[str, list[Deployment]] = field(default_factory=dict)
    """By environment, the deployments that no later one has made inactive."""
    files: dict[str, list[FileVersion]] = field(default_factory=dict)
    """By path, what was put; the latest last."""
    revision: int = 0

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """Something that a client of the server did, for whoever plays the rest of the world.

    Attributes:
        action: `rerun`, `cancel`, `dispatch`, `approved`, `rejected`, `comment`, `edit`, `review`, `open`, `push`,
            `merge`, `close`, `release` or `deployment`.
        number: The id of the run, release or deployment, or the pull request's number.
        detail: The environment, workflow name, review state, state of a deployment, or what became of a release.
    """

    action: str
    repository: str
    number: int
    actor: str
    detail: str = ""
