"""What is known of a source: reachable or not, since when, as whom, with which quota and permissions."""

from enum import StrEnum

from pydantic import AwareDatetime

from mlops_tui.domain.base import Frozen, RowKind
from mlops_tui.domain.text import Line


class SourceKind(StrEnum):
    """The systems that are read."""

    GITHUB = "github"
    MLFLOW = "mlflow"
    KUBERNETES = "kubernetes"
    OPERATIONS = "operations"
    """Not a system: what is being done, and was, from the journal."""


class SourceStatus(StrEnum):
    """The one word for a source's state."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    """It answered once, and does not now: its rows are old."""
    UNREACHABLE = "unreachable"
    """It has not answered yet, and was tried."""
    DENIED = "denied"
    LIMITED = "limited"
    """Its quota is used up until `retry_at`."""
    OFF = "off"
    """Nothing is configured."""


class Quota(Frozen):
    """Calls left at a rate-limited source."""

    remaining: int
    limit: int
    resets_at: AwareDatetime | None = None


class Permission(Frozen):
    """Something that the credentials may or may not do.

    Attributes:
        allowed: `None` where it cannot be known before it is tried.
        to_read: Whether it is needed to see what the board shows; the rest is for changing something.
    """

    name: Line
    scope: Line = ""
    allowed: bool | None = None
    to_read: bool = True
    hint: Line = ""


class Problem(Frozen):
    """A part of a source that failed while the rest is there: one namespace, one repository."""

    scope: Line
    """What the problem is about, as the user names it: `acme/fraud`, `namespace ml`."""
    message: Line
    hint: Line = ""
    status: SourceStatus = SourceStatus.UNREACHABLE
    rows: tuple[RowKind, ...] = ()
    """The kinds of rows that are missing or old because of it."""


class SourceState(Frozen):
    """The state of one source, as the screen, a snapshot and `doctor` show it."""

    source: str
    kind: SourceKind
    label: Line
    """How the source is told from others of its kind: a host, a context."""
    status: SourceStatus = SourceStatus.CONNECTING
    streaming: bool = False
    """Whether changes arrive by themselves (a watch), so that `fetched_at` does not age."""
    fetched_at: AwareDatetime | None = None
    """When the source last answered."""
    complete: bool = True
    """Whether it has told all its rows at least once: until then what is not there may just not have come yet."""
    error: Line = ""
    hint: Line = ""
    """What to do about `error`."""
    retry_at: AwareDatetime | None = None
    identity: Line = ""
    """As whom we are signed in, where the source tells."""
    quota: Quota | None = None
    permissions: tuple[Permission, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def may_be_old(self) -> bool:
        """Whether rows of this source may no longer be true."""
        return self.status not in (SourceStatus.LIVE, SourceStatus.OFF)


class Probe(Frozen):
    """What `doctor` says of one source."""

    source: str
    kind: SourceKind
    label: Line
    status: SourceStatus
    endpoint: Line = ""
    identity: Line = ""
    version: Line = ""
    latency: float | None = None
    """Seconds for the first answer."""
    error: Line = ""
    hint: Line = ""
    permissions: tuple[Permission, ...] = ()
    problems: tuple[Problem, ...] = ()
