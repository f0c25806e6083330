"""CPU frequencies and governors, from /sys/devices/system/cpu/cpu*/cpufreq."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import Directories, Directory

# File (kHz), name, help.
_TABLE = (
    ("cpuinfo_cur_freq", "frequency_hertz", "Current CPU thread frequency in hertz."),
    ("cpuinfo_avg_freq", "frequency_avg_hertz", "Average CPU thread frequency in hertz."),
    ("cpuinfo_min_freq", "frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    ("cpuinfo_max_freq", "frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    ("scaling_cur_freq", "scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    ("scaling_min_freq", "scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
    ("scaling_max_freq", "scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
)

SLOW_SECONDS = 0.1
"""If reading all CPUs in sequence takes longer, they are read in parallel."""


class Cpufreq:
    """``node_cpu_frequency_*``, ``node_cpu_scaling_*``; no samples on a machine without cpufreq.

    Some kernels block the reader of a CPU's frequency for tens of milliseconds. If that adds up, waiting threads read
    the CPUs in parallel.
    """

    def __init__(self, config: Config) -> None:
        self._cpus = Directories(f"{config.paths.sysfs}/devices/system/cpu", r"cpu[0-9]+")
        self._slow = False

    def collect(self) -> list[Family]:
        cpus = self._cpus.found_or_none()
        numbers = sorted(int(name[3:]) for name, cpu in cpus.items() if os.path.exists(f"{cpu.path}/cpufreq"))
        if not numbers:
            return []
        families = [gauge(f"node_cpu_{name}", help_text) for _, name, help_text in _TABLE]
        governor = gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.")
        began = time.monotonic()
        for number, clocks in zip(numbers, self._read([cpus[f"cpu{number}"] for number in numbers]), strict=True):
            cpu = str(number)
            for family, kilohertz in zip(families, clocks.kilohertz, strict=True):
                family.add(None if kilohertz is None else kilohertz * 1000, labels(cpu=cpu))
            if clocks.governor:
                for name in clocks.governors:
                    governor.add(1 if name == clocks.governor else 0, labels(cpu=cpu, governor=name))
        self._slow = self._slow or time.monotonic() - began > SLOW_SECONDS
        return [*families, governor]

    def _read(self, cpus: list[Directory]) -> list[_Clocks]:
        if not self._slow:
            return [_Clocks(cpu) for cpu in cpus]
        with ThreadPoolExecutor(min(32, len(cpus) or 1)) as threads:
            return list(threads.map(_Clocks, cpus))


class _Clocks:
    """Files of one CPU's cpufreq directory; None for a missing file, or one that only root may read."""

    def __init__(self, cpu: Directory) -> None:
        self.kilohertz: list[int | None] = []
        self.governor = cpu.text("cpufreq/scaling_governor")
        self.governors: list[str] = []
        if self.governor is None:
            self.kilohertz = [None] * len(_TABLE)
            return
        self.kilohertz = [cpu.number(f"cpufreq/{file}") for file, _, _ in _TABLE]
        self.governors = (cpu.text("cpufreq/scaling_available_governors") or "").split()
