"""Models of their own on the real MLflow server, and what operations change them with."""

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.sources.mlflow import MlflowSource, MlflowTarget
from mlops_tui.sources.mlflow.sdk import load_sdk
from tests.support.clock import ManualClock
from tests.support.mlflow_server import in_thread

_numbers = itertools.count(1)


class Seeder:
    """Writes into a registry as a training pipeline does."""

    def __init__(self, uri: str) -> None:
        self.client: Any = load_sdk()(tracking_uri=uri, registry_uri=uri)
        self.experiment = self.client.create_experiment(f"operations-{next(_numbers)}")

    def model(self, versions: int, **metrics: float) -> str:
        """Create a model with versions that have finished runs; the first one serves."""
        name = f"promoted-{next(_numbers)}"
        self.client.create_registered_model(name)
        for _ in range(versions):
            self.version(name, "", **metrics)
        self.stage(name, 1, "Production")
        self.client.set_registered_model_alias(name, "champion", "1")
        return name

    def run(self, **metrics: float) -> Any:
        """Create a finished run."""
        run = self.client.create_run(self.experiment)
        for name, value in metrics.items():
            self.client.log_metric(run.info.run_id, name, value)
        self.client.set_terminated(run.info.run_id)
        return run

    def version(self, name: str, source: str = "", /, **metrics: float) -> int:
        """Register a version of a run, by default with a source that nobody here can look into."""
        run_id = self.run(**metrics).info.run_id
        made = self.client.create_model_version(name, source or f"s3://models/{name}", run_id, await_creation_for=0)
        return int(made.version)

    def stage(self, model: str, version: int, stage: str) -> None:
        """Move a version to a stage, without the SDK's warning that stages are deprecated."""
        store = self.client._get_registry_client().store
        store.transition_model_version_stage(model, str(version), stage, False)

    def serving(self, model: str) -> tuple[list[int], int | None]:
        """Return what is in Production, and the champion."""
        found = self.client.search_model_versions(f"name = '{model}'")
        aliases = self.client.get_registered_model(model).aliases
        staged = sorted(int(each.version) for each in found if each.current_stage == "Production")
        return staged, int(aliases["champion"]) if "champion" in aliases else None


@pytest.fixture
async def seed(mlflow_server: str) -> Seeder:
    made: Seeder = await in_thread(lambda: Seeder(mlflow_server))
    return made


@pytest.fixture
async def source() -> AsyncIterator[Callable[..., MlflowSource]]:
    """Makes sources that are closed in the end."""
    made: list[MlflowSource] = []

    def make(uri: str | Path, **changes: Any) -> MlflowSource:
        made.append(MlflowSource(MlflowTarget(source_id="mlflow", tracking_uri=str(uri), **changes), ManualClock()))
        return made[-1]

    yield make
    for each in made:
        await each.close()
