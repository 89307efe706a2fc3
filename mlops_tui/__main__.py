"""The command `mlops-tui`, and `python -m mlops_tui`.

For the dashboard the engine's process is started before anything else is imported, so that it boots while the screen
does. Every other command goes straight to click.
"""

import sys


def main() -> None:
    """Run the command line. Exits with the codes of `docs/cli.md`."""
    from mlops_tui.cli.launch import dashboard_options, run_dashboard

    options = dashboard_options(sys.argv[1:])
    if options is not None:
        sys.exit(run_dashboard(options))

    from mlops_tui.cli.main import cli

    cli(prog_name="mlops-tui")


if __name__ == "__main__":
    main()
