"""How versions are compared and marked."""

import math
from typing import Any

import pytest

from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.model import Channel, Metric, VersionRow, champion_of, choose_metric, judge_versions


def version(number: int, stage: str | None = None, *aliases: str, **fields: Any) -> VersionRow:
    """Return a version that nobody judged yet."""
    values: dict[str, Any] = {"status": "READY", "run_status": "FINISHED", **fields}
    return VersionRow(
        key=f"mlflow/m/{number}",
        source="mlflow",
        mark=Mark.UNKNOWN,
        attention=Attention.UNKNOWN,
        registry="mlflow",
        model="m",
        version=number,
        stage=stage,
        aliases=aliases,
        **values,
    )


def judge(*rows: VersionRow, **options: Any) -> dict[int, VersionRow]:
    """Return the judged rows by version."""
    return {row.version: row for row in judge_versions(rows, options.pop("champion", "champion"), **options)}


def test_the_champion_is_the_alias_before_the_stage() -> None:
    rows = [version(1, "Production"), version(2, None, "champion"), version(3, "Production")]
    assert champion_of(rows, "champion") is rows[1]
    assert champion_of(rows, "best") is rows[2]
    assert champion_of(rows[:0], "champion") is None
    assert champion_of([version(1, "Staging")], "champion") is None


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"zeta": 1.0, "f1": 0.5, "accuracy": 0.9}, Metric("accuracy", True)),
        ({"val_accuracy": 0.9, "accuracy": 0.8}, Metric("accuracy", True)),
        ({"val_loss": 0.3, "roc_auc": 0.8}, Metric("roc_auc", True)),
        ({"ndcg@10": 0.8, "alpha": 1.0}, Metric("ndcg@10", True)),
        ({"val_loss": 0.3}, Metric("val_loss", False)),
        ({"system/cpu": 1.0, "wer": 0.1}, Metric("wer", False)),
        ({"beta": 1.0, "alpha": 2.0}, Metric("alpha", True)),
        ({"system/cpu": 1.0}, None),
        ({}, None),
    ],
)
def test_the_metric_is_the_best_known(metrics: dict[str, float], expected: Metric | None) -> None:
    assert choose_metric([version(1, metrics=metrics)], None) == expected


def test_the_champions_metrics_decide_and_else_the_newest() -> None:
    old, new = version(1, metrics={"f1": 0.5}), version(2, metrics={"accuracy": 0.5})
    assert choose_metric([old, new], old) == Metric("f1", True)
    assert choose_metric([old, new], None) == Metric("accuracy", True)
    assert choose_metric([old, new, version(3)], version(4)) == Metric("accuracy", True)


def test_versions_are_compared_with_the_champion_and_it_with_the_one_before() -> None:
    rows = judge(
        version(1, "Archived", metrics={"accuracy": 0.90}),
        version(2, metrics={"accuracy": 0.99}),
        version(3, "Production", "champion", metrics={"accuracy": 0.94}),
        version(4, metrics={"accuracy": 0.95}),
        version(5, metrics={"loss": 0.1}),
    )
    assert rows[4].champion_version == 3
    assert rows[4].metric_change == pytest.approx(0.01)
    assert rows[3].champion_version == 1
    assert rows[3].metric_change == pytest.approx(0.04)
    assert (rows[5].metric, rows[5].metric_change, rows[5].champion_version) == ("", None, 3)
    assert all(row.attention is Attention.OK for row in rows.values())
    assert [rows[number].mark for number in (2, 3)] == [Mark.NONE, Mark.OK]


def test_a_champion_without_an_archived_version_is_compared_with_the_newest_before() -> None:
    rows = judge(
        version(1, metrics={"f1": 0.1}),
        version(2, metrics={"f1": 0.2}),
        version(3, None, "champion", metrics={"f1": 1.0}),
    )
    assert rows[3].champion_version == 2
    assert judge(version(1, None, "champion", metrics={"f1": 0.1}))[1].champion_version is None


def test_versions_without_a_champion_are_compared_with_nothing() -> None:
    row = judge(version(1, metrics={"f1": 0.1}), version(2, metrics={"f1": 0.2}))[2]
    assert (row.metric, row.champion_version, row.metric_change) == ("f1", None, None)


