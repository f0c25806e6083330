"""Btrfs: space by block group, commits, and the devices with their errors.

Most comes from /sys/fs/btrfs; the devices' usage and error counts come from the filesystem's own ioctls at its mount
point (include/uapi/linux/btrfs.h). Without permission for those, the devices' sizes come from /sys.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels, named
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import pairs
from wattview.probes.mounts import may_hang
from wattview.probes.node.collector import Directories, Directory

_FAMILIES = (
    ("info", "Filesystem information"),
    ("global_rsv_size_bytes", "Size of global reserve."),
    ("commits_total", "The total number of commits that have occurred."),
    ("last_commit_seconds", "Duration of the most recent commit, in seconds."),
    ("max_commit_seconds", "Duration of the slowest commit, in seconds."),
    ("commit_seconds_total", "Sum of the duration of all commits, in seconds."),
    ("reserved_bytes", "Amount of space reserved for a data type"),
    ("used_bytes", "Amount of used space by a layout/data type"),
    ("size_bytes", "Amount of space allocated for a layout/data type"),
    ("allocation_ratio", "Data allocation ratio for a layout/data type"),
    ("device_size_bytes", "Size of a device that is part of the filesystem."),
    ("device_unused_bytes", "Unused bytes unused on a device that is part of the filesystem."),
    ("device_errors_total", "Errors reported for the device"),
)
_COMMIT_STATS = {
    "last_commit_ms": "last_commit_seconds",
    "max_commit_ms": "max_commit_seconds",
    "total_commit_ms": "commit_seconds_total",
}
_ERRORS = ("write", "read", "flush", "corruption", "generation")

# _IOR(0x94, 31, 1024 bytes), _IOWR(0x94, 30, 4096 bytes), _IOWR(0x94, 52, 1032 bytes)
_FS_INFO, _DEV_INFO, _GET_DEV_STATS = 0x8400941F, 0xD000941E, 0xC4089434


class Device(NamedTuple):
    """One device of a filesystem by its ioctls; ``errors`` in the order of the kernel's counters."""

    name: str
    uuid: str
    size_bytes: int
    used_bytes: int
    errors: tuple[int, ...]


class Btrfs:
    """``node_btrfs_*{uuid}``; no samples if no such filesystem is mounted."""

    def __init__(self, config: Config) -> None:
        self._filesystems = Directories(f"{config.paths.sysfs}/fs/btrfs", r".*-.*")
        self._mounts = KernelFile(f"{config.paths.procfs}/1/mountinfo", 16384)
        self._own_mounts = KernelFile(f"{config.paths.procfs}/self/mountinfo", 16384)
        self._rootfs = config.paths.rootfs.rstrip("/")

    def collect(self) -> list[Family]:
        filesystems = self._filesystems.found_or_none()
        if not filesystems:
            return []
        families = {name: named(f"node_btrfs_{name}", help_text) for name, help_text in _FAMILIES}
        asked = self._devices()
        for folder, directory in filesystems.items():
            uuid = directory.text("metadata_uuid") or folder
            _space(families, uuid, directory)
            devices = asked.get(folder.replace("-", ""))
            if devices is None:
                for device in directory.names("devices"):
                    sectors = directory.number(f"devices/{device}/size")
                    size = None if sectors is None else sectors * procfs.SECTOR_BYTES
                    families["device_size_bytes"].add(size, labels(uuid=uuid, device=device))
            else:
                _device_families(families, uuid, devices)
        return list(families.values())

    def _devices(self) -> dict[str, list[Device]]:
        """Each mounted filesystem's devices, by its UUID without dashes, where the ioctls are permitted."""
        try:
            table = self._mounts.read()
        except OSError:
            table = self._own_mounts.read()
        found: dict[str, list[Device]] = {}
        mounts = procfs.mountinfo(table)
        out_of_reach = may_hang(mounts)
        for mount in mounts:
            if mount.fs_type == "btrfs" and mount.mount_point not in out_of_reach:
                try:
                    uuid, devices = ask_devices(self._rootfs + mount.mount_point)
                except OSError:
                    continue
                found.setdefault(uuid, devices)
        return found


