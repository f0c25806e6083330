"""Workloads: whatever runs on the machine, whoever started it, as the kernel's control groups divide it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from wattview.model.source import Reading

WorkloadKind = Literal["container", "pod", "unit", "session", "process", "kernel"]
"""``container`` of any engine. ``pod``: what a Kubernetes pod uses beside its containers, its sandbox. ``unit``: a
systemd service, scope or slice, or a cgroup that nobody else names. ``session``: a login. ``process``: the processes of
one program that are in no other workload. ``kernel``: kernel threads and interrupts."""


class Workload(Struct, frozen=True, kw_only=True):
    """One workload. Everything that runs belongs to exactly one, so that they can be summed: what is in a cgroup inside
    it that is a workload of its own is not counted here.

    ``id`` is its cgroup's path below the cgroup mount (``/system.slice/nginx.service``), ``program:NAME`` or
    ``kernel:NAME``. ``name`` is what people call it: by its engine, the CRI, the kubelet or systemd, and its id while
    nobody has said. ``namespace``, ``pod`` and ``container`` are Kubernetes'; ``unit`` is systemd's name, a user's
    manager before it (``user@1000.service/ffmpeg.service``); ``engine`` is ``docker``, ``podman``, ``containerd`` or
    ``crio``. All are "" where they do not apply. ``container_id`` is the engine's id. ``slice`` is the cgroup above it.

    ``cpu_percent`` counts one full core as 100. ``memory_bytes`` is what the kernel charges to the cgroup, page cache
    included; resident memory of processes. ``ended`` is when it ended (Unix seconds); None while it runs.
    ``power_watts`` is its share of the machine's active power, ``energy_joules_total`` the same since the daemon began.
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


class WorkloadsReading(Reading, frozen=True, kw_only=True):
    """All workloads. ``ended`` are those that ended within ``workloads.ended_seconds``, with their last counters.

    ``pids`` are the processes outside of cgroups of their own: the id of the workload that each is in.
    """

    cgroup_version: int
    workloads: tuple[Workload, ...] = ()
    ended: tuple[Workload, ...] = ()
    pids: dict[int, str] = field(default_factory=dict)

    def owner(self, cgroup: str, pid: int | None = None) -> str | None:
        """The id of the workload that a process is in: by the path of its cgroup (``/proc/<pid>/cgroup``: the ``0::``
        line, on v1 that of ``cpuacct``), and by its pid where it is in none of its own. None where that is not known.
        """
        known = {one.id for one in self.workloads}
        path = cgroup.rstrip("/")
        while path:
            if path in known:
                return path
            path = path.rpartition("/")[0]
        return self.pids.get(pid) if pid is not None else None
