"""What a detail view says of a model version beyond its row."""

from collections.abc import Iterable, Mapping

from mlops_tui.domain.base import DetailField, DetailSection, Mark
from mlops_tui.domain.model import VersionRow
from mlops_tui.domain.text import clean_block
from mlops_tui.sources.mlflow.address import redact
from mlops_tui.sources.mlflow.facts import RunDetail, VersionFacts, to_time

FIELDS_LIMIT = 200
"""Fields shown of one section: more than anybody reads, less than what would make the view slow."""


def version_section(version: VersionFacts, aliases: Iterable[str], newest: int) -> DetailSection:
    """Say what the registry knows of the version; `newest` is the model's newest version."""
    named = version.source.removeprefix("models:/") if version.source.startswith("models:/m-") else ""
    fields = (
        ("Status", " ".join(filter(None, (version.status, version.status_message)))),
        ("Stage", version.stage or "none"),
        ("Aliases", ", ".join(aliases) or "none"),
        ("Newest", "yes" if version.version >= newest else f"no, v{newest} is"),
        ("Registered", _moment(version.created)),
        ("Changed", _moment(version.updated)),
        ("By", version.user),
        ("Artifact", redact(version.source)),
        ("Logged model", named),
    )
    return DetailSection(title="Version", fields=_fields(fields), text=clean_block(version.description))


def metrics_section(run: RunDetail, row: VersionRow, rival: VersionRow | None, higher_is_better: bool) -> DetailSection:
    """Say the run's metrics with those of the version that it is compared with beside them."""
    fields = []
    for name, value in sorted(run.metrics.items()):
        theirs = rival.metrics.get(name) if rival else None
        if theirs is None or rival is None:
            fields.append(DetailField(label=name, value=f"{value:.6g}"))
            continue
        change = value - theirs
        mark = Mark.NONE
        if name == row.metric and change:
            mark = Mark.OK if (change > 0) == higher_is_better else Mark.WARN
        fields.append(
            DetailField(label=name, value=f"{value:.6g}  v{rival.version} {theirs:.6g}  {change:+.4g}", mark=mark)
        )
    return DetailSection(title="Metrics", fields=_limited(fields))


def run_section(run: RunDetail, experiment_page: str) -> DetailSection:
    """Say what is known of the run."""
    tags = run.tags
    fields = (
        ("Run", run.run_id),
        ("Name", run.name),
        ("Status", run.status),
        ("Experiment", run.experiment_id),
        ("Started", _moment(run.started)),
        ("Duration", _duration(run)),
        ("User", run.user),
        ("Source", redact(tags.get("mlflow.source.name", ""))),
        ("Git commit", tags.get("mlflow.source.git.commit", "")),
        ("Git branch", tags.get("mlflow.source.git.branch", "")),
        ("Repository", redact(tags.get("mlflow.source.git.repoURL", ""))),
        ("Page", experiment_page),
    )
    return DetailSection(title="Run", fields=_fields(fields))


def pairs_section(title: str, pairs: Mapping[str, str]) -> DetailSection:
    """Say parameters or tags, without those that MLflow keeps for itself."""
    shown = sorted((name, value) for name, value in pairs.items() if not name.startswith("mlflow."))
    return DetailSection(title=title, fields=_limited([DetailField(label=n, value=v) for n, v in shown]))


def _fields(pairs: Iterable[tuple[str, str]]) -> tuple[DetailField, ...]:
    return tuple(DetailField(label=label, value=value) for label, value in pairs if value)


def _limited(fields: list[DetailField]) -> tuple[DetailField, ...]:
    more = len(fields) - FIELDS_LIMIT
    if more <= 0:
        return tuple(fields)
    return (*fields[:FIELDS_LIMIT], DetailField(label="…", value=f"{more} more"))


def _moment(milliseconds: int) -> str:
    moment = to_time(milliseconds)
    return f"{moment:%Y-%m-%d %H:%M:%SZ}" if moment else ""


def _duration(run: RunDetail) -> str:
    if not run.started or run.ended < run.started:
        return ""
    minutes, seconds = divmod((run.ended - run.started) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}h {minutes:02}m {seconds:02}s" if hours else f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"
    )
