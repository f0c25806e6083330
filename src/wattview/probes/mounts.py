"""Mounts that may block their readers: those of an unreachable server, and all below them."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.probes.procfs import Mount

ANSWER_AT_ONCE = frozenset((
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "iso9660", "jfs", "msdos",
    "nilfs2", "ntfs3", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
))  # fmt: skip
"""These answer statfs(2) from their superblock in memory. Others (NFS, CIFS, FUSE, 9p, Ceph …) ask a server."""

_OF_THE_KERNEL = frozenset((
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl",
    "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs",
))  # fmt: skip
"""Path lookups in these ask no server, so mounts below them are reachable."""


def may_hang(mounts: Iterable[Mount]) -> frozenset[str]:
    """Mount points that may block: their own filesystem may, or one that their path leads through."""
    points = {mount.mount_point: mount.fs_type for mount in mounts}
    slow = {point for point, fs_type in points.items() if fs_type not in ANSWER_AT_ONCE}
    walls = {point for point in slow if points[point] not in _OF_THE_KERNEL}
    return frozenset(point for point in points if point in slow or not walls.isdisjoint(_parents(point)))


def _parents(path: str) -> list[str]:
    found = []
    while path not in ("", "/"):
        path = path.rpartition("/")[0] or "/"
        found.append(path)
    return found
