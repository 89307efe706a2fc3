"""Model versions of an MLflow registry."""

from typing import Literal

from pydantic import AwareDatetime

from mlops_tui.domain.base import BaseRow, RowKind
from mlops_tui.domain.text import Block, Line


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
