"""The embedded world: GitHub, Kubernetes and MLflow on loopback, with releases under way.

This module is what a launcher needs, and imports the standard library alone so that a screen can come first. The world
is a process of its own, held on a leash: it ends, with all that it started and its folder, once its standard input is
closed, be it by `stop_world` or by the death of whoever started it.
"""

import contextlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypedDict

from mlops_tui.domain.clock import ScaledClock

TOKEN_ENV: Final = "MLOPS_TUI_DEMO_GITHUB_TOKEN"
"""The environment variable that the world's configuration names for GitHub's token: set it to `GITHUB_TOKEN`."""
GITHUB_TOKEN: Final = "demo-token-of-the-embedded-world"
"""What the world's GitHub accepts for everything. No secret: it opens nothing but a loopback port of this machine."""
GITHUB_READONLY_TOKEN: Final = "demo-token-that-may-only-read"
"""What it accepts for reading, checks excepted."""
CONFIG_NAME: Final = "mlops-tui.toml"
"""The settings file in the world's folder: it appears, complete, as soon as the addresses are known."""

Size = Literal["normal", "large"]
"""`large` puts a thousand Deployments, a thousand models, 5,000 runs and 500 pull requests beside the story."""
STOP_SECONDS: Final = 8.0
"""How long a world may take to end before it is killed; it takes well under one."""


class WorldFailed(Exception):
    """The world ended before it was ready; the message is its own one line."""


class Addresses(TypedDict):
    """How to reach a world that answers."""

    github_api_url: str
    github_token: str
    github_readonly_token: str
    mlflow_tracking_uri: str
    prometheus_url: str
    kubeconfig: str
    config: str


def story_clock(at: datetime | None = None, speed: float = 1.0) -> ScaledClock:
    """Return the time of a world that starts now.

    Args:
        at: The moment, aware, at which its story begins: now if `None`.
        speed: Seconds of the world a second. At 0 it stands still.
    """
    now = datetime.now(UTC)
    # Whole seconds, as the systems of the world tell them.
    begins = (at or now).astimezone(UTC).replace(microsecond=0)
    return ScaledClock(begins, speed, begins.timestamp() if at is None else time.time())


def start_world(
    home: Path, *, seed: int = 1, clock: ScaledClock | None = None, size: Size = "normal"
) -> "subprocess.Popen[bytes]":
    """Start a world and return at once.

    Args:
        home: Its folder: empty or not there yet. The world removes it when it ends.
        seed: The same seed and the same beginning tell the same story, with the same ids and times.
        clock: Its time; `story_clock()` if `None`.
    """
    command = [sys.executable, "-P", "-m", "mlops_tui.demo.world", "--home", str(home), "--seed", str(seed)]
    command += ["--clock", str(clock or story_clock()), "--size", size]
    # A session of its own keeps the terminal's signals away: closing the pipe is the one way to end it.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def wait_until_ready(world: "subprocess.Popen[bytes]") -> Addresses:
    """Wait until everything in the world answers, some seconds, and return where.

    Raises:
        WorldFailed: It ended instead.
    """
    assert world.stdout is not None
    line = world.stdout.readline()
    if not line:
        raise WorldFailed(failure(world))
    addresses: Addresses = json.loads(line)
    return addresses


def failure(world: "subprocess.Popen[bytes]") -> str:
    """Return, in one line, why a world ended by itself; waits for its end."""
    assert world.stderr is not None
    lines = world.stderr.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"the embedded world ended with exit code {world.wait()}"


def stop_world(world: "subprocess.Popen[bytes]") -> None:
    """End a world and wait until it is gone. Idempotent."""
    if world.stdin is not None:
        with contextlib.suppress(OSError):
            world.stdin.close()
    try:
        world.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        world.kill()
        world.wait()
    for stream in (world.stdout, world.stderr):
        if stream is not None:
            stream.close()
