"""What all release trains share."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from mlops_tui.demo.desk import Desk
from mlops_tui.demo.fleet import Fleet
from mlops_tui.demo.github import ConflictError, GitHubStore, NotFoundError
from mlops_tui.demo.history import Past
from mlops_tui.demo.registry import Registry
from mlops_tui.demo.runner import StepFailed
from mlops_tui.demo.story import Model, Release, image_tag
from mlops_tui.demo.traffic import Traffic
from mlops_tui.demo.troubles import Director, Trouble
from mlops_tui.domain.clock import Clock

EXPECTED: Final = (ConflictError, NotFoundError, StepFailed)
"""What a user of the world can do to a release under way: the train goes on with the next one."""

Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


@dataclass(slots=True)
class Candidate:
    """A version on its way.

    Attributes:
        batch: The batch size that its training is started with.
        trouble: What every training from this commit runs into.
        previous: The champion that it replaced; `earlier` the one before that.
        by_hand: Whether somebody promoted it past the pipelines.
    """

    version: int
    commit: str
    pull: int
    subject: str
    metric: float = 0.0
    run_id: str = ""
    batch: int = 64
    trouble: Trouble | None = None
    previous: int | None = None
    earlier: int | None = None
    by_hand: bool = False

    def image(self, model: Model) -> str:
        """Return the image with this version of the model."""
        return f"{model.image}:{image_tag(self.version, self.commit)}"


def candidate_of(release: Release) -> Candidate:
    """Return a version of the past as what it was when it was delivered."""
    return Candidate(
        version=release.version,
        commit=release.commit,
        pull=release.pull,
        subject=release.subject,
        metric=release.metrics[release.model.metric],
        run_id=release.run_id,
    )


@dataclass(slots=True)
class Yard:
    """What all trains share.

    Attributes:
        candidates: By repository and commit: what a delivery that somebody runs again delivers.
    """

    clock: Clock
    github: GitHubStore
    fleet: Fleet
    registry: Registry
    traffic: Traffic
    desk: Desk
    director: Director
    past: Past
    spawn: Spawn
    candidates: dict[tuple[str, str], Candidate]

    def candidate(self, model: Model, version: int) -> Candidate | None:
        """Return what is known of a version of a model."""
        for (repository, _), found in reversed(self.candidates.items()):
            if repository == model.repository and found.version == version:
                return found
        return None

    def newest(self, model: Model) -> Candidate | None:
        """Return the highest version of a model that is registered."""
        own = [found for (repository, _), found in self.candidates.items() if repository == model.repository]
        return max((found for found in own if found.version), key=lambda found: found.version, default=None)

    def promoted_by_hand(self, model: Model, version: int, previous: int | None) -> Candidate | None:
        """Return what delivers a version that somebody promoted, if the world knows the version."""
        found = self.candidate(model, version)
        return None if found is None else replace(found, previous=previous, by_hand=True, trouble=None)
