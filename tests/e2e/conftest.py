import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_tui.demo import GITHUB_TOKEN, TOKEN_ENV, Addresses, start_world, stop_world, wait_until_ready

COMMAND = str(Path(sys.executable).with_name("mlops-tui"))
"""The installed command."""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has nothing: no configuration, no credentials, no cache."""
    names = ("GITHUB_TOKEN", "GH_TOKEN", "KUBECONFIG", "MLFLOW_TRACKING_URI", "MLOPS_TUI_CONFIG", "NO_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    folders = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "XDG_CONFIG_HOME": "config",
        "XDG_CACHE_HOME": "cache",
        "XDG_STATE_HOME": "s",
    }
    for variable, name in folders.items():
        (tmp_path / name).mkdir()
        environment[variable] = str(tmp_path / name)
    return environment


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """An embedded world that answers."""
    process = start_world(tmp_path_factory.mktemp("world") / "home", seed=7)
    try:
        yield wait_until_ready(process)
    finally:
        stop_world(process)


@pytest.fixture
def at_world(home: dict[str, str], world: Addresses) -> dict[str, str]:
    """The environment of a user whose configuration is the world's."""
    return {**home, TOKEN_ENV: GITHUB_TOKEN, "MLOPS_TUI_CONFIG": world["config"]}
