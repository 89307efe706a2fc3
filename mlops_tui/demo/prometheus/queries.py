"""Instant and range queries over a store."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Literal

import promql_parser as promql

from mlops_tui.demo.prometheus.evaluator import Evaluator, parse, unwrapped
from mlops_tui.demo.prometheus.ranges import Sample
from mlops_tui.demo.prometheus.storage import Labels, SampleStore
from mlops_tui.demo.prometheus.values import BadQuery, Value, vector_of

_SLICE_SECONDS: Final = 0.02
"""Evaluated in one go; then others on the event loop get their turn."""
_RANGES: Final = (promql.MatrixSelector, promql.SubqueryExpr)


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of an instant query; `type` is what the API calls it."""

    type: Literal["scalar", "string", "vector", "matrix"]
    value: Value


def instant(store: SampleStore, query: str, at: int, *, timeout: float) -> Answer:
    """Return the answer to a query at a time, in milliseconds since the epoch.

    Args:
        timeout: Seconds that it may take.

    Raises:
        QueryError: There is none.
    """
    expression = parse(query)
    value = Evaluator(store, at, at, timeout).evaluate(expression, at)
    if isinstance(value, float):
        return Answer("scalar", value)
    if isinstance(value, str):
        return Answer("string", value)
    return Answer("matrix" if isinstance(unwrapped(expression), _RANGES) else "vector", value)


async def over(
    store: SampleStore, query: str, start: int, end: int, step: int, *, timeout: float
) -> list[tuple[Labels, list[Sample]]]:
    """Return the values of a query at every `step` from `start` to `end`, series by series.

    Args:
        start: In milliseconds, as are `end` and `step`.
        timeout: Seconds that it may take.

    Raises:
        QueryError: There are none.
    """
    expression = parse(query)
    _refuse_unsteppable(expression)
    evaluator = Evaluator(store, start, end, timeout)
    made: dict[Labels, list[Sample]] = {}
    resumed = time.monotonic()
    for at in range(start, end + 1, step):
        value = evaluator.evaluate(expression, at)
        for labels, each in [((), value)] if isinstance(value, float) else vector_of(value):
            made.setdefault(labels, []).append((at, each))
        if time.monotonic() - resumed > _SLICE_SECONDS:
            await asyncio.sleep(0)
            resumed = time.monotonic()
    return sorted(made.items())


def _refuse_unsteppable(expression: promql.Expr) -> None:
    inner = unwrapped(expression)
    kind = None
    if isinstance(inner, _RANGES):
        kind = "range vector"
    elif isinstance(inner, promql.StringLiteral):
        kind = "string"
    if kind is not None:
        raise BadQuery(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
