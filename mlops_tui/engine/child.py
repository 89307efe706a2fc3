"""The engine's process as its launcher sees it. Only the standard library: this runs before anything is drawn."""

import signal
import subprocess
import sys
from collections.abc import Sequence


def start_child(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `mlops-tui engine` as a child that speaks over its standard input and output.

    The child has a session of its own, so that Ctrl-C in the terminal reaches the screen alone; it ends when its input
    does, however the launcher dies. Its standard error is discarded: the engine logs to a file, and one stray line
    would corrupt the screen.

    Args:
        arguments: Options of `mlops-tui engine`.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlops_tui", "engine", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def describe_end(returncode: int | None) -> str:
    """Return how a process ended, for a person: `signal SIGKILL`, `exit 3`."""
    if returncode is None:
        return "no answer"
    if returncode < 0:
        try:
            return f"signal {signal.Signals(-returncode).name}"
        except ValueError:
            return f"signal {-returncode}"
    return f"exit {returncode}"
