"""The daemon's own ``process_*`` and ``python_*`` metrics on port 9600, as in every Prometheus client library.

They come from prometheus_client's collectors: memory, CPU time and open files of the process, Python's version and its
garbage collections. https://prometheus.io/docs/instrumenting/writing_clientlibs/#standard-and-runtime-collectors
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from wattview.exposition import Family, label_text

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric


def own_process_families() -> list[Family]:
    """Reads a few small files of /proc, in microseconds."""
    return [_family(metric) for metric in _registry().collect()]


@cache
def _registry() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _family(metric: Metric) -> Family:
    """Our family name includes the ``_total`` of a counter's samples."""
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    family = Family(name, "counter" if metric.type == "counter" else "gauge", metric.documentation)
    for sample in metric.samples:
        if sample.name == name:
            family.add(sample.value, label_text(sample.labels))
    return family
