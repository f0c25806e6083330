"""The controllers' files, v1 and v2: one function per controller, and tables of their fields.

The formats are in Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the kernel; the fields have cAdvisor's
meaning, so that both show the same figures. ``files`` opens the files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar

from wattview.model import CgroupSpec, DiskIo
from wattview.probes.containers.cgroups import cgroup
from wattview.probes.containers.disks import Device, Disks
from wattview.probes.lines import integer, odd
from wattview.probes.procfs import CLOCK_TICKS_PER_SECOND, pressure

Fields = dict[str, Any]
"""Some fields of CgroupCounters, or of CgroupSpec."""

T = TypeVar("T")


class NoController(Exception):
    """The controller's files do not exist."""


class NotCounted(Exception):
    """The files exist, but this kernel counts nothing in them."""


class OpenCgroup(Protocol):
    """What a section needs of the cgroup. ``parsed`` is None if there is no such file. Unless ``detailed``, what only
    cAdvisor's metrics show is left out."""

    detailed: bool
    spec: CgroupSpec
    quota_at: str
    """Where below the cgroup its CPU quota is set: ``container/``, or "" for itself."""
    disks: Disks

    def parsed(self, controller: str, name: str, parse: Callable[[bytes], T]) -> T | None:
        """What ``parse`` makes of the file. It is shared with later calls: it is not to be changed."""

    def needed(self, controller: str, name: str, parse: Callable[[bytes], T]) -> T:
        """The same; raises NoController."""

    def v1_counts_io(self) -> bool: ...


# version 1


def _cpu_v1(files: OpenCgroup) -> Fields:
    usage = files.needed("cpuacct", "cpuacct.usage_percpu", _usage_v1)
    return {**usage, **files.needed("cpuacct", "cpuacct.stat", _modes_v1)}


def _usage_v1(data: bytes) -> Fields:
    nanoseconds = cgroup.by_cpu(data)
    return {
        "cpu_seconds_total": sum(nanoseconds) / 1e9,
        "cpu_seconds_by_cpu": tuple([spent / 1e9 for spent in nanoseconds]),
    }


def _modes_v1(data: bytes) -> Fields:
    stat = cgroup.flat(data)
    return {
        "cpu_user_seconds_total": _seconds(stat, b"user", CLOCK_TICKS_PER_SECOND),
        "cpu_system_seconds_total": _seconds(stat, b"system", CLOCK_TICKS_PER_SECOND),
    }


def _seconds(stat: dict[bytes, int], key: bytes, per_second: float) -> float | None:
    return stat[key] / per_second if key in stat else None


def _cfs_v1(files: OpenCgroup) -> Fields:
    if not files.detailed or files.spec.cpu_quota_us is None:
        return {}
    stat = files.needed("cpu", f"{files.quota_at}cpu.stat", cgroup.flat)
    return _cfs(stat, b"throttled_time", b"burst_time", 1e9)


def _cfs(stat: dict[bytes, int], throttled: bytes, burst: bytes, per_second: float) -> Fields:
    return {
        "cfs_periods_total": stat.get(b"nr_periods"),
        "cfs_throttled_periods_total": stat.get(b"nr_throttled"),
        "cfs_throttled_seconds_total": _seconds(stat, throttled, per_second),
        # Bursts exist since Linux 5.15.
        "cfs_burst_periods_total": stat.get(b"nr_bursts"),
        "cfs_burst_seconds_total": _seconds(stat, burst, per_second),
    }


_Table = tuple[tuple[str, bytes], ...]
_Parse = Callable[[bytes], Fields]

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


_BRIEF = ("memory_cache_bytes", "memory_rss_bytes", "memory_inactive_file_bytes")


def _stat_parsers(table: _Table) -> tuple[_Parse, _Parse]:
    """Of memory.stat: what a table shows, and the part of it that is shown without details."""
    brief = {key: field for field, key in table if field in _BRIEF}

    def whole(data: bytes) -> Fields:
        values = cgroup.flat(data)
        return {field: values[key] for field, key in table if key in values}

    return whole, lambda data: {
        brief[key]: number for key, number in cgroup.picked(data, brief).items() if key in brief
    }


_STAT_V1, _STAT_V2 = _stat_parsers(_MEMORY_V1), _stat_parsers(_MEMORY_V2)


