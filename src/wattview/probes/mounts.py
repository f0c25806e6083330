"""Which mounts may hang whoever asks them: those of a server that has gone, and all that are reached through one."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.probes.procfs import Mount

ANSWER_AT_ONCE = frozenset((
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "iso9660", "jfs", "msdos",
    "nilfs2", "ntfs3", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
))  # fmt: skip
"""These answer statfs(2) out of their superblock in memory. Others (NFS, CIFS, FUSE, 9p, Ceph …) ask somebody."""

_OF_THE_KERNEL = frozenset((
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl",
    "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs",
))  # fmt: skip
"""Nobody else is asked for a name in these, so that what is mounted below one is reached."""


def may_hang(mounts: Iterable[Mount]) -> frozenset[str]:
    """The mount points that may not answer: their own filesystem may not, or one that their path leads through."""
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
