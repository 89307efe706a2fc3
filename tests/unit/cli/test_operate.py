"""The operations as commands: what stands before them, what they default to, and the journal by hand."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mlops_tui.cli import operate
from mlops_tui.cli.main import cli
from mlops_tui.config.paths import journal_file
from mlops_tui.domain.operation import OperationState, PlanRequest
from mlops_tui.operations.base import Verb
from mlops_tui.operations.catalogue import VERBS
from mlops_tui.operations.journal import Journal
from tests.unit.operations.test_journal import record

ARGUMENTS = {
    "{target}": ["ml/fraud-api"],
    "{model}@{version}": ["fraud-detector", "13"],
}


@pytest.mark.parametrize("before", [[], ["--env", "production"]])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_is_asked_for_what_was_given_and_nothing_else(
    verb: Verb, before: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[PlanRequest, operate._Common]] = []

    async def plan(request: PlanRequest, common: operate._Common) -> int:
        asked.append((request, common))
        return 0

    monkeypatch.setattr(operate, "_operate", plan)
    given = ["3" for parameter in verb.parameters if parameter.positional and parameter.required]
    done = CliRunner().invoke(cli, [*before, verb.name, *ARGUMENTS[verb.address], *given, "--yes"])
    assert done.exit_code == 0, done.output
    [(request, common)] = asked
    assert request.parameters.keys() <= {parameter.name for parameter in verb.parameters if parameter.positional}
    assert (request.environment, common.yes) == ("production" if before else "", True)


def test_one_operation_is_for_one_environment() -> None:
    done = CliRunner().invoke(cli, ["--env", "a", "--env", "b", "scale", "ml/api", "3"])
    assert (done.exit_code, "scale takes one environment" in done.output) == (2, True)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    kept = Journal(tmp_path / "journal.jsonl")
    monkeypatch.setenv("MLOPS_TUI_JOURNAL", str(kept.path))
    monkeypatch.chdir(tmp_path)
    return kept


def audit(*arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [*before, "audit", *arguments])
    return done.exit_code, done.output


def test_the_audit_is_filtered_by_what_stands_before_it_too(journal: Journal) -> None:
    for number, name in enumerate(("production", "staging")):
        journal.append(record(f"op-{number}", "outcome", environment=name, state=OperationState.DONE))
    code, shown = audit(before=("--env", "staging"))
    assert (code, "op-1" in shown, "op-0" in shown) == (0, True, False)
    code, shown = audit("--state", "nonsense")
    assert (code, "is not one of" in shown) == (2, True)


def test_the_audit_reads_where_operations_are_written(journal: Journal, tmp_path: Path) -> None:
    journal.append(record("by-variable", "outcome", state=OperationState.DONE))
    configured = Journal(tmp_path / "configured.jsonl")
    configured.append(record("by-file", "outcome", state=OperationState.DONE))
    settings = tmp_path / "named.toml"
    settings.write_text(f'journal = "{configured.path}"\n')
    assert journal_file(str(configured.path)) == configured.path
    assert "by-variable" in audit()[1]
    shown = audit("--config", str(settings))[1]
    assert ("by-file" in shown, "by-variable" in shown) == (True, False)


def test_an_open_operation_is_resolved_by_somebody_s_word(journal: Journal) -> None:
    journal.append(record("abc123"))
    assert audit("--resolve", "abc")[0] == 2
    assert audit("--resolve", "zzz", "--as", "done", "--reason", "seen")[0] == 2
    code, shown = audit("--resolve", "abc", "--as", "done", "--reason", "kubectl shows it")
    assert (code, "because: kubectl shows it" in shown) == (0, True)
    assert journal.open_intents() == []
    assert journal.verify() is None


def test_every_verb_has_a_command_whose_help_can_be_read() -> None:
    for command in operate.commands():
        assert command.get_help(click.Context(command, info_name=command.name)).startswith("Usage:")
