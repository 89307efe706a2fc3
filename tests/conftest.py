"""What all tests share: the real servers, started once, and a word on which of them take part."""

import os

import pytest

from tests.support.control_plane import available, control_plane
from tests.support.mlflow_server import mlflow_server

__all__ = ["control_plane", "mlflow_server"]


def pytest_report_header() -> str:
    """Say which real servers the contract tests run on, beside the demo's."""
    plane = "yes" if available() else "no: MLOPS_TUI_CONTROL_PLANE names no script that can start one"
    return f"real servers: MLflow yes; Kubernetes control plane {plane}"


def pytest_configure(config: pytest.Config) -> None:
    """Fail where the real servers are asked for and missing: a suite that tests less must not look the same."""
    if os.environ.get("MLOPS_TUI_REQUIRE_REAL") and not available():
        raise pytest.UsageError("MLOPS_TUI_REQUIRE_REAL is set, and no Kubernetes control plane can be started")
