"""The same seed and clock make the same world: every id, every time and every figure of all four systems."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from mlops_tui import demo
from tests.contract.demo_world.test_served import kubernetes

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FAR_BACK = 90 * 60
"""Seconds of traffic that a world remembers when it begins."""


@contextmanager
def standing_world(home: Path, seed: int) -> Iterator[demo.Addresses]:
    """A world that begins at `AT` and stands still."""
    world = demo.start_world(home, seed=seed, clock=demo.story_clock(AT, 0))
    try:
        yield demo.wait_until_ready(world)
    finally:
        demo.stop_world(world)


def everything(addresses: demo.Addresses) -> dict[str, str]:
    """Return what the four systems answer, by address, without the ports of this world."""
    seen: dict[str, str] = {}

    def ask(client: httpx.Client, *paths: str) -> None:
        for path in paths:
            text = client.get(path).raise_for_status().text
            seen[path] = re.sub(r"127\.0\.0\.1:\d+", "HOST", text)

    headers = {"Authorization": f"Bearer {addresses['github_token']}"}
    with httpx.Client(base_url=addresses["github_api_url"], headers=headers, trust_env=False, timeout=30) as github:
        for repo in ("fraud", "ranker", "vision", "churn"):
            runs = f"/repos/acme/{repo}/actions/runs?per_page=100"
            pulls = f"/repos/acme/{repo}/pulls?state=all&per_page=100"
            ask(github, runs, pulls)
            for pull in json.loads(seen[pulls])[:5]:
                ask(github, f"/repos/acme/{repo}/issues/{pull['number']}/comments")
            ask(github, f"/repos/acme/{repo}/actions/artifacts", f"/repos/acme/{repo}/commits?per_page=100")
            for run in json.loads(seen[runs])["workflow_runs"][:3]:
                ask(github, f"/repos/acme/{repo}/actions/runs/{run['id']}/jobs")
    with kubernetes(addresses, "admin") as cluster:
        ask(cluster, "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/api/v1/pods", "/api/v1/events")
        ask(cluster, "/apis/networking.istio.io/v1/virtualservices", "/apis/argoproj.io/v1alpha1/rollouts")
    with httpx.Client(base_url=addresses["mlflow_tracking_uri"], trust_env=False, timeout=30) as mlflow:
        api = "/api/2.0/mlflow"
        ask(mlflow, f"{api}/registered-models/search", f"{api}/model-versions/search?max_results=1000")
        found = mlflow.post(f"{api}/runs/search", json={"experiment_ids": ["1", "2", "3", "4"], "max_results": 1000})
        seen["runs/search"] = found.raise_for_status().text
        ask(mlflow, f"{api}/experiments/search?max_results=100")
    span = f"start={AT.timestamp() - FAR_BACK}&end={AT.timestamp()}&step=60"
    with httpx.Client(base_url=addresses["prometheus_url"], trust_env=False, timeout=30) as prometheus:
        ask(prometheus, f"/api/v1/query_range?query=model_latency_bucket&{span}")
    return seen


def test_the_same_seed_and_clock_make_the_same_world_and_another_seed_another(tmp_path: Path) -> None:
    def seen(name: str, seed: int) -> dict[str, str]:
        with standing_world(tmp_path / name, seed) as addresses:
            return everything(addresses)

    with ThreadPoolExecutor() as pool:
        one, same, other = pool.map(seen, ("one", "same", "other"), (3, 3, 4))
    assert one == same
    # One of each system.
    for path in ("/repos/acme/fraud/actions/runs?per_page=100", "/api/v1/pods", "runs/search"):
        assert one[path] != other[path]
