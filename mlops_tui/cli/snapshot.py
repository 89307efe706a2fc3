"""`mlops-tui snapshot`: the board as data."""

import asyncio
import sys

import click

from mlops_tui.cli.options import config_option, env_option, reports_errors, say, settings_of
from mlops_tui.domain.clock import SystemClock
from mlops_tui.domain.state import SourceStatus
from mlops_tui.export.document import SnapshotDocument, to_json
from mlops_tui.export.markdown import to_markdown

PARTIAL = 3
DENIED = 4
FORMATS = {"json": to_json, "md": to_markdown}


@click.command()
@config_option
@env_option
@click.option("--format", "format_", type=click.Choice(sorted(FORMATS)), default="json", show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    envvar="MLOPS_TUI_TIMEOUT",
    help="Seconds to wait for the slowest source.",
)
@reports_errors
def snapshot(config: str | None, environments: tuple[str, ...], format_: str, timeout: float) -> None:
    """Print the board to standard output, once every source has answered or failed.

    A source that failed is in the document, with its error; the exit code is then 3, or 4 if nothing could be read for
    lack of credentials or permissions.
    """
    document = asyncio.run(take(config, environments, timeout))
    click.echo(FORMATS[format_](document), nl=False)
    for state in document.failed_sources:
        for scope, message, hint in [
            *([(state.source, state.error, state.hint)] if state.error else []),
            *((f"{state.source}: {p.scope}", p.message, p.hint) for p in state.problems),
        ]:
            say(f"{scope}: {message}{f' ({hint})' if hint else ''}")
    sys.exit(exit_code(document))


async def take(config: str | None, environments: tuple[str, ...], timeout: float) -> SnapshotDocument:
    """Return a document of everything, read once. Raises `ConfigError`."""
    from mlops_tui.engine.collect import collect
    from mlops_tui.engine.compose import build_engine

    settings, path = settings_of(config)
    async with build_engine(settings, environments=environments, read_only=True, config=path) as engine:
        view = await collect(engine, timeout)
    scopes = ((environment.name, environment.protected) for environment in view.scope.environments)
    return SnapshotDocument.of(view.rows, view.states, scopes, SystemClock().now())


def exit_code(document: SnapshotDocument) -> int:
    """Return 0 where everything configured was read, 2 where nothing is, 3 for a part, 4 for nothing allowed."""
    configured = [state for state in document.sources if state.status is not SourceStatus.OFF]
    if not configured:
        say("nothing is configured: mlops-tui doctor says what is looked for")
        return 2
    failed = document.failed_sources
    if not failed:
        return 0
    if len(failed) == len(configured) and all(state.status is SourceStatus.DENIED for state in failed):
        return DENIED
    return PARTIAL
