"""From readings of all sources to intervals: the increase of every counter over the same span of time.

The sources are read at different moments. Each counter is interpolated between its readings
(``analysis.attribution.counter_interpolation``), and an interval ends at the last moment that all sources have reached;
the next one starts there, so that every joule is in exactly one interval. No I/O and no clock: readings carry their
times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from wattview.analysis.attribution.counter_interpolation import Trace
from wattview.analysis.attribution.shares import GpuInterval, Interval, Part, ProcessUse
from wattview.daemon.attribution.cpu_lines import CpuLines, CpuTotal
from wattview.daemon.attribution.process_lines import ProcessLines, WatchedProcess
from wattview.daemon.attribution.processes import CpuTime, container_of
from wattview.daemon.attribution.tick_carry import BusyCarry, TickCarry
from wattview.model import (
    Container,
    ContainersReading,
    Gpu,
    GpusReading,
    HostReading,
    PowerReading,
    Workload,
    WorkloadLookup,
    WorkloadsReading,
)
from wattview.model.power_sources import PROCESSOR_SOURCES

MIN_SECONDS = 0.9
"""Shorter intervals are noise: /proc counts CPU time in hundredths of a second. A reader that comes every second gets
one."""

CLOCK_STEP_SECONDS = 1.0
"""If wall time and monotonic time diverge by more than this, the machine was suspended, or its clock was set."""


class Look(Struct, frozen=True, kw_only=True):
    """The latest reading of each source, None if a source fails, and of our processes at ``monotonic``.

    ``gpus_known``: False if there are, or may be, GPUs that cannot be read now. ``encoders`` is by (name, pid);
    ``processes`` are publishers and the RTMP server, by pid.
    """

    power: PowerReading
    host: HostReading
    containers: ContainersReading | None = None
    workloads: WorkloadsReading | None = None
    gpus: GpusReading | None = None
    monotonic: float = 0.0
    encoders: Mapping[tuple[str, int], CpuTime] = {}
    processes: Mapping[int, WatchedProcess] = {}
    gpus_known: bool = True
    own_pids: frozenset[int] = frozenset()


def reached(look: Look) -> float:
    """The last moment (monotonic) that all sources have reached."""
    readings = (look.power, look.host, look.containers, look.workloads, look.gpus)
    return min(reading.monotonic for reading in readings if reading is not None)


class Intervals:
    """State between two looks: the lines of all counters, and the end of the last interval."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._basis = ""
        self._clocks = 0.0
        self._energy = Trace()
        self._busy = Trace()
        self._gpus: dict[str, _GpuTrace] = {}
        self._containers = CpuLines()
        self._workloads = CpuLines()
        self._processes = ProcessLines()
        self._carry = TickCarry()
        self._busy_carry = BusyCarry()

    @property
    def start(self) -> float | None:
        """Start of the next interval (monotonic); None before the first look."""
        return self._start

    def next(self, look: Look) -> Interval | None:
        """The interval since the last one.

        None if less than ``MIN_SECONDS`` have passed or the host has no figure now; if the previous counters are not
        comparable (another source, a host counter that restarted, a suspended machine); and if a GPU is lost.
        """
        joules = look.power.host_joules_total
        if joules is None:
            return None
        self._begin_anew_where_needed(look, joules)
        self._add(look, joules)
        end = reached(look)
        start = self._start
        if start is None:
            self._start = end
            return None
        if end - start < MIN_SECONDS:
            return None
        self._start = end
        interval = self._interval(look, start, end) if self._is_whole(look, end) else None
        self._forget(end)
        return interval

    def _is_whole(self, look: Look, end: float) -> bool:
        """Whether every GPU outside of the host's source has reported its energy up to the end."""
        if look.power.source not in PROCESSOR_SOURCES:
            return True
        gpus = look.gpus.gpus if look.gpus is not None else ()
        traces = [self._gpus.get(gpu.uuid) for gpu in gpus if gpu.draws_beside]
        return look.gpus_known and all(trace is not None and trace.energy.end >= end for trace in traces)

    def _begin_anew_where_needed(self, look: Look, joules: float) -> None:
        basis = power_basis(look.power)
        clocks = look.power.time - look.power.monotonic
        restarted = self._energy.end < look.power.monotonic and joules < self._energy.last
        if self._start is None or basis != self._basis or restarted or abs(clocks - self._clocks) > CLOCK_STEP_SECONDS:
            self._start = None
            self._energy, self._busy = Trace(), Trace(most_per_second=0.0)
            self._gpus.clear()
            self._containers.clear()
            self._workloads.clear()
            self._processes.clear()
            self._basis = basis
        # A clock that is slewed moves by less than half a millisecond per second: that is no step.
        self._clocks = clocks

    def _add(self, look: Look, joules: float) -> None:
        self._energy.add(look.power.monotonic, joules)
        # The kernel's sum over all CPUs decreases slightly when one goes offline.
        self._busy.add(look.host.monotonic, look.host.cpu_busy_seconds_total)
        if look.containers is not None:
            of_containers = (
                CpuTotal(one.id, Part("container", one.name), one.cpu_seconds_total, one.started, one.ended)
                for one in (*look.containers.ended, *look.containers.containers)
            )
            self._containers.add(look.containers, of_containers, look.host.cpus)
        if look.workloads is not None:
            of_workloads = (
                CpuTotal(one.id, _part(one), one.cpu_seconds_total, one.started, one.ended)
                for one in (*look.workloads.ended, *look.workloads.workloads)
            )
            self._workloads.add(look.workloads, of_workloads, look.host.cpus)
        processes: dict[tuple[Part | int, int], CpuTime] = {
            (Part("encoder", name), pid): time for (name, pid), time in look.encoders.items()
        }
        for leader, watched in look.processes.items():
            processes |= {(leader, pid): time for pid, time in watched.times.items()}
        self._processes.add(look.monotonic, processes, look.host.cpus)
        if look.gpus is not None and look.power.source in PROCESSOR_SOURCES:
            for gpu in look.gpus.gpus:
                if gpu.draws_beside:
                    self._gpus.setdefault(gpu.uuid, _GpuTrace()).add(look.gpus.monotonic, gpu)

    def _interval(self, look: Look, start: float, end: float) -> Interval:
        used: dict[Part, float] = {}
        for line in (*self._containers, *self._processes):
            seconds = line.used(start, end)
            if seconds is not None and line.part is not None:
                used[line.part] = used.get(line.part, 0.0) + seconds
        workloads = self._workload_seconds(look, start, end)
        watched = {
            pid: ProcessUse(seconds, look.processes[pid].part if pid in look.processes else None)
            for pid, seconds in self._processes.of_watched(start, end).items()
        }
        containers = look.containers.containers if look.containers is not None else ()
        kernel = frozenset(_part(one) for one in _workloads(look) if one.kind == "kernel")
        counted = max(
            sum(seconds for part, seconds in workloads.items() if part not in kernel),
            sum(seconds for part, seconds in used.items() if part.kind == "container"),
        )
        return Interval(
            time=look.power.time - (look.power.monotonic - end),
            seconds=end - start,
            host_joules=self._energy.increase(start, end),
            busy_seconds=self._busy_carry.fitted(
                self._busy.increase(start, end), counted, look.host.cpus * (end - start)
            ),
            cpus=look.host.cpus,
            cpu_seconds=used,
            # The container that the daemon runs in: its init is the daemon or an ancestor of it.
            inside=next((Part("container", one.name) for one in containers if one.pid in look.own_pids), None),
            processes=self._carry.fitted(watched, {**workloads, **used}),
            gpus=tuple(self._gpu_intervals(look, containers, start, end)),
            monotonic=end,
            workloads=workloads,
            kernel=kernel,
        )

    def _workload_seconds(self, look: Look, start: float, end: float) -> dict[Part, float]:
        """CPU time by workload. A container's comes from the container source if available: a container has one
        figure."""
        known: dict[str, float] = {}
        for container_id, line in self._containers.items():
            seconds = line.used(start, end)
            if seconds is not None:
                known[container_id] = known.get(container_id, 0.0) + seconds
        containers = {one.id: known[one.container_id] for one in _workloads(look) if one.container_id in known}
        found: dict[Part, float] = {}
        for id, line in self._workloads.items():
            seconds = line.used(start, end)
            if seconds is not None and line.part is not None:
                found[line.part] = containers[id] if id in containers else found.get(line.part, 0.0) + seconds
        return found

    def _gpu_intervals(
        self, look: Look, containers: Iterable[Container], start: float, end: float
    ) -> Iterable[GpuInterval]:
        if look.gpus is None:
            return
        encoders = {pid: Part("encoder", name) for name, pid in look.encoders}
        lookup = WorkloadLookup(look.workloads) if look.workloads is not None else None
        leaders = {pid: leader for leader, watched in look.processes.items() for pid in watched.times}
        for gpu in look.gpus.gpus:
            trace = self._gpus.get(gpu.uuid)
            if trace is None or trace.energy.end < end:
                continue
            used = 0.0
            shares: dict[Part, float] = {}
            workloads: dict[Part, float] = {}
            by_pid: dict[int, float] = {}
            for process in gpu.processes:
                percents = (process.sm_percent, process.encoder_percent, process.decoder_percent)
                share = sum(percent for percent in percents if percent is not None) / 100.0
                used += share
                part = encoders.get(process.pid)
                if part is None and (container := container_of(process.cgroup, containers)) is not None:
                    part = Part("container", container.name)
                if part is not None:
                    shares[part] = shares.get(part, 0.0) + share
                owner = lookup.owner(process.cgroup, process.pid) if lookup is not None else None
                if owner is not None:
                    workload = Part("workload", owner.id)
                    workloads[workload] = workloads.get(workload, 0.0) + share
                if (leader := leaders.get(process.pid)) is not None:
                    by_pid[leader] = by_pid.get(leader, 0.0) + share
            yield GpuInterval(
                uuid=gpu.uuid,
                joules=trace.energy.increase(start, end),
                busy=_busy(gpu),
                used=used,
                shares=shares,
                workloads=workloads,
                by_pid=by_pid,
            )

    def _forget(self, before: float) -> None:
        self._processes.forget(before)
        lines = (*self._containers, *self._workloads)
        for trace in (self._energy, self._busy, *(line.trace for line in lines)):
            trace.forget(before)
        for gpu in self._gpus.values():
            gpu.energy.forget(before)


