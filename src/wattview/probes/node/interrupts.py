"""Interrupts by number, CPU and device: many series, so disabled by default."""

from __future__ import annotations

import re
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, counter, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import Filter

_CPU = re.compile(r"CPU[0-9]+")


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
    """The lines of /proc/interrupts with counts per CPU; ERR and MIS, which have none, are left out."""
    cpus, lines = cpu_table(data)
    if not cpus:
        raise ValueError("interrupts: names no CPU")

    def interrupt(line: str) -> Interrupt | None:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if len(fields) <= len(cpus):
            return None
        name, words = name.strip(), fields[len(cpus) :]
        info, devices = (words[0], " ".join(words[1:])) if name.isdigit() else (" ".join(words), "")
        return Interrupt(name, info, devices, dict(zip(cpus, map(int, fields), strict=False)))

    return understood(lines, interrupt, "interrupts")


def cpu_table(data: bytes) -> tuple[list[str], list[str]]:
    """The CPUs in a file's heading (offline ones have no column), and the lines below it."""
    lines = data.decode("ascii", "replace").splitlines()
    for number, line in enumerate(lines):
        names = line.split()
        if names and all(_CPU.fullmatch(name) for name in names):
            return [name.removeprefix("CPU") for name in names], lines[number + 1 :]
    return [], lines
