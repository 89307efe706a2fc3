"""`mlops-tui engine`: the engine alone."""

import sys
import time
from pathlib import Path

import click

from mlops_tui.cli.options import config_option, env_option, read_only_option, reports_errors, say, settings_of
from mlops_tui.domain.errors import ConfigError


@click.command()
@config_option
@env_option
@read_only_option
@click.option("--listen", metavar="SOCKET", help="Serve every viewer at this Unix socket, until stopped.")
@click.option(
    "--await-config",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=0.0,
    hidden=True,
    help="Wait this long for the configuration file to appear.",
)
@click.option("--log-file", metavar="FILE", help="The log; see `mlops-tui config path` for the usual one.")
@click.option("--clock", metavar="CLOCK", hidden=True, help="The time of the systems, as a `ScaledClock` writes it.")
@click.option("--no-keep", is_flag=True, help="Neither begin with the last board nor keep this one.")
@reports_errors
def engine(
    config: str | None,
    environments: tuple[str, ...],
    read_only: bool,
    listen: str | None,
    await_config: float,
    log_file: str | None,
    clock: str | None,
    no_keep: bool,
) -> None:
    """Run the engine alone: for one viewer on standard input and output, or shared at a socket.

    Several dashboards then share its connections and its API quota: `mlops-tui --attach SOCKET`.
    """
    from mlops_tui.config import paths
    from mlops_tui.domain.clock import ScaledClock
    from mlops_tui.engine.compose import build_engine
    from mlops_tui.engine.engine import Engine
    from mlops_tui.engine.process import log_to_file, run_socket, run_stdio

    def make() -> Engine:
        if config:
            _await_file(Path(config), await_config)
        # Only now: the demo's log is in the folder of its world, which takes none that has something in it.
        log_to_file(Path(log_file) if log_file else paths.log_file())
        settings, path = settings_of(config)
        time_of = None if clock is None else ScaledClock.parse(clock)
        return build_engine(
            settings,
            environments=environments,
            read_only=read_only,
            config=path,
            clock=time_of,
            keep=not no_keep,
            operates=True,
        )

    if listen:
        code = run_socket(make, Path(listen), lambda: say(f"listening at {listen}: mlops-tui --attach {listen}"))
    else:
        code = run_stdio(make)
    sys.exit(code)


def _await_file(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() >= deadline:
            raise ConfigError(f"{path}: no such file" + (f" after {seconds:g} s" if seconds else ""))
        time.sleep(0.02)
