"""Host figures of one window from the history: energy, largest power, CPU time, GPU energy and GPU time.

Each function takes the evidence and a window and raises NoData with the reason if the figure is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from msgspec import Struct

from wattview.analysis.windows import series as names
from wattview.analysis.windows import trail
from wattview.analysis.windows.energy import (
    LAG_SECONDS,
    NoData,
    Points,
    Restart,
    counter_bounds,
    counter_increase,
    integral,
    readings,
    summed,
)
from wattview.analysis.windows.series import Evidence, Labelled, OwnPower, machines, of_one_machine
from wattview.exposition import parse_series
from wattview.model import ScenarioResult, TrailPoint
from wattview.model.power_sources import GPU_SOURCES, HOST_SOURCES, PROCESSOR_SOURCES

MEASURED = tuple(entry.name for entry in HOST_SOURCES if entry.measures)
"""Sources that each cover the whole host, best first: they are alternatives and are never added."""

ADDS_TO = PROCESSOR_SOURCES
"""Sources to which the GPUs' counters (``nvml``) are added: a board's meter and a battery already include the GPUs."""

READING_SECONDS = 1.0
"""A power reading is a mean over this many seconds before it, so it belongs to the window from that far inside it."""

BUSY_MODES = ("user", "nice", "system", "irq", "softirq")
"""Modes of node_exporter that count as busy. ``steal`` does not: a hypervisor gave that time to other guests."""


class Window(Struct, frozen=True):
    """From ``start`` to ``end`` in Unix seconds; samples further apart than ``max_gap`` seconds leave a gap."""

    start: float
    end: float
    max_gap: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def increase(self, points: Points, restart: Restart = "zero") -> float:
        return counter_increase(points, self.start, self.end, restart=restart, max_gap=self.max_gap)


class HostEnergy(Struct, frozen=True):
    """Energy of the host and its sources. ``source`` joins the sources that were added (``rapl+nvml``).

    The truth lies between ``least`` and ``most``, which differ by the energy used between a sample and the window's
    end.
    """

    joules: float
    least: float
    most: float
    source: str
    machine: str = ""


def host_energy(evidence: Evidence, window: Window) -> HostEnergy:
    """From the best source that covers the window; an estimate only if nothing was measured.

    Raises NoData if a part of the sum is unknown: a package, a DRAM zone, the GPUs.
    """
    if evidence.own is not None:
        return _own_energy(evidence, evidence.own, window)

    def of(machine: str, series: list[Labelled]) -> HostEnergy:
        by_source = {one.labels.get("source", ""): one.points for one in series}
        failures: list[str] = []
        for source in (*MEASURED, "estimated"):
            if source not in by_source:
                continue
            try:
                found = _counted(evidence, by_source[source], window, source, machine, _steepest(evidence, source))
            except NoData as reason:
                failures.append(f"{source}: {reason}")
                continue
            return _with_gpus(evidence, found, by_source, window)
        raise NoData("; ".join(failures) or NOT_KNOWN)

    own = machines(evidence.of(names.HOST_ENERGY), "source")
    daemons = machines(evidence.of(names.CPUS))
    if own:
        silent = daemons.keys() - own.keys()
        if silent:
            raise NoData(f"several machines have data, and the energy of one is unknown: {', '.join(sorted(silent))}")
        return of_one_machine(own, of, lambda energy: energy.joules)
    if daemons or evidence.of(names.HOST_WATTS):
        raise NoData(NOT_KNOWN)
    return _rapl_energy(evidence, window)


NOT_KNOWN = (
    "the host's energy is unknown in this window: a part of it could not be read"
    " (see wattview doctor and the daemon's log)"
)
"""A machine with some unreadable zones has no sum: if the daemon did not add it up, neither does this."""


def _own_energy(evidence: Evidence, own: OwnPower, window: Window) -> HostEnergy:
    if not own.points:
        raise NoData(own.reason or "the host's power is unknown in this window")
    found = trail.energy(own.points, window.start, window.end)
    host = HostEnergy(found.joules, found.least, found.most, own.source)
    for source, counter in _own_gpus(evidence, own):
        host = _added(evidence, host, source, counter, window)
    return host


def _own_gpus(evidence: Evidence, own: OwnPower) -> list[tuple[str, Points]]:
    """The GPUs' counters by source, if the host's does not include them. Raises NoData if one is missing."""
    counters = {parse_series(one.name)[1].get("source", ""): one.points for one in evidence.of(names.HOST_ENERGY)}
    wanted = own.gpus if own.source in ADDS_TO else ()
    if any(source not in counters for source in wanted):
        raise NoData(own.reason or "the energy of the GPUs is unknown, and a sum without them would be too small")
    return [(source, counters[source]) for source in wanted]


def _steepest(evidence: Evidence, source: str) -> float | None:
    """Largest power that the sampler recorded around the window; None if peaks were not kept."""
    peaks = [one.points for one in evidence.of(names.HOST_PEAK_WATTS) if f'source="{source}"' in one.name]
    return max((value for points in peaks for _, value in points), default=None)


def _counted(
    evidence: Evidence, points: Points, window: Window, source: str, machine: str, steepest: float | None = None
) -> HostEnergy:
    """``steepest``: the largest possible power in watts, if known."""
    joules = counter_increase(points, window.start, window.end, max_gap=window.max_gap)
    least, most = counter_bounds(
        points, window.start, window.end, max_gap=window.max_gap, steepest=steepest,
        lag=evidence.lag_seconds, lead=evidence.lead_seconds,
    )  # fmt: skip
    return HostEnergy(joules, least, most, source, machine)


def _with_gpus(evidence: Evidence, host: HostEnergy, by_source: Mapping[str, Points], window: Window) -> HostEnergy:
    """The host and the GPUs that its source does not include. Raises NoData if their energy is unknown: the host alone
    would be too small."""
    if host.source not in ADDS_TO:
        return host
    whole = machines(evidence.of(names.MACHINE_WATTS), "source").get(host.machine, [])
    inside = [one for one in whole if _has_reading(one.points, window)]
    if whole and not inside and any(_has_reading(one.points, window) for one in evidence.of(names.HOST_WATTS)):
        raise NoData("the power of the whole machine is unknown in this window: a GPU could not be read")
    wanted = {source for source in by_source if source in GPU_SOURCES}
    wanted |= {source for one in inside for source in one.labels.get("source", "").split("+") if source in GPU_SOURCES}
    if evidence.of(names.GPU_MILLIJOULES):
        wanted.add("nvml")
    for source in sorted(wanted):
        if source not in by_source:
            raise NoData("the energy of the GPUs is unknown, and a sum without them would be too small")
        host = _added(evidence, host, source, by_source[source], window)
    return host


def _has_reading(points: Points, window: Window) -> bool:
    return any(window.start <= time <= window.end for time, _ in points)


def _added(evidence: Evidence, host: HostEnergy, source: str, counter: Points, window: Window) -> HostEnergy:
    try:
        more = _counted(evidence, counter, window, source, host.machine)
    except NoData as lack:
        raise NoData(f"the energy of the GPUs is unknown: {lack}") from None
    return HostEnergy(
        host.joules + more.joules,
        host.least + more.least,
        host.most + more.most,
        f"{host.source}+{source}",
        host.machine,
    )


def _rapl_energy(evidence: Evidence, window: Window) -> HostEnergy:
    """From a RAPL exporter's zones: packages and DRAM, or the platform. From its power if it has no counter."""
    told = machines([*evidence.of(names.RAPL_ENERGY), *evidence.of(names.RAPL_WATTS)], "package", "zone")

    def counted(machine: str, series: list[Labelled]) -> HostEnergy:
        parts = [_counted(evidence, one.points, window, "rapl", machine) for one in _whole(series, told[machine])]
        return HostEnergy(
            sum(part.joules for part in parts), sum(part.least for part in parts), sum(part.most for part in parts),
            "rapl", machine,
        )  # fmt: skip

    def integrated(machine: str, series: list[Labelled]) -> HostEnergy:
        zones = _whole(series, told[machine])
        joules = sum(integral(one.points, window.start, window.end, max_gap=window.max_gap) for one in zones)
        return HostEnergy(joules, joules, joules, "rapl (power readings)", machine)

    for metric, figure in ((names.RAPL_ENERGY, counted), (names.RAPL_WATTS, integrated)):
        series = evidence.of(metric)
        if series:
            return of_one_machine(machines(series, "package", "zone"), figure, lambda energy: energy.joules)
    raise NoData("no samples of the host's energy in this window")


