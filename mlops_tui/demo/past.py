"""Builds the world as it is when it begins, by living through what led there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from mlops_tui.demo import Size, bulk_activity, surroundings
from mlops_tui.demo.argocd import ArgoCD
from mlops_tui.demo.clock import WorldClock
from mlops_tui.demo.fleet import PRODUCTION, STAGING, Fleet
from mlops_tui.demo.github import GitHubStore
from mlops_tui.demo.history import Past, play_past
from mlops_tui.demo.kubernetes import Cluster, ImageBehaviour
from mlops_tui.demo.kubernetes.custom import install_argo, install_istio
from mlops_tui.demo.story import MODELS, REGISTRY_HOST, Model, Release
from mlops_tui.demo.traffic import REHEARSED_SCRAPE_SECONDS, Traffic

ROLLED_OUT: Final = 12
"""The newest versions of a model whose rollouts are lived through: what `kubectl rollout history` would show."""
MONITORED: Final = timedelta(hours=2)
"""For how long monitoring has usually watched the models when the world begins."""
AUTOSCALED: Final = timedelta(hours=2)
"""Since when the receipt reader has had its autoscaler."""
CANARY_AFTER: Final = timedelta(seconds=40)
CANARY_WEIGHT: Final = 5
"""Percent of the requests that a canary gets, so long after it was deployed."""
_TAG: Final = "v[0-9]*-[0-9a-f][0-9a-f][0-9a-f]*"
BUILT: Final = (
    ImageBehaviour(f"{REGISTRY_HOST}/ranker:{_TAG}", start_seconds=3.5),
    ImageBehaviour(f"{REGISTRY_HOST}/fraud:{_TAG}", start_seconds=5.0),
    ImageBehaviour(f"{REGISTRY_HOST}/vision-ocr:{_TAG}", start_seconds=6.0),
    ImageBehaviour(f"{REGISTRY_HOST}/vision-ocr:9f3c2ab", start_seconds=6.0),
    ImageBehaviour(f"{REGISTRY_HOST}/*:{_TAG}"),
    ImageBehaviour(f"{REGISTRY_HOST}/*", pull_error=True),
    ImageBehaviour("*.invalid/*", pull_error=True),
)
"""How images start; what does not look like something that a pipeline has built is not in the registry."""
HOTFIX_COMMIT: Final = "9f3c2ab41d07e65b8a2f90c4d1375e6ab08c44d2"
"""What the receipt reader serves and no run was ever trained from."""


@dataclass(frozen=True, slots=True)
class World:
    """The systems that live in this process, and what they remember."""

    clock: WorldClock
    github: GitHubStore
    cluster: Cluster
    past: Past
    traffic: Traffic
    argocd: ArgoCD


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    act: Callable[[], object]


async def build(
    *,
    seed: int,
    speed: float,
    began: datetime,
    size: Size = "normal",
    web: str = "",
    monitored: timedelta = MONITORED,
) -> World:
    """Return the world as of `began`, its clock not yet live.

    Args:
        monitored: For how long monitoring has watched the models.
        web: Where GitHub's pages for people are going to be, if that is known.
    """
    present = WorldClock(began, speed)
    github = GitHubStore(present, seed=seed)
    github.web = web or github.web
    past = play_past(github, seed=seed, began=began)
    if size == "large":
        bulk_activity.fill_github(github, seed=seed, began=began)
    events: list[_Event] = []
    # The cluster stamps what happens with its clock's time, so its past has to pass.
    first = min(release.trained_at for made in past.releases.values() for release in made[-ROLLED_OUT:])
    clock = WorldClock(first, speed)
    github.clock = clock
    cluster = Cluster(clock, seed=seed)
    cluster.behaviours += BUILT
    install_istio(cluster)
    install_argo(cluster)
    traffic = Traffic(clock, cluster, seed=seed)
    cluster.utilization = traffic.utilization
    argocd = ArgoCD(clock, cluster)
    fleet = Fleet(cluster, argocd)
    for model in MODELS:
        if model.task == "nlp":
            argocd.manage(PRODUCTION, model.deployment, model.repository)
        events += _rollouts(model, past, fleet, began)
    events += _surroundings(cluster, first, began)
    if size == "large":
        cluster.behaviours[:0] = bulk_activity.BEHAVIOURS
        events += [_Event(at, partial(cluster.apply, manifest)) for at, manifest in bulk_activity.rollouts(seed, began)]
    watched = began - monitored
    controllers = asyncio.create_task(cluster.run())
    events.sort(key=lambda event: event.at)
    await _live_through(clock, [event for event in events if event.at < watched], watched)
    scrapes = asyncio.create_task(traffic.run(REHEARSED_SCRAPE_SECONDS))
    await _live_through(clock, [event for event in events if event.at >= watched], began)
    for task in (controllers, scrapes):
        task.cancel()
    await asyncio.wait([controllers, scrapes])
    return World(clock, github, cluster, past, traffic, argocd)


async def _live_through(clock: WorldClock, events: list[_Event], until: datetime) -> None:
    for event in events:
        await clock.advance_to(event.at)
        event.act()
    await clock.advance_to(until)


def _surroundings(cluster: Cluster, first: datetime, began: datetime) -> list[_Event]:
    """Return what stands around the models: there from the first, but for what is worth being looked at."""
    made = [_Event(first, partial(cluster.apply, manifest)) for manifest in surroundings.manifests()]
    for version, at in ((17, began - timedelta(hours=70)), (18, began - timedelta(minutes=50))):
        made.append(_Event(at, partial(cluster.apply, surroundings.rollout(version))))
    made.append(_Event(began - AUTOSCALED, partial(cluster.apply, surroundings.autoscaler())))
    return made


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
                events.append(_Event(promoted + CANARY_AFTER, partial(fleet.route, model, CANARY_WEIGHT)))
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
