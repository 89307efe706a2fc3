"""A terminal for tests: runs a command in a pseudo-terminal and reads its screen as a person would."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from typing import Self

import pexpect
import pyte

PATIENCE = 60.0
"""Seconds to wait for something to show: a loaded machine is slow, and a test that passes does not wait."""


class Terminal:
    """A command on a terminal of its own. Use as a context manager."""

    def __init__(
        self, command: Sequence[str], *, columns: int = 120, rows: int = 40, env: dict[str, str] | None = None
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # of whoever runs the tests, not of this terminal
            environment.pop(name, None)
        self.began = time.monotonic()
        self.output = b""
        self.process: pexpect.spawn[bytes] = pexpect.spawn(
            command[0], list(command[1:]), dimensions=(rows, columns), env=environment, timeout=None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.close(force=True)

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def pid(self) -> int:
        """The command's process."""
        assert self.process.pid is not None
        return self.process.pid

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what the command has written; returns whether it still lives."""
        try:
            data = self.process.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.output += data
        # pyte knows no private modes with a `>` or `<`, and would print their letters.
        with contextlib.suppress(Exception):
            self._stream.feed(data)
        return True

    def wait_for(self, *texts: str, absent: Sequence[str] = (), seconds: float = PATIENCE) -> float:
        """Wait until every text is on the screen, and none of `absent`. Returns the seconds since the start."""
        deadline = time.monotonic() + seconds
        while True:
            if all(text in self.text for text in texts) and not any(text in self.text for text in absent):
                return time.monotonic() - self.began
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"waited for {texts} without {list(absent)}; the screen was:\n{self.text}")

    def wait_for_output(self, data: bytes, seconds: float = PATIENCE) -> float:
        """Wait until the command has written `data`. Returns the seconds since the start."""
        deadline = time.monotonic() + seconds
        while data not in self.output:
            if not self.read() or time.monotonic() > deadline:
                raise AssertionError(f"waited for {data!r}; the screen was:\n{self.text}")
        return time.monotonic() - self.began

    def send(self, keys: str) -> None:
        """Type."""
        self.process.send(keys)

    def send_until(self, keys: str, text: str, seconds: float = PATIENCE) -> None:
        """Type the same again and again until `text` is on the screen."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text} never came; the screen was:\n{self.text}"
            self.send(keys)
            for _ in range(10):
                self.read()

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size."""
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def wait_end(self, seconds: float = PATIENCE) -> int:
        """Wait until the command has ended. Returns its exit code, or the negative number of its signal."""
        deadline = time.monotonic() + seconds
        while self.read():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not end; the screen was:\n{self.text}")
        self.process.wait()
        status = self.process.exitstatus
        return status if status is not None else -int(self.process.signalstatus or 0)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the command."""
        self.process.kill(number)
