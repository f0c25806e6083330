"""Attribution: the energy of an interval, divided into idle, containers, encoders and the rest of the system.

Energy is conserved: ``idle + containers + encoders + unattributed = total`` in every interval. Idle power belongs to
nobody and is reported separately. The rest of the CPU's energy is divided by CPU time, a GPU's energy by its driver's
utilisation per process. What no part used (the kernel, programs outside of containers, a container whose use could not
be read) is unattributed, and is never spread over the known parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct


class Part(Struct, frozen=True):
    """A consumer of power: a container or one of our encoders by name, a workload by its id."""

    kind: Literal["container", "encoder", "workload"]
    name: str


class GpuInterval(Struct, frozen=True, kw_only=True):
    """One GPU in an interval: its energy, its utilisation, and each part's share of its time.

    ``busy`` and the shares are 0 to 1; ``used`` is the sum over all processes, including those of no part.
    ``workloads`` are the shares of the same processes by workload, ``by_pid`` those of the interval's ``processes``.
    """

    uuid: str
    joules: float
    busy: float
    used: float = 0.0
    shares: Mapping[Part, float] = {}
    workloads: Mapping[Part, float] = {}
    by_pid: Mapping[int, float] = {}


class ProcessUse(Struct, frozen=True):
    """CPU time of one process together with those that work for it, and the part that it runs in."""

    cpu_seconds: float
    part: Part | None = None


class Interval(Struct, frozen=True, kw_only=True):
    """The increase of all counters over one span of time that ends at ``time`` (Unix seconds) and ``monotonic`` (the
    same moment on the monotonic clock).

    ``cpu_seconds`` holds every part that existed. ``inside`` names the container that the daemon runs in, if any: the
    CPU time of the encoders is part of that container's. ``processes`` are publishers and the RTMP server, by pid:
    their CPU time is part of that of their containers and workloads.

    ``workloads`` is the CPU time of everything that runs, by workload: another division of the same total, in which
    containers and encoders occur again. ``kernel`` are those of them that are the kernel itself.
    """

    time: float
    seconds: float
    host_joules: float
    busy_seconds: float
    cpus: int
    cpu_seconds: Mapping[Part, float]
    inside: Part | None = None
    processes: Mapping[int, ProcessUse] = {}
    gpus: tuple[GpuInterval, ...] = ()
    monotonic: float = 0.0
    workloads: Mapping[Part, float] = {}
    kernel: frozenset[Part] = frozenset()

    @property
    def joules(self) -> float:
        """The total: host and GPUs."""
        return self.host_joules + sum(gpu.joules for gpu in self.gpus)

    @property
    def utilisation(self) -> float:
        """Utilisation of all CPUs, 0 to 1."""
        return min(self.busy_seconds / (self.cpus * self.seconds), 1.0) if self.cpus else 0.0


class Attribution(Struct, frozen=True, kw_only=True):
    """One interval's energy by consumer. ``joules`` is the total: idle, parts and unattributed.

    ``workloads`` is another division of the same total: idle, all workloads and ``outside_joules``, the energy of no
    known workload. ``processes``, by pid, are shares of these: of a container's energy, a workload's, or the rest.
    """

    time: float
    seconds: float
    joules: float
    idle_joules: float
    parts: Mapping[Part, float]
    unattributed_joules: float
    workloads: Mapping[Part, float] = {}
    outside_joules: float = 0.0
    processes: Mapping[int, float] = {}

    def watts(self, part: Part) -> float | None:
        """Mean power of one part; None if it is not in the interval."""
        joules = self.workloads.get(part) if part.kind == "workload" else self.parts.get(part)
        return None if joules is None else joules / self.seconds

    def watts_of(self, kind: str) -> float:
        """Mean power of all parts of a kind."""
        return sum(joules for part, joules in self.parts.items() if part.kind == kind) / self.seconds


def attribute(interval: Interval, idle_watts: float, gpu_idle_watts: Mapping[str, float] | None = None) -> Attribution:
    """Divides the energy of an interval. ``gpu_idle_watts`` is by UUID, without GPUs whose idle power is unknown.

    A GPU's energy above idle goes to its processes by their use. If its idle power is unknown, each process gets the
    energy of its share of the time, and the rest is unattributed. Idle power never exceeds the power drawn.
    """
    seconds = interval.seconds
    idle = min(idle_watts * seconds, interval.host_joules)
    active = interval.host_joules - idle
    used = _cpu_seconds(interval)
    by_workload = _workload_seconds(interval)
    # Counters tick at different moments: the parts may seem to have used more than the total. All divisions have one
    # total, so that a container has one figure, and no part of it exceeds it.
    whole = max(interval.busy_seconds, sum(used.values()), sum(by_workload.values()))
    parts = {part: active * (cpu / whole) if whole else 0.0 for part, cpu in used.items()}
    workloads = {part: active * (cpu / whole) if whole else 0.0 for part, cpu in by_workload.items()}
    by_pid = _within_parts(interval, used, whole)
    processes = {pid: active * (cpu / whole) if whole else 0.0 for pid, cpu in by_pid.items()}
    for gpu in interval.gpus:
        watts = (gpu_idle_watts or {}).get(gpu.uuid)
        gpu_idle = 0.0 if watts is None else min(watts * seconds, gpu.joules)
        idle += gpu_idle
        for shares, into in ((gpu.shares, parts), (gpu.workloads, workloads)):
            # Utilisation comes from several samplers: the processes' sum may exceed 100 %, or fall short of the GPU's
            # own figure.
            scale = max(gpu.used, sum(shares.values()), gpu.busy if watts is not None else 1.0)
            for part, share in shares.items():
                if scale:
                    into[part] = into.get(part, 0.0) + (gpu.joules - gpu_idle) * (share / scale)
            if shares is gpu.shares and scale:
                for pid in gpu.by_pid.keys() & processes.keys():
                    processes[pid] += (gpu.joules - gpu_idle) * (gpu.by_pid[pid] / scale)
    return Attribution(
        time=interval.time,
        seconds=seconds,
        joules=interval.joules,
        idle_joules=idle,
        parts=parts,
        unattributed_joules=max(interval.joules - idle - sum(parts.values()), 0.0),
        workloads=workloads,
        outside_joules=max(interval.joules - idle - sum(workloads.values()), 0.0),
        processes=processes,
    )


def _within_parts(interval: Interval, used: Mapping[Part, float], whole: float) -> dict[int, float]:
    """CPU time of each process: together those of one part use no more than the part, and those of none no more than
    the containers and encoders leave."""
    room: dict[Part | None, float] = dict(interval.workloads.items())
    room.update(used.items())
    room[None] = max(whole - sum(used.values()), 0.0)
    places = {pid: one.part if one.part in room else None for pid, one in interval.processes.items()}
    wanted: dict[Part | None, float] = {}
    for pid, one in interval.processes.items():
        wanted[places[pid]] = wanted.get(places[pid], 0.0) + one.cpu_seconds
    return {
        pid: one.cpu_seconds * min(room[places[pid]] / wanted[places[pid]], 1.0) if one.cpu_seconds else 0.0
        for pid, one in interval.processes.items()
    }


def _workload_seconds(interval: Interval) -> dict[Part, float]:
    """CPU time of each workload. The kernel's is limited to what the others leave: without
    CONFIG_IRQ_TIME_ACCOUNTING interrupts are also counted in the time of the process that they interrupted."""
    used = dict(interval.workloads)
    kernel = {part: used.pop(part) for part in interval.kernel if part in used}
    left, of_kernel = max(interval.busy_seconds - sum(used.values()), 0.0), sum(kernel.values())
    if of_kernel > left:
        kernel = {part: cpu * left / of_kernel for part, cpu in kernel.items()}
    return used | kernel


def _cpu_seconds(interval: Interval) -> Mapping[Part, float]:
    """CPU time of each part; an encoder's time is subtracted from its container's."""
    if interval.inside is None or interval.inside not in interval.cpu_seconds:
        return interval.cpu_seconds
    encoders = sum(cpu for part, cpu in interval.cpu_seconds.items() if part.kind == "encoder")
    own = interval.cpu_seconds[interval.inside]
    return {**interval.cpu_seconds, interval.inside: max(own - encoders, 0.0)}


class Ledger:
    """Energy by consumer since the daemon started: the counters behind the ``…_joules_total`` series.

    ``unknown_joules`` was used before idle power was known. It and the others add up to ``joules``.
    """

    def __init__(self) -> None:
        self.joules = 0.0
        self.idle_joules = 0.0
        self.encoders_joules = 0.0
        self.containers_joules = 0.0
        self.unattributed_joules = 0.0
        self.unknown_joules = 0.0
        self.by_container: dict[str, float] = {}
        self.outside_joules = 0.0
        self.by_workload: dict[str, float] = {}

    def add(self, interval: Attribution) -> None:
        self.joules += interval.joules
        self.idle_joules += interval.idle_joules
        self.unattributed_joules += interval.unattributed_joules
        for part, joules in interval.parts.items():
            if part.kind == "container":
                self.containers_joules += joules
                self.by_container[part.name] = self.by_container.get(part.name, 0.0) + joules
            else:
                self.encoders_joules += joules
        self.outside_joules += interval.outside_joules
        for part, joules in interval.workloads.items():
            self.by_workload[part.name] = self.by_workload.get(part.name, 0.0) + joules

    def add_unknown(self, joules: float) -> None:
        """Adds the energy of an interval whose idle power was unknown."""
        self.joules += joules
        self.unknown_joules += joules

    def keep(self, names: Iterable[str]) -> None:
        """Removes all other containers; their energy stays in the sum of all containers."""
        for gone in self.by_container.keys() - set(names):
            del self.by_container[gone]

    def keep_workloads(self, ids: Iterable[str]) -> None:
        """Takes all other workloads off the list."""
        for gone in self.by_workload.keys() - set(ids):
            del self.by_workload[gone]
