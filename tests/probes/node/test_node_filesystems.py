"""Mounted filesystems: those that hang, that are read-only, and that are left out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.node_exporter import Exposition
from wattview.config import Config
from wattview.exposition import render
from wattview.probes import procfs
from wattview.probes.mounts import may_hang
from wattview.probes.node import filesystem

MOUNTS = """\
29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 29 8:2 / /data ro,relatime - ext4 /dev/sda2 rw
31 29 8:3 / /broken rw,relatime - ext4 /dev/sda3 rw,emergency_ro
32 29 8:4 / /frozen rw - ext4 /dev/sda4 ro
33 29 0:44 / /srv/media rw - nfs4 server:/media rw
34 29 0:45 / /with\\040space rw - cifs //server/it's rw
35 29 0:5 / /dev rw - devtmpfs udev rw
36 29 0:6 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
37 29 0:7 / /run rw - tmpfs tmpfs rw
38 37 0:8 / /run/credentials/x.service ro - ramfs ramfs ro
"""
SHOWN = {"/", "/data", "/broken", "/frozen", "/srv/media", "/with space", "/run"}


class Mounts:
    """statvfs(2) of which each path can be made to hang, for as long as the test wants, or to fail."""

    def __init__(self) -> None:
        self.hanging: dict[str, threading.Event] = {}
        self.failing: dict[str, OSError] = {}
        self.asked: list[str] = []

    def __call__(self, path: str) -> os.statvfs_result:
        self.asked.append(path)
        if path in self.hanging:
            self.hanging[path].wait(30)
        if path in self.failing:
            raise self.failing[path]
        return os.statvfs_result((4096, 4096, 1000, 400, 300, 50, 40, 40, 0, 255))


@pytest.fixture
def mounts() -> Mounts:
    return Mounts()


@pytest.fixture
def config(tmp_path: Path, make_config: ConfigFactory) -> Config:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text(MOUNTS)
    return make_config(f"paths.procfs={tmp_path}/proc")


def read(collector: filesystem.FilesystemCollector) -> Exposition:
    return Exposition(render(collector.collect()).decode())


def errors(exposition: Exposition) -> dict[str, str]:
    """What went wrong, by mount point."""
    return {
        labels["mountpoint"]: labels.get("device_error", "")
        for labels in exposition.labels_of("node_filesystem_device_error")
    }


def test_sizes_are_bytes_and_virtual_filesystems_are_left_out(config: Config, mounts: Mounts) -> None:
    found = read(filesystem.FilesystemCollector(config, mounts))
    assert errors(found) == dict.fromkeys(SHOWN, "")
    place = {"device": "/dev/sda1", "mountpoint": "/", "fstype": "ext4"}
    names = ("size_bytes", "free_bytes", "avail_bytes", "files", "files_free")
    assert [found.value(f"node_filesystem_{name}", **place) for name in names] == [
        4096000, 1638400, 1228800, 50, 40,
    ]  # fmt: skip


def test_a_new_or_read_only_mount_is_seen_at_the_next_scrape(config: Config, mounts: Mounts, tmp_path: Path) -> None:
    collector = filesystem.FilesystemCollector(config, mounts)
    collector.collect()
    changed = MOUNTS.replace("/ / rw,relatime", "/ / ro,relatime") + "39 29 8:5 / /new rw - ext4 /dev/sda5 rw\n"
    (tmp_path / "proc/1/mountinfo").write_text(changed)
    found = read(collector)
    readonly = {one["mountpoint"]: found.value("node_filesystem_readonly", **one)
                for one in found.labels_of("node_filesystem_readonly")}  # fmt: skip
    assert readonly.keys() == SHOWN | {"/new"}
    assert (readonly["/"], readonly["/new"]) == (1, 0)


def test_read_only_is_seen_on_the_mount_and_on_the_filesystem(config: Config, mounts: Mounts) -> None:
    found = read(filesystem.FilesystemCollector(config, mounts))
    read_only = {
        labels["mountpoint"]
        for labels in found.labels_of("node_filesystem_readonly")
        if found.value("node_filesystem_readonly", **labels)
    }
    assert read_only == {"/data", "/broken", "/frozen"}


def test_a_hanging_mount_only_loses_its_own_figures_and_recovers(
    config: Config, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "MOUNT_TIMEOUT_SECONDS", 0.2)
    release = mounts.hanging["/srv/media"] = threading.Event()
    collector = filesystem.FilesystemCollector(config, mounts)

    began = time.monotonic()
    assert errors(read(collector)) == {**dict.fromkeys(SHOWN, ""), "/srv/media": "mountpoint timeout"}
    assert time.monotonic() - began < 5

    began = time.monotonic()
    assert errors(read(collector))["/srv/media"] == "mountpoint timeout"
    assert time.monotonic() - began < 0.2, "one that did not answer is not waited for again"
    assert mounts.asked.count("/srv/media") == 1, "nor asked again while the first question is open"

    del mounts.hanging["/srv/media"]
    (asked,) = collector._slow.values()
    release.set()
    assert asked.answered.wait(5)
    found = read(collector)
    assert errors(found) == dict.fromkeys(SHOWN, "")
    assert (
        found.value("node_filesystem_size_bytes", device="server:/media", mountpoint="/srv/media", fstype="nfs4")
        == 4096000
    )


def test_mounts_that_hang_are_waited_for_together(
    config: Config, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "MOUNT_TIMEOUT_SECONDS", 0.3)
    release = threading.Event()
    mounts.hanging = {"/srv/media": release, "/with space": release}
    began = time.monotonic()
    late = errors(read(filesystem.FilesystemCollector(config, mounts)))
    took = time.monotonic() - began
    release.set()
    assert {point for point, error in late.items() if error} == {"/srv/media", "/with space"}
    assert took < 0.55


@pytest.mark.parametrize("point", ["/data", "/srv/media"])
def test_a_mount_that_refuses_says_why(config: Config, mounts: Mounts, point: str) -> None:
    mounts.failing[point] = PermissionError(13, "Permission denied")
    found = read(filesystem.FilesystemCollector(config, mounts))
    assert errors(found)[point] == "permission denied"
    assert point not in {labels["mountpoint"] for labels in found.labels_of("node_filesystem_size_bytes")}


def test_a_host_seen_through_rootfs_has_its_own_mount_points(
    config: Config, make_config: ConfigFactory, mounts: Mounts
) -> None:
    Path(config.paths.procfs, "1/mountinfo").write_text(
        "1 0 0:50 / / rw - overlay overlay rw\n29 1 8:1 / /host rw - ext4 /dev/sda1 rw\n"
        "30 29 8:2 / /host/data rw - ext4 /dev/sda2 rw\n"
    )
    inside = make_config(f"paths.procfs={config.paths.procfs}", "paths.rootfs=/host")
    found = read(filesystem.FilesystemCollector(inside, mounts))
    assert {"/", "/data"} <= set(errors(found))
    assert {"/host/", "/host/data"} <= set(mounts.asked)


def test_filters_choose_mount_points_and_types(config: Config, make_config: ConfigFactory, mounts: Mounts) -> None:
    chosen = make_config(
        f"paths.procfs={config.paths.procfs}", "node.mount_point_include=^/(data|run)$", "node.fs_type_exclude=^tmpfs$"
    )
    assert set(errors(read(filesystem.FilesystemCollector(chosen, mounts)))) == {"/data"}


def test_the_mounts_of_this_process_do_where_those_of_the_first_are_hidden(config: Config, mounts: Mounts) -> None:
    first = Path(config.paths.procfs, "1/mountinfo")
    own = Path(config.paths.procfs, "self/mountinfo")
    own.parent.mkdir()
    first.rename(own)
    assert set(errors(read(filesystem.FilesystemCollector(config, mounts)))) == SHOWN


# A FUSE server that took the mount and never answers, which is what a dead NFS or sshfs server is like.
HUNG = """
import os, sys, time
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
point = sys.argv[1]
device = os.open("/dev/fuse", os.O_RDWR)
data = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"hung", point.encode(), b"fuse.hung", 0, data):
    print("no FUSE:", os.strerror(ctypes.get_errno()))
    sys.exit(77)
