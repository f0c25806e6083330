"""Small trees of files with the kernel's own formats: a procfs, and cgroup hierarchies of either version."""

from __future__ import annotations

import os
from pathlib import Path

ID = "4bd1c81a0fb2d6d2ac9a3c8ef2b5d6e07c9e5a1cf1d6ac2de4f8f5f5a6f6b001"
OTHER_ID = "9e3f0c9b7a5d4e21bb0b6b8f2c7f4c55aa7d3e9b1c2d3e4f5a6b7c8d9e0f1a2b"

MEMORY_STAT_V1 = """\
cache 99
rss 98
total_cache 8192000
total_rss 4096000
total_rss_huge 2097152
total_mapped_file 1228800
total_dirty 4096
total_writeback 0
total_workingset_refault_anon 3
total_workingset_refault_file 5
total_swap 16384
total_pgfault 21
total_pgmajfault 2
total_inactive_anon 1024000
total_active_anon 3072000
total_inactive_file 5120000
total_active_file 3072000
total_unevictable 0
"""

MEMORY_STAT_V2 = """\
anon 4096000
file 8192000
kernel 409600
kernel_stack 16384
file_mapped 1228800
file_dirty 4096
file_writeback 0
anon_thp 2097152
inactive_anon 1024000
active_anon 3072000
inactive_file 5120000
active_file 3072000
unevictable 0
workingset_refault_anon 3
workingset_refault_file 5
pgscan 77
pgsteal 66
pgfault 21
pgmajfault 2
"""

NET_DEV = """\
Inter-|   Receive                               |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 11111 11 0 0 0 0 0 0 11111 11 0 0 0 0 0 0
  eth0: {receive} 40 1 2 0 0 0 0 {transmit} 30 3 4 0 0 0 0
"""


def psi(some: int, full: int) -> str:
    """A pressure file: microseconds."""
    averages = "avg10=0.00 avg60=0.00 avg300=0.00"
    return f"some {averages} total={some}\nfull {averages} total={full}\n"


def write(directory: Path, files: dict[str, str]) -> Path:
    """Writes files below a directory, made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def procfs(root: Path, memory_kb: int = 1_000_000) -> Path:
    """A procfs of a machine with four CPUs."""
    cpus = "".join(f"cpu{n} 1 0 1 9 0 0 0 0 0 0\n" for n in range(4))
    return write(
        root,
        {
            "meminfo": f"MemTotal: {memory_kb} kB\nMemFree: 1 kB\nMemAvailable: 1 kB\nSwapTotal: 0 kB\n",
            "stat": f"cpu 4 0 4 36 0 0 0 0 0 0\n{cpus}btime 1700000000\n",
            "sys/kernel/random/boot_id": "boot\n",
            "sys/kernel/osrelease": "6.1.0\n",
        },
    )


def process(
    root: Path, pid: int, *, name: str = "init", cgroup: str = "0::/\n", parent: int = 1, started: int = 100,
    user_ticks: int = 0, system_ticks: int = 0, resident_pages: int = 0, receive: int = 1000, transmit: int = 2000,
) -> Path:  # fmt: skip
    """One process of a procfs."""
    fields = ["0"] * 50
    fields[0], fields[1] = "S", str(parent)
    fields[11], fields[12], fields[17], fields[19], fields[21] = (
        str(user_ticks), str(system_ticks), "1", str(started), str(resident_pages),
    )  # fmt: skip
    return write(
        root / str(pid),
        {
            "cgroup": cgroup,
            "stat": f"{pid} ({name}) " + " ".join(fields) + "\n",
            "net/dev": NET_DEV.format(receive=receive, transmit=transmit),
        },
    )


def v1_mounts(sysfs: Path, *, joined: bool = True) -> Path:
    """v1's mounts as systemd makes them (``cpu,cpuacct`` and links to it) or as a plain init does (each by itself)."""
    root = sysfs / "fs" / "cgroup"
    names = ["cpu,cpuacct" if joined else "cpuacct", *([] if joined else ["cpu"]), "memory", "blkio", "pids", "systemd"]
    for name in names:
        write(root / name, {"cgroup.procs": "", "tasks": ""})
    if joined:
        for link in ("cpu", "cpuacct"):
            (root / link).symlink_to("cpu,cpuacct")
    write(root / "blkio", {"blkio.throttle.io_service_bytes": "254:0 Read 99\n254:0 Total 99\nTotal 99\n"})
    return root


