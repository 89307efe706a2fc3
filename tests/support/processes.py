"""Processes by what their command line names."""

import time
from pathlib import Path


def processes_naming(text: str) -> dict[int, str]:
    """Return the command lines, by process id, in which `text` occurs; zombies have none."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found[int(folder.name)] = line.strip()
    return found


def wait_until_gone(text: str, seconds: float = 20.0) -> None:
    """Wait until no process names `text`. Raises `AssertionError` with those that are left."""
    deadline = time.monotonic() + seconds
    while left := processes_naming(text):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
