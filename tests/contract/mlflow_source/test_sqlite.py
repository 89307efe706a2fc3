"""The source on a database file, which it must neither make nor change."""

import shutil
import sqlite3
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops_tui.domain.base import RowKind, RowRef
from mlops_tui.domain.errors import NotConfigured, SourceError, Unavailable
from mlops_tui.domain.rows import Row
from mlops_tui.domain.state import SourceStatus
from mlops_tui.sources.mlflow import MlflowSource, MlflowTarget
from mlops_tui.sources.mlflow.sdk import load_sdk
from tests.support.clock import ManualClock
from tests.support.mlflow_server import in_thread


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one model, made by the SDK itself, in a folder with an awkward name."""
    path = tmp_path_factory.mktemp("sqlite") / "a folder #1 100%" / "mlflow.db"
    path.parent.mkdir()
    make_client = load_sdk()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client: Any = make_client(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
        run_id = client.create_run(client.create_experiment("e")).info.run_id
        client.log_metric(run_id, "accuracy", 0.9)
        client.create_registered_model("fraud")
        client.create_model_version("fraud", "s3://models/fraud", run_id, await_creation_for=0)
        client.set_registered_model_alias("fraud", "champion", "1")
    return path


@pytest.fixture
async def open_file() -> AsyncIterator[Callable[[Path], MlflowSource]]:
    """Makes sources that are closed in the end."""
    sources: list[MlflowSource] = []

    def make(path: Path) -> MlflowSource:
        sources.append(MlflowSource(MlflowTarget(source_id="mlflow", tracking_uri=f"sqlite:///{path}"), ManualClock()))
        return sources[-1]

    yield make
    for source in sources:
        await source.close()


async def read(source: MlflowSource) -> dict[str, Row]:
    """Return the rows of a cycle."""
    rows: dict[str, Row] = {}
    await source.cycle(lambda delta: rows.update({row.key: row for row in delta.upserts}))
    return rows


async def test_rows_detail_and_probe(
    database: Path, open_file: Callable[[Path], MlflowSource], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    source = open_file(database)
    assert source.info.label == "mlflow.db"
    row = (await read(source))["mlflow/fraud/1"]
    assert row.kind is RowKind.VERSION
    assert (row.version, row.stage, row.aliases, row.url) == (1, None, ("champion",), "")
    assert row.metrics == {"accuracy": 0.9}
    assert (await source.detail(RowRef(kind=RowKind.VERSION, key=row.key)))[0].title == "Version"
    probe = await source.probe()
    assert (probe.status, probe.endpoint, probe.identity) == (SourceStatus.LIVE, f"sqlite:///{database}", "")
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in database.parent.iterdir()] == ["mlflow.db"]
    assert list(database.parent.parent.iterdir()) == [database.parent]


async def test_a_missing_file_is_named_and_not_made(tmp_path: Path, open_file: Callable[[Path], MlflowSource]) -> None:
    path = tmp_path / "new" / "mlflow.db"
    with pytest.raises(Unavailable, match="no such file") as caught:
        await read(open_file(path))
    assert str(path) in caught.value.message
    assert not path.parent.exists()


async def test_a_file_that_goes_away_is_noticed(
    database: Path, tmp_path: Path, open_file: Callable[[Path], MlflowSource]
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(database, path)
    source = open_file(path)
    await read(source)
    path.unlink()
    with pytest.raises(Unavailable, match="no such file"):
        await read(source)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"this is no database, only a text that is long enough to be read"])
async def test_another_file_is_left_alone(
    content: bytes, tmp_path: Path, open_file: Callable[[Path], MlflowSource]
) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="database"):
        await read(open_file(path))
    assert path.read_bytes() == content


async def test_a_database_of_another_version_is_not_migrated(
    database: Path, tmp_path: Path, open_file: Callable[[Path], MlflowSource]
) -> None:
    for change in ("DROP TABLE webhooks", "UPDATE alembic_version SET version_num = 'ffffffffffff'"):
        path = tmp_path / f"old-{change[:4]}.db"
        shutil.copy(database, path)
        with closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA foreign_keys = OFF")
            old.execute(change)
            old.commit()
        before = await in_thread(path.read_bytes)
        with pytest.raises(Unavailable, match="another version of MLflow") as caught:
            await read(open_file(path))
        assert "mlflow db upgrade" in caught.value.hint
        assert await in_thread(path.read_bytes) == before


async def test_the_full_mlflow_is_asked_for(
    database: Path, open_file: Callable[[Path], MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(NotConfigured, match="sqlalchemy is not installed") as caught:
        await read(open_file(database))
    assert 'pip install "mlops-tui[demo]"' in caught.value.hint


async def test_a_missing_sdk_is_asked_for(
    database: Path, open_file: Callable[[Path], MlflowSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_sdk.cache_clear()
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(SourceError, match="mlflow cannot be imported") as caught:
        await read(open_file(database))
    assert isinstance(caught.value, NotConfigured)
    assert "pip install" in caught.value.hint
