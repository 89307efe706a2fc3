"""Samples in memory: series by their labels, the latest hours of each.

Times are integer milliseconds since the epoch, as everywhere in Prometheus.
"""

import math
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from mlops_tui.demo.prometheus.ranges import Sample, Window

Labels = tuple[tuple[str, str], ...]
"""Name and value of each label, by name; `__name__` is the metric's."""

NAME: Final = "__name__"
INDEXED: Final = ("deployment", "model")
"""Labels that tell apart what runs from the many pods that it had."""
RETENTION_SECONDS: Final = 3 * 3600
_STALE_BITS: Final = 0x7FF0000000000002
STALE: Final[float] = struct.unpack("<d", struct.pack("<Q", _STALE_BITS))[0]
"""The one NaN that says: the series ended here."""
_TRIM: Final = 256
"""Samples that may be too old before a series is cut: cutting at each append would move all of it each time."""


def is_stale(value: float) -> bool:
    """Say whether a value is the mark of an ended series; other NaNs are values."""
    return math.isnan(value) and bool(struct.unpack("<Q", struct.pack("<d", value))[0] == _STALE_BITS)


def labels_of(mapping: Mapping[str, str]) -> Labels:
    """Return labels in their order; one with an empty value is none."""
    return tuple(sorted((name, value) for name, value in mapping.items() if value))


class Series:
    """The samples of one set of labels, oldest first.

    Attributes:
        last_at: The time of the newest one.
    """

    __slots__ = ("_breaks", "_last", "labels", "last_at", "lookup", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.lookup = dict(labels)
        self.times = array("q")
        self.values = array("d")
        self._breaks: list[int] = []
        """When the value was less than the one before, or no number."""
        self.last_at: float = -math.inf
        self._last = -math.inf

    def append(self, at: int, value: float) -> None:
        """Add a sample; one that is not newer than the last is dropped, as Prometheus drops it."""
        if at <= self.last_at:
            return
        if not value >= self._last:
            self._breaks.append(at)
        self.last_at, self._last = at, value
        self.times.append(at)
        self.values.append(value)

    @property
    def is_active(self) -> bool:
        """Whether the series has begun and not ended."""
        return bool(self.times) and not is_stale(self.values[-1])

    def at(self, at: int, lookback: int) -> Sample | None:
        """Return the newest sample at or before `at`, unless the series had ended or was silent for `lookback` ms."""
        index = bisect_right(self.times, at) - 1
        if index < 0 or self.times[index] < at - lookback or is_stale(self.values[index]):
            return None
        return self.times[index], self.values[index]

    def window(self, start: int, end: int) -> Window | None:
        """Return the samples of `start` to `end`, both included, without marks of an end; `None` if there are none."""
        low, high = bisect_left(self.times, start), bisect_right(self.times, end)
        if low == high:
            return None
        times, values = self.times[low:high], self.values[low:high]
        if bisect_left(self._breaks, times[0]) == bisect_right(self._breaks, times[-1]):
            return Window(times, values, start, end, is_rising=True)
        kept = [(at, value) for at, value in zip(times, values, strict=True) if value == value or not is_stale(value)]
        return Window([at for at, _ in kept], [value for _, value in kept], start, end) if kept else None

    def forget(self, before: int) -> None:
        """Drop what is older than `before`, once it is worth it."""
        if len(self.times) > _TRIM and self.times[_TRIM] < before:
            excess = bisect_left(self.times, before)
            del self.times[:excess], self.values[:excess]
            del self._breaks[: bisect_left(self._breaks, before)]


class Matcher(NamedTuple):
    """A condition on a label.

    Attributes:
        accepts: Says whether the label's value, empty if there is none, is one that is asked for.
        value: The one that is asked for, where there is only one.
    """

    label: str
    accepts: Callable[[str], bool]
    value: str | None = None

    @classmethod
    def equals(cls, label: str, value: str) -> "Matcher":
        """Return the condition that a label has this value."""
        return cls(label, value.__eq__, value)


class SampleStore:
    """All series.

    Args:
        retention_seconds: Samples older than this may be forgotten.
    """

    def __init__(self, retention_seconds: float = RETENTION_SECONDS) -> None:
        self._retention = int(retention_seconds * 1000)
        self._by_name: dict[str, dict[Labels, Series]] = {}
        self._by_label: dict[tuple[str, str, str], dict[Labels, Series]] = {}
        """By the metric's name, an indexed label and its value."""

    def __iter__(self) -> Iterator[Series]:
        for group in self._by_name.values():
            yield from group.values()

    def series(self, labels: Labels) -> Series:
        """Return the series of these labels, which begins if there is none."""
        name = next((value for label, value in labels if label == NAME), "")
        group = self._by_name.setdefault(name, {})
        found = group.get(labels)
        if found is None:
            found = group[labels] = Series(labels)
            for key in _keys(name, found):
                self._by_label.setdefault(key, {})[labels] = found
        return found

    def append(self, labels: Labels, at: int, value: float) -> None:
        """Add a sample to a series."""
        self.series(labels).append(at, value)

    def select(self, matchers: Iterable[Matcher], name: str | None = None, since: float = -math.inf) -> list[Series]:
        """Return the series that all matchers accept, in the order of their labels.

        Args:
            name: The metric's name where it is known: only its series are looked at.
            since: Leave out series that have been silent since this time.
        """
        tests = list(matchers)
        candidates = self if name is None else self._narrowed(name, tests)
        found = [
            each
            for each in candidates
            if each.last_at >= since and all(accepts(each.lookup.get(label, "")) for label, accepts, _ in tests)
        ]
        return sorted(found, key=lambda series: series.labels)

    def _narrowed(self, name: str, tests: list[Matcher]) -> Iterable[Series]:
        """Return a metric's series, without most of those that a condition on an indexed label leaves out."""
        group = self._by_name.get(name, {})
        for test in tests:
            # An empty value is that of series without the label, which the index does not know.
            if test.label in INDEXED and test.value:
                narrower = self._by_label.get((name, test.label, test.value), {})
                group = min(group, narrower, key=len)
        return group.values()

    def forget(self, now: int) -> None:
        """Drop what is older than the retention, series that ended before it included."""
        before = now - self._retention
        for name, group in self._by_name.items():
            for labels, series in list(group.items()):
                if series.times and series.times[-1] < before:
                    del group[labels]
                    for key in _keys(name, series):
                        del self._by_label[key][labels]
                else:
                    series.forget(before)


def _keys(name: str, series: Series) -> list[tuple[str, str, str]]:
    return [(name, label, series.lookup[label]) for label in INDEXED if label in series.lookup]
