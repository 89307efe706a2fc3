"""The demo's Prometheus API answers as the real Prometheus does, of the same samples."""

from typing import Any

import httpx
import pytest

from mlops_tui.demo.prometheus import create_app
from tests.contract.prometheus_server.comparison import assert_same, is_empty
from tests.contract.prometheus_server.conftest import Pair, Scraped
from tests.contract.prometheus_server.samples import BEGAN, ENDED, STEP_SECONDS, STEPS, Samples, stored

pytestmark = pytest.mark.tool("prometheus")

MIDDLE = BEGAN + STEPS // 2 * STEP_SECONDS
MOMENTS = (BEGAN + 4 * STEP_SECONDS, MIDDLE + 47.3, ENDED - 100, ENDED + 250)
"""Early, with few samples; right after a rollout, between samples; when a model is gone; after the last sample."""

QUERIES = (
    # What people ask of a model.
    "rate(model_errors_total[5m])",
    "histogram_quantile(0.95, rate(model_latency_bucket[5m]))",
    "histogram_quantile(0.95, sum by (le, deployment) (rate(model_latency_bucket[5m])))",
    "sum by (deployment) (rate(model_errors_total[5m])) / sum by (deployment) (rate(model_requests_total[5m]))",
    'sum(rate(model_requests_total{namespace="ml", deployment=~"fraud.*"}[1m])) by (version)',
    "sum(rate(model_latency_sum[2m])) / sum(rate(model_latency_count[2m]))",
    "model_replicas_ready",
    "up == 1",
    "sum by (model) (increase(model_requests_total[10m])) > bool 1000",
    "count by (version) (up)",
    # Selectors.
    'odd_total{kind="resets"}',
    'odd_total{kind!="resets", zone="east"}',
    'odd_total{kind=~"re.*|f.*", zone!~"e.+"}',
    'odd_total{path="/a\\"b\\\\east"}',
    'odd_total{missing=""}',
    '{__name__=~"odd_.*", zone="west"}',
    '{__name__="odd_weight"}',
    "odd_total offset 7m",
    "odd_total offset -2m",
    f"odd_total @ {MIDDLE}",
    f"rate(odd_total[4m] @ {MIDDLE + 3} offset 1m)",
    "sum(odd_total @ start()) - sum(odd_total @ end())",
    "nothing_like_this",
    # Ranges.
    "rate(odd_total[3m])",
    "increase(odd_total[75s])",
    "irate(odd_total[2m])",
    "delta(odd_gauge[5m])",
    "idelta(odd_gauge[5m])",
    'deriv(odd_gauge{kind="wave"}[4m])',
    'predict_linear(odd_gauge{kind="wave"}[4m], 60)',
    "changes(odd_gauge[5m])",
    "resets(odd_total[20m])",
    'avg_over_time(odd_gauge{kind="wave"}[3m])',
    "min_over_time(odd_gauge[3m])",
    "max_over_time(odd_gauge[3m])",
    "sum_over_time(odd_total[3m])",
    "count_over_time(odd_total[6m])",
    "last_over_time(odd_total[8m])",
    "present_over_time(odd_total[8m])",
    'quantile_over_time(0.3, odd_gauge{kind="wave"}[5m])',
    'quantile_over_time(1.3, odd_gauge{kind="wave"}[5m])',
    'stddev_over_time(odd_gauge{kind="wave"}[5m])',
    'stdvar_over_time(odd_total{kind="resets"}[5m])',
    # Subqueries.
    "max_over_time(sum(rate(odd_total[2m]))[10m:1m])",
    "avg_over_time(odd_weight[7m:])",
    "rate(odd_total[5m:20s] offset 1m)",
    # Functions.
    'absent(odd_total{kind="none", zone=~".*"})',
    'absent(odd_total{kind="a", kind="b", zone="x"})',
    "absent(odd_total)",
    "absent(sum(nothing_like_this))",
    'absent_over_time(nothing_like_this{zone="east"}[5m])',
    "abs(odd_gauge)",
    "ceil(odd_gauge / 7)",
    "floor(odd_gauge / 7)",
    "round(odd_gauge / 7)",
    "round(odd_gauge, 2.5)",
    "round(odd_weight / -2)",
    "sqrt(odd_gauge)",
    "ln(odd_total)",
    "exp(odd_gauge)",
    "sgn(odd_gauge)",
    "clamp(odd_gauge, -5, 5)",
    "clamp(odd_gauge, 5, -5)",
    "clamp_min(odd_gauge, 1)",
    "clamp_max(odd_gauge, 1)",
    "scalar(odd_gauge)",
    'scalar(odd_weight{kind="flat"}) + 1',
    "vector(3)",
    "time()",
    "timestamp(odd_total)",
    "timestamp((odd_total))",
    "timestamp(odd_total * 2)",
    "hour() * 100 + minute()",
    "day_of_week(vector(1700000000)) + days_in_month(vector(1700000000))",
    'label_replace(odd_weight, "team", "$1-${1}", "owner", "team-(.*)")',
    'label_replace(odd_weight, "owner", "", "owner", ".*")',
    'label_join(odd_total, "where", "/", "zone", "kind", "missing")',
    "-odd_gauge",
    # Aggregations.
    "sum(odd_total)",
    "sum without (zone, path) (odd_total)",
    "avg by (kind) (odd_total)",
    "min by (kind) (odd_gauge)",
    "max by (kind) (odd_gauge)",
    "count without (kind) (odd_total)",
    "group by (zone) (odd_total)",
    "stddev by (zone) (odd_total)",
    "stdvar(odd_total)",
    'topk(3, odd_total{kind=~"resets|holes|flat", zone="east"})',
    'bottomk by (zone) (1, odd_total{kind=~"resets|holes"})',
    "quantile by (zone) (0.7, odd_total)",
    'count_values("value", odd_weight)',
    # Operators.
    "1 + 2 * 3 ^ 2 % 5",
    "1 / 0",
    "0 / 0",
    "-3 % 2",
    "odd_gauge * 2 - 1",
    "odd_gauge > 3",
    "3 < odd_gauge",
    "odd_gauge >= bool 3",
    "odd_gauge != odd_gauge",
    "odd_gauge / 0",
    "odd_weight atan2 2",
    'odd_total{zone="east"} - ignoring(zone, path) odd_total{zone="west"}',
    'odd_total{zone="east"} <= ignoring(zone, path) odd_total{zone="west"}',
    'odd_total{zone="east"} == on(kind) odd_total{zone="west"}',
    "odd_total * on(kind) group_left(owner) odd_weight",
    "odd_weight * on(kind) group_right(owner) odd_total",
    'odd_total and on(kind) odd_weight{kind!="flat"}',
    'odd_total or odd_gauge{zone="east"}',
    "odd_total unless on(kind) odd_weight",
    "vector(1) > bool on() vector(2)",
)
ERRORS = (
    "",
    "sum(",
    "foo(odd_total)",
    "rate(odd_total)",
    "odd_total[5m",
    "{}",
    'odd_total{kind=~"("}',
    "1 > 2",
    "odd_total and 1",
    "odd_total + on(kind) odd_weight",
    "odd_weight + on(kind) odd_total",
    "odd_total * on(kind) group_left odd_total",
    'label_replace(odd_weight, "owner", "", "kind", ".*") * on() odd_weight',
    'label_replace(label_replace(odd_total, "zone", "", "", ""), "path", "", "", "")',
    'label_replace(odd_total, "1a", "x", "zone", ".*")',
    'label_replace(odd_total, "a", "x", "zone", "(")',
    'label_join(odd_total, "1a", "x", "zone")',
    'count_values("1a", odd_total)',
    'rate({__name__=~"model_latency_(sum|count)"}[5m])',
    'abs({__name__=~"model_latency_(sum|count)"})',
    "topk(1e30, odd_total)",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_has_the_same_answer_at_every_moment(pair: Pair, query: str) -> None:
    for moment in MOMENTS:
        real, ours = await pair.ask("query", query=query, time=moment)
        assert_same(real, ours)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_has_the_same_answers_over_a_range(pair: Pair, query: str) -> None:
    real, ours = await pair.ask("query_range", query=query, start=BEGAN + 7.25, end=ENDED + 400, step="41s")

    assert_same(real, ours)


async def test_the_queries_ask_for_something(pair: Pair) -> None:
    """Answers that are both empty would prove nothing."""
    silent = []
    for query in QUERIES:
        real, _ = await pair.ask("query_range", query=query, start=BEGAN, end=ENDED, step=30)
        silent += [query] if is_empty(real) else []

    assert silent == [
        "nothing_like_this",
        "absent(odd_total)",
        "clamp(odd_gauge, 5, -5)",
    ]


@pytest.mark.parametrize("query", ["odd_total[3m]", f"odd_gauge[2m] @ {MIDDLE}", "sum(odd_weight)[5m:45s]", '"text"'])
async def test_what_is_no_vector_has_the_same_answer(pair: Pair, query: str) -> None:
    for moment in MOMENTS:
        assert_same(*await pair.ask("query", query=query, time=moment))
    assert_same(*await pair.ask("query_range", query=query, start=BEGAN, end=ENDED, step=60))


@pytest.mark.parametrize("query", ["sort(odd_weight)", "sort_desc(odd_weight)", "topk(2, odd_weight)"])
async def test_what_is_sorted_has_the_same_order(pair: Pair, query: str) -> None:
    assert_same(*await pair.ask("query", query=query, time=MIDDLE), ordered=True)


@pytest.mark.parametrize("query", ERRORS)
async def test_what_has_no_answer_fails_in_the_same_way(pair: Pair, query: str) -> None:
    for path, when in (("query", {"time": MIDDLE}), ("query_range", {"start": BEGAN, "end": ENDED, "step": 60})):
        real, ours = await pair.ask(path, query=query, **when)
        assert real.json()["status"] == "error"
        assert_same(real, ours)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {"query": "1", "time": "yesterday"}),
        ("query", {"query": "1", "time": "2026-11-20T14:40:00Z"}),
        ("query", {"query": "1", "time": "2026-11-20T15:40:00.25+01:00"}),
        ("query", {"query": "1", "time": "1700000000.0625", "timeout": "2s"}),
        ("query", {"query": "1", "time": "1", "timeout": "soon"}),
        ("query_range", {"query": "1", "start": "1", "end": "10", "step": "0"}),
        ("query_range", {"query": "1", "start": "1", "end": "10", "step": "-1"}),
        ("query_range", {"query": "1", "start": "1", "end": "10", "step": "1m30s"}),
        ("query_range", {"query": "1", "start": "1", "end": "10", "step": "2.5"}),
        ("query_range", {"query": "1", "start": "1", "end": "10", "step": "s1"}),
        ("query_range", {"query": "1", "start": "10", "end": "1", "step": "1"}),
        ("query_range", {"query": "1", "start": "0", "end": "11000", "step": "1"}),
        ("query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"}),
        ("query_range", {"query": "1", "end": "10", "step": "1"}),
        ("query_range", {"query": "1", "start": "1", "step": "1"}),
    ],
)
async def test_parameters_are_understood_alike(pair: Pair, path: str, parameters: dict[str, Any]) -> None:
    real, ours = await pair.ask(path, **parameters)

    assert_same(real, ours)
    if real.is_error:
        assert ours.json()["error"] == real.json()["error"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("series", {"match[]": 'odd_total{kind="flat"}'}),
        ("series", {"match[]": ["odd_weight", 'odd_gauge{zone="west"}']}),
        ("series", {"match[]": "rate(x[5m])"}),
        ("series", {}),
        ("labels", {}),
        ("labels", {"match[]": "odd_weight"}),
        ("label/kind/values", {}),
        ("label/kind/values", {"match[]": "odd_gauge"}),
        ("label/__name__/values", {}),
        ("label/1a/values", {}),
        ("targets", {"state": "dropped"}),
        ("metadata", {"limit": "many"}),
    ],
)
async def test_what_there_is_to_ask_for_is_the_same(pair: Pair, path: str, parameters: dict[str, Any]) -> None:
    parameters |= {"start": BEGAN, "end": ENDED} if path not in ("targets", "metadata") else {}
    real, ours = await pair.ask(path, **parameters)

    assert ours.status_code == real.status_code
    expected, answered = real.json(), ours.json()
    if real.is_error:
        assert (answered["status"], answered["errorType"]) == (expected["status"], expected["errorType"])
    else:
        assert answered == expected


async def test_a_form_is_answered_like_an_address(pair: Pair) -> None:
    form = {"query": "sum(odd_weight)", "time": MIDDLE}
    for path in ("query", "query_range"):
        more = {"start": BEGAN, "end": ENDED, "step": 60} if path == "query_range" else {}
        answers = [await client.post(f"/api/v1/{path}", data=form | more) for client in (pair.real, pair.ours)]
        assert not is_empty(answers[0])
        assert_same(*answers)


async def test_one_wrong_sample_is_seen(pair: Pair, samples: Samples) -> None:
    """The comparison can fail: at one counter that is one off at one moment."""
    store = stored(samples)
    series = next(each for each in store if each.lookup["__name__"] == "model_requests_total")
    index = len(series.times) // 2
    series.values[index] += 1
    moment = series.times[index] / 1000
    transport = httpx.ASGITransport(create_app(Scraped(store)))
    async with httpx.AsyncClient(base_url="http://ours", transport=transport) as ours:
        question = {"query": "rate(model_requests_total[2m])", "time": str(moment)}
        answers = [await client.get("/api/v1/query", params=question) for client in (pair.real, ours)]
    with pytest.raises(AssertionError):
        assert_same(*answers)
