"""Pure parsers of the kernel's text files: bytes in, typed values out; no file is opened here.

The formats are those of Documentation/filesystems/proc.rst and Documentation/admin-guide/iostats.rst of the kernel,
and of proc(5). Every parser raises ValueError, naming the file, where the text is not of its form; lines and columns
that a newer kernel appends are ignored. Shared by the probes, which give the bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from msgspec import Struct

CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""USER_HZ: what the jiffies in /proc/stat and /proc/<pid>/stat are counted in."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


# /proc/stat


class CpuTimes(Struct, frozen=True, gc=False):
    """Seconds that one CPU, or all together, spent in each mode since boot.

    ``guest`` is inside ``user``, and ``guest_nice`` inside ``nice``: the kernel counts them twice.
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
        """What this machine's CPUs have worked: not idle, iowait, nor steal, which a hypervisor gave to others; guest
        time once."""
        return round(self.user + self.nice + self.system + self.irq + self.softirq, 6)


class Stat(Struct, frozen=True):
    """/proc/stat: CPU time, and counters since boot. A line that the kernel does not have is None."""

    total: CpuTimes
    cpus: dict[int, CpuTimes]
    interrupts: int | None
    context_switches: int | None
    boot_time: int | None
    forks: int | None
    procs_running: int | None
    procs_blocked: int | None
    softirqs: tuple[int, ...]
    """All soft interrupts, then each kind in the kernel's order; empty where the line is missing."""


def cpu_total(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND) -> CpuTimes:
    """The first line of /proc/stat alone: all CPUs together."""
    line = data[: data.find(b"\n")] if b"\n" in data else data
    name, *fields = line.split()
    if name != b"cpu":
        raise ValueError("stat: does not begin with a cpu line")
    return _cpu_times(fields, ticks)


def cpu_count(data: bytes) -> int:
    """How many CPUs /proc/stat lists: those that are online."""
    return data.count(b"\ncpu")


def boot_time(data: bytes) -> int:
    """When the machine was booted (Unix seconds), out of /proc/stat. The kernel moves it as the clock is set."""
    at = data.find(b"\nbtime ")
    if at < 0:
        raise ValueError("stat: has no btime line")
    return _int(data[at + 7 : at + 40].partition(b"\n")[0], "stat")


def stat(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND) -> Stat:
    """All of /proc/stat, less the interrupts one by one."""
    cpus: dict[int, CpuTimes] = {}
    total: CpuTimes | None = None
    counters: dict[bytes, int] = {}
    softirqs: tuple[int, ...] = ()
    for line in data.splitlines():
        name, _, rest = line.partition(b" ")
        if name == b"cpu":
            total = _cpu_times(rest.split(), ticks)
        elif name.startswith(b"cpu"):
            cpus[_int(name[3:], "stat")] = _cpu_times(rest.split(), ticks)
        elif name in _STAT_COUNTERS:
            counters[name] = _int(rest.partition(b" ")[0], "stat")
        elif name == b"softirq":
            softirqs = tuple(_int(field, "stat") for field in rest.split())
    if total is None:
        raise ValueError("stat: has no cpu line")
    return Stat(
        total=total,
        cpus=cpus,
        interrupts=counters.get(b"intr"),
        context_switches=counters.get(b"ctxt"),
        boot_time=counters.get(b"btime"),
        forks=counters.get(b"processes"),
        procs_running=counters.get(b"procs_running"),
        procs_blocked=counters.get(b"procs_blocked"),
        softirqs=softirqs,
    )


_STAT_COUNTERS = frozenset((b"intr", b"ctxt", b"btime", b"processes", b"procs_running", b"procs_blocked"))


def _cpu_times(fields: list[bytes], ticks: int) -> CpuTimes:
    if len(fields) < 4:
        raise ValueError("stat: a cpu line has fewer than four times")
    times = [_int(field, "stat") / ticks for field in fields[:10]]
    return CpuTimes(*times, *([0.0] * (10 - len(times))))


# /proc/meminfo, /proc/loadavg, /proc/uptime, /proc/vmstat


def meminfo(data: bytes) -> dict[str, int]:
    """/proc/meminfo by the kernel's own names (``MemTotal``, ``Active(anon)``): bytes; ``HugePages_*`` are counts."""
    found: dict[str, int] = {}
    for line in data.splitlines():
        name, colon, rest = line.partition(b":")
        fields = rest.split()
        if not colon or not fields:
            raise ValueError(f"meminfo: not a field: {_shown(line)}")
        factor = 1024 if fields[1:] == [b"kB"] else 1
        found[_text(name)] = _int(fields[0], "meminfo") * factor
    return found


def loadavg(data: bytes) -> tuple[float, float, float]:
    """Load over 1, 5 and 15 minutes."""
    fields = data.split()
    if len(fields) < 3:
        raise ValueError(f"loadavg: has fewer than three numbers: {_shown(data)}")
    return _float(fields[0], "loadavg"), _float(fields[1], "loadavg"), _float(fields[2], "loadavg")


def uptime(data: bytes) -> float:
    """Seconds since boot, suspend included."""
    fields = data.split()
    if not fields:
        raise ValueError("uptime: is empty")
    return _float(fields[0], "uptime")


