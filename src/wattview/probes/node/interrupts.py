"""Interrupts by number, CPU and device: many series, and so switched off by default."""

from __future__ import annotations

from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import Filter, counter


class Interrupt(NamedTuple):
    """One line of /proc/interrupts, with its counts by CPU."""

    name: str
    info: str
    devices: str
    counts: dict[str, int]


class Interrupts:
    """``node_interrupts_total{cpu,type,info,devices}``."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/interrupts", 65536)
        self._filter = Filter(config.node.interrupts_exclude, config.node.interrupts_include)

    def collect(self) -> list[Family]:
        family = counter("node_interrupts_total", "Interrupt details.")
        for interrupt in interrupts(self._file.read()):
            if self._filter.ignores(f"{interrupt.name};{interrupt.info};{interrupt.devices}"):
                continue
            for cpu, count in interrupt.counts.items():
                text = labels(cpu=cpu, type=interrupt.name, info=interrupt.info, devices=interrupt.devices)
                family.add(count, text)
        return [family]


def interrupts(data: bytes) -> list[Interrupt]:
    """The lines of /proc/interrupts that count by CPU; ERR and MIS, which do not, are left out."""
    first, *lines = data.decode("ascii", "replace").splitlines() or [""]
    # CPUs that are switched off have no column.
    cpus = [name.removeprefix("CPU") for name in first.split()]
    if not cpus:
        raise ValueError("interrupts: names no CPU")
    found = []
    for line in lines:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if len(fields) <= len(cpus):
            continue
        name, words = name.strip(), fields[len(cpus) :]
        info, devices = (words[0], " ".join(words[1:])) if name.isdigit() else (" ".join(words), "")
        found.append(Interrupt(name, info, devices, dict(zip(cpus, map(int, fields), strict=False))))
    return found
