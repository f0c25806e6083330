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
    ``workloads`` are the shares of the same processes by workload.
    """

    uuid: str
    joules: float
    busy: float
    used: float = 0.0
    shares: Mapping[Part, float] = {}
    workloads: Mapping[Part, float] = {}


class Interval(Struct, frozen=True, kw_only=True):
    """The increase of all counters over one span of time that ends at ``time`` (Unix seconds) and ``monotonic`` (the
    same moment on the monotonic clock).

    ``cpu_seconds`` holds every part that existed. ``inside`` names the container that the daemon runs in, if any: the
    CPU time of the encoders is part of that container's. ``server_cpu_seconds`` is the CPU time of an RTMP server
    outside of containers; None if there is none.

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
    server_cpu_seconds: float | None = None
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

    ``server_joules`` is a share of the unattributed energy. ``workloads`` is another division of the
    same total: idle, all workloads and ``outside_joules``, the energy of no known workload.
    """

    time: float
    seconds: float
    joules: float
    idle_joules: float
    parts: Mapping[Part, float]
    unattributed_joules: float
    server_joules: float | None = None
    workloads: Mapping[Part, float] = {}
    outside_joules: float = 0.0

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
    # Counters tick at different moments: the parts may seem to have used more than the total.
    whole = max(interval.busy_seconds, sum(used.values()))
    parts = {part: active * (cpu / whole) if whole else 0.0 for part, cpu in used.items()}
    server = None
    if interval.server_cpu_seconds is not None:
        free = max(whole - sum(used.values()), 0.0)
        server = active * (min(interval.server_cpu_seconds, free) / whole) if whole else 0.0
    workloads = _workloads(interval, active)
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
    return Attribution(
        time=interval.time,
        seconds=seconds,
        joules=interval.joules,
        idle_joules=idle,
        parts=parts,
        unattributed_joules=max(interval.joules - idle - sum(parts.values()), 0.0),
        server_joules=server,
        workloads=workloads,
        outside_joules=max(interval.joules - idle - sum(workloads.values()), 0.0),
    )


def _workloads(interval: Interval, active: float) -> dict[Part, float]:
    """Each workload's energy by its CPU time. The kernel's takes from no other's: interrupts are counted in the time of
    whoever was interrupted as well, where the kernel does not tell them apart."""
    used = dict(interval.workloads)
    kernel = {part: used.pop(part) for part in interval.kernel if part in used}
    others, of_kernel = sum(used.values()), sum(kernel.values())
    left = max(interval.busy_seconds - others, 0.0)
    if of_kernel > left:
        kernel = {part: cpu * left / of_kernel for part, cpu in kernel.items()}
    whole = max(interval.busy_seconds, others)
    return {part: active * (cpu / whole) if whole else 0.0 for part, cpu in (used | kernel).items()}


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


class StreamUse(Struct, frozen=True, kw_only=True):
    """One live stream: its traffic into and out of the server in bytes per second, and its publisher if known."""

    app: str
    name: str
    in_bytes: float
    out_bytes: float
    publisher: Part | None = None


def stream_watts(
    streams: Iterable[StreamUse], server_watts: float | None, part_watts: Mapping[Part, float]
) -> dict[tuple[str, str], float]:
    """Power of each stream by (app, name): a share of the server's power by traffic, and of its publisher's by what
    that publisher sends.

    ``server_watts`` is the server's active power, None if unknown. A stream for which neither is known is left out.
    """
    traffic: dict[tuple[str, str], float] = {}
    pushed: dict[Part, dict[tuple[str, str], float]] = {}
    for stream in streams:
        key = (stream.app, stream.name)
        traffic[key] = traffic.get(key, 0.0) + stream.in_bytes + stream.out_bytes
        if stream.publisher in part_watts:
            assert stream.publisher is not None
            of_publisher = pushed.setdefault(stream.publisher, {})
            of_publisher[key] = of_publisher.get(key, 0.0) + stream.in_bytes
    found: dict[tuple[str, str], float] = {}
    _share_out(found, server_watts, traffic)
    for publisher, of_publisher in pushed.items():
        _share_out(found, part_watts[publisher], of_publisher)
    return found


def _share_out(found: dict[tuple[str, str], float], watts: float | None, by: Mapping[tuple[str, str], float]) -> None:
    """Adds each stream's share of ``watts``. A single stream gets all of it; several without traffic cannot be told
    apart."""
    whole = sum(by.values())
    if watts is None or not (whole > 0 or len(by) == 1):
        return
    for key, amount in by.items():
        found[key] = found.get(key, 0.0) + (watts * amount / whole if whole > 0 else watts)
