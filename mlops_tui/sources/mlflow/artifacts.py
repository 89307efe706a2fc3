"""Whether the files of a version are still there, as far as anybody near can tell.

A server is asked to look by itself: only it may have what opens the store. Everything here blocks.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from mlops_tui.domain.errors import SourceError
from mlops_tui.sources.mlflow.sdk import Registry

Entry = tuple[str, bool]
"""A path, and whether it is a folder."""
Listing = Callable[[str], Sequence[Entry] | None]
"""Lists a folder, the root where the path is empty; `None` where that cannot be done."""


def has_artifact(registry: Registry, source: str, run_id: str) -> bool | None:
    """Say whether there is anything at a version's source; `None` where it cannot be told.

    Raises:
        SourceError: The server says nothing at all.
    """
    if source.startswith("models:/m-"):
        return _is_there(_of_logged_model(registry, source.removeprefix("models:/")), "")
    if source.startswith("runs:/"):
        run_id, _, path = source.removeprefix("runs:/").partition("/")
        return _is_there(_of_run(registry, run_id, ""), path)
    if not run_id:
        return None
    try:
        root = str(registry.ask(lambda client: client.get_run(run_id), of_runs=True).info.artifact_uri).rstrip("/")
    except SourceError:
        return None
    if source.rstrip("/") != root and not source.startswith(f"{root}/"):
        return None
    return _is_there(_of_run(registry, run_id, root), source.removeprefix(root).strip("/"))


def _is_there(listing: Listing, path: str) -> bool | None:
    found = listing(path)
    if found or found is None or not path:
        return None if found is None else bool(found)
    # A file has nothing in it: then it is in the folder above, as one.
    folder, _, name = path.rpartition("/")
    beside = listing(folder)
    if beside is None:
        return None
    return any(entry.rpartition("/")[2] == name and not is_folder for entry, is_folder in beside)


def _of_run(registry: Registry, run_id: str, root: str) -> Listing:
    if registry.address.tracking.startswith("http"):
        return lambda path: _by_server(registry, "artifacts/list", {"run_id": run_id, "path": path})
    if not _is_local(root):
        return lambda path: None
    return lambda path: _by_client(registry, lambda client: client.list_artifacts(run_id, path or None))


def _of_logged_model(registry: Registry, model_id: str) -> Listing:
    if registry.address.tracking.startswith("http"):
        address = f"logged-models/{quote(model_id, safe='')}/artifacts/directories"
        return lambda path: _by_server(registry, address, {"artifact_directory_path": path})
    return lambda path: _by_client(registry, lambda client: client.list_logged_model_artifacts(model_id, path or None))


def _is_local(root: str) -> bool:
    return root.startswith(("/", "file:"))


def _by_server(registry: Registry, address: str, query: dict[str, str]) -> Sequence[Entry] | None:
    asked = urlencode({name: value for name, value in query.items() if value})
    answer = registry.get(registry.address.tracking, f"/api/2.0/mlflow/{address}?{asked}")
    if answer is None or answer.status_code != 200:
        return None
    try:
        files = answer.json().get("files") or ()
        return [(str(each["path"]), bool(each.get("is_dir"))) for each in files]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _by_client(registry: Registry, call: Callable[[Any], Any]) -> Sequence[Entry] | None:
    try:
        return [(str(each.path), bool(each.is_dir)) for each in registry.ask(call, of_runs=True)]
    except SourceError:
        return None
