"""Deployments: those of jobs that target an environment, and those that other services tell of."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from mlops_tui.demo.github.model import Deployment, DeploymentStatus, Job, Repository, Run
from mlops_tui.demo.github.releases import ReleaseWorld
from mlops_tui.demo.github.world import NotFoundError, node_id

DeploymentState = Literal[
    "error", "failure", "inactive", "in_progress", "pending", "queued", "success", "waiting"
]  # fmt: skip
ACTIONS_BOT: Final = "github-actions[bot]"
_ENDS: Final[dict[str, DeploymentState]] = {
    "success": "success",
    "neutral": "success",
    "cancelled": "error",
    "skipped": "inactive",
}


class DeploymentWorld(ReleaseWorld):
    """The part of the store that knows what is deployed where."""

    def deployment(self, repo: str, deployment_id: int) -> Deployment:
        """Return a deployment.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self.repository(repo).deployments[deployment_id]
        except KeyError:
            raise NotFoundError(f"no deployment {deployment_id} in {repo}") from None

    def add_deployment(
        self,
        repo: str,
        environment: str,
        ref: str,
        *,
        creator: str,
        task: str = "deploy",
        description: str = "",
        payload: object = None,
        transient: bool = False,
        production: bool | None = None,
        at: datetime | None = None,
    ) -> int:
        """Add a deployment that no job makes and return its id.

        Args:
            ref: A branch, tag or sha.
            production: Whether users see it; `None` goes by the environment's name.

        Raises:
            NotFoundError: There is no such ref.
        """
        commit = self.resolve(repo, ref)
        made = self._deployment(self.repository(repo), environment, commit.sha, ref, creator, self._time(at))
        made.task, made.description, made.transient = task, description, transient
        made.payload = {} if payload is None else payload
        made.production = environment == "production" if production is None else production
        return made.id

    def set_deployment(
        self,
        repo: str,
        deployment_id: int,
        state: DeploymentState,
        *,
        creator: str,
        description: str = "",
        environment_url: str = "",
        log_url: str = "",
        retires_others: bool = True,
        at: datetime | None = None,
    ) -> int:
        """Add a status to a deployment and return the status's id.

        Args:
            retires_others: Whether a success makes what was deployed to the environment before inactive.
        """
        deployment, now = self.deployment(repo, deployment_id), self._time(at)
        status = self._add_status(deployment, state, creator, now, description, environment_url, log_url)
        if state == "success" and retires_others:
            self._retire(deployment, now)
        return status.id

    def _await_deployment(self, run: Run, environment: str, jobs: Iterable[Job], now: datetime) -> Deployment:
        """Return the first of the deployments of a run to an environment, which from now on wait for approval."""
        made = [self._deployment_of(job, environment, now) for job in jobs] or [
            self._deployment(run.repository, environment, run.head_sha, run.branch, ACTIONS_BOT, now)
        ]
        for deployment in made:
            self._add_status(deployment, "waiting", ACTIONS_BOT, now)
        return made[0]

    def _deploy(self, job: Job, now: datetime) -> None:
        """Let a job's deployment follow the job."""
        repository = job.run.repository
        deployment = repository.deployments.get(job.deployment_id or 0)
        state = _state(job)
        if deployment is None:
            if not job.plan.environment or job.status == "queued" or job.conclusion in ("skipped", "cancelled"):
                return
            deployment = self._deployment_of(job, job.plan.environment, now)
        if deployment.state == state:
            return
        environment = repository.environments.get(deployment.environment)
        self._add_status(
            deployment, state, ACTIONS_BOT, now, environment_url=environment.url if environment else ""
        )  # fmt: skip
        if state == "success":
            self._retire(deployment, now)

    def _deployment_of(self, job: Job, environment: str, now: datetime) -> Deployment:
        run = job.run
        found = run.repository.deployments.get(job.deployment_id or 0)
        if found is None:
            if environment not in run.repository.environments:
                # As on github.com, an environment comes to be when a job first names it.
                self.add_environment(run.repository.full_name, environment, at=now)
            found = self._deployment(run.repository, environment, run.head_sha, run.branch, ACTIONS_BOT, now)
            found.job, job.deployment_id = job, found.id
        return found

    def _deployment(
        self, repository: Repository, environment: str, sha: str, ref: str, creator: str, now: datetime
    ) -> Deployment:
        number = self._id("deployment")
        made = Deployment(
            id=number,
            repository=repository,
            sha=sha,
            ref=ref,
            environment=environment,
            creator=self.user(creator),
            created_at=now,
            node_id=node_id("deployment", number),
            production=environment == "production",
        )
        repository.deployments[number] = made
        self._touch(made, repository)
        return made

    def _add_status(
        self,
        deployment: Deployment,
        state: DeploymentState,
        creator: str,
        now: datetime,
        description: str = "",
        environment_url: str = "",
        log_url: str = "",
    ) -> DeploymentStatus:
        number = self._id("deployment_status")
        status = DeploymentStatus(
            id=number,
            state=state,
            creator=self.user(creator),
            created_at=max(now, deployment.updated_at),
            node_id=node_id("deployment_status", number),
            environment=deployment.environment,
            description=description,
            environment_url=environment_url,
            log_url=log_url,
        )
        deployment.statuses.append(status)
        self._touch(deployment)
        return status

    def _retire(self, successor: Deployment, now: datetime) -> None:
        """Make what a deployment takes the place of inactive."""
        stay = []
        for other in successor.repository.live.get(successor.environment, ()):
            if other.transient or other.created_at > successor.created_at:
                stay.append(other)
            elif other is not successor and other.state == "success":
                self._add_status(other, "inactive", successor.creator.login, now)
        successor.repository.live[successor.environment] = [*stay, successor]


def _state(job: Job) -> DeploymentState:
    if job.status == "completed":
        return _ENDS.get(job.conclusion or "", "failure")
    return "waiting" if job.status == "waiting" else "in_progress" if job.status == "in_progress" else "queued"
