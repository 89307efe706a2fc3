"""A real Prometheus scrapes the world."""

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlops_tui.demo.prometheus import create_app
from mlops_tui.demo.traffic import Traffic
from tests.contract.prometheus_server.real import prometheus
from tests.contract.prometheus_server.samples import model_manifest
from tests.support.serving import serving
from tests.unit.demo_kubernetes.worlds import World

pytestmark = pytest.mark.tool("prometheus")

PATIENCE = 30.0
"""Seconds for scrapes that come every second, on a busy machine."""


async def _world() -> tuple[World, Traffic]:
    world = World(seed=3)
    traffic = Traffic(world.clock, world.cluster, seed=3)
    world.cluster.apply(model_manifest("churn", "churn", "v7", replicas=2))
    await world.run(30)
    traffic.scrape(world.clock.now().timestamp())
    return world, traffic


async def _minute(world: World, traffic: Traffic) -> None:
    await world.run(60)
    traffic.scrape(world.clock.now().timestamp())


async def test_what_is_scraped_is_what_our_api_answers(tmp_path: Path) -> None:
    world, traffic = await _world()
    async with serving(create_app(traffic)) as ours_url, httpx.AsyncClient(base_url=ours_url, trust_env=False) as ours:
        target = ours_url.removeprefix("http://")
        scrapes = [{"job_name": "world", "honor_labels": True, "static_configs": [{"targets": [target]}]}]
        with prometheus(tmp_path, json.dumps(scrapes)) as real_url:
            async with httpx.AsyncClient(base_url=real_url, trust_env=False) as real:
                await _compare(world, traffic, real, ours)


async def _compare(world: World, traffic: Traffic, real: httpx.AsyncClient, ours: httpx.AsyncClient) -> None:
    for _ in range(2):
        await _minute(world, traffic)
        await _until_scraped(real, "sum(model_requests_total)", ours)
        for query in (
            "model_requests_total",
            "model_errors_total",
            "model_latency_sum",
            "model_replicas_ready",
            "histogram_quantile(0.5, model_latency_bucket)",
        ):
            question: dict[str, Any] = {"query": query}
            answers = [(await client.get("/api/v1/query", params=question)) for client in (real, ours)]
            assert answers[0].json()["data"]["result"]
            assert _timeless(answers[0]) == _timeless(answers[1])
    metadata = [(await client.get("/api/v1/metadata")).json()["data"] for client in (real, ours)]
    assert metadata[0] == metadata[1]


async def _until_scraped(real: httpx.AsyncClient, query: str, ours: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + PATIENCE
    wanted = _timeless(await ours.get("/api/v1/query", params={"query": query}))
    while _timeless(await real.get("/api/v1/query", params={"query": query})) != wanted:
        assert time.monotonic() < deadline, "it was not scraped"
        await asyncio.sleep(0.1)


def _timeless(answer: httpx.Response) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the values: the two live at different times."""
    rows = answer.json()["data"]["result"]
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in rows}


async def test_promtool_finds_nothing_wrong_with_the_exposition() -> None:
    world, traffic = await _world()
    await _minute(world, traffic)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(traffic)), base_url="http://ours") as ours:
        exposed = await ours.get("/metrics")

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=exposed.content, capture_output=True, timeout=30, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
