"""One running container: its open files, its rates, and the resulting figures.

Only the container's cgroup and ``<procfs>/<pid>`` of its init are read. The latter's ``net/dev`` is reopened each time:
an open file of a network namespace keeps the namespace alive after its container has ended.
"""

from __future__ import annotations

import os
import time

import msgspec
from msgspec import Struct

from wattview.model import (
    CgroupCounters,
    CgroupSpec,
    Container,
    ContainerDetail,
    DiskSpace,
    Fault,
    LoadAverage,
    Nic,
    NicCounters,
)
from wattview.model.containers import DescribedContainer
from wattview.probes import procfs
from wattview.probes.containers.background import ScanTarget
from wattview.probes.containers.cgroups.cgroup import Hierarchies, locate, parse_pid_cgroup
from wattview.probes.containers.cgroups.files import CgroupFiles, CgroupGone
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.docker_engine import ContainerInfo
from wattview.probes.kernel_files import read_once
from wattview.probes.rates import Rate, Rates

_FOREIGN_DEVICES = (b"lo", b"veth", b"docker", b"nerdctl")
"""Interfaces that cAdvisor leaves out: loopback, and the host's ends of other containers' links."""


class MeasuredUse(Struct, frozen=True):
    """One container at one moment: the figures shown, and the details."""

    container: Container
    detail: ContainerDetail


def nic_counters(data: bytes) -> tuple[NicCounters, ...]:
    """The interfaces of a network namespace, from its /proc/<pid>/net/dev, without those that cAdvisor leaves out."""
    return tuple(
        [
            NicCounters(
                device=line.device,
                receive_bytes=line.receive_bytes,
                receive_packets=line.receive_packets,
                receive_errors=line.receive_errs,
                receive_dropped=line.receive_drop,
                transmit_bytes=line.transmit_bytes,
                transmit_packets=line.transmit_packets,
                transmit_errors=line.transmit_errs,
                transmit_dropped=line.transmit_drop,
            )
            for line in procfs.net_dev(data, leave_out=_FOREIGN_DEVICES)
        ]
    )


