"""The commands, as click sees them."""

import sys
from typing import Any

import click

from mlops_tui import __version__
from mlops_tui.cli import operate
from mlops_tui.cli.audit import audit
from mlops_tui.cli.config import config
from mlops_tui.cli.demo import demo
from mlops_tui.cli.doctor import doctor
from mlops_tui.cli.engine import engine
from mlops_tui.cli.launch import DashboardOptions, run_dashboard
from mlops_tui.cli.options import config_option, env_option, read_only_option
from mlops_tui.cli.snapshot import snapshot

EXIT_CODES = """\b
Exit codes:
  0  ok                                4  not authenticated or not permitted
  1  failed                            5  refused
  2  usage or configuration            6  outcome unknown
  3  partial data                    130  interrupted
"""


@click.group(invoke_without_command=True, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlops-tui", message="%(prog)s %(version)s")
@config_option
@env_option
@read_only_option
@click.option("--attach", metavar="SOCKET", help="Look through a shared engine (`mlops-tui engine --listen SOCKET`).")
@click.option("--theme", metavar="NAME", help="A theme's name, such as midnight or daylight.")
@click.option("--ascii", is_flag=True, help="Keep to ASCII, for fonts and terminals that have no more.")
@click.option("--no-color", is_flag=True, help="No colour; NO_COLOR=1 does the same.")
@click.pass_context
def cli(context: click.Context, /, config: str | None, environments: tuple[str, ...], **flags: Any) -> None:
    """Show what is approved and what is serving: workflow runs, model versions, rollouts and pull requests.

    Without a command this is the dashboard. An empty configuration works where kubectl, gh and mlflow do.
    """
    if context.invoked_subcommand is None:
        sys.exit(run_dashboard(DashboardOptions(config=config, environments=environments, **flags)))
    if flags["attach"] and context.invoked_subcommand not in OPERATIONS:
        raise click.UsageError(
            f"--attach goes with the dashboard and operations, not with {context.invoked_subcommand}"
        )
    # What stands before a command holds for it too.
    given = {"config": config, "environments": environments, **flags}
    if context.invoked_subcommand in (*OPERATIONS, audit.name):
        if len(environments) > 1:
            raise click.UsageError(f"{context.invoked_subcommand} takes one environment")
        # By its own name: what a verb calls its parameters is the verb's business.
        del given["environments"]
        given |= {"environment": environments[0]} if environments else {}
    context.default_map = {
        name: dict.fromkeys(command.commands, given) if isinstance(command, click.Group) else given
        for name, command in cli.commands.items()
    }


OPERATIONS = {command.name: command for command in operate.commands()}
for command in (demo, snapshot, doctor, engine, config, audit, *OPERATIONS.values()):
    cli.add_command(command)
