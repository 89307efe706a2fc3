"""GitHub's limits: each token's quotas, and refusals on demand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

QUOTA = 5000
"""Calls an hour and token, as for a person's token on github.com; GraphQL has as many points."""
QUOTA_WINDOW = 3600.0
"""Seconds until a used quota is whole again."""
SEARCH_QUOTA = 30
SEARCH_WINDOW = 60.0
SECONDARY_WAIT = 60.0
"""Seconds for which a client is asked to wait where nothing else is said."""

Resource = Literal["core", "graphql", "search"]
LimitStatus = Literal[403, 429]


class Meter:
    """One token's use of one quota."""

    def __init__(self, limit: int, reset: datetime) -> None:
        self.limit = limit
        self.used = 0
        self.reset = reset

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(slots=True)
class Refusal:
    """A limit that calls run into.

    Attributes:
        primary: Whether the quota is used up; else it is a secondary limit.
        until: When it ends; `None` for when its requests are used up.
        requests: How many calls it still refuses; `None` for all.
        retry_after: Seconds of the `Retry-After`; `None` leaves the header out.
    """

    primary: bool
    status: LimitStatus
    secret: str | None
    resource: Resource | None
    until: datetime | None
    requests: int | None
    retry_after: int | None = None

    def concerns(self, secret: str, resource: str) -> bool:
        return self.secret in (None, secret) and self.resource in (None, resource)


class Limits:
    """What the server lets through.

    Attributes:
        quota: Calls and points an hour and token.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.quota = QUOTA
        self._now = now
        self._meters: dict[tuple[str, str], Meter] = {}
        self._refusals: list[Refusal] = []

    def meter(self, secret: str, resource: str) -> Meter:
        """Return a token's use of a quota, starting a new window when the last one is over."""
        now = self._now()
        meter = self._meters.get((secret, resource))
        if meter is None or meter.reset <= now:
            limit, window = (SEARCH_QUOTA, SEARCH_WINDOW) if resource == "search" else (self.quota, QUOTA_WINDOW)
            meter = self._meters[secret, resource] = Meter(limit, _whole(now + timedelta(seconds=window)))
        for refusal in self._standing(secret, resource):
            if refusal.primary:
                # What is left of the quota comes back with the refusal's end.
                shown = Meter(meter.limit, _whole(refusal.until) if refusal.until else meter.reset)
                shown.used = shown.limit
                return shown
        return meter

    def exhaust(
        self,
        *,
        token: str | None = None,
        resource: Resource | None = "core",
        status: LimitStatus = 403,
        seconds: float | None = None,
        requests: int | None = None,
    ) -> None:
        """Let quotas be used up, as `x-ratelimit-remaining: 0` and `/rate_limit` say.

        Args:
            token: The secret that it concerns; `None` for every one.
            resource: The quota; `None` for all of them.
            status: GitHub answers with either. GraphQL says it in a 200.
            seconds: Until the quotas are whole again; an hour where neither this nor `requests` is given.
            requests: Refuse so many calls only.
        """
        if seconds is None and requests is None:
            seconds = QUOTA_WINDOW
        self._refusals.append(Refusal(True, status, token, resource, self._after(seconds), requests))

    def secondary(
        self,
        *,
        token: str | None = None,
        resource: Resource | None = None,
        status: LimitStatus = 403,
        seconds: float | None = None,
        requests: int | None = None,
        says_when: bool = True,
    ) -> None:
        """Refuse calls by a secondary rate limit, whatever is left of the quota.

        Args:
            token: The secret that it concerns; `None` for every one.
            resource: What it concerns; `None` for everything.
            status: GitHub answers with either.
            seconds: How long it lasts; a minute where neither this nor `requests` is given.
            requests: Refuse so many calls only.
            says_when: Whether answers carry `Retry-After`.
        """
        if seconds is None and requests is None:
            seconds = SECONDARY_WAIT
        until = self._after(seconds)
        self._refusals.append(
            Refusal(False, status, token, resource, until, requests, int(SECONDARY_WAIT) if says_when else None)
        )

    def lift(self) -> None:
        """End every limit that was made on demand."""
        self._refusals.clear()

    def refuse(self, secret: str, resource: str) -> Refusal | None:
        """Return the limit that a call runs into and count the call; `None` lets it through."""
        for refusal in self._standing(secret, resource):
            if refusal.requests is not None:
                refusal.requests -= 1
            if refusal.retry_after is not None and refusal.until is not None:
                refusal.retry_after = -(-(refusal.until - self._now()) // timedelta(seconds=1))
            return refusal
        meter = self.meter(secret, resource)
        return None if meter.remaining else Refusal(True, 403, secret, None, meter.reset, None)

    def _standing(self, secret: str, resource: str) -> Iterator[Refusal]:
        now = self._now()
        self._refusals = [
            refusal
            for refusal in self._refusals
            if (refusal.until is None or now < refusal.until) and refusal.requests != 0
        ]
        return (refusal for refusal in self._refusals if refusal.concerns(secret, resource))

    def _after(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self._now() + timedelta(seconds=seconds)


def _whole(moment: datetime) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp()), UTC)
