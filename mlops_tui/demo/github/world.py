"""The ground of the store: time, ids, accounts, tokens, repositories and what hangs on their commits."""

import base64
import random
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, Protocol

from mlops_tui.demo.github.limits import Limits
from mlops_tui.demo.github.model import (
    ChangedFile,
    Check,
    Commit,
    Environment,
    JobPlan,
    Repository,
    Status,
    StoreEvent,
    Token,
    User,
    Workflow,
    WorkflowInput,
)
from mlops_tui.domain.clock import Clock

_FIRST_ID = {"run": 18_204_000_000, "job": 51_700_000_000, "suite": 46_100_000_000, "comment": 2_950_000_000}
_FIRST_OTHER_ID = 940_000_000
_NODE_PREFIX = {
    "repository": "R",
    "run": "WFR",
    "job": "CR",
    "check": "CR",
    "pull": "PR",
    "comment": "IC",
    "review": "PRR",
    "review_comment": "PRRC",
    "commit": "C",
    "status": "SC",
    "workflow": "W",
    "environment": "EN",
    "release": "RE",
    "deployment": "DE",
    "deployment_status": "DES",
}


class NotFoundError(LookupError):
    """The store has no such thing."""


class Revised(Protocol):
    """A record whose payload can change."""

    revision: int


