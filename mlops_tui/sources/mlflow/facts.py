"""What is kept of MLflow's answers: slim values without the SDK's types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a search; `token` leads to the next and is empty on the last."""

    items: Sequence[T]
    token: str = ""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One model version. Searches leave out its aliases, so they are kept with the model.

    Attributes:
        updated: Milliseconds since the epoch, by the server's clock.
    """

    model: str
    version: int
    stage: str | None
    status: str
    status_message: str
    description: str
    tags: Mapping[str, str]
    run_id: str
    source: str
    user: str
    created: int
    updated: int

    @property
    def is_prompt(self) -> bool:
        """Whether this is a prompt, which MLflow keeps in the same registry."""
        return self.tags.get("mlflow.prompt.is_prompt") == "true"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One registered model: its aliases and its newest version in each stage.

    Attributes:
        updated: Milliseconds since the epoch, by the server's clock.
    """

    name: str
    aliases: Mapping[str, int]
    latest: Sequence[VersionFacts]
    updated: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a row shows of a run."""

    run_id: str
    status: str
    git_commit: str
    metrics: Mapping[str, float]

    @property
    def is_finished(self) -> bool:
        """Whether its metrics are final."""
        return self.status not in ("RUNNING", "SCHEDULED")


@dataclass(frozen=True, slots=True)
class RunDetail:
    """What a detail view shows of a run; times in milliseconds since the epoch, 0 where there are none."""

    run_id: str
    name: str
    experiment_id: str
    status: str
    user: str
    started: int
    ended: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def to_time(milliseconds: int) -> datetime | None:
    """Return the moment that MLflow means; `None` for none, and for one that no calendar holds."""
    if milliseconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
