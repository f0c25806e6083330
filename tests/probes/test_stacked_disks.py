"""Disks that stand on one another count one another's I/O: a container's bytes are those that it moved, once.

netdata/netdata#11038: md on a disk, DRBD on md, LVM on DRBD, and every one of them with the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wattview.probes.containers.disks import Device, Disks

SDA, SDB, MD, DRBD = (8, 0), (8, 16), (9, 3), (147, 3)
LVS = [(253, minor) for minor in (35, 36, 37, 39, 61)]
GIB = 1 << 30


class Sysfs:
    """``/sys/dev/block`` with its links, and ``slaves`` as the kernel makes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[Device, str] = {}

    def disk(self, device: Device, name: str, *partitions: str) -> None:
        self._names[device] = name
        directory = self.root / "devices" / name
        (directory / "slaves").mkdir(parents=True)
        for partition in partitions:
            (directory / partition).mkdir()
            (directory / partition / "partition").write_text("1\n")
        links = self.root / "dev/block"
        links.mkdir(parents=True, exist_ok=True)
        (links / f"{device[0]}:{device[1]}").symlink_to(directory)

    def on(self, device: Device, name: str, *slaves: str) -> None:
        """A device that stands on others: disks, or partitions as ``sda/sda3``."""
        self.disk(device, name)
        for slave in slaves:
            path = self.root / "devices" / slave
            (self.root / "devices" / name / "slaves" / path.name).symlink_to(path)


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def moved(sysfs: Sysfs, amounts: dict[Device, int]) -> int:
    return Disks(str(sysfs.root)).moved(amounts)


def test_four_kinds_of_stacked_disk_count_once(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda", "sda2")
    sysfs.on(MD, "md3", "sda/sda2")
    sysfs.on(DRBD, "drbd3", "md3")
    for number, device in enumerate(LVS):
        sysfs.on(device, f"dm-{number}", "drbd3")
    assert moved(sysfs, dict.fromkeys([SDA, MD, DRBD, *LVS], 3036119040)) == 3036119040


def test_an_encrypted_disk_counts_once(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda")
    sysfs.on((253, 0), "dm-0", "sda")
    assert moved(sysfs, {SDA: GIB, (253, 0): GIB}) == GIB


def test_direct_io_is_counted_beside_stacked_io(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda", "sda1", "sda3")
    sysfs.on((253, 0), "dm-0", "sda/sda3")
    assert moved(sysfs, {SDA: 5 * GIB, (253, 0): 2 * GIB}) == 5 * GIB


def test_two_volumes_on_one_disk_add_up(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda")
    sysfs.on((253, 0), "dm-0", "sda")
    sysfs.on((253, 1), "dm-1", "sda")
    assert moved(sysfs, {SDA: 3 * GIB, (253, 0): GIB, (253, 1): 2 * GIB}) == 3 * GIB


def test_a_mirror_writes_what_it_was_asked_for(sysfs: Sysfs) -> None:
    for device, name in ((SDA, "sda"), (SDB, "sdb")):
        sysfs.disk(device, name)
    sysfs.on(MD, "md3", "sda", "sdb")
    assert moved(sysfs, {SDA: GIB, SDB: GIB, MD: GIB}) == GIB
    assert moved(sysfs, {SDA: GIB // 4, SDB: 3 * GIB // 4, MD: GIB}) == GIB, "a read is answered by one of the two"


def test_writes_that_a_kernel_thread_passes_on_are_not_lost(sysfs: Sysfs) -> None:
    # RAID 5 writes in a thread of its own, which is charged to the root cgroup.
    sysfs.disk(SDA, "sda")
    sysfs.on(MD, "md3", "sda")
    assert moved(sysfs, {SDA: 0, MD: GIB}) == GIB


def test_disks_that_have_nothing_to_do_with_each_other_add_up(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda")
    sysfs.disk(SDB, "sdb")
    sysfs.on((253, 0), "dm-0", "sdb")
    assert moved(sysfs, {SDA: GIB, SDB: 2 * GIB, (253, 0): 2 * GIB, (259, 9): 7}) == 3 * GIB + 7


def test_an_intermediate_disk_that_is_not_listed_changes_nothing(sysfs: Sysfs) -> None:
    sysfs.disk(SDA, "sda")
    sysfs.on(MD, "md3", "sda")
    sysfs.on((253, 0), "dm-0", "md3")
    assert moved(sysfs, {SDA: GIB, (253, 0): GIB}) == GIB
    assert moved(sysfs, {(253, 0): GIB}) == GIB
