"""Evaluates PromQL at one time after the other.

The semantics are those of Prometheus 2: ranges include both of their ends, and a series that has been silent for five
minutes is gone.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import promql_parser as promql

from mlops_tui.demo.prometheus.aggregation import aggregate
from mlops_tui.demo.prometheus.arithmetic import combine
from mlops_tui.demo.prometheus.functions import DATES, ELEMENTWISE, FUNCTIONS
from mlops_tui.demo.prometheus.ranges import OVER_TIME, Window, linear_regression, quantile
from mlops_tui.demo.prometheus.storage import NAME, Labels, Matcher, SampleStore, Series, labels_of
from mlops_tui.demo.prometheus.values import (
    BadQuery,
    Matrix,
    QueryTimeout,
    Value,
    Vector,
    distinct,
    number_of,
    unnamed,
    vector_of,
)

LOOKBACK_MS: Final = 300_000
SUBQUERY_STEP_MS: Final = 60_000
"""Of a subquery that names none: Prometheus' evaluation interval."""

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def parse(query: str) -> promql.Expr:
    """Return the expression that a query is.

    Raises:
        BadQuery: It is none.
    """
    if not query.strip():
        raise BadQuery("1:1: parse error: no expression found in input")
    try:
        return promql.parse(query)
    except ValueError as error:
        raise BadQuery(f"1:1: parse error: {error}") from None


