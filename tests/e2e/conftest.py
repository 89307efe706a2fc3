import base64
import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_tui.demo import GITHUB_TOKEN, TOKEN_ENV, Addresses, start_world, stop_world, wait_until_ready
from tests.support.judge import Verdict, check_github, check_kubernetes, judging

COMMAND = str(Path(sys.executable).with_name("mlops-tui"))
"""The installed command."""
VERDICTS: list[Verdict] = []
"""What the proxies before the world have seen."""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has nothing: no configuration, no credentials, no cache."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "MLOPS_TUI_", "GITHUB_", "GH_"))
        and name not in ("KUBECONFIG", "NO_COLOR", "COLUMNS", "LINES")
    }
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


@pytest.fixture
def judged_home(home: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The same, where the servers of a `mlops-tui demo` are judged by the official schemas."""
    folder = tmp_path / "judged"
    folder.mkdir()
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root / "tests" / "support" / "judged_world"), str(root)])
    yield {**home, "JUDGE_FOLDER": str(folder), "PYTHONPATH": path}
    found = {record.name: set(record.read_text().splitlines()) for record in folder.iterdir()}
    assert found == {"github": {"ok"}, "kubernetes": {"ok"}}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """An embedded world that answers, behind proxies that judge every exchange by the official schemas."""
    folder = tmp_path_factory.mktemp("world")
    process = start_world(folder / "home", seed=7)
    try:
        addresses = wait_until_ready(process)
        kubeconfig = Path(addresses["kubeconfig"]).read_text()
        [cluster] = set(re.findall(r"https://127\.0\.0\.1:\d+", kubeconfig))
        [authority] = set(re.findall(r'"certificate-authority-data": "(.*?)"', kubeconfig))
        believed = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        # Clients keep their tokens to themselves where there is no TLS; the proxy shows what the cluster itself does.
        identity = (folder / "home" / "kubernetes.crt", folder / "home" / "kubernetes.key")
        github = addresses["github_api_url"].removesuffix("/api/v3")
        with (
            judging(github, check_github) as (hub, spoken),
            judging(cluster, check_kubernetes, believed, identity) as (plane, seen),
        ):
            VERDICTS[:] = [spoken, seen]
            paths = {}
            for name in ("kubeconfig", "config"):
                path = folder / Path(addresses[name]).name
                text = Path(addresses[name]).read_text()
                text = text.replace(cluster, plane).replace(github, hub)
                path.write_text(text.replace(addresses["kubeconfig"], str(folder / "kubeconfig")))
                paths[name] = str(path)
            yield {**addresses, "github_api_url": f"{hub}/api/v3", **paths}  # type: ignore[typeddict-item]
        assert (spoken.failures, seen.failures) == ([], [])
    finally:
        stop_world(process)


@pytest.fixture
def at_world(home: dict[str, str], world: Addresses) -> dict[str, str]:
    """The environment of a user whose configuration is the world's."""
    return {**home, TOKEN_ENV: GITHUB_TOKEN, "MLOPS_TUI_CONFIG": world["config"]}