class _GpuTrace:
    """The energy of one GPU, from its counter, else from its power: the area under the line between readings."""

    def __init__(self) -> None:
        self.energy = Trace()
        self._integral = 0.0
        self._watts: float | None = None

    def add(self, at: float, gpu: Gpu) -> None:
        if gpu.energy_joules_total is not None:
            self.energy.add(at, gpu.energy_joules_total)
        elif gpu.power_watts is not None and at > self.energy.end:
            if self._watts is not None:
                self._integral += (self._watts + gpu.power_watts) / 2 * (at - self.energy.end)
            self._watts = gpu.power_watts
            self.energy.add(at, self._integral)


def _part(workload: Workload) -> Part:
    return Part("workload", workload.id)


def _workloads(look: Look) -> tuple[Workload, ...]:
    return look.workloads.workloads if look.workloads is not None else ()


def power_basis(power: PowerReading) -> str:
    """What a host figure consists of: its source, and the summed zones. Figures of another basis are not comparable."""
    return " ".join([power.source, *sorted(zone.path for zone in power.zones if zone.counted)])


def _busy(gpu: Gpu) -> float:
    """Utilisation of a GPU's busiest unit."""
    percents = (gpu.utilization_percent, gpu.encoder_percent, gpu.decoder_percent)
    return min(max((percent for percent in percents if percent is not None), default=0.0) / 100.0, 1.0)
