"""Host figures of one window from what a history holds: energy, largest power, CPU time, GPU energy and GPU time.

Each function takes the evidence and a window and raises NoData with the reason where the figure cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import fmean

from msgspec import Struct

from wattview.analysis.windows import series as names
from wattview.analysis.windows.energy import (
    NoData,
    Points,
    counter_bounds,
    counter_increase,
    integral,
    maximum,
    readings,
    summed,
)
from wattview.analysis.windows.series import Evidence, Labelled, machines, of_one_machine
from wattview.model import ScenarioResult
from wattview.model.power_sources import HOST_SOURCES, PROCESSOR_SOURCES

MEASURED = tuple(entry.name for entry in HOST_SOURCES if entry.measures)
"""Sources that each see the whole host, best first: they are alternatives and are never added."""

ADDS_TO = PROCESSOR_SOURCES
"""Sources beside which a GPU's own counter (``nvml``) is added: a board's meter and a battery feed the GPU too."""

EDGE_SECONDS = 0.5
"""A mark's reading is taken this near to the end of the window that it marks."""

GPU_LABELS = (
    "gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION", "GPU_I_PROFILE",
    "GPU_I_ID", "container", "namespace", "pod",
)  # fmt: skip

BUSY_MODES = ("user", "nice", "system", "irq", "softirq")
"""Of node_exporter's modes. ``steal`` is time that a hypervisor gave to others: nobody worked here."""


class Window(Struct, frozen=True):
    """From ``start`` to ``end`` in Unix seconds; samples further apart than ``max_gap`` seconds leave a gap."""

    start: float
    end: float
    max_gap: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def increase(self, points: Points) -> float:
        """Of a counter that begins at 0 when it begins."""
        return counter_increase(points, self.start, self.end, restart="zero", max_gap=self.max_gap)


class HostEnergy(Struct, frozen=True):
    """Energy of the host and where it came from. ``source`` joins the sources that were added (``rapl+nvml``).

    The truth lies between ``least`` and ``most``: they differ by what was used between a sample and the window's end.
    """

    joules: float
    least: float
    most: float
    source: str
    machine: str = ""


def host_energy(evidence: Evidence, window: Window) -> HostEnergy:
    """From the best source that covers the window. An estimate is taken only where nothing was measured."""

    def of(machine: str, series: list[Labelled]) -> HostEnergy:
        by_source = {one.labels.get("source", ""): one.points for one in series}
        failures: list[str] = []
        for source in (*MEASURED, "estimated"):
            if source not in by_source:
                continue
            try:
                found = _counted(by_source[source], window, source, machine, _steepest(evidence, source))
            except NoData as reason:
                failures.append(f"{source}: {reason}")
                continue
            return _with_gpu(found, by_source.get("nvml"), window)
        raise NoData("; ".join(failures) or "no samples of the host's energy in this window")

    own = evidence.of(names.HOST_ENERGY)
    if own:
        return of_one_machine(machines(own, "source"), of, lambda energy: energy.joules)
    return _rapl_energy(evidence, window)


def _steepest(evidence: Evidence, source: str) -> float | None:
    """The largest power that the clock saw around the window; None where nobody kept the peaks."""
    peaks = [one.points for one in evidence.of(names.HOST_PEAK_WATTS) if f'source="{source}"' in one.name]
    return max((value for points in peaks for _, value in points), default=None)


def _counted(points: Points, window: Window, source: str, machine: str, steepest: float | None = None) -> HostEnergy:
    """``steepest``: the most watts there can have been, where that is known."""
    joules = counter_increase(points, window.start, window.end, max_gap=window.max_gap)
    least, most = counter_bounds(points, window.start, window.end, max_gap=window.max_gap, steepest=steepest)
    return HostEnergy(joules, least, most, source, machine)


def _with_gpu(host: HostEnergy, gpu: Points | None, window: Window) -> HostEnergy:
    if gpu is None or host.source not in ADDS_TO:
        return host
    try:
        more = _counted(gpu, window, "nvml", host.machine)
    except NoData:
        return host
    return HostEnergy(
        host.joules + more.joules, host.least + more.least, host.most + more.most, f"{host.source}+nvml", host.machine
    )


