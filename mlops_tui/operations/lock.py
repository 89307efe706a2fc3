"""The release lock: a Kubernetes `Lease`, so that etcd decides who has it and no server of ours is needed.

It expires: whoever dies while holding it keeps nobody waiting for longer than `HOLD_SECONDS`.
"""

import asyncio
import contextlib
from collections.abc import Collection
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.errors import Conflict, Missing, OutcomeUnknown, Refused, SourceError
from mlops_tui.operations.systems import ClusterSystem

KIND: Final = "leases.coordination.k8s.io"
NAME: Final = "mlops-tui-release"
HOLD_SECONDS: Final = 60
"""How long it is held without being renewed; it is renewed three times as often."""


class ReleaseLock:
    """Holds the release lock of a namespace while an operation runs. An async context manager.

    Args:
        over: Operations that have sent all they had to send and only wait for its effect: it is taken from them, or a
            rollout that hangs could not be repaired by whoever started it.

    Entering raises `Refused` while somebody else has it, and `SourceError` where leases cannot be read or written.
    """

    def __init__(
        self,
        cluster: ClusterSystem,
        namespace: str,
        by: str,
        operation: str,
        clock: Clock,
        *,
        over: Collection[str] = (),
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._holder = f"{by}/{operation}"
        self._clock = clock
        self._over = over
        self._lease: dict[str, Any] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        lease: dict[str, Any] | None = None
        with contextlib.suppress(Missing):
            lease = await self._cluster.get(KIND, self._namespace, NAME)
        if lease is not None:
            self._refuse_if_held(lease)
        try:
            await (self._create() if lease is None else self._take(lease))
        except OutcomeUnknown as error:
            # Nothing else was sent yet: whoever has it by now knows, and it expires.
            if not await self._is_ours():
                raise Refused(f"the release lock of {self._namespace} was not taken: {error.message}") from error
        self._renewing = asyncio.create_task(self._renew())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        # Where it cannot be given back it expires.
        with contextlib.suppress(SourceError):
            await self._put({"holderIdentity": None, "leaseDurationSeconds": 1})

    async def _create(self) -> None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": self._namespace},
            "spec": {**self._spec(), "acquireTime": _micro(self._clock.now()), "leaseTransitions": 0},
        }
        try:
            self._lease = await self._cluster.create(KIND, self._namespace, body)
        except Conflict:
            raise self._lost() from None

    async def _take(self, lease: dict[str, Any]) -> None:
        self._lease = lease
        transitions = (lease.get("spec") or {}).get("leaseTransitions") or 0
        now = _micro(self._clock.now())
        try:
            await self._put({**self._spec(), "acquireTime": now, "leaseTransitions": transitions + 1})
        except Conflict:
            raise self._lost() from None

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(HOLD_SECONDS / 3)
            # A renewal that fails is no reason to stop: the preconditions of the steps see whoever came between.
            with contextlib.suppress(SourceError):
                try:
                    await self._put(self._spec())
                except (Conflict, OutcomeUnknown):
                    await self._is_ours()

    async def _is_ours(self) -> bool:
        """Look who holds the lease, and go on from there where it is us."""
        try:
            lease = await self._cluster.get(KIND, self._namespace, NAME)
        except SourceError:
            return False
        ours = bool((lease.get("spec") or {}).get("holderIdentity") == self._holder)
        if ours:
            self._lease = lease
        return ours

    async def _put(self, spec: dict[str, Any]) -> None:
        body = {**self._lease, "spec": {**(self._lease.get("spec") or {}), **spec}}
        self._lease = await self._cluster.put(KIND, self._namespace, NAME, body)

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": HOLD_SECONDS,
            "renewTime": _micro(self._clock.now()),
        }

    def _refuse_if_held(self, lease: dict[str, Any]) -> None:
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        if not holder or not renewed or holder.rpartition("/")[2] in self._over:
            return
        ends = datetime.fromisoformat(renewed) + timedelta(seconds=spec.get("leaseDurationSeconds") or 0)
        if self._clock.now() < ends:
            raise Refused(
                f"{holder} holds the release lock of {self._namespace} until {ends:%H:%M:%S}Z unless renewed",
                "wait, or talk to them",
            )

    def _lost(self) -> Refused:
        return Refused(f"somebody else took the release lock of {self._namespace} just now", "plan it again")


def _micro(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
