"""How long until the first frame, and until every pane is live, against a bare Textual application in the same run.

The systems are those of an embedded world that was started before: what is measured is the dashboard, its engine, and
the real clients' first answers.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from mlops_tui.demo import GITHUB_TOKEN, TOKEN_ENV, start_world, stop_world, wait_until_ready
from tests.support.terminal import Terminal

ROUNDS = 7
LIVE = ("github ✔", "mlflow ✔", "kube ✔")


def bare_first_frame() -> float:
    """Return the seconds from the start of a bare application to its text."""
    with Terminal([sys.executable, "-m", "benchmarks.bare"]) as terminal:
        return terminal.wait_for_output(b"bare-ready")


def dashboard(config: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds from the start to the first frame, and to every source being live."""
    command = [sys.executable, "-m", "mlops_tui", "--config", config]
    with Terminal(command, columns=150, rows=45, env=environment) as terminal:
        first = terminal.wait_for_output(b"Workflows")
        live = terminal.wait_for(*LIVE, absent=["connecting"])
        terminal.send("q")
        terminal.wait_end()
    return first, live


def main() -> None:
    """Print the medians and the ratios, round by round paired."""
    with tempfile.TemporaryDirectory() as folder:
        world = start_world(Path(folder) / "world")
        try:
            config = wait_until_ready(world)["config"]
            environment = {**os.environ, TOKEN_ENV: GITHUB_TOKEN, "XDG_STATE_HOME": folder}
            bare: list[float] = []
            first: list[float] = []
            live: list[float] = []
            for round_ in range(ROUNDS + 1):
                # A cache of its own each round: what is measured is a start without a kept board.
                environment["XDG_CACHE_HOME"] = f"{folder}/cache-{round_}"
                times = (bare_first_frame(), *dashboard(config, environment))
                if round_:
                    for kept, seconds in zip((bare, first, live), times, strict=True):
                        kept.append(seconds)
        finally:
            stop_world(world)
    print(f"start-up, median of {ROUNDS} rounds after one warm-up")
    print(f"  bare Textual app, first frame   {statistics.median(bare):6.2f} s")
    for name, series in (("dashboard, first frame", first), ("dashboard, all panes live", live)):
        ratios = [a / b for a, b in zip(series, bare, strict=True)]
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        print(f"  {name:<30}  {statistics.median(series):6.2f} s   {statistics.median(ratios):5.2f} × bare ({spread})")


if __name__ == "__main__":
    main()