def _rapl_energy(evidence: Evidence, window: Window) -> HostEnergy:
    """From a RAPL exporter's zones: packages and DRAM, or the platform. From its power where it has no counter."""

    def counted(machine: str, series: list[Labelled]) -> HostEnergy:
        parts = [_counted(one.points, window, "rapl", machine) for one in _whole(series)]
        return HostEnergy(
            sum(part.joules for part in parts), sum(part.least for part in parts), sum(part.most for part in parts),
            "rapl", machine,
        )  # fmt: skip

    def integrated(machine: str, series: list[Labelled]) -> HostEnergy:
        joules = sum(integral(one.points, window.start, window.end, max_gap=window.max_gap) for one in _whole(series))
        return HostEnergy(joules, joules, joules, "rapl (power readings)", machine)

    for metric, figure in ((names.RAPL_ENERGY, counted), (names.RAPL_WATTS, integrated)):
        series = evidence.of(metric)
        if series:
            return of_one_machine(machines(series, "package", "zone"), figure, lambda energy: energy.joules)
    raise NoData("no samples of the host's energy in this window")


def _whole(zones: list[Labelled]) -> list[Labelled]:
    """The zones that make up the host, each joule once: a package holds its core and uncore, psys the packages."""
    platform = [zone for zone in zones if zone.labels.get("zone") == "psys"]
    return platform or [zone for zone in zones if zone.labels.get("zone") in ("dram", zone.labels.get("package"))]


def host_watts(evidence: Evidence, energy: HostEnergy) -> list[tuple[float, float]]:
    """Readings of the host's power over time, from the sources and the machine of ``energy``."""
    return _watts(evidence, names.HOST_WATTS, energy)


def _watts(evidence: Evidence, metric: str, energy: HostEnergy) -> list[tuple[float, float]]:
    if energy.source == "rapl (power readings)" or not evidence.of(names.HOST_ENERGY):
        zones = machines(evidence.of(names.RAPL_WATTS), "package", "zone").get(energy.machine, [])
        return summed([zone.points for zone in _whole(zones)]) if zones and metric == names.HOST_WATTS else []
    sources = energy.source.split("+")
    series = machines(evidence.of(metric), "source").get(energy.machine, [])
    parts = [one.points for one in series if one.labels.get("source") in sources]
    return summed(parts) if len(parts) == len(sources) else []


def largest_watts(evidence: Evidence, window: Window, energy: HostEnergy) -> float:
    """The largest reading inside the window: of the power as it was recorded, and of the peaks between records.

    A peak was taken since the record before it, so that one counts whose record before it is in the window too.
    """
    largest = maximum(host_watts(evidence, energy), window.start, window.end, max_gap=window.max_gap)
    peaks = _watts(evidence, names.HOST_PEAK_WATTS, energy)
    begin, finish = window.start - EDGE_SECONDS, window.end + EDGE_SECONDS
    inside = [value for (before, _), (time, value) in pairwise(peaks) if before >= begin and time <= finish]
    return max([largest, *inside])


class CpuUse(Struct, frozen=True):
    """CPU time of the whole machine that was not idle, and its share of all that there was."""

    seconds: float
    cpus: int
    percent: float


def cpu_use(evidence: Evidence, window: Window) -> CpuUse:
    """From our own counter, else from a node_exporter's."""

    def own(machine: str, series: list[Labelled]) -> CpuUse:
        counts = machines(evidence.of(names.CPUS)).get(machine)
        if not counts:
            raise NoData(f"no samples of {names.CPUS} in this window")
        return _share(window.increase(series[0].points), counts[0].points[-1][1], window)

    def node(_: str, series: list[Labelled]) -> CpuUse:
        cpus = {one.labels.get("cpu") for one in series}
        busy = [window.increase(one.points) for one in series if one.labels.get("mode") in BUSY_MODES]
        if not busy:
            raise NoData(f"no samples of {names.NODE_CPU} of a busy mode in this window")
        return _share(sum(busy), len(cpus), window)

    if evidence.of(names.CPU_BUSY):
        return of_one_machine(machines(evidence.of(names.CPU_BUSY)), own, lambda use: use.seconds)
    return of_one_machine(machines(evidence.of(names.NODE_CPU), "cpu", "mode"), node, lambda use: use.seconds)


