"""Writes the past into MLflow's own database, through MLflow's own tables, in one transaction.

MLflow's interface stamps what it creates with the present, and takes half a minute for what takes a moment here.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from mlops_tui.demo import bulk
from mlops_tui.demo.story import BOT, MODELS, Model, Release, digest, metrics_of, params_of

TRIALS = 6
"""Training runs a model of the story that registered no version."""
BATCH = 20_000
"""Rows that are held before they are written: what is many is written fast, and never all in memory."""

Row = tuple[Any, dict[str, Any]]
"""One of MLflow's mapped classes, and the values of its columns."""


class Store(Protocol):
    """What is used of MLflow's `SqlAlchemyStore`."""

    def ManagedSessionMaker(self, read_only: bool = True) -> AbstractContextManager[Any]:
        """Open a transaction."""


def seed_registry(store: Store, past: Iterable[Release], *, seed: int, began: datetime) -> None:
    """Fill an empty database with the runs and versions of `past`, the older before the newer, as of `began`."""
    of_model = defaultdict(list)
    for release in past:
        of_model[release.model.name].append(release)
    _seed(store, (_rows_of(of_model[model.name], number, seed, began) for number, model in enumerate(MODELS, start=1)))


def seed_bulk(store: Store, *, seed: int, began: datetime) -> None:
    """Add the models of a large world's teams to what `seed_registry` wrote: some seconds for 20,000 versions."""
    models = enumerate(bulk.team_models(seed), start=len(MODELS) + 1)
    _seed(store, (_rows_of(list(bulk.team_releases(model, seed, began)), n, seed, began) for n, model in models))


def date_default(store: Store, began: datetime) -> None:
    """Let MLflow's own experiment, which it makes when it first starts, be as old as the world."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment

    at = _millis(began)
    with store.ManagedSessionMaker(read_only=False) as session:
        session.query(SqlExperiment).filter_by(experiment_id=0).update({"creation_time": at, "last_update_time": at})


def _seed(store: Store, models: Iterable[Iterable[Row]]) -> None:
    """Write what belongs to each model, in one transaction."""
    with store.ManagedSessionMaker(read_only=False) as session:
        connection = session.connection()
        waiting: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        count = 0
        for rows in models:
            for mapped, values in rows:
                waiting[mapped].append(values)
                count += 1
            if count >= BATCH:
                _write(connection, waiting)
                count = 0
        _write(connection, waiting)


def _write(connection: Any, waiting: dict[Any, list[dict[str, Any]]]) -> None:
    # The tables are in the order in which `_rows_of` first named them, which is that of their references.
    for mapped, rows in waiting.items():
        if rows:
            connection.execute(mapped.__table__.insert(), rows)
            rows.clear()


def _rows_of(made: Sequence[Release], experiment: int, seed: int, began: datetime) -> Iterator[Row]:
    """Return everything of one model, what is referred to before what refers to it."""
    model = made[0].model
    yield _experiment(model, experiment, made[0].trained_at)
    for release in made:
        yield from _release_run(release, experiment)
    if model in MODELS:
        yield from _trials(model, experiment, seed, began)
    yield from _registered_model(model, made)
    for release in made:
        yield from _version(release, experiment, began)


def _row(mapped: Any, **values: object) -> Row:
    return mapped, values


def artifact_uri(experiment: int, run_id: str) -> str:
    """Return where a run keeps its artifacts, as the server says it."""
    return f"mlflow-artifacts:/{experiment}/{run_id}/artifacts"


def artifact_path(experiment: int, run_id: str) -> str:
    """Return where the store keeps the description of a run's model."""
    return f"{experiment}/{run_id}/artifacts/model/MLmodel"


def model_description(run_id: str) -> str:
    """Return what a model's own file says: a version without one could not be rolled back to."""
    return f"artifact_path: model\nflavors:\n  python_function:\n    loader_module: serving\nrun_id: {run_id}\n"


