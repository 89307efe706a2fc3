"""Times as they are read: ages of one unit, durations, UTC stamps."""

import re
from datetime import UTC, datetime


def age(since: datetime | None, now: datetime) -> str:
    """Return how long ago `since` was, in one unit (`4s`, `12m`, `3h`, `2d`); empty for `None`."""
    return "" if since is None else one_unit((now - since).total_seconds())


def one_unit(seconds: float) -> str:
    """Return a span in its largest whole unit; a negative one, from clocks that disagree, counts as none."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h"
    return f"{whole // 86_400}d"


def duration(seconds: float) -> str:
    """Return a span in two units, of constant width within a unit: `31s`, `6m12s`, `3h02m`, `2d04h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def ago(moment: datetime, now: datetime) -> str:
    """Return a moment as details show it: `18 Nov 09:40Z, 3m ago`."""
    return f"{stamp(moment, now)}, {age(moment, now)} ago"


_MOMENT = re.compile(r"\b(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)? ?(?:Z|UTC)(?!\w)")


def retell(text: str, now: datetime) -> str:
    """Return `text` with the UTC moments in it (`2026-11-18 09:40:02Z`) as `ago` tells them.

    What was fetched stays on the screen while its age grows, so that it is told anew each time it is shown.
    """
    return _MOMENT.sub(lambda found: _retold(found, now), text) if _MOMENT.search(text) else text


def _retold(found: re.Match[str], now: datetime) -> str:
    try:
        return ago(datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00"), now)
    except ValueError:
        return found[0]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def stamp(moment: datetime, now: datetime) -> str:
    """Return a moment as `18 Nov 09:40Z`, with the year where it is not `now`'s; the locale has no say."""
    utc = moment.astimezone(UTC)
    year = "" if utc.year == now.astimezone(UTC).year else f" {utc.year}"
    return f"{utc.day} {_MONTHS[utc.month - 1]}{year} {utc:%H:%M}Z"