def _whole(zones: list[Labelled], told: list[Labelled]) -> list[Labelled]:
    """The zones that make up the host, each joule once: a package includes its core and uncore, psys the packages.

    Raises NoData if one is missing. ``told`` are all zones known to exist; sockets are alike, so if one socket has a
    DRAM zone and another has none, that counter could not be read.
    """
    platform = [zone for zone in zones if zone.labels.get("zone") == "psys"]
    if platform:
        return platform
    packages = {one.labels.get("package", "") for one in told} - {"psys"}
    dram = any(one.labels.get("zone") == "dram" for one in told)
    wanted = {(package, package) for package in packages if package.startswith("package-")}
    wanted |= {(package, "dram") for package, _ in wanted if dram}
    missing = wanted - {(one.labels.get("package", ""), one.labels.get("zone", "")) for one in zones}
    if missing:
        names_of = ", ".join(package if zone == package else f"{package} {zone}" for package, zone in sorted(missing))
        raise NoData(f"a part of the host has no data in this window: {names_of}")
    return [zone for zone in zones if zone.labels.get("zone") in ("dram", zone.labels.get("package"))]


def host_watts(evidence: Evidence, energy: HostEnergy) -> list[tuple[float, float]]:
    """Readings of the host's power over time, from the sources and the machine of ``energy``."""
    return _watts(evidence, names.HOST_WATTS, energy)


