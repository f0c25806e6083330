"""The machine's filesystems on block devices: their usage, and their disks' I/O counters."""

from __future__ import annotations

import os

import msgspec

from wattview.config import Paths
from wattview.model import DiskCounters, Filesystem
from wattview.probes import procfs
from wattview.probes.containers.disks import Disks
from wattview.probes.kernel_files import KernelFile
from wattview.probes.mounts import may_hang


class DiskStats:
    """/proc/diskstats, kept open."""

    def __init__(self, procfs_root: str) -> None:
        self._file = KernelFile(f"{procfs_root}/diskstats")

    def counted(self, filesystems: tuple[Filesystem, ...]) -> tuple[Filesystem, ...]:
        """The filesystems with their disks' current counters; those without a disk in the list are unchanged."""
        nodes = {one.node for one in filesystems}
        try:
            found = procfs.diskstats(self._file.read(), lambda device: f"/dev/{device}" in nodes)
        except (OSError, ValueError):
            return filesystems
        disks = {f"/dev/{disk.device}": disk for disk in found}
        return tuple(
            [
                msgspec.structs.replace(one, disk=_disk_counters(disks[one.node])) if one.node in disks else one
                for one in filesystems
            ]
        )

    def close(self) -> None:
        self._file.close()


def filesystems(paths: Paths, disks: Disks) -> tuple[Filesystem, ...]:
    """The machine's filesystems on block devices, each once; those below a mount that may hang are left out.

    Blocks if a disk hangs.
    """
    root = paths.rootfs.rstrip("/")
    try:
        with open(f"{paths.procfs}/1/mountinfo", "rb") as file:
            mounts = procfs.mountinfo(file.read())
    except (OSError, ValueError):
        return ()
    found: dict[str, Filesystem] = {}
    out_of_reach = may_hang(mounts)
    for mount in mounts:
        if not mount.source.startswith("/dev/") or mount.source in found or mount.mount_point in out_of_reach:
            continue
        try:
            space = os.statvfs(root + mount.mount_point)
        except OSError:
            continue
        # btrfs has a device number of its own, which is not a disk's.
        node = disks.name((mount.major, mount.minor)) if mount.major else os.path.realpath(mount.source)
        found[mount.source] = Filesystem(
            device=node if mount.source == "/dev/root" else mount.source,
            node=node,
            size_bytes=space.f_blocks * space.f_frsize,
            used_bytes=(space.f_blocks - space.f_bfree) * space.f_frsize,
            inodes=space.f_files,
            free_inodes=space.f_ffree,
        )
    return tuple(found.values())


def _disk_counters(disk: procfs.DiskStat) -> DiskCounters:
    return DiskCounters(
        reads=disk.reads,
        reads_merged=disk.reads_merged,
        sectors_read=disk.sectors_read,
        read_seconds=disk.read_ms / 1000,
        writes=disk.writes,
        writes_merged=disk.writes_merged,
        sectors_written=disk.sectors_written,
        write_seconds=disk.write_ms / 1000,
        in_progress=disk.in_progress,
        io_seconds=disk.io_ms / 1000,
        weighted_io_seconds=disk.weighted_io_ms / 1000,
    )
