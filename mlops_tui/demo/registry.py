"""MLflow as the pipelines of the world use it: over its REST interface, like everybody else."""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx

from mlops_tui.demo.runner import StepFailed
from mlops_tui.demo.seeding import artifact_path, artifact_uri, model_description, run_tags
from mlops_tui.demo.story import MODELS, Model

_MOST_VERSIONS: Final = 2000
_TIMEOUT: Final = 60.0
"""Seconds: calls wait for a server that is still starting."""


class RegistryError(StepFailed):
    """MLflow refused, or did not answer."""


@dataclass(frozen=True, slots=True)
class InUse:
    """The versions that the aliases `champion` and `previous` point at, and the highest in the stage `Production`."""

    champion: int | None
    production: int | None
    previous: int | None = field(default=None, compare=False)


class Registry(Protocol):
    """What the pipelines do to a registry. All methods raise `RegistryError`."""

    async def start_run(self, model: Model, name: str, commit: str, params: dict[str, str], at: int) -> str:
        """Start a training run at `at` milliseconds and return its id."""

    async def log(self, run_id: str, metrics: dict[str, float], step: int, at: int) -> None:
        """Log metric values at `at` milliseconds."""

    async def end_run(self, run_id: str, status: str, at: int) -> None:
        """End a run as `FINISHED` or `FAILED`."""

    async def register(self, model: Model, run_id: str, description: str, tags: dict[str, str]) -> int:
        """Register the run's model and return the number of the version."""

    async def set_stage(self, model: Model, version: int, stage: str, *, archive: bool) -> None:
        """Move a version to a stage; `archive` moves those that are there away."""

    async def set_alias(self, model: Model, alias: str, version: int) -> None:
        """Point an alias at a version."""

    async def set_tag(self, model: Model, version: int, key: str, value: str) -> None:
        """Tag a version."""

    async def in_use(self, model: Model) -> InUse:
        """Return what is in use, whoever decided so."""

    async def in_stage(self, model: Model, stage: str) -> list[int]:
        """Return the versions in a stage."""


def experiment_id(model: Model) -> int:
    """Return the id of the experiment that holds the model's runs."""
    return MODELS.index(model) + 1


class RestRegistry:
    """A registry behind MLflow's REST interface."""

    def __init__(self, tracking_uri: str) -> None:
        """Speak to the server at `tracking_uri`, past any proxy of the user's."""
        self._client = httpx.AsyncClient(base_url=f"{tracking_uri}/api/2.0/mlflow/", trust_env=False, timeout=_TIMEOUT)

    async def start_run(self, model: Model, name: str, commit: str, params: dict[str, str], at: int) -> str:
        tags = [{"key": key, "value": value} for key, value in run_tags(model, name, commit).items()]
        body = {"experiment_id": str(experiment_id(model)), "run_name": name, "start_time": at, "tags": tags}
        created = await self._call("POST", "runs/create", body)
        run_id: str = created["run"]["info"]["run_id"]
        logged = [{"key": key, "value": value} for key, value in params.items()]
        await self._call("POST", "runs/log-batch", {"run_id": run_id, "params": logged})
        return run_id

    async def log(self, run_id: str, metrics: dict[str, float], step: int, at: int) -> None:
        values = [{"key": key, "value": value, "timestamp": at, "step": step} for key, value in metrics.items()]
        await self._call("POST", "runs/log-batch", {"run_id": run_id, "metrics": values})

    async def end_run(self, run_id: str, status: str, at: int) -> None:
        await self._call("POST", "runs/update", {"run_id": run_id, "status": status, "end_time": at})

    async def register(self, model: Model, run_id: str, description: str, tags: dict[str, str]) -> int:
        body = {
            "name": model.name,
            "source": f"{artifact_uri(experiment_id(model), run_id)}/model",
            "run_id": run_id,
            "description": description,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        await self._store_model(model, run_id)
        created = await self._call("POST", "model-versions/create", body)
        return int(created["model_version"]["version"])

    async def set_stage(self, model: Model, version: int, stage: str, *, archive: bool) -> None:
        body = {
            "name": model.name,
            "version": str(version),
            "stage": stage,
            "archive_existing_versions": archive,
        }
        await self._call("POST", "model-versions/transition-stage", body)

    async def set_alias(self, model: Model, alias: str, version: int) -> None:
        body = {"name": model.name, "alias": alias, "version": str(version)}
        await self._call("POST", "registered-models/alias", body)

    async def set_tag(self, model: Model, version: int, key: str, value: str) -> None:
        body = {"name": model.name, "version": str(version), "key": key, "value": value}
        await self._call("POST", "model-versions/set-tag", body)

    async def in_use(self, model: Model) -> InUse:
        found = (await self._call("GET", "registered-models/get", {"name": model.name}))["registered_model"]
        aliases = {entry["alias"]: int(entry["version"]) for entry in found.get("aliases", ())}
        latest = found.get("latest_versions", ())
        production = [int(entry["version"]) for entry in latest if entry["current_stage"] == "Production"]
        return InUse(aliases.get("champion"), max(production, default=None), aliases.get("previous"))

    async def in_stage(self, model: Model, stage: str) -> list[int]:
        asked = {"filter": f"name = '{model.name}'", "max_results": _MOST_VERSIONS}
        found = (await self._call("GET", "model-versions/search", asked)).get("model_versions", ())
        return [int(entry["version"]) for entry in found if entry["current_stage"] == stage]

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()

    async def _store_model(self, model: Model, run_id: str) -> None:
        path = f"../mlflow-artifacts/artifacts/{artifact_path(experiment_id(model), run_id)}"
        try:
            response = await self._client.put(path, content=model_description(run_id).encode())
        except httpx.TransportError as error:
            raise RegistryError(f"{path}: {type(error).__name__}") from error
        if response.status_code != 200:
            raise RegistryError(f"{path}: HTTP {response.status_code}: {response.text[:200]}")

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            if method == "GET":
                response = await self._client.get(path, params=body)
            else:
                response = await self._client.post(path, json=body)
        except httpx.TransportError as error:
            raise RegistryError(f"{path}: {type(error).__name__}") from error
        if response.status_code != 200:
            raise RegistryError(f"{path}: HTTP {response.status_code}: {response.text[:200]}")
        answer: dict[str, Any] = response.json()
        return answer