def _memory(files: OpenCgroup, usage: str, stat: tuple[_Parse, _Parse]) -> Fields:
    in_use = files.needed("memory", usage, _number)
    fields = {**files.needed("memory", "memory.stat", stat[0 if files.detailed else 1]), "memory_usage_bytes": in_use}
    inactive = fields.get("memory_inactive_file_bytes")
    if in_use is not None and inactive is not None:
        # Usage and stat are two reads: for an almost empty cgroup the difference can be negative.
        fields["memory_working_set_bytes"] = max(0, in_use - inactive)
    return fields


def _memory_v1(files: OpenCgroup) -> Fields:
    fields = _memory(files, "memory.usage_in_bytes", _STAT_V1)
    if not files.detailed:
        return fields
    fields["memory_max_usage_bytes"] = files.parsed("memory", "memory.max_usage_in_bytes", _number)
    fields["memory_limit_hits_total"] = files.parsed("memory", "memory.failcnt", _number)
    fields["memory_kernel_bytes"] = files.parsed("memory", "memory.kmem.usage_in_bytes", _number)
    control = files.parsed("memory", "memory.oom_control", cgroup.flat)
    if control is not None:
        fields["oom_kills_total"] = control.get(b"oom_kill")
    return fields


def _memory_v2(files: OpenCgroup) -> Fields:
    fields = _memory(files, "memory.current", _STAT_V2)
    if not files.detailed:
        return fields
    fields["memory_max_usage_bytes"] = files.parsed("memory", "memory.peak", _number)
    fields["memory_swap_bytes"] = files.parsed("memory", "memory.swap.current", _number)
    events = files.parsed("memory", "memory.events", cgroup.flat)
    if events is not None:
        fields["memory_high_events_total"] = events.get(b"high")
        fields["memory_max_events_total"] = fields["memory_limit_hits_total"] = events.get(b"max")
        fields["oom_kills_total"] = events.get(b"oom_kill")
    return fields


def _number(data: bytes) -> int | None:
    """A file with one number; None if it is invalid."""
    try:
        return integer(data, "cgroup")
    except ValueError:
        odd("cgroup", data)
        return None


BLKIO_PREFIXES = ("blkio.throttle.", "blkio.bfq.", "blkio.")
"""The throttling layer counts for every I/O scheduler; older kernels have the schedulers' own files."""


def _io_v1(files: OpenCgroup) -> Fields:
    amounts = _blkio(files, "io_service_bytes")
    if not amounts and not files.v1_counts_io():
        raise NotCounted
    return _disks(files, amounts, _blkio(files, "io_serviced") if files.detailed else {}, {})


def _blkio(files: OpenCgroup, kind: str) -> dict[Device, dict[str, int]]:
    """The first file that lists a disk, which depends on the kernel and the disk's I/O scheduler."""
    found: dict[Device, dict[str, int]] | None = None
    for prefix in BLKIO_PREFIXES:
        for suffix in ("_recursive", ""):
            listed = files.parsed("blkio", f"{prefix}{kind}{suffix}", cgroup.blkio)
            if listed is not None:
                if listed:
                    return listed
                found = listed
                break
    if found is None:
        raise NoController
    return found