from wattview import config
from wattview.probes import node
probe = node.NodeProbe(config.load(environ={"HOME": "/nonexistent"}))
began = time.monotonic()
reading = probe.read(collect={"filesystem", "loadavg"})
took = time.monotonic() - began
shown = {(f.name, text) for f in node.families(reading) for text, value in f.samples if value == 1}
late = [text for name, text in shown if name == "node_filesystem_device_error" and "mountpoint timeout" in text]
print(f"{took:.1f}", len(late), all(c.success for c in reading.collectors), flush=True)
os._exit(0)
"""


def test_a_dead_file_server_does_not_block_the_scrape(tmp_path: Path) -> None:
    point = tmp_path / "mnt"
    point.mkdir()
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", sys.executable, "-c", HUNG, str(point)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"needs root, util-linux and the kernel's FUSE: {done.stdout}{done.stderr}"
    took, late, succeeded = done.stdout.split()
    assert 1.9 < float(took) < 5
    assert (late, succeeded) == ("1", "True")


def test_mounts_below_a_hanging_mount_are_reported_with_it(
    make_config: ConfigFactory, mounts: Mounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # prometheus/node_exporter#868: the way to /mnt/nfs/scratch leads through the server that has gone.
    monkeypatch.setattr(filesystem, "MOUNT_TIMEOUT_SECONDS", 0.2)
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text(
        "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 29 0:50 / /mnt/nfs rw - nfs4 server:/x rw\n"
        "41 40 8:2 / /mnt/nfs/scratch rw - ext4 /dev/sda2 rw\n"
        "42 29 8:3 / /mnt/nfs2 rw - ext4 /dev/sda3 rw\n"
    )
    release = threading.Event()
    mounts.hanging = {"/mnt/nfs": release, "/mnt/nfs/scratch": release}
    began = time.monotonic()
    found = errors(read(filesystem.FilesystemCollector(make_config(f"paths.procfs={tmp_path}/proc"), mounts)))
    assert time.monotonic() - began < 5
    release.set()
    late = dict.fromkeys(("/mnt/nfs", "/mnt/nfs/scratch"), "mountpoint timeout")
    assert found == {"/": "", "/mnt/nfs2": "", **late}


def test_local_filesystems_cannot_block_a_reader_and_remote_ones_can() -> None:
    table = "".join(
        f"{number} 1 0:{number} / {point} rw - {kind} x rw\n"
        for number, (point, kind) in enumerate(
            {
                "/": "overlay", "/dev": "devtmpfs", "/dev/shm": "tmpfs", "/home": "autofs", "/home/me": "btrfs",
                "/media/usb": "fuseblk", "/media/usb/image": "squashfs", "/srv": "xfs",
            }.items()
        )
    )  # fmt: skip
    assert may_hang(procfs.mountinfo(table.encode())) == {
        "/", "/dev", "/home", "/home/me", "/media/usb", "/media/usb/image",
    }  # fmt: skip
