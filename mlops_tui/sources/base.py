"""The contract between the engine and a system that it reads.

A source knows one system: how to sign in, how to read it cheaply, how its answers become rows. It knows nothing of
schedules, retries, or who looks at its rows; the poller does that for all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlops_tui.domain.base import DetailSection, RowRef
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import Permission, Probe, Problem, Quota, SourceKind


@dataclass(frozen=True, slots=True)
class Delta:
    """What a source has to say: rows that are new or changed, and keys that are gone.

    Attributes:
        complete: `upserts` is everything there is; what it does not name is gone, whoever asked for it.
        quota: Calls left, if this answer told.
        identity: As whom we are signed in, if this answer told.
        permissions: All permissions known now; `None` leaves what was known.
        problems: All problems known now; `None` leaves what was known, `()` ends them.
        streaming: Whether changes arrive by themselves from now on.
    """

    upserts: Sequence[Row] = ()
    removals: Sequence[str] = ()
    complete: bool = False
    quota: Quota | None = None
    identity: str | None = None
    permissions: tuple[Permission, ...] | None = None
    problems: tuple[Problem, ...] | None = None
    streaming: bool | None = None


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds from the end of one cycle to the start of the next, while somebody looks and while nobody does."""

    active: float
    idle: float


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Names a source.

    Attributes:
        id: Unique on the board, stable over restarts: `github`, `kubernetes:prod-eu`.
        label: What a person calls it: a host, a context.
        environments: The environments whose rows it brings.
    """

    id: str
    kind: SourceKind
    label: str
    environments: tuple[str, ...] = field(default=())


class Source(Protocol):
    """One system. Methods run on the engine's event loop and must not block it.

    `cycle` and `detail` raise `NotConfigured`, `Unavailable`, `RateLimited`, `Unauthenticated` or `Denied`, and
    nothing else on purpose.
    """

    info: SourceInfo
    cadence: Cadence

    async def cycle(self, publish: Callable[[Delta], None]) -> None:
        """Read the system once, calling `publish` at least once, as soon as there is something to show.

        A source that is watched stays in its cycle and publishes as changes arrive; it returns when the watch ends as
        it should. State that makes the next cycle cheap (ETags, watermarks, resource versions) is the source's own and
        survives an error. Cancelling must be safe at every await.
        """

    def forget(self) -> None:
        """Drop that state: the next cycle reads everything, with credentials looked up anew."""

    async def detail(self, ref: RowRef) -> tuple[DetailSection, ...]:
        """Return what can be fetched of one row beyond the row itself; `()` for a row that is not known."""

    async def probe(self) -> Probe:
        """Say what is reachable, as whom and with which permissions. Raises nothing but cancellation."""

    async def close(self) -> None:
        """Give back connections, threads and files. Idempotent."""
