"""What all tests share: the real servers, started once, and a word on which of them take part."""

import os
import shutil

import pytest

from tests.support.control_plane import available, control_plane
from tests.support.mlflow_server import mlflow_server

__all__ = ["control_plane", "mlflow_server"]


TOOLS = ("kubectl", "git", "prometheus")
"""Programs that some tests need; where one is missing these are left out, and the end of the run says so."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers and tools the tests ran with, beside the demo's."""
    plane = "yes" if available() else "no (MLOPS_TUI_CONTROL_PLANE names no script that can start one)"
    tools = ", ".join(f"{tool} {'yes' if shutil.which(tool) else 'no'}" for tool in TOOLS)
    terminalreporter.write_line(f"real: MLflow yes, Kubernetes control plane {plane}; tools: {tools}")


def pytest_configure(config: pytest.Config) -> None:
    """Fail where everything real is asked for and something is missing: testing less must not look the same."""
    config.addinivalue_line("markers", "tool(name): needs this program on the PATH")
    if os.environ.get("MLOPS_TUI_REQUIRE_REAL"):
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        missing += [] if available() else ["a Kubernetes control plane"]
        if missing:
            raise pytest.UsageError(f"MLOPS_TUI_REQUIRE_REAL is set, and there is no {', no '.join(missing)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that is not here."""
    without = [item for item in items if any(shutil.which(m.args[0]) is None for m in item.iter_markers("tool"))]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in set(without)]