@pytest.mark.parametrize(
    ("rows", "mark", "attention", "reason"),
    [
        ([version(1, status="FAILED_REGISTRATION")], Mark.BAD, Attention.BAD, "registration failed"),
        ([version(1, status="PENDING_REGISTRATION")], Mark.RUNNING, Attention.INFO, "registration is still running"),
        ([version(1, run_status="RUNNING")], Mark.RUNNING, Attention.INFO, "its run has not finished"),
        ([version(1, "Staging", run_status="FAILED")], Mark.WARN, Attention.WARN, "its run ended as FAILED"),
        ([version(1, run_status="FAILED")], Mark.NONE, Attention.OK, ""),
        ([version(1, run_status="")], Mark.NONE, Attention.OK, ""),
        ([version(1, "Archived", "champion")], Mark.WARN, Attention.WARN, "champion is an archived version"),
        ([version(1, "Staging")], Mark.OK, Attention.OK, ""),
        (
            [version(3, "Production"), version(4, "Production", "champion")],
            Mark.BAD,
            Attention.BAD,
            "two versions in Production: 3, 4",
        ),
        (
            [version(3, "Production"), version(4, "Production"), version(9, "Production")],
            Mark.BAD,
            Attention.BAD,
            "3 versions in Production: 3, 4, 9",
        ),
        (
            [version(2, None, "champion"), version(3, "Production")],
            Mark.WARN,
            Attention.WARN,
            "champion is v2, but Production is v3",
        ),
    ],
)
def test_what_wants_attention(rows: list[VersionRow], mark: Mark, attention: Attention, reason: str) -> None:
    for row in judge_versions(rows, "champion"):
        assert (row.mark, row.attention, row.reason) == (mark, attention, reason)


def test_a_disagreement_leaves_the_other_versions_alone() -> None:
    rows = judge(version(1, "Archived"), version(2, None, "champion"), version(3, "Production"), version(4, "Staging"))
    assert [number for number, row in rows.items() if row.attention is not Attention.OK] == [2, 3]


def test_the_channels_of_environments_are_compared_too() -> None:
    rows = [version(1, "Staging"), version(2, None, "challenger"), version(3, "Production", "champion")]
    assert judge(*rows)[1].attention is Attention.OK
    judged = judge(*rows, channels=[Channel("Staging", "challenger")])
    assert judged[1].reason == "challenger is v2, but Staging is v1"
    assert judged[3].attention is Attention.OK


@pytest.mark.parametrize(
    ("ours", "attention"),
    [
        ({"accuracy": 0.95}, Attention.OK),
        ({"accuracy": 0.94}, Attention.OK),
        ({"accuracy": 0.938}, Attention.INFO),
        ({"accuracy": 0.5}, Attention.WARN),
        ({"f1": 0.99}, Attention.WARN),
    ],
)
@pytest.mark.parametrize("place", [("Staging",), (None, "challenger")])
def test_a_candidate_is_held_against_the_champion(
    place: tuple[Any, ...], ours: dict[str, float], attention: Attention
) -> None:
    champion = version(3, "Production", "champion", metrics={"accuracy": 0.94})
    judged = judge(champion, version(4, *place, metrics=ours))
    assert judged[4].attention is attention
    assert ("champion v3" in judged[4].reason) == (attention is not Attention.OK)
    assert judged[3].attention is Attention.OK
    bench = judge(champion, version(4, metrics=ours))
    older = judge(champion, version(2, *place, metrics=ours))
    assert bench[4].attention is older[2].attention is Attention.OK


def test_less_is_better_where_it_is_said() -> None:
    rows = [version(1, None, "champion", metrics={"cost": 2.0}), version(2, "Staging", metrics={"cost": 3.0})]
    assert judge(*rows)[2].attention is Attention.OK
    judged = judge(*rows, rule=Metric("cost", False))[2]
    assert (judged.attention, judged.reason) == (Attention.WARN, "cost 3 is worse than 2 of champion v1")
    assert judged.metric_change == 1.0
    assert judge(*rows, rule=Metric("auc", True))[2].metric == ""


def test_a_reason_is_bounded_and_clean() -> None:
    name = "m" * 499
    rows = [version(1, None, "champion", metrics={name: 2.0}), version(2, "Staging", metrics={name: 1.0})]
    assert len(judge(*rows)[2].reason) <= 500
    assert math.isclose(judge(*rows)[2].metric_change or 0, -1.0)
