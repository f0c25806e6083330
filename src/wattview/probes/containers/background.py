"""Figures that are too slow for a scrape: containers' disk usage, the machine's filesystems, and the states of
containers' tasks.

One thread of the lowest priority walks the containers' writable layers and logs every minute, and reads their tasks and
the filesystems every ten seconds. It uses at most a fiftieth of one CPU, and pauses while nobody reads. Readers get its
latest results.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time

from msgspec import Struct

from wattview.config import Paths
from wattview.model import DiskSpace, Fault, Filesystem, LoadAverage
from wattview.probes import procfs
from wattview.probes.containers.cgroups.cgroup import subdirectories
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.machine_disks import filesystems

WALK_SECONDS = 60.0
TASKS_SECONDS = 10.0
LOAD_SECONDS = 10.0
"""Time constant of a load average: what was before decays to 1/e."""

REST_AFTER_SECONDS = 300.0
"""How long after the last reader the thread continues."""

_SHARE = 1 / 50
_MOST_TASKS = 4096

_STATES = {
    "R": "running", "S": "sleeping", "I": "sleeping", "T": "stopped", "t": "stopped", "D": "uninterruptible",
}  # fmt: skip
"""The states of proc(5) by cAdvisor's names."""


class ScanTarget(Struct, frozen=True):
    """Where one container's slow figures are: its writable layer, its logs, its cgroup and the tasks file in it."""

    layer: str = ""
    logs: str = ""
    tasks: tuple[str, str] = ("", "")


class Background:
    """Slow figures: ``follow`` sets the current containers; ``space``, ``tasks`` and ``load`` are by id.

    ``filesystems`` are the machine's.
    """

    def __init__(
        self,
        paths: Paths,
        disks: Disks,
        walk_seconds: float = WALK_SECONDS,
        tasks_seconds: float = TASKS_SECONDS,
    ) -> None:
        self.space: dict[str, DiskSpace] = {}
        self.tasks: dict[str, dict[str, int]] = {}
        self.load: dict[str, LoadAverage] = {}
        self._tasks_at = 0.0
        self.filesystems: tuple[Filesystem, ...] = ()
        self.fault: Fault | None = None
        self._paths = paths
        self._disks = disks
        self._walk_seconds = walk_seconds
        self._tasks_seconds = tasks_seconds
        self._targets: dict[str, ScanTarget] = {}
        self._due: dict[str, float] = {}
        self._asked = 0.0
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def follow(self, targets: dict[str, ScanTarget]) -> None:
        """Sets the current containers. Called by every read, which keeps the thread active."""
        rested = time.monotonic() - self._asked > REST_AFTER_SECONDS
        self._asked = time.monotonic()
        changed = targets.keys() != self._targets.keys()
        self._targets = targets
        if changed or rested:
            self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="container-space", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while not self._closed:
            self._wake.clear()
            if time.monotonic() - self._asked > REST_AFTER_SECONDS:
                self._wake.wait()
                continue
            began = time.thread_time()
            targets = self._targets
            self.filesystems = filesystems(self._paths, self._disks)
            self._look_at_tasks(targets)
            self._walk(targets)
            used = time.thread_time() - began
            pause = max(self._tasks_seconds, used / _SHARE)
            self._wake.wait(pause)
            if self._wake.is_set() and not self._closed:
                # New containers come in bursts.
                time.sleep(min(0.2, pause))

    def _look_at_tasks(self, targets: dict[str, ScanTarget]) -> None:
        found: dict[str, dict[str, int]] = {}
        now = time.monotonic()
        kept = math.exp((self._tasks_at - now) / LOAD_SECONDS)
        for container_id, target in targets.items():
            if self._closed:
                return
            directory, name = target.tasks
            if directory:
                with contextlib.suppress(OSError, ValueError):
                    found[container_id] = count_tasks(self._paths.procfs, directory, name)
        self.load = {
            container_id: load_average(self.load.get(container_id), tasks, kept)
            for container_id, tasks in found.items()
            if tasks
        }
        self.tasks, self._tasks_at = found, now

    def _walk(self, targets: dict[str, ScanTarget]) -> None:
        self._due = {container_id: due for container_id, due in self._due.items() if container_id in targets}
        self.space = {container_id: space for container_id, space in self.space.items() if container_id in targets}
        fault = None
        mounts: dict[int, str] = {}
        for container_id, target in targets.items():
            if self._closed:
                return
            if not target.layer or time.monotonic() < self._due.get(container_id, 0.0):
                continue
            began, cpu = time.monotonic(), time.thread_time()
            try:
                self.space = {**self.space, container_id: measure_space(self._paths, target, mounts)}
            except PermissionError:
                fault = Fault(
                    "container filesystems", f"{target.layer} may not be read by this user", "run the daemon as root"
                )
            except OSError:
                # The layer was removed with its container.
                pass
            self._due[container_id] = began + max(self._walk_seconds, (time.thread_time() - cpu) / _SHARE)
        self.fault = fault or (self.fault if self._due and not self.space else None)


