"""The journal: who did what to which release, when, why and how it ended; append-only, and proof against quiet edits.

One JSON object a line. Each holds the SHA-256 of the line before it, so that a line that was changed, removed or put in
between breaks the chain from there on; the first hash of a file is 64 zeros. Lines are on the disk before anything is
sent, and again once the outcome is known: what was begun and never ended is an *intent*, which the next start shows.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import AwareDatetime, ValidationError

from mlops_tui.domain.base import Frozen
from mlops_tui.domain.errors import MlopsTuiError
from mlops_tui.domain.operation import Change, GateResult, OperationState, PlanRequest
from mlops_tui.domain.text import Line

FIRST = "0" * 64
"""What the first line of a journal names as the hash of the line before it."""


class JournalError(MlopsTuiError):
    """The journal cannot be written, so that nothing may be done; or it cannot be read."""


class Record(Frozen):
    """One line of the journal.

    Attributes:
        event: `intent` is written before an operation sends anything, `outcome` when it has ended; `refusal` stands for
            an operation that was not begun; `resolved` says what became of an intent that had no outcome.
        operation: The same in the lines of one operation.
        holds: What is true now, step by step, where an operation ended half-way.
    """

    sequence: int
    at: AwareDatetime
    event: Literal["intent", "outcome", "refusal", "resolved"]
    operation: str
    by: Line
    host: Line = ""
    process: int = 0
    request: PlanRequest
    title: Line
    name: Line
    environment: Line = ""
    changes: tuple[Change, ...] = ()
    gates: tuple[GateResult, ...] = ()
    facts: dict[str, Line] = {}
    reason: Line = ""
    override: Line = ""
    state: OperationState | None = None
    outcome: Line = ""
    holds: tuple[Line, ...] = ()
    undo: PlanRequest | None = None
    previous: str = FIRST


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain is broken: the number of the line, the first being 1, and what is wrong with it."""

    line: int
    problem: str


class Journal:
    """The journal at a path; the file is made by the first record (mode 0600, folder 0700)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Record) -> Record:
        """Write a record durably, and return it with its place in the chain.

        Several processes may append at once: they wait for each other.

        Raises:
            JournalError: It is not on the disk.
        """
        try:
            with self._locked() as file:
                last = _last_line(file)
                sequence, previous = (json.loads(last)["sequence"] + 1, _hash(last)) if last else (1, FIRST)
                chained = record.model_copy(update={"sequence": sequence, "previous": previous})
                file.seek(0, os.SEEK_END)
                file.write(_line(chained))
                file.flush()
                os.fsync(file.fileno())
        except (OSError, ValueError, KeyError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise JournalError(f"{self.path} cannot be written: {why}", "nothing is done without it") from error
        return chained

    def records(self) -> Iterator[Record]:
        """Yield all records, oldest first, without lines that are none: `verify` names those. Raises `JournalError`."""
        for raw in self._lines():
            try:
                yield Record.model_validate_json(raw)
            except ValidationError:
                continue

    def verify(self) -> Break | None:
        """Return the first break of the chain, or `None`. Raises `JournalError`."""
        previous = FIRST
        for number, raw in enumerate(self._lines(), start=1):
            try:
                record = Record.model_validate_json(raw)
            except ValidationError:
                return Break(number, "is no record")
            if record.previous != previous:
                return Break(number, "does not follow from the line before: one of them was changed, or one is gone")
            if record.sequence != number:
                return Break(number, f"says that it is number {record.sequence}")
            previous = _hash(raw)
        return None

    def open_intents(self) -> list[Record]:
        """Return the intents that have neither an outcome nor a resolution, oldest first. Raises `JournalError`."""
        found: dict[str, Record] = {}
        for record in self.records():
            if record.event == "intent":
                found[record.operation] = record
            else:
                found.pop(record.operation, None)
        return list(found.values())

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from (raw.rstrip(b"\n") for raw in file if raw.strip())
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not self.path.exists()
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if fresh:
                _sync_folder(self.path.parent)
            yield file


def _sync_folder(folder: Path) -> None:
    # A file that is new is only as durable as the folder's knowledge of it.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(record: Record) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _last_line(file: IO[bytes]) -> bytes:
    """Return the last whole line; what a crash left half-written after it is cut off, since nothing was sent for it."""
    size = file.seek(0, os.SEEK_END)
    tail, start = b"", size
    while start > 0 and tail.count(b"\n") < 2:
        start = max(0, start - 65_536)
        file.seek(start)
        tail = file.read(size - start)
    if tail and not tail.endswith(b"\n"):
        whole = tail.rfind(b"\n") + 1
        file.truncate(start + whole)
        tail = tail[:whole]
    lines = tail.splitlines()
    return lines[-1] if lines else b""


def as_json(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values."""
    data: dict[str, Any] = json.loads(record.model_dump_json())
    return data
