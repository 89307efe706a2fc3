"""What the embedded world costs: until it is ready, while nobody looks, and as it grows.

Run: `python -m benchmarks.world`. With SIZE=large in the environment it starts a large world, too, and says how long
the dashboard's engine takes to read all of that.
"""

import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from mlops_tui.demo import (
    GITHUB_TOKEN,
    TOKEN_ENV,
    Addresses,
    Size,
    start_world,
    stop_world,
    wait_until_ready,
)

if TYPE_CHECKING:
    from mlops_tui.demo.kubernetes import Cluster

BEGAN: Final = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)
FEW_DEPLOYMENTS, MANY_DEPLOYMENTS = 10, 1_000
FEW_RUNS, MANY_RUNS = 50, 5_000
REQUESTS: Final = 200
"""Of each kind; their median counts."""
IDLE_SECONDS: Final = 10.0
ENGINE_SECONDS: Final = 150.0
"""How long the engine may take to read everything."""
START_LIMIT: Final = 1.0
"""Seconds of processor time in which a thousand Deployments are to be up; from there on the exit code is 1."""
RATIO_LIMIT: Final = 2.0
"""The ratio from which on a request's cost is said to grow with the world, and the exit code is 1."""
IDLE_LIMIT: Final = 5.0
"""Percent of a core that a world may use while nobody looks; from there on the exit code is 1."""


def main() -> int:
    """Measure, print, and say whether the world stays as cheap as it has to be."""
    size: Size = "large" if os.environ.get("SIZE") == "large" else "normal"
    good = asyncio.run(measure_cluster())
    good &= asyncio.run(measure_github())
    bare = bare_server_seconds()
    normal, idle, read = measure_world("normal")
    print(f"world, ready                MLflow's imports alone {bare:6.2f} s   normal {normal:6.2f} s   "
          f"ratio {normal / bare:.2f}")  # fmt: skip
    print(f"world, CPU, nobody looking  normal {idle:4.1f} % of a core over {IDLE_SECONDS:.0f} s")
    _say_engine("normal", read)
    good &= not idle >= IDLE_LIMIT  # no number where the system does not tell
    if size == "large":
        large, idle, much = measure_world("large")
        print(f"world, ready                normal {normal:6.2f} s   large {large:6.2f} s   ratio {large / normal:.2f}")
        print(f"world, CPU, nobody looking  large {idle:4.1f} % of a core over {IDLE_SECONDS:.0f} s")
        _say_engine("large", much)
        print(f"engine, everything read     ratio {much['seconds'] / read['seconds']:.2f} large to normal")
    return int(not good)


# --- the servers alone, in this process


async def measure_cluster() -> bool:
    """Print how fast Deployments start and are read; return whether that is fast enough."""
    from mlops_tui.demo import kubernetes

    times, gets = {}, {}
    await _cluster(1)  # what is imported and set up once
    for count in (FEW_DEPLOYMENTS, MANY_DEPLOYMENTS):
        # Nothing waits in there, so processor time is the time it takes, whatever else the machine does.
        start = time.process_time()
        cluster = await _cluster(count)
        times[count] = time.process_time() - start
        app = kubernetes.create_app(cluster, {"token": "admin"})
        url = f"/apis/apps/v1/namespaces/team-0/deployments/app-{count // 2}"
        gets[count] = await _median_request(app, url, "token")
    each = times[FEW_DEPLOYMENTS] / FEW_DEPLOYMENTS, times[MANY_DEPLOYMENTS] / MANY_DEPLOYMENTS
    print(f"cluster, Deployments up     {FEW_DEPLOYMENTS} in {times[FEW_DEPLOYMENTS] * 1000:.0f} ms   "
          f"{MANY_DEPLOYMENTS} in {times[MANY_DEPLOYMENTS]:.2f} s   ratio of each {each[1] / each[0]:.2f}")  # fmt: skip
    ratio = _say_ratio("cluster, GET of one", "Deployments", gets)
    return times[MANY_DEPLOYMENTS] < START_LIMIT and ratio < RATIO_LIMIT


async def _cluster(count: int) -> "Cluster":
    """Return a cluster in which that many Deployments of one replica are available, without waiting for them."""
    from mlops_tui.demo.clock import WorldClock
    from mlops_tui.demo.kubernetes import Cluster

    clock = WorldClock(BEGAN)
    cluster = Cluster(clock)
    for number in range(count):
        labels = {"app": f"app-{number}"}
        container = {"name": "server", "image": "registry.example/app:v1"}
        cluster.apply(
            {
                "kind": "Deployment",
                "metadata": {"name": f"app-{number}", "namespace": "team-0"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                },
            }
        )
    while (due := cluster.reconcile()) is not None:
        await clock.advance(due)
    ready = sum(found["status"].get("availableReplicas", 0) for found in cluster.objects("Deployment"))
    assert ready == count, f"{ready} of {count} are available"
    return cluster


