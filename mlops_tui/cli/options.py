"""What the commands share: options, and errors turned into one line and an exit code."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from mlops_tui.config.paths import FOUND, find_config
from mlops_tui.config.settings import Settings, load_settings, refuse_untrusted
from mlops_tui.domain.errors import MlopsTuiError

P = ParamSpec("P")
R = TypeVar("R")

config_option = click.option(
    "--config", metavar="FILE", envvar="MLOPS_TUI_CONFIG", help="The configuration file; see `mlops-tui config path`."
)
env_option = click.option(
    "--env",
    "environments",
    metavar="NAME",
    multiple=True,
    envvar="MLOPS_TUI_ENV",
    help="Only this environment; may be given several times. All of them otherwise.",
)
read_only_option = click.option(
    "--read-only", is_flag=True, envvar="MLOPS_TUI_READ_ONLY", help="Change nothing, whatever key is pressed."
)


def say(message: str) -> None:
    """Print a line for a person, on standard error: standard output is for data."""
    click.echo(f"mlops-tui: {message}", err=True)


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a `MlopsTuiError` into one line on standard error and its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MlopsTuiError as error:
            say(f"{error.message} ({error.hint})" if error.hint else error.message)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapped


def settings_of(config: str | None) -> tuple[Settings, Path | None]:
    """Return the settings in use and their file. Raises `ConfigError`."""
    path, named_by = find_config(config)
    settings = load_settings(path)
    if path is not None and named_by == FOUND:
        refuse_untrusted(settings, path)
    return settings, path
