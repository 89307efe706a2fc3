"""The promotion gate: thresholds, today's champion, and what is missing."""

import math
from typing import Any

import pytest

from mlops_tui.config.settings import ModelSettings
from mlops_tui.domain.gate import Measured, judge_gates
from mlops_tui.domain.operation import GateResult

NAN, INF = math.nan, math.inf


def judged(gate: dict[str, Any], value: float | None, champion: float | None = None, **more: Any) -> GateResult:
    """Return how a version with an accuracy does at one gate; the champion has version 12."""
    name = more.pop("name", "accuracy")
    rule = ModelSettings.model_validate(
        {"metric": "accuracy", "gates": {name: gate}, "higher_is_better": more.pop("higher", True)}
    )
    metrics = {} if value is None else {name: value}
    rival = Measured(more.pop("rival", 12), {} if champion is None or champion is NAN else {name: champion})
    [result] = judge_gates(rule, Measured(13, metrics, more.pop("doubt", "")), None if champion is None else rival)
    assert not more
    return result


def test_the_evidence_names_value_threshold_champion_and_tolerance() -> None:
    result = judged({"at_least": 0.85, "tolerance": 0.01}, 0.8312, 0.9410)
    assert result.name == "accuracy"
    assert result.passed is False
    assert result.evidence == "0.8312 ≥ 0.85 · champion v12 0.9410 (−0.1098, tolerance 0.01)"


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        ({"at_least": 0.85}, 0.85, True),
        ({"at_least": 0.85}, 0.8499999, False),
        ({"at_most": 0.2}, 0.2, True),
        ({"at_most": 0.2}, 0.2000001, False),
        ({"at_least": 0.1, "at_most": 0.2}, 0.15, True),
        ({"at_least": 0.1, "at_most": 0.2}, 0.05, False),
        ({"at_least": 0.1, "at_most": 0.2}, 0.25, False),
        ({"at_least": 0.0}, 0.0, True),
        ({}, 0.5, True),
        ({"at_least": 0.85}, None, False),
        ({"at_least": 0.85}, NAN, False),
        ({"at_least": 0.85}, INF, False),
        ({"at_most": 0.2}, -INF, False),
        ({}, None, False),
        ({"tolerance": 1.0}, NAN, False),
    ],
)
def test_thresholds(gate: dict[str, Any], value: float | None, passed: bool) -> None:
    assert judged(gate, value).passed is passed


@pytest.mark.parametrize(
    ("value", "champion", "tolerance", "higher", "passed"),
    [
        (0.93, 0.94, 0.01, True, True),  # as decimals it is the tolerance itself
        (0.9299, 0.94, 0.01, True, False),
        (0.95, 0.94, 0.0, True, True),
        (0.94, 0.94, 0.0, True, True),
        (0.9399, 0.94, 0.0, True, False),
        (0.21, 0.20, 0.01, False, True),
        (0.2101, 0.20, 0.01, False, False),
        (0.10, 0.20, 0.0, False, True),
    ],
)
def test_not_worse_than_the_champion(
    value: float, champion: float, tolerance: float, higher: bool, passed: bool
) -> None:
    assert judged({"tolerance": tolerance}, value, champion, higher=higher).passed is passed


@pytest.mark.parametrize(
    ("name", "gate", "worse"),
    [
        ("recall", {"at_least": 0.1}, 0.4),
        ("p95_seconds", {"at_most": 9.0}, 0.6),
        ("val_loss", {}, 0.6),
        ("f1", {}, 0.4),
        ("loss", {"at_least": 0.1, "at_most": 9.0}, 0.6),
    ],
)
def test_the_direction_of_other_metrics_follows_from_threshold_or_name(
    name: str, gate: dict[str, Any], worse: float
) -> None:
    gate = {**gate, "tolerance": 0.01}
    assert judged(gate, worse, 0.5, name=name).passed is False
    assert judged(gate, 1.0 - worse, 0.5, name=name).passed is True


def test_no_champion_is_nothing_to_be_worse_than() -> None:
    result = judged({"tolerance": 0.01}, 0.5)
    assert (result.passed, result.evidence) == (True, "0.5000 · no champion to compare with")


def test_the_champion_itself_is_not_compared() -> None:
    assert judged({"tolerance": 0.01}, 0.5, 0.9, rival=13).passed is True


def test_a_champion_without_the_metric_leaves_it_open() -> None:
    result = judged({"at_least": 0.1, "tolerance": 0.01}, 0.5, NAN)
    assert result.passed is None
    assert result.evidence == "0.5000 ≥ 0.1 · champion v12 has no accuracy to compare with"
    assert judged({"at_least": 0.9, "tolerance": 0.01}, 0.5, NAN).passed is False


@pytest.mark.parametrize(("value", "passed"), [(0.9, None), (0.5, False), (None, None)])
def test_a_run_in_doubt_never_passes(value: float | None, passed: bool | None) -> None:
    result = judged({"at_least": 0.85}, value, doubt="its run is deleted")
    assert result.passed is passed
    assert result.evidence.endswith(" · its run is deleted")


@pytest.mark.parametrize(
    ("gate", "value", "evidence"),
    [
        ({"at_least": 0.85}, None, "is missing (≥ 0.85)"),
        ({}, None, "is missing"),
        ({"at_most": 2.0}, NAN, "is nan, which is no number (≤ 2)"),
        ({"at_least": 0.85}, 0.84999, "0.84999 ≥ 0.85"),
        ({"at_least": 0.00001}, 0.0000123, "1.23e-05 ≥ 1e-05"),
        ({"at_least": 1.0, "at_most": 1e6}, 123456.7, "123457 ≥ 1 and ≤ 1e+06"),
    ],
)
def test_values_are_told_so_that_they_never_belie_the_verdict(
    gate: dict[str, Any], value: float | None, evidence: str
) -> None:
    assert judged(gate, value).evidence == evidence


def test_what_is_only_arithmetic_is_no_difference() -> None:
    assert "(+0.0000, tolerance 0)" in judged({"tolerance": 0.0}, 0.1 + 0.2, 0.3).evidence
    assert judged({"tolerance": 0.0}, 0.3, 0.1 + 0.2).passed is True


def test_every_gate_has_its_own_result_in_the_order_of_the_settings() -> None:
    rule = ModelSettings.model_validate(
        {"metric": "f1", "gates": {"f1": {"at_least": 0.5}, "accuracy": {}, "loss": {"at_most": 0.1}}}
    )
    results = judge_gates(rule, Measured(1, {"f1": 0.6, "loss": 0.2}), None)
    assert [(result.name, result.passed) for result in results] == [("f1", True), ("accuracy", False), ("loss", False)]
