"""Rows of model versions."""

from collections.abc import Iterable
from urllib.parse import quote

from mlops_tui.domain.base import Attention, Mark
from mlops_tui.domain.model import VersionRow, judge_versions
from mlops_tui.sources.mlflow.address import MlflowTarget, redact
from mlops_tui.sources.mlflow.facts import ModelFacts, RunFacts, VersionFacts, to_time
from mlops_tui.sources.mlflow.mirror import ModelView

Rows = dict[str, VersionRow]


def key_of(source_id: str, model: str, version: int) -> str:
    """Return the key of a version's row."""
    return f"{source_id}/{model}/{version}"


def rows_of(view: ModelView, target: MlflowTarget, ui: str) -> Rows:
    """Return the rows of one model by key, compared with its champion.

    Args:
        ui: The base of MLflow's own pages; empty where there are none.
    """
    rows = [
        _row(version, view.aliases.get(version.version, ()), view.runs.get(version.run_id), target, ui)
        for version in view.versions
    ]
    judged = judge_versions(rows, target.champion, target.models.get(view.name), target.channels)
    return {row.key: row for row in judged}


def stage_rows(models: Iterable[ModelFacts], target: MlflowTarget, ui: str) -> list[VersionRow]:
    """Return rows of the newest version in each stage, all that is known before any version was searched.

    They are not judged: what they would be compared with is not known yet.
    """
    rows = []
    for model in models:
        for version in model.latest:
            aliases = tuple(sorted(alias for alias, number in model.aliases.items() if number == version.version))
            row = _row(version, aliases, None, target, ui)
            rows.append(row.model_copy(update={"attention": Attention.UNKNOWN, "reason": "still reading"}))
    return rows


def _row(
    version: VersionFacts, aliases: tuple[str, ...], run: RunFacts | None, target: MlflowTarget, ui: str
) -> VersionRow:
    page = f"{ui}/#/models/{quote(version.model, safe='')}/versions/{version.version}" if ui else ""
    return VersionRow(
        key=key_of(target.source_id, version.model, version.version),
        source=target.source_id,
        mark=Mark.UNKNOWN,
        attention=Attention.OK,
        url=page,
        updated_at=to_time(version.updated),
        registry=target.registry,
        model=version.model,
        version=version.version,
        stage=version.stage,
        aliases=aliases,
        status=version.status,
        description=version.description,
        tags=dict(version.tags),
        run_id=version.run_id,
        run_status=run.status if run else "",
        git_commit=run.git_commit if run else "",
        metrics=dict(run.metrics) if run else {},
        artifact_uri=redact(version.source),
        created_at=to_time(version.created),
    )
