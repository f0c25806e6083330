"""Hung tasks detected by the kernel."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, counter
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer


class KernelHung:
    """``node_kernel_hung_tasks_total``; no data before Linux 6.15."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/sys/kernel/hung_task_detect_count")

    def collect(self) -> list[Family]:
        help_text = "Total number of tasks that have been detected as hung since the system booted."
        return [
            counter("node_kernel_hung_tasks_total", help_text, integer(self._file.read(), "hung_task_detect_count"))
        ]
