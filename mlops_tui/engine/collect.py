"""One look at everything, for scripts: wait until each source has answered or failed, then say what there is."""

import asyncio
import contextlib
from dataclasses import dataclass

from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceState, SourceStatus
from mlops_tui.engine.messages import Scope
from mlops_tui.engine.ports import EnginePort


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board at one moment."""

    scope: Scope
    states: tuple[SourceState, ...]
    rows: tuple[Row, ...]


async def collect(engine: EnginePort, timeout: float) -> BoardView:
    """Return the board once every source has sent all its rows or failed.

    A source that has done neither after `timeout` seconds is given as failed, with the rows that it had sent.
    """
    rows: dict[str, Row] = {}
    states: dict[str, SourceState] = {}
    complete: set[str] = set()
    scope: Scope | None = None
    updates = engine.updates()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            async for update in updates:
                scope = update.scope or scope
                states.update((state.source, state) for state in update.sources)
                rows.update((row.key, row) for row in update.upserts)
                for key in update.removals:
                    rows.pop(key, None)
                complete.update(update.completes)
                if states and all(_answered(state, complete) for state in states.values()):
                    break
    late = f"no complete answer within {timeout:g} s"
    settled = tuple(state if _answered(state, complete) else _failed(state, late) for state in states.values())
    return BoardView(scope or Scope(environments=(), read_only=True), settled, tuple(rows.values()))


def _answered(state: SourceState, complete: set[str]) -> bool:
    if state.status is SourceStatus.LIVE:
        return state.source in complete
    return state.status is not SourceStatus.CONNECTING


def _failed(state: SourceState, error: str) -> SourceState:
    status = SourceStatus.STALE if state.fetched_at else SourceStatus.UNREACHABLE
    return state.model_copy(update={"status": status, "error": error, "hint": "--timeout gives it longer"})
