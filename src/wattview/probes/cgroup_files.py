"""One container's cgroup files, kept open, and what they say as ``CgroupCounters``.

Only the cgroup's own files are read, and ``<sysfs>/dev/block`` for the names of disks. A controller that is missing,
or a file that makes no sense, costs its own numbers and is a Fault; a cgroup that was removed raises CgroupGone.
The meaning of the fields is cAdvisor's, so that both show the same figures.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from typing import Any

from wattview.model import CgroupCounters, CgroupSpec, DiskIo, Fault
from wattview.probes import cgroup
from wattview.probes.files import KernelFile
from wattview.probes.procfs import CLOCK_TICKS_PER_SECOND

Fields = dict[str, Any]


OPEN_FILES = 20
"""No cgroup has more files kept open than this."""


class CgroupGone(Exception):
    """The cgroup has been removed: its container has ended."""


class DiskNames:
    """``/dev/vda`` for 254:0, out of ``<sysfs>/dev/block``; the numbers themselves where the kernel has no name."""

    def __init__(self, sysfs: str) -> None:
        self._directory = f"{sysfs}/dev/block"
        self._names: dict[cgroup.Device, str] = {}

    def name(self, device: cgroup.Device) -> str:
        found = self._names.get(device)
        if found is None:
            found = f"{device[0]}:{device[1]}"
            with contextlib.suppress(OSError):
                # A slash in a device's name is an exclamation mark in sysfs (cciss!c0d0).
                found = "/dev/" + os.path.basename(os.readlink(f"{self._directory}/{found}")).replace("!", "/")
            self._names[device] = found
        return found


class CgroupFiles:
    """The files of one container's cgroup.

    ``spec`` is read when the cgroup is opened and by ``read_spec``: the engine says when it changes it. Without
    ``keep_open`` each read opens the files anew, which costs three times as much and holds no descriptor.
    """

    def __init__(self, place: cgroup.Place, version: int, disks: DiskNames, keep_open: bool = True) -> None:
        self.path = place.path
        self._keep_open = keep_open
        self.disks = disks
        self.version = version
        self._directories = place.directories
        self._files: dict[str, KernelFile | None] = {}
        self._counts_io: bool | None = None
        self.spec = self.read_spec()

    def read(self) -> tuple[CgroupCounters, list[Fault]]:
        """All counters now, and the controllers that gave none. Raises CgroupGone."""
        fields: Fields = {}
        faults: list[Fault] = []
        for controller, section in _SECTIONS[self.version]:
            try:
                fields.update(section(self))
            except _NoController:
                faults.append(Fault(f"cgroup {controller}", *_missing(controller, self.version)))
            except _NotCounted:
                faults.append(Fault(f"cgroup {controller}", *_NOT_COUNTED))
            except (OSError, ValueError, KeyError) as error:
                faults.append(Fault(f"cgroup {controller}", f"{self.path}: {error}"))
        return CgroupCounters(spec=self.spec, **fields), faults

    def read_spec(self) -> CgroupSpec:
        """What the cgroup may use, afresh. A file that makes no sense is as one that is missing."""
        found: Fields = {}
        for controller, name, parse in _SPEC[self.version]:
            try:
                data = self.text(controller, name, keep=False)
                if data is not None:
                    found.update(parse(data))
            except (OSError, ValueError, CgroupGone):
                continue
        self.spec = CgroupSpec(**found)
        return self.spec

    @property
    def tasks_file(self) -> str:
        """The file that lists the ids of all tasks in this cgroup."""
        if self.version == 2:
            return f"{self._directories['']}/cgroup.threads"
        return f"{next(iter(self._directories.values()))}/tasks"

    def v1_counts_io(self) -> bool:
        """Whether this kernel counts block I/O by v1 cgroup at all.

        Since Linux 6.10 blkio.throttle counts only for disks that have a throttle. The root cgroup then lists no disk
        either, though every machine has read from one.
        """
        if self._counts_io is None:
            root = self._directories["blkio"].removesuffix(self.path)
            self._counts_io = False
            for prefix in _BLKIO_PREFIXES:
                with contextlib.suppress(OSError, ValueError), open(f"{root}/{prefix}io_service_bytes", "rb") as file:
                    self._counts_io = self._counts_io or bool(cgroup.blkio(file.read()))
        return self._counts_io

    def text(self, controller: str, name: str, *, keep: bool = True) -> bytes | None:
        """One file's content; None where this kernel or this cgroup has no such file. ``keep``: it stays open."""
        if name in self._files:
            file = self._files[name]
            if file is None:
                return None
        else:
            directory = self._directories.get("" if self.version == 2 else controller)
            if directory is None:
                self._files[name] = None
                return None
            file = KernelFile(f"{directory}/{name}")
            if keep:
                self._files[name] = file
        try:
            data = file.read()
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(file.path)):
                raise CgroupGone(self.path) from None
            self._files[name] = None
            return None
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise CgroupGone(self.path) from None
            if error.errno == errno.EOPNOTSUPP:
                # Pressure files of a kernel that was booted with psi=0.
                self._files[name] = None
                return None
            raise
        if not keep or not self._keep_open:
            file.close()
        return data

    def needed(self, controller: str, name: str) -> bytes:
        """The same for a file that every cgroup with this controller has."""
        data = self.text(controller, name)
        if data is None:
            raise _NoController
        return data

    def close(self) -> None:
        for file in self._files.values():
            if file is not None:
                file.close()


