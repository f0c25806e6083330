"""The GPUs of this machine: NVIDIA's through NVML (``nvml``), AMD's and Intel's from the kernel (``drm``)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from wattview.config import Config
from wattview.model import Fault, Gpu, GpusReading
from wattview.probes import SourceAbsent, SourceError
from wattview.probes.gpu.drm import DrmGpus
from wattview.probes.gpu.nvml import NvmlGpus, unread_gpu
from wattview.probes.plausible import GPU_WATTS

SLACK_SECONDS = 1.0
"""Added to an interval before its power is judged: a GPU's counter moves in steps."""


class GpuEnergy:
    """A counter that never falls: the energy of each source's GPUs, from their counters, else from their power (the
    area under the lines between readings). A counter that fell was reset, with the driver or the GPU: its new value was
    used since. An implausible jump counts nothing."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, Gpu]] = {}
        self._totals: dict[str, float] = {}

    def add(self, monotonic: float, gpus: Iterable[Gpu]) -> dict[str, float | None]:
        """Takes a reading of all GPUs. Returns joules so far by source, None if one of its GPUs does not report
        them."""
        totals: dict[str, float | None] = {}
        for gpu in gpus:
            if not gpu.draws_beside:
                self._last.pop(gpu.uuid, None)
                continue
            totals.setdefault(gpu.source, 0.0)
            known = self._add(monotonic, gpu)
            if not known:
                totals[gpu.source] = None
        return {source: None if total is None else self._totals.get(source, 0.0) for source, total in totals.items()}

    def _add(self, monotonic: float, gpu: Gpu) -> bool:
        before = self._last.get(gpu.uuid)
        counts = before is not None and before[1].energy_joules_total is not None
        if gpu.energy_joules_total is None and (counts or gpu.power_watts is None):
            return False
        self._last[gpu.uuid] = monotonic, gpu
        if before is not None:
            grown = _joules(*before, monotonic, gpu)
            self._totals[gpu.source] = self._totals.get(gpu.source, 0.0) + grown
        return True


def _joules(since: float, before: Gpu, now: float, gpu: Gpu) -> float:
    seconds = now - since
    if gpu.energy_joules_total is None:
        return ((before.power_watts or 0.0) + (gpu.power_watts or 0.0)) / 2 * seconds
    if before.energy_joules_total is None:
        return 0.0
    grown = gpu.energy_joules_total - before.energy_joules_total
    if grown < 0:
        grown = gpu.energy_joules_total
    return grown if grown <= GPU_WATTS.most * (seconds + SLACK_SECONDS) else 0.0


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
