"""The journal loses nothing, tells of every edit, and survives a crash in the middle of a line."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_tui.domain.operation import OperationState, PlanRequest
from mlops_tui.operations.journal import FIRST, Journal, JournalError, Record
from tests.unit.operations.conftest import NOW


def record(operation: str = "one", event: str = "intent", **values: object) -> Record:
    given = {
        "sequence": 0,
        "at": NOW,
        "event": event,
        "operation": operation,
        "by": "dana",
        "request": PlanRequest(verb="scale", target="ml/fraud-api"),
        "title": "Scale ml/fraud-api from 4 to 6",
        "name": "ml/fraud-api",
    }
    return Record.model_validate({**given, **values})


def test_records_come_back_in_order_each_naming_the_one_before(journal: Journal) -> None:
    for operation in ("one", "two", "three"):
        journal.append(record(operation))
    kept = list(journal.records())
    assert [(entry.sequence, entry.operation) for entry in kept] == [(1, "one"), (2, "two"), (3, "three")]
    assert kept[0].previous == FIRST
    assert len({entry.previous for entry in kept}) == 3
    assert journal.verify() is None


def test_only_its_owner_can_read_it(journal: Journal) -> None:
    journal.append(record())
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def _edit(path: Path, line: int, change: dict[str, object]) -> None:
    lines = path.read_text().splitlines()
    lines[line] = json.dumps({**json.loads(lines[line]), **change}, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(("line", "broken"), [(0, 2), (1, 3)])
def test_an_edited_line_breaks_the_chain_after_it(journal: Journal, line: int, broken: int) -> None:
    for operation in ("one", "two", "three"):
        journal.append(record(operation))
    _edit(journal.path, line, {"by": "nobody"})
    found = journal.verify()
    assert found is not None
    assert (found.line, found.problem[:15]) == (broken, "does not follow")


def test_a_removed_line_breaks_the_chain(journal: Journal) -> None:
    for operation in ("one", "two", "three"):
        journal.append(record(operation))
    lines = journal.path.read_text().splitlines()
    journal.path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    found = journal.verify()
    assert found is not None
    assert found.line == 2


def test_a_line_that_is_no_record_is_named_and_the_rest_still_read(journal: Journal) -> None:
    journal.append(record("one"))
    with journal.path.open("a") as file:
        file.write("rubbish\n")
    found = journal.verify()
    assert found is not None
    assert (found.line, found.problem) == (2, "is no record")
    assert [entry.operation for entry in journal.records()] == ["one"]


def test_what_a_crash_left_half_written_is_cut_off(journal: Journal) -> None:
    journal.append(record("one"))
    with journal.path.open("a") as file:
        file.write('{"sequence": 2, "at"')
    journal.append(record("two"))
    assert [entry.operation for entry in journal.records()] == ["one", "two"]
    assert journal.verify() is None


def test_a_line_longer_than_a_block_is_found_again(journal: Journal) -> None:
    facts = {f"fact-{number}": "x" * 400 for number in range(400)}
    journal.append(record("long", facts=facts))
    journal.append(record("next"))
    journal.append(record("last", facts=facts))
    assert journal.verify() is None


def test_intents_without_an_end_are_open(journal: Journal) -> None:
    journal.append(record("done"))
    journal.append(record("open"))
    journal.append(record("done", "outcome", state=OperationState.DONE))
    journal.append(record("refused", "refusal", state=OperationState.REFUSED))
    assert [entry.operation for entry in journal.open_intents()] == ["open"]
    journal.append(record("open", "resolved", state=OperationState.DONE))
    assert journal.open_intents() == []


def test_several_processes_append_to_one_chain(journal: Journal) -> None:
    journal.append(record("first"))
    script = (
        "import sys; from pathlib import Path; from mlops_tui.operations.journal import Journal, Record;"
        "journal = Journal(Path(sys.argv[1])); entry = Record.model_validate_json(sys.argv[2]);"
        "[journal.append(entry) for _ in range(20)]"
    )
    command = [sys.executable, "-c", script, str(journal.path), record("many").model_dump_json()]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    assert journal.verify() is None
    assert len(list(journal.records())) == 61


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be written") as caught:
        Journal(tmp_path / "file" / "journal.jsonl").append(record())
    assert caught.value.hint == "nothing is done without it"


def test_a_record_is_on_the_disk_when_append_returns(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.append(record())
    assert synced[-1] == journal.path.stat().st_size > 0
