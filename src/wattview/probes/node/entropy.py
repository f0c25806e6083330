"""The kernel's entropy pool."""

from __future__ import annotations

from wattview.exposition import Family, gauge
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer
from wattview.probes.node.collector import of_files


@of_files("sys/kernel/random/entropy_avail", "sys/kernel/random/poolsize")
def collector(available: KernelFile, pool: KernelFile) -> list[Family]:
    """``node_entropy_*``."""
    bits = integer(available.read(), "entropy_avail")
    return [
        gauge("node_entropy_available_bits", "Bits of available entropy.", bits),
        gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", integer(pool.read(), "poolsize")),
    ]
