"""The energy of all GPUs together, as a counter that never falls. No I/O and no clock."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.model import Gpu
from wattview.probes.plausible import GPU_WATTS

SLACK_SECONDS = 1.0
"""Added to an interval before its power is judged: a GPU's counter moves in steps."""


class GpuEnergy:
    """Adds the energy of each source's GPUs, from their counters, else from their power (the area under the lines
    between readings). A counter that fell was reset, with the driver or the GPU: its new value was used since. An
    implausible jump counts nothing."""

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
