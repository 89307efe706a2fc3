"""The one door to the engine, whichever process it lives in."""

from collections.abc import AsyncGenerator
from typing import Protocol

from mlops_tui.domain.base import Detail, RowRef
from mlops_tui.domain.operation import Confirmation, OperationRow, Plan, PlanRequest
from mlops_tui.domain.state import Probe
from mlops_tui.engine.messages import Update


class EnginePort(Protocol):
    """What a screen or a script may ask of an engine. All methods raise `EngineError` once the engine is closed."""

    def updates(self) -> AsyncGenerator[Update]:
        """Yield the board as it is now, then every change of it, until the engine closes.

        Each call is a viewer of its own, and begins with the whole board. A slow viewer gets changes folded together,
        never an old state after a newer one. Closing the iterator ends it.
        """

    async def detail(self, ref: RowRef) -> Detail:
        """Return all that is known of a row, fetching what the row itself does not hold.

        What cannot be fetched is said in `Detail.problem`. Raises `EngineError` for a row that is not on the board.
        """

    async def refresh(self, source: str | None = None) -> None:
        """Ask a source, or all of them, to be read again now and in full; returns at once.

        A source that is being read is not asked twice.
        """

    async def attend(self, attended: bool) -> None:
        """Say whether somebody looks: sources are read less often while nobody does."""

    async def probe(self) -> tuple[Probe, ...]:
        """Ask every source what is reachable, as whom, with which permissions."""

    async def plan(self, request: PlanRequest) -> Plan:
        """Look at the world and return what an operation would do; changes nothing.

        Raises:
            ConfigError: The operation, its target or a parameter is not one.
            SourceError: A system does not answer, or does not have the target; over the wire an `EngineError` with the
                same message and exit code.
        """

    async def execute(self, plan: str, confirmation: Confirmation) -> OperationRow:
        """Begin to carry out a plan; what becomes of it follows in the updates.

        Raises:
            Refused: The rules forbid it, or the confirmation lacks something: nothing was sent.
        """

    async def close(self) -> None:
        """End the engine and everything it started. Idempotent."""
