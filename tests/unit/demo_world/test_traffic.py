"""Requests follow routes and ready pods, and what is counted follows from images and load."""

import asyncio
import math
from typing import Any

import pytest

from mlops_tui.demo.clock import WorldClock
from mlops_tui.demo.kubernetes import Cluster, ImageBehaviour
from mlops_tui.demo.kubernetes.custom import install_istio
from mlops_tui.demo.prometheus.storage import Matcher, is_stale
from mlops_tui.demo.traffic import REHEARSED_SCRAPE_SECONDS, Quality, Traffic
from tests.support.clock import START
from tests.unit.demo_kubernetes.worlds import World, manifest

SCRAPE = 5.0


class Models:
    """A cluster with models, whose traffic is scraped as its time passes."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed=seed)
        self.cluster = self.world.cluster
        self.traffic = Traffic(self.world.clock, self.cluster, seed=seed)

    def deploy(self, name: str, image: str, replicas: int = 2, model: str = "churn", **labels: str) -> None:
        made = manifest(name, image=image, replicas=replicas)
        more = {"model": model, "model-version": image.rpartition(":")[2], **labels}
        made["spec"]["template"]["metadata"]["labels"] |= more
        self.cluster.apply(made)

    async def run(self, seconds: float) -> None:
        """Let time pass, with a scrape every five seconds."""
        for _ in range(math.ceil(seconds / SCRAPE)):
            await self.world.run(SCRAPE)
            self.traffic.scrape(self.world.clock.now().timestamp())

    def rate(self, name: str) -> float:
        return self.traffic.figures("ml", name).requests_per_second

    def names(self, metric: str) -> set[str]:
        """Return the pods that have a live series."""
        series = self.traffic.store.select((), metric)
        return {each.lookup["pod"] for each in series if each.is_active}


@pytest.fixture
def models() -> Models:
    return Models()


async def test_a_model_that_serves_has_figures(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7", replicas=4)
    await models.run(120)
    figures = models.traffic.figures("ml", "churn")

    assert 10 < figures.requests_per_second < 25
    assert figures.error_rate is not None
    assert 0 <= figures.error_rate < 0.01
    assert figures.p95_seconds is not None
    assert 0.1 < figures.p95_seconds < 0.3


async def test_counters_begin_at_zero_and_are_whole(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7")
    await models.run(300)
    store = models.traffic.store

    for name in ("model_requests_total", "model_errors_total", "model_latency_bucket", "model_latency_count"):
        for series in store.select((), name):
            assert series.values[0] == 0
            assert all(value == int(value) for value in series.values)
            assert sorted(series.values) == list(series.values)
    for pod in models.names("model_requests_total"):
        of_pod = [Matcher.equals("pod", pod)]
        buckets = [series.values for series in store.select(of_pod, "model_latency_bucket")]
        assert all(
            list(counts) == sorted(counts)
            for counts in zip(*_by_bound(store.select(of_pod, "model_latency_bucket")), strict=True)
        )
        (count,) = store.select(of_pod, "model_latency_count")
        assert max(values[-1] for values in buckets) == count.values[-1] > 0


def _by_bound(buckets: list[Any]) -> list[Any]:
    return [series.values for series in sorted(buckets, key=lambda series: float(series.lookup["le"]))]


async def test_labels_say_whose_figures_they_are(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7", replicas=1)
    await models.run(30)
    (series,) = models.traffic.store.select((), "model_requests_total")
    (pod,) = models.cluster.objects("Pod")

    assert series.lookup == {
        "__name__": "model_requests_total",
        "namespace": "ml",
        "deployment": "churn",
        "pod": pod["metadata"]["name"],
        "model": "churn",
        "version": "v7",
        "job": "models",
        "instance": f"{pod['status']['podIP']}:8080",
    }


async def test_what_is_no_model_has_no_traffic(models: Models) -> None:
    models.cluster.apply(manifest("bulk"))
    elsewhere = manifest("churn")
    elsewhere["metadata"]["namespace"] = "other"
    elsewhere["spec"]["template"]["metadata"]["labels"]["model"] = "churn"
    models.cluster.apply(elsewhere)
    await models.run(60)

    assert list(models.traffic.store) == []


async def test_staging_sees_tests_alone(models: Models) -> None:
    models.deploy("ranker", "registry.example/ranker:v30", replicas=6, model="ranker")
    staged = manifest("ranker", image="registry.example/ranker:v31", replicas=1)
    staged["metadata"]["namespace"] = "ml-staging"
    staged["spec"]["template"]["metadata"]["labels"]["model"] = "ranker"
    models.cluster.apply(staged)
    await models.run(120)

    assert 0 < models.traffic.figures("ml-staging", "ranker").requests_per_second < models.rate("ranker") / 20


async def test_a_bad_image_raises_error_rate_and_latency(models: Models) -> None:
    models.traffic.quality("*:v8-bad", Quality(error_rate=0.09, latency_seconds=2.4))
    models.deploy("churn", "registry.example/churn:v7", replicas=4)
    await models.run(120)
    good = models.traffic.figures("ml", "churn")
    models.deploy("churn", "registry.example/churn:v8-bad", replicas=4)
    await models.run(180)
    bad = models.traffic.figures("ml", "churn")

    assert good.error_rate is not None
    assert good.error_rate < 0.01
    assert bad.error_rate == pytest.approx(0.09, rel=0.4)
    assert bad.p95_seconds is not None
    assert bad.p95_seconds > 2.0


async def test_the_pattern_given_last_counts(models: Models) -> None:
    models.traffic.quality("*/churn:*", Quality(error_rate=0.5, latency_seconds=0.2))
    models.traffic.quality("*", Quality(error_rate=0.0, latency_seconds=0.2))
    models.deploy("churn", "registry.example/churn:v7")
    await models.run(120)

    assert models.traffic.figures("ml", "churn").error_rate == 0


async def test_more_replicas_lower_load_and_latency(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7", replicas=1)
    await models.run(120)
    before, load = models.traffic.figures("ml", "churn"), models.traffic.utilization("ml", "churn")
    models.cluster.patch("Deployment", "ml", "churn", {"spec": {"replicas": 5}})
    await models.run(120)
    after, lighter = models.traffic.figures("ml", "churn"), models.traffic.utilization("ml", "churn")

    assert load is not None
    assert lighter is not None
    assert load > 120 > lighter
    assert before.p95_seconds is not None
    assert after.p95_seconds is not None
    assert before.p95_seconds > 1.5 * after.p95_seconds
    assert before.error_rate is not None
    assert after.error_rate is not None
    assert before.error_rate > 0.05 > after.error_rate
    assert after.requests_per_second == pytest.approx(before.requests_per_second, rel=0.2)


async def test_without_ready_pods_there_is_no_data(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7")
    await models.run(60)
    models.cluster.patch("Deployment", "ml", "churn", {"spec": {"replicas": 0}})
    await models.run(10)

    assert models.traffic.utilization("ml", "churn") is None
    assert models.names("model_requests_total") == set()
    assert all(is_stale(series.values[-1]) for series in models.traffic.store.select((), "model_errors_total"))
    (ready,) = models.traffic.store.select((), "model_replicas_ready")
    assert ready.values[-1] == 0
    await models.run(70)
    assert models.traffic.figures("ml", "churn").error_rate is None
    models.cluster.delete("Deployment", "ml", "churn")
    await models.run(10)
    assert not ready.is_active


async def test_an_image_that_cannot_be_pulled_never_has_figures(models: Models) -> None:
    models.cluster.behaviours.append(ImageBehaviour("*:v9", pull_error=True))
    models.deploy("churn", "registry.example/churn:v9")
    await models.run(60)

    assert models.traffic.figures("ml", "churn").p95_seconds is None
    assert [series.values[-1] for series in models.traffic.store.select((), "model_replicas_ready")] == [0]


async def test_a_pod_that_is_to_go_gets_no_more_requests(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7")
    await models.run(60)
    first = models.cluster.objects("Pod")[0]["metadata"]["name"]
    models.cluster.patch("Pod", "ml", first, {"metadata": {"finalizers": ["example.com/drain"]}})
    models.cluster.delete("Pod", "ml", first)
    await models.run(30)

    leaving = models.cluster.get("Pod", "ml", first)
    assert leaving is not None
    assert "deletionTimestamp" in leaving["metadata"]
    assert first not in models.names("model_requests_total")


async def test_pods_that_come_and_go_take_their_counters_with_them(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7")
    await models.run(60)
    before = models.names("model_requests_total")
    models.deploy("churn", "registry.example/churn:v8")
    await models.run(60)
    after = models.names("model_requests_total")

    assert len(before) == len(after) == 2
    assert before.isdisjoint(after)
    versions = {series.lookup["version"] for series in models.traffic.store.select((), "up") if series.is_active}
    assert versions == {"v8"}


def virtual_service(*weights: int) -> dict[str, Any]:
    """Return a VirtualService with a canary's routes, weights for stable and canary."""
    subsets = ("stable", "canary")
    routes = [
        {"destination": {"host": "churn.ml.svc.cluster.local", "subset": subset}, "weight": weight}
        for subset, weight in zip(subsets, weights, strict=True)
    ]
    always = {"match": [{"headers": {"canary": {"exact": "true"}}}], "route": [routes[1] | {"weight": 100}]}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "churn", "namespace": "ml"},
        "spec": {"hosts": ["churn"], "http": [always, {"route": routes}]},
    }


