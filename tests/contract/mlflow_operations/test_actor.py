"""What the actor reads, writes and says of failures: on a real server, on a database, on servers that misbehave."""

import asyncio
import contextlib
import json
import shutil
import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.errors import (
    Denied,
    Missing,
    MlopsTuiError,
    OutcomeUnknown,
    Refused,
    SourceError,
    Unauthenticated,
    Unavailable,
)
from mlops_tui.sources.mlflow import MlflowSource
from mlops_tui.sources.mlflow.acting import RegistryActor
from mlops_tui.sources.mlflow.sdk import load_sdk
from tests.contract.mlflow_operations.conftest import Seeder
from tests.support.mlflow_server import http_answer, in_thread, relay_to

Make = Callable[..., MlflowSource]
MODEL = {"registered_model": {"name": "fraud"}}


async def test_what_is_read_is_as_the_contract_says(mlflow_server: str, source: Make, seed: Seeder) -> None:
    model = await in_thread(lambda: seed.model(2, accuracy=0.9))
    actor = source(mlflow_server).actor
    assert (await actor.model(model))["aliases"] == {"champion": 1}
    newest, oldest = await actor.versions(model)
    assert (newest["version"], oldest["version"]) == (2, 1)
    assert (oldest["current_stage"], oldest["aliases"], oldest["tags"]) == ("Production", ["champion"], {})
    assert (newest["current_stage"], newest["aliases"], newest["status"]) == ("None", [], "READY")
    assert await actor.version(model, 1) == oldest
    run = await actor.run(oldest["run_id"])
    assert (run["status"], run["lifecycle_stage"], run["metrics"]) == ("FINISHED", "active", {"accuracy": 0.9})
    assert run["end_time"] > 1_700_000_000_000


async def test_a_name_that_no_filter_can_hold(mlflow_server: str, source: Make, seed: Seeder) -> None:
    name = 'it\'s "odd" \\ here'

    def build() -> None:
        seed.client.create_registered_model(name)
        seed.version(name)

    await in_thread(build)
    actor = source(mlflow_server).actor
    assert [version["version"] for version in await actor.versions(name)] == [1]
    await actor.set_stage(name, 1, "Staging")
    assert (await actor.version(name, 1))["current_stage"] == "Staging"
    await in_thread(lambda: seed.client.delete_registered_model(name))


async def test_each_write_changes_one_thing(mlflow_server: str, source: Make, seed: Seeder) -> None:
    model = await in_thread(lambda: seed.model(2))
    actor = source(mlflow_server).actor
    await actor.set_stage(model, 2, "Production")
    assert await in_thread(lambda: seed.serving(model)) == ([1, 2], 1)
    await actor.set_alias(model, "champion", 2)
    assert await in_thread(lambda: seed.serving(model)) == ([1, 2], 2)
    await actor.delete_alias(model, "champion")
    assert await in_thread(lambda: seed.serving(model)) == ([1, 2], None)
    await actor.set_tag(model, 2, "team", "risk")
    assert (await actor.version(model, 2))["tags"] == {"team": "risk"}


async def test_what_is_not_there_is_missing(mlflow_server: str, source: Make, seed: Seeder) -> None:
    model = await in_thread(lambda: seed.model(1))
    actor = source(mlflow_server).actor
    calls: list[Callable[[], Any]] = [
        lambda: actor.model("no-such-model"),
        lambda: actor.versions("no-such-model"),
        lambda: actor.version(model, 9),
        lambda: actor.run("0123456789abcdef0123456789abcdef"),
        lambda: actor.set_stage(model, 9, "Staging"),
        lambda: actor.set_alias(model, "champion", 9),
        lambda: actor.set_tag(model, 9, "team", "risk"),
    ]
    for call in calls:
        with pytest.raises(Missing, match="not found"):
            await call()
    with pytest.raises(Unavailable, match="Nowhere"):
        await actor.set_stage(model, 1, "Nowhere")
    with pytest.raises(Unavailable, match="reserved"):
        await actor.set_alias(model, "latest", 1)


