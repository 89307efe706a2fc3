"""Builds the world as it is when it begins, by living through what led there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_tui.demo.clock import WorldClock
from mlops_tui.demo.fleet import PRODUCTION, STAGING, Fleet
from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.history import Past, play_past
from mlops_tui.demo.kubernetes import Cluster, ImageBehaviour
from mlops_tui.demo.story import MODELS, Model, Release

ROLLED_OUT: Final = 12
"""The newest versions of a model whose rollouts are lived through: what `kubectl rollout history` would show."""
HOTFIX_COMMIT: Final = "9f3c2ab41d07e65b8a2f90c4d1375e6ab08c44d2"
"""What the receipt reader serves and no run was ever trained from."""


@dataclass(frozen=True, slots=True)
class World:
    """The systems that live in this process, and what they remember."""

    clock: WorldClock
    github: GitHubStore
    cluster: Cluster
    past: Past


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    act: Callable[[], None]


async def build(*, seed: int, speed: float, began: datetime) -> World:
    """Return the world as of `began`, its clock not yet live."""
    present = WorldClock(began, speed)
    github = GitHubStore(present, seed=seed)
    past = play_past(github, seed=seed, began=began)
    events: list[_Event] = []
    # The cluster stamps what happens with its clock's time, so its past has to pass.
    first = min(release.trained_at for made in past.releases.values() for release in made[-ROLLED_OUT:])
    clock = WorldClock(first, speed)
    github.clock = clock
    cluster = Cluster(clock, seed=seed)
    cluster.behaviours += [
        ImageBehaviour("*/ranker:*", start_seconds=3.5),
        ImageBehaviour("*/fraud:*", start_seconds=5.0),
        ImageBehaviour("*/vision-ocr:*", start_seconds=6.0),
    ]
    fleet = Fleet(cluster)
    for model in MODELS:
        events += _rollouts(model, past, fleet, began)
    await _live_through(cluster, clock, sorted(events, key=lambda event: event.at), began)
    return World(clock, github, cluster, past)


async def _live_through(cluster: Cluster, clock: WorldClock, events: list[_Event], began: datetime) -> None:
    controllers = asyncio.create_task(cluster.run())
    for event in events:
        await clock.advance_to(event.at)
        event.act()
    await clock.advance_to(began)
    controllers.cancel()
    await asyncio.wait([controllers])


def _rollouts(model: Model, past: Past, fleet: Fleet, began: datetime) -> list[_Event]:
    made = past.releases[model.name][-ROLLED_OUT:]
    events = []
    for release in made:
        events.append(
            _Event(release.trained_at + timedelta(minutes=7), _apply(fleet, release, STAGING, model.deployment, 1))
        )
        promoted = release.trained_at + timedelta(hours=1.1)
        if release.version == model.champion:
            promoted = began - timedelta(hours=model.champion_age)
            if model.canary:
                events.append(_Event(promoted, _apply(fleet, release, PRODUCTION, f"{model.deployment}-canary", 1)))
                continue
        if release.version <= model.champion and release.stage != "None":
            events.append(_Event(promoted, _apply(fleet, release, PRODUCTION, model.deployment, model.replicas)))
    if model.task == "classification":
        fleet.break_image(past.release(model, model.champion).image)
    if model.task == "vision":
        events.append(_Event(began - timedelta(hours=31), _hotfix(fleet, model)))
        events.append(_Event(began - timedelta(hours=5), lambda: fleet.pause(STAGING, model.deployment)))
    return events


def _apply(fleet: Fleet, release: Release, namespace: str, name: str, replicas: int) -> Callable[[], None]:
    return lambda: fleet.deploy(
        release.model,
        namespace,
        name,
        image=release.image,
        version=release.version,
        commit=release.commit,
        replicas=replicas,
        cause=f"{release.model.name} v{release.version} (#{release.pull})",
    )


def _hotfix(fleet: Fleet, model: Model) -> Callable[[], None]:
    return lambda: fleet.deploy(
        model,
        PRODUCTION,
        model.deployment,
        image=f"{model.image}:{HOTFIX_COMMIT[:7]}",
        version=None,
        commit=HOTFIX_COMMIT,
        replicas=model.replicas,
        cause="kubectl set image by hand: receipts with rotated totals",
    )
