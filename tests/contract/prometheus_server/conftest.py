"""The two servers, with the same samples."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from mlops_tui.demo.prometheus import Family, SampleStore, create_app
from mlops_tui.demo.traffic import FAMILIES
from mlops_tui.domain.clock import Clock
from tests.contract.prometheus_server.real import prometheus, write
from tests.contract.prometheus_server.samples import Samples, everything, stored
from tests.support.clock import ManualClock


@dataclass
class Scraped:
    """A source for our server."""

    store: SampleStore
    clock: Clock = field(default_factory=ManualClock)
    families: tuple[Family, ...] = FAMILIES
    interval: float = 15.0


@dataclass
class Pair:
    """The real server and ours."""

    real: httpx.AsyncClient
    ours: httpx.AsyncClient

    async def ask(self, path: str, **parameters: Any) -> tuple[httpx.Response, httpx.Response]:
        """Return both answers to the same question."""
        url = f"/api/v1/{path}"
        return await self.real.get(url, params=parameters), await self.ours.get(url, params=parameters)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return asyncio.run(everything())


@pytest.fixture(scope="module")
def real_url(tmp_path_factory: pytest.TempPathFactory, samples: Samples) -> Iterator[str]:
    """The address of a real Prometheus that has the samples."""
    with prometheus(tmp_path_factory.mktemp("prometheus")) as address:
        write(address, samples)
        yield address


@pytest.fixture(scope="module")
def our_app(samples: Samples) -> ASGIApp:
    return create_app(Scraped(stored(samples)))


@pytest.fixture
async def pair(real_url: str, our_app: ASGIApp) -> AsyncIterator[Pair]:
    # Neither speaks TLS; certificates that are not needed take a while to load.
    async with (
        httpx.AsyncClient(base_url=real_url, trust_env=False, verify=False) as real,
        httpx.AsyncClient(base_url="http://ours", transport=httpx.ASGITransport(our_app), verify=False) as ours,
    ):
        yield Pair(real, ours)
