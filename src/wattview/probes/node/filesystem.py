"""Size and free space of mounted filesystems. A hanging mount costs its own figures, never the scrape."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, empty_families, gauge, labels, rows
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.mounts import may_hang
from wattview.probes.node.collector import Filter

MOUNT_TIMEOUT_SECONDS = 2.0
"""How long a scrape waits for mounts that may hang; less than the scrape's own time-out."""

Mounts = dict[tuple[str, str, str], procfs.Mount]
"""By (device, mount point, type)."""


_SPACE = rows("""
size node_filesystem_size_bytes Filesystem size in bytes.
free node_filesystem_free_bytes Filesystem free space in bytes.
available node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
files node_filesystem_files Filesystem total file nodes.
files_free node_filesystem_files_free Filesystem total free file nodes.
""")
_ERROR = "Whether an error occurred while getting statistics for the given device."


class Space(NamedTuple):
    """The result of statfs(2), in bytes and inodes; or why there is none."""

    size: int = 0
    free: int = 0
    available: int = 0
    files: int = 0
    files_free: int = 0
    error: str = ""


class FilesystemCollector:
    """``node_filesystem_*``, for the mounts that process 1 sees, if they may be read."""

    def __init__(self, config: Config, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> None:
        root = config.paths.procfs
        self._mounts = KernelFile(f"{root}/1/mountinfo", size=16384)
        self._own_mounts = KernelFile(f"{root}/self/mountinfo", size=16384)
        self._rootfs = config.paths.rootfs.rstrip("/")
        self._mount_points = Filter(config.node.mount_point_exclude, config.node.mount_point_include)
        self._types = Filter(config.node.fs_type_exclude, config.node.fs_type_include)
        self._statvfs = statvfs
        self._slow: dict[str, _Asked] = {}
        self._table = b""
        self._known: Mounts = {}
        self._may_hang: frozenset[str] = frozenset()

    def collect(self) -> list[Family]:
        try:
            table = self._mounts.read()
        except OSError:
            # hidepid, or our own PID namespace: this process's own mounts are the best available.
            table = self._own_mounts.read()
        if table != self._table:
            # A container engine makes this table long, and it seldom changes.
            mounts = procfs.mountinfo(table)
            self._may_hang = frozenset(self._point(point) for point in may_hang(mounts))
            self._known, self._table = self._wanted(mounts), table
        points = dict.fromkeys(point for _, point, _ in self._known)
        return space_families(self._known, self._ask(points))

    def _wanted(self, listed: list[procfs.Mount]) -> Mounts:
        mounts: Mounts = {}
        for mount in listed:
            point = self._point(mount.mount_point)
            if not self._mount_points.ignores(point) and not self._types.ignores(mount.fs_type):
                mounts[mount.source, point, mount.fs_type] = mount
        return mounts

    def _point(self, mount_point: str) -> str:
        """The host's name of a mount point that was found through ``paths.rootfs``."""
        if self._rootfs and (mount_point == self._rootfs or mount_point.startswith(self._rootfs + "/")):
            return mount_point[len(self._rootfs) :] or "/"
        return mount_point

    def _ask(self, points: Iterable[str]) -> dict[str, Space]:
        """Space of each mount point. Those that may hang are queried in parallel, each in its own thread."""
        answers: dict[str, Space] = {}
        for point in points:
            if point not in self._may_hang:
                answers[point] = self._space(point)
            elif point not in self._slow:
                self._slow[point] = _Asked(self._space, point)
        deadline = time.monotonic() + MOUNT_TIMEOUT_SECONDS
        for point, asked in list(self._slow.items()):
            # One that timed out last time is polled without waiting.
            patience = 0.0 if asked.late else max(0.0, deadline - time.monotonic())
            if asked.answered.wait(patience):
                del self._slow[point]
                answers[point] = asked.answer
            else:
                asked.late = True
                answers[point] = Space(error="mountpoint timeout")
        return answers

    def _space(self, point: str) -> Space:
        try:
            found = self._statvfs(self._rootfs + point)
        except OSError as error:
            return Space(error=os.strerror(error.errno or 0).lower())
        unit = found.f_frsize
        return Space(found.f_blocks * unit, found.f_bfree * unit, found.f_bavail * unit, found.f_files, found.f_ffree)


class _Asked:
    """A query of one mount, in a thread that may hang with it, holds nothing else, and ends with the process."""

    def __init__(self, ask: Callable[[str], Space], point: str) -> None:
        self.answered = threading.Event()
        self.answer = Space()
        self.late = False

        def run() -> None:
            self.answer = ask(point)
            self.answered.set()

        threading.Thread(target=run, name="statfs", daemon=True).start()


def space_families(mounts: Mounts, answers: dict[str, Space]) -> list[Family]:
    """Pure: families from mounts and their space."""
    space_shown = empty_families(_SPACE)
    error = gauge("node_filesystem_device_error", _ERROR)
    readonly = gauge("node_filesystem_readonly", "Filesystem read-only status.")
    info = gauge("node_filesystem_mount_info", "Filesystem mount information.")
    for (device, point, fs_type), mount in mounts.items():
        space = answers[point]
        text = labels(device=device, mountpoint=point, fstype=fs_type, device_error=space.error)
        error.add(1 if space.error else 0, text)
        readonly.add(1 if _is_read_only(mount) else 0, text)
        if space.error:
            continue
        for field, family in space_shown.items():
            family.add(getattr(space, field), text)
        info.add(1, labels(device=device, major=str(mount.major), minor=str(mount.minor), mountpoint=point))
    return [*space_shown.values(), error, readonly, info]


def _is_read_only(mount: procfs.Mount) -> bool:
    # ext4 that stopped after an error has emergency_ro, and no longer ro.
    return "ro" in mount.options.split(",") or not {"ro", "emergency_ro"}.isdisjoint(mount.super_options.split(","))
