"""Pressure stall information: the time that tasks were stalled by a lack of CPU, memory or I/O."""

from __future__ import annotations

import errno

from wattview.exposition import Family, counter
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import NoSource, of_files

# Resource, line of its file, name, help suffix.
_TABLE = (
    ("cpu", "some", "cpu_waiting", "that processes have waited for CPU time"),
    ("io", "some", "io_waiting", "that processes have waited due to IO congestion"),
    ("io", "full", "io_stalled", "no process could make progress due to IO congestion"),
    ("memory", "some", "memory_waiting", "that processes have waited for memory"),
    ("memory", "full", "memory_stalled", "no process could make progress due to memory congestion"),
    ("irq", "full", "irq_stalled", "no process could make progress due to IRQ congestion"),
)


_RESOURCES = tuple(dict.fromkeys(row[0] for row in _TABLE))


@of_files(*(f"pressure/{name}" for name in _RESOURCES))
def collector(*files: KernelFile) -> list[Family]:
    """``node_pressure_*``; no data before Linux 4.20 or without ``psi=1``. IRQ pressure exists since Linux 6.1."""
    read: dict[str, dict[str, float]] = {}
    for name, file in zip(_RESOURCES, files, strict=True):
        try:
            read[name] = procfs.pressure(file.read())
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise NoSource("pressure information is switched off; boot with psi=1") from None
            raise
    if not read:
        raise NoSource("this kernel gives no pressure information")
    return [
        counter(f"node_pressure_{name}_seconds_total", f"Total time in seconds {of}", read[resource][line])
        for resource, line, name, of in _TABLE
        if line in read.get(resource, {})
    ]