def unwrapped(node: promql.Expr) -> promql.Expr:
    """Return an expression without the parentheses around it."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def matchers(selector: promql.VectorSelector) -> list[Matcher]:
    """Return the conditions of a selector on labels.

    Raises:
        BadQuery: One of them is no regular expression.
    """
    if selector.matchers.or_matchers:
        raise BadQuery('1:1: parse error: unexpected "or" in label matching')
    return [_matcher(matcher) for matcher in selector.matchers.matchers]


def _matcher(matcher: promql.Matcher) -> Matcher:
    label, wanted = matcher.name, matcher.value
    if matcher.op == promql.MatchOp.Equal:
        return Matcher.equals(label, wanted)
    if matcher.op == promql.MatchOp.NotEqual:
        return Matcher(label, wanted.__ne__)
    try:
        pattern = re.compile(wanted)
    except re.error as error:
        raise BadQuery(f"1:1: parse error: error parsing regexp: {error}") from None
    if matcher.op == promql.MatchOp.Re:
        return Matcher(label, lambda value: pattern.fullmatch(value) is not None)
    return Matcher(label, lambda value: pattern.fullmatch(value) is None)


class Evaluator:
    """Evaluates the expressions of one query.

    Args:
        start: Of the query, in milliseconds since the epoch: what `@ start()` is; `end` likewise.
        timeout: Seconds that all of it may take.
    """

    def __init__(self, store: SampleStore, start: int, end: int, timeout: float) -> None:
        self._store = store
        self._deadline = time.monotonic() + timeout
        self._start, self._end = start, end
        self._selected: dict[str, list[Series]] = {}
        self._methods: dict[type, Callable[[Any, int], Value]] = {
            promql.NumberLiteral: lambda node, _: float(node.val),
            promql.StringLiteral: lambda node, _: str(node.val),
            promql.ParenExpr: lambda node, at: self.evaluate(node.expr, at),
            promql.UnaryExpr: self._negation,
            promql.BinaryExpr: self._binary,
            promql.AggregateExpr: self._aggregation,
            promql.VectorSelector: self._instant,
            promql.MatrixSelector: self._range,
            promql.SubqueryExpr: self._subquery,
            promql.Call: self._call,
        }

    def evaluate(self, node: promql.Expr, at: int) -> Value:
        """Return the value of an expression at a time.

        Raises:
            QueryError: There is none, or the time is up.
        """
        if time.monotonic() > self._deadline:
            raise QueryTimeout("query timed out in expression evaluation")
        return self._methods[type(node)](node, at)

    def _negation(self, node: promql.UnaryExpr, at: int) -> Value:
        value = self.evaluate(node.expr, at)
        if isinstance(value, float):
            return -value
        return distinct([(unnamed(labels), -each) for labels, each in vector_of(value)])

    def _binary(self, node: promql.BinaryExpr, at: int) -> Value:
        left, right = self.evaluate(node.lhs, at), self.evaluate(node.rhs, at)
        assert not isinstance(left, str)
        assert not isinstance(right, str)
        sides = [side if isinstance(side, float) else vector_of(side) for side in (left, right)]
        return combine(node, sides[0], sides[1])

    def _aggregation(self, node: promql.AggregateExpr, at: int) -> Value:
        parameter = None if node.param is None else self.evaluate(node.param, at)
        assert not isinstance(parameter, list)
        return aggregate(node, vector_of(self.evaluate(node.expr, at)), parameter)

    def _instant(self, node: promql.VectorSelector, at: int) -> Value:
        return [(labels, value) for labels, _, value in self._samples(node, at)]

    def _samples(self, node: promql.VectorSelector, at: int) -> list[tuple[Labels, int, float]]:
        moment = self._moment(node, at)
        found = []
        for series in self._series(node):
            sample = series.at(moment, LOOKBACK_MS)
            if sample is not None:
                found.append((series.labels, *sample))
        return found

    def _range(self, node: promql.MatrixSelector, at: int) -> Value:
        selector = node.vector_selector
        end = self._moment(selector, at)
        start = end - _milliseconds(node.range)
        windows = ((series.labels, series.window(start, end)) for series in self._series(selector))
        return [(labels, window) for labels, window in windows if window is not None]

    def _subquery(self, node: promql.SubqueryExpr, at: int) -> Value:
        assert node.range is not None
        end = self._moment(node, at)
        start = end - _milliseconds(node.range)
        step = _milliseconds(node.step) if node.step else SUBQUERY_STEP_MS
        found: dict[Labels, tuple[list[int], list[float]]] = {}
        # Steps are at multiples of their length, whenever the query is.
        for moment in range(-(-start // step) * step, end + 1, step):
            value = self.evaluate(node.expr, moment)
            for labels, each in [((), value)] if isinstance(value, float) else vector_of(value):
                times, values = found.setdefault(labels, ([], []))
                times.append(moment)
                values.append(each)
        return [(labels, Window(times, values, start, end)) for labels, (times, values) in sorted(found.items())]

    def _moment(self, node: promql.VectorSelector | promql.SubqueryExpr, at: int) -> int:
        modifier = node.at
        if modifier is not None:
            if modifier.type == promql.AtModifierType.Start:
                at = self._start
            elif modifier.type == promql.AtModifierType.End:
                at = self._end
            elif modifier.at is not None:
                at = _milliseconds(modifier.at - _EPOCH)
        return at - _milliseconds(node.offset) if node.offset is not None else at

    def _series(self, selector: promql.VectorSelector) -> list[Series]:
        """Return what a selector selects; series that begin while a query runs are not part of it."""
        key = str(selector)
        if key not in self._selected:
            name = selector.name or next(
                (m.value for m in selector.matchers.matchers if m.name == NAME and m.op == promql.MatchOp.Equal), None
            )
            self._selected[key] = self._store.select(matchers(selector), name)
        return self._selected[key]

    def _call(self, node: promql.Call, at: int) -> Value:
        name = node.func.name
        if name in OVER_TIME or name in ("quantile_over_time", "predict_linear"):
            return self._over_time(name, node, at)
        if name == "time":
            return at / 1000
        if name == "timestamp":
            return self._timestamp(node, at)
        if name in ("absent", "absent_over_time"):
            return self._absent(unwrapped(node.args[0]), at)
        if name in DATES and not node.args:
            now: Vector = [((), ELEMENTWISE[name](at / 1000))]
            return now
        if name in ELEMENTWISE:
            function = ELEMENTWISE[name]
            vector = vector_of(self.evaluate(node.args[0], at))
            return distinct([(unnamed(labels), function(value)) for labels, value in vector])
        if name not in FUNCTIONS:
            raise BadQuery(f'1:1: parse error: unknown function with name "{name}"')
        value = FUNCTIONS[name]([self.evaluate(argument, at) for argument in node.args])
        return value if isinstance(value, float) else distinct(value)

    def _over_time(self, name: str, node: promql.Call, at: int) -> Vector:
        function: Callable[[Window], float | None]
        if name == "quantile_over_time":
            fraction = number_of(self.evaluate(node.args[0], at))
            matrix = self._matrix(node.args[1], at)
            function = lambda window: quantile(fraction, window.values)  # noqa: E731
        elif name == "predict_linear":
            matrix, ahead = self._matrix(node.args[0], at), number_of(self.evaluate(node.args[1], at))

            def function(window: Window) -> float | None:
                line = linear_regression(window, at)
                return None if line is None else line[0] * ahead + line[1]
        else:
            matrix, function = self._matrix(node.args[0], at), OVER_TIME[name]
        computed = ((labels, function(window)) for labels, window in matrix)
        keeps_name = name == "last_over_time"
        return distinct(
            [(labels if keeps_name else unnamed(labels), value) for labels, value in computed if value is not None]
        )

    def _matrix(self, node: promql.Expr, at: int) -> Matrix:
        matrix: Matrix = self.evaluate(node, at)  # type: ignore[assignment]  # the parser has checked it
        return matrix

    def _timestamp(self, node: promql.Call, at: int) -> Vector:
        argument = unwrapped(node.args[0])
        if isinstance(argument, promql.VectorSelector):
            return distinct([(unnamed(labels), sampled / 1000) for labels, sampled, _ in self._samples(argument, at)])
        return distinct([(unnamed(labels), at / 1000) for labels, _ in vector_of(self.evaluate(argument, at))])

    def _absent(self, argument: promql.Expr, at: int) -> Vector:
        if self.evaluate(argument, at):
            return []
        selector = argument.vector_selector if isinstance(argument, promql.MatrixSelector) else argument
        if not isinstance(selector, promql.VectorSelector):
            return [((), 1.0)]
        known: dict[str, str] = {}
        ambiguous: set[str] = set()
        for matcher in selector.matchers.matchers:
            if matcher.name == NAME:
                continue
            if matcher.op == promql.MatchOp.Equal and matcher.name not in known:
                known[matcher.name] = matcher.value
            else:
                ambiguous.add(matcher.name)
        return [(labels_of({name: value for name, value in known.items() if name not in ambiguous}), 1.0)]


def _milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