def split(models: Models) -> None:
    """Let Istio split the requests between two Deployments."""
    models.deploy("churn", "registry.example/churn:v7", replicas=3, track="stable")
    models.deploy("churn-canary", "registry.example/churn:v8", replicas=1, track="canary")
    install_istio(models.cluster)
    subsets = [{"name": track, "labels": {"track": track}} for track in ("stable", "canary")]
    models.cluster.apply(
        {"kind": "Service", "metadata": {"name": "churn", "namespace": "ml"},
         "spec": {"selector": {"model": "churn"}, "ports": [{"port": 80}]}}
    )  # fmt: skip
    models.cluster.apply(
        {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
         "metadata": {"name": "churn", "namespace": "ml"}, "spec": {"host": "churn", "subsets": subsets}}
    )  # fmt: skip


@pytest.mark.parametrize(("weights", "part"), [((95, 5), 0.05), ((50, 50), 0.5), ((0, 100), 1.0), ((100, 0), 0.0)])
async def test_weights_split_the_requests(models: Models, weights: tuple[int, int], part: float) -> None:
    split(models)
    models.cluster.apply(virtual_service(*weights))
    await models.run(180)

    canary, stable = models.rate("churn-canary"), models.rate("churn")
    assert canary / (canary + stable) == pytest.approx(part, abs=0.01)


