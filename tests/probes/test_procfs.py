"""Parsers of the kernel's text files: what they promise about real text, odd text and garbage."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.probes import procfs

STAT = b"""cpu  100 20 300 4000 50 6 7 8 9 10
cpu0 60 10 200 2000 30 3 4 5 6 7
cpu2 40 10 100 2000 20 3 3 3 3 3
intr 1462898 1 0 0 9
ctxt 38014093
btime 1418183276
processes 26442
procs_running 2
procs_blocked 1
softirq 5057579 250191 1481983 1647
"""


def test_cpu_times_are_seconds_by_the_clock_tick_that_is_given() -> None:
    assert procfs.cpu_total(STAT, ticks=100) == procfs.CpuTimes(1.0, 0.2, 3.0, 40.0, 0.5, 0.06, 0.07, 0.08, 0.09, 0.1)
    assert procfs.cpu_total(STAT, ticks=1000).user == 0.1


def test_busy_time_has_guest_time_once_and_neither_idle_nor_iowait_nor_what_was_stolen() -> None:
    assert procfs.cpu_total(STAT, ticks=1).busy == 100 + 20 + 300 + 6 + 7


def test_each_cpu_keeps_its_number_where_one_is_offline() -> None:
    cpus = procfs.cpus(STAT, ticks=1)
    assert list(cpus) == [0, 2]
    assert cpus[2].idle == 2000
    assert procfs.cpu_count(STAT) == 2


def test_the_time_of_boot_is_found_by_name() -> None:
    assert procfs.boot_time(STAT) == 1418183276


def test_an_old_kernel_without_steal_and_guest_has_zeros_there() -> None:
    times = procfs.cpu_total(b"cpu 1 2 3 4\n", ticks=1)
    assert (times.user, times.idle, times.steal, times.guest_nice) == (1, 4, 0, 0)


def test_meminfo_is_bytes_where_the_kernel_says_kB_and_counts_elsewhere() -> None:
    data = b"MemTotal:       16042172 kB\nActive(anon):    1 kB\nHugePages_Total:       3\n"
    assert procfs.meminfo(data) == {"MemTotal": 16042172 * 1024, "Active(anon)": 1024, "HugePages_Total": 3}


def test_net_dev_survives_a_device_whose_name_holds_a_colon() -> None:
    data = (
        b"Inter-|   Receive                    |  Transmit\n face |bytes packets errs ...\n"
        b"  eth0:0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
        b"    lo:1296 17 0 0 0 0 0 0 1296 17 0 0 0 0 0 0\n"
    )
    alias, lo = procfs.net_dev(data)
    assert (alias.device, alias.receive_bytes, alias.transmit_bytes, alias.transmit_compressed) == ("eth0:0", 1, 9, 16)
    assert (lo.device, lo.receive_packets) == ("lo", 17)


@pytest.mark.parametrize(
    ("line", "discards", "flushes"),
    [
        (b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n", None, None),
        (b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n", 12, None),
        (b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", 12, 16),
        (b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n", 12, 16),
    ],
)
def test_diskstats_of_each_kernel_generation(line: bytes, discards: int | None, flushes: int | None) -> None:
    (disk,) = procfs.diskstats(line)
    assert (disk.device, disk.reads, disk.sectors_written, disk.weighted_io_ms) == ("sda", 1, 7, 11)
    assert (disk.discards, disk.flushes) == (discards, flushes)


def test_diskstats_leave_out_a_partition_of_an_ancient_kernel() -> None:
    assert procfs.diskstats(b"8 1 sda1 1 2 3 4\n") == []


def test_diskstats_give_the_devices_that_are_wanted() -> None:
    data = b"7 0 loop0 1 2 3 4 5 6 7 8 9 10 11\n8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"
    assert [disk.device for disk in procfs.diskstats(data, lambda device: device != "loop0")] == ["sda"]


def test_pressure_is_seconds() -> None:
    data = b"some avg10=1.50 avg60=0.25 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    assert procfs.pressure(data) == {"some": 1.5, "full": 7e-6}


def test_a_process_whose_name_holds_parentheses_and_spaces_is_read() -> None:
    fields = b" ".join(b"%d" % number for number in range(4, 53))
    found = procfs.pid_stat(b"42 (a) b) (c) S " + fields, ticks=1, page_bytes=1)
    assert (found.pid, found.name, found.state, found.parent) == (42, "a) b) (c", "S", 4)
    assert (found.user_seconds, found.system_seconds, found.threads) == (14, 15, 20)
    assert (found.started_seconds, found.resident_bytes) == (22, 24)


def test_this_process_is_read_as_the_kernel_counts_it() -> None:
    with open("/proc/self/stat", "rb") as file:
        found = procfs.pid_stat(file.read())
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert found.user_seconds + found.system_seconds == pytest.approx(used.ru_utime + used.ru_stime, abs=0.1)
    assert found.resident_bytes > 1e6
    with open("/proc/uptime", "rb") as file:
        assert found.started_seconds <= float(file.read().split()[0])


def test_mounts_are_unescaped_and_split_at_the_dash() -> None:
    data = (
        b"36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
        b"37 35 0:5 / / ro - tmpfs none\n"
    )
    first, second = procfs.mountinfo(data)
    assert (first.major, first.minor, first.root, first.mount_point) == (98, 0, "/mnt1", "/mnt 2\\x")
    assert (first.fs_type, first.source, first.super_options) == ("ext3", "/dev/root", "rw,errors=continue")
    assert (second.options, second.super_options) == ("ro", "")


@given(st.binary(max_size=60))
def test_unescape_undoes_what_the_kernel_escapes(name: bytes) -> None:
    escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in name)
    assert procfs.unescape(escaped).encode("utf-8", "surrogateescape") == name


READERS: list[Callable[[bytes], Any]] = [
    procfs.cpus,
    procfs.cpu_total,
    procfs.boot_time,
    procfs.meminfo,
    procfs.loadavg,
    procfs.net_dev,
    procfs.diskstats,
    procfs.pressure,
    procfs.pid_stat,
    procfs.mountinfo,
]

# Bytes that look like kernel files: their words and separators in any order, and plain noise.
TEXT = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.sampled_from(
            [b"cpu", b"cpu0", b"btime", b"MemTotal", b":", b" ", b"\n", b"kB", b"1", b"-7", b"9" * 30, b"some", b"(",
             b")", b"avg10=1", b"total=x", b"=", b"-", b"8:0", b"/", b"\\040", b"\\9", b"1.5", b"nan", b"\x00", b"\xff"]
        ),
        max_size=80,
    ).map(b"".join),
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(data=TEXT)
def test_a_parser_gives_values_or_a_ValueError_and_nothing_else(reader: Callable[[bytes], Any], data: bytes) -> None:
    try:
        reader(data)
    except ValueError as error:
        assert str(error)


@functools.cache
def as_it_was_once(path: str) -> bytes:
    """A file of this kernel, the same for every example."""
    return Path("/proc", path).read_bytes()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@given(data=st.data())
def test_a_kernel_file_cut_anywhere_gives_values_or_a_ValueError(
    reader: Callable[[bytes], Any], data: st.DataObject
) -> None:
    path = {
        "meminfo": "meminfo", "loadavg": "loadavg", "net_dev": "net/dev",
        "diskstats": "diskstats", "pressure": "pressure/cpu", "pid_stat": "self/stat", "mountinfo": "self/mountinfo",
    }.get(reader.__name__, "stat")  # fmt: skip
    whole = as_it_was_once(path)
    assert reader(whole) is not None
    # The file's length changes from read to read: what is drawn must not depend on it.
    cut = whole[: len(whole) * data.draw(st.integers(0, 1000)) // 1000]
    try:
        reader(cut)
    except ValueError as error:
        assert str(error)


def test_cpu_time_of_this_machine_adds_up_to_the_time_since_boot() -> None:
    with open("/proc/stat", "rb") as file:
        stat = file.read()
    spent = sum(getattr(procfs.cpu_total(stat), name) for name in procfs.CpuTimes.__struct_fields__[:8])
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert spent == pytest.approx(since_boot * len(procfs.cpus(stat)), rel=0.05)