class RunningContainer:
    """A container from its start to its end. ``info`` is the engine's latest description."""

    def __init__(
        self,
        info: ContainerInfo,
        procfs_root: str,
        mounted: Hierarchies | None,
        disks: Disks,
        machine_memory_bytes: int,
        keep_open: bool = True,
    ) -> None:
        self.info = info
        self._directory = f"{procfs_root}/{info.pid}"
        self._disks = disks
        self._machine_memory_bytes = machine_memory_bytes
        self._last: MeasuredUse | None = None
        self._cpu = Rate()
        self._reads = Rate()
        self._writes = Rate()
        self._nics = Rates()
        self._net_dev: tuple[bytes, tuple[NicCounters, ...]] = b"", ()
        self._cgroup: CgroupFiles | None = None
        if mounted is not None:
            place = locate(mounted, info.id, self._named_cgroups())
            if place is not None:
                self._cgroup = CgroupFiles(place, mounted.version, disks, keep_open)

        self.target = ScanTarget(
            layer=self._own_layer(),
            logs=os.path.dirname(info.log_path),
            tasks=("", "") if self._cgroup is None else self._cgroup.tasks,
        )

    @property
    def has_cgroup(self) -> bool:
        return self._cgroup is not None

    def update(self, info: ContainerInfo) -> None:
        """Takes a new description, and reads the limits again, as they may have changed."""
        self.info = info
        if self._cgroup is not None:
            self._cgroup.read_spec()

    def read(
        self,
        faults: dict[str, Fault],
        space: DiskSpace | None = None,
        tasks: dict[str, int] | None = None,
        load: LoadAverage | None = None,
        *,
        detailed: bool = True,
    ) -> MeasuredUse:
        """Current use, with the slow figures from the background thread. Unless ``detailed``, without what only
        cAdvisor's metrics show.

        Parts without figures are added to ``faults``. Raises CgroupGone.
        """
        if self._cgroup is None:
            faults[f"container {self.info.name}"] = _no_cgroup(self.info)
            detail = ContainerDetail(id=self.info.id, counters=_NO_COUNTERS)
            return MeasuredUse(self._container("", _NO_COUNTERS, (), time.monotonic()), detail)
        monotonic = time.monotonic()
        counters, missing = self._cgroup.read(detailed)
        if detailed and self._cgroup.version == 2 and self.info.cpu_shares is not None:
            # The weight does not determine the shares; the engine knows them.
            counters = msgspec.structs.replace(
                counters, spec=msgspec.structs.replace(counters.spec, cpu_shares=self.info.cpu_shares)
            )
        for fault in missing:
            faults.setdefault(fault.part, fault)
        network = self._read_network(faults) if self.info.own_network else ()
        container = self._container(self._cgroup.path, counters, network, monotonic)
        detail = ContainerDetail(
            id=self.info.id, counters=counters, network=network, space=space, tasks=tasks or {}, load=load
        )
        self._last = MeasuredUse(container, detail)
        return self._last

    def read_last(self) -> None:
        """Reads the counters once more, when its init has exited or is about to; gauges are skipped."""
        if self._cgroup is None:
            return
        try:
            counters, _ = self._cgroup.read()
        except CgroupGone:
            return
        last = self._last
        if last is not None:
            now = {field: getattr(counters, field) for field in _CUMULATIVE}
            counters = msgspec.structs.replace(last.detail.counters, **now)
        detail = ContainerDetail(id=self.info.id, counters=counters) if last is None else last.detail
        detail = msgspec.structs.replace(detail, counters=counters)
        self._last = MeasuredUse(self._container(self._cgroup.path, counters, detail.network, time.monotonic()), detail)

    def end(self, now: float) -> MeasuredUse | None:
        """Its last counters; closes its files. None if it was never read."""
        self.read_last()
        self.close()
        if self._last is None:
            return None
        container = msgspec.structs.replace(self._last.container, state="exited", pid=None, ended=now)
        return MeasuredUse(container, self._last.detail)

    def close(self) -> None:
        if self._cgroup is not None:
            self._cgroup.close()

    def _named_cgroups(self) -> dict[str, str]:
        try:
            with open(f"{self._directory}/cgroup", "rb") as file:
                return parse_pid_cgroup(file.read())
        except (OSError, ValueError):
            return {}

    def _own_layer(self) -> str:
        """The host's directory with the container's writes: overlay's upper directory; "" for others."""
        try:
            with open(f"{self._directory}/mountinfo", "rb") as file:
                mounts = procfs.mountinfo(file.read())
        except (OSError, ValueError):
            return ""
        for mount in mounts:
            if mount.mount_point == "/" and mount.fs_type == "overlay":
                for option in mount.super_options.split(","):
                    if option.startswith("upperdir="):
                        return option.removeprefix("upperdir=")
        return ""

    def _read_network(self, faults: dict[str, Fault]) -> tuple[NicCounters, ...]:
        try:
            data = read_once(f"{self._directory}/net/dev")
            if data != self._net_dev[0]:
                self._net_dev = data, nic_counters(data)
            return self._net_dev[1]
        except FileNotFoundError:
            # Init has just ended; its cgroup follows.
            return ()
        except (OSError, ValueError) as error:
            faults.setdefault("container network", Fault("container network", f"{self.info.name}: {error}"))
            return ()

    def _container(
        self, path: str, counters: CgroupCounters, network: tuple[NicCounters, ...], monotonic: float
    ) -> Container:
        info, machine = self.info, self._machine_memory_bytes
        memory_limit = counters.spec.memory_limit_bytes
        working_set = counters.memory_working_set_bytes
        cpu = _rate(self._cpu, monotonic, counters.cpu_seconds_total)
        read, written = self._moved(counters, "Read"), self._moved(counters, "Write")
        return Container(
            **{name: getattr(info, name) for name in DescribedContainer.__struct_fields__},
            cgroup=path,
            pid=info.pid,
            cpu_seconds_total=counters.cpu_seconds_total,
            cpu_user_seconds_total=counters.cpu_user_seconds_total,
            cpu_system_seconds_total=counters.cpu_system_seconds_total,
            cpu_percent=None if cpu is None else cpu * 100,
            memory_usage_bytes=counters.memory_usage_bytes,
            memory_working_set_bytes=working_set,
            memory_rss_bytes=counters.memory_rss_bytes,
            memory_cache_bytes=counters.memory_cache_bytes,
            memory_limit_bytes=memory_limit,
            # A limit above the machine's memory has no effect.
            memory_percent=None if working_set is None else working_set / min(memory_limit or machine, machine) * 100,
            network=tuple([self._nic(nic, monotonic) for nic in network]),
            block_read_bytes_total=read,
            block_write_bytes_total=written,
            block_read_bytes_per_second=_rate(self._reads, monotonic, read),
            block_write_bytes_per_second=_rate(self._writes, monotonic, written),
            pids=counters.pids,
        )

    def _moved(self, counters: CgroupCounters, operation: str) -> int | None:
        """Bytes over all disks. A cgroup without I/O lists no disk, which is a true 0."""
        if counters.disks is None:
            return None
        return self._disks.moved(
            {(disk.major, disk.minor): disk.bytes_by_operation.get(operation, 0) for disk in counters.disks}
        )

    def _nic(self, nic: NicCounters, monotonic: float) -> Nic:
        return Nic(
            device=nic.device,
            receive_bytes_total=nic.receive_bytes,
            transmit_bytes_total=nic.transmit_bytes,
            receive_bytes_per_second=self._nics.update(f"{nic.device} in", monotonic, nic.receive_bytes),
            transmit_bytes_per_second=self._nics.update(f"{nic.device} out", monotonic, nic.transmit_bytes),
        )


_CUMULATIVE = (
    *(field for field in CgroupCounters.__struct_fields__ if field.endswith("_total")),
    "cpu_seconds_by_cpu",
    "disks",
    "pressure",
)
"""The counters among the fields of CgroupCounters; the others are gauges."""

_NO_COUNTERS = CgroupCounters(spec=CgroupSpec())


def _rate(rate: Rate, monotonic: float, value: float | None) -> float | None:
    return None if value is None else rate.update(monotonic, value)


def _no_cgroup(info: ContainerInfo) -> Fault:
    return Fault(
        f"container {info.name}",
        "its cgroup is not below paths.sysfs on this machine, or it has none of its own",
        "rootless Docker needs cgroup v2 with systemd; an engine on another machine needs a daemon there",
    )
