"""The processes of this machine at one moment, with their command lines and the sockets of every network namespace.

Everything is read from one procfs, and blocks: some 50 µs per process, and 5 µs per open file of the processes whose
sockets are looked up. Command lines and socket tables are readable by everyone; the owner of a socket is visible only
to the process's own user and with CAP_SYS_PTRACE (ptrace(2), "Ptrace access mode checking"). A process may end at any
moment.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice

from msgspec import Struct

from wattview.daemon.attribution.publishers.push_targets import PLAYERS, PushTarget, push_targets
from wattview.probes import procfs
from wattview.probes.kernel_files import bytes_of
from wattview.probes.tcp_sockets import TcpEntry, local_addresses, tcp_table

KTHREADD = 2
"""The parent of kernel threads, which have no sockets or command lines."""

COMMAND_BYTES, MOST_TARGETS = 1 << 17, 64
"""Limits on a command line: it may have megabytes."""


class HostProcess(Struct, frozen=True):
    """``namespace`` is its network namespace; "" if it has ended."""

    pid: int
    parent: int
    group: int
    program: str
    cgroup: str
    namespace: str
    targets: tuple[PushTarget, ...] = ()
    """Where it pushes to, by its command line."""

    only_reads: bool = False
    """Its command line has stream addresses, but only as inputs."""


class HostSocket(Struct, frozen=True):
    """A socket of some namespace."""

    namespace: str
    entry: TcpEntry


class HostProcesses:
    """The processes below ``root``. Data are read on demand, and cached."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.by_pid: dict[int, HostProcess] = {}
        self.refused: set[int] = set()
        """Processes whose open files may not be read."""
        self._tables: dict[str, list[TcpEntry]] = {}
        self._addresses: dict[str, set[str]] = {}
        self._files: dict[int, frozenset[str]] = {}
        self._pipes_of: dict[int, Mapping[int, set[int]]] = {}
        for name in _listed(root):
            if name.isdecimal() and (process := self._read(int(name))) is not None:
                self.by_pid[process.pid] = process

    def _read(self, pid: int) -> HostProcess | None:
        try:
            stat = procfs.pid_stat(bytes_of(f"{self._root}/{pid}/stat"))
        except ValueError:
            return None
        if KTHREADD in (pid, stat.parent):
            return None
        arguments = bytes_of(f"{self._root}/{pid}/cmdline", COMMAND_BYTES).decode("utf-8", "replace").split("\0")
        targets = () if stat.name in PLAYERS else tuple(islice(push_targets(arguments), MOST_TARGETS))
        return HostProcess(
            pid=pid,
            parent=stat.parent,
            group=stat.group,
            program=stat.name,
            cgroup=bytes_of(f"{self._root}/{pid}/cgroup").decode("utf-8", "replace"),
            namespace=self._namespace(pid),
            targets=targets,
            only_reads=not targets and any("rtmp" in argument and "://" in argument for argument in arguments),
        )

    def _namespace(self, pid: int) -> str:
        """Its link, or without permission the inode of its socket table: one per namespace."""
        try:
            return os.readlink(f"{self._root}/{pid}/ns/net")
        except OSError:
            pass
        try:
            return f"table:[{os.stat(f'{self._root}/{pid}/net/tcp').st_ino}]"
        except OSError:
            return ""

    def namespaces(self) -> list[str]:
        return list(dict.fromkeys(one.namespace for one in self.by_pid.values() if one.namespace))

    def table(self, namespace: str) -> list[TcpEntry]:
        """The sockets of a namespace."""
        if namespace not in self._tables:
            entries: list[TcpEntry] = []
            for name in ("tcp", "tcp6"):
                try:
                    entries += tcp_table(self._net(namespace, name))
                except ValueError:
                    continue
            self._tables[namespace] = entries
        return self._tables[namespace]

    def sockets(self) -> Iterator[HostSocket]:
        """The sockets of all namespaces."""
        for namespace in self.namespaces():
            for entry in self.table(namespace):
                yield HostSocket(namespace, entry)

    def addresses(self, namespace: str) -> set[str]:
        """The namespace's own addresses."""
        if namespace not in self._addresses:
            files = (self._net(namespace, name) for name in ("fib_trie", "if_inet6"))
            self._addresses[namespace] = local_addresses(*files)
        return self._addresses[namespace]

    def _net(self, namespace: str, name: str) -> bytes:
        """A file of a namespace, through the first of its processes that still has it."""
        for process in self.by_pid.values():
            if process.namespace == namespace and (data := bytes_of(f"{self._root}/{process.pid}/net/{name}")):
                return data
        return b""

    def owners(self, wanted: Iterable[HostSocket]) -> dict[HostSocket, HostProcess]:
        """The owner of each of these sockets: if several share one, the one that the others descend from.

        Processes whose command line names a push are searched first, and the search ends when all are found.
        """
        left = {(one.namespace, one.entry.inode): one for one in wanted if one.entry.inode}
        namespaces = {namespace for namespace, _ in left}
        found: dict[HostSocket, HostProcess] = {}
        for process in sorted(self.by_pid.values(), key=lambda one: (not one.targets, one.pid)):
            if not left:
                break
            if process.namespace not in namespaces:
                continue
            for inode in self.files(process.pid, "socket"):
                one = left.pop((process.namespace, inode), None)
                if one is not None:
                    found[one] = self._first_holder(process, inode)
        return found

    def _first_holder(self, process: HostProcess, inode: int) -> HostProcess:
        """A child that inherited its parent's files has its sockets too."""
        for pid in self.ancestors(process.pid):
            if pid not in self.by_pid or inode not in self.files(pid, "socket"):
                break
            process = self.by_pid[pid]
        return process

    def files(self, pid: int, kind: str) -> set[int]:
        """Inodes of a process's open files of a kind, ``socket`` or ``pipe``; empty, and in ``refused``, without
        permission."""
        if pid not in self._files:
            self._files[pid] = frozenset(self._links(pid))
        prefix = f"{kind}:["
        return {int(link[len(prefix) : -1]) for link in self._files[pid] if link.startswith(prefix)}

    def _links(self, pid: int) -> Iterator[str]:
        directory = f"{self._root}/{pid}/fd"
        try:
            names = os.listdir(directory)
        except PermissionError:
            self.refused.add(pid)
            return
        except OSError:
            return
        for name in names:
            try:
                yield os.readlink(f"{directory}/{name}")
            except PermissionError:
                self.refused.add(pid)
                return
            except OSError:
                continue

    def input_pipe(self, pid: int) -> int | None:
        """The inode of the pipe on its standard input."""
        try:
            kind, _, inode = os.readlink(f"{self._root}/{pid}/fd/0").partition(":[")
        except OSError:
            return None
        return int(inode.rstrip("]")) if kind == "pipe" else None

    def ancestors(self, pid: int) -> Iterator[int]:
        seen: set[int] = set()
        while (process := self.by_pid.get(pid)) is not None and process.parent not in seen:
            seen.add(process.parent)
            pid = process.parent
            yield pid

    def family(self, pid: int, others: Iterable[int] = ()) -> frozenset[int]:
        """The pids that work for a publisher: itself, its descendants, and those that feed it through a pipe, as in
        ``encoder | ffmpeg -i - … rtmp://…``; without ``others``, which are publishers too, and theirs."""
        found = {pid}
        waiting = [pid]
        excluded = set(others) - {pid}
        while waiting:
            one = waiting.pop()
            near = (*self._children[one], *self._feeders(one))
            new = [each for each in near if each not in found and each not in excluded]
            found.update(new)
            waiting += new
        return frozenset(found)

    def _feeders(self, pid: int) -> set[int]:
        """The processes of its pipeline that hold the pipe it reads from; without its ancestors, which may only control
        it."""
        process, pipe = self.by_pid.get(pid), self.input_pipe(pid)
        if process is None or pipe is None:
            return set()
        holders = self._pipes(process.group)[pipe] - {pid}
        return holders - set(self.ancestors(pid)) if holders else holders

    @cached_property
    def _children(self) -> Mapping[int, list[int]]:
        return _grouped((one.parent, one.pid) for one in self.by_pid.values())

    @cached_property
    def _groups(self) -> Mapping[int, list[int]]:
        return _grouped((one.group, one.pid) for one in self.by_pid.values())

    def _pipes(self, group: int) -> Mapping[int, set[int]]:
        """Who in a process group holds each pipe."""
        if group not in self._pipes_of:
            holders: defaultdict[int, set[int]] = defaultdict(set)
            for pid in self._groups[group]:
                for pipe in self.files(pid, "pipe"):
                    holders[pipe].add(pid)
            self._pipes_of[group] = holders
        return self._pipes_of[group]


def _grouped(pairs: Iterable[tuple[int, int]]) -> Mapping[int, list[int]]:
    """The second of each pair, by the first."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
