"""Pane 4: rollouts."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_tui.ages import age
from mlops_tui.ui.panes.kind import PaneKind, mark_cell
from mlops_tui.ui.widgets.columns import Column
from mlops_tui.ui.widgets.list import Cell

if TYPE_CHECKING:
    from mlops_tui.domain.rollout import RolloutRow


class Rollouts(PaneKind["RolloutRow"]):
    """Deployments, the stuck ones first."""

    number = 4
    kind = "rollout"
    name = "Rollouts"
    noun = ("deployment", "deployments")
    source = "kubernetes"
    columns = (
        Column("mark", 1),
        Column("environment", 10, grow=1, most=14, gap=1, rank=4),
        Column("name", 18, grow=4, most=36, gap=1, keep="end"),
        Column("ready", 5, right=True, rank=1),
        Column("word", 5, gap=1, rank=8, since=84),
        Column("revision", 7, rank=5),
        Column("image", 11, grow=4, most=36, keep="end", rank=3),
        Column("state", 12, grow=5, rank=2),
        Column("age", 4, right=True, gap=1, rank=7),
    )
    optional = ("environment",)
    filter_keys = ("name", "ns", "env", "context", "image", "rev", "status", "model", "label", "is")
    empty = "no deployments"
    setup = "no Kubernetes configured. Set KUBECONFIG, or [kubernetes] kubeconfig"

    def cells(self, row: "RolloutRow", now: datetime) -> Mapping[str, Cell]:
        """Return the cells of a deployment."""
        wants = row.attention not in ("ok", "info")
        return {
            "mark": mark_cell(row),
            "environment": Cell(row.environment, "dim"),
            "name": Cell(f"{row.namespace}/{row.name}", "name"),
            "ready": Cell(f"{row.ready}/{row.desired}", row.mark if row.ready < row.desired else ""),
            "word": Cell("ready", "faint"),
            "revision": Cell("" if row.revision is None else f"rev {row.revision:>3}", "dim"),
            "image": Cell(image_tag(row.images), "dim"),
            "state": Cell(row.reason or row.phase, row.mark if wants else "dim"),
            "age": Cell(age(row.updated_at, now), "faint"),
        }

    def fields(self, row: "RolloutRow") -> Mapping[str, Iterable[str]]:
        """Return what the filter's keys look at."""
        return {
            "name": (row.name,),
            "ns": (row.namespace,),
            "env": (row.environment,),
            "context": (row.context,),
            "image": row.images,
            "rev": (str(row.revision or ""),),
            "status": (row.phase,),
            "model": tuple(value for key, value in row.labels.items() if "model" in key),
            "label": tuple(f"{key}={value}" for key, value in row.labels.items()),
        }

    def identity(self, row: "RolloutRow") -> str:
        """Return namespace and name."""
        return f"{row.namespace}/{row.name}"

    def distinction(self, row: "RolloutRow") -> Mapping[str, str]:
        """Tell environments apart."""
        return {"environment": row.environment}


def image_tag(images: tuple[str, ...]) -> str:
    """Return what tells the first image from its predecessors: its tag, else its digest, else its name."""
    if not images:
        return ""
    name, at, digest = images[0].partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    more = f" +{len(images) - 1}" if len(images) > 1 else ""
    if colon:
        return tag + more
    return (digest.partition(":")[2][:12] if at else name.rpartition("/")[2]) + more
