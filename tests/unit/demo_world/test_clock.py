import asyncio
from datetime import UTC, datetime, timedelta

from mlops_tui.demo.clock import WorldClock

START = datetime(2026, 11, 20, tzinfo=UTC)


async def test_sleepers_wake_in_order_each_at_its_time() -> None:
    clock = WorldClock(START)
    woken: list[tuple[str, datetime]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper("a", 3, 4)), asyncio.create_task(sleeper("b", 5))]
    await clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == [("a", START + timedelta(seconds=s)) if n else ("b", START + timedelta(seconds=s)) for n, s in
                     ((1, 3), (0, 5), (1, 7))]  # fmt: skip
    assert clock.now() == START + timedelta(seconds=10)


async def test_it_never_goes_back() -> None:
    clock = WorldClock(START)
    await clock.advance(60)
    await clock.advance_to(START)
    assert clock.now() == START + timedelta(seconds=60)


async def test_a_sleeper_sleeps_on_across_going_live() -> None:
    clock = WorldClock(START, speed=1000.0)
    await clock.advance(30)
    slept = asyncio.create_task(clock.sleep(20))
    await asyncio.sleep(0)
    clock.go_live()
    await asyncio.wait_for(slept, 5)
    assert clock.monotonic() >= 50
    before = clock.now()
    await clock.sleep(5)
    assert clock.now() - before >= timedelta(seconds=5)
