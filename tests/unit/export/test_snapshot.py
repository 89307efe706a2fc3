"""The snapshot's formats: same board, same bytes."""

import json
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_tui.cli.snapshot import exit_code
from mlops_tui.domain.state import Problem, SourceKind, SourceState, SourceStatus
from mlops_tui.export.document import SnapshotDocument, to_json
from mlops_tui.export.markdown import escape, to_markdown
from tests.support.fake_engine import cast, states

GOLDEN = Path(__file__).parents[2] / "golden"
AT = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)
ENVIRONMENTS = [("production", True), ("staging", False)]


def document() -> SnapshotDocument:
    return SnapshotDocument.of(cast(), states(), ENVIRONMENTS, AT)


@pytest.mark.parametrize(("name", "render"), [("snapshot.json", to_json), ("snapshot.md", to_markdown)])
def test_the_bytes_are_those_of_the_golden_file(name: str, render: object) -> None:
    assert callable(render)
    text = render(document())
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_order_of_rows_does_not_matter() -> None:
    rows, sources = list(cast()), list(states())
    chance = random.Random(3)
    chance.shuffle(rows)
    chance.shuffle(sources)
    assert to_json(SnapshotDocument.of(rows, sources, ENVIRONMENTS, AT)) == to_json(document())


def test_the_document_reads_back_as_itself() -> None:
    assert SnapshotDocument.model_validate_json(to_json(document())) == document()
    data = json.loads(to_json(document()))
    assert data["schema_version"] == 1
    assert data["taken_at"] == "2026-11-20T14:02:11Z"


@pytest.mark.parametrize(
    ("statuses", "problem", "code"),
    [
        (["live", "live"], False, 0),
        (["live", "off"], False, 0),
        (["live", "live"], True, 3),
        (["live", "stale"], False, 3),
        (["live", "denied"], False, 3),
        (["unreachable", "unreachable"], False, 3),
        (["denied", "denied"], False, 4),
        (["denied", "off"], False, 4),
        (["denied", "unreachable"], False, 3),
        (["off", "off"], False, 2),
    ],
)
def test_the_exit_code_says_how_much_is_there(statuses: list[str], problem: bool, code: int) -> None:
    problems = (Problem(scope="acme/fraud", message="not found"),) if problem else ()
    sources = [
        SourceState(source=f"s{i}", kind=SourceKind.MLFLOW, label="x", status=SourceStatus(status), problems=problems)
        for i, status in enumerate(statuses)
    ]
    assert exit_code(SnapshotDocument.of([], sources, [], AT)) == code


def test_markdown_shows_hostile_text_as_text() -> None:
    assert escape("a | b `c` <script> [x](y) @octocat #1") == (
        "a \\| b \\`c\\` \\<script\\> \\[x\\](y) @\u200boctocat \\#1"
    )