async def test_whether_the_files_are_there(mlflow_server: str, source: Make, seed: Seeder, tmp_path: Path) -> None:
    actor = source(mlflow_server).actor
    file = tmp_path / "MLmodel"
    file.write_text("flavors: {}")

    def build() -> tuple[str, str]:
        model = seed.model(1)
        run = seed.run()
        seed.client.log_artifact(run.info.run_id, str(file), "model")
        logged = seed.client.create_logged_model(seed.experiment, name="logged")
        seed.client.log_model_artifact(logged.model_id, str(file))
        bare = seed.client.create_logged_model(seed.experiment, name="bare")
        root, run_id = run.info.artifact_uri, run.info.run_id
        sources = [
            f"{root}/model", f"{root}/model/MLmodel", root, f"{root}/gone", f"{root}/model/gone",
            f"runs:/{run_id}/model", f"runs:/{run_id}/gone", f"models:/{logged.model_id}", f"models:/{bare.model_id}",
            "s3://bucket/model",
        ]  # fmt: skip
        for each in sources:
            model_id = each.removeprefix("models:/") if each.startswith("models:/") else None
            seed.client.create_model_version(model, each, run_id, await_creation_for=0, model_id=model_id)
        return model, run_id

    model, run_id = await in_thread(build)
    there = [await actor.has_artifact(model, number) for number in range(2, 12)]
    assert there == [True, True, True, False, False, True, False, True, False, None]
    assert await actor.has_artifact(model, 1) is None
    await in_thread(lambda: seed.client.delete_run(run_id))
    assert await actor.has_artifact(model, 2) is True


