"""One cgroup's files become counters: v1 and v2, and what is missing or wrong in them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.support import cgroup_tree as tree
from tests.support.cgroup_tree import ID
from tests.support.open_files import open_files as open_descriptors
from wattview.model import CgroupCounters, CgroupSpec, DiskIo
from wattview.probes.containers.cgroups.cgroup import hierarchies, locate
from wattview.probes.containers.cgroups.files import CgroupFiles, CgroupGone
from wattview.probes.containers.disks import Disks

PATH = f"/docker/{ID}"


def open_files(sysfs: Path) -> CgroupFiles:
    found = hierarchies(str(sysfs))
    assert found is not None
    place = locate(found, ID, {})
    assert place is not None
    return CgroupFiles(place, found.version, Disks(str(sysfs)))


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    tree.v1_mounts(tmp_path)
    tree.v1_cgroup(tmp_path, PATH)
    tree.block_device(tmp_path, "254:0", "vda")
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    tree.v2_mount(tmp_path)
    tree.v2_cgroup(tmp_path, PATH)
    tree.block_device(tmp_path, "254:0", "cciss!c0d0")
    return tmp_path


def test_every_v1_counter_is_read(v1: Path) -> None:
    counters, faults = open_files(v1).read()
    assert faults == []
    assert counters == CgroupCounters(
        spec=CgroupSpec(cpu_shares=512, cpu_period_us=100000, cpu_quota_us=50000),
        cpu_seconds_total=2.25,
        cpu_user_seconds_total=1.8,
        cpu_system_seconds_total=0.4,
        cpu_seconds_by_cpu=(1.5, 0.0, 0.5, 0.25),
        cfs_periods_total=10,
        cfs_throttled_periods_total=4,
        cfs_throttled_seconds_total=2.5,
        cfs_burst_periods_total=1,
        cfs_burst_seconds_total=0.5,
        memory_usage_bytes=12582912,
        memory_max_usage_bytes=20971520,
        memory_working_set_bytes=12582912 - 5120000,
        memory_rss_bytes=4096000,
        memory_cache_bytes=8192000,
        memory_mapped_file_bytes=1228800,
        memory_swap_bytes=16384,
        memory_kernel_bytes=409600,
        memory_active_anon_bytes=3072000,
        memory_inactive_anon_bytes=1024000,
        memory_active_file_bytes=3072000,
        memory_inactive_file_bytes=5120000,
        memory_anon_hugepages_bytes=2097152,
        memory_dirty_bytes=4096,
        memory_writeback_bytes=0,
        memory_limit_hits_total=7,
        memory_page_faults_total=21,
        memory_major_page_faults_total=2,
        memory_refaults_file_total=5,
        memory_refaults_anon_total=3,
        oom_kills_total=1,
        disks=(
            DiskIo(
                device="/dev/vda",
                major=254,
                minor=0,
                bytes_by_operation={
                    "Read": 4096, "Write": 8192, "Sync": 12288, "Async": 0, "Discard": 0, "Total": 12288,
                },
                ios_by_operation={"Read": 3, "Write": 5, "Total": 8},
            ),
            DiskIo(
                device="7:1", major=7, minor=1, bytes_by_operation={"Read": 1024, "Write": 0, "Total": 1024}
            ),
        ),
        pids=6,
    )  # fmt: skip


def test_every_v2_counter_is_read(v2: Path) -> None:
    counters, faults = open_files(v2).read()
    assert faults == []
    assert counters == CgroupCounters(
        spec=CgroupSpec(
            cpu_shares=1024, cpu_period_us=100000, cpu_quota_us=50000, memory_reservation_bytes=0, pids_limit=100
        ),
        cpu_seconds_total=2.25,
        cpu_user_seconds_total=1.8,
        cpu_system_seconds_total=0.45,
        cfs_periods_total=10,
        cfs_throttled_periods_total=4,
        cfs_throttled_seconds_total=2.5,
        cfs_burst_periods_total=1,
        cfs_burst_seconds_total=0.5,
        memory_usage_bytes=12582912,
        memory_max_usage_bytes=20971520,
        memory_working_set_bytes=12582912 - 5120000,
        memory_rss_bytes=4096000,
        memory_cache_bytes=8192000,
        memory_mapped_file_bytes=1228800,
        memory_swap_bytes=16384,
        memory_kernel_bytes=409600,
        memory_active_anon_bytes=3072000,
        memory_inactive_anon_bytes=1024000,
        memory_active_file_bytes=3072000,
        memory_inactive_file_bytes=5120000,
        memory_anon_hugepages_bytes=2097152,
        memory_dirty_bytes=4096,
        memory_writeback_bytes=0,
        memory_limit_hits_total=7,
        memory_high_events_total=2,
        memory_max_events_total=7,
        memory_page_faults_total=21,
        memory_major_page_faults_total=2,
        memory_pages_scanned_total=77,
        memory_pages_stolen_total=66,
        memory_refaults_file_total=5,
        memory_refaults_anon_total=3,
        oom_kills_total=1,
        disks=(
            DiskIo(
                device="/dev/cciss/c0d0",
                major=254,
                minor=0,
                bytes_by_operation={"Read": 4096, "Write": 8192, "Discard": 0},
                ios_by_operation={"Read": 3, "Write": 5, "Discard": 0},
                cost_seconds={"usage": 0.25},
            ),
            DiskIo(
                device="7:1",
                major=7,
                minor=1,
                bytes_by_operation={"Read": 1024, "Write": 0, "Discard": 0},
                ios_by_operation={"Read": 1, "Write": 0, "Discard": 0},
            ),
        ),
        pids=6,
        pressure={
            "cpu some": 1.5, "cpu full": 0.25, "memory some": 0.0, "memory full": 0.0, "io some": 1.0, "io full": 0.0,
        },
    )  # fmt: skip


def test_a_limit_is_parsed_and_max_is_no_limit(tmp_path: Path) -> None:
    tree.v2_mount(tmp_path)
    tree.v2_cgroup(tmp_path, PATH, limit="67108864", quota="max 100000")
    files = open_files(tmp_path)
    assert files.spec.memory_limit_bytes == 67108864
    assert files.spec.memory_swap_limit_bytes is None
    counters, _ = files.read()
    assert counters.cfs_periods_total is None, "no quota, no throttling to report"


def test_a_limit_that_was_changed_is_seen_when_the_spec_is_read_again(v2: Path) -> None:
    files = open_files(v2)
    tree.v2_cgroup(v2, PATH, limit="1048576")
    assert files.read_spec().memory_limit_bytes == 1048576
    assert files.read()[0].spec.memory_limit_bytes == 1048576


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_missing_memory_controller_only_loses_memory_and_names_its_fix(
    version: str, request: pytest.FixtureRequest
) -> None:
    sysfs: Path = request.getfixturevalue(version)
    for file in sysfs.rglob("memory.*"):
        file.unlink()
    counters, (fault,) = open_files(sysfs).read()
    assert fault.part == "cgroup memory"
    assert "cgroup_enable=memory" in fault.fix
    assert counters.memory_usage_bytes is None
    assert counters.memory_working_set_bytes is None
    assert counters.cpu_seconds_total == 2.25
    assert counters.pids == 6


@pytest.mark.parametrize(
    "text", ["", "garbage\n", "usage_usec\nuser_usec 1", "usage_usec x\nuser_usec 1\nsystem_usec 1\n"]
)
def test_an_unparsable_file_only_loses_its_own_figures(v2: Path, text: str) -> None:
    tree.write(v2 / "fs/cgroup" / PATH.lstrip("/"), {"cpu.stat": text})
    counters, (fault,) = open_files(v2).read()
    assert fault.part == "cgroup cpu"
    assert counters.cpu_seconds_total is None
    assert counters.memory_usage_bytes == 12582912


def test_files_of_a_newer_kernel_may_be_missing(v2: Path) -> None:
    directory = v2 / "fs/cgroup" / PATH.lstrip("/")
    for name in ("memory.peak", "memory.swap.current", "cpu.pressure", "memory.pressure", "io.pressure"):
        (directory / name).unlink()
    counters, faults = open_files(v2).read()
    assert faults == []
    assert counters.memory_max_usage_bytes is None
    assert counters.memory_swap_bytes is None
    assert counters.pressure == {}


def test_an_old_kernels_throttle_files_without_recursion_are_used(v1: Path) -> None:
    directory = v1 / "fs/cgroup/blkio" / PATH.lstrip("/")
    (directory / "blkio.throttle.io_service_bytes_recursive").unlink()
    (directory / "blkio.throttle.io_serviced_recursive").rename(directory / "blkio.throttle.io_serviced")
    counters, faults = open_files(v1).read()
    assert faults == []
    assert counters.disks is not None
    assert [disk.bytes_by_operation for disk in counters.disks] == [{"Read": 1}]


def test_a_kernel_that_does_not_count_io_by_v1_cgroup_gives_no_number(v1: Path) -> None:
    directory = v1 / "fs/cgroup/blkio" / PATH.lstrip("/")
    for name in ("io_service_bytes_recursive", "io_serviced_recursive"):
        (directory / f"blkio.throttle.{name}").write_text("Total 0\n")
    assert open_files(v1).read()[0].disks == (), "the machine counts, and this container has done nothing"
    (v1 / "fs/cgroup/blkio/blkio.throttle.io_service_bytes").write_text("Total 0\n")
    counters, (fault,) = open_files(v1).read()
    assert counters.disks is None
    assert fault.part == "cgroup blkio"
    assert "unified_cgroup_hierarchy" in fault.fix


def test_bfqs_own_counters_are_used_where_throttling_counts_nothing(v1: Path) -> None:
    directory = v1 / "fs/cgroup/blkio" / PATH.lstrip("/")
    for name, amount in (("io_service_bytes_recursive", 512), ("io_serviced_recursive", 1)):
        (directory / f"blkio.throttle.{name}").write_text("Total 0\n")
        (directory / f"blkio.bfq.{name}").write_text(f"254:0 Read {amount}\nTotal {amount}\n")
    (disk,) = open_files(v1).read()[0].disks or ()
    assert (disk.bytes_by_operation, disk.ios_by_operation) == ({"Read": 512}, {"Read": 1})


def test_an_idle_disk_is_not_missing_data(v2: Path) -> None:
    tree.write(v2 / "fs/cgroup" / PATH.lstrip("/"), {"io.stat": ""})
    assert open_files(v2).read()[0].disks == ()
    for file in v2.rglob("io.stat"):
        file.unlink()
    assert open_files(v2).read()[0].disks is None


def test_a_working_set_is_never_below_zero(v2: Path) -> None:
    tree.write(v2 / "fs/cgroup" / PATH.lstrip("/"), {"memory.current": "4096\n"})
    assert open_files(v2).read()[0].memory_working_set_bytes == 0


def test_a_removed_cgroup_is_absent(v2: Path) -> None:
    files = open_files(v2)
    directory = v2 / "fs/cgroup" / PATH.lstrip("/")
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    with pytest.raises(CgroupGone):
        files.read()


@pytest.mark.parametrize("version", [1, 2])
def test_every_reading_shows_what_has_changed_and_what_has_not(tmp_path: Path, version: int) -> None:
    make = tree.v1_cgroup if version == 1 else tree.v2_cgroup
    (tree.v1_mounts if version == 1 else tree.v2_mount)(tmp_path)
    make(tmp_path, PATH)
    files = open_files(tmp_path)
    brief = files.read(detailed=False)[0]
    first = files.read()[0]
    assert files.read()[0] == first
    cache = "total_cache 8192000" if version == 1 else "file 8192000"
    for stat in tmp_path.rglob("memory.stat"):
        assert cache in stat.read_text()
        stat.write_text(stat.read_text().replace(cache, cache.replace("8192000", "9192000")))
    for pids in tmp_path.rglob("pids.current"):
        pids.write_text("17\n")
    changed = {"memory_cache_bytes": 9192000, "pids": 17}
    assert first.memory_cache_bytes == 8192000
    assert files.read()[0] == msgspec.structs.replace(first, **changed)
    assert files.read(detailed=False)[0] == msgspec.structs.replace(brief, **changed)


def test_files_stay_open_between_reads_and_are_closed(v1: Path) -> None:
    files = open_files(v1)
    files.read()
    held = {Path(path).name for path in open_descriptors() if str(v1) in path}
    assert {"cpuacct.usage_percpu", "memory.stat", "memory.usage_in_bytes", "pids.current"} <= held
    files.close()
    assert not [path for path in open_descriptors() if str(v1) in path]
