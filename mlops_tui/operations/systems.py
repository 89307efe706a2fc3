"""What operations need of the systems they change. The sources implement it; nothing here knows an SDK.

All methods raise `SourceError`s: `Denied` and `Unauthenticated` as ever, `Conflict` where the thing has moved since it
was read, `Missing` where it is not there, and `OutcomeUnknown` where a write was sent and no answer came, so that
nobody can say without looking whether it happened. No write is ever retried.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from mlops_tui.domain.state import Permission

Json = dict[str, Any]


class ClusterSystem(Protocol):
    """One Kubernetes context.

    Kinds are called as kubectl calls them, `services`, `deployments.apps`, `leases.coordination.k8s.io`,
    `virtualservices.networking.istio.io`; objects are the API's own JSON.
    """

    async def get(self, kind: str, namespace: str, name: str) -> Json:
        """Return an object."""

    async def find(self, kind: str, namespace: str, selector: str = "") -> list[Json]:
        """Return the objects that a label selector finds; none where the cluster does not know the kind."""

    async def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Json],
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Apply a JSON patch and return the object. Name a `resourceVersion` in it: it is the precondition."""

    async def put(
        self, kind: str, namespace: str, name: str, body: Json, *, subresource: str = "", dry_run: bool = False
    ) -> Json:
        """Replace an object, or its subresource, and return it; the body's `resourceVersion` is the precondition."""

    async def create(self, kind: str, namespace: str, body: Json, *, dry_run: bool = False) -> Json:
        """Create an object and return it; `Conflict` where there is one."""

    def watch(self, kind: str, namespace: str, name: str) -> AsyncGenerator[Json | None]:
        """Yield an object now and after each change, and `None` once it is gone; goes on over lost connections."""

    async def may(self, verb: str, kind: str, namespace: str, *, subresource: str = "") -> Permission:
        """Return whether the credentials may do this."""


class RegistrySystem(Protocol):
    """One MLflow registry. Versions, models and runs are the REST interface's own JSON; numbers are integers."""

    async def model(self, name: str) -> Json:
        """Return a registered model, with `aliases` as a mapping from alias to version."""

    async def versions(self, name: str) -> list[Json]:
        """Return all versions, newest first, with `current_stage`, `tags` (a mapping) and `aliases` (a list)."""

    async def version(self, name: str, version: int) -> Json:
        """Return one of them."""

    async def run(self, run_id: str) -> Json:
        """Return a run: `status`, `lifecycle_stage`, `metrics`, `tags`, `end_time` (milliseconds)."""

    async def has_artifact(self, name: str, version: int) -> bool | None:
        """Say whether the version's files are still there; `None` where the store cannot tell."""

    async def set_stage(self, name: str, version: int, stage: str) -> None:
        """Move a version to a stage, and nothing else."""

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version."""

    async def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""

    async def set_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Tag a version."""


class ForgeSystem(Protocol):
    """GitHub. Objects are the REST interface's own JSON."""

    async def identity(self) -> str:
        """Return the login as whom we are signed in; empty for a token that stands for no person."""

    async def repository(self, repository: str) -> Json:
        """Return a repository: `default_branch`, `archived`."""

    async def may(self, repository: str, permission: str) -> Permission:
        """Return whether the token has a permission, `issues: write`, as far as that is known before it is tried."""

    async def pull(self, repository: str, number: int) -> Json:
        """Return a pull request."""

    async def files(self, repository: str, number: int) -> list[str]:
        """Return the paths that a pull request changes."""

    async def comments(self, repository: str, number: int, since: str = "") -> list[Json]:
        """Return its comments, oldest first, from the moment `since` (ISO 8601) on."""

    async def comment(self, repository: str, number: int, body: str) -> Json:
        """Post a comment."""

    async def edit_comment(self, repository: str, comment: int, body: str) -> Json:
        """Change a comment's text."""

    async def edit_pull(self, repository: str, number: int, body: str) -> Json:
        """Change a pull request's description."""

    async def reviews(self, repository: str, number: int) -> list[Json]:
        """Return its reviews, oldest first."""

    async def review(self, repository: str, number: int, *, event: str, body: str, commit: str) -> Json:
        """Review the commit: `APPROVE`, `REQUEST_CHANGES` or `COMMENT`."""

    async def run(self, repository: str, run: int) -> Json:
        """Return a workflow run."""

    async def jobs(self, repository: str, run: int) -> list[Json]:
        """Return the jobs of its latest attempt."""

    async def runs(self, repository: str, query: Mapping[str, str]) -> list[Json]:
        """Return the newest runs that a query finds."""

    async def rerun(self, repository: str, run: int, *, failed_only: bool = False, job: int | None = None) -> None:
        """Run a run, what failed of it, or one job of it, again."""

    async def cancel(self, repository: str, run: int) -> None:
        """Cancel a run."""

    async def dispatch(self, repository: str, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow by hand."""

    async def workflow(self, repository: str, workflow: str, ref: str = "") -> Json:
        """Return a workflow; where its file at `ref` could be read with `inputs`, by name.

        Each of them has `type`, `required`, `default`, `options` and `description`; `inputs` is `None` where the
        workflow cannot be started by hand.
        """

    async def pending(self, repository: str, run: int) -> list[Json]:
        """Return the deployments that a run waits with."""

    async def approvals(self, repository: str, run: int) -> list[Json]:
        """Return what reviewers have said of a run's deployments."""

    async def decide(
        self, repository: str, run: int, environments: Sequence[int], *, approve: bool, comment: str
    ) -> None:
        """Approve or reject them."""
