"""Requests to the world's models, and what each of their pods counts of them."""

import hashlib
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from mlops_tui.demo.fleet import PRODUCTION, STAGING
from mlops_tui.demo.kubernetes import Cluster
from mlops_tui.demo.prometheus.buckets import bucket_quantile
from mlops_tui.demo.prometheus.families import Family
from mlops_tui.demo.prometheus.ranges import rate
from mlops_tui.demo.prometheus.storage import NAME, STALE, Labels, Matcher, SampleStore, Series, labels_of
from mlops_tui.demo.routing import Backends, Pod, Routing
from mlops_tui.demo.story import MODELS
from mlops_tui.domain.clock import Clock

SCRAPE_SECONDS: Final = 5.0
"""Between two scrapes of every pod while the world is live."""
REHEARSED_SCRAPE_SECONDS: Final = 15.0
"""The same while its past is rehearsed, or its time is fast."""
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper bounds of the latency histogram in seconds, dense around the thresholds that people alert at."""
_LE: Final = (*(f"{bound:g}" if bound != int(bound) else f"{bound:.1f}" for bound in BOUNDS), "+Inf")
FAMILIES: Final = (
    Family("model_requests_total", "counter", "Predictions asked for."),
    Family("model_errors_total", "counter", "Predictions that failed."),
    Family("model_latency", "histogram", "Seconds that a prediction took."),
    Family("model_replicas_ready", "gauge", "Pods of a Deployment that take requests."),
)

_FORGET_MILLISECONDS: Final = 600_000
"""Between two looks for what is too old: it looks at every series."""
_JOB: Final = "models"
_PORT: Final = 8080
_STATE_INSTANCE: Final = "kube-state-metrics:8080"
"""Who counts ready pods: no pod of the model itself."""
_RATES: Final = {"fraud-detector": 120.0, "ranker": 240.0, "vision-ocr": 24.0, "churn": 18.0}
"""Mean requests per second by model; people wait for rankings more often than for churn forecasts."""
_OTHER_RATE: Final = 30.0
_TESTS_RATE: Final = 4.0
"""Requests per second in staging, which sees integration tests alone."""
_NAMESPACES: Final = (PRODUCTION, STAGING)
_PLANNED: Final = 0.45
"""The load of a replica at a model's mean rate and its planned replicas, as a part of what it can take."""
_STEADY: Final = 0.8
"""Up to this load requests hardly wait for each other."""
_OVERLOADED: Final = 1.2
"""Beyond this load a replica gives up requests."""
_DAILY: Final = 0.25
"""How far the rate goes up and down with the hours."""
_PEAK_HOUR: Final = 15
_SIGMA: Final = 0.45
"""Spread of the log-normal latency."""
_P95: Final = math.exp(1.6448536269514722 * _SIGMA)
"""The 95th percentile in medians."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How an image serves while it has enough replicas.

    Attributes:
        error_rate: Failed requests in all requests, 0 to 1.
        latency_seconds: The 95th percentile; more than zero.
    """

    error_rate: float
    latency_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What monitoring says of a Deployment.

    Attributes:
        error_rate: Failed requests in all requests, 0 to 1; `None` while nothing is served.
        p95_seconds: `None` while nothing is served.
    """

    requests_per_second: float
    error_rate: float | None
    p95_seconds: float | None


_DEFAULT: Final = Quality(error_rate=0.002, latency_seconds=0.18)
_KNOWN: Final = (
    ("*/ranker:*", Quality(error_rate=0.001, latency_seconds=0.09)),
    ("*/vision-ocr:*", Quality(error_rate=0.003, latency_seconds=0.34)),
)


class _Counts:
    """The counters of a pod, from zero."""

    def __init__(self, pod: Pod, store: SampleStore) -> None:
        own = {
            "namespace": pod.namespace,
            "deployment": pod.deployment,
            "pod": pod.name,
            "model": pod.model,
            "version": pod.labels.get("model-version", ""),
            "job": _JOB,
            "instance": f"{pod.address}:{_PORT}",
        }

        def begin(name: str, **more: str) -> Series:
            return store.series(labels_of({NAME: name, **own, **more}))

        # `up` is what a scraper adds of its own.
        self.up = begin("up")
        self.requests, self.errors = begin("model_requests_total"), begin("model_errors_total")
        self.buckets = [begin("model_latency_bucket", le=bound) for bound in _LE]
        self.sum, self.count = begin("model_latency_sum"), begin("model_latency_count")
        self._requested = self._seconds = 0.0
        # Pods that begin together do not fail together.
        self._failed = zlib.crc32(pod.uid.encode()) / 2**32
        self._within = [0.0] * len(BOUNDS)

    def add(self, requests: float, error_rate: float, mean: float, distribution: Iterable[float]) -> None:
        """Count requests; parts of one are carried over to the next time."""
        self._requested += requests
        self._failed += requests * error_rate
        self._seconds += requests * mean
        self._within = [counted + requests * part for counted, part in zip(self._within, distribution, strict=True)]

    def record(self, at: int) -> None:
        """Add a sample of each counter."""
        requested = self._requested // 1
        self.up.append(at, 1.0)
        self.requests.append(at, requested)
        self.errors.append(at, self._failed // 1)
        for series, counted in zip(self.buckets, self._within, strict=False):
            series.append(at, counted // 1)
        self.buckets[-1].append(at, requested)
        self.sum.append(at, self._seconds)
        self.count.append(at, requested)

    def end(self, at: int) -> None:
        """Mark the series as ended."""
        for series in (self.up, self.requests, self.errors, *self.buckets, self.sum, self.count):
            series.append(at, STALE)


class Traffic:
    """Sends requests to the pods of models that are ready, and scrapes what those count.

    Where the requests of a model go: by the weights of the VirtualService that routes to its pods; else to the pods
    that its Service selects; else to all. A share whose pods are not ready is lost. More requests than the replicas
    can take make them slow, then fail.

    Args:
        seed: The noise of rates and latencies follows from it and from the time.

    Attributes:
        store: What was scraped.
        clock: By which it is scraped.
        interval: Seconds between two scrapes.
    """

    families: Final = FAMILIES

    def __init__(self, clock: Clock, cluster: Cluster, *, seed: int) -> None:
        self.clock = clock
        self.store = SampleStore()
        self.interval = SCRAPE_SECONDS
        self._seed = seed
        self._cluster = cluster
        self._qualities: list[tuple[str, Quality]] = list(_KNOWN)
        self._routing = Routing(cluster, _NAMESPACES)
        self._counts: dict[str, _Counts] = {}
        self._ready: dict[tuple[str, str], Series] = {}
        self._scraped: int | None = None
        self._forgot = 0

    def quality(self, image_pattern: str, quality: Quality) -> None:
        """Let images serve so, from now on.

        Args:
            image_pattern: A glob over the whole image; of all patterns the one given last is tried first.
        """
        self._qualities.insert(0, (image_pattern, quality))

    def figures(self, namespace: str, deployment: str, seconds: float = 60) -> Figures:
        """Return what Prometheus would answer now of the last `seconds`."""
        of_it = {"deployment": deployment, "namespace": namespace}
        requests = self._rates("model_requests_total", of_it, seconds)
        if not requests:
            return Figures(0.0, None, None)
        per_second = math.fsum(requests.values())
        errors = math.fsum(self._rates("model_errors_total", of_it, seconds).values())
        buckets = [
            (float(dict(labels)["le"]), value)
            for labels, value in self._rates("model_latency_bucket", of_it, seconds).items()
        ]
        p95 = bucket_quantile(0.95, buckets)
        return Figures(per_second, errors / per_second if per_second else None, None if math.isnan(p95) else p95)

    def _rates(self, name: str, labels: Mapping[str, str], seconds: float) -> dict[Labels, float]:
        end = round(self.clock.now().timestamp() * 1000)
        start = end - round(seconds * 1000)
        rates = {}
        matchers = [Matcher.equals(label, value) for label, value in labels.items()]
        for series in self.store.select(matchers, name, start):
            window = series.window(start, end)
            if window is not None and (value := rate(window)) is not None:
                rates[series.labels] = value
        return rates

    def utilization(self, namespace: str, name: str) -> float | None:
        """Return the load of a Deployment's ready pods in percent of what they can take; `None` without any.

        At its mean rate, with the replicas that it is planned with, a model is at 45.
        """
        at = self.clock.now().timestamp()
        for (there, model), backends in self._routing.backends.items():
            own = [pod.name for pod in backends.pods.values() if pod.deployment == name and pod.is_ready]
            if there == namespace and own:
                shares = self._routing.shares(backends)
                requests = self._rate(there, model, at) * sum(shares.get(pod, 0.0) for pod in own)
                return 100 * requests / len(own) / _capacity(model)
        return None

    async def run(self, interval: float = SCRAPE_SECONDS) -> None:
        """Scrape every `interval` seconds of the clock until cancelled.

        Scrapes are at multiples of the interval, so that the same world has the same samples; those that would be
        late are left out.
        """
        self.interval = interval
        while True:
            now = self.clock.now().timestamp()
            due = (math.floor(now / interval) + 1) * interval
            await self.clock.sleep(due - now)
            latest = math.floor(self.clock.now().timestamp() / interval) * interval
            self.scrape(max(due, latest))

    def scrape(self, at: float) -> None:
        """Let the requests since the last scrape arrive and scrape every pod.

        Args:
            at: Seconds since the epoch; not before the last.
        """
        moment = round(at * 1000)
        seconds = 0.0 if self._scraped is None else (moment - self._scraped) / 1000
        self._scraped = moment
        pods = [pod for backends in self._routing.backends.values() for pod in backends.pods.values() if pod.is_ready]
        if seconds > 0:
            for backends in self._routing.backends.values():
                self._arrive(backends, at, seconds)
        for uid in self._counts.keys() - {pod.uid for pod in pods}:
            # A pod that serves again has begun again: its container was restarted.
            self._counts.pop(uid).end(moment)
        for pod in pods:
            if pod.uid not in self._counts:
                self._counts[pod.uid] = _Counts(pod, self.store)
            self._counts[pod.uid].record(moment)
        self._count_ready(moment)
        if moment - self._forgot >= _FORGET_MILLISECONDS:
            self._forgot = moment
            self.store.forget(moment)

    def _arrive(self, backends: Backends, at: float, seconds: float) -> None:
        """Let requests reach the pods that have been ready since the last scrape."""
        namespace, capacity = backends.namespace, _capacity(backends.model)
        per_second = self._rate(namespace, backends.model, at)
        behaviours: dict[tuple[str, str, float], tuple[float, float, list[float]]] = {}
        for name, share in self._routing.shares(backends).items():
            pod = backends.pods[name]
            counts = self._counts.get(pod.uid)
            if counts is None:
                continue
            load = per_second * share / capacity
            # Pods of a Deployment do alike, as far as they run the same image and get as much to do.
            key = (pod.deployment, pod.image, round(load, 9))
            if key not in behaviours:
                behaviours[key] = self._behaviour(pod, load, at)
            counts.add(per_second * share * seconds, *behaviours[key])

    def _count_ready(self, moment: int) -> None:
        ready: dict[tuple[str, str], float] = {}
        models: dict[tuple[str, str], str] = {}
        for backends in self._routing.backends.values():
            for pod in backends.pods.values():
                key = (pod.namespace, pod.deployment)
                ready[key] = ready.get(key, 0.0) + pod.is_ready
                models[key] = pod.model
        for key in self._ready.keys() - ready.keys():
            if self._cluster.get("Deployment", *key) is None:
                self._ready.pop(key).append(moment, STALE)
            else:
                ready[key] = 0.0
        for (namespace, deployment), count in ready.items():
            if (namespace, deployment) not in self._ready:
                labels = {NAME: "model_replicas_ready", "namespace": namespace, "deployment": deployment}
                labels |= {"model": models[namespace, deployment], "job": _JOB, "instance": _STATE_INSTANCE}
                self._ready[namespace, deployment] = self.store.series(labels_of(labels))
            self._ready[namespace, deployment].append(moment, count)

    def _behaviour(self, pod: Pod, load: float, at: float) -> tuple[float, float, list[float]]:
        """Return error rate, mean latency, and for each bound the part of the requests that stay within it."""
        quality = next((quality for pattern, quality in self._qualities if fnmatchcase(pod.image, pattern)), _DEFAULT)
        key = f"{pod.namespace}/{pod.deployment}"
        error_rate = quality.error_rate * (1 + 0.3 * self._noise(f"{key}/errors", at, 30))
        if load > _OVERLOADED:
            error_rate += 0.5 * (1 - _OVERLOADED / load)
        waiting = 1 + 0.1 * load + 4 * max(0.0, load - _STEADY)
        p95 = quality.latency_seconds * waiting * (1 + 0.08 * self._noise(f"{key}/latency", at, 45))
        median = p95 / _P95
        mean = median * math.exp(_SIGMA**2 / 2)
        spread = _SIGMA * math.sqrt(2)
        within = [0.5 * (1 + math.erf(math.log(bound / median) / spread)) for bound in BOUNDS]
        return min(1.0, max(0.0, error_rate)), mean, within

    def _rate(self, namespace: str, model: str, at: float) -> float:
        """Return the requests per second at a time."""
        mean, daily = _TESTS_RATE, 1.0
        if namespace != STAGING:
            mean = _RATES.get(model, _OTHER_RATE)
            daily += _DAILY * math.cos(2 * math.pi * (at / 86400 - _PEAK_HOUR / 24))
        slow, quick = self._noise(f"{namespace}/{model}", at, 300), self._noise(f"{namespace}/{model}/quick", at, 20)
        return mean * daily * (1 + 0.06 * slow + 0.04 * quick)

    def _noise(self, key: str, at: float, period: float) -> float:
        """Return a value of -1 to 1 that changes smoothly within `period` seconds."""
        step, weight = divmod(at / period, 1.0)
        before, after = (_drawn(f"{self._seed}/{key}/{edge:.0f}") for edge in (step, step + 1))
        return (before * (1 - weight) + after * weight) / 2**31 - 1


@lru_cache(maxsize=512)
def _drawn(key: str) -> int:
    """Return a number below 2**32 that follows from a text."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest())


def _capacity(model: str) -> float:
    """Return the requests per second that a replica can take."""
    planned = next((each.replicas for each in MODELS if each.name == model), 4)
    return _RATES.get(model, _OTHER_RATE) / planned / _PLANNED
