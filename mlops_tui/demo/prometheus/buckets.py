"""Quantiles of histograms."""

import math
from bisect import bisect_left
from collections.abc import Iterable

Bucket = tuple[float, float]
"""Upper bound and cumulative count."""


def bucket_quantile(fraction: float, buckets: Iterable[Bucket]) -> float:
    """Return the quantile that `histogram_quantile` estimates, interpolating within a bucket.

    NaN where the histogram is empty, has no `+Inf` bucket, or has only that.
    """
    ordered = _monotonic(_merged(buckets))
    if math.isnan(fraction):
        return math.nan
    if fraction < 0:
        return -math.inf
    if fraction > 1:
        return math.inf
    if len(ordered) < 2 or not math.isinf(ordered[-1][0]):
        return math.nan
    observations = ordered[-1][1]
    if observations == 0 or math.isnan(observations):
        return math.nan
    rank = fraction * observations
    index = bisect_left([count for _, count in ordered[:-1]], rank)
    if index == len(ordered) - 1:
        return ordered[-2][0]
    upper, count = ordered[index]
    if index == 0 and upper <= 0:
        return upper
    lower, below = (0.0, 0.0) if index == 0 else ordered[index - 1]
    if count == below:
        return math.nan
    return lower + (upper - lower) * ((rank - below) / (count - below))


def _merged(buckets: Iterable[Bucket]) -> list[Bucket]:
    merged: dict[float, float] = {}
    for bound, count in sorted(buckets, key=lambda bucket: bucket[0]):
        merged[bound] = merged.get(bound, 0.0) + count
    return list(merged.items())


def _monotonic(buckets: list[Bucket]) -> list[Bucket]:
    # Rates of buckets may disagree by rounding; a cumulative count that falls would break the search.
    highest = -math.inf
    made = []
    for bound, count in buckets:
        highest = max(highest, count)
        made.append((bound, highest))
    return made
