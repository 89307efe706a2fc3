"""The command `mlops-tui`, and `python -m mlops_tui`.

For the dashboard the engine's process is started before anything else is imported, so that it boots while the screen
does. Every other command goes straight to click.
"""

import contextlib
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run the command line. Exits with the codes of `docs/cli.md`."""
    from mlops_tui.cli.launch import dashboard_options, run_dashboard

    options = dashboard_options(sys.argv[1:])
    if options is not None:
        sys.exit(run_dashboard(options))

    from mlops_tui.cli.main import cli

    try:
        cli(prog_name="mlops-tui")
    except SystemExit as ended:
        _end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


def _end(code: int) -> NoReturn:
    """End at once: a thread of an SDK that waits for a silent server would hold up the usual way for half a minute."""
    import logging

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # The reader of a pipe may be gone, and the engine has given its standard output away.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
