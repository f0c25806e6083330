"""Resource use of workloads, as metric families beside their power."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.exposition import Family, counter, gauge, labels
from wattview.model import Workload, WorkloadsReading


def workload_labels(workloads: Iterable[Workload]) -> dict[str, str]:
    """The label text of each workload, by its id. If several share a name, all but the first get their id appended, so
    that no series repeats."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for one in workloads:
        if one.id in found:
            continue
        text = _labels(one, one.name)
        if text in taken:
            text = _labels(one, f"{one.name} ({one.container_id[:12] or one.id})")
        taken.add(text)
        found[one.id] = text
    return found


def _labels(one: Workload, name: str) -> str:
    return labels(
        kind=one.kind, name=name, namespace=one.namespace, pod=one.pod, container=one.container, unit=one.unit,
        engine=one.engine,
    )  # fmt: skip


_INFO = ("id", "user", "image", "container_id")
"""What is known of a workload beside the labels that all its series have."""


def families(reading: WorkloadsReading) -> list[Family]:
    cpu = counter("wattview_workload_cpu_seconds_total", "CPU time of a workload, without that of workloads inside it.")
    memory = gauge("wattview_workload_memory_bytes", "Memory charged to a workload, page cache included.")
    info = gauge("wattview_workload_info", "What a running workload is: its id, user, image and container; always 1.")
    running = {one.id for one in reading.workloads}
    ended = {one.id: one for one in reading.ended if one.id not in running}
    texts = workload_labels((*reading.workloads, *ended.values()))
    for one in reading.workloads:
        cpu.add(one.cpu_seconds_total, texts[one.id])
        memory.add(one.memory_bytes, texts[one.id])
        info.add(1, f"{texts[one.id][:-1]},{labels(**{name: getattr(one, name) for name in _INFO})[1:]}")
    for one in ended.values():
        cpu.add(one.cpu_seconds_total, texts[one.id])
    return [cpu, memory, info]
