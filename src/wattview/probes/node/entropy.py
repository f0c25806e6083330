"""The kernel's entropy pool."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, gauge
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer


class Entropy:
    """``node_entropy_*``."""

    def __init__(self, config: Config) -> None:
        root = f"{config.paths.procfs}/sys/kernel/random"
        self._available = KernelFile(f"{root}/entropy_avail")
        self._pool = KernelFile(f"{root}/poolsize")

    def collect(self) -> list[Family]:
        return [
            gauge(
                "node_entropy_available_bits",
                "Bits of available entropy.",
                integer(self._available.read(), "entropy_avail"),
            ),
            gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", integer(self._pool.read(), "poolsize")),
        ]
