"""Aggregations over the elements of a vector."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import promql_parser as promql

from mlops_tui.demo.prometheus.ranges import average, highest, lowest, quantile, total, variance
from mlops_tui.demo.prometheus.storage import NAME, Labels
from mlops_tui.demo.prometheus.values import BadQuery, ExecutionError, Vector, only, render, without

LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_SIMPLE: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "sum": total,
    "avg": average,
    "min": lowest,
    "max": highest,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}


def aggregate(node: promql.AggregateExpr, vector: Vector, parameter: float | str | None) -> Vector:
    """Return what an aggregation makes of a vector.

    Raises:
        BadQuery: The aggregation is none of those that are known here.
        ExecutionError: Its parameter makes no sense.
    """
    name = str(node.op)
    group = _grouping(node)
    if name == "count_values":
        return _count_values(vector, group, str(parameter))
    groups: dict[Labels, Vector] = {}
    for element in vector:
        groups.setdefault(group(element[0]), []).append(element)
    if name in _SIMPLE:
        return [(labels, _SIMPLE[name]([value for _, value in members])) for labels, members in groups.items()]
    if name == "quantile":
        fraction = _number(parameter)
        return [(labels, quantile(fraction, [v for _, v in members])) for labels, members in groups.items()]
    if name in ("topk", "bottomk"):
        return _extremes(groups, _count(_number(parameter)), highest_first=name == "topk")
    raise BadQuery(f'unknown function with name "{name}"')


def _grouping(node: promql.AggregateExpr) -> Callable[[Labels], Labels]:
    modifier = node.modifier
    if modifier is None:
        return lambda _: ()
    if modifier.type == promql.AggModifierType.By:
        kept = frozenset(modifier.labels)
        return lambda labels: only(labels, kept)
    dropped = frozenset((NAME, *modifier.labels))
    return lambda labels: without(labels, dropped)


def _number(parameter: float | str | None) -> float:
    assert isinstance(parameter, float)
    return parameter


def _count(number: float) -> int:
    if not math.isfinite(number) or abs(number) >= 2**63:
        raise ExecutionError(f"Scalar value {render(number)} overflows int64")
    return int(number)


def _extremes(groups: dict[Labels, Vector], count: int, *, highest_first: bool) -> Vector:
    if count < 1:
        return []
    sign = -1 if highest_first else 1
    made: Vector = []
    for members in groups.values():
        # NaN comes after every number in both directions.
        made += sorted(members, key=lambda element: (math.isnan(element[1]), sign * element[1]))[:count]
    return made


def _count_values(vector: Vector, group: Callable[[Labels], Labels], label: str) -> Vector:
    if not LABEL_NAME.fullmatch(label):
        raise ExecutionError(f'invalid label name "{label}"')
    counts: dict[Labels, int] = {}
    for labels, value in vector:
        key = tuple(sorted({**dict(group(labels)), label: render(value)}.items()))
        counts[key] = counts.get(key, 0) + 1
    return [(labels, float(count)) for labels, count in counts.items()]
