"""Counters of /proc/stat that are not CPU time: interrupts, context switches, forks, boot time, run queue."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, FamilyType, counter, labels
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

# In the order of the kernel's enum (include/linux/interrupt.h); the line starts with their sum.
_VECTORS = ("hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu")
_SOFTIRQ = re.compile(rb"^softirq [0-9]{1,20}((?: [0-9]{1,20})+)[ \t]*$", re.MULTILINE)
_LINE = re.compile(rb"^(" + b"|".join(key for key, *_ in _TABLE) + rb") ([0-9]{1,20})(?: |$)", re.MULTILINE)


class Stat:
    """``node_intr_total``, ``node_context_switches_total``, ``node_forks_total``, ``node_boot_time_seconds`` …"""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/stat", size=16384)
        self._softirq = config.node.stat_softirq

    def collect(self) -> list[Family]:
        data = self._file.read()
        values = {key: int(value) for key, value in _LINE.findall(data)}
        found = [
            Family(name, kind, help_text).add(values[key]) for key, name, kind, help_text in _TABLE if key in values
        ]
        if not found:
            raise ValueError("stat: has none of the expected lines")
        if self._softirq:
            found.append(softirqs_total(data))
        return found


def softirqs_total(data: bytes) -> Family:
    """Soft interrupts by vector, from /proc/stat's ``softirq`` line; no samples without that line."""
    family = counter("node_softirqs_total", "Number of softirq calls.")
    match = _SOFTIRQ.search(data)
    for vector, count in zip(_VECTORS, match[1].split() if match else (), strict=False):
        family.add(int(count), labels(vector=vector))
    return family
