"""All workloads of the machine: the cgroup tree, processes outside of it, and their names.

A read neither walks the tree nor queries engines: it reads the counters of the known cgroups. Ended workloads are kept
for ``workloads.ended_seconds`` with their last counters.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from wattview.config import Config
from wattview.model import Fault, Workload, WorkloadsReading
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.containers.cgroups.cgroup import hierarchies
from wattview.probes.kernel_files import KernelFile
from wattview.probes.procfs import cpu_total
from wattview.probes.rates import Rate
from wattview.probes.workloads.cgroup import WorkloadCgroup
from wattview.probes.workloads.engines import NameSources
from wattview.probes.workloads.loose import LooseProcesses, Program
from wattview.probes.workloads.names import Names
from wattview.probes.workloads.tree import CgroupTree

FIRST_NAMES_SECONDS = 1.0
"""How long the first read waits for names."""

MOST_ENDED = 2000
"""Maximum number of ended workloads that are kept."""


class WorkloadsProbe:
    """``read`` raises SourceAbsent if no cgroups are mounted, or none with CPU accounting."""

    def __init__(self, config: Config) -> None:
        self._paths = config.paths
        self._keep = config.workloads.ended_seconds
        self._names = Names(NameSources(config), config.paths.rootfs)
        self._stat = KernelFile(f"{config.paths.procfs}/stat", size=16384)
        self._interrupts = Rate()
        self._tree: CgroupTree | None = None
        self._loose: LooseProcesses | None = None
        self._ended: list[tuple[Workload, float]] = []

    def read(self) -> WorkloadsReading:
        first = self._tree is None
        tree, loose = self._open()
        now, monotonic = time.time(), time.monotonic()
        faults = [tree.fault] if tree.fault is not None else []
        with tree.lock:
            cgroups = tree.read()
            self._names.look(one.place.container_id for one in cgroups if one.place and one.place.container_id)
            if first:
                self._names.wait(FIRST_NAMES_SECONDS)
            sandboxes = self._sandboxes(cgroups)
            found = [
                self._workload(one, sandbox=sandboxes.get(one.path))
                for one in cgroups
                if (_is_shown(one) or one.path in sandboxes) and not self._is_sandbox(one)
            ]
            self._ended = [(one, at) for one, at in self._ended if monotonic - at < self._keep][-MOST_ENDED:]
            outside = self._outside(loose, now, monotonic, faults)
            ended = tuple([one for one, _ in self._ended])
        return WorkloadsReading(
            time=now,
            monotonic=monotonic,
            faults=(*faults, *self._names.faults),
            cgroup_version=tree.version,
            workloads=(*found, *outside),
            ended=ended,
            pids={pid: f"program:{name}" for pid, name in loose.pids().items()},
        )

    def close(self) -> None:
        self._names.close()
        self._stat.close()
        if self._tree is not None:
            self._tree.close()
        if self._loose is not None:
            self._loose.close()

    def _open(self) -> tuple[CgroupTree, LooseProcesses]:
        if self._tree is None or self._loose is None:
            mounted = hierarchies(self._paths.sysfs)
            if mounted is None or ("" if mounted.version == 2 else "cpuacct") not in mounted.mounts:
                raise SourceAbsent(
                    f"no control groups that count CPU time are mounted below {self._paths.sysfs}/fs/cgroup",
                    "set paths.sysfs to where the host's /sys is mounted",
                )
            try:
                self._tree = CgroupTree(mounted, self._paths.procfs, self._on_start, self._on_end)
            except PermissionError as error:
                raise SourceRefused(f"{error.filename} may not be read") from None
            except OSError as error:
                raise SourceBroken(f"control groups: {error}") from None
            self._loose = LooseProcesses(self._paths.procfs, self._tree.root.directory)
        return self._tree, self._loose

    def _outside(self, loose: LooseProcesses, now: float, monotonic: float, faults: list[Fault]) -> list[Workload]:
        """Programs outside of cgroups, and the kernel."""
        found = []
        try:
            for program in loose.read(now, monotonic):
                self._remember(_of_program(program, now), monotonic)
            found = [_of_program(program) for program in loose.programs.values()]
            found.append(_of_kernel("threads", "kernel threads", loose.kernel.seconds, loose.kernel.percent))
        except (OSError, ValueError) as error:
            faults.append(Fault("root cgroup", f"processes outside of control groups are unknown: {error}"))
        try:
            times = cpu_total(self._stat.read())
            spent = times.irq + times.softirq
            rate = self._interrupts.update(monotonic, spent)
            found.append(_of_kernel("interrupts", "interrupts", spent, None if rate is None else rate * 100))
        except (OSError, ValueError) as error:
            faults.append(Fault("interrupts", str(error)))
        return found

    def _on_start(self, one: WorkloadCgroup) -> None:
        if one.place is not None and one.place.container_id:
            self._names.expect(one.place.container_id)

    def _on_end(self, one: WorkloadCgroup) -> None:
        """Called in the thread that noticed the end; the tree's lock is held."""
        if _is_shown(one) and not self._is_sandbox(one):
            self._remember(self._workload(one, ended=time.time()), time.monotonic())

    def _is_sandbox(self, one: WorkloadCgroup) -> bool:
        """Whether it is a pod's sandbox, in the pod's cgroup: both are the pod."""
        if one.place is None or not one.place.pod_uid or not one.place.container_id:
            return False
        named = self._names.containers.get(one.place.container_id)
        return named is not None and named.sandbox

    def _sandboxes(self, cgroups: Iterable[WorkloadCgroup]) -> dict[str, WorkloadCgroup]:
        """The sandboxes' cgroups, by the path of their pod's."""
        return {one.owner.path: one for one in cgroups if one.owner is not None and self._is_sandbox(one)}

    def _remember(self, ended: Workload, monotonic: float) -> None:
        self._ended.append((ended, monotonic))

    def _workload(
        self, one: WorkloadCgroup, ended: float | None = None, sandbox: WorkloadCgroup | None = None
    ) -> Workload:
        """``sandbox`` is the pod's, which is the pod as well."""
        place, names = one.place, self._names
        assert place is not None
        of_sandbox, memory = 0.0, one.memory_bytes
        if sandbox is not None:
            of_sandbox = sandbox.seconds or 0.0
            memory = None if None in (memory, sandbox.memory_bytes) else (memory or 0) + (sandbox.memory_bytes or 0)
        named = names.containers.get(place.container_id) if place.container_id else None
        pod = names.pods.get(place.pod_uid) if place.pod_uid else None
        about = named or pod
        user = names.user(place.uid)
        if named is not None:
            name = named.name
        elif place.kind == "pod":
            name = pod.pod if pod is not None else place.pod_uid
        elif place.kind == "session":
            name = user
        else:
            name = place.container_id or place.unit.rpartition("/")[2] or one.path
        return Workload(
            id=one.path,
            kind="pod" if named is not None and named.sandbox else place.kind,
            name=name,
            namespace=about.namespace if about is not None else "",
            pod=about.pod if about is not None else "",
            container=named.container if named is not None else "",
            unit=place.unit,
            engine=named.engine if named is not None and named.engine != "kubelet" else place.engine,
            container_id=place.container_id,
            image=named.image if named is not None else "",
            user=user,
            slice=one.parent.path if one.parent is not None else one.path.rpartition("/")[0],
            started=one.started,
            ended=ended,
            cpu_seconds_total=None if one.seconds is None else one.seconds + of_sandbox,
            cpu_percent=None if ended is not None else one.percent,
            memory_bytes=None if ended is not None else memory,
        )


def _is_shown(one: WorkloadCgroup) -> bool:
    """A workload that contains others is shown if it has used something itself."""
    return one.place is not None and (not one.place.residue or bool(one.seconds))


def _of_program(program: Program, ended: float | None = None) -> Workload:
    return Workload(
        id=f"program:{program.name}",
        kind="process",
        name=program.name,
        started=program.started,
        ended=ended,
        cpu_seconds_total=program.seconds,
        cpu_percent=program.percent if ended is None else None,
        memory_bytes=program.resident_bytes if ended is None else None,
    )


def _of_kernel(id: str, name: str, seconds: float, percent: float | None) -> Workload:
    return Workload(id=f"kernel:{id}", kind="kernel", name=name, cpu_seconds_total=seconds, cpu_percent=percent)
