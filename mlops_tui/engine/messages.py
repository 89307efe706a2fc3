"""What passes between the engine and whoever looks at it: frozen pydantic messages, one JSON line each on the wire."""

from mlops_tui.domain.base import Frozen
from mlops_tui.domain.rows import AnyRow
from mlops_tui.domain.state import SourceState
from mlops_tui.domain.text import Line

PROTOCOL = 2
"""Version of the wire contract; both ends must have the same."""


class EnvironmentScope(Frozen):
    """One environment on the board."""

    name: Line
    protected: bool = False
    places: tuple[Line, ...] = ()
    """Where it runs: `context/namespace`."""


class Scope(Frozen):
    """What the engine looks at."""

    environments: tuple[EnvironmentScope, ...]
    read_only: bool
    config: Line = ""
    """The configuration file in use; empty where there is none."""


class Update(Frozen):
    """A change of the board: only what changed, never the whole, except to say so.

    A source's rows are sent in full between `begins` and `completes`, possibly over several updates; what was there
    before and was not sent by then is gone. Rows of a source that has not begun stay as they are.

    Attributes:
        begins: Ids of sources whose rows follow in full.
        completes: Ids of sources whose rows are all there after this update.
        scope: Sent in the first update to each viewer, together with the states of all sources that there are.
    """

    sequence: int
    upserts: tuple[AnyRow, ...] = ()
    removals: tuple[str, ...] = ()
    sources: tuple[SourceState, ...] = ()
    begins: tuple[str, ...] = ()
    completes: tuple[str, ...] = ()
    scope: Scope | None = None
