"""The release lock: one holder, found out by the API server's own conflict, and nobody waits for the dead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops_tui.domain.errors import Conflict, Missing, OutcomeUnknown, Refused
from mlops_tui.operations.lock import HOLD_SECONDS, KIND, NAME, ReleaseLock
from tests.support.clock import ManualClock


class Leases:
    """The leases of one namespace, with resource versions as the API server keeps them."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.written = 0

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        assert (kind, namespace, name) == (KIND, "ml", NAME)
        if self.lease is None:
            raise Missing("no lease")
        return self.lease

    async def create(self, kind: str, namespace: str, body: dict[str, Any], *, dry_run: bool = False) -> Any:
        if self.lease is not None:
            raise Conflict("already exists")
        return self._keep(body)

    async def put(
        self,
        kind: str,
        namespace: str,
        name: str,
        body: dict[str, Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Any:
        if self.lease is None or body["metadata"].get("resourceVersion") != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        return self._keep(body)

    def _keep(self, body: dict[str, Any]) -> dict[str, Any]:
        self.written += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.written)}}
        return self.lease

    @property
    def holder(self) -> str | None:
        assert self.lease is not None
        found: str | None = self.lease["spec"].get("holderIdentity")
        return found


@pytest.fixture
def leases() -> Leases:
    return Leases()


def lock(leases: Leases, clock: ManualClock, by: str = "dana") -> ReleaseLock:
    return ReleaseLock(leases, "ml", by, "op-1", clock)  # type: ignore[arg-type]


async def test_it_is_held_inside_and_given_back(leases: Leases, clock: ManualClock) -> None:
    async with lock(leases, clock):
        assert leases.holder == "dana/op-1"
    assert leases.holder is None
    async with lock(leases, clock, "ines"):
        assert leases.holder == "ines/op-1"


async def test_a_second_holder_is_told_who_has_it_and_until_when(leases: Leases, clock: ManualClock) -> None:
    async with lock(leases, clock):
        with pytest.raises(Refused, match=r"dana/op-1 holds the release lock of ml until 14:01:00Z") as caught:
            async with lock(leases, clock, "ines"):
                pass
        assert caught.value.exit_code == 5
        assert leases.holder == "dana/op-1"


async def test_it_is_renewed_while_it_is_held(leases: Leases, clock: ManualClock) -> None:
    async with lock(leases, clock):
        await clock.advance(10 * HOLD_SECONDS)
        with pytest.raises(Refused):
            async with lock(leases, clock, "ines"):
                pass


async def test_that_of_somebody_who_died_expires(leases: Leases, clock: ManualClock) -> None:
    held = lock(leases, clock)
    await held.__aenter__()
    assert held._renewing is not None
    held._renewing.cancel()
    await clock.advance(HOLD_SECONDS + 1)
    async with lock(leases, clock, "ines"):
        assert leases.holder == "ines/op-1"


async def test_of_two_who_come_at_once_the_server_lets_one_in(leases: Leases, clock: ManualClock) -> None:
    async with lock(leases, clock):
        pass
    stale = dict(leases.lease or {})
    async with lock(leases, clock, "ines"):
        late = lock(leases, clock, "bo")
        with pytest.raises(Refused, match="somebody else took the release lock"):
            await late._take(stale)
        assert leases.holder == "ines/op-1"


async def test_times_are_those_of_the_api(leases: Leases, clock: ManualClock) -> None:
    async with lock(leases, clock):
        assert leases.lease is not None
        renewed = datetime.fromisoformat(leases.lease["spec"]["renewTime"])
        assert renewed == datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
        assert renewed + timedelta(seconds=leases.lease["spec"]["leaseDurationSeconds"]) == datetime(
            2026, 11, 20, 14, 1, tzinfo=UTC
        )


class Forgetful(Leases):
    """Leases that keep the first `lost` writes and do not answer them; `deaf` ones answer nothing from then on."""

    lost = 0
    deaf = False

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        if self.deaf and self.written:
            raise OutcomeUnknown("no answer")
        return await super().get(kind, namespace, name)

    def _keep(self, body: dict[str, Any]) -> dict[str, Any]:
        kept = super()._keep(body)
        if self.written <= self.lost:
            raise OutcomeUnknown("no answer")
        return kept


async def test_one_that_was_taken_without_an_answer_is_held(clock: ManualClock) -> None:
    leases = Forgetful()
    leases.lost = 2
    async with lock(leases, clock):
        # The first renewal is lost too; those after it go on from what is there.
        await clock.advance(10 * HOLD_SECONDS)
        with pytest.raises(Refused, match="dana/op-1 holds"):
            async with lock(leases, clock, "ines"):
                pass
    assert leases.holder is None


async def test_one_that_nobody_can_tell_of_is_not_held(clock: ManualClock) -> None:
    leases = Forgetful()
    leases.lost, leases.deaf = 1, True
    with pytest.raises(Refused, match="was not taken: no answer"):
        async with lock(leases, clock):
            pytest.fail("nobody knows whether it is held")


async def test_it_is_taken_from_an_operation_that_only_waits_for_its_effect(leases: Leases, clock: ManualClock) -> None:
    waiting = lock(leases, clock)
    await waiting.__aenter__()
    mending = ReleaseLock(leases, "ml", "dana", "op-2", clock, over={"op-1"})  # type: ignore[arg-type]
    async with mending:
        assert leases.holder == "dana/op-2"
        # Its renewals, and its end, leave the new holder alone.
        await clock.advance(HOLD_SECONDS)
        await waiting.__aexit__(None, None, None)
        assert leases.holder == "dana/op-2"
    with pytest.raises(Refused):
        async with lock(leases, clock, "ines"), ReleaseLock(leases, "ml", "dana", "op-3", clock):  # type: ignore[arg-type]
            pass
