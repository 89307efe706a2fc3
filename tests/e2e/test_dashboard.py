"""The installed command in a terminal, from the first frame to the last."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND
from tests.support.processes import processes_naming, wait_until_gone
from tests.support.terminal import Terminal

LIVE = ("github ✔", "mlflow ✔", "kube ✔")
LEAVE_SCREEN = b"\x1b[?1049l"


def demo_home(environment: dict[str, str]) -> str:
    [folder] = Path(environment["TMPDIR"]).glob("mlops-tui-demo-*")
    return str(folder)


def test_the_demo_from_first_frame_to_quit(judged_home: dict[str, str]) -> None:
    with Terminal([COMMAND, "demo"], env=judged_home) as terminal:
        terminal.wait_for("mlops-tui", "Workflows", "Models", "Rollouts", "Pull requests", "connecting")
        terminal.wait_for(*LIVE)
        terminal.wait_for("fraud-api", "ranker", "☑", absent=["connecting"])
        folder = demo_home(judged_home)
        terminal.send("4")
        terminal.send("/fraud-api")
        terminal.wait_for("fraud-api", absent=["ml/churn"])
        terminal.send("\r")
        terminal.send("\r")
        terminal.wait_for("exceeded its progress deadline")
        # The end of what the row knows moves when the rest has been fetched.
        terminal.send_until("G", "ImagePullBackOff")
        terminal.send("\x1b")
        terminal.wait_for("ml/fraud-api", absent=["ImagePullBackOff"])
        terminal.send("\x1b")
        terminal.wait_for("ml/churn")
        terminal.resize(80, 24)
        terminal.wait_for("Rollouts", "ml/churn")
        terminal.send("q")
        assert terminal.wait_end() == 0
        assert LEAVE_SCREEN in terminal.output
    wait_until_gone(folder)
    assert not Path(folder).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_demo_that_is_killed(judged_home: dict[str, str], number: signal.Signals) -> None:
    with Terminal([COMMAND, "demo"], env=judged_home) as terminal:
        terminal.wait_for(*LIVE)
        folder = demo_home(judged_home)
        assert len(processes_naming(folder)) >= 3
        terminal.kill(number)
        terminal.wait_end()
        if number != signal.SIGKILL:
            assert LEAVE_SCREEN in terminal.output
    wait_until_gone(folder)
    deadline = time.monotonic() + 20
    while Path(folder).exists():
        assert time.monotonic() < deadline, list(Path(folder).iterdir())
        time.sleep(0.05)


def test_a_killed_engine_comes_back_while_the_screen_keeps_its_data(at_world: dict[str, str]) -> None:
    config = at_world.pop("MLOPS_TUI_CONFIG")
    with Terminal([COMMAND, "--config", config], env=at_world) as terminal:
        terminal.wait_for(*LIVE, "ml/churn")
        [engine] = [pid for pid, line in processes_naming(f"engine --config {config}").items()]
        os.kill(engine, signal.SIGKILL)
        terminal.wait_for("engine stopped", "ml/churn")
        terminal.wait_for(*LIVE, "ml/churn", absent=["engine stopped"])
        assert engine not in processes_naming(f"engine --config {config}")
        terminal.send("q")
        assert terminal.wait_end() == 0
    wait_until_gone(f"engine --config {config}")


def test_the_second_start_begins_with_the_last_board(at_world: dict[str, str], tmp_path: Path) -> None:
    with Terminal([COMMAND], env=at_world) as terminal:
        terminal.wait_for(*LIVE, "ml/churn")
        terminal.send("q")
        assert terminal.wait_end() == 0
    [kept] = (tmp_path / "cache").rglob("board-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    with Terminal([COMMAND], env=at_world) as terminal:
        terminal.wait_for("ml/churn")
        terminal.send("q")
        assert terminal.wait_end() == 0


def test_with_nothing_configured_each_pane_says_what_to_do(home: dict[str, str], tmp_path: Path) -> None:
    with Terminal(["env", "-C", str(tmp_path / "home"), COMMAND], env=home, columns=160) as terminal:
        terminal.wait_for("off:", "MLFLOW_TRACKING_URI", "kubeconfig")
        terminal.send("q")
        assert terminal.wait_end() == 0


def test_a_mistake_in_the_configuration_is_one_line_after_the_screen_is_left(
    home: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "mlops-tui.toml"
    path.write_text("[gihub]\n")
    with Terminal([COMMAND, "--config", str(path)], env=home, columns=200) as terminal:
        assert terminal.wait_end() == 2
        after = terminal.output.rpartition(LEAVE_SCREEN)[2]
    assert b"unknown key gihub; did you mean github?" in after
    assert b"Traceback" not in terminal.output


def test_a_clash_of_keys_is_one_line(home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "mlops-tui.toml"
    path.write_text('[ui.keys]\n"pane.zoom" = "r"\n')
    with Terminal([COMMAND, "--config", str(path)], env=home, columns=200) as terminal:
        assert terminal.wait_end() == 2
        assert b"ui.keys" in terminal.output
        assert b"Traceback" not in terminal.output


def test_the_demo_ends_with_its_world_and_says_why(judged_home: dict[str, str]) -> None:
    with Terminal([COMMAND, "demo"], env=judged_home) as terminal:
        terminal.wait_for(*LIVE)
        folder = demo_home(judged_home)
        [registry] = [pid for pid, line in processes_naming(folder).items() if "registry_server" in line]
        os.kill(registry, signal.SIGKILL)
        assert terminal.wait_end() == 1
        assert b"MLflow's server ended" in terminal.output.rpartition(LEAVE_SCREEN)[2]
    wait_until_gone(folder)


def test_the_demo_leaves_nothing_in_the_home_folder(judged_home: dict[str, str]) -> None:
    with Terminal([COMMAND, "demo"], env=judged_home) as terminal:
        terminal.wait_for(*LIVE)
        terminal.send("q")
        assert terminal.wait_end() == 0
    root, judged = Path(judged_home["HOME"]).parent, Path(judged_home["JUDGE_FOLDER"])
    assert [str(path) for path in root.rglob("*") if path.is_file() and path.parent != judged] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--attach", "/nowhere.sock"], 1, b"no engine listens at /nowhere.sock"),
        (["--theme", "nonsense"], 2, b"no such theme; there are: daylight, midnight"),
        (["--config", "/nowhere.toml"], 2, b"/nowhere.toml: no such file"),
    ],
)
def test_a_start_that_cannot_succeed_is_one_line(
    home: dict[str, str], arguments: list[str], code: int, message: bytes
) -> None:
    with Terminal([COMMAND, *arguments], env=home, columns=200) as terminal:
        assert terminal.wait_end() == code
        assert message in terminal.output.rpartition(LEAVE_SCREEN)[2]
        assert b"Traceback" not in terminal.output


def test_two_dashboards_share_one_engine(at_world: dict[str, str], tmp_path: Path) -> None:
    import subprocess

    socket = str(tmp_path / "e.sock")
    with subprocess.Popen([COMMAND, "engine", "--listen", socket], env=at_world) as engine:
        try:
            deadline = time.monotonic() + 30
            while not Path(socket).exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            command = [COMMAND, "--attach", socket]
            with Terminal(command, env=at_world) as first, Terminal(command, env=at_world) as second:
                first.wait_for(*LIVE, "ml/churn")
                second.wait_for(*LIVE, "ml/churn")
                first.send("q")
                assert first.wait_end() == 0
                second.send("q")
                assert second.wait_end() == 0
            assert engine.poll() is None
        finally:
            engine.terminate()
    assert not Path(socket).exists()
