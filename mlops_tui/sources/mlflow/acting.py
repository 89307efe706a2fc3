"""What operations do to a registry: every write is sent once, changes one thing, and says how it ended."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mlops_tui.domain.errors import Missing, Unavailable
from mlops_tui.sources.mlflow.artifacts import has_artifact
from mlops_tui.sources.mlflow.sdk import VERSIONS_PAGE, Registry, is_quotable, quoted

T = TypeVar("T")
Json = dict[str, Any]

CALLS_AT_ONCE = 2
"""Beside those of the source, so that an operation never waits for a sweep."""
ARTIFACT_SECONDS = 5.0
"""For an answer on files, which a far store may take long to give."""


class RegistryActor:
    """Implements `operations.systems.RegistrySystem` for one registry.

    Args:
        open_: Returns the registry, connected. Raises `SourceError`s.
    """

    def __init__(self, open_: Callable[[], Awaitable[Registry]]) -> None:
        self._open = open_
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="mlflow-actor")

    async def model(self, name: str) -> Json:
        return _model(await self._ask(lambda client: client.get_registered_model(name)))

    async def versions(self, name: str) -> list[Json]:
        registry = await self._open()
        found = [_version(each) for each in await self._run(lambda: _search(registry, name))]
        # Searches leave aliases out.
        aliases = (await self.model(name))["aliases"]
        for version in found:
            version["aliases"] = sorted(alias for alias, number in aliases.items() if number == version["version"])
        return sorted(found, key=lambda version: -int(version["version"]))

    async def version(self, name: str, version: int) -> Json:
        return _version(await self._ask(lambda client: client.get_model_version(name, str(version))))

    async def run(self, run_id: str) -> Json:
        return _run(await self._ask(lambda client: client.get_run(run_id), of_runs=True))

    async def has_artifact(self, name: str, version: int) -> bool | None:
        registry = await self._open()
        found = await self.version(name, version)
        try:
            async with asyncio.timeout(ARTIFACT_SECONDS):
                return await self._run(lambda: has_artifact(registry, found["source"], found["run_id"]))
        except (TimeoutError, Missing, Unavailable):
            return None

    async def set_stage(self, name: str, version: int, stage: str) -> None:
        def transition(client: Any) -> None:
            # Unwrapped, since it warns that stages are deprecated; those who have none are not asked for them.
            move = inspect.unwrap(type(client).transition_model_version_stage)
            move(client, name, str(version), stage, archive_existing_versions=False)

        await self._tell(transition)

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        await self._tell(lambda client: client.set_registered_model_alias(name, alias, str(version)))

    async def delete_alias(self, name: str, alias: str) -> None:
        await self._tell(lambda client: client.delete_registered_model_alias(name, alias))

    async def set_tag(self, name: str, version: int, key: str, value: str) -> None:
        await self._tell(lambda client: client.set_model_version_tag(name, str(version), key, value))

    def close(self) -> None:
        """Give back the threads; a call that is under way ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, call: Callable[[Any], T], *, of_runs: bool = False) -> T:
        registry = await self._open()
        return await self._run(lambda: registry.ask(call, of_runs=of_runs))

    async def _tell(self, call: Callable[[Any], object]) -> None:
        registry = await self._open()
        await self._run(lambda: registry.tell(call))

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _search(registry: Registry, name: str) -> list[Any]:
    """Return all versions of a model as the SDK has them; of all models where no filter can hold the name."""
    condition = f"name = {quoted([name])}" if is_quotable(name) else None

    def page(client: Any) -> Any:
        return client.search_model_versions(filter_string=condition, max_results=VERSIONS_PAGE, page_token=token)

    found: list[Any] = []
    token: str | None = None
    while True:
        read = registry.ask(page)
        found += [each for each in read if each.name == name]
        if not (token := read.token):
            return found


def _model(found: Any) -> Json:
    return {
        "name": str(found.name),
        "creation_timestamp": int(found.creation_timestamp or 0),
        "last_updated_timestamp": int(found.last_updated_timestamp or 0),
        "description": str(found.description or ""),
        "tags": dict(found.tags or {}),
        "aliases": {str(alias): int(version) for alias, version in (found.aliases or {}).items()},
    }


def _version(found: Any) -> Json:
    return {
        "name": str(found.name),
        "version": int(found.version),
        "creation_timestamp": int(found.creation_timestamp or 0),
        "last_updated_timestamp": int(found.last_updated_timestamp or 0),
        "user_id": str(found.user_id or ""),
        "current_stage": str(found.current_stage or "None"),
        "description": str(found.description or ""),
        "source": str(found.source or ""),
        "run_id": str(found.run_id or ""),
        "status": str(found.status or ""),
        "status_message": str(found.status_message or ""),
        "tags": dict(found.tags or {}),
        "aliases": sorted(map(str, found.aliases or ())),
    }


def _run(found: Any) -> Json:
    info, data = found.info, found.data
    return {
        "run_id": str(info.run_id),
        "run_name": str(info.run_name or ""),
        "experiment_id": str(info.experiment_id or ""),
        "status": str(info.status or ""),
        "lifecycle_stage": str(info.lifecycle_stage or ""),
        "artifact_uri": str(info.artifact_uri or ""),
        "start_time": int(info.start_time or 0),
        "end_time": int(info.end_time or 0),
        "metrics": dict(data.metrics),
        "params": dict(data.params),
        "tags": dict(data.tags),
    }
