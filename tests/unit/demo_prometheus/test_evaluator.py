"""PromQL over samples whose figures are known beforehand."""

import asyncio
import math
import random
from itertools import pairwise

import pytest

from mlops_tui.demo.prometheus.buckets import bucket_quantile
from mlops_tui.demo.prometheus.functions import ELEMENTWISE
from mlops_tui.demo.prometheus.queries import instant, over
from mlops_tui.demo.prometheus.ranges import OVER_TIME, Window, increase, rate
from mlops_tui.demo.prometheus.storage import NAME, STALE, Matcher, SampleStore, is_stale, labels_of
from mlops_tui.demo.prometheus.values import BadQuery, ExecutionError, QueryTimeout, Vector, render

T0 = 1_700_000_000_000
"""Milliseconds since the epoch at which samples begin."""
STEP = 15_000
SEEDS = range(20)
AGGREGATIONS = ("sum", "avg", "min", "max", "stddev", "stdvar")


def store_of(*series: tuple[dict[str, str], list[float | None]]) -> SampleStore:
    """Return a store with a sample every fifteen seconds; `None` is a scrape that failed."""
    store = SampleStore()
    for labels, values in series:
        for index, value in enumerate(values):
            if value is not None:
                store.append(labels_of({NAME: "x", **labels}), T0 + index * STEP, value)
    return store


