"""What the GitHub-compatible server knows: plain mutable records, changed only by the store.

Every record carries a `revision`, which the store raises when the record's payload changes; rendered payloads are
cached against it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

TokenKind = Literal["full", "read-only", "no-checks"]


@dataclass(frozen=True, slots=True)
class Token:
    """As whom a bearer of the token acts, and what the token may do.

    Attributes:
        kind: `full` is a classic token with every scope; `read-only` a fine-grained one that may write nothing;
            `no-checks` a fine-grained one without the permission to read checks.
    """

    login: str
    kind: TokenKind = "full"


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
    """

    name: str
    steps: tuple[str, ...] = ("Run actions/checkout@v4", "Run")
    labels: tuple[str, ...] = ("ubuntu-latest",)
    environment: str | None = None


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
    revision: int = 0


@dataclass(slots=True, eq=False)
class Workflow:
    id: int
    name: str
    path: str
    created_at: datetime
    jobs: tuple[JobPlan, ...]
    """What a dispatch starts."""
    node_id: str
    runs: int = 0
    revision: int = 0


@dataclass(slots=True)
class Step:
    number: int
    name: str
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


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
    revision: int = 0

    @property
    def name(self) -> str:
        return self.plan.name


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
    approvals: list[Approval] = field(default_factory=list)
    revision: int = 0

    @property
    def latest(self) -> Attempt:
        return self.attempts[-1]


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
    revision: int = 0


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
    """Name to sha, newest last."""
    revision: int = 0

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """Something that a client of the server did, for whoever plays the rest of the world.

    Attributes:
        action: `rerun`, `cancel`, `dispatch`, `approved`, `rejected`, `comment`, `edit`, `review`, `merge` or `close`.
        number: The run's id or the pull request's number.
        detail: The environment, workflow name or review state that the action is about.
    """

    action: str
    repository: str
    number: int
    actor: str
    detail: str = ""
