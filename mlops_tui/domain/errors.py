"""Everything that can go wrong, in one hierarchy.

    MlopsTuiError
    ├── ConfigError            a file or option is wrong: exit 2
    ├── EngineError            the engine process or its wire failed
    ├── SourceError            a system did not give what was asked
    │   ├── NotConfigured      nothing says where the system is: the pane is off
    │   ├── Unavailable        no answer, or a server's error: the last data stays, with its age
    │   ├── RateLimited        the system asked us to wait
    │   ├── Unauthenticated    the credentials are missing, wrong or expired: exit 4
    │   ├── Denied             the credentials are good, the permission is missing: exit 4
    │   ├── Missing            what was asked for is not there
    │   ├── Conflict           it has changed since it was read: nothing was done
    │   └── OutcomeUnknown     a write was sent and no answer came: exit 6
    └── Refused                the rules of this place forbid it, before anything is sent: exit 5

A message says what happened, and to what; `hint` says what to do next. Neither ever holds a secret.
"""

from collections.abc import Iterable
from datetime import datetime

from mlops_tui.domain.text import clean_line


class MlopsTuiError(Exception):
    """The base of all errors that this project raises on purpose.

    Attributes:
        hint: What to do next, as one line; empty if there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = clean_line(message)
        self.hint = clean_line(hint)
        super().__init__(self.message)


class ConfigError(MlopsTuiError):
    """A configuration file, environment variable or option is wrong.

    Attributes:
        others: What else is wrong with the same file, a line each.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", *, others: Iterable[str] = ()) -> None:
        super().__init__(message, hint)
        self.others = tuple(clean_line(line) for line in others)


class EngineError(MlopsTuiError):
    """The engine process or the wire to it failed."""


class SourceError(MlopsTuiError):
    """A system did not give what was asked of it."""


class NotConfigured(SourceError):
    """Nothing says where the system is."""


class Unavailable(SourceError):
    """The system did not answer, or answered with an error of its own.

    Attributes:
        retry_after: Seconds that the system asked us to wait, or `None`.
    """

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class RateLimited(SourceError):
    """The system's quota is used up.

    Attributes:
        until: When the quota is whole again, in UTC.
    """

    def __init__(self, message: str, until: datetime, hint: str = "") -> None:
        super().__init__(message, hint)
        self.until = until


class Unauthenticated(SourceError):
    """The credentials are missing, wrong or expired."""

    exit_code = 4


class Denied(SourceError):
    """The credentials are good, but may not do this.

    Attributes:
        missing: The permission that is missing, in the system's own words.
    """

    exit_code = 4

    def __init__(self, message: str, hint: str = "", *, missing: str = "") -> None:
        super().__init__(message, hint)
        self.missing = clean_line(missing)


class Missing(SourceError):
    """What was asked for is not there."""


class Conflict(SourceError):
    """It has changed since it was read, or is there already; nothing was done."""


class OutcomeUnknown(SourceError):
    """A write was sent and no answer came: whether it happened has to be looked up, never tried again."""

    exit_code = 6


class Refused(MlopsTuiError):
    """The rules of this place forbid it: read-only, a freeze, a lock, no confirmation. Nothing was sent."""

    exit_code = 5
