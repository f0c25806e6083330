"""Soft interrupts by kind and CPU."""

from __future__ import annotations

from wattview.exposition import Family, counter, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file
from wattview.probes.node.interrupts import cpu_table


@of_file("softirqs", size=16384)
def collector(data: bytes) -> list[Family]:
    """``node_softirqs_functions_total{cpu,type}``, from /proc/softirqs."""
    family = counter("node_softirqs_functions_total", "Softirq counts per CPU.")
    for kind, counts in softirqs(data).items():
        for cpu, count in counts.items():
            family.add(count, labels(cpu=cpu, type=kind))
    return [family]


def softirqs(data: bytes) -> dict[str, dict[str, int]]:
    """Counts of each kind, by CPU."""
    cpus, lines = cpu_table(data)

    def counted(line: str) -> tuple[str, dict[str, int]]:
        kind, colon, rest = line.partition(":")
        if not colon:
            raise ValueError("a line without a name")
        return kind.strip(), {cpu: int(field) for cpu, field in zip(cpus, rest.split(), strict=True)}

    return dict(understood(lines, counted, "softirqs"))
