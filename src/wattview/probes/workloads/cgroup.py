"""One cgroup of the tree: its CPU time and its memory, from files that stay open.

The kernel's counters include all descendants. The use of workloads inside is subtracted here, so that the figures of
all workloads can be summed.
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal

from wattview.probes.containers.cgroups.cgroup import flat
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer
from wattview.probes.rates import Rate
from wattview.probes.workloads.classify import Above, WorkloadPlace

_USAGE = b"usage_usec "


class WorkloadCgroup:
    """A cgroup; ``place`` says which workload it is, if any. ``above`` is the context for its children.

    ``seconds`` is its own CPU time, without that of workloads inside it; for a ``residue`` that was there before, since
    it was found. It never falls. ``percent`` is its rate (100 = one core). ``memory_bytes`` is its own as well.
    ``started`` is when it was created (Unix seconds), if observed. ``watch`` and ``populated`` are its inotify watches,
    ``process`` is the pid whose exit is watched. ``emptied`` is when its last process ended (monotonic; 0 for one that
    was empty when found), None while it has any.
    """

    __slots__ = (
        "_cpu",
        "_inside",
        "_memory",
        "_memory_inside",
        "_offset",
        "_parse",
        "_rate",
        "_total",
        "above",
        "children",
        "directory",
        "emptied",
        "memory_bytes",
        "memory_directory",
        "name",
        "parent",
        "path",
        "percent",
        "place",
        "populated",
        "process",
        "seconds",
        "started",
        "watch",
    )  # fmt: skip

    def __init__(
        self, path: str, directory: str, memory: str | None, version: Literal[1, 2], found: WorkloadPlace | None,
        above: Above, parent: WorkloadCgroup | None,
    ) -> None:  # fmt: skip
        self.path = path
        self.name = directory.rpartition("/")[2]
        self.directory = directory
        self.memory_directory = memory
        self.place = found
        self.above = above
        self.parent = parent
        self.children: dict[str, WorkloadCgroup] = {}
        self.watch = self.populated = -1
        self.process: int | None = None
        self.started: float | None = None
        self.emptied: float | None = None
        self._total = 0.0
        self.seconds: float | None = None
        self.percent: float | None = None
        self.memory_bytes: int | None = None
        self._rate = Rate()
        self._parse = _usage if version == 2 else _nanoseconds
        self._cpu = KernelFile(f"{directory}/{'cpu.stat' if version == 2 else 'cpuacct.usage'}", size=1024)
        self._memory: KernelFile | None = None
        if memory is not None and found is not None:
            name = "memory.current" if version == 2 else "memory.usage_in_bytes"
            self._memory = KernelFile(f"{memory}/{name}", size=64)
        self._memory_inside: int | None = 0
        self._inside = 0.0
        """CPU time of the workloads inside it, ended ones included, as of their last readings."""
        self._offset: float | None = None if found is not None and found.residue else 0.0

    @property
    def owner(self) -> WorkloadCgroup | None:
        """The workload that it belongs to."""
        above = self.parent
        while above is not None and above.place is None:
            above = above.parent
        return above

    def read(self, monotonic: float, late: bool = False) -> bool:
        """Reads its counters; its descendants were read before. False if it is gone.

        ``late``: it existed before it was found, and its use until now stays with its owner.
        """
        try:
            total = self._parse(self._cpu.read())
        except (OSError, ValueError):
            # A cgroup with an unreadable counter has no figure; the others have theirs.
            return os.path.isdir(self.directory)
        self._take(max(total, self._total), late)
        assert self.seconds is not None
        rate = self._rate.update(monotonic, self.seconds)
        self.percent = None if rate is None else rate * 100
        return True

    def read_memory(self) -> None:
        """Reads its memory; that of all its descendants was read before, in the same pass."""
        total: int | None = None
        if self._memory is not None:
            with contextlib.suppress(OSError, ValueError):
                total = integer(self._memory.read(), "memory of a cgroup")
        inside, self._memory_inside = self._memory_inside, 0
        # Some of it may be freed between two reads.
        self.memory_bytes = None if total is None or inside is None else max(total - inside, 0)
        if (owner := self.owner) is not None:
            known = owner._memory_inside
            owner._memory_inside = None if total is None or known is None else known + total

    def close(self) -> None:
        self._cpu.close()
        if self._memory is not None:
            self._memory.close()

    def _take(self, total: float, late: bool) -> None:
        owner = self.owner
        if owner is not None and not late:
            owner._inside += total - self._total
        self._total = total
        # Without the last digits of sums of floats: the kernel counts nanoseconds.
        own = round(total - self._inside, 9)
        if self._offset is None:
            self._offset = own if self.started is None else 0.0
        # Descendants are read a moment earlier: its own use may fluctuate by what they used since.
        self.seconds = max(own - self._offset, self.seconds or 0.0)


def _usage(data: bytes) -> float:
    """From cpu.stat of version 2, in its first line."""
    if data.startswith(_USAGE):
        return int(data[len(_USAGE) : data.index(b"\n")]) / 1e6
    found = flat(data)
    if b"usage_usec" not in found:
        raise ValueError("cpu.stat: has no usage_usec")
    return found[b"usage_usec"] / 1e6


def _nanoseconds(data: bytes) -> float:
    return int(data) / 1e9