class World:
    """Time, ids, accounts and repositories.

    The methods are called on the server's event loop, or before it runs; none of them awaits, so a request sees each
    change whole.

    Attributes:
        tokens: Who may come in, by the secret itself.
        limits: Quotas, and rate limits on demand.
        web: The host under which the pages for people are, for texts that are written before anybody asks for one.
    """

    def __init__(self, clock: Clock, *, seed: int = 0) -> None:
        """Make an empty world.

        Args:
            clock: What time it is, and when the quota is whole again.
            seed: The same seed and clock give the same ids and shas.
        """
        self.clock = clock
        self.tokens: dict[str, Token] = {}
        self.limits = Limits(lambda: self.clock.now())
        self.web = "https://github.example"
        self.repositories: dict[str, Repository] = {}
        self.nodes: dict[str, object] = {}
        """What GraphQL's `nodes` finds, by node id."""
        self.revision = 0
        """Counts every change."""
        self.random = random.Random(seed)
        offset = self.random.randrange(1_000_000)
        self._last_id: dict[str, int] = defaultdict(lambda: _FIRST_OTHER_ID + offset)
        self._last_id.update({kind: first + offset for kind, first in _FIRST_ID.items()})
        self._users: dict[str, User] = {}
        self._listeners: list[Callable[[StoreEvent], None]] = []

    def subscribe(self, listener: Callable[[StoreEvent], None]) -> None:
        """Tell `listener` what clients of the server do, after it is done."""
        self._listeners.append(listener)

    def user(self, login: str) -> User:
        """Return the account with this login, which comes to be when it is first named."""
        if login not in self._users:
            # From the login alone, so that an account keeps its id whoever is named first.
            self._users[login] = User(id=1_000_000 + zlib.crc32(login.encode()) % 200_000_000, login=login)
        return self._users[login]

    def revoke(self, secret: str) -> None:
        """End a token: from now on it is as unknown as a wrong one."""
        self.tokens.pop(secret, None)

    def token(self, secret: str) -> Token | None:
        """Return what a secret stands for; `None` if it is wrong, revoked or has expired."""
        token = self.tokens.get(secret)
        if token is None or (token.expires_at is not None and token.expires_at <= self.clock.now()):
            return None
        return token

    def repository(self, full_name: str) -> Repository:
        """Return a repository by `owner/name`, in any case.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self.repositories[full_name.lower()]
        except KeyError:
            raise NotFoundError(f"no repository {full_name}") from None

    def add_repository(
        self, full_name: str, default_branch: str = "main", *, required_reviews: int = 1, at: datetime | None = None
    ) -> Repository:
        """Add a repository with one commit on its default branch."""
        owner, _, name = full_name.partition("/")
        if not owner or not name or "/" in name:
            raise ValueError(f"not owner/name: {full_name}")
        number = self._id("repository")
        repository = Repository(
            id=number,
            full_name=full_name,
            owner=self.user(owner),
            default_branch=default_branch,
            created_at=self._time(at),
            node_id=node_id("repository", number),
            required_reviews=required_reviews,
        )
        self.repositories[full_name.lower()] = repository
        self.nodes[repository.node_id] = repository
        self.add_commit(full_name, None, "Initial commit", owner, at=at)
        return repository

    def add_workflow(
        self,
        repo: str,
        name: str,
        path: str,
        *,
        jobs: Iterable[JobPlan] = (),
        on: Iterable[str] = ("push",),
        inputs: Iterable[WorkflowInput] = (),
        run_name: str = "",
        at: datetime | None = None,
    ) -> int:
        """Add a workflow file and return its id.

        Args:
            jobs: What starts when a client dispatches it; a workflow without any cannot be dispatched.
            on: The events that start it otherwise, as its file says.
            inputs: What a client may, or has to, give then.
            run_name: How such a run is called, with `${{ inputs.NAME }}` for an input; empty for the workflow's name.
        """
        repository = self.repository(repo)
        number = self._id("workflow")
        repository.workflows[number] = Workflow(
            id=number,
            name=name,
            path=path,
            created_at=self._time(at),
            jobs=tuple(jobs),
            inputs=tuple(inputs),
            run_name=run_name,
            node_id=node_id("workflow", number),
            on=tuple(on),
        )
        self._touch(repository)
        return number

    def workflow(self, repo: str, key: str | int) -> Workflow:
        """Return a workflow by id, name, path or file name.

        Raises:
            NotFoundError: There is none.
        """
        for workflow in self.repository(repo).workflows.values():
            if key in (workflow.id, str(workflow.id), workflow.name, workflow.path, workflow.path.rpartition("/")[2]):
                return workflow
        raise NotFoundError(f"no workflow {key} in {repo}")

    def add_commit(
        self,
        repo: str,
        sha: str | None,
        message: str,
        author: str,
        *,
        branch: str | None = None,
        parents: tuple[str, ...] | None = None,
        files: Iterable[ChangedFile] = (),
        at: datetime | None = None,
    ) -> str:
        """Add a commit at the head of a branch and return its sha.

        Args:
            sha: 40 hex digits; `None` draws one.
            branch: The default branch where it is `None`.
            parents: The branch's head before, where it is `None`.
        """
        repository = self.repository(repo)
        branch = branch or repository.default_branch
        sha = sha or self._sha()
        if parents is None:
            before = repository.branches.get(branch) or repository.branches.get(repository.default_branch)
            parents = (before,) if before else ()
        commit = Commit(
            sha=sha,
            message=message,
            author=self.user(author),
            date=self._time(at),
            parents=parents,
            tree=self._sha(),
            node_id=f"C_{sha}",
            repository=repository,
            files=tuple(files),
        )
        repository.commits[sha] = commit
        repository.branches[branch] = sha
        self.nodes[commit.node_id] = commit
        self._touch(commit, repository)
        return sha

    def resolve(self, repo: str, ref: str) -> Commit:
        """Return the commit that a branch, tag, sha or the start of a sha names.

        Raises:
            NotFoundError: There is none, or more than one.
        """
        repository = self.repository(repo)
        name = ref.removeprefix("refs/").removeprefix("heads/").removeprefix("tags/")
        sha = repository.branches.get(name) or repository.tags.get(name) or name
        if sha in repository.commits:
            return repository.commits[sha]
        found = [c for full, c in repository.commits.items() if len(sha) >= 7 and full.startswith(sha)]
        if len(found) != 1:
            raise NotFoundError(f"no commit {ref} in {repo}")
        return found[0]

    def add_environment(
        self,
        repo: str,
        name: str,
        *,
        reviewers: Iterable[str] = (),
        wait_timer: int = 0,
        url: str = "",
        at: datetime | None = None,
    ) -> int:
        """Add a deployment environment and return its id.

        Args:
            reviewers: The logins that may approve; without any, anybody who may write may.
            wait_timer: Minutes.
            url: Where what is deployed to it is found.
        """
        repository = self.repository(repo)
        number = self._id("environment")
        environment = Environment(
            id=number,
            name=name,
            reviewers=tuple(self.user(login) for login in reviewers),
            wait_timer=wait_timer,
            created_at=self._time(at),
            node_id=node_id("environment", number),
            rule_id=self._id("rule"),
            url=url,
        )
        repository.environments[name] = environment
        self._touch(environment, repository)
        return number

    def set_check(
        self,
        repo: str,
        sha: str,
        name: str,
        status: str,
        conclusion: str | None = None,
        *,
        title: str = "",
        summary: str = "",
        at: datetime | None = None,
    ) -> int:
        """Set a check run that no workflow made, and return its id."""
        repository, now = self.repository(repo), self._time(at)
        checks = repository.checks.setdefault(sha, {})
        if name not in checks:
            number = self._id("job")
            checks[name] = Check(id=number, head_sha=sha, name=name, node_id=node_id("check", number))
        check = checks[name]
        check.status, check.conclusion = status, conclusion
        check.title, check.summary = title, summary
        check.started_at = check.started_at or (None if status == "queued" else now)
        check.completed_at = now if status == "completed" else None
        self._touch(check, repository)
        return check.id

    def set_status(
        self,
        repo: str,
        sha: str,
        context: str,
        state: Literal["error", "failure", "pending", "success"],
        *,
        description: str | None = None,
        target_url: str | None = None,
        author: str | None = None,
        at: datetime | None = None,
    ) -> int:
        """Set a commit status, as services other than Actions do, and return its id."""
        repository, now = self.repository(repo), self._time(at)
        number = self._id("status")
        status = repository.statuses.setdefault(sha, {})[context] = Status(
            id=number,
            sha=sha,
            context=context,
            node_id=node_id("status", number),
            creator=self.user(author) if author else repository.owner,
            created_at=now,
            updated_at=now,
            state=state,
            target_url=target_url,
            description=description,
        )
        self._touch(status, repository)
        return number

    def announce(self, event: StoreEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _touch(self, *records: Revised) -> None:
        self.revision += 1
        for record in records:
            record.revision = self.revision

    def _time(self, at: datetime | None) -> datetime:
        # GitHub's times have no fractions.
        return (at or self.clock.now()).astimezone(UTC).replace(microsecond=0)

    def _sha(self) -> str:
        return f"{self.random.getrandbits(160):040x}"

    def _id(self, kind: str) -> int:
        self._last_id[kind] += 1 + self.random.randrange(7)
        return self._last_id[kind]


def node_id(kind: str, number: int) -> str:
    """Return a global id in GitHub's format."""
    return f"{_NODE_PREFIX[kind]}_kw{base64.urlsafe_b64encode(number.to_bytes(6, 'big')).decode()}"
