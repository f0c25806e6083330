"""The GPUs of this machine: NVIDIA's through NVML (``nvml``), AMD's and Intel's from the kernel (``drm``)."""

from __future__ import annotations

import socket
import time
from types import ModuleType
from typing import Any

from wattview.config import Config
from wattview.model import Fault, GpusReading
from wattview.probes import SourceAbsent, SourceError
from wattview.probes.gpu.drm import DrmGpus
from wattview.probes.gpu.energy import GpuEnergy
from wattview.probes.gpu.families import families, host_families
from wattview.probes.gpu.nvml import NvmlGpus, unread_gpu

__all__ = ["GpuProbe", "families", "host_families"]


class GpuProbe:
    """All GPUs. ``nvml`` is a module with pynvml's functions; None imports pynvml at the first reading."""

    def __init__(self, config: Config, nvml: ModuleType | Any = None) -> None:
        self._nvml = NvmlGpus(config.paths.procfs, nvml)
        self._drm = DrmGpus(config.paths.sysfs)
        self._energy = GpuEnergy()

    def read(self) -> GpusReading:
        """Raises what NVML raised (SourceAbsent, SourceRefused, SourceBroken) if there is no other GPU either."""
        monotonic = time.monotonic()
        others, faults = self._drm.read()
        try:
            nvidia, more = self._nvml.read()
            faults += more
        except SourceError as error:
            if not others:
                raise
            nvidia = []
            if not isinstance(error, SourceAbsent):
                nvidia = [unread_gpu(0)]
                faults.append(Fault("NVML", error.reason, error.fix))
        gpus = (*nvidia, *others)
        return GpusReading(
            time=time.time(),
            monotonic=monotonic,
            faults=tuple(faults),
            gpus=gpus,
            hostname=socket.gethostname(),
            joules_totals=self._energy.add(monotonic, gpus),
        )

    def close(self) -> None:
        self._nvml.close()
        self._drm.close()
