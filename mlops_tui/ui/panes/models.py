"""Pane 3: model versions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_tui.ages import age
from mlops_tui.ui.panes.kind import PaneKind, mark_cell, since_epoch
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell, SortKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mlops_tui.domain.model import VersionRow


_OTHERS = 3
"""The place of versions that nothing points at."""
_CALM = 3
"""The rank of attention from which on nobody is wanted."""


class Models(PaneKind["VersionRow"]):
    """Model versions under their model, the one that serves first."""

    number = 3
    kind = "version"
    name = "Models"
    noun = ("version", "versions")
    source = "mlflow"
    columns = (
        Column("mark", 1),
        Column("model", 14, grow=4, most=32, gap=1, keep="end"),
        Column("registry", 8, grow=1, most=16, rank=7),
        Column("version", 4, right=True, gap=1),
        Column("stage", 10, gap=1, rank=3),
        Column("aliases", 10, grow=3, most=24, gap=1, rank=2),
        Column("metric", 6, grow=4, most=14, right=True, gap=1, rank=4),
        Column("value", 6, right=True, gap=1, rank=1),
        Column("change", 7, right=True, gap=1, rank=5),
        Column("note", 12, grow=6, rank=8, since=100),
        Column("age", 4, right=True, gap=1, rank=6),
    )
    lead = frozenset({"model", "registry"})
    optional = ("registry",)
    filter_keys = ("model", "version", "stage", "alias", "registry", "status", "sha", "tag", "is")
    empty = "no registered models"
    setup = 'no MLflow configured. Set MLFLOW_TRACKING_URI or add [mlflow] tracking_uri = "…"'

    def cells(self, row: "VersionRow", now: datetime) -> Mapping[str, Cell]:
        """Return the cells of a version."""
        value = row.metrics.get(row.metric)
        change = row.metric_change
        archived = row.stage == "Archived"
        plain = "faint" if archived else ""
        cells = {
            "mark": mark_cell(row),
            "model": Cell(row.model, "name"),
            "registry": Cell(row.registry, "dim"),
            "version": Cell(f"v{row.version}", "faint" if archived else "strong"),
            "stage": Cell("" if row.stage in (None, "None") else str(row.stage), plain),
            "aliases": Cell(" ".join(sorted(row.aliases, key=lambda alias: alias != "champion")), plain),
            "metric": Cell(row.metric, "faint"),
            "value": Cell("–" if value is None else figure(value), plain),
            "change": Cell(*change_cell(change)),
            "note": Cell(row.reason or _first_line(row.description), row.mark if row.reason else "faint"),
            "age": Cell(age(row.updated_at or row.created_at, now), "faint"),
        }
        if row.reason and row.attention not in ("ok", "info"):
            # What is wrong is worth more than the figures, which the details have.
            cells["metric"] = Cell(row.reason, row.mark)
            for name in ("value", "change", "note"):
                del cells[name]
        return cells

    def fields(self, row: "VersionRow") -> Mapping[str, Iterable[str]]:
        """Return what the filter's keys look at."""
        return {
            "model": (row.model,),
            "version": (f"v{row.version}",),
            "stage": (row.stage or "none",),
            "alias": row.aliases,
            "registry": (row.registry,),
            "status": (row.status, row.run_status),
            "sha": (row.git_commit,),
            "tag": tuple(f"{key}={value}" for key, value in row.tags.items()),
        }

    def identity(self, row: "VersionRow") -> str:
        """Return the version's address, as MLflow loads it."""
        return f"models:/{row.model}/{row.version}"

    def distinction(self, row: "VersionRow") -> Mapping[str, str]:
        """Tell registries apart."""
        return {"registry": row.registry}

    def group(self, row: "VersionRow") -> object:
        """Return the model."""
        return (row.registry, row.model)

    def order(self, row: "VersionRow", group: "Sequence[Any]") -> SortKey:
        """Return the place: the model that needs somebody first, in it what serves first, then the newest.

        A long history would push the other models out of sight, so that of all of them comes last.
        """
        place, newest_in_use = group[:-1], group[-1]
        history = _role(row) == _OTHERS and row.attention.rank >= _CALM and row.version < newest_in_use
        return (history, *place, _role(row), -row.version, row.key)

    def group_order(self, rows: "Iterable[VersionRow]") -> tuple["Any", ...]:
        """Return a model's place, by its worst attention, then by its latest change; last its newest version in use."""
        worst, latest, name = 9, 0.0, ("", "")
        newest_in_use = 0
        for row in rows:
            worst = min(worst, row.attention.rank)
            latest = max(latest, since_epoch(row.updated_at or row.created_at))
            name = (row.registry, row.model)
            if _role(row) < _OTHERS:
                newest_in_use = max(newest_in_use, row.version)
        return (worst, -latest, *name, newest_in_use)


def _role(row: "VersionRow") -> int:
    """Return the place in a model's group: what serves, what an alias names, what is staged, then all others."""
    if "champion" in row.aliases or row.stage == "Production":
        return 0
    if row.aliases:
        return 1
    return 2 if row.stage == "Staging" else _OTHERS


def figure(value: float) -> str:
    """Return a metric's value in at most six characters where its size allows."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    size = abs(value)
    if size and (size >= 1_000_000 or size < 0.001):
        return f"{value:.0e}"
    if size >= 1000:
        return f"{value:.0f}"
    return f"{value:.3f}" if size < 100 else f"{value:.1f}"


def change_cell(change: float | None) -> tuple[str, str]:
    if change is None:
        return "", ""
    if not change:
        return "±0", "faint"
    size = abs(change)
    shown = "<0.001" if size < 0.0005 else f"{size:.3f}" if size < 1 else figure(size)
    return f"{'▲' if change > 0 else '▼'}{shown}", "dim"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
