"""What is found out beside the scrapes: space on disk, tasks by state, exits, and what the machine is."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support import cgroup_tree as tree
from wattview.config import Paths
from wattview.model import LoadAverage
from wattview.probes.containers import background as container_background
from wattview.probes.containers.background import Background, ScanTarget, count_tasks, load_average, measure_space
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.exit_watch import ExitWatch
from wattview.probes.containers.machine import read_machine


def hasty(root: Path) -> Background:
    """One that looks a hundred times a second at what is below ``root``."""
    return Background(Paths(rootfs=str(root)), Disks(str(root)), walk_seconds=0.01, tasks_seconds=0.01)


def test_space_is_what_du_says_with_each_file_once(tmp_path: Path) -> None:
    layer = tmp_path / "rootfs" / "layer"
    tree.write(layer, {"a": "x" * 10_000, "deep/er/b": "y" * 5_000})
    os.link(layer / "a", layer / "deep" / "again")
    (layer / "deep" / "link").symlink_to("/etc")
    logs = tree.write(tmp_path / "rootfs" / "logs", {"json.log": "z" * 3_000})
    paths = Paths(rootfs=str(tmp_path / "rootfs"))
    space = measure_space(paths, ScanTarget(layer="/layer", logs="/logs"), {})

    def du(directory: Path, *options: str) -> int:
        said = subprocess.run(["du", "-s", "-x", *options, str(directory)], capture_output=True, check=True, text=True)
        return int(said.stdout.split()[0])

    assert space.used_bytes == du(layer, "-B1") + du(logs, "-B1")
    assert space.used_inodes == du(layer, "--inodes")
    whole = os.statvfs(layer)
    assert space.limit_bytes == whole.f_blocks * whole.f_frsize
    mounted = subprocess.run(["findmnt", "-no", "SOURCE", "-T", str(layer)], capture_output=True, check=True, text=True)
    assert space.device == mounted.stdout.strip().partition("[")[0]


def test_tasks_are_counted_by_state_and_one_that_ended_meanwhile_is_left_out(tmp_path: Path) -> None:
    for pid, state in ((1, "R"), (2, "S"), (3, "I"), (4, "D"), (5, "T"), (6, "Z")):
        tree.process(tmp_path / "proc", pid)
        stat = tmp_path / "proc" / str(pid) / "stat"
        stat.write_text(stat.read_text().replace(") S ", f") {state} "))
    # cgroup.threads lists the tasks of one cgroup; crun puts a container's below the one that Podman asked for.
    tree.write(
        tmp_path / "cgroup", {"tasks": "1\n2\n", "container/tasks": "3\n", "container/init/tasks": "4\n5\n6\n9\n"}
    )
    assert count_tasks(str(tmp_path / "proc"), str(tmp_path / "cgroup"), "tasks") == {
        "running": 1, "sleeping": 2, "uninterruptible": 1, "stopped": 1,
    }  # fmt: skip


def test_beyond_the_limit_tasks_are_not_counted_by_state(tmp_path: Path) -> None:
    tree.write(tmp_path, {"tasks": "1\n" * 5000})
    assert count_tasks("/proc", str(tmp_path), "tasks") == {}


def test_a_load_average_decays_over_its_period() -> None:
    tasks = {"running": 4, "uninterruptible": 1}
    first = load_average(None, tasks, 0.5)
    assert first == LoadAverage(running=4.0, uninterruptible=1.0)
    second = load_average(first, {"running": 0, "uninterruptible": 3}, 0.5)
    assert second == LoadAverage(running=2.0, uninterruptible=2.0)


def test_an_unreadable_disk_layer_is_a_fault_without_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()

    def refused(*_: object) -> None:
        looked.set()
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(container_background, "measure_space", refused)
    background = Background(Paths(rootfs=str(tmp_path)), Disks(str(tmp_path)), walk_seconds=0.01, tasks_seconds=0.01)
    background.follow({"x": ScanTarget(layer="/layer")})
    assert looked.wait(10)
    while background.fault is None:
        assert looked.wait(10)
    assert background.space == {}
    assert "root" in background.fault.fix
    background.close()


def test_disk_walks_end_with_their_container(tmp_path: Path) -> None:
    tree.write(tmp_path / "layer", {"a": "x"})
    background = Background(Paths(rootfs=str(tmp_path)), Disks(str(tmp_path)), walk_seconds=0.01, tasks_seconds=0.01)
    background.follow({"x": ScanTarget(layer="/layer"), "gone": ScanTarget(layer="/no-such-layer")})
    wait = threading.Event()
    for _ in range(1000):
        if "x" in background.space:
            break
        wait.wait(0.01)
    assert background.space.keys() == {"x"}
    background.follow({})
    for _ in range(1000):
        if not background.space:
            break
        wait.wait(0.01)
    assert background.space == {}
    background.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "container-space"]


def test_an_exit_is_reported_at_once_and_only_for_added_processes() -> None:
    told: list[int] = []
    heard = threading.Event()

    def exited(pid: int) -> None:
        told.append(pid)
        heard.set()

    watch = ExitWatch("/proc", exited)
    assert watch.usable
    first = subprocess.Popen(["sleep", "1000"])
    second = subprocess.Popen(["sleep", "1000"])
    try:
        watch.add(first.pid)
        second.kill()
        second.wait()
        assert not heard.wait(0.1)
        first.kill()
        assert heard.wait(10)
        assert told == [first.pid]
        watch.add(2**22 + 1)
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
        watch.close()
        watch.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "process-exits"]


def test_exits_are_not_watched_through_a_foreign_pid_namespace(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("4242424")
    watch = ExitWatch(str(tmp_path), lambda pid: None)
    assert not watch.usable
    watch.add(os.getpid())
    watch.close()


def test_the_machine_is_read_from_the_paths_that_were_set(tmp_path: Path) -> None:
    proc = tree.procfs(tmp_path / "proc", memory_kb=2048)
    for cpu, (package, core) in enumerate([(0, 0), (0, 0), (0, 1), (1, 0)]):
        tree.write(
            tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology",
            {"physical_package_id": f"{package}\n", "core_id": f"{core}\n"},
        )
    tree.write(tmp_path / "sys/devices/system/cpu/cpufreq", {"boost": "1\n"})
    tree.write(tmp_path / "sys/class/dmi/id", {"product_uuid": "UUID\n"})
    tree.write(
        tmp_path / "root/etc",
        {"machine-id": "abc\n", "os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13"\n'},
    )
    machine = read_machine(Paths(procfs=str(proc), sysfs=str(tmp_path / "sys"), rootfs=str(tmp_path / "root")))
    assert (machine.cpus, machine.physical_cores, machine.sockets) == (4, 3, 2)
    assert (machine.memory_bytes, machine.swap_bytes) == (2048 * 1024, 0)
    assert (machine.machine_id, machine.system_uuid, machine.boot_id) == ("abc", "UUID", "boot")
    assert (machine.kernel_version, machine.os_version) == ("6.1.0", "Debian GNU/Linux 13")
