"""One moment of a history: the last sample of each series, from which readings are reconstructed.

Pure functions. No value is carried forward: samples that are too old are dropped, and of one source only the samples of
its last reading count, so that a container or stream that had ended by then does not appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from wattview.exposition import parse_series
from wattview.gc_tuning import kept_for_a_while
from wattview.model import HistorySeries

ONE_READING_SECONDS = 0.001
"""Samples of one source that are no further apart belong to one reading."""

Key = tuple[str, ...]


class IndexedSample(NamedTuple):
    """The last sample of a series, and the previous one if it is near."""

    labels: Mapping[str, str]
    time: float
    value: float
    before: tuple[float, float] | None = None


class SampleIndex:
    """A history at one moment: the last sample of each series, if no older than ``within`` seconds.

    ``hostname`` selects the machine in a store that holds several: only series with that label ``host`` count, if any
    have it. Raises LookupError if there are several machines and none has that name.
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
        """The samples of a metric, of the last reading or an earlier one."""
        return self._by_metric.get(metric, [])

    def value_by(self, metric: str, source: str) -> float | None:
        """The metric's last value with that label ``source``."""
        return next((one.value for one in self.all(metric) if one.labels.get("source") == source), None)

    def time_of(self, *metrics: str) -> float | None:
        return max((one.time for metric in metrics for one in self._by_metric.get(metric, ())), default=None)

    def value(self, metric: str) -> float | None:
        """The last value of a metric with a single series."""
        samples = self._by_metric.get(metric)
        return max(samples, key=lambda sample: sample.time).value if samples else None


@kept_for_a_while(32_768)
def _parsed(key: str) -> tuple[str, Mapping[str, str]]:
    return parse_series(key)


def spacing(series: Iterable[HistorySeries], otherwise: float) -> float:
    """The usual distance of samples: the median gap of the series with the most samples."""
    most = max((one.points for one in series), key=len, default=[])
    gaps = [after[0] - before[0] for before, after in pairwise(most)]
    return median(gaps) if gaps else otherwise


def by_key(
    read: Mapping[str, list[IndexedSample]], fields: Mapping[str, str], *labels: str
) -> dict[Key, dict[str, Any]]:
    """{label values: {field: value}}, for the metrics in ``fields``."""
    found: dict[Key, dict[str, Any]] = {}
    for metric, field in fields.items():
        for one in read.get(metric, ()):
            key: Key = tuple(one.labels.get(label, "") for label in labels)
            found.setdefault(key, {})[field] = one.value
    return found


def rate_of(counter: IndexedSample) -> float | None:
    """Rate of a counter between its last two samples; None if there is only one, or if it was reset."""
    if counter.before is None or counter.value < counter.before[1] or counter.time <= counter.before[0]:
        return None
    return (counter.value - counter.before[1]) / (counter.time - counter.before[0])


def whole(text: str) -> int | None:
    """A count in a label; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def size_of(text: str) -> tuple[int | None, int | None]:
    """Width and height of ``1280x720``; None twice for anything else."""
    width, _, height = text.partition("x")
    sides = whole(width), whole(height)
    return sides if None not in sides else (None, None)
