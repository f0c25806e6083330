"""The root cgroup as cAdvisor gives it: ``id="/"``, the whole machine, on trees of files and beside a real engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import cgroup_tree as tree
from tests.support.docker_engine import Engine, docker_engine
from tests.support.node_exporter import Exposition
from wattview.config import Config, Docker, Paths
from wattview.exposition import render
from wattview.model import Container, ContainersReading
from wattview.model import Engine as EngineUse
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.cgroups.cgroup import hierarchies
from wattview.probes.containers.cgroups.root import RootCgroup
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.machine import read_machine
from wattview.probes.containers.machine_disks import filesystems
from wattview.probes.containers.probe import ContainersProbe

__all__ = ["docker_engine"]

DISKSTATS = "254 0 vda 30 3 800 4000 50 5 1600 6000 2 9000 10000\n254 1 vda1 20 1 400 2000 40 4 800 3000 1 5000 6000\n"


def machine(root: Path, version: int) -> Paths:
    proc = tree.procfs(root / "proc", memory_kb=1_000_000)
    memory = "MemTotal: 1000000 kB\nMemFree: 400000 kB\nSwapTotal: 200000 kB\nSwapFree: 50000 kB\n"
    (proc / "meminfo").write_text(memory)
    tree.process(proc, 1)
    tree.write(
        proc,
        {
            "diskstats": DISKSTATS,
            "1/mountinfo": "27 1 254:1 / / rw - ext4 /dev/vda1 rw\n28 27 254:1 /data /data rw - ext4 /dev/vda1 rw\n"
            "29 27 0:30 / /nfs rw - nfs4 server:/export rw\n",
        },
    )
    (root / "rootfs").mkdir()
    if version == 1:
        tree.v1_mounts(root / "sys", joined=False)
        tree.v1_cgroup(root / "sys", "/")
        (root / "sys/fs/cgroup/pids/pids.current").unlink()
        (root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").unlink()
    else:
        tree.v2_mount(root / "sys")
        tree.v2_cgroup(root / "sys", "/")
        for absent in ("memory.current", "memory.peak", "memory.max", "memory.swap.current", "memory.swap.max",
                       "memory.events", "cpu.max", "cpu.weight", "pids.current", "pids.max"):  # fmt: skip
            (root / "sys/fs/cgroup" / absent).unlink()
    tree.block_device(root / "sys", "254:1", "vda1")
    return Paths(procfs=str(proc), sysfs=str(root / "sys"), rootfs=str(root / "rootfs"))


def page(paths: Paths, *containers: Container) -> Exposition:
    disks = Disks(paths.sysfs)
    mounted = hierarchies(paths.sysfs)
    assert mounted is not None
    root = RootCgroup(paths, mounted, disks, read_machine(paths))
    found = root.read(filesystems(paths, disks))
    root.close()
    engine = EngineUse(
        version="", cgroup_version=2, cpu_seconds_total=None, cpu_percent=None, memory_bytes=None, memory_percent=None
    )
    reading = ContainersReading(
        time=1000.0, monotonic=1.0, engine=engine, root=found.container, details={"/": found.detail}
    )
    return Exposition(render(cadvisor_families(reading)).decode())


def test_cgroup_v1_reports_the_use_of_the_whole_machine(tmp_path: Path) -> None:
    found = page(machine(tmp_path, 1))
    assert found.value("container_cpu_usage_seconds_total", id="/", cpu="cpu00") == 1.5
    assert found.value("container_memory_usage_bytes", id="/") == 12582912
    assert found.value("container_memory_working_set_bytes", id="/") == 12582912 - 5120000
    assert found.value("container_spec_memory_limit_bytes", id="/") == 1_000_000 * 1024
    assert found.value("container_start_time_seconds", id="/") == 1700000000


def test_version_2_takes_the_memory_in_use_from_meminfo(tmp_path: Path) -> None:
    found = page(machine(tmp_path, 2))
    assert found.value("container_cpu_usage_seconds_total", id="/", cpu="total") == 2.25
    assert found.value("container_memory_usage_bytes", id="/") == 600_000 * 1024
    assert found.value("container_memory_working_set_bytes", id="/") == 600_000 * 1024 - 5120000
    assert found.value("container_memory_swap", id="/") == 150_000 * 1024
    assert found.value("container_spec_memory_swap_limit_bytes", id="/") == 200_000 * 1024


@pytest.mark.parametrize("version", [1, 2])
def test_its_network_is_the_machines_and_its_disks_are_those_that_are_mounted(tmp_path: Path, version: int) -> None:
    paths = machine(tmp_path, version)
    found = page(paths)
    assert found.value("container_network_receive_bytes_total", id="/", interface="eth0") == 1000
    space = os.statvfs(paths.rootfs)
    assert found.labels_of("container_fs_limit_bytes") == [{"id": "/", "device": "/dev/vda1"}]
    vda1 = {"id": "/", "device": "/dev/vda1"}
    assert found.value("container_fs_limit_bytes", **vda1) == space.f_blocks * space.f_frsize
    assert found.value("container_fs_inodes_total", **vda1) == space.f_files
    assert found.value("container_fs_reads_total", **vda1) == 20
    assert found.value("container_fs_writes_bytes_total", **vda1) == 800 * 512
    assert found.value("container_fs_write_seconds_total", **vda1) == 3.0
    assert found.value("container_fs_io_current", **vda1) == 1
    assert found.value("container_fs_io_time_seconds_total", **vda1) == 5.0
    assert found.value("container_fs_io_time_weighted_seconds_total", **vda1) == 6.0
    assert found.value("container_fs_sector_reads_total", **vda1) == 400


@pytest.mark.parametrize("version", [1, 2])
def test_missing_root_cgroup_figures_are_not_samples(tmp_path: Path, version: int) -> None:
    found = page(machine(tmp_path, version))
    assert {"container_threads", "container_cpu_cfs_periods_total", "container_tasks_state"} & found.names == set()


def test_the_root_cgroup_has_no_name_so_sums_can_exclude_it(tmp_path: Path) -> None:
    found = page(machine(tmp_path, 2))
    assert all(
        set(labels) & {"name", "image"} == set()
        for name in found.names
        if name.startswith("container_") and name != "container_scrape_error"
        for labels in found.labels_of(name)
    )


def test_the_real_machine_uses_at_least_what_its_containers_use(docker_engine: Engine) -> None:
    made = docker_engine.run("in-the-root", "sh", "-c", "while :; do :; done")
    probe = ContainersProbe(Config(docker=Docker(host=docker_engine.host)))
    reading = probe.read()
    while not reading.details["/"].filesystems or not reading.containers:
        reading = probe.read()
    probe.close()
    docker_engine.remove(made)
    root = reading.details["/"]
    (container,) = [one for one in reading.containers if one.name == "in-the-root"]
    own = reading.details[container.id].counters
    assert root.counters.cpu_seconds_total is not None
    assert own.cpu_seconds_total is not None
    assert root.counters.cpu_seconds_total > own.cpu_seconds_total
    assert (root.counters.memory_usage_bytes or 0) > (own.memory_usage_bytes or 0) > 0
    assert "/" not in {one.id for one in reading.containers}, "it is no container: no dashboard, no watts"
    whole = os.statvfs("/")
    assert whole.f_blocks * whole.f_frsize in {one.size_bytes for one in root.filesystems}
