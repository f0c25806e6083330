"""The root cgroup: the resource use of the whole machine, containers included.

cAdvisor shows it as the container ``id="/"``, even if it shows only Docker's containers. The root has no limit files
and, in version 2, no file for the memory in use: it comes from /proc/meminfo, as in runc. Its network is the machine's,
its filesystems are those on block devices.
"""

from __future__ import annotations

import msgspec

from wattview.config import Paths
from wattview.model import Container, ContainerDetail, Filesystem, Machine, NicCounters
from wattview.probes import procfs
from wattview.probes.containers.cgroups.cgroup import V1_CONTROLLERS, Hierarchies, Place
from wattview.probes.containers.cgroups.files import CgroupFiles
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.machine_disks import DiskStats
from wattview.probes.containers.running_container import MeasuredUse, nic_counters
from wattview.probes.kernel_files import KernelFile, read_once

ROOT = "/"


class RootCgroup:
    """The root of the hierarchies, its files kept open. ``read`` gets the filesystems from the background thread."""

    def __init__(self, paths: Paths, mounted: Hierarchies, disks: Disks, machine: Machine) -> None:
        self._paths = paths
        self._files = _RootFiles(paths, mounted, disks)
        self._disks = DiskStats(paths.procfs)
        self._started = _boot_time(paths)
        self._files.spec = msgspec.structs.replace(
            self._files.spec,
            memory_limit_bytes=machine.memory_bytes,
            memory_swap_limit_bytes=machine.swap_bytes,
        )

    def read(self, filesystems: tuple[Filesystem, ...]) -> MeasuredUse:
        """Current use of the machine. A controller without files at the root has no figures, which is not a fault."""
        counters, _ = self._files.read()
        detail = ContainerDetail(
            id=ROOT, counters=counters, network=self._network(), filesystems=self._disks.counted(filesystems)
        )
        return MeasuredUse(Container(id=ROOT, name="", image="", cgroup=ROOT, started=self._started), detail)

    def close(self) -> None:
        self._files.close()
        self._disks.close()

    def _network(self) -> tuple[NicCounters, ...]:
        try:
            # Reopened: this process may be in a network namespace of its own, unlike /proc/1.
            return nic_counters(read_once(f"{self._paths.procfs}/1/net/dev"))
        except (OSError, ValueError):
            return ()


class _RootFiles(CgroupFiles):
    """The root's cgroup files, and in version 2 its memory in use from /proc/meminfo."""

    def __init__(self, paths: Paths, mounted: Hierarchies, disks: Disks) -> None:
        self._meminfo = KernelFile(f"{paths.procfs}/meminfo")
        controllers = ("",) if mounted.version == 2 else V1_CONTROLLERS
        directories = {name: mounted.mounts[name] for name in controllers if name in mounted.mounts}
        super().__init__(Place(ROOT, directories), mounted.version, disks)

    def text(self, controller: str, name: str, *, keep: bool = True) -> bytes | None:
        use = _IN_USE.get(name)
        if use is None:
            return super().text(controller, name, keep=keep)
        whole, free = use
        memory = procfs.meminfo(self._meminfo.read())
        return b"%d" % (memory[whole] - memory[free]) if whole in memory and free in memory else None

    def close(self) -> None:
        super().close()
        self._meminfo.close()


_IN_USE = {"memory.current": ("MemTotal", "MemFree"), "memory.swap.current": ("SwapTotal", "SwapFree")}
"""Version 2 files that the root does not have, and the /proc/meminfo fields whose difference replaces them."""


def _boot_time(paths: Paths) -> float | None:
    try:
        with open(f"{paths.procfs}/stat", "rb") as file:
            return float(procfs.boot_time(file.read()))
    except (OSError, ValueError):
        return None
