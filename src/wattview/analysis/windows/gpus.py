"""Energy and busy time of a window's GPUs. Each function raises NoData with the reason if there is none."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.analysis.windows import series as names
from wattview.analysis.windows.energy import NoData, integral
from wattview.analysis.windows.host import Window
from wattview.analysis.windows.series import Evidence, Labelled, machines, of_one_machine
from wattview.exposition import parse_series
from wattview.model import HistorySeries
from wattview.model.power_sources import GPU_SOURCES

GPU_LABELS = (
    "gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "hostname", "DCGM_FI_DRIVER_VERSION",
    "GPU_I_PROFILE", "GPU_I_ID", "container", "namespace", "pod",
)  # fmt: skip


def no_gpu(evidence: Evidence) -> bool:
    """Whether the history covers this window without any GPU: the machine had none that could be read."""
    if any(metric in evidence.failures for metric in (names.HOST_ENERGY, names.GPU_MILLIJOULES)):
        return False
    if evidence.own is not None and evidence.own.gpus:
        return False
    if _gpu_series(evidence):
        return False
    return not evidence.of(names.GPU_MILLIJOULES) and any(evidence.series.values())


def _gpu_series(evidence: Evidence) -> list[HistorySeries]:
    """Energy of all GPUs of one driver, as summed by the daemon."""
    return [one for one in evidence.of(names.HOST_ENERGY) if parse_series(one.name)[1].get("source", "") in GPU_SOURCES]


def gpu_energy(evidence: Evidence, window: Window) -> float:
    """Joules of all GPUs: the daemon's sums, else each GPU's counter (in millijoules, as in DCGM)."""
    own = _gpu_series(evidence)
    if own:
        return of_one_machine(
            machines(own, "source"),
            lambda _, found: sum(window.increase(one.points, "unknown") for one in found),
            float,
        )
    if evidence.own is not None:
        raise NoData(evidence.own.reason or "the energy of the GPUs is unknown")
    _every_gpu(evidence.of(names.GPU_MILLIJOULES), evidence.of(names.GPU_PERCENT))
    return of_one_machine(
        machines(evidence.of(names.GPU_MILLIJOULES), *GPU_LABELS),
        lambda _, gpus: sum(window.increase(gpu.points, "unknown") for gpu in gpus) / 1000.0,
        float,
    )


def gpu_seconds(evidence: Evidence, window: Window) -> float:
    """Utilisation of all GPUs integrated over the window. 0 if the history has no GPU at all."""
    gpus = machines(evidence.of(names.GPU_PERCENT), *GPU_LABELS)
    if not gpus and no_gpu(evidence):
        return 0.0
    _every_gpu(evidence.of(names.GPU_PERCENT), evidence.of(names.GPU_MILLIJOULES))

    def busy(_: str, series: list[Labelled]) -> float:
        return sum(integral(gpu.points, window.start, window.end, max_gap=window.max_gap) for gpu in series) / 100.0

    return of_one_machine(gpus, busy, float)


def _every_gpu(series: Iterable[HistorySeries], others: Iterable[HistorySeries]) -> None:
    """Raises NoData if a GPU that appears in ``others`` is not in ``series``: the sum would be too small."""
    known, told = ({parse_series(one.name)[1].get("UUID", "") for one in some} for some in (series, others))
    if told - known:
        raise NoData(f"a GPU has no data in this window: {', '.join(sorted(told - known))}")
