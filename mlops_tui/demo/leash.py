"""Ending together: a process that holds one end of a pipe is told when the other end dies, however it dies."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_REMOVAL_ATTEMPTS: Final = 20
_REMOVAL_PAUSE: Final = 0.05
"""Seconds between attempts: another process of the world may be writing its last lines."""


def watch(descriptor: int, on_end: Callable[[], object], on_data: Callable[[bytes], None] | None = None) -> None:
    """Call `on_end` once, from a thread of its own, when nobody holds the writing end of the pipe any more.

    The thread never keeps the process alive.

    Args:
        on_data: Gets what is written into the pipe, in pieces, on the same thread.
    """

    def read() -> None:
        try:
            while data := os.read(descriptor, 65_536):
                if on_data is not None:
                    on_data(data)
        except OSError:
            pass  # a descriptor that cannot be read will not tell of a death either: as good as the end
        on_end()

    threading.Thread(target=read, name="leash", daemon=True).start()


def remove_tree(folder: Path) -> None:
    """Remove `folder` and everything in it, also while others still write there; silent if it cannot be done."""
    for _ in range(_REMOVAL_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_REMOVAL_PAUSE)