class _NoController(Exception):
    pass


class _NotCounted(Exception):
    pass


_NOT_COUNTED = (
    "this kernel counts no block I/O by cgroup version 1 (Linux 6.10 and later)",
    "boot with systemd.unified_cgroup_hierarchy=1: version 2 counts it",
)


def _missing(controller: str, version: int) -> tuple[str, str]:
    reason = f"the {controller} controller is not enabled for containers"
    if controller == "memory":
        return reason, "boot with cgroup_enable=memory, or delegate it: systemctl edit user@.service, Delegate=yes"
    return reason, "delegate it: systemctl edit user@.service, [Service] Delegate=yes" if version == 2 else ""


# version 1


def _cpu_v1(files: CgroupFiles) -> Fields:
    nanoseconds = [int(word) for word in files.needed("cpuacct", "cpuacct.usage_percpu").split()]
    fields: Fields = {
        "cpu_seconds_total": sum(nanoseconds) / 1e9,
        "cpu_seconds_by_cpu": tuple([spent / 1e9 for spent in nanoseconds]),
    }
    stat = cgroup.flat(files.needed("cpuacct", "cpuacct.stat"))
    fields["cpu_user_seconds_total"] = int(stat[b"user"]) / CLOCK_TICKS_PER_SECOND
    fields["cpu_system_seconds_total"] = int(stat[b"system"]) / CLOCK_TICKS_PER_SECOND
    return fields


def _cfs_v1(files: CgroupFiles) -> Fields:
    if files.spec.cpu_quota_us is None:
        return {}
    stat = cgroup.flat(files.needed("cpu", "cpu.stat"))
    return _cfs(stat, b"throttled_time", b"burst_time", 1e9)


def _cfs(stat: dict[bytes, bytes], throttled: bytes, burst: bytes, per_second: float) -> Fields:
    return {
        "cfs_periods_total": int(stat[b"nr_periods"]),
        "cfs_throttled_periods_total": int(stat[b"nr_throttled"]),
        "cfs_throttled_seconds_total": int(stat[throttled]) / per_second,
        # Bursts came with Linux 5.15.
        "cfs_burst_periods_total": int(stat[b"nr_bursts"]) if b"nr_bursts" in stat else None,
        "cfs_burst_seconds_total": int(stat[burst]) / per_second if burst in stat else None,
    }


_Table = tuple[tuple[str, bytes], ...]

_MEMORY_V1: _Table = (
    ("memory_cache_bytes", b"total_cache"),
    ("memory_rss_bytes", b"total_rss"),
    ("memory_mapped_file_bytes", b"total_mapped_file"),
    ("memory_swap_bytes", b"total_swap"),
    ("memory_active_anon_bytes", b"total_active_anon"),
    ("memory_inactive_anon_bytes", b"total_inactive_anon"),
    ("memory_active_file_bytes", b"total_active_file"),
    ("memory_inactive_file_bytes", b"total_inactive_file"),
    ("memory_anon_hugepages_bytes", b"total_rss_huge"),
    ("memory_dirty_bytes", b"total_dirty"),
    ("memory_writeback_bytes", b"total_writeback"),
    ("memory_page_faults_total", b"total_pgfault"),
    ("memory_major_page_faults_total", b"total_pgmajfault"),
    ("memory_refaults_file_total", b"total_workingset_refault_file"),
    ("memory_refaults_anon_total", b"total_workingset_refault_anon"),
)