def _share(seconds: float, cpus: float, window: Window) -> CpuUse:
    percent = 100.0 * seconds / (cpus * window.seconds) if cpus else 0.0
    if not cpus or percent > 105.0:
        raise NoData(f"the counter of CPU time makes no sense: {seconds:.0f} s on {cpus:.0f} CPUs")
    return CpuUse(seconds, int(cpus), min(percent, 100.0))


def no_gpu(evidence: Evidence) -> bool:
    """Whether the history holds this window and no GPU in it: the machine had none that could be read."""
    if any(metric in evidence.failures for metric in (names.HOST_ENERGY, names.GPU_MILLIJOULES)):
        return False
    if any('source="nvml"' in one.name for one in evidence.of(names.HOST_ENERGY)):
        return False
    return not evidence.of(names.GPU_MILLIJOULES) and any(evidence.series.values())


def gpu_energy(evidence: Evidence, window: Window) -> float:
    """Joules of all GPUs: the host's ``nvml`` source, else the counters of each GPU (millijoules, as DCGM has them)."""
    own = [one for one in evidence.of(names.HOST_ENERGY) if 'source="nvml"' in one.name]
    if own:
        return of_one_machine(machines(own, "source"), lambda _, series: window.increase(series[0].points), float)
    return of_one_machine(
        machines(evidence.of(names.GPU_MILLIJOULES), *GPU_LABELS),
        lambda _, gpus: sum(window.increase(gpu.points) for gpu in gpus) / 1000.0,
        float,
    )


def gpu_seconds(evidence: Evidence, window: Window) -> float:
    """Utilisation of all GPUs integrated over the window. 0 where the machine has no GPU in the history at all."""
    gpus = machines(evidence.of(names.GPU_PERCENT), *GPU_LABELS)
    if not gpus:
        return 0.0

    def busy(_: str, series: list[Labelled]) -> float:
        return sum(integral(gpu.points, window.start, window.end, max_gap=window.max_gap) for gpu in series) / 100.0

    return of_one_machine(gpus, busy, float)


def power_readings(evidence: Evidence, window: Window, energy: HostEnergy) -> Points:
    """The readings of power inside the window, for percentiles and graphs."""
    return readings(host_watts(evidence, energy), window.start, window.end, max_gap=window.max_gap)


def power_curve(evidence: Evidence, source: str, results: Iterable[ScenarioResult]) -> Points:
    """The host's power over a whole run, for a graph. ``source`` is that of the results.

    Of several machines in the history it is the one whose power comes nearest to what the results say. Empty where
    there is none.
    """
    own = machines(evidence.of(names.HOST_WATTS), "source")
    zones = {} if own else machines(evidence.of(names.RAPL_WATTS), "package", "zone")
    curves = [summed([zone.points for zone in _whole(series)]) for series in zones.values()]
    for series in own.values():
        parts = [one.points for one in series if one.labels.get("source") in source.split("+")]
        curves.append(summed(parts) if len(parts) == len(source.split("+")) else [])
    known = [
        (one.record.start_time, one.record.end_time, one.power_mean_watts)
        for one in results
        if one.record.start_time is not None and one.record.end_time is not None and one.power_mean_watts is not None
    ]

    def distance(curve: Points) -> float:
        gaps = []
        for start, end, watts in known:
            inside = [value for time, value in curve if start <= time <= end]
            gaps.append(abs(fmean(inside) - watts) if inside else watts)
        return sum(gaps)

    return min((curve for curve in curves if curve), key=distance, default=[])
