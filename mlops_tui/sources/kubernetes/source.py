"""The Kubernetes source: one cluster's Deployments, one watch a namespace, one stream of changes."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mlops_tui.domain.base import DetailSection, RowKind, RowRef
from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Denied, SourceError
from mlops_tui.domain.rollout import RolloutRow
from mlops_tui.domain.state import Probe, Problem, SourceKind
from mlops_tui.sources.base import Cadence, Delta, SourceInfo
from mlops_tui.sources.kubernetes.acting import ClusterActor, rule_of
from mlops_tui.sources.kubernetes.connection import Connection
from mlops_tui.sources.kubernetes.detail import rollout_detail
from mlops_tui.sources.kubernetes.kubeconfig import Access, read_access
from mlops_tui.sources.kubernetes.probe import probe_cluster
from mlops_tui.sources.kubernetes.projection import rollout_row
from mlops_tui.sources.kubernetes.target import ALL_NAMESPACES, KubernetesTarget
from mlops_tui.sources.kubernetes.watch import Ledger, NamespaceWatch, Stage

BATCH_SECONDS = 0.05
"""How long changes are collected before they are published together: a rollout changes many things at once."""
PATIENCE_SECONDS = 2.0
"""How long a cycle waits for its slowest namespace before it shows the others."""


class KubernetesSource:
    """The Deployments of one context's namespaces."""

    def __init__(self, target: KubernetesTarget, clock: Clock, jitter: random.Random | None = None) -> None:
        self._target = target
        self._clock = clock
        self._jitter = jitter or random.Random()
        environments = tuple(dict.fromkeys(target.namespaces.values())) or tuple(filter(None, [target.environment]))
        label = target.context or "current context"
        self.info = SourceInfo(target.source_id, SourceKind.KUBERNETES, label, environments)
        self.cadence = Cadence(active=5.0, idle=30.0)
        self._connection = Connection(partial(read_access, target), clock, rule_of(target))
        self.actor = ClusterActor(self._connection, clock)
        """What operations do to the cluster, over the same connection."""
        self._access: Access | None = None
        self._ledger = Ledger()
        self._watches: list[NamespaceWatch] = []
        self._relist = False

    async def cycle(self, publish: Callable[[Delta], None]) -> None:
        """Watch until the cluster fails as a whole; a namespace that fails alone is published as a problem."""
        self._adopt(await self._connection.access())
        for watch in self._watches:
            watch.restart(relist=self._relist)
        self._relist = False
        publication = _Publication(self._watches, self._ledger, self._clock, publish, self._identity)
        tasks = [asyncio.create_task(run) for run in (publication.run(), *(watch.run() for watch in self._watches))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def forget(self) -> None:
        """List everything anew in the next cycle, with credentials looked up anew."""
        self._relist = True
        self._connection.forget()

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        """Return revisions, pods, events and conditions of a Deployment. Raises `SourceError`."""
        row = self._ledger.rows.get(ref.key)
        if ref.kind is not RowKind.ROLLOUT or row is None:
            return ()
        return await rollout_detail(self._connection, row)

    async def probe(self) -> Probe:
        """Say what the API server is, as whom we are signed in, and what we may do."""
        return await probe_cluster(self.info, self._connection, self._clock, self._environments)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    @property
    def _identity(self) -> str:
        return self._access.user if self._access else ""

    def _environments(self, access: Access) -> Mapping[str, str]:
        return self._target.namespaces or {access.namespace: self._target.environment or access.context}

    def _adopt(self, access: Access) -> None:
        """Make watches for the namespaces, unless there are those of the same cluster."""
        known, self._access = self._access, access
        place = (access.server, access.context, access.namespace)
        if known and (known.server, known.context, known.namespace) == place:
            return
        environments = self._environments(access)
        self.info = SourceInfo(
            self.info.id, self.info.kind, access.context, tuple(dict.fromkeys(environments.values()))
        )
        self._ledger = Ledger()
        scopes = [ALL_NAMESPACES] if ALL_NAMESPACES in environments else list(environments)
        project = partial(self._project, access.context, environments)
        self._watches = [
            NamespaceWatch(scope, self._connection, project, self._ledger, self._clock, self._jitter)
            for scope in scopes
        ]

    def _project(self, context: str, environments: Mapping[str, str], deployment: Mapping[str, Any]) -> RolloutRow:
        namespace = str((deployment.get("metadata") or {}).get("namespace"))
        environment = environments.get(namespace) or environments.get(ALL_NAMESPACES, "")
        return rollout_row(deployment, source=self.info.id, context=context, environment=environment)


class _Publication:
    """Tells one cycle's reader what the watches found, in as few deltas as are timely."""

    def __init__(
        self,
        watches: list[NamespaceWatch],
        ledger: Ledger,
        clock: Clock,
        publish: Callable[[Delta], None],
        identity: str,
    ) -> None:
        self._watches = watches
        self._ledger = ledger
        self._clock = clock
        self._publish = publish
        self._identity = identity
        self._patient = True
        self._complete = False
        self._streaming: bool | None = None
        self._problems: tuple[Problem, ...] | None = None

    async def run(self) -> None:
        """Publish until every namespace has failed, and raise why."""
        patience = asyncio.create_task(self._lose_patience())
        try:
            while True:
                await self._ledger.changed.wait()
                if self._failure() is None:
                    await self._clock.sleep(BATCH_SECONDS)
                self._ledger.changed.clear()
                error = self._failure()
                self._flush(final=error is not None)
                if error is not None:
                    raise error
        finally:
            patience.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await patience

    async def _lose_patience(self) -> None:
        await self._clock.sleep(PATIENCE_SECONDS)
        self._patient = False
        self._ledger.changed.set()

    def _failure(self) -> SourceError | None:
        """Return the error that stands for all namespaces, or `None` while one of them is well."""
        errors = [watch.error for watch in self._watches if watch.error is not None]
        if len(errors) < len(self._watches):
            return None
        denied = [error for error in errors if isinstance(error, Denied)]
        if len(denied) < len(errors):
            return next(error for error in errors if not isinstance(error, Denied))
        missing = ", ".join(error.missing for error in denied)
        return Denied(f"may not {missing}", denied[0].hint, missing=missing)

    def _flush(self, *, final: bool) -> None:
        """Publish what is new; with `final`, what came before the failure that is about to be raised."""
        starting = any(watch.stage is Stage.STARTING for watch in self._watches)
        if not any(watch.answered for watch in self._watches) or (starting and self._patient):
            return
        upserts, removals = self._ledger.take()
        completes = not starting and not self._complete
        if completes:
            upserts, removals = self._all_rows(), []
        if final and not (upserts or removals or completes):
            return
        problems = () if final else tuple(filter(None, (watch.problem for watch in self._watches)))
        stages = {watch.stage for watch in self._watches} - {Stage.FAILED}
        streaming = stages == {Stage.WATCHING}
        delta = Delta(
            upserts=upserts,
            removals=removals,
            complete=completes,
            identity=self._identity if self._problems is None else None,
            problems=problems if problems != self._problems else None,
            streaming=streaming if streaming != self._streaming else None,
        )
        if delta == Delta(upserts=[], removals=[]):
            return
        self._complete = self._complete or completes
        self._problems, self._streaming = problems, streaming
        self._publish(delta)

    def _all_rows(self) -> list[RolloutRow]:
        """Return all rows but those of namespaces that may no longer be read."""
        for watch in self._watches:
            if isinstance(watch.error, Denied) and not watch.answered:
                for key in watch.keys:
                    self._ledger.remove(key)
        self._ledger.take()
        return list(self._ledger.rows.values())