_MEMORY_V2: _Table = (
    ("memory_cache_bytes", b"file"),
    ("memory_rss_bytes", b"anon"),
    ("memory_mapped_file_bytes", b"file_mapped"),
    ("memory_kernel_bytes", b"kernel"),
    ("memory_active_anon_bytes", b"active_anon"),
    ("memory_inactive_anon_bytes", b"inactive_anon"),
    ("memory_active_file_bytes", b"active_file"),
    ("memory_inactive_file_bytes", b"inactive_file"),
    ("memory_anon_hugepages_bytes", b"anon_thp"),
    ("memory_dirty_bytes", b"file_dirty"),
    ("memory_writeback_bytes", b"file_writeback"),
    ("memory_page_faults_total", b"pgfault"),
    ("memory_major_page_faults_total", b"pgmajfault"),
    ("memory_pages_scanned_total", b"pgscan"),
    ("memory_pages_stolen_total", b"pgsteal"),
    ("memory_refaults_file_total", b"workingset_refault_file"),
    ("memory_refaults_anon_total", b"workingset_refault_anon"),
)


def _memory(usage: bytes, stat: bytes, table: _Table) -> Fields:
    values = cgroup.flat(stat)
    fields: Fields = {field: int(values[key]) for field, key in table if key in values}
    in_use = fields["memory_usage_bytes"] = int(usage)
    inactive = fields.get("memory_inactive_file_bytes")
    # Usage and stat are two reads: the difference of an almost empty cgroup can come out below zero.
    fields["memory_working_set_bytes"] = None if inactive is None else max(0, in_use - inactive)
    return fields


def _memory_v1(files: CgroupFiles) -> Fields:
    fields = _memory(files.needed("memory", "memory.usage_in_bytes"), files.needed("memory", "memory.stat"), _MEMORY_V1)
    fields["memory_max_usage_bytes"] = _number(files.text("memory", "memory.max_usage_in_bytes"))
    fields["memory_limit_hits_total"] = _number(files.text("memory", "memory.failcnt"))
    fields["memory_kernel_bytes"] = _number(files.text("memory", "memory.kmem.usage_in_bytes"))
    control = files.text("memory", "memory.oom_control")
    if control is not None:
        fields["oom_kills_total"] = _number(cgroup.flat(control).get(b"oom_kill"))
    return fields


def _memory_v2(files: CgroupFiles) -> Fields:
    fields = _memory(files.needed("memory", "memory.current"), files.needed("memory", "memory.stat"), _MEMORY_V2)
    fields["memory_max_usage_bytes"] = _number(files.text("memory", "memory.peak"))
    fields["memory_swap_bytes"] = _number(files.text("memory", "memory.swap.current"))
    data = files.text("memory", "memory.events")
    if data is not None:
        events = cgroup.flat(data)
        fields["memory_high_events_total"] = _number(events.get(b"high"))
        fields["memory_max_events_total"] = fields["memory_limit_hits_total"] = _number(events.get(b"max"))
        fields["oom_kills_total"] = _number(events.get(b"oom_kill"))
    return fields


def _number(data: bytes | None) -> int | None:
    return None if data is None else int(data)


_BLKIO_PREFIXES = ("blkio.throttle.", "blkio.bfq.", "blkio.")
"""The throttling layer counts for every I/O scheduler; the schedulers' own files are what older kernels have."""


def _io_v1(files: CgroupFiles) -> Fields:
    amounts = _blkio(files, "io_service_bytes")
    if not amounts and not files.v1_counts_io():
        raise _NotCounted
    return _disks(files, amounts, _blkio(files, "io_serviced"), {})


def _blkio(files: CgroupFiles, kind: str) -> dict[cgroup.Device, dict[str, int]]:
    """The first file that lists a disk: it depends on the kernel and on the disk's I/O scheduler which one does."""
    found: dict[cgroup.Device, dict[str, int]] | None = None
    for prefix in _BLKIO_PREFIXES:
        for suffix in ("_recursive", ""):
            data = files.text("blkio", f"{prefix}{kind}{suffix}")
            if data is not None:
                found = cgroup.blkio(data)
                if found:
                    return found
                break
    if found is None:
        raise _NoController
    return found