def counters(data: bytes, file: str = "vmstat") -> dict[str, int]:
    """A file of ``name value`` lines: /proc/vmstat, and memory.stat, cpu.stat or memory.events of a cgroup."""
    found: dict[str, int] = {}
    for line in data.splitlines():
        fields = line.split()
        if len(fields) != 2:
            raise ValueError(f"{file}: not a name and a value: {_shown(line)}")
        found[_text(fields[0])] = _int(fields[1], file)
    return found


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
    """/proc/net/dev or /proc/<pid>/net/dev, in the kernel's order, without interfaces of names that begin so."""
    found = []
    for line in data.splitlines()[2:]:
        if leave_out and line.lstrip().startswith(leave_out):
            continue
        name, colon, rest = line.rpartition(b":")
        fields = rest.split()
        if not colon or len(fields) < 16:
            raise ValueError(f"net/dev: not an interface: {_shown(line)}")
        found.append(NetDev(_text(name.strip()), *[_int(field, "net/dev") for field in fields[:16]]))
    return found


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
    """The lines of the devices that are wanted. The four-number lines that kernels before 2.6.25 had for partitions
    are left out."""
    found = []
    for line in data.splitlines():
        fields = line.split()
        if len(fields) == 7:
            continue
        if len(fields) < 14:
            raise ValueError(f"diskstats: not a block device: {_shown(line)}")
        device = _text(fields[2])
        if not wanted(device):
            continue
        numbers = [_int(field, "diskstats") for field in fields[3:20]]
        major, minor = _int(fields[0], "diskstats"), _int(fields[1], "diskstats")
        found.append(DiskStat(major, minor, device, *numbers))
    return found


# pressure stall information


class Pressure(Struct, frozen=True, gc=False):
    """One line of a pressure file: shares of the last 10, 60 and 300 s in percent, and the stalled time since boot."""

    avg10: float
    avg60: float
    avg300: float
    total_seconds: float


def pressure(data: bytes) -> dict[str, Pressure]:
    """/proc/pressure/* or a cgroup's *.pressure: ``some`` and, where the kernel has it, ``full``.

    Format: Documentation/accounting/psi.rst.
    """
    found = {}
    for line in data.splitlines():
        kind, *fields = line.split()
        values = dict(_text(field).split("=", 1) for field in fields if b"=" in field)
        try:
            found[_text(kind)] = Pressure(
                float(values["avg10"]), float(values["avg60"]), float(values["avg300"]), int(values["total"]) / 1e6
            )
        except (KeyError, ValueError):
            raise ValueError(f"pressure: not a pressure line: {_shown(line)}") from None
    return found


# /proc/<pid>/stat


class PidStat(Struct, frozen=True, gc=False):
    """One process: CPU seconds (its own, not its children's), when it started (seconds after boot), resident bytes."""

    pid: int
    name: str
    state: str
    parent: int
    user_seconds: float
    system_seconds: float
    threads: int
    started_seconds: float
    resident_bytes: int


def pid_stat(data: bytes, ticks: int = CLOCK_TICKS_PER_SECOND, page_bytes: int = PAGE_BYTES) -> PidStat:
    """/proc/<pid>/stat; the name in parentheses may itself hold spaces and parentheses."""
    head, close, tail = data.rpartition(b")")
    pid, opened, name = head.partition(b"(")
    fields = tail.split()
    if not close or not opened or len(fields) < 22:
        raise ValueError(f"pid/stat: not a process: {_shown(data)}")

    def number(column: int) -> int:
        return _int(fields[column - 3], "pid/stat")

    return PidStat(
        pid=_int(pid, "pid/stat"),
        name=_text(name),
        state=_text(fields[0]),
        parent=number(4),
        user_seconds=number(14) / ticks,
        system_seconds=number(15) / ticks,
        threads=number(20),
        started_seconds=number(22) / ticks,
        resident_bytes=number(24) * page_bytes,
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
    """/proc/<pid>/mountinfo, its octal escapes undone."""
    return list(_mounts(data))


def _mounts(data: bytes) -> Iterator[Mount]:
    for line in data.split(b"\n"):
        if not line:
            continue
        fields = line.split(b" ")
        try:
            dash = fields.index(b"-", 6)
            major, colon, minor = fields[2].partition(b":")
            fs_type, source = fields[dash + 1], fields[dash + 2]
            # A filesystem may print nothing at all as its options.
            super_options = fields[dash + 3] if len(fields) > dash + 3 else b""
        except (ValueError, IndexError):
            raise ValueError(f"mountinfo: not a mount: {_shown(line)}") from None
        if not colon:
            raise ValueError(f"mountinfo: not a mount: {_shown(line)}")
        yield Mount(
            _int(major, "mountinfo"), _int(minor, "mountinfo"), unescape(fields[3]), unescape(fields[4]),
            _text(fields[5]), unescape(fs_type), unescape(source), _text(super_options),
        )  # fmt: skip


def unescape(field: bytes) -> str:
    r"""A path out of a table file of the kernel, where space, tab, newline and backslash are written ``\040`` …"""
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


def _int(field: bytes, file: str) -> int:
    try:
        return int(field)
    except ValueError:
        raise ValueError(f"{file}: not a number: {_shown(field)}") from None


def _float(field: bytes, file: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise ValueError(f"{file}: not a number: {_shown(field)}") from None


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


def _shown(field: bytes) -> str:
    return repr(field[:80])[1:]
