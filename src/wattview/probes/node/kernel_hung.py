"""Hung tasks detected by the kernel."""

from __future__ import annotations

from wattview.exposition import Family, counter
from wattview.probes.lines import integer
from wattview.probes.node.collector import of_file


@of_file("sys/kernel/hung_task_detect_count")
def collector(data: bytes) -> list[Family]:
    """``node_kernel_hung_tasks_total``; no data before Linux 6.15."""
    help_text = "Total number of tasks that have been detected as hung since the system booted."
    return [counter("node_kernel_hung_tasks_total", help_text, integer(data, "hung_task_detect_count"))]
