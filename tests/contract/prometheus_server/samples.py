"""What both servers are given: three quarters of an hour of a world, and the odd cases that it does not have."""

import math
from collections.abc import Callable

from mlops_tui.demo.prometheus import STALE, SampleStore, labels_of
from mlops_tui.demo.prometheus.storage import NAME, Labels
from mlops_tui.demo.traffic import Traffic
from tests.support.clock import START
from tests.unit.demo_kubernetes.worlds import World, manifest

Samples = dict[Labels, list[tuple[int, float]]]
"""Of each series, the oldest first; times are milliseconds since the epoch."""

STEP_SECONDS = 15
STEPS = 180
BEGAN = math.ceil(START.timestamp() / STEP_SECONDS) * STEP_SECONDS + STEP_SECONDS
"""The first sample's time: a multiple of the step."""
ENDED = BEGAN + (STEPS - 1) * STEP_SECONDS


async def everything() -> Samples:
    """Return the samples of a world in which a version is rolled out, and of the odd series."""
    return {**await _world(), **_odd()}


def stored(samples: Samples) -> SampleStore:
    """Return a store of samples."""
    store = SampleStore()
    for labels, own in samples.items():
        for at, value in own:
            store.append(labels, at, value)
    return store


async def _world() -> Samples:
    world = World(seed=5)
    traffic = Traffic(world.clock, world.cluster, seed=5)
    world.cluster.apply(model_manifest("fraud-api", "fraud-detector", "v11", replicas=3))
    world.cluster.apply(model_manifest("ranker", "ranker", "v30", replicas=2))
    await world.run(BEGAN - world.clock.now().timestamp())
    for step in range(STEPS):
        if step == STEPS // 2:
            world.cluster.apply(model_manifest("fraud-api", "fraud-detector", "v12", replicas=3))
        if step == STEPS - 10:
            world.cluster.delete("Deployment", "ml", "ranker")
        traffic.scrape(BEGAN + step * STEP_SECONDS)
        await world.run(STEP_SECONDS)
    return {series.labels: list(zip(series.times, series.values, strict=True)) for series in traffic.store}


def model_manifest(name: str, model: str, version: str, *, replicas: int) -> dict[str, object]:
    """Return the manifest of a Deployment that serves a model."""
    made = manifest(name, image=f"registry.example/{name}:{version}", replicas=replicas)
    made["spec"]["template"]["metadata"]["labels"] |= {"model": model, "model-version": version}
    return made


def _odd() -> Samples:
    def resets(step: int) -> float:
        return float(step % 37 * 3)

    def ends_and_begins_again(step: int) -> float | None:
        return STALE if step == 60 else None if 60 < step < 80 else float(step * 2)

    def scraped_with_holes(step: int) -> float | None:
        return None if step % 9 in (4, 5, 6, 7) else float(step * step)

    def wave(step: int) -> float:
        return round(40 * math.sin(step / 7), 6)

    def no_numbers(step: int) -> float:
        return (math.nan, math.inf, -math.inf, 2.5)[step % 4]

    shapes: dict[str, Callable[[int], float | None]] = {
        "resets": resets,
        "begins_again": ends_and_begins_again,
        "holes": scraped_with_holes,
        "from_nothing": lambda step: None if step < 150 else float((step - 150) * 4),
        "seldom": lambda step: float(step) if step % 21 == 0 else None,
        "flat": lambda _: 7.0,
    }
    gauges: dict[str, Callable[[int], float | None]] = {"wave": wave, "no_numbers": no_numbers}
    samples: Samples = {}
    for metric, kinds in (("odd_total", shapes), ("odd_gauge", gauges)):
        for kind, shape in kinds.items():
            for zone in ("east", "west"):
                offset = 0 if zone == "east" else 5
                labels = labels_of({NAME: metric, "kind": kind, "zone": zone, "path": f'/a"b\\{zone}'})
                shaped = ((step, shape(step)) for step in range(STEPS))
                samples[labels] = [
                    ((BEGAN + step * STEP_SECONDS) * 1000 + offset, value)
                    for step, value in shaped
                    if value is not None
                ]
    for kind, weight in (("resets", 2.0), ("flat", 3.0), ("unknown", 5.0)):
        labels = labels_of({NAME: "odd_weight", "kind": kind, "owner": f"team-{kind}"})
        samples[labels] = [((BEGAN + step * STEP_SECONDS) * 1000, weight) for step in range(STEPS)]
    return samples
