"""What the daemon itself takes: ``process_*`` and ``python_*``, as every Prometheus client shows them, on port 9600.

By prometheus_client's own collectors: the process's memory, CPU time and open files, Python's version and its garbage
collections. https://prometheus.io/docs/instrumenting/writing_clientlibs/#standard-and-runtime-collectors
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from wattview.exposition import Family, label_text

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric


def own_process_families() -> list[Family]:
    """A few small files of /proc are read: microseconds."""
    return [_family(metric) for metric in _registry().collect()]


@cache
def _registry() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _family(metric: Metric) -> Family:
    """Ours is named as its samples are: a counter with ``_total``."""
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    family = Family(name, "counter" if metric.type == "counter" else "gauge", metric.documentation)
    for sample in metric.samples:
        if sample.name == name:
            family.add(sample.value, label_text(sample.labels))
    return family
