"""Keeps bytes that are no UTF-8 away from Textual, whose input thread they would end, and the dashboard with it."""

import os
import select
import signal
from codecs import getincrementaldecoder
from threading import Event, Thread

from textual.drivers.linux_driver import LinuxDriver

_WAIT = 0.1
"""Seconds between looks at whether the input has ended."""
_CHUNK = 4096
"""Bytes read at once."""


class Utf8Driver(LinuxDriver):
    """Textual's own driver, reading the terminal through a pipe that carries nothing but UTF-8."""

    def run_input_thread(self) -> None:
        """Wait for input and dispatch events."""
        terminal = self.fileno
        self.fileno, target = os.pipe()
        stop = Event()
        pump = Thread(target=_pump, args=(terminal, target, stop), name="mlops-tui-input")
        pump.start()
        try:
            super().run_input_thread()
        finally:
            stop.set()
            # Closed first, it wakes a pump that waits for room.
            os.close(self.fileno)
            self.fileno = terminal
            pump.join()
            os.close(target)


def _pump(terminal: int, target: int, stop: Event) -> None:
    """Carry what is UTF-8 from `terminal` to `target` until `stop` is set, and drop the rest."""
    decode = getincrementaldecoder("utf-8")(errors="ignore").decode
    while not stop.is_set():
        if not select.select([terminal], [], [], _WAIT)[0]:
            continue
        try:
            data = os.read(terminal, _CHUNK)
        except OSError:
            data = b""
        if not data:
            # Only the leader of a session is told by the system that its terminal is gone.
            os.kill(os.getpid(), signal.SIGHUP)
            return
        try:
            os.write(target, decode(data).encode())
        except BrokenPipeError:
            return