def _disks(
    files: CgroupFiles,
    amounts: dict[cgroup.Device, dict[str, int]],
    counts: dict[cgroup.Device, dict[str, int]],
    costs: dict[cgroup.Device, dict[str, float]],
) -> Fields:
    return {
        "disks": tuple(
            [
                DiskIo(
                    device=files.disks.name(device),
                    major=device[0],
                    minor=device[1],
                    bytes_by_operation=operations,
                    ios_by_operation=counts.get(device, {}),
                    cost_seconds=costs.get(device, {}),
                )
                for device, operations in amounts.items()
            ]
        )
    }


# version 2


def _cpu_v2(files: CgroupFiles) -> Fields:
    # cpu.stat has the time even where the controller is not enabled.
    stat = cgroup.flat(files.needed("cpu", "cpu.stat"))
    fields: Fields = {
        "cpu_seconds_total": int(stat[b"usage_usec"]) / 1e6,
        "cpu_user_seconds_total": int(stat[b"user_usec"]) / 1e6,
        "cpu_system_seconds_total": int(stat[b"system_usec"]) / 1e6,
    }
    if files.spec.cpu_quota_us is not None and b"nr_periods" in stat:
        fields.update(_cfs(stat, b"throttled_usec", b"burst_usec", 1e6))
    return fields


def _io_v2(files: CgroupFiles) -> Fields:
    amounts: dict[cgroup.Device, dict[str, int]] = {}
    counts: dict[cgroup.Device, dict[str, int]] = {}
    costs: dict[cgroup.Device, dict[str, float]] = {}
    for device, values in cgroup.io_stat(files.needed("io", "io.stat")).items():
        amounts[device] = {name: values[key] for key, name in _IO_BYTES if key in values}
        counts[device] = {name: values[key] for key, name in _IO_COUNTS if key in values}
        costs[device] = {key[5:]: values[key] / 1e6 for key in _IO_COSTS if key in values}
    return _disks(files, amounts, counts, costs)


_IO_BYTES = (("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard"))
_IO_COUNTS = (("rios", "Read"), ("wios", "Write"), ("dios", "Discard"))
_IO_COSTS = ("cost.usage", "cost.wait", "cost.indebt", "cost.indelay")


def _pressure_v2(files: CgroupFiles) -> Fields:
    found: dict[str, float] = {}
    for resource in ("cpu", "memory", "io"):
        data = files.text(resource, f"{resource}.pressure")
        if data is not None:
            for kind, seconds in cgroup.stalled_seconds(data):
                found[f"{resource} {kind}"] = seconds
    return {"pressure": found}


# both


def _pids(files: CgroupFiles) -> Fields:
    return {"pids": int(files.needed("pids", "pids.current"))}


_SECTIONS: dict[int, tuple[tuple[str, Callable[[CgroupFiles], Fields]], ...]] = {
    1: (("cpuacct", _cpu_v1), ("cpu", _cfs_v1), ("memory", _memory_v1), ("blkio", _io_v1), ("pids", _pids)),
    2: (("cpu", _cpu_v2), ("memory", _memory_v2), ("io", _io_v2), ("pids", _pids), ("pressure", _pressure_v2)),
}


def _limit(field: str) -> Callable[[bytes], Fields]:
    return lambda data: {field: cgroup.limit(data)}


def _cpu_max(data: bytes) -> Iterable[tuple[str, int | None]]:
    quota, period = cgroup.cpu_max(data)
    return (("cpu_quota_us", quota), ("cpu_period_us", period))


_SPEC: dict[int, tuple[tuple[str, str, Callable[[bytes], Any]], ...]] = {
    1: (
        ("cpu", "cpu.shares", _limit("cpu_shares")),
        ("cpu", "cpu.cfs_period_us", _limit("cpu_period_us")),
        ("cpu", "cpu.cfs_quota_us", _limit("cpu_quota_us")),
        ("memory", "memory.limit_in_bytes", _limit("memory_limit_bytes")),
        ("memory", "memory.memsw.limit_in_bytes", _limit("memory_swap_limit_bytes")),
        ("memory", "memory.soft_limit_in_bytes", _limit("memory_reservation_bytes")),
        ("pids", "pids.max", _limit("pids_limit")),
    ),
    2: (
        ("cpu", "cpu.weight", lambda data: {"cpu_shares": cgroup.shares_of_weight(int(data))}),
        ("cpu", "cpu.max", _cpu_max),
        ("memory", "memory.max", _limit("memory_limit_bytes")),
        ("memory", "memory.swap.max", _limit("memory_swap_limit_bytes")),
        ("memory", "memory.low", _limit("memory_reservation_bytes")),
        ("pids", "pids.max", _limit("pids_limit")),
    ),
}