def load_average(before: LoadAverage | None, tasks: dict[str, int], kept: float) -> LoadAverage:
    """The load average after ``before``, of which ``kept`` (0 to 1) remains; the first one is the current count."""
    running, waiting = float(tasks["running"]), float(tasks["uninterruptible"])
    if before is None:
        return LoadAverage(running=running, uninterruptible=waiting)
    return LoadAverage(
        running=before.running * kept + running * (1 - kept),
        uninterruptible=before.uninterruptible * kept + waiting * (1 - kept),
    )


def count_tasks(procfs_root: str, directory: str, name: str) -> dict[str, int]:
    """Number of tasks by state in a cgroup and its descendants.

    Empty if there are too many. Raises OSError if the cgroup is gone.
    """
    ids = _tasks(directory, name)
    if len(ids) > _MOST_TASKS:
        return {}
    counts = dict.fromkeys(_STATES.values(), 0)
    for task in ids:
        try:
            with open(f"{procfs_root}/{task.decode()}/stat", "rb") as file:
                state = _STATES.get(procfs.pid_stat(file.read()).state)
        except OSError:
            continue
        if state is not None:
            counts[state] += 1
    return counts


def _tasks(directory: str, name: str) -> list[bytes]:
    """The tasks in the cgroup's own file, and those of its descendants, which that does not list."""
    with open(f"{directory}/{name}", "rb") as file:
        found = file.read().split()
    pending = [directory]
    while pending and len(found) <= _MOST_TASKS:
        above = pending.pop()
        for below in [f"{above}/{inner}" for inner in subdirectories(above)]:
            pending.append(below)
            with contextlib.suppress(OSError), open(f"{below}/{name}", "rb") as file:
                found += file.read().split()
    return found


def measure_space(paths: Paths, target: ScanTarget, mounts: dict[int, str]) -> DiskSpace:
    """Disk usage of a container: all blocks of its writable layer and its logs, and the layer's inodes. ``mounts``
    keeps the sources of mounts, by device number."""
    layer = paths.rootfs.rstrip("/") + target.layer
    used, inodes = _blocks(layer)
    if target.logs:
        with contextlib.suppress(OSError):
            used += _blocks(paths.rootfs.rstrip("/") + target.logs)[0]
    whole, number = os.statvfs(layer), os.stat(layer).st_dev
    if number not in mounts:
        mounts[number] = _device(paths, number)
    return DiskSpace(
        device=mounts[number],
        used_bytes=used,
        used_inodes=inodes,
        limit_bytes=whole.f_blocks * whole.f_frsize,
        free_inodes=whole.f_ffree,
    )


def _blocks(directory: str) -> tuple[int, int]:
    """(bytes, inodes) below a directory on its own filesystem; hard links count once."""
    top = os.stat(directory)
    used, seen, inodes = top.st_blocks * 512, {top.st_ino}, 1
    pending = [directory]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_dev != top.st_dev:
                    continue
                if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                used += status.st_blocks * 512
                inodes += 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    return used, inodes


def _device(paths: Paths, number: int) -> str:
    """The source of the mount with this device number (``/dev/vda1``)."""
    major, minor = os.major(number), os.minor(number)
    for pid in ("1", "self"):
        try:
            with open(f"{paths.procfs}/{pid}/mountinfo", "rb") as file:
                mounts = procfs.mountinfo(file.read())
        except (OSError, ValueError):
            continue
        for mount in mounts:
            if (mount.major, mount.minor) == (major, minor):
                return mount.source
    return f"{major}:{minor}"
