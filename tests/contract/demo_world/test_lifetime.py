"""Everything that a world started is gone when it ends, however it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_tui import demo
from tests.support.processes import processes_naming

PATIENCE = 20.0
"""Seconds: a machine that is busy with other things must not fail a test."""
LAUNCHER = (
    "import sys, time; from pathlib import Path; from mlops_tui import demo;"
    "world = demo.start_world(Path(sys.argv[1])); print(world.pid, flush=True); time.sleep(600)"
)
Start = Callable[[Path], "subprocess.Popen[bytes]"]


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes_of(home: Path) -> dict[int, str]:
    """Return the command lines, by process id, that name the world's folder."""
    return processes_naming(f"--home {home}")


def ports_of(home: Path) -> list[int]:
    settings = (home / demo.CONFIG_NAME).read_text() + (home / "kubeconfig").read_text()
    return [int(port) for port in re.findall(r"https?://127\.0\.0\.1:(\d+)", settings)]


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def known(home: Path) -> list[int]:
    """Wait until the addresses are known, and return the ports."""
    wait_for((home / demo.CONFIG_NAME).exists)
    ports = ports_of(home)
    assert len(ports) == 3
    return ports


def assert_gone(home: Path, ports: list[int]) -> None:
    wait_for(lambda: not processes_of(home))
    assert not home.exists()
    # A process that is listed no more may still be closing what it had open.
    wait_for(lambda: not any(accepts(port) for port in ports))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "world"


def test_addresses_are_known_and_connections_held_before_anything_answers(home: Path, start: Start) -> None:
    start(home)
    assert all(accepts(port) for port in known(home))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_it(home: Path, start: Start, number: signal.Signals) -> None:
    world = start(home)
    ports = known(home)
    world.send_signal(number)
    assert_gone(home, ports)


def test_the_end_of_its_standard_input_ends_it(home: Path, start: Start) -> None:
    world = start(home)
    ports = known(home)
    demo.stop_world(world)
    assert world.returncode == 0
    assert_gone(home, ports)


def test_the_death_of_its_launcher_ends_it(home: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(home)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    launcher.stdout.readline()
    ports = known(home)
    assert len(processes_of(home)) == 2
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    assert_gone(home, ports)


def test_a_world_that_answers_dies_as_completely(home: Path, start: Start) -> None:
    world = start(home)
    demo.wait_until_ready(world)
    ports = ports_of(home)
    assert len(processes_of(home)) == 2
    world.kill()
    assert_gone(home, ports)


def test_without_mlflow_there_is_no_world_and_it_says_so(home: Path, start: Start) -> None:
    world = start(home)
    ports = known(home)
    (registry,) = [process for process, line in processes_of(home).items() if "registry_server" in line]
    os.kill(registry, signal.SIGKILL)
    with pytest.raises(demo.WorldFailed, match=r"MLflow's server ended with exit code -9"):
        demo.wait_until_ready(world)
    assert world.wait(PATIENCE) == 1
    assert_gone(home, ports)


def test_a_folder_with_something_in_it_is_not_taken(tmp_path: Path, start: Start) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    world = start(tmp_path)
    with pytest.raises(demo.WorldFailed, match="is not empty"):
        demo.wait_until_ready(world)
    assert world.wait(PATIENCE) == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_launchers_side_imports_the_standard_library_alone() -> None:
    script = (
        "import sys, json; before = set(sys.modules); import mlops_tui.demo;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert imported <= {*sys.stdlib_module_names, "mlops_tui"}
