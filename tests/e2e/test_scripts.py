"""The commands for scripts, through real clients on the embedded world."""

import json
import subprocess
from pathlib import Path

import pytest

from mlops_tui.demo import TOKEN_ENV, Addresses
from mlops_tui.export.document import SnapshotDocument
from tests.e2e.conftest import COMMAND, VERDICTS


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=environment["HOME"],
    )


def test_a_snapshot_has_everything_and_prints_nothing_else(at_world: dict[str, str]) -> None:
    result = run(at_world, "snapshot")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(verdict.exchanges for verdict in VERDICTS), "what is not judged has not been proven"
    document = SnapshotDocument.model_validate_json(result.stdout)
    assert {state.source: state.status.value for state in document.sources} == {
        "github": "live",
        "kubernetes": "live",
        "mlflow": "live",
    }
    assert {row.name for row in document.rollouts} >= {"fraud-api", "ranker", "churn", "vision-ocr"}
    assert {row.environment for row in document.rollouts} == {"production", "staging"}
    assert {row.model for row in document.versions} >= {"fraud-detector", "ranker", "churn", "vision-ocr"}
    assert any(row.aliases == ("champion",) or "champion" in row.aliases for row in document.versions)
    assert any(row.git_commit and row.metrics for row in document.versions)
    assert {row.workflow for row in document.runs} >= {"ML CI Pipeline", "ML CD Pipeline"}
    assert any(row.checklist for row in document.pulls)
    for rows in (document.rollouts, document.versions, document.runs, document.pulls):
        keys = [row.key for row in rows]
        assert keys == sorted(keys)


def test_one_environment(at_world: dict[str, str]) -> None:
    result = run(at_world, "snapshot", "--env", "staging")
    document = SnapshotDocument.model_validate_json(result.stdout)
    assert {row.environment for row in document.rollouts} == {"staging"}
    result = run(at_world, "snapshot", "--env", "stagin")
    assert (result.returncode, result.stdout) == (2, "")
    assert "did you mean staging" in result.stderr


def test_markdown(at_world: dict[str, str]) -> None:
    result = run(at_world, "snapshot", "--format", "md")
    assert result.returncode == 0
    assert result.stdout.startswith("# ML release snapshot\n")
    assert "| ml/fraud\\-api |" in result.stdout or "| ml/fraud-api |" in result.stdout


def test_a_failed_source_is_in_the_document_and_in_the_exit_code(at_world: dict[str, str]) -> None:
    result = run({**at_world, TOKEN_ENV: "revoked-token"}, "snapshot")
    assert result.returncode == 3
    document = SnapshotDocument.model_validate_json(result.stdout)
    assert {state.source: state.status.value for state in document.sources}["github"] == "denied"
    assert document.rollouts
    assert "github: " in result.stderr
    assert "revoked-token" not in result.stdout + result.stderr


def test_nothing_allowed_is_4_and_nothing_configured_is_2(at_world: dict[str, str], home: dict[str, str]) -> None:
    only_github = Path(home["HOME"]) / "github.toml"
    text = Path(at_world["MLOPS_TUI_CONFIG"]).read_text()
    base = next(line for line in text.splitlines() if line.startswith("base_url"))
    only_github.write_text(f'[github]\n{base}\nrepositories = ["acme/fraud"]\n')
    result = run({**home, "GH_ENTERPRISE_TOKEN": "revoked"}, "snapshot", "--config", str(only_github))
    assert result.returncode == 4
    result = run(home, "snapshot")
    assert result.returncode == 2
    assert json.loads(result.stdout)["rollouts"] == []


def test_doctor_says_what_is_reachable_as_whom_and_with_which_permissions(at_world: dict[str, str]) -> None:
    result = run(at_world, "doctor")
    assert (result.returncode, result.stderr) == (0, "")
    for text in ("github", "mlflow", "kubernetes", "✔", "list deployments", "127.0.0.1"):
        assert text in result.stdout
    probes = json.loads(run(at_world, "doctor", "--format", "json").stdout)
    assert {probe["status"] for probe in probes} == {"live"}
    assert all(probe["permissions"] for probe in probes)


def test_doctor_names_the_next_step(at_world: dict[str, str], home: dict[str, str]) -> None:
    result = run({**at_world, TOKEN_ENV: "revoked-token"}, "doctor")
    assert result.returncode == 4
    assert "→" in result.stdout
    assert "revoked-token" not in result.stdout
    result = run(home, "doctor")
    assert result.returncode == 2
    assert result.stdout.count("off") >= 3


@pytest.mark.tool("kubectl")
def test_kubectl_sees_the_same_deployments(world: Addresses, at_world: dict[str, str]) -> None:
    listed = subprocess.run(
        ["kubectl", "--kubeconfig", world["kubeconfig"], "get", "deployments", "-A", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
        env=at_world,
    )
    ours = SnapshotDocument.model_validate_json(run(at_world, "snapshot").stdout)
    theirs = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in json.loads(listed.stdout)["items"]}
    assert {(row.namespace, row.name) for row in ours.rollouts} == theirs
