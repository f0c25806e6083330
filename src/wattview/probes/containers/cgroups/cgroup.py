"""Location of a container's cgroup, and parsers for the files of both versions.

First half: the hierarchies mounted below ``<sysfs>/fs/cgroup``, and the directories of one container in them, found
through ``/proc/<pid>/cgroup`` or else by its id. Second half: pure parsers. Formats:
Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the kernel. The files are read in ``files``; nothing below a
cgroup mount is ever written.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct

from wattview.probes.containers.disks import Device
from wattview.probes.lines import pairs, shown, understood

UNLIMITED_BYTES = 1 << 62
"""A v1 memory limit above this means none: LONG_MAX rounded down to a page."""

_SEARCH_DEPTH = 8


class Hierarchies(Struct, frozen=True):
    """The cgroup mounts of a machine: ``mounts`` by controller, ``""`` for the unified hierarchy (v2).

    ``version`` is that of the hierarchy with the resource controllers: a hybrid machine (v1 and ``unified``) is 1.
    """

    version: Literal[1, 2]
    mounts: dict[str, str]

    def mount(self, controller: str) -> str | None:
        return self.mounts.get("" if self.version == 2 else controller)


def hierarchies(sysfs: str) -> Hierarchies | None:
    """The mounts below ``<sysfs>/fs/cgroup``; None if there are none."""
    root = Path(sysfs) / "fs" / "cgroup"
    if (root / "cgroup.controllers").exists():
        return Hierarchies(2, {"": str(root)})
    mounts: dict[str, str] = {}
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return None
    for name in names:
        directory = root / name
        if (directory / "cgroup.controllers").exists():
            mounts[""] = str(directory)
        elif (directory / "cgroup.procs").exists():
            for controller in name.split(","):
                mounts[controller] = str(directory)
    return Hierarchies(1, mounts) if mounts.keys() - {""} else None


class Place(NamedTuple):
    """One container's cgroup: its path by the kernel, and its directory for each controller (v2: ``""``).

    ``inner`` are the descendants down to its init's cgroup, as relative paths: crun sets limits on one of those.
    """

    path: str
    directories: dict[str, str]
    inner: tuple[str, ...] = ()


V1_CONTROLLERS = ("cpuacct", "cpu", "memory", "blkio", "pids")


def locate(found: Hierarchies, container_id: str, pid_cgroup: Mapping[str, str]) -> Place | None:
    """The cgroup of a container, from its init's ``/proc/<pid>/cgroup`` (``parse_pid_cgroup``) or by a search.

    Only a directory with the container's id counts: a container without its own cgroup (rootless without delegation)
    must not be charged for its whole session. Init may be in a descendant of the container's cgroup, and the mount may
    show only a part of the hierarchy (inside a container).
    """
    path = ""
    inner: tuple[str, ...] = ()
    directories: dict[str, str] = {}
    searched: str | None = None
    for controller in ("",) if found.version == 2 else V1_CONTROLLERS:
        mount = found.mounts.get(controller)
        if mount is None:
            continue
        named, below = _own_part(pid_cgroup.get(controller, ""), container_id)
        directory = _below(mount, named) if named else None
        if directory is None and searched is None:
            directory = _search(mount, container_id, _SEARCH_DEPTH)
            searched = directory.removeprefix(mount) if directory else ""
        elif directory is None and searched:
            # One search is enough: all controllers have the same path.
            directory = _below(mount, searched)
        if directory is not None:
            directories[controller] = directory
            inner = inner or below
            path = path or (named if named and "/.." not in named else directory.removeprefix(mount))
    return Place(path, directories, inner) if directories else None


def _own_part(path: str, container_id: str) -> tuple[str, tuple[str, ...]]:
    """The path up to the component with the id ("" if there is none), and each cgroup below it on the way to the
    init."""
    at = path.find(container_id)
    if at < 0:
        return "", ()
    own, _, below = path[at:].partition("/")
    parts = [part for part in below.split("/") if part]
    return path[:at] + own, tuple("/".join(parts[: depth + 1]) for depth in range(len(parts)))


def _below(mount: str, path: str) -> str | None:
    """The directory of ``path`` below ``mount``, whose root may be further down than the path's."""
    parts = path.strip("/").split("/")
    for first in range(len(parts)):
        if ".." in parts[first:]:
            continue
        directory = "/".join([mount, *parts[first:]])
        if os.path.isdir(directory):
            return directory
    return None


_WATCHER = "-conmon-"
"""In the name of the cgroup of a container's monitor, which also contains the container's id
(``libpod-conmon-<id>``)."""


def _search(directory: str, container_id: str, depth: int) -> str | None:
    try:
        with os.scandir(directory) as entries:
            children = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return None
    for child in children:
        if container_id in child.name and _WATCHER not in child.name:
            return child.path
    if depth > 1:
        for child in children:
            found = _search(child.path, container_id, depth - 1)
            if found is not None:
                return found
    return None


def parse_pid_cgroup(data: bytes) -> dict[str, str]:
    """``/proc/<pid>/cgroup``: path by controller, ``""`` for the unified hierarchy (cgroups(7))."""

    def hierarchy(line: str) -> tuple[str, str]:
        number, first, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if not first or not second or not number.isdecimal() or not path.startswith("/"):
            raise ValueError("not a hierarchy")
        return controllers, path.removesuffix(" (deleted)")

    lines = data.decode("utf-8", "surrogateescape").split("\n")
    found = understood(lines, hierarchy, "pid/cgroup")
    return {controller: path for controllers, path in found for controller in controllers.split(",")}


