"""Writes the pictures of the README: the real screen, on the embedded world, through the real clients."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from mlops_tui import __version__
from mlops_tui.demo import GITHUB_TOKEN, TOKEN_ENV, start_world, stop_world, wait_until_ready
from mlops_tui.engine.child import start_child
from mlops_tui.engine.ports import EnginePort
from mlops_tui.engine.remote import RemoteEngine, child_connector
from mlops_tui.ui.app import DashboardApp
from mlops_tui.ui.options import UiOptions

FOLDER = Path(__file__).parent / "images"
PATIENCE = 60.0

Act = Callable[[Pilot[Any]], Awaitable[None]]


async def as_it_is(pilot: Pilot[Any]) -> None:
    """Do nothing."""


async def opened(pilot: Pilot[Any]) -> None:
    """Open the first rollout."""
    await pilot.press("4", "enter")
    await asyncio.sleep(1.5)


async def planned(pilot: Pilot[Any]) -> None:
    """Plan a promotion to production: of the version that waits there for its approval."""
    await pilot.press("3", "slash", *"fraud-detector", "enter")
    await asyncio.sleep(0.5)
    await pilot.press("j", "p")
    await asyncio.sleep(1)
    await pilot.press("enter")
    await asyncio.sleep(4)


PICTURES: tuple[tuple[str, str, tuple[int, int], Act], ...] = (
    ("dashboard", "midnight", (150, 42), as_it_is),
    ("detail", "midnight", (150, 42), opened),
    ("plan", "midnight", (150, 42), planned),
    ("daylight", "daylight", (150, 42), as_it_is),
    ("small", "midnight", (80, 24), as_it_is),
)


async def picture(config: str, name: str, theme: str, size: tuple[int, int], act: Act) -> None:
    """Write one picture once every source is live."""

    async def connect() -> EnginePort:
        engine = RemoteEngine(child_connector(lambda: start_child(["--no-keep", "--config", config])))
        engine.start()
        return engine

    app = DashboardApp(connect, ui=UiOptions(theme=theme, version=__version__))
    async with app.run_test(size=size) as pilot:
        async with asyncio.timeout(PATIENCE):
            while "connecting" in (text := app.export_screenshot()) or "✔" not in text:
                await pilot.pause(0.2)
        # The first answers come in parts; a picture is of the whole.
        await asyncio.sleep(4)
        await act(pilot)
        (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="mlops-tui"), encoding="utf-8")


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    os.environ[TOKEN_ENV] = GITHUB_TOKEN
    with tempfile.TemporaryDirectory() as folder:
        world = start_world(Path(folder) / "world", seed=7)
        try:
            config = wait_until_ready(world)["config"]
            for name, theme, size, act in PICTURES:
                asyncio.run(picture(config, name, theme, size, act))
        finally:
            stop_world(world)


if __name__ == "__main__":
    main()
