"""One moment of a history: of each series the last sample there, from which readings are made again.

Pure functions. Nothing is carried on from before: a sample that is too old is none, and of one source only what its
last reading had counts, so that a container or a stream that it had lost by then is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from wattview.exposition import parse_series
from wattview.model import HistorySeries

ONE_READING_SECONDS = 0.001
"""Samples of one source that are no further apart were taken together."""

Key = tuple[str, ...]


class IndexedSample(NamedTuple):
    """The last sample of a series, and the one before it where there is one near."""

    labels: Mapping[str, str]
    time: float
    value: float
    before: tuple[float, float] | None = None


class SampleIndex:
    """What a history holds of one moment: of each series the last sample that is no older than ``within`` seconds.

    ``hostname`` chooses where a store holds several machines: only series whose label ``host`` is that, where it knows
    this machine by that label. Raises LookupError where it holds several and none of them by that name.
    """

    def __init__(self, series: Iterable[HistorySeries], at: float, within: float, hostname: str = "") -> None:
        found: list[tuple[str, IndexedSample]] = []
        for one in series:
            points = [point for point in one.points if at - within <= point[0] <= at + ONE_READING_SECONDS]
            if points:
                metric, labels = _parsed(one.name)
                found.append((metric, IndexedSample(labels, *points[-1], points[-2] if len(points) > 1 else None)))
        hosts = {sample.labels["host"] for _, sample in found if "host" in sample.labels}
        if hosts and hostname not in hosts and len(hosts) > 1:
            raise LookupError(f"the store holds several machines, and none as host={hostname!r}: {', '.join(hosts)}")
        self.at = at
        self._by_metric: dict[str, list[IndexedSample]] = {}
        for metric, sample in found:
            if hostname not in hosts or sample.labels.get("host") == hostname:
                self._by_metric.setdefault(metric, []).append(sample)
        self.newest = max((sample.time for samples in self._by_metric.values() for sample in samples), default=None)

    def of(self, *metrics: str) -> dict[str, list[IndexedSample]]:
        """The samples of one source's metrics that belong to its last reading."""
        found = {metric: self._by_metric[metric] for metric in metrics if metric in self._by_metric}
        last = max((sample.time for samples in found.values() for sample in samples), default=0.0)
        return {
            metric: [sample for sample in samples if last - sample.time <= ONE_READING_SECONDS]
            for metric, samples in found.items()
        }

    def all(self, metric: str) -> list[IndexedSample]:
        """The samples of a metric, of the last reading or of one before it."""
        return self._by_metric.get(metric, [])

    def time_of(self, *metrics: str) -> float | None:
        return max((one.time for metric in metrics for one in self._by_metric.get(metric, ())), default=None)

    def value(self, metric: str) -> float | None:
        """The last value of a metric that has one series."""
        samples = self._by_metric.get(metric)
        return max(samples, key=lambda sample: sample.time).value if samples else None


@lru_cache(maxsize=32768)
def _parsed(key: str) -> tuple[str, Mapping[str, str]]:
    return parse_series(key)


def spacing(series: Iterable[HistorySeries], otherwise: float) -> float:
    """How far apart the samples are, usually: the median of the gaps of the series that has most of them."""
    most = max((one.points for one in series), key=len, default=[])
    gaps = [after[0] - before[0] for before, after in pairwise(most)]
    return median(gaps) if gaps else otherwise


def by_key(
    read: Mapping[str, list[IndexedSample]], fields: Mapping[str, str], *labels: str
) -> dict[Key, dict[str, Any]]:
    """{the labels' values: {field: value}}, of the metrics that ``fields`` names."""
    found: dict[Key, dict[str, Any]] = {}
    for metric, field in fields.items():
        for one in read.get(metric, ()):
            key: Key = tuple(one.labels.get(label, "") for label in labels)
            found.setdefault(key, {})[field] = one.value
    return found


def whole(text: str) -> int | None:
    """A count as a label writes it; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def size_of(text: str) -> tuple[int | None, int | None]:
    """``1280x720`` as width and height; None twice for anything else."""
    width, _, height = text.partition("x")
    sides = whole(width), whole(height)
    return sides if None not in sides else (None, None)
