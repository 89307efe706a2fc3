"""`mlops-tui config`: where the configuration is, and what may be in it."""

import json

import click

from mlops_tui.cli.options import config_option, reports_errors, say, settings_of
from mlops_tui.config.keymap import ACTIONS, read_keymap
from mlops_tui.config.paths import find_config, log_file, user_config
from mlops_tui.config.settings import Settings, nearest
from mlops_tui.config.themes import read_themes, theme_folders
from mlops_tui.domain.errors import ConfigError
from mlops_tui.engine.compose import chosen_environments, kubernetes_targets


@click.group()
def config() -> None:
    """Show where the configuration is, check it, and say what may be in it."""


@config.command()
@config_option
@reports_errors
def path(config: str | None) -> None:
    """Print the configuration file in use, or where one would be looked for."""
    found, named_by = find_config(config)
    if found is not None:
        click.echo(f"{found}  ({named_by})")
    else:
        click.echo(f"{user_config()}  (not there; ./mlops-tui.toml comes first)")
    click.echo(f"log: {log_file()}", err=True)


@config.command()
@config_option
@reports_errors
def check(config: str | None) -> None:
    """Read the configuration and report everything that is wrong with it."""
    try:
        settings, found = settings_of(config)
    except ConfigError as error:
        for line in error.others:
            say(line)
        raise
    read_keymap(settings.ui.keys)
    _check_theme(settings.ui.theme)
    kubernetes_targets(settings, chosen_environments(settings, ()), found)
    names = ", ".join(settings.environments) or "none named"
    click.echo(f"{found or 'no file: the defaults'}: ok; environments: {names}")


def _check_theme(name: str) -> None:
    themes, problems = read_themes(theme_folders())
    for problem in problems:
        raise ConfigError(problem)
    if name not in themes:
        near = nearest(name, list(themes))
        known = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(themes))}"
        raise ConfigError(f"ui.theme: no theme {name}; {known}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(Settings.model_json_schema(), indent=2))


@config.command()
@config_option
@reports_errors
def keys(config: str | None) -> None:
    """Print what keys can do: id, keys in force, meaning."""
    settings, _ = settings_of(config)
    keymap = read_keymap(settings.ui.keys)
    for action in ACTIONS:
        click.echo(f"{action.id:<18}{keymap.shown(action.id, every=True):<20}{action.help}")