def _watts(evidence: Evidence, metric: str, energy: HostEnergy) -> list[tuple[float, float]]:
    if energy.source == "rapl (power readings)" or not evidence.of(names.HOST_ENERGY):
        zones = machines(evidence.of(names.RAPL_WATTS), "package", "zone").get(energy.machine, [])
        return summed([zone.points for zone in _whole(zones, zones)]) if zones and metric == names.HOST_WATTS else []
    sources = energy.source.split("+")
    series = machines(evidence.of(metric), "source").get(energy.machine, [])
    parts = [one.points for one in series if one.labels.get("source") in sources]
    return summed(parts) if len(parts) == len(sources) else []


def largest_watts(evidence: Evidence, window: Window, energy: HostEnergy) -> float:
    """Largest power in the window, never less than its mean.

    From the trail if there is one. Else from the history's readings, the peaks between them, and the means between two
    counter samples, if they lie entirely in the window.
    """
    if evidence.own is not None:
        return trail.largest(_own_points(evidence, evidence.own), window.start, window.end)
    found = [energy.joules / window.seconds]
    found += [value for time, value in host_watts(evidence, energy) if _lies_in(window, time - READING_SECONDS, time)]
    # A peak is the largest since the previous record, of readings that are a second long themselves.
    found += [
        value
        for (before, _), (time, value) in pairwise(_watts(evidence, names.HOST_PEAK_WATTS, energy))
        if _lies_in(window, before - READING_SECONDS, time)
    ]
    found += [
        (after - before) / (right - left)
        for (left, before), (right, after) in pairwise(_host_counter(evidence, energy))
        if right - left >= READING_SECONDS and _lies_in(window, left - LAG_SECONDS, right)
    ]
    return max(found)


def _lies_in(window: Window, start: float, end: float) -> bool:
    return window.start <= start and end <= window.end


def _host_counter(evidence: Evidence, energy: HostEnergy) -> Points:
    """The host's own counter, if it has one, without GPUs."""
    series = machines(evidence.of(names.HOST_ENERGY), "source").get(energy.machine, [])
    return next((one.points for one in series if one.labels.get("source") == energy.source), [])


def _own_points(evidence: Evidence, own: OwnPower) -> Sequence[TrailPoint]:
    points = own.points
    for _, counter in _own_gpus(evidence, own):
        points = trail.with_gpus(points, counter)
    return points


class CpuUse(Struct, frozen=True):
    """CPU time of the whole machine that was not idle, and its share of all CPU time."""

    seconds: float
    cpus: int
    percent: float


def cpu_use(evidence: Evidence, window: Window) -> CpuUse:
    """From our own counter, else from node_exporter's."""

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
        raise NoData(f"the counter of CPU time is implausible: {seconds:.0f} s on {cpus:.0f} CPUs")
    return CpuUse(seconds, int(cpus), min(percent, 100.0))


def power_readings(evidence: Evidence, window: Window, energy: HostEnergy) -> Points:
    """Power in the window over time, for percentiles: from the trail if there is one, else the history's readings that
    lie entirely in the window."""
    if evidence.own is not None:
        return trail.powers(_own_points(evidence, evidence.own), window.start, window.end)
    inside = readings(host_watts(evidence, energy), window.start, window.end, max_gap=window.max_gap)
    inside = [point for point in inside if _lies_in(window, point[0] - READING_SECONDS, point[0])]
    if not inside:
        raise NoData("no reading lies entirely in the window")
    return inside


def power_curve(evidence: Evidence, source: str, results: Iterable[ScenarioResult]) -> Points:
    """Power of the host over a whole run, for a graph. ``source`` is that of the results.

    If the history has several machines, the one whose power is nearest to the results'. Empty if there is none.
    """
    own = machines(evidence.of(names.HOST_WATTS), "source")
    zones = {} if own else machines(evidence.of(names.RAPL_WATTS), "package", "zone")
    curves = [_summed_zones(series) for series in zones.values()]
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


def _summed_zones(zones: list[Labelled]) -> Points:
    try:
        return summed([zone.points for zone in _whole(zones, zones)])
    except NoData:
        return []
