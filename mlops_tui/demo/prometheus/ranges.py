"""What PromQL computes from the samples of one series within a range.

Each function takes the samples (never empty) and returns a value, or `None` where Prometheus has no result.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Sample = tuple[int, float]
"""Time in milliseconds since the epoch, and value."""

_EXTRAPOLATION: Final = 1.1
"""How many average distances a sample may be from the range's border for the whole gap to be extrapolated."""


@dataclass(frozen=True, slots=True)
class Window:
    """Samples, and the borders of the range that they were selected by, in milliseconds.

    Attributes:
        is_rising: No value is less than the one before it; where that is not known, false.
    """

    times: Sequence[int]
    values: Sequence[float]
    start: int
    end: int
    is_rising: bool = False


def rate(window: Window) -> float | None:
    """Return the increase of a counter per second."""
    return _extrapolated(window, is_counter=True, per_second=True)


def increase(window: Window) -> float | None:
    """Return the increase of a counter."""
    return _extrapolated(window, is_counter=True, per_second=False)


def delta(window: Window) -> float | None:
    """Return the difference that a gauge made."""
    return _extrapolated(window, is_counter=False, per_second=False)


def _extrapolated(window: Window, *, is_counter: bool, per_second: bool) -> float | None:
    times, values = window.times, window.values
    if len(times) < 2:
        return None
    first = values[0]
    change = values[-1] - first
    if is_counter and not window.is_rising:
        change += sum(before for before, after in pairwise(values) if after < before)
    to_start, to_end = (times[0] - window.start) / 1000, (window.end - times[-1]) / 1000
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(times) - 1)
    if is_counter and change > 0 and first >= 0:
        # A counter cannot have been below zero: it is not extrapolated to before that.
        to_start = min(to_start, sampled * (first / change))
    covered = sampled
    for gap in (to_start, to_end):
        covered += gap if gap < average * _EXTRAPOLATION else average / 2
    factor = covered / sampled
    if per_second:
        factor /= (window.end - window.start) / 1000
    return change * factor


def irate(window: Window) -> float | None:
    """Return the increase of a counter per second between its two latest samples."""
    change = _latest_change(window, is_counter=True)
    return None if change is None else change[0] / change[1]


def idelta(window: Window) -> float | None:
    """Return the difference between the two latest samples."""
    change = _latest_change(window, is_counter=False)
    return None if change is None else change[0]


def _latest_change(window: Window, *, is_counter: bool) -> tuple[float, float] | None:
    if len(window.times) < 2:
        return None
    before, value = window.values[-2:]
    change = value if is_counter and value < before else value - before
    return change, (window.times[-1] - window.times[-2]) / 1000


def linear_regression(window: Window, origin: int) -> tuple[float, float] | None:
    """Return slope per second, and value at `origin`, of the line through the samples."""
    ys = window.values
    count = len(ys)
    if count < 2:
        return None
    if all(value == ys[0] for value in ys):
        return (math.nan, math.nan) if math.isinf(ys[0]) else (0.0, ys[0])
    xs = [(at - origin) / 1000 for at in window.times]
    mean_x, mean_y = average(xs), average(ys)
    covariance = total([(x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)])
    slope = covariance / total([(x - mean_x) * (x - mean_x) for x in xs])
    return slope, mean_y - slope * mean_x


def deriv(window: Window) -> float | None:
    """Return the slope of a gauge per second."""
    line = linear_regression(window, window.times[0])
    return None if line is None else line[0]


def changes(window: Window) -> float:
    """Return how often the value changed."""
    pairs = pairwise(window.values)
    return float(sum(before != after and not (math.isnan(before) and math.isnan(after)) for before, after in pairs))


def resets(window: Window) -> float:
    """Return how often a counter began anew."""
    return float(sum(after < before for before, after in pairwise(window.values)))


def average(values: Sequence[float]) -> float:
    """Return the mean, keeping infinities."""
    return total(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """Return the variance of a whole population."""
    mean = average(values)
    if not math.isfinite(mean):
        return math.nan
    # Products and not powers: where they are too large they are infinite, which powers refuse.
    return total([(value - mean) * (value - mean) for value in values]) / len(values)


def quantile(fraction: float, values: Sequence[float]) -> float:
    """Return a quantile, interpolated between neighbours; below 0 and above 1 it is infinite."""
    if not values or math.isnan(fraction):
        return math.nan
    if fraction < 0:
        return -math.inf
    if fraction > 1:
        return math.inf
    # NaN sorts first.
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = fraction * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def lowest(values: Sequence[float]) -> float:
    """Return the least value; NaN only if there is nothing else."""
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def highest(values: Sequence[float]) -> float:
    """Return the greatest value; NaN only if there is nothing else."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def total(values: Sequence[float]) -> float:
    """Return the sum."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        # It refuses sums that are too large, and infinities of both signs.
        return sum(values)


OVER_TIME: Final[dict[str, Callable[[Window], float | None]]] = {
    "rate": rate,
    "increase": increase,
    "delta": delta,
    "irate": irate,
    "idelta": idelta,
    "deriv": deriv,
    "changes": changes,
    "resets": resets,
    "avg_over_time": lambda window: average(window.values),
    "min_over_time": lambda window: lowest(window.values),
    "max_over_time": lambda window: highest(window.values),
    "sum_over_time": lambda window: total(window.values),
    "count_over_time": lambda window: float(len(window.times)),
    "last_over_time": lambda window: window.values[-1],
    "present_over_time": lambda _: 1.0,
    "stddev_over_time": lambda window: math.sqrt(variance(window.values)),
    "stdvar_over_time": lambda window: variance(window.values),
}
"""By function; all but `last_over_time` drop the metric's name."""
