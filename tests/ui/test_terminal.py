"""The app in a real pseudo-terminal: it gives the terminal back, however it ends."""

import os
import signal
import subprocess
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


@pytest.mark.parametrize("around", ["", "paste"])
def test_bytes_that_are_no_utf_8_are_dropped(around: str) -> None:
    child = spawn()
    try:
        child.expect("fraud-api")
        child.send("/")
        child.expect("words or")
        before, after = (b"\x1b[200~", b"\x1b[201~") if around else (b"", b"")
        os.write(child.child_fd, before + b"\xe9ran\xff\xfekerz\xe9" + after)
        child.expect("rankerz")
        child.send("é!\r")
        child.expect("rankerzé!")
        child.expect("hides 7")
        child.send("q")
        child.expect_exact(LEAVES_ALTERNATE_SCREEN)
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    finally:
        child.close(force=True)


def test_a_terminal_that_goes_away_ends_the_dashboard() -> None:
    reader, writer = os.openpty()
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=writer, stdout=writer, stderr=writer)
    os.close(writer)
    try:
        seen = b""
        while b"Pipeline" not in seen:
            seen += os.read(reader, 65_536)
        os.close(reader)
        # No leader of a session, it gets no signal from the system.
        assert process.wait(30) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()


def test_without_colour_the_signs_still_speak() -> None:
    child = spawn(NO_COLOR="1")
    try:
        child.expect("✖")
        child.expect("fraud-api")
        child.send("q")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