class Misbehaving:
    """A server that answers reads as a registry does, and the first write in its own way."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def writes(self) -> list[str]:
        """The requests that are no GET."""
        return [request for request in self.requests if not request.startswith("GET")]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(h[15:]) for h in head.split("\r\n") if h.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                self.requests.append(" ".join(head.split(" ")[:2]))
                if head.startswith("GET"):
                    writer.write(http_answer(200, json.dumps(MODEL)))
                elif self.answer == b"":
                    writer.transport.abort()
                elif self.answer is not None:
                    writer.write(self.answer)

    def stop(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def misbehaving(answer: bytes | None) -> AsyncIterator[tuple[str, Misbehaving]]:
    """Run a server that gives each write the answer: none at all for `None`, a broken connection for nothing."""
    made = Misbehaving(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made
    finally:
        server.close()
        made.stop()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", OutcomeUnknown, "connection broke"),
        (None, OutcomeUnknown, "no answer in time"),
        (http_answer(500, "{}"), OutcomeUnknown, "HTTP 500"),
        (http_answer(502, "<h1>Bad Gateway</h1>", "text/html"), OutcomeUnknown, "HTTP 502"),
        (http_answer(503, "", headers="Retry-After: 3600\r\n"), OutcomeUnknown, "HTTP 503"),
        (http_answer(200, "<html>Sign in</html>", "text/html"), OutcomeUnknown, "something else than MLflow's API"),
        (http_answer(429, "", headers="Retry-After: 3600\r\n"), Unavailable, "too many requests"),
        (http_answer(400, '{"error_code": "INVALID_PARAMETER_VALUE", "message": "odd"}'), Unavailable, "odd"),
        (http_answer(400, '{"error_code": "ODD", "message": "odder"}'), Unavailable, "odder"),
        (http_answer(404, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no v9"}'), Missing, "no v9"),
        (http_answer(401, '{"message": "Unauthorized"}'), Unauthenticated, "HTTP 401"),
        (http_answer(403, "Permission denied", "text/html"), Denied, "HTTP 403"),
        (http_answer(403, '{"error_code": "PERMISSION_DENIED", "message": "no"}'), Denied, "HTTP 403"),
        (http_answer(403, '{"detail": "Forbidden"}'), Denied, "HTTP 403"),
    ],
)
async def test_a_write_is_sent_once_whatever_becomes_of_it(
    source: Make, monkeypatch: pytest.MonkeyPatch, answer: bytes | None, kind: type[SourceError], words: str
) -> None:
    load_sdk()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    async with misbehaving(answer) as (uri, server):
        with pytest.raises(SourceError) as caught:
            await source(uri.replace("http://", "http://ada:hunter2@")).actor.set_alias("fraud", "champion", 1)
        assert type(caught.value) is kind, caught.value
        assert words in caught.value.message
        assert "hunter2" not in repr(caught.value) + caught.value.hint
        assert server.writes == ["POST /api/2.0/mlflow/registered-models/alias"]
    if isinstance(caught.value, Denied):
        assert caught.value.missing == "EDIT"


async def test_a_server_that_is_down_has_been_sent_nothing(source: Make) -> None:
    with pytest.raises(Unavailable, match="connection refused"):
        await source("http://127.0.0.1:1").actor.set_alias("fraud", "champion", 1)


async def test_a_server_that_goes_down_before_the_write(mlflow_server: str, source: Make, seed: Seeder) -> None:
    model = await in_thread(lambda: seed.model(1))
    async with relay_to(mlflow_server) as relay:
        actor = source(relay.uri).actor
        await actor.model(model)
        await relay.refuse()
        with pytest.raises(Unavailable, match="connection refused"):
            await actor.set_stage(model, 1, "Staging")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one model, made by the SDK itself."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the migrations that make the tables
        seed = Seeder(f"sqlite:///{path}")
        seed.client.create_registered_model("fraud")
        seed.version("fraud", accuracy=0.9)
    return path


async def test_a_database_in_a_file(template: Path, tmp_path: Path, source: Make) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(template, path)
    actor = source(f"sqlite:///{path}").actor
    await actor.set_stage("fraud", 1, "Production")
    await actor.set_alias("fraud", "champion", 1)
    await actor.set_tag("fraud", 1, "team", "risk")
    [version] = await actor.versions("fraud")
    assert (version["version"], version["current_stage"], version["aliases"], version["tags"]) == (
        1, "Production", ["champion"], {"team": "risk"},
    )  # fmt: skip
    assert (await actor.run(version["run_id"]))["metrics"] == {"accuracy": 0.9}
    await actor.delete_alias("fraud", "champion")
    assert (await actor.version("fraud", 1))["aliases"] == []
    with pytest.raises(Missing, match="not found"):
        await actor.set_alias("fraud", "champion", 9)


async def test_a_database_in_a_file_that_is_read_only(template: Path, tmp_path: Path, source: Make) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(template, path)
    before = await in_thread(path.read_bytes)
    actor = source(f"sqlite:///{path}", read_only=True).actor
    for write in writes(actor):
        with pytest.raises(Refused, match="is read-only"):
            await write()
    assert len(await actor.versions("fraud")) == 1
    assert await in_thread(path.read_bytes) == before


def writes(actor: RegistryActor) -> list[Callable[[], Any]]:
    """Return every write of a registry."""
    return [
        lambda: actor.set_stage("fraud", 1, "Production"),
        lambda: actor.set_alias("fraud", "champion", 1),
        lambda: actor.delete_alias("fraud", "champion"),
        lambda: actor.set_tag("fraud", 1, "team", "risk"),
    ]


async def test_read_only_sends_nothing_but_reads(source: Make) -> None:
    async with misbehaving(http_answer(200, "{}")) as (uri, server):
        reader = source(uri, read_only=True)
        await reader.cycle(lambda delta: None)
        await reader.probe()
        for write in writes(reader.actor):
            with pytest.raises(Refused):
                await write()
        assert set(server.writes) == {"POST /api/2.0/mlflow/experiments/search"}, "what only searches may be a POST"


async def test_whatever_the_sdk_is_made_to_do_nothing_but_reads_leaves(source: Make) -> None:
    """The door of the actor open, and every method of the SDK's client called that changes something."""
    async with misbehaving(http_answer(200, "{}")) as (uri, server):
        registry = await source(f"{uri}/prefix", read_only=True)._open()
        refused = 0
        for change in changes():
            with contextlib.suppress(MlopsTuiError):
                try:
                    await in_thread(partial(registry.ask, change))
                except Refused:
                    refused += 1
        assert refused == len(changes())
        assert set(server.writes) == set()
        # What only searches may be sent by POST, below any prefix.
        await in_thread(lambda: registry.ask(search, of_runs=True))
        assert server.writes == ["POST /prefix/api/2.0/mlflow/runs/search"]
    async with misbehaving(http_answer(200, "{}")) as (uri, server):
        registry = await source(uri)._open()
        for change in changes():
            with contextlib.suppress(SourceError):
                await in_thread(partial(registry.ask, change))
        assert len(server.writes) == len(changes()), "the same calls do write where they may"


