"""A desk with a verb that paints: what rules and journal do is told by what they were asked."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.clock import Clock
from mlops_tui.domain.operation import OperationRow
from mlops_tui.operations.base import Place
from mlops_tui.operations.desk import Desk
from mlops_tui.operations.journal import Journal, Record
from tests.support.clock import ManualClock
from tests.support.painting import Paint, paint_place

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


class Told:
    """What a desk told: every state of every operation, and its notifications."""

    def __init__(self) -> None:
        self.rows: list[OperationRow] = []
        self.records: list[Record] = []

    def row(self, row: OperationRow) -> None:
        self.rows.append(row)

    async def outcome(self, record: Record) -> None:
        self.records.append(record)

    async def end(self) -> OperationRow:
        """Wait for the end of the newest operation."""
        async with asyncio.timeout(5):
            while not self.rows or not self.rows[-1].state.ended:
                await asyncio.sleep(0)
        return self.rows[-1]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.jsonl")


@pytest.fixture
def verb() -> Paint:
    return Paint()


@pytest.fixture
def told() -> Told:
    return Told()


MakePlace = Callable[..., Place]


@pytest.fixture
def place(clock: Clock, journal: Journal) -> MakePlace:
    """Make a place with environments; `home` is one without any rules."""

    def made(environments: Mapping[str, Mapping[str, Any]] | None = None, *, read_only: bool = False) -> Place:
        return paint_place(journal.path, clock, environments, read_only=read_only)

    return made


@pytest.fixture
def desk(place: MakePlace, verb: Paint, told: Told) -> Callable[..., Desk]:
    """Make a desk at a place."""

    def made(environments: Mapping[str, Mapping[str, Any]] | None = None, *, read_only: bool = False) -> Desk:
        return Desk(place(environments, read_only=read_only), [verb], tell=told.row, notify=told.outcome)

    return made
