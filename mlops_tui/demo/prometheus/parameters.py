"""The parameters of the HTTP API: times, durations, selectors."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import promql_parser as promql

from mlops_tui.demo.prometheus.evaluator import matchers, parse, unwrapped
from mlops_tui.demo.prometheus.storage import NAME, Matcher, SampleStore, Series
from mlops_tui.demo.prometheus.values import BadQuery

Parameters = Mapping[str, Sequence[str]]
"""Every value that was given, by name."""

MAX_POINTS: Final = 11_000
MAX_TIMEOUT_SECONDS: Final = 10.0
"""How long a query may take where it does not ask for less: meanwhile others of the process wait now and then."""
_UNITS: Final = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION: Final = re.compile(r"(?=\d)" + "".join(rf"(?:(\d+){unit})?" for unit in _UNITS))
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_MAX_SECONDS: Final = 2**63 / 1e9
"""What fits the nanoseconds of a Go duration."""


def first(parameters: Parameters, name: str) -> str:
    """Return the first value of a parameter, empty if there is none."""
    values = parameters.get(name)
    return values[0] if values else ""


def moment(parameters: Parameters, name: str, default: int | None = None) -> int:
    """Return a time in milliseconds since the epoch.

    Raises:
        BadQuery: It is neither seconds nor RFC 3339.
    """
    text = first(parameters, name)
    if not text and default is not None:
        return default
    seconds = _number(text)
    if seconds is None and _INSTANT.fullmatch(text):
        try:
            seconds = datetime.fromisoformat(text).astimezone(UTC).timestamp()
        except (ValueError, OverflowError):
            seconds = None
    if seconds is None or abs(seconds) > _MAX_SECONDS:
        optional = "" if default is None else f"Invalid time value for '{name}': "
        raise BadQuery(f'invalid parameter "{name}": {optional}cannot parse "{text}" to a valid timestamp')
    return math.floor(seconds * 1000 + 0.5)


def duration(parameters: Parameters, name: str) -> float:
    """Return seconds, given as a number or as a duration such as `1h30m`.

    Raises:
        BadQuery: It is neither.
    """
    text = first(parameters, name)
    seconds = _number(text)
    if seconds is None and (match := _DURATION.fullmatch(text)):
        seconds = sum(int(count or 0) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True))
    if seconds is None:
        raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration')
    if abs(seconds) > _MAX_SECONDS:
        raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration. It overflows int64')
    return seconds


def timeout(parameters: Parameters) -> float:
    """Return the seconds that a query may take."""
    if not first(parameters, "timeout"):
        return MAX_TIMEOUT_SECONDS
    return min(MAX_TIMEOUT_SECONDS, duration(parameters, "timeout"))


def steps(parameters: Parameters) -> tuple[int, int, int]:
    """Return start, end and step of a range query in milliseconds.

    Raises:
        BadQuery: They make no range, or one of too many points.
    """
    start, end = moment(parameters, "start"), moment(parameters, "end")
    if end < start:
        raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
    seconds = duration(parameters, "step")
    if seconds <= 0:
        raise BadQuery(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    if (end - start) / 1000 / seconds > MAX_POINTS:
        raise BadQuery(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return start, end, max(1, round(seconds * 1000))


def selected(store: SampleStore, parameters: Parameters) -> list[Series]:
    """Return the series that any `match[]` selects (all without one) and that have samples from start to end.

    Raises:
        BadQuery: One of them is no selector.
    """
    start, end = moment(parameters, "start", -(2**62)), moment(parameters, "end", 2**62)
    selections = parameters.get("match[]", ())
    found = {} if selections else {series.labels: series for series in store}
    for text in selections:
        selector = unwrapped(parse(text))
        if not isinstance(selector, promql.VectorSelector):
            raise BadQuery(f'invalid parameter "match[]": 1:1: parse error: unexpected {text!r}')
        tests = matchers(selector)
        if selector.name:
            tests.append(Matcher.equals(NAME, selector.name))
        found |= {series.labels: series for series in store.select(tests, selector.name)}
    return [found[labels] for labels in sorted(found) if found[labels].window(start, end) is not None]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