def _disks(
    files: OpenCgroup,
    amounts: dict[Device, dict[str, int]],
    counts: dict[Device, dict[str, int]],
    costs: dict[Device, dict[str, float]],
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


def _cpu_v2(files: OpenCgroup) -> Fields:
    # cpu.stat has the time even if the controller is not enabled.
    stat = files.needed("cpu", "cpu.stat", cgroup.flat)
    fields: Fields = {
        "cpu_seconds_total": _seconds(stat, b"usage_usec", 1e6),
        "cpu_user_seconds_total": _seconds(stat, b"user_usec", 1e6),
        "cpu_system_seconds_total": _seconds(stat, b"system_usec", 1e6),
    }
    if not files.detailed or files.spec.cpu_quota_us is None:
        return fields
    if files.quota_at:
        # Periods are counted where the quota is set, not in the cgroups above.
        stat = files.parsed("cpu", f"{files.quota_at}cpu.stat", cgroup.flat) or {}
    if b"nr_periods" in stat:
        fields.update(_cfs(stat, b"throttled_usec", b"burst_usec", 1e6))
    return fields


def _io_v2(files: OpenCgroup) -> Fields:
    amounts: dict[Device, dict[str, int]] = {}
    counts: dict[Device, dict[str, int]] = {}
    costs: dict[Device, dict[str, float]] = {}
    for device, values in files.needed("io", "io.stat", cgroup.io_stat).items():
        amounts[device] = {name: values[key] for key, name in _IO_BYTES if key in values}
        counts[device] = {name: values[key] for key, name in _IO_COUNTS if key in values}
        costs[device] = {key[5:]: values[key] / 1e6 for key in _IO_COSTS if key in values}
    return _disks(files, amounts, counts, costs)


_IO_BYTES = (("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard"))
_IO_COUNTS = (("rios", "Read"), ("wios", "Write"), ("dios", "Discard"))
_IO_COSTS = ("cost.usage", "cost.wait", "cost.indebt", "cost.indelay")


def _pressure_v2(files: OpenCgroup) -> Fields:
    found: dict[str, float] = {}
    for resource in ("cpu", "memory", "io") if files.detailed else ():
        stalled = files.parsed(resource, f"{resource}.pressure", pressure) or {}
        found.update({f"{resource} {kind}": seconds for kind, seconds in stalled.items()})
    return {"pressure": found}


# both


def _pids(files: OpenCgroup) -> Fields:
    return {"pids": files.needed("pids", "pids.current", lambda data: integer(data, "pids.current"))}


class CgroupSection(NamedTuple):
    """The reader of one controller's files, and the field without which it has failed."""

    controller: str
    read: Callable[[OpenCgroup], Fields]
    needed: str = ""


SECTIONS: dict[int, tuple[CgroupSection, ...]] = {
    1: (
        CgroupSection("cpuacct", _cpu_v1, "cpu_seconds_total"),
        CgroupSection("cpu", _cfs_v1),
        CgroupSection("memory", _memory_v1, "memory_usage_bytes"),
        CgroupSection("blkio", _io_v1, "disks"),
        CgroupSection("pids", _pids, "pids"),
    ),
    2: (
        CgroupSection("cpu", _cpu_v2, "cpu_seconds_total"),
        CgroupSection("memory", _memory_v2, "memory_usage_bytes"),
        CgroupSection("io", _io_v2, "disks"),
        CgroupSection("pids", _pids, "pids"),
        CgroupSection("pressure", _pressure_v2),
    ),
}


def _limit(field: str) -> Callable[[bytes], Fields]:
    return lambda data: {field: cgroup.limit(data)}


def _cpu_max(data: bytes) -> Iterable[tuple[str, int | None]]:
    quota, period = cgroup.cpu_max(data)
    return (("cpu_quota_us", quota), ("cpu_period_us", period))


SPEC: dict[int, tuple[tuple[str, str, Callable[[bytes], Any]], ...]] = {
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
        ("cpu", "cpu.weight", lambda data: {"cpu_shares": cgroup.shares_of_weight(integer(data, "cpu.weight"))}),
        ("cpu", "cpu.max", _cpu_max),
        ("memory", "memory.max", _limit("memory_limit_bytes")),
        ("memory", "memory.swap.max", _limit("memory_swap_limit_bytes")),
        ("memory", "memory.low", _limit("memory_reservation_bytes")),
        ("pids", "pids.max", _limit("pids_limit")),
    ),
}


def tightest(specs: dict[str, CgroupSpec]) -> tuple[str, CgroupSpec]:
    """The tightest limits of a cgroup and its descendants on one path, by their location: the binding CPU quota, and
    all limits.

    Shares of CPU and memory in competition with others are those of the outermost cgroup.
    """
    outermost = next(iter(specs.values()))
    at = min(specs, key=lambda where: _quota(specs[where]))

    def least(field: str) -> int | None:
        values = [value for spec in specs.values() if (value := getattr(spec, field)) is not None]
        return min(values, default=None)

    return at, CgroupSpec(
        cpu_shares=outermost.cpu_shares,
        cpu_period_us=specs[at].cpu_period_us,
        cpu_quota_us=specs[at].cpu_quota_us,
        memory_limit_bytes=least("memory_limit_bytes"),
        memory_swap_limit_bytes=least("memory_swap_limit_bytes"),
        memory_reservation_bytes=next(
            (spec.memory_reservation_bytes for spec in specs.values() if spec.memory_reservation_bytes),
            outermost.memory_reservation_bytes,
        ),
        pids_limit=least("pids_limit"),
    )


def _quota(spec: CgroupSpec) -> float:
    """The number of CPUs that a quota allows."""
    if spec.cpu_quota_us is None or not spec.cpu_period_us:
        return math.inf
    return spec.cpu_quota_us / spec.cpu_period_us