def _space(families: dict[str, Family], uuid: str, directory: Directory) -> None:
    text = labels(uuid=uuid)
    families["info"].add(1, labels(uuid=uuid, label=directory.text("label") or ""))
    families["global_rsv_size_bytes"].add(directory.number("allocation/global_rsv_size"), text)
    commits = dict(pairs((directory.text("commit_stats") or "").encode()))
    if b"commits" in commits:
        families["commits_total"].add(int(commits[b"commits"]), text)
    for line, name in _COMMIT_STATS.items():
        milliseconds = commits.get(line.encode())
        if milliseconds is not None:
            families[name].add(int(milliseconds) / 1000, text)
    count = len(directory.names("devices"))
    for kind in ("data", "metadata", "system"):
        group = f"allocation/{kind}"
        families["reserved_bytes"].add(
            directory.number(f"{group}/bytes_reserved"), labels(uuid=uuid, block_group_type=kind)
        )
        for mode in directory.names(group):
            used = directory.number(f"{group}/{mode}/used_bytes")
            if used is None:
                continue
            text = labels(uuid=uuid, block_group_type=kind, mode=mode)
            families["used_bytes"].add(used, text)
            families["size_bytes"].add(directory.number(f"{group}/{mode}/total_bytes"), text)
            families["allocation_ratio"].add(allocation_ratio(mode, count), text)


def _device_families(families: dict[str, Family], uuid: str, devices: list[Device]) -> None:
    for device in devices:
        place = {"uuid": uuid, "device": device.name, "btrfs_dev_uuid": device.uuid}
        families["device_size_bytes"].add(device.size_bytes, labels(**place))
        families["device_unused_bytes"].add(device.size_bytes - device.used_bytes, labels(**place))
        for kind, count in zip(_ERRORS, device.errors, strict=True):
            families["device_errors_total"].add(count, labels(**place, type=kind))


def allocation_ratio(mode: str, devices: int) -> float:
    """Bytes on disk per byte of data; 0 for an unknown mode."""
    if mode in ("single", "raid0"):
        return 1.0
    if mode in ("dup", "raid1", "raid10"):
        return 2.0
    parity = {"raid5": 1, "raid6": 2}.get(mode, 0)
    if parity and devices > parity:
        return devices / (devices - parity)
    return {"raid1c3": 3.0, "raid1c4": 4.0}.get(mode, 0.0)


def ask_devices(mount_point: str) -> tuple[str, list[Device]]:
    """A mounted filesystem's UUID (no dashes) and its devices. Raises OSError, also without permission."""
    import fcntl

    fd = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        info = bytearray(1024)
        fcntl.ioctl(fd, _FS_INFO, info)
        last, count, uuid = struct.unpack_from("=QQ16s", info)
        devices: list[Device] = []
        # Device numbers may start above 0 and have gaps.
        for number in range(last + 1):
            if len(devices) == count:
                break
            described = bytearray(4096)
            struct.pack_into("=Q", described, 0, number)
            try:
                fcntl.ioctl(fd, _DEV_INFO, described)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    continue
                raise
            counted = bytearray(1032)
            struct.pack_into("=QQ", counted, 0, number, len(_ERRORS))
            fcntl.ioctl(fd, _GET_DEV_STATS, counted)
            _, device_uuid, used, size = struct.unpack_from("=Q16sQQ", described)
            path = bytes(described[-1024:]).split(b"\0", 1)[0].decode("utf-8", "replace")
            errors = struct.unpack_from("=5Q", counted, 24)
            devices.append(Device(os.path.basename(path), device_uuid.hex(), size, used, errors))
        return uuid.hex(), devices
    finally:
        os.close(fd)