def ask(store: SampleStore, query: str, at: int) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the values of an instant query by labels."""
    answer = instant(store, query, at, timeout=5)
    assert answer.type == "vector"
    vector: Vector = answer.value  # type: ignore[assignment]
    return dict(vector)


def only(store: SampleStore, query: str, at: int) -> float:
    """Return the value of a query that has one element."""
    (value,) = ask(store, query, at).values()
    return value


def counter(seed: int, length: int) -> tuple[list[float | None], float]:
    """Return a counter that begins anew now and then, and how much it really counted after its first sample."""
    generator = random.Random(seed)
    value, values, counted = float(generator.randrange(1000)), [], 0.0
    for _ in range(length):
        values.append(value)
        if generator.random() < 0.2:
            # What a restart lost is unknown; from zero on it is known.
            value = float(generator.randrange(int(value) + 1)) if value else 0.0
            reset = value < values[-1]
            counted += value if reset else value - values[-1]
        else:
            step = generator.randrange(50)
            value += step
            counted += step
    return [*values, value], counted


@pytest.mark.parametrize("seed", SEEDS)
def test_an_increase_counts_on_across_resets(seed: int) -> None:
    values, counted = counter(seed, 20)
    store = store_of(({}, values))

    # The range begins and ends at a sample: nothing is extrapolated.
    assert only(store, "increase(x[5m])", T0 + 20 * STEP) == pytest.approx(counted)
    assert only(store, "rate(x[5m])", T0 + 20 * STEP) == pytest.approx(counted / 300)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rising_counter_needs_no_look_at_every_sample(seed: int) -> None:
    """The short cut for counters that never reset gives what the long way gives."""
    generator = random.Random(seed)
    times = sorted(generator.sample(range(T0, T0 + 300_000), 12))
    values = sorted(generator.uniform(0, 1e6) for _ in times)
    windows = [Window(times, values, T0 - 20_000, T0 + 310_000, is_rising=known) for known in (True, False)]

    assert rate(windows[0]) == rate(windows[1])
    assert increase(windows[0]) == increase(windows[1])


def test_a_series_knows_where_it_does_not_rise() -> None:
    store = store_of(({}, [5.0, 9.0, 2.0, 4.0, 6.0, math.nan, 7.0]))
    (series,) = store

    def is_rising(first: int, last: int) -> bool:
        window = series.window(T0 + first * STEP, T0 + last * STEP)
        assert window is not None
        return window.is_rising

    assert is_rising(0, 1)
    assert is_rising(3, 4)
    assert not is_rising(1, 2)
    assert not is_rising(3, 6)


def test_a_rate_is_extrapolated_to_the_borders_but_not_below_zero() -> None:
    rising = store_of(({}, [100.0, 110.0, 120.0]))
    at = T0 + 2 * STEP + 7_500
    # 20 in 30 s; the range's 60 s are covered but for what is further away than half a step.
    assert only(rising, "increase(x[1m])", at) == pytest.approx(20 / 30 * (30 + 7.5 + 7.5))
    from_zero = store_of(({}, [None, 0.0, 10.0, 20.0]))
    assert only(from_zero, "increase(x[1m])", T0 + 3 * STEP) == pytest.approx(20)


def test_a_single_sample_has_a_value_and_no_rate() -> None:
    store = store_of(({}, [3.0]))

    assert only(store, "x", T0) == 3
    assert ask(store, "rate(x[5m])", T0) == {}


def test_a_series_is_gone_after_its_end_and_back_when_it_begins_again() -> None:
    store = store_of(({}, [1.0, 2.0, STALE, None, 5.0]))

    assert [len(ask(store, "x", T0 + index * STEP)) for index in range(5)] == [1, 1, 0, 0, 1]
    assert only(store, "count_over_time(x[2m])", T0 + 4 * STEP) == 3
    assert only(store, "absent(x)", T0 + 3 * STEP) == 1


def test_a_silent_series_is_gone_after_five_minutes() -> None:
    store = store_of(({}, [1.0]))

    assert ask(store, "x", T0 + 300_000)
    assert not ask(store, "x", T0 + 300_001)
    assert not ask(store, "x", T0 - 1)


def test_the_mark_of_an_end_is_not_just_no_number() -> None:
    assert is_stale(STALE)
    assert not is_stale(math.nan)
    assert math.isnan(only(store_of(({}, [math.nan])), "x", T0))


@pytest.mark.parametrize("seed", SEEDS)
def test_groups_add_up_to_the_whole(seed: int) -> None:
    generator = random.Random(seed)
    series: list[tuple[dict[str, str], list[float | None]]] = [
        ({"a": str(a), "b": str(b)}, [float(generator.randrange(100))])
        for a in range(3)
        for b in range(4)
        if generator.random() < 0.8
    ]
    store = store_of(*series)
    whole = only(store, "sum(x)", T0)

    assert only(store, "sum(sum by (a) (x))", T0) == whole
    assert only(store, "sum(sum without (a) (x))", T0) == whole
    assert only(store, "sum(avg by (b) (x) * count by (b) (x))", T0) == pytest.approx(whole)
    assert only(store, "max(topk(1, x))", T0) == only(store, "max(x)", T0) == only(store, "quantile(1, x)", T0)
    assert len(ask(store, 'x{a="1"} or x{a!="1"}', T0)) == len(series)
    assert set(ask(store, "x - x", T0).values()) <= {0.0}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quantile_of_a_histogram_rises_and_stays_between_the_bounds(seed: int) -> None:
    generator = random.Random(seed)
    bounds = [0.1, 0.5, 1.0, 5.0, math.inf]
    count, buckets = 0, []
    for bound in bounds:
        count += generator.randrange(1, 20)
        buckets.append((bound, float(count)))
    generator.shuffle(buckets)
    quantiles = [bucket_quantile(step / 20, buckets) for step in range(21)]

    assert all(low <= high for low, high in pairwise(quantiles))
    assert quantiles[0] >= 0
    assert quantiles[-1] == 5.0


def test_a_histogram_without_observations_has_no_quantile() -> None:
    assert math.isnan(bucket_quantile(0.95, [(0.1, 0.0), (math.inf, 0.0)]))
    assert math.isnan(bucket_quantile(0.95, [(0.1, 5.0), (0.5, 9.0)]))


@pytest.mark.parametrize("name", sorted({*ELEMENTWISE, *OVER_TIME, *AGGREGATIONS}))
def test_no_number_is_too_much(name: str) -> None:
    """Where Python raises, Prometheus has an infinity or no number."""
    values: list[float | None] = [1e308, 1e308, -1e308, math.inf, -math.inf, math.nan, -1.0, 0.0, 1e-308]
    for length in range(2, len(values) + 1):
        store = store_of(({"a": "1"}, values[:length]), ({"a": "2"}, values[:length]))
        selector = "x[5m]" if name in OVER_TIME else "x"
        assert ask(store, f"{name}({selector})", T0 + length * STEP)
        assert ask(store, f"x ^ x * x / x % x - ignoring(a) group_left sum({name}({selector}))", T0 + length * STEP)


def test_two_sides_that_match_twice_are_refused() -> None:
    store = store_of(({"a": "1", "b": "1"}, [1.0]), ({"a": "1", "b": "2"}, [2.0]))

    with pytest.raises(ExecutionError, match="found duplicate series for the match group"):
        instant(store, "x * on(a) x", T0, timeout=5)
    with pytest.raises(ExecutionError, match="many-to-one matching must be explicit"):
        instant(store, 'x * on(a) x{b="2"}', T0, timeout=5)
    with pytest.raises(ExecutionError, match="same labelset"):
        instant(store, 'label_replace(x, "b", "", "", "")', T0, timeout=5)


@pytest.mark.parametrize("query", ["mad_over_time(x[5m])", "limitk(1, x)", 'x{a="1" or a="2"}', "nothing(x)"])
def test_what_prometheus_2_does_not_know_is_a_bad_query(query: str) -> None:
    with pytest.raises(BadQuery):
        instant(store_of(({}, [1.0])), query, T0, timeout=5)


async def test_a_query_that_takes_too_long_is_given_up() -> None:
    store = store_of(({}, [1.0]))

    with pytest.raises(QueryTimeout):
        instant(store, "max_over_time(sum(x)[100d:1s])", T0, timeout=0.01)
    with pytest.raises(QueryTimeout):
        await over(store, "sum(x)", T0, T0 + 11_000_000, 1_000, timeout=0.01)


async def test_a_long_query_lets_others_have_their_turn() -> None:
    store = store_of(({}, [1.0, 2.0]))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(others())
    rows = await over(store, "sum(rate(x[5m])) + 1 + 2 + 3", T0, T0 + 11_000_000, 1_000, timeout=30)
    other.cancel()

    assert rows
    assert turns


def test_old_samples_are_forgotten() -> None:
    store = SampleStore(retention_seconds=3600)
    kept, gone = labels_of({NAME: "kept"}), labels_of({NAME: "gone"})
    store.append(gone, T0, 1.0)
    for index in range(2000):
        store.append(kept, T0 + index * STEP, float(-index))
    now = T0 + 1999 * STEP
    store.forget(now)

    (series,) = store
    assert series.labels == kept
    assert series.times[0] >= now - 3_600_000
    assert only(store, "count_over_time(kept[1h])", now) == 241


@pytest.mark.parametrize(
    ("matchers", "selected"),
    [
        ([Matcher.equals("model", "churn")], {"a", "b"}),
        ([Matcher.equals("model", "churn"), Matcher.equals("deployment", "churn-canary")], {"b"}),
        ([Matcher.equals("deployment", "churn"), Matcher.equals("pod", "b")], set()),
        ([Matcher.equals("model", "ranker")], set()),
        ([Matcher.equals("model", "")], {"d"}),
        ([Matcher("model", "churn".__ne__)], {"c", "d"}),
        ([], {"a", "b", "c", "d"}),
    ],
)
def test_what_is_selected_does_not_depend_on_the_index(matchers: list[Matcher], selected: set[str]) -> None:
    store = SampleStore(retention_seconds=60)
    old = {"pod": "old", "model": "churn", "deployment": "churn"}
    store.append(labels_of({NAME: "x", **old}), T0, 1)
    for pod, model, deployment in (
        ("a", "churn", "churn"), ("b", "churn", "churn-canary"), ("c", "fraud", "churn"), ("d", "", ""),
    ):  # fmt: skip
        labels = {"pod": pod, "model": model, "deployment": deployment}
        store.append(labels_of({NAME: "x", **labels}), T0 + 600_000, 1)
        store.append(labels_of({NAME: "y", **labels}), T0 + 600_000, 1)
    store.forget(T0 + 600_000)

    assert {series.lookup["pod"] for series in store.select(matchers, "x")} == selected
    assert {series.lookup["pod"] for series in store.select([*matchers, Matcher.equals(NAME, "x")])} == selected


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1, "0.1"), (1e21, "1000000000000000000000"), (3.4e-10, "0.00000000034"), (-0.0, "-0"),
     (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (123456.789, "123456.789")],
)  # fmt: skip
def test_numbers_are_written_without_exponents(value: float, text: str) -> None:
    assert render(value) == text
