"""`mlops-tui audit`: the journal of operations."""

import sys
from collections.abc import Iterable
from datetime import datetime

import click

from mlops_tui.cli.options import config_option, reports_errors, say, settings_of
from mlops_tui.config.paths import journal_file
from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.errors import ConfigError
from mlops_tui.domain.operation import OperationState
from mlops_tui.operations.catalogue import VERBS
from mlops_tui.operations.desk import operator
from mlops_tui.operations.journal import Journal, Record

STATES = [state.value for state in OperationState if state.ended] + ["open"]


@click.command()
@config_option
@click.option("--journal", metavar="FILE", help="The journal, where it is not the one that operations are written to.")
@click.option("--verify", is_flag=True, help="Check the chain of hashes; a break makes exit 1.")
@click.option("--verb", type=click.Choice([verb.name for verb in VERBS]), metavar="NAME", help="Only this operation.")
@click.option("--target", metavar="TEXT", help="Only targets that contain this.")
@click.option("--env", "environment", metavar="NAME", help="Only this environment.")
@click.option("--by", metavar="TEXT", help="Only operators whose name contains this.")
@click.option("--state", type=click.Choice(STATES), help="Only this end; open for what was begun and never ended.")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), metavar="DATE", help="From then on, UTC."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--resolve", metavar="ID", help="Say what became of an open operation: with --as, and --reason.")
@click.option("--as", "state_as", type=click.Choice(["done", "failed"]), help="For --resolve.")
@click.option("--reason", metavar="TEXT", default="", help="For --resolve: how you know.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reports_errors
def audit(
    config: str | None,
    journal: str | None,
    verify: bool,
    verb: str | None,
    target: str | None,
    environment: str | None,
    by: str | None,
    state: str | None,
    since: datetime | None,
    limit: int | None,
    resolve: str | None,
    state_as: str | None,
    reason: str,
    format_: str,
) -> None:
    """List what was done to which release, by whom, when, why, and how it ended; refusals and failures too.

    With --format json each record of the journal is one line.
    """
    from pathlib import Path

    settings, _ = settings_of(config)
    kept = Journal(Path(journal) if journal else journal_file(settings.journal))
    if verify:
        sys.exit(_verify(kept))
    if resolve:
        _resolve(kept, resolve, state_as, reason)
        return
    found = list(_latest(kept.records()))
    if verb:
        found = [record for record in found if record.request.verb == verb]
    if target:
        found = [record for record in found if target in record.request.target]
    if environment:
        found = [record for record in found if record.environment == environment]
    if by:
        found = [record for record in found if by in record.by]
    if state:
        found = [record for record in found if _state(record) == state]
    if since:
        found = [record for record in found if record.at.replace(tzinfo=None) >= since]
    found = found[-limit:] if limit else found
    if not found:
        say(f"nothing in {kept.path}" if not kept.path.exists() else "nothing that fits")
    for record in found:
        click.echo(record.model_dump_json() if format_ == "json" else _line(record))


def _verify(journal: Journal) -> int:
    broken = journal.verify()
    if broken is None:
        count = sum(1 for _ in journal.records())
        click.echo(f"{journal.path}: {count} records, the chain is whole")
        return 0
    say(f"{journal.path}: line {broken.line} {broken.problem}")
    return 1


def _resolve(journal: Journal, operation: str, state: str | None, reason: str) -> None:
    """Write down what a person has found out about an operation whose end nobody wrote down."""
    if not state or not reason.strip():
        raise ConfigError(f"--resolve {operation} needs --as done or --as failed, and --reason")
    found = [record for record in journal.open_intents() if record.operation.startswith(operation)]
    if len(found) != 1:
        known = ", ".join(record.operation for record in journal.open_intents()) or "none"
        raise ConfigError(f"--resolve {operation} names no open operation", f"open: {known}")
    values = {
        "event": "resolved",
        "state": OperationState(state),
        "outcome": f"{state}, by the word of {operator()}",
        "reason": reason,
        "at": SystemClock().now(),
    }
    click.echo(_line(journal.append(Record.model_validate({**dict(found[0]), **values}))))


def _latest(records: Iterable[Record]) -> Iterable[Record]:
    """Return one record an operation, the one that says most, in the order in which they were begun."""
    latest: dict[str, Record] = {}
    for record in records:
        latest[record.operation] = record
    return latest.values()


def _state(record: Record) -> str:
    return record.state.value if record.state else "open"


def _line(record: Record) -> str:
    reason = f" because: {record.reason}" if record.reason else ""
    outcome = f": {record.outcome}" if record.outcome and record.outcome != record.title else ""
    who = f"{_state(record):<8}  {record.by}"
    return f"{record.at:%Y-%m-%d %H:%M:%SZ}  {record.operation}  {who}  {record.title}{outcome}{reason}"
