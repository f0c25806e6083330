"""Workloads: everything that runs on the machine, divided by control groups."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from wattview.model.source import Reading

WorkloadKind = Literal["container", "pod", "unit", "session", "process", "kernel"]
"""``container`` of any engine. ``pod``: a Kubernetes pod's use outside of its containers, that is, its sandbox.
``unit``: a systemd service, scope or slice, or an otherwise unknown cgroup. ``session``: a login. ``process``: the
processes of one program that are in no other workload. ``kernel``: kernel threads and interrupts."""


class Workload(Struct, frozen=True, kw_only=True):
    """One workload. Every process belongs to exactly one, so that workloads can be summed: descendant cgroups that are
    workloads themselves are not included.

    ``id`` is its cgroup's path below the cgroup mount (``/system.slice/nginx.service``), ``program:NAME`` or
    ``kernel:NAME``. ``name`` comes from its engine, the CRI, the kubelet or systemd, and is its id until known.
    ``namespace``, ``pod`` and ``container`` are Kubernetes'; ``unit`` is systemd's name, with a user's manager in front
    (``user@1000.service/ffmpeg.service``); ``engine`` is ``docker``, ``podman``, ``containerd`` or ``crio``. Fields
    that do not apply are "". ``container_id`` is the engine's id. ``slice`` is the parent cgroup.

    ``cpu_percent`` counts one full core as 100. ``memory_bytes`` is the memory charged to the cgroup, page cache
    included; for processes, their resident memory. ``ended`` is when it ended (Unix seconds); None while it runs.
    ``power_watts`` is its share of the machine's active power, ``energy_joules_total`` the same since the daemon
    started.
    """

    id: str
    kind: WorkloadKind
    name: str
    namespace: str = ""
    pod: str = ""
    container: str = ""
    unit: str = ""
    engine: str = ""
    container_id: str = ""
    image: str = ""
    user: str = ""
    slice: str = ""
    started: float | None = None
    ended: float | None = None
    cpu_seconds_total: float | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    power_watts: float | None = None
    energy_joules_total: float | None = None


WORKLOAD_NAMES = ("kind", "name", "namespace", "pod", "container", "unit")
"""What the history knows a workload by."""


def workload_names(one: Workload) -> tuple[str, ...]:
    """Its ``WORKLOAD_NAMES``."""
    return tuple(getattr(one, name) for name in WORKLOAD_NAMES)


class WorkloadsReading(Reading, frozen=True, kw_only=True):
    """All workloads. ``ended`` are those that ended within ``workloads.ended_seconds``, with their last counters.

    ``pids`` maps processes without a cgroup of their own to their workload's id.
    """

    cgroup_version: int
    workloads: tuple[Workload, ...] = ()
    ended: tuple[Workload, ...] = ()
    pids: dict[int, str] = field(default_factory=dict)


class WorkloadProcess(Struct, frozen=True, kw_only=True):
    """One process of a workload. ``command`` is its command line without secrets, in brackets the name of a process
    without one. ``started`` is Unix seconds, ``cpu_percent`` counts one full core as 100, ``memory_bytes`` is resident.

    ``power_watts`` is an estimate: its share of the workload's power, by CPU time.
    """

    pid: int
    program: str
    command: str
    user: str
    started: float
    cpu_seconds_total: float
    cpu_percent: float | None
    memory_bytes: int
    power_watts: float | None = None


class WorkloadProcesses(Struct, frozen=True, kw_only=True):
    """The processes of a workload at ``time``, the busiest first. ``total`` is how many there are: of very many, those
    that use most CPU and most memory are listed. ``reason`` says why there are none, or why their power is unknown."""

    workload: str
    time: float
    total: int
    processes: tuple[WorkloadProcess, ...] = ()
    reason: str = ""


class WorkloadLookup:
    """Which workload a process is in, for many questions about one reading."""

    def __init__(self, reading: WorkloadsReading) -> None:
        self._by_id = {one.id: one for one in reading.workloads}
        self._pids = reading.pids

    def owner(self, cgroup: str, pid: int | None = None) -> Workload | None:
        """By its cgroup's path (``/proc/<pid>/cgroup``: the ``0::`` line, on v1 that of ``cpuacct``), or by its pid if
        it has no cgroup of its own. None if unknown."""
        path = cgroup.rstrip("/")
        while path:
            if path in self._by_id:
                return self._by_id[path]
            path = path.rpartition("/")[0]
        return self._by_id.get(self._pids.get(pid, "")) if pid is not None else None
