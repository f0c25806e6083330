"""The processes of this machine at one moment, with their command lines and the sockets of every network namespace.

All is read from one procfs, and blocks: some 50 µs a process, and 5 µs each open file of those whose sockets are looked
for. Command lines and socket tables are open to everybody; which process holds a socket is told to the process' own
user and to those with CAP_SYS_PTRACE (ptrace(2), "Ptrace access mode checking"). A process may end at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct

from wattview.daemon.attribution.publishers.push_targets import PLAYERS, PushTarget, push_targets
from wattview.probes import procfs
from wattview.probes.tcp_sockets import TcpEntry, local_addresses, tcp_table

KTHREADD = 2
"""The parent of the kernel's threads, which have neither sockets nor command lines of their own."""

COMMAND_BYTES, MOST_TARGETS = 1 << 17, 64
"""Of a command line: anybody may start a process with one of some megabytes."""


class HostProcess(Struct, frozen=True):
    """``namespace`` is that of its network; "" where it has ended."""

    pid: int
    parent: int
    group: int
    program: str
    cgroup: str
    namespace: str
    targets: tuple[PushTarget, ...] = ()
    """What its command line says that it pushes to."""

    only_reads: bool = False
    """Its command line names streams, and reads them all."""


class HostSocket(Struct, frozen=True):
    """A socket of some namespace."""

    namespace: str
    entry: TcpEntry


class HostProcesses:
    """The processes below ``root``. What is asked for is read when it is asked for, and kept."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.by_pid: dict[int, HostProcess] = {}
        self.refused: set[int] = set()
        """The processes whose open files may not be read."""
        self._tables: dict[str, list[TcpEntry]] = {}
        self._addresses: dict[str, set[str]] = {}
        self._files: dict[int, frozenset[str]] = {}
        for name in _listed(root):
            if name.isdecimal() and (process := self._read(int(name))) is not None:
                self.by_pid[process.pid] = process

    def _read(self, pid: int) -> HostProcess | None:
        try:
            stat = procfs.pid_stat(_bytes(f"{self._root}/{pid}/stat"))
        except ValueError:
            return None
        if KTHREADD in (pid, stat.parent):
            return None
        arguments = _bytes(f"{self._root}/{pid}/cmdline", COMMAND_BYTES).decode("utf-8", "replace").split("\0")
        targets = () if stat.name in PLAYERS else tuple(islice(push_targets(arguments), MOST_TARGETS))
        return HostProcess(
            pid=pid,
            parent=stat.parent,
            group=stat.group,
            program=stat.name,
            cgroup=_bytes(f"{self._root}/{pid}/cgroup").decode("utf-8", "replace"),
            namespace=self._namespace(pid),
            targets=targets,
            only_reads=not targets and any("rtmp" in argument and "://" in argument for argument in arguments),
        )

    def _namespace(self, pid: int) -> str:
        """Its link, or for those who may not read it the inode of its socket table: one for all in a namespace."""
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
            if process.namespace == namespace and (data := _bytes(f"{self._root}/{process.pid}/net/{name}")):
                return data
        return b""

    def owners(self, wanted: Iterable[HostSocket]) -> dict[HostSocket, HostProcess]:
        """Who holds each of these sockets: of several that share one, the one that the others descend from.

        Those whose command line names a push are looked at first, and nobody once all are found.
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
        """A child that was given its parent's files has its sockets too."""
        while (parent := self.by_pid.get(process.parent)) is not None and inode in self.files(parent.pid, "socket"):
            process = parent
        return process

    def files(self, pid: int, kind: str) -> set[int]:
        """The inodes of a process' open files of a kind, ``socket`` or ``pipe``; none, and ``refused``, where they may
        not be read."""
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
        """The inode of the pipe that is its standard input."""
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
        """The pids of whatever works for a publisher: itself, all that descend from it, and those that feed it through
        a pipe, as in ``encoder | ffmpeg -i - … rtmp://…``. ``others``, publishers too, and theirs are not among them.
        """
        found = {pid}
        waiting = [pid]
        excluded = set(others) - {pid}
        while waiting:
            one = waiting.pop()
            new = {each.pid for each in self.by_pid.values() if each.parent == one} | self._feeders(one)
            new -= found | excluded
            found |= new
            waiting += new
        return frozenset(found)

    def _feeders(self, pid: int) -> set[int]:
        """The processes of its pipeline that hold the pipe it reads from; none above it, who may only steer it."""
        process, pipe = self.by_pid.get(pid), self.input_pipe(pid)
        if process is None or pipe is None:
            return set()
        pipeline = {one.pid for one in self.by_pid.values() if one.group == process.group and one.pid != pid}
        return {one for one in pipeline - set(self.ancestors(pid)) if pipe in self.files(one, "pipe")}


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _bytes(path: str, most: int = -1) -> bytes:
    """A file of a process that may have ended, or may not be read; empty then."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""
