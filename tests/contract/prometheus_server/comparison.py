"""Whether two answers say the same."""

import math
from typing import Any

import httpx

Row = tuple[tuple[str, str], ...]


def assert_same(real: httpx.Response, ours: httpx.Response, *, ordered: bool = False) -> None:
    """Fail unless both answers have the same code, type, labels, times and, but for rounding, values.

    Args:
        ordered: The order of the elements counts too.
    """
    assert ours.status_code == real.status_code, (real.text[:400], ours.text[:400])
    expected, answered = real.json(), ours.json()
    assert answered["status"] == expected["status"]
    if expected["status"] == "error":
        assert answered["errorType"] == expected["errorType"], (expected["error"], answered["error"])
        return
    expected, answered = expected["data"], answered["data"]
    assert answered["resultType"] == expected["resultType"]
    if expected["resultType"] in ("scalar", "string"):
        _assert_points([expected["result"]], [answered["result"]])
        return
    if ordered:
        assert [_labels(row) for row in answered["result"]] == [_labels(row) for row in expected["result"]]
    expected_rows, answered_rows = _rows(expected["result"]), _rows(answered["result"])
    assert answered_rows.keys() == expected_rows.keys()
    for labels, points in expected_rows.items():
        _assert_points(points, answered_rows[labels])


def is_empty(answer: httpx.Response) -> bool:
    """Say whether an answer has no figures at all."""
    return answer.is_success and not answer.json()["data"]["result"]


def _labels(row: dict[str, Any]) -> Row:
    return tuple(sorted(row["metric"].items()))


def _rows(result: list[dict[str, Any]]) -> dict[Row, list[list[Any]]]:
    rows = {_labels(row): row["values"] if "values" in row else [row["value"]] for row in result}
    assert len(rows) == len(result), "a set of labels is there twice"
    return rows


def _assert_points(expected: list[list[Any]], answered: list[list[Any]]) -> None:
    assert [at for at, _ in answered] == [at for at, _ in expected]
    for (at, wanted), (_, value) in zip(expected, answered, strict=True):
        assert type(value) is type(wanted) is str
        assert _is_close(wanted, value), (at, wanted, value)


def _is_close(wanted: str, value: str) -> bool:
    if wanted == value:
        return True
    try:
        numbers = float(wanted), float(value)
    except ValueError:
        return False
    # Sums are rounded differently; near zero that shows in relation to what was summed, some tens here.
    return math.isclose(*numbers, rel_tol=1e-9, abs_tol=1e-9)