def v1_cgroup(sysfs: Path, path: str, *, limit: str = "9223372036854771712", cpu_ns: tuple[int, ...] = ()) -> None:
    """One container's cgroup in every hierarchy of v1."""
    root = sysfs / "fs" / "cgroup"
    below = path.lstrip("/")
    write(
        root / "cpuacct" / below,
        {
            "cgroup.procs": "",
            "cpuacct.usage_percpu": " ".join(map(str, cpu_ns or (1_500_000_000, 0, 500_000_000, 250_000_000))) + " \n",
            "cpuacct.stat": "user 180\nsystem 40\n",
        },
    )
    write(
        root / "cpu" / below,
        {
            "cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 2500000000\nnr_bursts 1\nburst_time 500000000\n",
            "cpu.shares": "512\n",
            "cpu.cfs_period_us": "100000\n",
            "cpu.cfs_quota_us": "50000\n",
        },
    )
    write(
        root / "memory" / below,
        {
            "memory.usage_in_bytes": "12582912\n",
            "memory.max_usage_in_bytes": "20971520\n",
            "memory.failcnt": "7\n",
            "memory.kmem.usage_in_bytes": "409600\n",
            "memory.stat": MEMORY_STAT_V1,
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "memory.limit_in_bytes": f"{limit}\n",
            "memory.memsw.limit_in_bytes": "9223372036854771712\n",
            "memory.soft_limit_in_bytes": "9223372036854771712\n",
        },
    )
    write(
        root / "blkio" / below,
        {
            "blkio.throttle.io_service_bytes": "254:0 Read 1\nTotal 1\n",
            "blkio.throttle.io_service_bytes_recursive": (
                "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Async 0\n254:0 Discard 0\n"
                "254:0 Total 12288\n"
                "7:1 Read 1024\n7:1 Write 0\n7:1 Total 1024\nTotal 13312\n"
            ),
            "blkio.throttle.io_serviced_recursive": "254:0 Read 3\n254:0 Write 5\n254:0 Total 8\nTotal 8\n",
        },
    )
    write(root / "pids" / below, {"pids.current": "6\n", "pids.max": "max\n"})


def v2_mount(sysfs: Path) -> Path:
    return write(sysfs / "fs" / "cgroup", {"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.procs": ""})


def v2_cgroup(
    sysfs: Path, path: str, *, limit: str = "max", usage_usec: int = 2_250_000, quota: str = "50000 100000"
) -> Path:
    """One container's cgroup in the unified hierarchy."""
    return write(
        sysfs / "fs" / "cgroup" / path.lstrip("/"),
        {
            "cgroup.procs": "",
            "cpu.stat": (
                f"usage_usec {usage_usec}\nuser_usec 1800000\nsystem_usec 450000\n"
                "nr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\nnr_bursts 1\nburst_usec 500000\n"
            ),
            "cpu.weight": "100\n",
            "cpu.max": f"{quota}\n",
            "cpu.pressure": psi(1500000, 250000),
            "memory.current": "12582912\n",
            "memory.peak": "20971520\n",
            "memory.swap.current": "16384\n",
            "memory.stat": MEMORY_STAT_V2,
            "memory.events": "low 0\nhigh 2\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n",
            "memory.max": f"{limit}\n",
            "memory.swap.max": "max\n",
            "memory.low": "0\n",
            "memory.pressure": psi(0, 0),
            "io.stat": "254:0 rbytes=4096 wbytes=8192 rios=3 wios=5 dbytes=0 dios=0 cost.usage=250000\n"
            "7:1 rbytes=1024 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n",
            "io.pressure": psi(1000000, 0),
            "pids.current": "6\n",
            "pids.max": "100\n",
        },
    )  # fmt: skip


def block_device(sysfs: Path, numbers: str, name: str) -> None:
    directory = sysfs / "dev" / "block"
    directory.mkdir(parents=True, exist_ok=True)
    os.symlink(f"../../devices/virtual/block/{name}", directory / numbers)