def write_models(folder: Path, past: Iterable[Release]) -> None:
    """Write the file that each version's model consists of into the artifact store at `folder`."""
    for release in past:
        path = folder / artifact_path(MODELS.index(release.model) + 1, release.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(model_description(release.run_id), encoding="utf-8")


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _experiment(model: Model, number: int, first: datetime) -> Row:
    from mlflow.store.tracking.dbmodels.models import SqlExperiment

    created = _millis(first - timedelta(days=2))
    return _row(
        SqlExperiment,
        experiment_id=number,
        name=model.name,
        artifact_location=f"mlflow-artifacts:/{number}",
        creation_time=created,
        last_update_time=created,
    )


def _release_run(release: Release, experiment: int) -> Iterator[Row]:
    return _run(
        experiment=experiment,
        run_id=release.run_id,
        name=f"full-training-{release.version}",
        model=release.model,
        status="FINISHED",
        ended=release.trained_at,
        took=release.training,
        commit=release.commit,
        metrics=release.metrics,
        params=release.params,
    )


def _trials(model: Model, experiment: int, seed: int, began: datetime) -> Iterator[Row]:
    generator = random.Random(f"{seed}/trials/{model.name}")
    for index in range(TRIALS):
        failed = index % 4 == 2
        metrics = metrics_of(model, model.champion - generator.randint(1, 3), generator)
        yield from _run(
            experiment=experiment,
            run_id=digest(seed, model.name, "trial", index)[:32],
            name=f"trial-{index + 1}",
            model=model,
            status="FAILED" if failed else "FINISHED",
            ended=began - timedelta(hours=generator.uniform(3, 90)),
            took=timedelta(minutes=generator.randint(4, 40)),
            commit=digest(seed, model.name, "trial-commit", index),
            metrics={"loss": metrics["loss"] * 3} if failed else metrics,
            params=params_of(generator),
        )


def _run(
    *,
    experiment: int,
    run_id: str,
    name: str,
    model: Model,
    status: str,
    ended: datetime,
    took: timedelta,
    commit: str,
    metrics: dict[str, float],
    params: dict[str, str],
) -> Iterator[Row]:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag

    at = _millis(ended)
    yield _row(
        SqlRun,
        run_uuid=run_id,
        name=name,
        source_type="UNKNOWN",
        source_name="",
        entry_point_name="",
        user_id=BOT,
        status=status,
        start_time=_millis(ended - took),
        end_time=at,
        source_version="",
        lifecycle_stage="active",
        artifact_uri=artifact_uri(experiment, run_id),
        experiment_id=experiment,
    )
    for key, value in run_tags(model, name, commit).items():
        yield _row(SqlTag, run_uuid=run_id, key=key, value=value)
    for key, value in params.items():
        yield _row(SqlParam, run_uuid=run_id, key=key, value=value)
    for key, number in metrics.items():
        yield _row(SqlMetric, run_uuid=run_id, key=key, value=number, timestamp=at, step=0, is_nan=False)
        yield _row(SqlLatestMetric, run_uuid=run_id, key=key, value=number, timestamp=at, step=0, is_nan=False)


def run_tags(model: Model, name: str, commit: str) -> dict[str, str]:
    """Return the tags that the training job gives a run."""
    return {
        "mlflow.runName": name,
        "mlflow.user": BOT,
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.repoURL": f"https://github.com/{model.repository}.git",
    }


def version_tags(image: str, pull: int) -> dict[str, str]:
    """Return the tags that the pipeline gives a version; `pull` is 0 where nobody wrote it down."""
    return {"image": image, "gate": "passed"} | ({"pull_request": str(pull)} if pull else {})


def description_of(subject: str, pull: int) -> str:
    """Return the description that the pipeline gives a version; `pull` is 0 where nobody wrote it down."""
    return f"{subject} (#{pull})" if pull else subject


def _registered_model(model: Model, made: Sequence[Release]) -> Iterator[Row]:
    from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag

    yield _row(
        SqlRegisteredModel,
        name=model.name,
        creation_time=_millis(made[0].trained_at),
        last_updated_time=_millis(made[-1].trained_at),
        description=f"{model.title.capitalize()}: {model.task}, judged by {model.metric}.",
    )
    yield _row(SqlRegisteredModelTag, name=model.name, key="task", value=model.task)
    yield _row(SqlRegisteredModelTag, name=model.name, key="owners", value=json.dumps(model.owners))


def _version(release: Release, experiment: int, began: datetime) -> Iterator[Row]:
    from mlflow.store.model_registry.dbmodels.models import (
        SqlModelVersion,
        SqlModelVersionTag,
        SqlRegisteredModelAlias,
    )

    name, version = release.model.name, release.version
    promoted = began - timedelta(hours=release.model.champion_age)
    is_champion = "champion" in release.aliases
    changed = promoted if is_champion else release.trained_at + timedelta(minutes=9)
    source = f"{artifact_uri(experiment, release.run_id)}/model"
    yield _row(
        SqlModelVersion,
        name=name,
        version=version,
        creation_time=_millis(release.trained_at),
        last_updated_time=_millis(changed),
        description=description_of(release.subject, release.pull),
        current_stage=release.stage,
        source=source,
        storage_location=source,
        run_id=release.run_id,
        run_link="",
        status="READY",
    )
    tags = version_tags(release.image, release.pull)
    if is_champion:
        tags |= {
            "mlops_tui.promoted_by": BOT,
            "mlops_tui.promoted_from": "Staging",
            "mlops_tui.promoted_at": promoted.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    for key, value in tags.items():
        yield _row(SqlModelVersionTag, name=name, version=version, key=key, value=value)
    for alias in release.aliases:
        yield _row(SqlRegisteredModelAlias, name=name, alias=alias, version=version)
