"""What every row has in common."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from mlops_tui.domain.text import Line


class Frozen(BaseModel):
    """A value: immutable, comparable, refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Attention(StrEnum):
    """How much a row wants a person to look at it."""

    OK = "ok"
    INFO = "info"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """The place in a list that shows first what needs somebody: 0 is first."""
        return _RANKS[self]


_RANKS = {Attention.BAD: 0, Attention.WARN: 1, Attention.UNKNOWN: 2, Attention.INFO: 3, Attention.OK: 4}


class Mark(StrEnum):
    """A status as it is shown: a glyph and this word."""

    OK = "ok"
    RUNNING = "running"
    WAITING = "waiting"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    PAUSED = "paused"
    STALE = "stale"
    NONE = "none"


class RowKind(StrEnum):
    """The kinds of rows on the board."""

    RUN = "run"
    VERSION = "version"
    ROLLOUT = "rollout"
    PULL = "pull"
    OPERATION = "operation"


class BaseRow(Frozen):
    """The fields that lists, filters and the board rely on."""

    key: str
    """Stable for the life of the thing that the row shows, and unique over the whole board."""
    source: str
    """The id of the source that the row came from."""
    mark: Mark
    attention: Attention
    reason: Line = ""
    """Why the row wants attention, as a short clause; empty when all is well."""
    url: Line = ""
    """Where a browser shows the same thing; empty where there is no such page."""
    updated_at: AwareDatetime | None = None
    """When the thing last changed, in UTC."""


class RowRef(Frozen):
    """Names a row on the board, whatever happens to the list that showed it."""

    kind: RowKind
    key: str


class DetailField(Frozen):
    """One labelled fact in a detail view."""

    label: Line
    value: Line
    mark: Mark = Mark.NONE


class DetailSection(Frozen):
    """A titled group of facts, or a text."""

    title: Line
    fields: tuple[DetailField, ...] = ()
    text: str = ""
    """Preformatted, already cleaned text below the fields."""


class Detail(Frozen):
    """Everything that is known of one row, in the order in which a person reads it.

    Attributes:
        problem: Why the part that has to be fetched is missing; empty if nothing is.
    """

    ref: RowRef
    title: Line
    sections: tuple[DetailSection, ...]
    problem: Line = ""