async def test_new_weights_shift_the_split(models: Models) -> None:
    split(models)
    models.cluster.apply(virtual_service(95, 5))
    await models.run(120)
    before = models.rate("churn-canary")
    models.cluster.apply(virtual_service(50, 50))
    await models.run(120)

    assert models.rate("churn-canary") == pytest.approx(10 * before, rel=0.25)


async def test_a_share_without_ready_pods_is_lost(models: Models) -> None:
    split(models)
    models.cluster.apply(virtual_service(50, 50))
    await models.run(120)
    stable = models.rate("churn")
    models.cluster.delete("Deployment", "ml", "churn-canary")
    await models.run(120)

    assert models.rate("churn") == pytest.approx(stable, rel=0.2)
    assert models.rate("churn-canary") == 0


async def test_without_istio_all_ready_pods_share_alike(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7", replicas=3)
    models.deploy("churn-canary", "registry.example/churn:v8", replicas=1)
    await models.run(120)

    assert models.rate("churn") == pytest.approx(3 * models.rate("churn-canary"), rel=0.05)


async def test_the_selector_of_a_service_says_which_colour_is_live(models: Models) -> None:
    models.deploy("churn-blue", "registry.example/churn:v7", version="blue")
    models.deploy("churn-green", "registry.example/churn:v8", version="green")
    models.cluster.apply(
        {"kind": "Service", "metadata": {"name": "churn", "namespace": "ml", "labels": {"model": "churn"}},
         "spec": {"selector": {"model": "churn", "version": "blue"}, "ports": [{"port": 80}]}}
    )  # fmt: skip
    await models.run(120)
    blue, green = models.rate("churn-blue"), models.rate("churn-green")
    models.cluster.patch("Service", "ml", "churn", {"spec": {"selector": {"version": "green"}}})
    await models.run(120)

    assert (blue > 5, green) == (True, 0)
    assert (models.rate("churn-blue"), models.rate("churn-green") > 5) == (0, True)
    models.cluster.patch("Service", "ml", "churn", {"spec": {"selector": {"version": "red"}}})
    await models.run(70)
    assert models.rate("churn-blue") == models.rate("churn-green") == 0


async def _samples(seed: int, start: float) -> list[tuple[Any, list[int], list[float]]]:
    models = Models(seed)
    models.deploy("churn", "registry.example/churn:v7")
    await models.world.run(start)
    await models.run(120)
    return [(series.labels, list(series.times), list(series.values)) for series in models.traffic.store]


async def test_the_same_seed_and_clock_give_the_same_samples() -> None:
    assert await _samples(4, 0) == await _samples(4, 0)


async def test_another_seed_or_another_time_has_other_noise() -> None:
    def requests(samples: list[tuple[Any, list[int], list[float]]]) -> list[list[float]]:
        return sorted(values for labels, _, values in samples if dict(labels)["__name__"] == "model_requests_total")

    same, other, later = await _samples(4, 0), await _samples(5, 0), await _samples(4, 3600)

    assert requests(same) != requests(other)
    assert requests(same) != requests(later)


async def test_the_day_has_its_hours(models: Models) -> None:
    models.deploy("churn", "registry.example/churn:v7")
    rates = []
    for _ in range(24):
        await models.run(65)
        rates.append(models.rate("churn"))
        await models.world.clock.advance(3600 - 65)
        models.traffic.scrape(models.world.clock.now().timestamp())

    assert 1.3 < max(rates) / min(rates) < 2.2


async def test_the_past_is_scraped_while_it_is_rehearsed() -> None:
    clock = WorldClock(START)
    cluster = Cluster(clock)
    made = manifest("churn", image="registry.example/churn:v7")
    made["spec"]["template"]["metadata"]["labels"]["model"] = "churn"
    cluster.apply(made)
    controllers = asyncio.create_task(cluster.run())
    await clock.advance(50_000)
    # What was there before the scrapes began is known as well.
    traffic = Traffic(clock, cluster, seed=1)
    scrapes = asyncio.create_task(traffic.run(REHEARSED_SCRAPE_SECONDS))
    await clock.advance(600)
    for task in (controllers, scrapes):
        task.cancel()
    await asyncio.wait([controllers, scrapes])

    for series in traffic.store.select((), "model_requests_total"):
        assert len(series.times) == 40
        assert all(at % 15_000 == 0 for at in series.times)
    assert 10 < traffic.figures("ml", "churn").requests_per_second < 25


class Jumping:
    """A clock whose sleeps are all too long, as on a machine that cannot keep up."""

    def __init__(self) -> None:
        self.world = World()
        self.now, self.monotonic = self.world.clock.now, self.world.clock.monotonic
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        if self.sleeps > 5:
            raise asyncio.CancelledError
        await self.world.clock.advance(seconds + 61)


async def test_late_scrapes_do_not_pile_up() -> None:
    clock = Jumping()
    made = manifest("churn", image="registry.example/churn:v7", replicas=1)
    made["spec"]["template"]["metadata"]["labels"]["model"] = "churn"
    clock.world.cluster.apply(made)
    await clock.world.run(30)
    traffic = Traffic(clock, clock.world.cluster, seed=1)
    with pytest.raises(asyncio.CancelledError):
        await traffic.run(SCRAPE)

    (series,) = traffic.store.select((), "model_requests_total")
    assert len(series.times) == 5
    assert all(at % 5_000 == 0 for at in series.times)
    assert series.times[-1] > clock.now().timestamp() * 1000 - 5_000
