import subprocess
import sys

import pytest

from mlops_tui.cli.launch import DashboardOptions, dashboard_options, engine_arguments


@pytest.mark.parametrize(
    "arguments",
    [["snapshot"], ["--help"], ["-h"], ["--version"], ["--env"], ["--nonsense"], ["--env", "a", "doctor"], ["demo"]],
)
def test_all_but_a_plain_dashboard_is_click_s(arguments: list[str]) -> None:
    assert dashboard_options(arguments) is None


def test_a_plain_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLOPS_TUI_READ_ONLY", raising=False)
    assert dashboard_options([]) == DashboardOptions()
    options = dashboard_options(["--env", "production", "--env=staging", "--read-only", "--config", "x.toml"])
    assert options is not None
    assert engine_arguments(options) == ["--config", "x.toml", "--env", "production", "--env", "staging", "--read-only"]


def test_read_only_by_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TUI_READ_ONLY", "1")
    options = dashboard_options([])
    assert options is not None
    assert options.read_only


def test_choosing_the_dashboard_imports_neither_click_nor_pydantic_nor_an_sdk() -> None:
    code = (
        "import sys; from mlops_tui.cli.launch import dashboard_options; dashboard_options([]);"
        "from mlops_tui.engine import child;"
        "print([m for m in ('click','pydantic','textual','mlflow','kubernetes','github','httpx') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_without_a_terminal_it_says_what_to_use_instead() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mlops_tui"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert "mlops-tui snapshot" in result.stderr
