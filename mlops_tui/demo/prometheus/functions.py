"""Functions of numbers and of vectors."""

import calendar
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from mlops_tui.demo.prometheus.aggregation import LABEL_NAME
from mlops_tui.demo.prometheus.buckets import Bucket, bucket_quantile
from mlops_tui.demo.prometheus.storage import NAME, Labels, labels_of
from mlops_tui.demo.prometheus.values import (
    ExecutionError,
    Value,
    Vector,
    distinct,
    number_of,
    text_of,
    unnamed,
    vector_of,
    without,
)


def _total(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function of all floats: Python's raises where there is a pole or no value."""

    def computed(value: float) -> float:
        try:
            return float(function(value))
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return computed


def _logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    return _total(lambda value: -math.inf if value == 0 else function(value))


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(function(value)) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


def _moment(function: Callable[[datetime], int]) -> Callable[[float], float]:
    def computed(value: float) -> float:
        try:
            return float(function(datetime.fromtimestamp(value, UTC)))
        except (ValueError, OverflowError, OSError):
            # No number, or a year that has none here.
            return math.nan

    return computed


ELEMENTWISE: Final[dict[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _total(math.exp),
    "ln": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "sqrt": _total(math.sqrt),
    "sgn": _sign,
    "deg": math.degrees,
    "rad": math.radians,
    "sin": _total(math.sin),
    "cos": _total(math.cos),
    "tan": _total(math.tan),
    "asin": _total(math.asin),
    "acos": _total(math.acos),
    "atan": math.atan,
    "sinh": _total(math.sinh),
    "cosh": _total(math.cosh),
    "tanh": math.tanh,
    "minute": _moment(lambda at: at.minute),
    "hour": _moment(lambda at: at.hour),
    "day_of_week": _moment(lambda at: at.isoweekday() % 7),
    "day_of_month": _moment(lambda at: at.day),
    "day_of_year": _moment(lambda at: at.timetuple().tm_yday),
    "days_in_month": _moment(lambda at: calendar.monthrange(at.year, at.month)[1]),
    "month": _moment(lambda at: at.month),
    "year": _moment(lambda at: at.year),
}
"""By function; the metric's name is dropped."""
DATES: Final = frozenset(
    ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
)
"""Functions that take the time of evaluation without an argument."""


def _map(vector: Vector, function: Callable[[float], float]) -> Vector:
    return [(unnamed(labels), function(value)) for labels, value in vector]


def _clamp(arguments: Sequence[Value]) -> Vector:
    low, high = number_of(arguments[1]), number_of(arguments[2])
    if low > high:
        return []
    return _map(vector_of(arguments[0]), lambda value: _within(value, low, high))


def _within(value: float, low: float, high: float) -> float:
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return math.nan
    return max(low, min(high, value))


def _round(arguments: Sequence[Value]) -> Vector:
    nearest = number_of(arguments[1]) if len(arguments) > 1 else 1.0
    inverse = 1 / nearest if nearest else math.inf
    # Halves go up, below zero as well.
    rounded = _whole(lambda value: math.floor(value + 0.5))
    return _map(vector_of(arguments[0]), lambda value: rounded(value * inverse) / inverse)


def _sorted(vector: Vector, *, descending: bool) -> Vector:
    sign = -1 if descending else 1
    return sorted(vector, key=lambda element: (math.isnan(element[1]), sign * element[1]))


def _scalar(arguments: Sequence[Value]) -> float:
    vector = vector_of(arguments[0])
    return vector[0][1] if len(vector) == 1 else math.nan


_TEMPLATE: Final = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


def _label_replace(arguments: Sequence[Value]) -> Vector:
    target, replacement, source, expression = (text_of(argument) for argument in arguments[1:])
    try:
        pattern = re.compile(expression)
    except re.error:
        raise ExecutionError(f"invalid regular expression in label_replace(): {expression}") from None
    if not LABEL_NAME.fullmatch(target):
        raise ExecutionError(f"invalid destination label name in label_replace(): {target}")
    made = []
    for labels, value in vector_of(arguments[0]):
        own = dict(labels)
        match = pattern.fullmatch(own.get(source, ""))
        if match is not None:
            own[target] = _expand(replacement, match)
        made.append((labels_of(own), value))
    return distinct(made)


def _expand(template: str, match: re.Match[str]) -> str:
    def put(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _TEMPLATE.sub(put, template)


def _label_join(arguments: Sequence[Value]) -> Vector:
    target, separator, *sources = (text_of(argument) for argument in arguments[1:])
    for name in sources:
        if not LABEL_NAME.fullmatch(name):
            raise ExecutionError(f"invalid source label name in label_join(): {name}")
    if not LABEL_NAME.fullmatch(target):
        raise ExecutionError(f"invalid destination label name in label_join(): {target}")
    made = []
    for labels, value in vector_of(arguments[0]):
        own = dict(labels)
        own[target] = separator.join(own.get(name, "") for name in sources)
        made.append((labels_of(own), value))
    return distinct(made)


_BOUND: Final = frozenset({NAME, "le"})


def _histogram_quantile(arguments: Sequence[Value]) -> Vector:
    fraction = number_of(arguments[0])
    histograms: dict[Labels, list[Bucket]] = {}
    for labels, value in vector_of(arguments[1]):
        try:
            bound = float(dict(labels).get("le", ""))
        except ValueError:
            continue
        histograms.setdefault(without(labels, _BOUND), []).append((bound, value))
    return [(labels, bucket_quantile(fraction, buckets)) for labels, buckets in histograms.items()]


FUNCTIONS: Final[dict[str, Callable[[Sequence[Value]], float | Vector]]] = {
    "pi": lambda _: math.pi,
    "scalar": _scalar,
    "vector": lambda arguments: [((), number_of(arguments[0]))],
    "clamp": _clamp,
    "clamp_min": lambda arguments: _clamp((arguments[0], arguments[1], math.inf)),
    "clamp_max": lambda arguments: _clamp((arguments[0], -math.inf, arguments[1])),
    "round": _round,
    "sort": lambda arguments: _sorted(vector_of(arguments[0]), descending=False),
    "sort_desc": lambda arguments: _sorted(vector_of(arguments[0]), descending=True),
    "label_replace": _label_replace,
    "label_join": _label_join,
    "histogram_quantile": _histogram_quantile,
}
"""By function, those whose result follows from the values of their arguments alone."""
