"""The app in a real pseudo-terminal: it gives the terminal back, however it ends."""

import os
import signal
import sys

import pexpect
import pytest

SCRIPT = """
from mlops_tui.ui.app import DashboardApp
async def connect():
    from tests.support.fake_engine import FakeEngine, first_update
    return FakeEngine(first_update())
app = DashboardApp(connect)
app.run()
raise SystemExit(app.return_code)
"""
LEAVES_ALTERNATE_SCREEN = "\x1b[?1049l"


def spawn(**variables: str) -> "pexpect.spawn[str]":
    """Start the app in a terminal of 140 columns, whatever the environment says of its own."""
    dropped = ("COLUMNS", "LINES", "NO_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"TERM": "xterm-256color"} | variables
    return pexpect.spawn(
        sys.executable, ["-c", SCRIPT], dimensions=(40, 140), encoding="utf-8", timeout=30, env=environment
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP), (None, 0)]
)
def test_the_terminal_is_given_back(number: signal.Signals | None, code: int) -> None:
    child = spawn()
    try:
        child.expect("fraud-api")
        if number is None:
            child.send("q")
        else:
            child.kill(number)
        child.expect_exact(LEAVES_ALTERNATE_SCREEN)
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == code
    finally:
        child.close(force=True)


def test_without_colour_the_signs_still_speak() -> None:
    child = spawn(NO_COLOR="1")
    try:
        child.expect("✖")
        child.expect("fraud-api")
        child.send("q")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
