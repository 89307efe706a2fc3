"""Model versions of an MLflow registry."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from pydantic import AwareDatetime

from mlops_tui.domain.base import Attention, BaseRow, Mark, RowKind
from mlops_tui.domain.text import Block, Line, clean_line


class VersionRow(BaseRow):
    """One version of a registered model, with stage and aliases, which are two languages for one thing."""

    kind: Literal[RowKind.VERSION] = RowKind.VERSION
    registry: str
    """The registry's name, for two of them side by side; `mlflow` where there is one."""
    model: Line
    version: int
    stage: Line | None
    """`None`, `Staging`, `Production`, `Archived` as MLflow names them; `None` where the registry has no stages."""
    aliases: tuple[Line, ...]
    """Sorted."""
    status: str
    """`READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`."""
    description: Block = ""
    tags: dict[Line, Line] = {}
    run_id: str = ""
    run_status: str = ""
    """The source run's own status (`FINISHED`, `FAILED` …); empty where the run is not known."""
    git_commit: str = ""
    """`mlflow.source.git.commit` of the source run."""
    metrics: dict[Line, float] = {}
    """The source run's latest metric values."""
    metric: Line = ""
    """The metric by which this model is judged; empty where the run has none."""
    champion_version: int | None = None
    """The version that it is compared with: today's champion, or for the champion the best before it."""
    metric_change: float | None = None
    """`metrics[metric]` less the champion's; `None` where either is missing."""
    artifact_uri: Line = ""
    """Where the model artifact is said to be."""
    created_at: AwareDatetime | None = None

    @property
    def is_serving_candidate(self) -> bool:
        """Whether a stage or an alias points at this version."""
        return bool(self.aliases) or self.stage in ("Production", "Staging")


class MetricRule(Protocol):
    """By which metric a model is judged."""

    @property
    def metric(self) -> str:
        """The metric's name."""

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""


class Metric(NamedTuple):
    """A metric that was chosen because nobody configured one."""

    metric: str
    higher_is_better: bool


class Channel(NamedTuple):
    """A stage and an alias that are meant to point at the same version."""

    stage: str
    alias: str


PREFERRED_METRICS = (
    "accuracy", "f1", "auc", "ndcg", "map", "mrr", "bleu", "rouge", "r2", "precision", "recall", "loss", "rmse", "mae",
)  # fmt: skip
"""What a model is judged by where nothing is configured, best known first."""
LOWER_IS_BETTER = frozenset(
    {"loss", "rmse", "mae", "mse", "mape", "error", "perplexity", "latency", "logloss", "wer", "cer", "duration"}
)
"""Words in a metric's name that say that less of it is better."""
NOTICEABLE_LOSS = 0.01
"""The part of the champion's value that a candidate may lack before it is more than noise."""


def judge_versions(
    rows: Sequence[VersionRow], champion: str, rule: MetricRule | None = None, channels: Iterable[Channel] = ()
) -> tuple[VersionRow, ...]:
    """Return all versions of one model, compared with the champion and marked.

    Args:
        rows: Every version of the model, in any order.
        champion: The champion's alias.
        rule: How this model is judged; a metric is chosen where it is `None`.
        channels: Stages and aliases that belong together, beside Production and the champion.
    """
    best = champion_of(rows, champion)
    chosen = rule or choose_metric(rows, best)
    pairs = tuple(dict.fromkeys((Channel("Production", champion), *channels)))
    return tuple(_judge(row, rows, best, chosen, pairs) for row in rows)


def champion_of(rows: Sequence[VersionRow], alias: str) -> VersionRow | None:
    """Return the version that holds the champion's alias, else the newest in stage Production."""
    named = next((row for row in rows if alias in row.aliases), None)
    production = (row for row in rows if row.stage == "Production")
    return named or max(production, key=lambda row: row.version, default=None)


def choose_metric(rows: Sequence[VersionRow], champion: VersionRow | None) -> Metric | None:
    """Return the best known metric of the champion, or of the newest version that has any; `None` if none has."""
    newest_first = sorted(rows, key=lambda row: -row.version)
    for row in (*([champion] if champion else []), *newest_first):
        names = sorted(name for name in row.metrics if not name.startswith("system/"))
        if names:
            name = min(names, key=_preference)
            return Metric(name, LOWER_IS_BETTER.isdisjoint(_words(name)))
    return None


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def _preference(name: str) -> tuple[int, int]:
    # The very word before a name that contains it: `accuracy` before `val_accuracy`.
    words = _words(name)
    ranks = [rank for rank, preferred in enumerate(PREFERRED_METRICS) if preferred in words]
    return (ranks[0] if ranks else len(PREFERRED_METRICS), len(words))


