import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_tui import demo

Start = Callable[[Path], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Addresses]:
    """Where a world is that answers; one a session."""
    world = demo.start_world(tmp_path_factory.mktemp("world"), seed=1)
    try:
        yield demo.wait_until_ready(world)
    finally:
        demo.stop_world(world)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start worlds that are gone after the test."""
    worlds: list[subprocess.Popen[bytes]] = []

    def started(home: Path) -> "subprocess.Popen[bytes]":
        worlds.append(demo.start_world(home))
        return worlds[-1]

    yield started
    for world in worlds:
        demo.stop_world(world)
