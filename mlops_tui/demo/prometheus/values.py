"""What expressions evaluate to, and how it may fail."""

import math
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from mlops_tui.demo.prometheus.ranges import Window
from mlops_tui.demo.prometheus.storage import NAME, Labels

Element = tuple[Labels, float]
Vector = list[Element]
"""Values at one time, each set of labels once."""
Matrix = list[tuple[Labels, Window]]
Value = float | str | Vector | Matrix

_CACHED: Final = 1 << 14
"""Sets of labels whose derivations are remembered: the series of a busy query, some times over."""


class QueryError(Exception):
    """A query has no answer; the message says why.

    BadQuery: it is no PromQL, or asks for something that makes no sense.
    ExecutionError: it failed while it was evaluated.
    QueryTimeout: it took too long.
    """

    kind = "internal"


class BadQuery(QueryError):
    """The query or a parameter is wrong."""

    kind = "bad_data"


class ExecutionError(QueryError):
    """The query failed on the data."""

    kind = "execution"


class QueryTimeout(QueryError):
    """The query took longer than it may."""

    kind = "timeout"


@lru_cache(_CACHED)
def without(labels: Labels, names: frozenset[str]) -> Labels:
    """Return labels without some."""
    return tuple(pair for pair in labels if pair[0] not in names)


@lru_cache(_CACHED)
def only(labels: Labels, names: frozenset[str]) -> Labels:
    """Return some of the labels."""
    return tuple(pair for pair in labels if pair[0] in names)


_NAME_ALONE: Final = frozenset({NAME})


def unnamed(labels: Labels) -> Labels:
    """Return labels without the metric's name."""
    return without(labels, _NAME_ALONE)


def distinct(vector: Vector) -> Vector:
    """Return the vector.

    Raises:
        ExecutionError: Two of its elements have the same labels.
    """
    if len({labels for labels, _ in vector}) < len(vector):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return vector


def vector_of(value: Value) -> Vector:
    """Return an argument that the parser has checked to be an instant vector."""
    assert isinstance(value, list)
    return value  # type: ignore[return-value]  # the parser tells instant from range vectors


def number_of(value: Value) -> float:
    """Return an argument that the parser has checked to be a scalar."""
    assert isinstance(value, float)
    return value


def text_of(value: Value) -> str:
    """Return an argument that the parser has checked to be a string."""
    assert isinstance(value, str)
    return value


def render(value: float) -> str:
    """Return a number as Prometheus writes it: never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return "-0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    return format(Decimal(repr(value)), "f")


def describe(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as error messages show them."""
    own = dict(labels)
    name = own.pop(NAME, "")
    inner = ", ".join(f'{label}="{value}"' for label, value in own.items())
    return f"{name}{{{inner}}}"
