"""The promotion gate: what a version has to show before it may serve, judged by its run's metrics.

A metric that is missing, or is no number, fails; where the run itself is in doubt nothing counts as passed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlops_tui.domain.model import LOWER_IS_BETTER
from mlops_tui.domain.operation import GateResult

MINUS = "\N{MINUS SIGN}"
_NOISE = 1e-9
"""The part of a value by which arithmetic alone may miss a tolerance."""


class Threshold(Protocol):
    """What is asked of one metric."""

    @property
    def at_least(self) -> float | None:
        """The smallest value that passes."""

    @property
    def at_most(self) -> float | None:
        """The largest value that passes."""

    @property
    def tolerance(self) -> float | None:
        """By how much it may be worse than the champion's; not compared where `None`."""


class GateRule(Protocol):
    """How one model is judged."""

    @property
    def metric(self) -> str:
        """The metric whose direction is configured."""

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""

    @property
    def gates(self) -> Mapping[str, Threshold]:
        """What is asked, by metric."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A version with what its run measured.

    Attributes:
        doubt: Why the run cannot be relied upon, as a clause: `its run is deleted`; empty where it can.
    """

    version: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    doubt: str = ""


def judge_gates(rule: GateRule, candidate: Measured, champion: Measured | None) -> tuple[GateResult, ...]:
    """Return whether a candidate passes each gate, in the order in which they are configured.

    Args:
        champion: What serves today; `None` where nothing does. A version is not compared with itself.
    """
    rival = champion if champion is not None and champion.version != candidate.version else None
    return tuple(_judge(rule, name, threshold, candidate, rival) for name, threshold in rule.gates.items())


def higher_is_better(rule: GateRule, metric: str, threshold: Threshold) -> bool:
    """Return a metric's direction: as configured, as its threshold implies, or as its name says."""
    if metric == rule.metric:
        return rule.higher_is_better
    if (threshold.at_least is None) != (threshold.at_most is None):
        return threshold.at_least is not None
    return LOWER_IS_BETTER.isdisjoint(re.split(r"[^a-z0-9]+", metric.lower()))


def _judge(
    rule: GateRule, name: str, threshold: Threshold, candidate: Measured, champion: Measured | None
) -> GateResult:
    value = candidate.metrics.get(name)
    if value is None or not math.isfinite(value):
        said = "is missing" if value is None else f"is {value}, which is no number"
        asked = _bounds(threshold)
        evidence = [f"{said}{f' ({asked})' if asked else ''}"]
        failed = None if candidate.doubt else False
        return GateResult(name=name, passed=failed, evidence=_with_doubt(evidence, candidate))
    evidence = [f"{_number(value, threshold)} {_bounds(threshold)}".strip()]
    passed: bool | None = (threshold.at_least is None or value >= threshold.at_least) and (
        threshold.at_most is None or value <= threshold.at_most
    )
    if threshold.tolerance is not None:
        direction = 1 if higher_is_better(rule, name, threshold) else -1
        holds, said = _compare(name, value, threshold.tolerance, direction, champion)
        evidence.append(said)
        passed = False if passed is False or holds is False else holds
    if candidate.doubt and passed:
        passed = None
    return GateResult(name=name, passed=passed, evidence=_with_doubt(evidence, candidate))


def _compare(
    name: str, value: float, tolerance: float, direction: int, champion: Measured | None
) -> tuple[bool | None, str]:
    """Return whether a value is not worse than the champion's by more than the tolerance, and how that reads."""
    if champion is None:
        return True, "no champion to compare with"
    theirs = champion.metrics.get(name)
    if theirs is None or not math.isfinite(theirs):
        return None, f"champion v{champion.version} has no {name} to compare with"
    gain = value - theirs
    holds = -direction * gain <= tolerance + _NOISE * max(abs(value), abs(theirs))
    return holds, f"champion v{champion.version} {_plain(theirs)} ({_signed(gain)}, tolerance {tolerance:g})"


def _bounds(threshold: Threshold) -> str:
    """Return what is asked of a value, whether or not it holds; empty where nothing is."""
    bounds = (("≥", threshold.at_least), ("≤", threshold.at_most))
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _with_doubt(evidence: list[str], candidate: Measured) -> str:
    return " · ".join([*evidence, *([candidate.doubt] if candidate.doubt else [])])


def _number(value: float, threshold: Threshold) -> str:
    """Return a value, in full where rounding would put it on the other side of a bound, or on it."""
    shown = _plain(value)
    for bound in (threshold.at_least, threshold.at_most):
        if bound is not None and (value < bound, value == bound) != (float(shown) < bound, float(shown) == bound):
            return repr(value)
    return shown


def _plain(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 10:
        return f"{value:.4f}"
    return f"{value:.6g}"


def _signed(value: float) -> str:
    # What is no more than arithmetic's own error is no difference.
    text = _plain(abs(value)) if abs(value) > _NOISE else "0.0000"
    return f"{MINUS if value < -_NOISE else '+'}{text}"
