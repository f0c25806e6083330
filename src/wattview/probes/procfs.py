"""Pure parsers of the kernel's text files: bytes in, typed values out; no file is opened here.

The formats are those of Documentation/filesystems/proc.rst and Documentation/admin-guide/iostats.rst of the kernel, and
of proc(5). A malformed line is skipped (see ``lines``); every parser raises ValueError, naming the file, if no line has
what it looks for. Columns that a newer kernel appends are ignored. Shared by the probes, which supply the bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from msgspec import Struct

from wattview.probes.lines import integer, shown, understood

CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""USER_HZ, the unit of jiffies in /proc/stat and /proc/<pid>/stat."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


# /proc/stat


class CpuTimes(Struct, frozen=True, gc=False):
    """Seconds that one CPU, or all together, spent in each mode since boot.

    ``guest`` is part of ``user``, and ``guest_nice`` of ``nice``: the kernel counts them twice.
    """

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    softirq: float
    steal: float
    guest: float
    guest_nice: float

    @property
    def busy(self) -> float:
        """Busy time of this machine's CPUs: without idle, iowait and steal (time of other guests); guest time once."""
        return round(self.user + self.nice + self.system + self.irq + self.softirq, 6)


def cpu_total(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND) -> CpuTimes:
    """The line of /proc/stat for all CPUs together, its first one."""
    match = _CPU_TOTAL.search(data)
    if match is None:
        raise ValueError("stat: has no cpu line")
    return _cpu_times(match[1].split(), ticks)


def cpus(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND) -> dict[int, CpuTimes]:
    """The lines of /proc/stat for each CPU, by its number."""

    def cpu(line: bytes) -> tuple[int, CpuTimes] | None:
        name, _, rest = line.partition(b" ")
        if name == b"cpu" or not name.startswith(b"cpu"):
            return None
        return int(name[3:]), _cpu_times(rest.split(), ticks)

    found = dict(understood(data.splitlines(), cpu, "stat"))
    if not found:
        raise ValueError("stat: has no line of a CPU")
    return found


def cpu_count(data: bytes) -> int:
    """How many CPUs /proc/stat lists: those that are online."""
    return len(_CPU.findall(data))


def boot_time(data: bytes) -> int:
    """Time of boot (Unix seconds), from /proc/stat. The kernel changes it when the clock is set."""
    match = _BOOT_TIME.search(data)
    if match is None:
        raise ValueError("stat: has no btime line")
    return int(match[1])


_CPU_TOTAL = re.compile(rb"^cpu((?: +[0-9]+){4,}) *$", re.MULTILINE)
_CPU = re.compile(rb"^cpu[0-9]+(?: [0-9]+){4}", re.MULTILINE)
_BOOT_TIME = re.compile(rb"^btime ([0-9]{1,20})[ \t]*$", re.MULTILINE)


def _cpu_times(fields: list[bytes], ticks: int) -> CpuTimes:
    if len(fields) < 4:
        raise ValueError("stat: a cpu line has fewer than four times")
    times = [int(field) / ticks for field in fields[:10]]
    return CpuTimes(*times, *([0.0] * (10 - len(times))))


# /proc/meminfo, /proc/loadavg


MEMINFO_FIELD = re.compile(rb"^([^:\s]+):[ \t]+([0-9]{1,20})( kB)?[ \t]*$", re.MULTILINE)
"""A field of /proc/meminfo: name, value, optional unit."""


def meminfo(data: bytes) -> dict[str, int]:
    """/proc/meminfo by the kernel's own names (``MemTotal``, ``Active(anon)``): bytes; ``HugePages_*`` are counts."""
    found = {_text(name): int(value) * (1024 if unit else 1) for name, value, unit in MEMINFO_FIELD.findall(data)}
    if not found:
        raise ValueError(f"meminfo: has no field: {shown(data)}")
    return found


_LOADAVG = re.compile(rb"^([0-9.]+) ([0-9.]+) ([0-9.]+)(?: |$)", re.MULTILINE)


def loadavg(data: bytes) -> tuple[float, float, float]:
    """Load over 1, 5 and 15 minutes."""
    match = _LOADAVG.search(data)
    if match is None:
        raise ValueError(f"loadavg: does not hold three numbers: {shown(data)}")
    return float(match[1]), float(match[2]), float(match[3])


# /proc/net/dev, also of one process


class NetDev(Struct, frozen=True, gc=False):
    """One interface's line of /proc/net/dev: counters since it came up."""

    device: str
    receive_bytes: int
    receive_packets: int
    receive_errs: int
    receive_drop: int
    receive_fifo: int
    receive_frame: int
    receive_compressed: int
    receive_multicast: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errs: int
    transmit_drop: int
    transmit_fifo: int
    transmit_colls: int
    transmit_carrier: int
    transmit_compressed: int


def net_dev(data: bytes, leave_out: tuple[bytes, ...] = ()) -> list[NetDev]:
    """/proc/net/dev or /proc/<pid>/net/dev, in the kernel's order, without interfaces whose names have one of these
    prefixes."""

    def interface(line: bytes) -> NetDev | None:
        if leave_out and line.lstrip().startswith(leave_out):
            return None
        name, colon, rest = line.rpartition(b":")
        fields = rest.split()
        if not colon and b"|" in line:
            return None
        if not name.strip() or len(fields) < 16:
            raise ValueError("not an interface")
        return NetDev(_text(name.strip()), *[int(field) for field in fields[:16]])

    return understood(data.splitlines(), interface, "net/dev")


