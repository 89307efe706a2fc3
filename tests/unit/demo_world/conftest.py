import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from mlops_tui.demo.past import World, build
from mlops_tui.demo.scenario import Scenario
from tests.unit.demo_world.ledger import Ledger

BEGAN = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


@pytest.fixture
async def world() -> World:
    """A world as it is when it begins; nobody acts in it. Its monitoring is young, as hours of samples take time."""
    return await build(seed=1, speed=1.0, began=BEGAN, monitored=timedelta(minutes=10))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def scenario(world: World, ledger: Ledger) -> Scenario:
    """What plays in `world`."""
    return Scenario(world, ledger, seed=1)


@pytest.fixture
async def play(scenario: Scenario) -> AsyncIterator["asyncio.Task[None]"]:
    """The scenario, which plays while the world's clock is moved."""
    task = asyncio.create_task(scenario.run())
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