async def measure_github() -> bool:
    """Print how fast a page of few and of many runs is read; return whether that is fast enough."""
    from mlops_tui.demo import github
    from mlops_tui.demo.clock import WorldClock
    from mlops_tui.demo.pipelines import CI

    pages, again = {}, {}
    for count in (FEW_RUNS, MANY_RUNS):
        store = github.GitHubStore(WorldClock(BEGAN))
        store.tokens["token"] = github.Token("mira-k")
        store.add_repository("acme/fraud")
        store.add_workflow("acme/fraud", CI.name, CI.path, jobs=CI.jobs)
        sha = store.resolve("acme/fraud", "main").sha
        start = time.perf_counter()
        for number in range(count):
            run = store.start_run(
                "acme/fraud", CI.name, branch="main", event="push", head_sha=sha, title=f"Change {number}",
                actor="mira-k", jobs=CI.jobs,
            )  # fmt: skip
            store.complete_run("acme/fraud", run, "success")
        built = time.perf_counter() - start
        app = github.create_app(store)
        pages[count] = await _median_request(app, "/repos/acme/fraud/actions/runs?per_page=30", "token")
        again[count] = await _median_request(app, "/repos/acme/fraud/actions/runs?per_page=30", "token", known=True)
    print(f"github, runs told           {MANY_RUNS} in {built:.2f} s")
    ratio = _say_ratio("github, first page", "runs", pages)
    return max(ratio, _say_ratio("github, unchanged page", "runs", again)) < RATIO_LIMIT


async def _median_request(app: object, url: str, token: str, *, known: bool = False) -> float:
    """Return the median seconds of a GET; with `known` of one that says that nothing has changed."""
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    took = []
    async with httpx.AsyncClient(transport=transport, base_url="http://world", headers=headers) as client:
        first = (await client.get(url)).raise_for_status()
        if known:
            client.headers["If-None-Match"] = first.headers["etag"]
        for _ in range(REQUESTS):
            start = time.perf_counter()
            answer = await client.get(url)
            took.append(time.perf_counter() - start)
            assert answer.status_code == (304 if known else 200), answer.status_code
    return statistics.median(took)


def _say_ratio(name: str, things: str, seconds: dict[int, float]) -> float:
    (few, short), (many, long) = seconds.items()
    print(f"{name:<27} {few} {things} {short * 1000:.2f} ms   {many} {things} {long * 1000:.2f} ms   "
          f"ratio {long / short:.2f}")  # fmt: skip
    return long / short


# --- whole worlds, in processes of their own


def bare_server_seconds() -> float:
    """Return the seconds that MLflow's server takes to be imported: no world can be ready before."""
    start = time.perf_counter()
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "_MLFLOW_SERVER_FILE_STORE": "sqlite://"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import mlflow.server.fastapi_app"],
        env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start


def measure_world(size: Size) -> tuple[float, float, dict[str, float]]:
    """Return the seconds until a world is ready, its CPU in percent of a core, and what its engine's reading cost."""
    with _world(size) as (addresses, seconds, pid):
        idle = _cpu_percent(pid)
        return seconds, idle, _read_everything(addresses["config"])


@contextmanager
def _world(size: Size) -> Iterator[tuple[Addresses, float, int]]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        world = start_world(Path(folder) / "world", size=size)
        try:
            addresses = wait_until_ready(world)
            yield addresses, time.perf_counter() - start, world.pid
        finally:
            stop_world(world)


def _cpu_percent(pid: int) -> float:
    """Return the processor time that a process and its children take in a while, in percent of a core."""
    before, start = _cpu_seconds(pid), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    return 100 * (_cpu_seconds(pid) - before) / (time.perf_counter() - start)


def _cpu_seconds(pid: int) -> float:
    total = 0.0 if Path("/proc/self/stat").exists() else math.nan
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = stat.read_text().partition(" (")
        except OSError:
            continue
        fields = rest.rpartition(") ")[2].split()
        if pid in (int(number), int(fields[1])):
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _read_everything(config: str) -> dict[str, float]:
    """Return what a process's engine measured that read the systems of `config` once."""
    environment = {**os.environ, TOKEN_ENV: GITHUB_TOKEN}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.world", config], env=environment, check=True, stdout=subprocess.PIPE
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _say_engine(size: Size, measured: dict[str, float]) -> None:
    rows = ", ".join(f"{measured[kind]:,.0f} {kind}" for kind in ("runs", "pulls", "versions", "rollouts"))
    print(f"engine, everything read     {size} {measured['seconds']:6.2f} s   "
          f"{measured['megabytes']:.0f} MB at most   {rows}")  # fmt: skip


async def _engine(config: Path) -> dict[str, float]:
    """Read everything once, and return how long that took, what it needed and how much there was."""
    import resource

    from mlops_tui.config.settings import load_settings
    from mlops_tui.domain.state import SourceStatus
    from mlops_tui.engine.collect import collect
    from mlops_tui.engine.compose import build_engine

    start = time.perf_counter()
    async with build_engine(load_settings(config), read_only=True, config=config) as engine:
        view = await collect(engine, ENGINE_SECONDS)
    seconds = time.perf_counter() - start
    for state in view.states:
        assert state.status is SourceStatus.LIVE, f"{state.source}: {state.error}"
    kinds = Counter(type(row).__name__ for row in view.rows)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = {kind: kinds[f"{kind.capitalize().removesuffix('s')}Row"] for kind in ("runs", "pulls", "versions")}
    return {"seconds": seconds, "megabytes": megabytes, "rollouts": kinds["RolloutRow"], **counts}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(_engine(Path(sys.argv[1])))))
        sys.exit()
    sys.exit(main())