def subdirectories(cgroup: str) -> list[str]:
    """Names of the cgroups in a cgroup's directory; empty if it is gone. It has dozens of files: its link count tells
    whether it has subdirectories."""
    try:
        if os.stat(cgroup).st_nlink == 2:
            return []
        with os.scandir(cgroup) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


# parsers


def flat(data: bytes) -> dict[bytes, int]:
    """A file of ``key value`` lines (memory.stat, cpu.stat, memory.events)."""
    found = {key: int(value) for key, value in pairs(data)}
    if not found and data.strip():
        raise ValueError(f"has no line of a key and a value: {shown(data)}")
    return found


def picked(data: bytes, keys: Iterable[bytes]) -> dict[bytes, int]:
    """A few keys of such a file. Of dozens of lines in memory.stat, it converts only theirs."""
    found: dict[bytes, int] = {}
    text = b"\n" + data
    for key in keys:
        begin = text.find(b"\n" + key + b" ") + len(key) + 2
        digits = text[begin : text.find(b"\n", begin)]
        if begin == len(key) + 1 or not digits.isdigit() or len(digits) > 20:
            return flat(data)  # this kernel has no such key, or its lines are odd
        found[key] = int(digits)
    return found


_LIMIT = re.compile(rb"^(max|-?[0-9]{1,20})[ \t]*$", re.MULTILINE)
_CPU_MAX = re.compile(rb"^(max|[0-9]{1,20}) ([0-9]{1,20})[ \t]*$", re.MULTILINE)


def limit(data: bytes) -> int | None:
    """A limit of v2 (``max``) or v1 (a huge number, or -1): None for no limit."""
    match = _LIMIT.search(data)
    if match is None:
        raise ValueError(f"is not a limit: {shown(data)}")
    value = UNLIMITED_BYTES if match[1] == b"max" else int(match[1])
    return value if 0 <= value < UNLIMITED_BYTES else None


def cpu_max(data: bytes) -> tuple[int | None, int]:
    """cpu.max: (quota or None, period), microseconds."""
    match = _CPU_MAX.search(data)
    if match is None:
        raise ValueError(f"is not a quota and its period: {shown(data)}")
    return limit(match[1]), int(match[2])


def by_cpu(data: bytes) -> list[int]:
    """cpuacct.usage_percpu: nanoseconds of each CPU, all in one line."""
    for line in data.splitlines():
        words = line.split()
        if words and all(word.isdigit() for word in words):
            return [int(word) for word in words]
    raise ValueError(f"is not a line of numbers: {shown(data)}")


_DEFAULT_WEIGHT, _DEFAULT_SHARES = 100, 1024


def shares_of_weight(weight: int) -> int | None:
    """A v2 weight on v1's scale: 1024 for the kernel's default, and None for any other.

    Runtimes convert shares to weights by two formulas; a weight of 100 may be 1024 shares or 2597
    (opencontainers/runc#4772). The requested value is known to the engine.
    """
    return _DEFAULT_SHARES if weight == _DEFAULT_WEIGHT else None


_NO_DEVICE = b"(unknown)"
"""What the kernel prints for a device that is gone, which cannot be identified."""


def blkio(data: bytes) -> dict[Device, dict[str, int]]:
    """A v1 blkio statistics file: ``major:minor Operation value`` lines; the ``Total value`` line is left out."""
    found: dict[Device, dict[str, int]] = {}

    def statistic(line: bytes) -> bool | None:
        fields = line.split()
        if fields[0] in (_NO_DEVICE, b"Total"):
            return None
        device, operation, value = fields
        found.setdefault(_device(device), {})[operation.decode()] = int(value)
        return True

    words = data.split()
    values = words[2:-2:3]
    if len(words) % 3 == 2 and words[-2] == b"Total" and b"".join(values).isdigit() and _NO_DEVICE not in words:
        # The fast path: there are no other lines.
        devices: dict[bytes, dict[str, int]] = {}
        for word, operation, value in zip(words[:-2:3], words[1:-2:3], values, strict=True):
            devices.setdefault(word, {})[operation.decode()] = int(value)
        with contextlib.suppress(ValueError):
            return {_device(word): operations for word, operations in devices.items()}
    understood(data.splitlines(), statistic, "blkio")
    return found


def io_stat(data: bytes) -> dict[Device, dict[str, int]]:
    """v2's io.stat: the ``key=value`` pairs of each device.

    Some kernels print a device without statistics and without a newline, so that two devices share one line.
    """
    found: dict[Device, dict[str, int]] = {}

    def devices(line: bytes) -> bool | None:
        values: dict[str, int] | None = None
        for word in line.split():
            key, equals, value = word.partition(b"=")
            if not equals:
                values = None if word == _NO_DEVICE else found.setdefault(_device(word), {})
            elif values is not None:
                # cost.vrate and the like are decimals, which are not used.
                values[key.decode()] = int(value.partition(b".")[0])
        return True if values is not None else None

    understood(data.splitlines(), devices, "io.stat")
    return {device: values for device, values in found.items() if values}


def _device(word: bytes) -> Device:
    major, _, minor = word.partition(b":")
    return int(major), int(minor)
