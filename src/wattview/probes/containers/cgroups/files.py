"""One container's cgroup files, kept open, and their contents as ``CgroupCounters``.

Only the cgroup's own files are read, and ``<sysfs>/dev/block`` for the names of disks. A missing controller or an
invalid file costs only its own figures and is a Fault; a removed cgroup raises CgroupGone. ``sections`` interprets the
files.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TypeVar, cast

from wattview.model import CgroupCounters, CgroupSpec, Fault
from wattview.probes.containers.cgroups import cgroup
from wattview.probes.containers.cgroups.sections import (
    BLKIO_PREFIXES,
    SECTIONS,
    SPEC,
    Fields,
    NoController,
    NotCounted,
    tightest,
)
from wattview.probes.containers.disks import Disks
from wattview.probes.kernel_files import KernelFile

T = TypeVar("T")

OPEN_FILES = 20
"""Maximum number of files kept open per cgroup."""


class CgroupGone(Exception):
    """The cgroup has been removed: its container has ended."""


class CgroupFiles:
    """The files of one container's cgroup.

    ``spec`` is read when the cgroup is opened and by ``read_spec``: the engine reports changes. Without ``keep_open``
    each read opens the files again, which costs three times as much and holds no descriptor.
    """

    def __init__(self, place: cgroup.Place, version: int, disks: Disks, keep_open: bool = True) -> None:
        self.path = place.path
        self._keep_open = keep_open
        self.disks = disks
        self.version = version
        self._directories = place.directories
        self._inner = place.inner
        self._files: dict[str, KernelFile | None] = {}
        self._parsed: dict[tuple[str, object], tuple[bytes, object]] = {}
        self._counts_io: bool | None = None
        self.detailed = True
        self.spec = self.read_spec()

    def read(self, detailed: bool = True) -> tuple[CgroupCounters, list[Fault]]:
        """All current counters, or those without details, and the controllers without any. Raises CgroupGone."""
        self.detailed = detailed
        fields: Fields = {}
        faults: list[Fault] = []
        for section in SECTIONS[self.version]:
            part = f"cgroup {section.controller}"
            try:
                fields.update(section.read(self))
                if section.needed and fields[section.needed] is None:
                    faults.append(Fault(part, f"{self.path}: does not say {section.needed.replace('_', ' ')}"))
            except NoController:
                faults.append(Fault(part, *_missing(section.controller, self.version)))
            except NotCounted:
                faults.append(Fault(part, *_NOT_COUNTED))
            except (OSError, ValueError) as error:
                faults.append(Fault(part, f"{self.path}: {error}"))
        return CgroupCounters(spec=self.spec, **fields), faults

    def read_spec(self) -> CgroupSpec:
        """The effective limits, read again: the tightest of its own and those on the way down to its init."""
        specs = {inner: self._limits(inner) for inner in ("", *(f"{one}/" for one in self._inner))}
        self.quota_at, self.spec = tightest(specs)
        return self.spec

    def _limits(self, inner: str) -> CgroupSpec:
        """The limits of one cgroup. An invalid file counts as missing."""
        found: Fields = {}
        for controller, name, parse in SPEC[self.version]:
            with contextlib.suppress(OSError, ValueError, CgroupGone):
                data = self.text(controller, inner + name, keep=False)
                if data is not None:
                    found.update(parse(data))
        return CgroupSpec(**found)

    @property
    def tasks(self) -> tuple[str, str]:
        """The directory of this cgroup, and the name of the file with its own tasks."""
        if self.version == 2:
            return self._directories[""], "cgroup.threads"
        return next(iter(self._directories.values())), "tasks"

    def v1_counts_io(self) -> bool:
        """Whether this kernel counts block I/O per v1 cgroup at all.

        Since Linux 6.10 blkio.throttle counts only disks with a throttle. The root cgroup then lists no disk either,
        though every machine has read from one.
        """
        if self._counts_io is None:
            directory = self._directories["blkio"]
            root = directory.removesuffix(self.path)
            # If the mount shows only a part of the hierarchy, the root cannot be read.
            self._counts_io = root == directory
            for prefix in BLKIO_PREFIXES:
                with contextlib.suppress(OSError, ValueError), open(f"{root}/{prefix}io_service_bytes", "rb") as file:
                    self._counts_io = self._counts_io or bool(cgroup.blkio(file.read()))
        return self._counts_io

    def text(self, controller: str, name: str, *, keep: bool = True) -> bytes | None:
        """One file's content; None if this kernel or cgroup has no such file. ``keep``: it stays open."""
        if name in self._files:
            file = self._files[name]
            if file is None:
                return None
        else:
            directory = self._directories.get("" if self.version == 2 else controller)
            if directory is None:
                self._files[name] = None
                return None
            file = KernelFile(f"{directory}/{name}")
            if keep:
                self._files[name] = file
        try:
            data = file.read()
        except FileNotFoundError:
            if not os.path.isdir(file.path.removesuffix(f"/{name}")):
                raise CgroupGone(self.path) from None
            self._files[name] = None
            return None
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise CgroupGone(self.path) from None
            if error.errno == errno.EOPNOTSUPP:
                # Pressure files of a kernel booted with psi=0.
                self._files[name] = None
                return None
            raise
        if not keep or not self._keep_open:
            file.close()
        return data

    def parsed(self, controller: str, name: str, parse: Callable[[bytes], T]) -> T | None:
        """What ``parse`` makes of a file's content; None if there is no such file."""
        data = self.text(controller, name)
        return None if data is None else self._once(name, data, parse)

    def needed(self, controller: str, name: str, parse: Callable[[bytes], T]) -> T:
        """The same of a file that every cgroup with this controller has."""
        data = self.text(controller, name)
        if data is None:
            raise NoController
        return self._once(name, data, parse)

    def _once(self, name: str, data: bytes, parse: Callable[[bytes], T]) -> T:
        """Most files of most containers are the same from one reading to the next: only what has changed is parsed."""
        before = self._parsed.get((name, parse))
        if before is not None and before[0] == data:
            return cast(T, before[1])
        result = parse(data)
        self._parsed[name, parse] = data, result
        return result

    def close(self) -> None:
        for file in self._files.values():
            if file is not None:
                file.close()


_NOT_COUNTED = (
    "this kernel counts no block I/O by cgroup version 1 (Linux 6.10 and later)",
    "boot with systemd.unified_cgroup_hierarchy=1: version 2 counts it",
)


def _missing(controller: str, version: int) -> tuple[str, str]:
    reason = f"the {controller} controller is not enabled for containers"
    if controller == "memory":
        return reason, "boot with cgroup_enable=memory, or delegate it: systemctl edit user@.service, Delegate=yes"
    return reason, "delegate it: systemctl edit user@.service, [Service] Delegate=yes" if version == 2 else ""