# /proc/diskstats


class DiskStat(Struct, frozen=True, gc=False):
    """One block device's line of /proc/diskstats, in the kernel's units: sectors of 512 bytes, milliseconds.

    Discards came with Linux 4.18 and flushes with 5.5: None on an older kernel.
    """

    major: int
    minor: int
    device: str
    reads: int
    reads_merged: int
    sectors_read: int
    read_ms: int
    writes: int
    writes_merged: int
    sectors_written: int
    write_ms: int
    in_progress: int
    io_ms: int
    weighted_io_ms: int
    discards: int | None = None
    discards_merged: int | None = None
    sectors_discarded: int | None = None
    discard_ms: int | None = None
    flushes: int | None = None
    flush_ms: int | None = None


SECTOR_BYTES = 512


def diskstats(data: bytes, wanted: Callable[[str], bool] = lambda device: True) -> list[DiskStat]:
    """The lines of the requested devices. The four-number lines of partitions before Linux 2.6.25 are left out."""

    def disk(line: bytes) -> DiskStat | None:
        fields = line.split()
        if len(fields) == 7:
            return None
        if len(fields) < 14:
            raise ValueError("not a block device")
        device = _text(fields[2])
        if not wanted(device):
            return None
        return DiskStat(int(fields[0]), int(fields[1]), device, *[int(field) for field in fields[3:20]])

    return understood(data.splitlines(), disk, "diskstats")


# pressure stall information


def pressure(data: bytes) -> dict[str, float]:
    """/proc/pressure/* or a cgroup's *.pressure: the stalled seconds of ``some`` and, if the kernel has it, ``full``.

    Format: Documentation/accounting/psi.rst.
    """

    def resource(line: bytes) -> tuple[str, float]:
        match = _PRESSURE.match(line)
        if match is None:
            raise ValueError("not a pressure line")
        return _text(match[1]), int(match[2]) / 1e6

    return dict(understood(data.splitlines(), resource, "pressure"))


_PRESSURE = re.compile(rb"(some|full) avg10=[0-9.]+ avg60=[0-9.]+ avg300=[0-9.]+ total=([0-9]{1,20})(?: |$)")


# /proc/<pid>/stat


class PidStat(Struct, frozen=True, gc=False):
    """One process: CPU seconds (its own, not its children's), when it started (seconds after boot), resident bytes."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    user_seconds: float
    system_seconds: float
    threads: int
    started_seconds: float
    resident_bytes: int
    flags: int = 0
    """PF_* of ``include/linux/sched.h``."""

    @property
    def of_kernel(self) -> bool:
        """Whether it is a thread of the kernel."""
        return bool(self.flags & 0x00200000)  # PF_KTHREAD


def pid_stat(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND, page_bytes: int = PAGE_BYTES) -> PidStat:
    """/proc/<pid>/stat; the name in parentheses may contain spaces and parentheses."""
    head, close, tail = data.rpartition(b")")
    pid, opened, name = head.partition(b"(")
    fields = tail.split()
    if not close or not opened or len(fields) < 22:
        raise ValueError(f"pid/stat: not a process: {shown(data)}")

    def number(column: int) -> int:
        return integer(fields[column - 3], "pid/stat")

    return PidStat(
        pid=integer(pid, "pid/stat"),
        name=name.decode("utf-8", "replace"),
        state=_text(fields[0]),
        parent=number(4),
        group=number(5),
        user_seconds=number(14) / ticks,
        system_seconds=number(15) / ticks,
        threads=number(20),
        started_seconds=number(22) / ticks,
        resident_bytes=number(24) * page_bytes,
        flags=number(9),
    )


# /proc/<pid>/mountinfo


class Mount(Struct, frozen=True, gc=False):
    """One mount as mountinfo lists it. ``options`` are the mount's own, ``super_options`` the filesystem's."""

    major: int
    minor: int
    root: str
    mount_point: str
    options: str
    fs_type: str
    source: str
    super_options: str


def mountinfo(data: bytes) -> list[Mount]:
    """/proc/<pid>/mountinfo, octal escapes decoded."""
    return understood(data.split(b"\n"), _mount, "mountinfo")


def _mount(line: bytes) -> Mount:
    fields = line.split(b" ")
    dash = fields.index(b"-", 6)
    major, _, minor = fields[2].partition(b":")
    # Some filesystems print no options at all.
    super_options = fields[dash + 3] if len(fields) > dash + 3 else b""
    return Mount(
        int(major), int(minor), unescape(fields[3]), unescape(fields[4]), _text(fields[5]),
        unescape(fields[dash + 1]), unescape(fields[dash + 2]), _text(super_options),
    )  # fmt: skip


def unescape(field: bytes) -> str:
    r"""Decodes a path from a kernel table, in which space, tab, newline and backslash are ``\040`` …"""
    if b"\\" not in field:
        return _text(field)
    first, *rest = field.split(b"\\")
    pieces = [first]
    for piece in rest:
        code = piece[:3]
        if len(code) == 3 and code.isdigit() and code < b"400" and not code.strip(b"01234567"):
            pieces.append(bytes([int(code, 8)]) + piece[3:])
        else:
            pieces.append(b"\\" + piece)
    return _text(b"".join(pieces))


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
