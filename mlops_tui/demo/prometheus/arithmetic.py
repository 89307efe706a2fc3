"""Operators between numbers and between vectors."""

import math
import operator
from collections.abc import Callable
from typing import Final

import promql_parser as promql

from mlops_tui.demo.prometheus.storage import NAME, Labels
from mlops_tui.demo.prometheus.values import (
    BadQuery,
    ExecutionError,
    Vector,
    describe,
    distinct,
    only,
    unnamed,
    without,
)

Key = Callable[[Labels], Labels]
"""Gives the labels by which elements of two vectors match."""


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if math.isnan(left) or left == 0:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _modulo(left: float, right: float) -> float:
    return math.nan if right == 0 or math.isinf(left) else math.fmod(left, right)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        odd = exponent % 2 == 1
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf
        return math.nan


_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SETS: Final = ("and", "or", "unless")


def combine(node: promql.BinaryExpr, left: float | Vector, right: float | Vector) -> float | Vector:
    """Return what the operator of a binary expression makes of its sides.

    Raises:
        ExecutionError: Elements of the two vectors match more than once.
        BadQuery: The operator is none of Prometheus'.
    """
    symbol = str(node.op)
    if symbol not in _ARITHMETIC and symbol not in _COMPARISONS and symbol not in _SETS:
        raise BadQuery(f"unknown operator {symbol}")
    as_bool = node.modifier is not None and node.modifier.return_bool
    if isinstance(left, list) and isinstance(right, list):
        key = _key(node)
        if symbol in _SETS:
            return _set_operation(symbol, left, right, key)
        return _Matching(node, symbol, as_bool, key).join(left, right)
    if isinstance(left, list):
        number = right
        assert isinstance(number, float)
        return _with_scalar(symbol, as_bool, left, lambda value: (value, number))
    if isinstance(right, list):
        return _with_scalar(symbol, as_bool, right, lambda value: (left, value))
    computed = _compute(symbol, left, right, as_bool=True)
    assert computed is not None
    return computed


def _compute(symbol: str, left: float, right: float, *, as_bool: bool, kept: float | None = None) -> float | None:
    """Return the value, or `None` if a comparison filters it away; `kept` is what a comparison lets through."""
    if symbol in _ARITHMETIC:
        return _ARITHMETIC[symbol](left, right)
    holds = _COMPARISONS[symbol](left, right)
    if as_bool:
        return float(holds)
    return (left if kept is None else kept) if holds else None


def _drops_name(symbol: str, as_bool: bool) -> bool:
    # Prometheus 2 forgot one of its operators here.
    return as_bool or (symbol in _ARITHMETIC and symbol != "atan2")


def _with_scalar(symbol: str, as_bool: bool, vector: Vector, sides: Callable[[float], tuple[float, float]]) -> Vector:
    made = []
    for labels, value in vector:
        computed = _compute(symbol, *sides(value), as_bool=as_bool, kept=value)
        if computed is not None:
            made.append((unnamed(labels) if _drops_name(symbol, as_bool) else labels, computed))
    return distinct(made)


def _listed(node: promql.BinaryExpr) -> tuple[bool, frozenset[str]]:
    """Return the labels of `on` (true) or `ignoring` (false)."""
    matching = node.modifier.matching if node.modifier is not None else None
    if matching is None:
        return False, frozenset()
    return matching.type == promql.LabelModifierType.Include, frozenset(matching.labels)


def _key(node: promql.BinaryExpr) -> Key:
    is_on, names = _listed(node)
    if is_on:
        return lambda labels: only(labels, names)
    ignored = names | {NAME}
    return lambda labels: without(labels, ignored)


def _set_operation(symbol: str, left: Vector, right: Vector, key: Key) -> Vector:
    if symbol == "or":
        known = {key(labels) for labels, _ in left}
        return distinct(left + [element for element in right if key(element[0]) not in known])
    known = {key(labels) for labels, _ in right}
    return [element for element in left if (key(element[0]) in known) == (symbol == "and")]


class _Matching:
    """Pairs the elements of two vectors, one to one or many to one."""

    def __init__(self, node: promql.BinaryExpr, symbol: str, as_bool: bool, key: Key) -> None:
        modifier = node.modifier
        self._is_on, self._named = _listed(node)
        self._symbol, self._as_bool, self._key = symbol, as_bool, key
        card = modifier.card if modifier is not None else promql.VectorMatchCardinality.OneToOne
        self._swapped = card == promql.VectorMatchCardinality.OneToMany
        self._one_to_one = card == promql.VectorMatchCardinality.OneToOne
        self._included = tuple((modifier.group_labels or ()) if modifier is not None else ())

    def join(self, left: Vector, right: Vector) -> Vector:
        many, one = (right, left) if self._swapped else (left, right)
        partners = self._index(one)
        made: Vector = []
        seen: set[Labels] = set()
        for labels, value in many:
            signature = self._key(labels)
            if signature not in partners:
                continue
            other_labels, other = partners[signature]
            sides = (other, value) if self._swapped else (value, other)
            computed = _compute(self._symbol, *sides, as_bool=self._as_bool)
            if computed is None:
                continue
            result = self._labels(labels, other_labels)
            if (signature if self._one_to_one else result) in seen:
                raise ExecutionError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    if self._one_to_one
                    else "multiple matches for labels: grouping labels must ensure unique matches"
                )
            seen.add(signature if self._one_to_one else result)
            made.append((result, computed))
        return made

    def _index(self, one: Vector) -> dict[Labels, tuple[Labels, float]]:
        partners: dict[Labels, tuple[Labels, float]] = {}
        for labels, value in one:
            signature = self._key(labels)
            if signature in partners:
                raise ExecutionError(
                    f"found duplicate series for the match group {describe(signature)} on the "
                    f"{'left' if self._swapped else 'right'} hand-side of the operation: "
                    f"[{describe(labels)}, {describe(partners[signature][0])}];"
                    "many-to-many matching not allowed: matching labels must be unique on one side"
                )
            partners[signature] = labels, value
        return partners

    def _labels(self, many: Labels, one: Labels) -> Labels:
        kept = unnamed(many) if _drops_name(self._symbol, self._as_bool) else many
        if self._one_to_one:
            return only(kept, self._named) if self._is_on else without(kept, self._named)
        if not self._included:
            return kept
        own, other = dict(kept), dict(one)
        for name in self._included:
            own.pop(name, None)
            if name in other:
                own[name] = other[name]
        return tuple(sorted(own.items()))
