"""Counters of /proc/stat that are not CPU time: interrupts, context switches, forks, boot time, run queue."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, FamilyType
from wattview.probes.kernel_files import KernelFile

# Key of /proc/stat, name, type, help.
_TABLE: tuple[tuple[bytes, str, FamilyType, str], ...] = (
    (b"intr", "node_intr_total", "counter", "Total number of interrupts serviced."),
    (b"ctxt", "node_context_switches_total", "counter", "Total number of context switches."),
    (b"processes", "node_forks_total", "counter", "Total number of forks."),
    (b"btime", "node_boot_time_seconds", "gauge", "Node boot time, in unixtime."),
    (b"procs_running", "node_procs_running", "gauge", "Number of processes in runnable state."),
    (b"procs_blocked", "node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete."),
)

_LINE = re.compile(rb"^(" + b"|".join(key for key, *_ in _TABLE) + rb") ([0-9]{1,20})(?: |$)", re.MULTILINE)


class Stat:
    """``node_intr_total``, ``node_context_switches_total``, ``node_forks_total``, ``node_boot_time_seconds`` …"""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/stat", size=16384)

    def collect(self) -> list[Family]:
        values = {key: int(value) for key, value in _LINE.findall(self._file.read())}
        found = [
            Family(name, kind, help_text).add(values[key]) for key, name, kind, help_text in _TABLE if key in values
        ]
        if not found:
            raise ValueError("stat: has none of the expected lines")
        return found
