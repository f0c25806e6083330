"""Performance counters of each CPU: cycles, instructions, caches, faults (perf_event_open(2)).

Which events exist depends on the processor; virtual machines usually have only the software events.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, counter, labels
from wattview.probes.kernel_files import kept_below
from wattview.probes.node.collector import NoSource
from wattview.probes.node.cpu import cpu_list

_HARDWARE, _SOFTWARE, _CACHE = 0, 1, 3
# Cache events: cache, operation, result (PERF_TYPE_HW_CACHE).
_L1D, _L1I, _LL, _ITLB, _BPU = 0, 1, 2, 4, 5
_READ, _WRITE = 0, 1
_HIT, _MISS = 0, 1


def _cache(which: int, operation: int, result: int) -> tuple[int, int]:
    return _CACHE, which | operation << 8 | result << 16


# Type and number of an event (include/uapi/linux/perf_event.h), name, help.
_EVENTS = (
    ((_HARDWARE, 0), "cpucycles_total", "Number of CPU cycles (frequency scaled)"),
    ((_HARDWARE, 1), "instructions_total", "Number of CPU instructions"),
    ((_HARDWARE, 2), "cache_refs_total", "Number of cache references (non frequency scaled)"),
    ((_HARDWARE, 3), "cache_misses_total", "Number of cache misses"),
    ((_HARDWARE, 4), "branch_instructions_total", "Number of CPU branch instructions"),
    ((_HARDWARE, 5), "branch_misses_total", "Number of CPU branch misses"),
    ((_HARDWARE, 7), "stalled_cycles_frontend_total", "Number of stalled frontend CPU cycles"),
    ((_HARDWARE, 8), "stalled_cycles_backend_total", "Number of stalled backend CPU cycles"),
    ((_HARDWARE, 9), "ref_cpucycles_total", "Number of CPU cycles"),
    ((_SOFTWARE, 2), "page_faults_total", "Number of page faults"),
    ((_SOFTWARE, 3), "context_switches_total", "Number of context switches"),
    ((_SOFTWARE, 4), "cpu_migrations_total", "Number of CPU process migrations"),
    ((_SOFTWARE, 5), "minor_faults_total", "Number of minor page faults"),
    ((_SOFTWARE, 6), "major_faults_total", "Number of major page faults"),
    (_cache(_L1D, _READ, _HIT), "cache_l1d_read_hits_total", "Number L1 data cache read hits"),
    (_cache(_L1D, _READ, _MISS), "cache_l1d_read_misses_total", "Number L1 data cache read misses"),
    (_cache(_L1D, _WRITE, _HIT), "cache_l1d_write_hits_total", "Number L1 data cache write hits"),
    (
        _cache(_L1I, _READ, _MISS), "cache_l1_instr_read_misses_total",
        "Number instruction L1 instruction read misses",
    ),
    (_cache(_ITLB, _READ, _HIT), "cache_tlb_instr_read_hits_total", "Number instruction TLB read hits"),
    (_cache(_ITLB, _READ, _MISS), "cache_tlb_instr_read_misses_total", "Number instruction TLB read misses"),
    (_cache(_LL, _READ, _HIT), "cache_ll_read_hits_total", "Number last level read hits"),
    (_cache(_LL, _READ, _MISS), "cache_ll_read_misses_total", "Number last level read misses"),
    (_cache(_LL, _WRITE, _HIT), "cache_ll_write_hits_total", "Number last level write hits"),
    (_cache(_LL, _WRITE, _MISS), "cache_ll_write_misses_total", "Number last level write misses"),
    (_cache(_BPU, _READ, _HIT), "cache_bpu_read_hits_total", "Number BPU read hits"),
    (_cache(_BPU, _READ, _MISS), "cache_bpu_read_misses_total", "Number BPU read misses"),
)  # fmt: skip

_SYSTEM_CALL = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
# perf_event_attr in its first version: type, size, config, period, sample type, read format, flags, (…).
_ATTRIBUTES = struct.Struct("=IIQQQQQIIQ")
_READ_TIMES = 0x3  # PERF_FORMAT_TOTAL_TIME_ENABLED, …_RUNNING
_WITHOUT_HYPERVISOR = 1 << 6
_VALUES = struct.Struct("=QQQ")
_CLOSE_ON_EXEC = 8
# Errors for events that this processor does not count.
_NOT_THERE = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)
_REFUSED = (errno.EACCES, errno.EPERM)


class _OpenEvent(NamedTuple):
    name: str
    cpu: int
    file: int


class Perf:
    """``node_perf_*_total{cpu}``, counted since the first scrape. Counters are opened then, and kept."""

    def __init__(self, config: Config) -> None:
        self._wanted = config.node.perf_cpus
        self._online = f"{config.paths.sysfs}/devices/system/cpu/online"
        self._counters: list[_OpenEvent] = []
        self._shown: dict[int, float] = {}

    def collect(self) -> list[Family]:
        if not self._counters:
            self._open()
        families = {name: counter(f"node_perf_{name}", help_text) for _, name, help_text in _EVENTS}
        for one in self._counters:
            value = scaled(os.read(one.file, _VALUES.size))
            if value is not None:
                # A multiplexed estimate can decrease slightly; exported values never do.
                shown = self._shown[one.file] = max(value, self._shown.get(one.file, 0))
                families[one.name].add(shown, labels(cpu=str(one.cpu)))
        return list(families.values())

    def _open(self) -> None:
        cpus = self._cpus()
        if len(cpus) * len(_EVENTS) > kept_below() // 2:
            raise ValueError(
                f"{len(cpus)} CPUs have more counters than the daemon may have files open; name fewer CPUs in "
                "node.perf_cpus, or raise LimitNOFILE"
            )
        try:
            for (kind, number), name, _ in _EVENTS:
                for cpu in cpus:
                    file = opened(kind, number, cpu)
                    if file is not None:
                        self._counters.append(_OpenEvent(name, cpu, file))
        except OSError as error:
            self._close()
            if error.errno not in _REFUSED:
                raise
            need = "counters of whole CPUs need kernel.perf_event_paranoid=0 (sysctl) or CAP_PERFMON"
            raise PermissionError(error.errno, need) from None
        if not self._counters:
            raise NoSource("neither this processor nor its kernel counts any of the events")

    def _cpus(self) -> list[int]:
        if self._wanted:
            return cpu_list(self._wanted)
        with open(self._online, encoding="ascii") as file:
            return cpu_list(file.read())

    def _close(self) -> None:
        for one in self._counters:
            os.close(one.file)
        self._counters.clear()

    def __del__(self) -> None:
        self._close()


def scaled(data: bytes) -> float | None:
    """A counter's value; None if it has not run yet.

    If there are more events than hardware counters, the kernel multiplexes them, and the value is extrapolated.
    """
    value: int
    value, enabled, running = _VALUES.unpack(data)
    if not running:
        return None if enabled else value
    return value if running >= enabled else value * enabled / running


def opened(kind: int, number: int, cpu: int) -> int | None:
    """The file of an event over everything on one CPU; None if it is not supported there. Raises OSError."""
    call = _SYSTEM_CALL.get(platform.machine())
    if call is None:
        raise NoSource(f"the number of perf_event_open is not known on {platform.machine()}")
    attributes = _ATTRIBUTES.pack(kind, _ATTRIBUTES.size, number, 0, 0, _READ_TIMES, _WITHOUT_HYPERVISOR, 0, 0, 0)
    library = ctypes.CDLL(None, use_errno=True)
    every_process, no_group = ctypes.c_int(-1), ctypes.c_int(-1)
    file: int = library.syscall(
        ctypes.c_long(call), attributes, every_process, ctypes.c_int(cpu), no_group, ctypes.c_ulong(_CLOSE_ON_EXEC)
    )
    if file >= 0:
        return file
    code = ctypes.get_errno()
    if code in _NOT_THERE:
        return None
    raise OSError(code, os.strerror(code))
