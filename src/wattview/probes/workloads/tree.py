"""The cgroup tree, followed as it changes, with the CPU time and the memory of each cgroup that is a workload.

The tree is walked once; from then on inotify reports changes at once and at no cost in between. A cgroup that is about
to disappear is read once more: version 2 reports the end of its last process (``cgroup.events``); on version 1 one of
its processes is watched (``exit_watch``). Nothing below a cgroup mount is ever written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable, Iterator

from wattview.foreign_text import encodable
from wattview.model import Fault
from wattview.probes.containers.cgroups.cgroup import Hierarchies, subdirectories
from wattview.probes.containers.exit_watch import ExitWatch
from wattview.probes.kernel_files import bytes_of
from wattview.probes.workloads.cgroup import WorkloadCgroup
from wattview.probes.workloads.classify import MOST_DEPTH, ROOT, place
from wattview.probes.workloads.inotify import CREATED, DELETED, DIRECTORY, MODIFIED, MOVED, OVERFLOW, Inotify, TreeEvent

RESYNC_SECONDS = 60.0
"""How often the tree is walked again as a safeguard."""

BLIND_SECONDS = 5.0
"""The same if the kernel has no inotify watches left."""

READ_AT_ONCE = 50
"""How many cgroups are read before it is looked what has changed: one that lives briefly does not wait for all others
to be read."""

LEFT_OVER_SECONDS = 5.0
"""A cgroup that has had no process for this long is not a workload: engines that are killed leave such cgroups
behind."""


class CgroupTree:
    """All cgroups of the machine. ``on_start`` is called with each workload that is found, ``on_end`` with each that
    ends, with its final counters. ``lock`` is held while the tree changes, and must be held to walk it."""

    def __init__(
        self,
        mounted: Hierarchies,
        procfs: str,
        on_start: Callable[[WorkloadCgroup], None],
        on_end: Callable[[WorkloadCgroup], None],
    ) -> None:
        self.version = mounted.version
        self.lock = threading.Lock()
        self._cpu = mounted.mounts["" if mounted.version == 2 else "cpuacct"]
        self._memory = mounted.mount("memory")
        self._on_start = on_start
        self._on_end = on_end
        self._watches: dict[int, WorkloadCgroup] = {}
        self._exits = ExitWatch(procfs, self._exited)
        self._watched: dict[int, WorkloadCgroup] = {}
        self._order: list[WorkloadCgroup] | None = None
        self._walked = 0.0
        self._fault: Fault | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
        except OSError as error:
            self._blind(error)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.root = WorkloadCgroup("/", self._cpu, self._memory, self.version, None, ROOT, None)
        with self.lock:
            self._watch(self.root)
            self._walk(self.root, None)
        self._walked = time.monotonic()
        if self._inotify is not None:
            self._thread = threading.Thread(target=self._run, name="cgroup-tree", daemon=True)
            self._thread.start()

    @property
    def fault(self) -> Fault | None:
        """Why some workloads are found late."""
        return self._fault

    def read(self) -> list[WorkloadCgroup]:
        """Every workload with its current counters, descendants first, without left-over cgroups. The caller holds
        the lock."""
        now = time.monotonic()
        if now - self._walked > (RESYNC_SECONDS if self._fault is None else BLIND_SECONDS):
            self._resync()
        gone = []
        for number, one in enumerate(self._workloads()):
            if not one.read(now):
                gone.append(one)
            if number % READ_AT_ONCE == 0:
                self._listen()
        for one in gone:
            self._end(one)
        workloads = self._workloads()
        for one in workloads:
            one.read_memory()
        return [one for one in workloads if one.emptied is None or now - one.emptied < LEFT_OVER_SECONDS]

    def _workloads(self) -> list[WorkloadCgroup]:
        if self._order is None:
            self._order = [one for one in _below(self.root) if one.place is not None]
        return self._order

    def close(self) -> None:
        self._closed = True
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        self._exits.close()
        with self.lock:
            for one in _below(self.root):
                one.close()
        if self._inotify is not None:
            self._inotify.close()
        os.close(self._wake)

    def _listen(self) -> None:
        """Takes the changes since it was last called, under the lock."""
        if self._inotify is not None:
            for event in self._inotify.events():
                self._hear(event)

    def _run(self) -> None:
        assert self._inotify is not None
        poll = select.epoll()
        poll.register(self._wake, select.EPOLLIN)
        poll.register(self._inotify.descriptor, select.EPOLLIN)
        with contextlib.closing(poll):
            while True:
                poll.poll()
                if self._closed:
                    return
                with self.lock:
                    self._listen()

    def _hear(self, event: TreeEvent) -> None:
        if event.mask & OVERFLOW:
            self._resync()
            return
        one = self._watches.get(event.watch)
        if one is None:
            return
        if event.mask & MODIFIED and event.watch == one.populated:
            # Its last process has just ended, or its first one has started.
            one.read(time.monotonic())
            self._watch_process(one)
            self._look_for_processes(one)
        elif event.mask & DIRECTORY:
            if event.mask & (CREATED | MOVED) and event.name not in one.children:
                self._add(one, event.name, time.time())
            known = one.children.get(event.name)
            if event.mask & (DELETED | MOVED) and known is not None and not os.path.isdir(known.directory):
                self._end(known)

    def _add(self, parent: WorkloadCgroup, name: str, seen: float | None, late: bool = False) -> None:
        """Adds a cgroup and its descendants. ``seen`` is when it was created, if reported; ``late``: it existed before,
        and its use was counted as its parent's."""
        if parent.above.depth >= MOST_DEPTH:
            return
        text = encodable(name)
        found, above = place(text, parent.above)
        path = f"{parent.path.rstrip('/')}/{text}"
        memory = None if parent.memory_directory is None else f"{parent.memory_directory}/{name}"
        one = WorkloadCgroup(path, f"{parent.directory}/{name}", memory, self.version, found, above, parent)
        one.started = seen
        parent.children[name] = one
        self._order = None
        if found is not None:
            self._watch_end(one)
        if above.inside != "container":
            self._watch(one)
            self._walk(one, seen)
        if found is not None:
            one.read(time.monotonic(), late)
            if seen is None and self._is_empty(one):
                one.emptied = 0.0
            self._on_start(one)

    def _walk(self, one: WorkloadCgroup, seen: float | None) -> None:
        for name in subdirectories(one.directory):
            if name not in one.children:
                self._add(one, name, seen)

    def _resync(self) -> None:
        """Scans all directories again for unreported changes."""
        self._walked = time.monotonic()
        for one in [self.root, *_below(self.root)]:
            if one.above.inside == "container" or (one is not self.root and one.parent is None):
                continue
            names = set(subdirectories(one.directory))
            for name in names - one.children.keys():
                self._add(one, name, None, late=True)
            for name in one.children.keys() - names:
                if not os.path.isdir(one.children[name].directory):
                    self._end(one.children[name])

    def _end(self, one: WorkloadCgroup) -> None:
        """Removes a cgroup that is gone, and its descendants."""
        parent = one.parent
        if parent is None or parent.children.get(one.name) is not one:
            return
        for child in list(one.children.values()):
            self._end(child)
        del parent.children[one.name]
        if self._inotify is not None:
            for watch in (one.watch, one.populated):
                if self._watches.pop(watch, None) is not None:
                    self._inotify.forget(watch)
        one.close()
        one.parent, self._order = None, None
        if one.place is not None:
            self._on_end(one)

    def _watch(self, one: WorkloadCgroup) -> None:
        if self._inotify is None:
            return
        try:
            one.watch = self._inotify.watch_directory(one.directory)
            self._watches[one.watch] = one
        except OSError as error:
            self._blind(error)

    def _watch_end(self, one: WorkloadCgroup) -> None:
        if self._inotify is None:
            return
        try:
            name = "cgroup.events" if self.version == 2 else "cgroup.procs"
            one.populated = self._inotify.watch_file(f"{one.directory}/{name}")
            self._watches[one.populated] = one
        except OSError as error:
            self._blind(error)
        self._watch_process(one)

    def _watch_process(self, one: WorkloadCgroup, after: int = 0) -> None:
        """On version 1, which does not report the last process's end: watches one of its processes, of which the list
        is ascending. ``after`` is the one that has just ended, so that none is watched twice."""
        if self.version == 2 or one.process is not None:
            return
        listed = bytes_of(f"{one.directory}/cgroup.procs").split()
        pid = next((pid for pid in map(int, listed) if pid > after), None)
        if pid is not None and self._exits.add(pid):
            one.process = pid
            self._watched[pid] = one

    def _exited(self, pid: int) -> None:
        """In the exit watch's thread: the cgroup exists for some milliseconds more."""
        with self.lock:
            one = self._watched.pop(pid, None)
            if one is not None and one.parent is not None:
                one.process = None
                one.read(time.monotonic())
                self._watch_process(one, after=pid)
                self._look_for_processes(one)

    def _look_for_processes(self, one: WorkloadCgroup) -> None:
        one.emptied = time.monotonic() if self._is_empty(one) else None

    def _is_empty(self, one: WorkloadCgroup) -> bool:
        """Whether neither it nor a cgroup in it has a process."""
        if self.version == 2:
            return b"populated 0" in bytes_of(f"{one.directory}/cgroup.events")
        return all(
            "cgroup.procs" in files and not bytes_of(f"{directory}/cgroup.procs", 1)
            for directory, _, files in os.walk(one.directory)
        )

    def _blind(self, error: OSError) -> None:
        """A cgroup that has disappeared meanwhile is no fault."""
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            which = "instances" if error.errno == errno.EMFILE else "watches"
            self._fault = Fault(
                "cgroup tree",
                f"the kernel has no inotify {which} left: workloads are found up to {BLIND_SECONDS:g} s late",
                f"sudo sysctl fs.inotify.max_user_{which}=524288",
            )


def _below(one: WorkloadCgroup) -> Iterator[WorkloadCgroup]:
    """Every descendant of a cgroup, leaves first."""
    for child in list(one.children.values()):
        yield from _below(child)
        yield child
