"""What the past writes into MLflow's tables is what MLflow's own store would have written there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops_tui import demo

MODEL, SEEDED = "written-by-mlflow", "churn"
TABLES = {
    "experiments": "name = :model",
    "runs": "experiment_id = (SELECT experiment_id FROM experiments WHERE name = :model)",
    "tags": "key = 'mlflow.source.git.commit' AND run_uuid = :run",
    "params": "run_uuid = :run",
    "metrics": "run_uuid = :run",
    "latest_metrics": "run_uuid = :run",
    "registered_models": "name = :model",
    "registered_model_tags": "name = :model",
    "model_versions": "name = :model AND version = 1",
    "model_version_tags": "name = :model AND version = 1",
    "registered_model_aliases": "name = :model",
}


@pytest.fixture
def mlflow(addresses: demo.Addresses) -> Iterator[httpx.Client]:
    base_url = f"{addresses['mlflow_tracking_uri']}/api/2.0/mlflow/"
    with httpx.Client(base_url=base_url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def written(mlflow: httpx.Client) -> Iterator[None]:
    """A model with one version and its run, made through MLflow's interface; gone after the test."""

    def call(path: str, **body: object) -> Any:
        return mlflow.post(path, json=body).raise_for_status().json()

    pair = {"key": "any", "value": "value"}
    experiment = call("experiments/create", name=MODEL)["experiment_id"]
    commit = {"key": "mlflow.source.git.commit", "value": "0" * 40}
    run = call(
        "runs/create", experiment_id=experiment, user_id="release-bot", run_name="a", start_time=1, tags=[commit]
    )
    run_id = run["run"]["info"]["run_id"]
    metric = {"key": "auc", "value": 0.5, "timestamp": 1, "step": 0}
    call("runs/log-batch", run_id=run_id, metrics=[metric], params=[pair])
    call("runs/update", run_id=run_id, status="FINISHED", end_time=2)
    call("registered-models/create", name=MODEL, description="about", tags=[pair])
    source = f"{run['run']['info']['artifact_uri']}/model"
    call("model-versions/create", name=MODEL, source=source, run_id=run_id, description="about", tags=[pair])
    call("registered-models/alias", name=MODEL, alias="champion", version="1")
    yield
    mlflow.request("DELETE", "registered-models/delete", json={"name": MODEL}).raise_for_status()
    call("experiments/delete", experiment_id=experiment)


def columns_of(database: Path, table: str, model: str) -> dict[str, str]:
    """Return, for each column of a model's row, the type of what is stored there; `null` is one."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
        (run,) = connection.execute(
            "SELECT run_id FROM model_versions WHERE name = ? AND version = 1", [model]
        ).fetchone()
        types = ", ".join(f"typeof({name})" for name in names)
        row = connection.execute(
            f"SELECT {types} FROM {table} WHERE {TABLES[table]} LIMIT 1", {"model": model, "run": run}
        ).fetchone()
    return dict(zip(names, row, strict=True))


@pytest.mark.usefixtures("written")
def test_every_column_is_filled_as_mlflow_fills_it(addresses: demo.Addresses) -> None:
    database = Path(addresses["config"]).parent / "mlflow.db"
    for table in TABLES:
        assert columns_of(database, table, SEEDED) == columns_of(database, table, MODEL), table
