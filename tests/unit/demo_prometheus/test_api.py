"""The HTTP API: shapes, codes, and the text that others scrape."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from mlops_tui.demo.prometheus import STALE, Family, SampleStore, create_app, labels_of
from mlops_tui.demo.prometheus.storage import NAME
from mlops_tui.domain.clock import Clock
from tests.support.clock import START, ManualClock

NOW = START.timestamp()


@dataclass
class Source:
    """Two pods, one of which is gone."""

    store: SampleStore = field(default_factory=SampleStore)
    clock: Clock = field(default_factory=ManualClock)
    families: tuple[Family, ...] = (Family("asked_total", "counter", "Questions,\nasked."),)
    interval: float = 5.0

    def __post_init__(self) -> None:
        for pod in ("a", 'b"\\'):
            for name in ("asked_total", "up"):
                labels = labels_of({NAME: name, "pod": pod, "instance": f"{pod}:80", "job": "models"})
                for second in range(0, 60, 5):
                    self.store.append(labels, round((NOW - 60 + second) * 1000), float(second))
        self.store.append(labels_of({NAME: "asked_total", "pod": "gone"}), round((NOW - 9) * 1000), 1.0)
        self.store.append(labels_of({NAME: "asked_total", "pod": "gone"}), round((NOW - 4) * 1000), STALE)


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(Source()))
    async with httpx.AsyncClient(transport=transport, base_url="http://prometheus", verify=False) as client:
        yield client


async def data(api: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    """Return the data of an answer that is a success."""
    answer = await api.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"status", "data"}
    assert body["status"] == "success"
    return body["data"]


async def test_a_query_is_answered_as_of_the_worlds_time(api: httpx.AsyncClient) -> None:
    assert await data(api, "query", query='asked_total{pod="a"}') == {
        "resultType": "vector",
        "result": [
            {
                "metric": {"__name__": "asked_total", "instance": "a:80", "job": "models", "pod": "a"},
                "value": [int(NOW), "55"],
            }
        ],
    }


async def test_every_type_has_its_shape(api: httpx.AsyncClient) -> None:
    assert await data(api, "query", query="1.5", time="12.5") == {"resultType": "scalar", "result": [12.5, "1.5"]}
    assert await data(api, "query", query="'a'", time=12) == {"resultType": "string", "result": [12, "a"]}
    assert await data(api, "query", query="nothing[5m]") == {"resultType": "matrix", "result": []}
    ranged = await data(api, "query_range", query="sum(asked_total)", start=NOW - 20, end=NOW - 10, step="10s")
    assert ranged == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[int(NOW) - 20, "80"], [int(NOW) - 10, "100"]]}],
    }


@pytest.mark.parametrize(
    ("query", "code", "kind"),
    [
        ("rate(asked_total)", 400, "bad_data"),
        ("mad_over_time(asked_total[1m])", 400, "bad_data"),
        ('label_replace(asked_total, "1", "", "", "")', 422, "execution"),
        ("max_over_time(sum(asked_total)[365d:1s])", 503, "timeout"),
    ],
)
async def test_a_query_without_an_answer_says_why(api: httpx.AsyncClient, query: str, code: int, kind: str) -> None:
    answer = await api.get("/api/v1/query", params={"query": query, "timeout": "20ms"})

    assert answer.status_code == code
    assert answer.json().keys() == {"status", "errorType", "error"}
    assert answer.json()["errorType"] == kind


async def test_the_exposition_has_what_is_there_now(api: httpx.AsyncClient) -> None:
    answer = await api.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == (
        "# HELP asked_total Questions,\\nasked.\n"
        "# TYPE asked_total counter\n"
        'asked_total{instance="a:80",job="models",pod="a"} 55\n'
        'asked_total{instance="b\\"\\\\:80",job="models",pod="b\\"\\\\"} 55\n'
    )


async def test_targets_are_what_is_up(api: httpx.AsyncClient) -> None:
    targets = (await data(api, "targets"))["activeTargets"]

    assert [target["labels"]["pod"] for target in targets] == ["a", 'b"\\']
    assert {target["health"] for target in targets} == {"up"}
    assert (await data(api, "targets", state="dropped"))["activeTargets"] == []


async def test_metadata_labels_and_series(api: httpx.AsyncClient) -> None:
    metadata = await data(api, "metadata")
    assert metadata == {"asked_total": [{"type": "counter", "help": "Questions,\nasked.", "unit": ""}]}
    assert await data(api, "metadata", metric="other") == {}
    assert await data(api, "labels") == ["__name__", "instance", "job", "pod"]
    assert await data(api, "label/pod/values", **{"match[]": "asked_total"}) == ["a", 'b"\\', "gone"]
    assert await data(api, "series", **{"match[]": 'up{pod="a"}'}) == [
        {"__name__": "up", "instance": "a:80", "job": "models", "pod": "a"}
    ]


async def test_it_says_what_it_is_and_that_it_is_well(api: httpx.AsyncClient) -> None:
    assert (await data(api, "status/buildinfo"))["version"].startswith("2.")
    for path in ("/-/healthy", "/-/ready"):
        assert (await api.get(path)).status_code == 200
    assert (await api.get("/api/v1/nothing")).status_code == 404
    assert (await api.delete("/api/v1/query")).status_code == 405