async def test_a_redirect_does_not_lead_past_the_rule(source: Make) -> None:
    elsewhere = "/api/2.0/mlflow/registered-models/create"
    answer = http_answer(307, "{}", headers=f"Location: {elsewhere}\r\n")
    async with misbehaving(answer) as (uri, server):
        for read_only in (True, False):
            registry = await source(uri, read_only=read_only)._open()
            server.requests.clear()
            with contextlib.suppress(SourceError, Refused):
                await in_thread(partial(registry.ask, search, of_runs=True))
            assert (f"POST {elsewhere}" in server.writes) is not read_only


def search(client: Any) -> object:
    """Read what the SDK reads by a POST."""
    return client.search_runs(["1"])


def changes() -> list[Callable[[Any], object]]:
    """Return calls of the SDK's client that change something."""
    return [
        lambda client: client.create_registered_model("fraud"),
        lambda client: client.rename_registered_model("fraud", "other"),
        lambda client: client.update_registered_model("fraud", "text"),
        lambda client: client.delete_registered_model("fraud"),
        lambda client: client.set_registered_model_tag("fraud", "a", "b"),
        lambda client: client.delete_registered_model_tag("fraud", "a"),
        lambda client: client.set_registered_model_alias("fraud", "champion", "1"),
        lambda client: client.delete_registered_model_alias("fraud", "champion"),
        lambda client: client.create_model_version("fraud", "s3://models/fraud", await_creation_for=0),
        lambda client: client.update_model_version("fraud", "1", "text"),
        lambda client: client.delete_model_version("fraud", "1"),
        lambda client: client.set_model_version_tag("fraud", "1", "a", "b"),
        lambda client: client.delete_model_version_tag("fraud", "1", "a"),
        lambda client: client.create_experiment("fraud"),
        lambda client: client.delete_experiment("1"),
        lambda client: client.create_run("1"),
        lambda client: client.log_metric("1", "accuracy", 0.9),
        lambda client: client.log_param("1", "depth", 6),
        lambda client: client.set_tag("1", "a", "b"),
        lambda client: client.set_terminated("1"),
        lambda client: client.delete_run("1"),
        lambda client: client.restore_run("1"),
    ]


async def test_two_registries_in_one_process_have_rules_of_their_own(
    mlflow_server: str, source: Make, seed: Seeder
) -> None:
    model = await in_thread(lambda: seed.model(1))
    locked, free = source(mlflow_server, read_only=True).actor, source(mlflow_server).actor
    with pytest.raises(Refused):
        await locked.set_stage(model, 1, "Archived")
    await free.set_stage(model, 1, "Staging")
    assert (await locked.version(model, 1))["current_stage"] == "Staging"
