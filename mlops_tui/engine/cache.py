"""The last board, kept on disk so that the next sitting begins with something to read, marked with its age."""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from mlops_tui.domain.base import Frozen
from mlops_tui.domain.rows import AnyRow, Row
from mlops_tui.domain.state import SourceState, SourceStatus

log = logging.getLogger(__name__)

VERSION = 1
"""Of the file's form; a file of another version is not read."""
MOST_BYTES = 128 * 2**20
"""A larger file is not read: it would hold up the start that it is meant to help."""


class KeptBoard(Frozen):
    """The file."""

    version: int
    states: tuple[SourceState, ...]
    rows: tuple[AnyRow, ...]


class BoardCache:
    """One file (mode 0600) for one configuration and choice of environments. No error of it is ever fatal."""

    def __init__(self, folder: Path, *identity: str) -> None:
        name = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
        self._path = folder / f"board-{name}.json"

    def load(self) -> tuple[tuple[SourceState, ...], tuple[Row, ...]]:
        """Return states and rows of the last sitting, the states as `connecting`; nothing if there is no such file."""
        try:
            if self._path.stat().st_size > MOST_BYTES:
                return (), ()
            kept = KeptBoard.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return (), ()
        except (OSError, ValidationError) as error:
            log.warning("the last board is not used: %s", type(error).__name__)
            return (), ()
        if kept.version != VERSION:
            return (), ()
        connecting = {"status": SourceStatus.CONNECTING, "streaming": False, "error": "", "hint": "", "retry_at": None}
        return tuple(state.model_copy(update=connecting) for state in kept.states if state.fetched_at), kept.rows

    def save(self, states: Sequence[SourceState], rows: Sequence[Row]) -> None:
        """Write the file whole or not at all."""
        data = KeptBoard.model_construct(version=VERSION, states=tuple(states), rows=tuple(rows)).model_dump_json()
        name = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp makes the file 0600 from its first byte.
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".board-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(data)
            os.replace(name, self._path)
        except OSError as error:
            log.warning("the board is not kept: %s", error.strerror)
            if name:
                with contextlib.suppress(OSError):
                    os.unlink(name)
