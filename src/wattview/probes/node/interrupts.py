"""Interrupts by number, CPU and device: many series, and so switched off by default."""

from __future__ import annotations

from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.files import KernelFile
from wattview.probes.node.collector import Filter, counter


class Interrupt(NamedTuple):
    """One line of /proc/interrupts: its count on each CPU."""

    name: str
    info: str
    devices: str
    counts: tuple[int, ...]


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
            for cpu, count in enumerate(interrupt.counts):
                text = labels(cpu=str(cpu), type=interrupt.name, info=interrupt.info, devices=interrupt.devices)
                family.add(count, text)
        return [family]


def interrupts(data: bytes) -> list[Interrupt]:
    """The lines of /proc/interrupts that count by CPU; ERR and MIS, which do not, are left out."""
    first, *lines = data.decode("ascii", "replace").splitlines() or [""]
    cpus = len(first.split())
    if not cpus:
        raise ValueError("interrupts: names no CPU")
    found = []
    for line in lines:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if len(fields) <= cpus:
            continue
        name, words = name.strip(), fields[cpus:]
        info, devices = (words[0], " ".join(words[1:])) if name.isdigit() else (" ".join(words), "")
        found.append(Interrupt(name, info, devices, tuple(int(field) for field in fields[:cpus])))
    return found