def _judge(
    row: VersionRow,
    rows: Sequence[VersionRow],
    champion: VersionRow | None,
    rule: MetricRule | None,
    channels: tuple[Channel, ...],
) -> VersionRow:
    name = rule.metric if rule and rule.metric in row.metrics else ""
    rival = _rival(row, rows, champion, name)
    change = row.metrics[name] - rival.metrics[name] if rival and name and name in rival.metrics else None
    judged = row.model_copy(
        update={"metric": name, "champion_version": rival.version if rival else None, "metric_change": change}
    )
    mark, attention, reason = (
        _by_status(judged)
        or _by_stage(judged, rows)
        or _by_channel(judged, rows, channels)
        or _by_run(judged)
        or _by_metric(judged, champion, rule)
        or (Mark.OK if judged.is_serving_candidate else Mark.NONE, Attention.OK, "")
    )
    return judged.model_copy(update={"mark": mark, "attention": attention, "reason": clean_line(reason)})


def _rival(row: VersionRow, rows: Sequence[VersionRow], champion: VersionRow | None, metric: str) -> VersionRow | None:
    """Return the version to compare with: the champion, or for the champion the one that was best before it."""
    if champion is None or row.version != champion.version:
        return champion
    earlier = [other for other in rows if other.version < row.version and metric in other.metrics]
    # An archived version served once; another one may never have left the bench.
    return max(earlier, key=lambda other: (other.stage == "Archived", other.version), default=None)


_Verdict = tuple[Mark, Attention, str]


def _by_status(row: VersionRow) -> _Verdict | None:
    if row.status == "FAILED_REGISTRATION":
        return Mark.BAD, Attention.BAD, "registration failed"
    if row.status == "PENDING_REGISTRATION":
        return Mark.RUNNING, Attention.INFO, "registration is still running"
    return None


def _by_stage(row: VersionRow, rows: Sequence[VersionRow]) -> _Verdict | None:
    if row.stage != "Production":
        return None
    versions = sorted(other.version for other in rows if other.stage == "Production")
    if len(versions) < 2:
        return None
    count = "two" if len(versions) == 2 else str(len(versions))
    return Mark.BAD, Attention.BAD, f"{count} versions in Production: {', '.join(map(str, versions))}"


def _by_channel(row: VersionRow, rows: Sequence[VersionRow], channels: tuple[Channel, ...]) -> _Verdict | None:
    for stage, alias in channels:
        holder = next((other for other in rows if alias in other.aliases), None)
        staged = sorted(other.version for other in rows if other.stage == stage)
        if holder is None or holder.version in staged:
            continue
        if staged and row.version in (holder.version, *staged):
            return (
                Mark.WARN,
                Attention.WARN,
                f"{alias} is v{holder.version}, but {stage} is v{', v'.join(map(str, staged))}",
            )
        if holder.version == row.version and row.stage == "Archived":
            return Mark.WARN, Attention.WARN, f"{alias} is an archived version"
    return None


def _by_run(row: VersionRow) -> _Verdict | None:
    if row.run_status in ("RUNNING", "SCHEDULED"):
        return Mark.RUNNING, Attention.INFO, "its run has not finished"
    if row.run_status in ("FAILED", "KILLED") and row.is_serving_candidate:
        return Mark.WARN, Attention.WARN, f"its run ended as {row.run_status}"
    return None


def _by_metric(row: VersionRow, champion: VersionRow | None, rule: MetricRule | None) -> _Verdict | None:
    # An older version may hold an alias too (what to roll back to), and is not a candidate to replace the champion.
    if champion is None or rule is None or row.version <= champion.version or not row.is_serving_candidate:
        return None
    theirs = champion.metrics.get(rule.metric)
    ours = row.metrics.get(rule.metric)
    if theirs is None:
        return None
    if ours is None:
        return Mark.WARN, Attention.WARN, f"no {rule.metric} to compare with champion v{champion.version}"
    loss = theirs - ours if rule.higher_is_better else ours - theirs
    if loss <= 0:
        return None
    reason = f"{rule.metric} {ours:.4g} is worse than {theirs:.4g} of champion v{champion.version}"
    if loss > NOTICEABLE_LOSS * abs(theirs):
        return Mark.WARN, Attention.WARN, reason
    return Mark.OK, Attention.INFO, reason
