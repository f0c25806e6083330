"""CPU time of single processes: of encoders that the daemon started, and of the RTMP server wherever it runs.

Only ``stat``, ``comm``, ``cgroup`` and ``status`` in a procfs are read. Everything here blocks for microseconds, except
for ``find_server``, which scans every process once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from msgspec import Struct

from wattview.model import Container, RtmpServer
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile, bytes_of
from wattview.probes.streams.probe import SERVERS, is_local
from wattview.probes.tcp_sockets import local_addresses


class CpuTime(Struct, frozen=True):
    """CPU seconds of one process so far, and its start on the monotonic clock."""

    seconds: float
    started: float


class ProcessTimes:
    """CPU times of processes in one procfs. Their files stay open while they are requested."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files: dict[int, KernelFile] = {}

    def read(self, pids: Iterable[int]) -> dict[int, CpuTime]:
        """By pid, without ended processes."""
        wanted = set(pids)
        for pid in self._files.keys() - wanted:
            self._files.pop(pid).close()
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        found = {}
        for pid in wanted:
            file = self._files.setdefault(pid, KernelFile(f"{self._root}/{pid}/stat", size=1024))
            try:
                stat = procfs.pid_stat(file.read())
            except (OSError, ValueError):
                continue
            found[pid] = CpuTime(stat.user_seconds + stat.system_seconds, stat.started_seconds - asleep)
        return found

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].close()


class Server(Struct, frozen=True):
    """Location of an RTMP server: a container (its id), or a process of the host."""

    container: str = ""
    pid: int | None = None


def find_server(root: str, url: str, server: RtmpServer, containers: Iterable[Container]) -> Server | None:
    """The process behind the statistics at ``url``; None if it is on another machine or cannot be determined.

    A server reports its pid in its own pid namespace: it matches the process with that innermost pid whose program is
    the server's. ``root`` is the procfs.
    """
    containers = list(containers)
    host = urlsplit(url).hostname or ""
    for container in containers:
        if host in (container.name, container.labels.get("com.docker.compose.service"), *container.addresses):
            return Server(container=container.id)
    if not is_local(url) and host not in _own_addresses(root):
        return None
    programs = _programs(server.name.partition(" ")[0])
    found = [
        _place(root, pid, containers)
        for pid in pids_of(root)
        if _text(f"{root}/{pid}/comm").strip() in programs
        and (server.pid is None or _innermost_pid(root, pid) == server.pid)
    ]
    places = set(found)
    return found[0] if len(places) == 1 else None


def _programs(kind: str) -> tuple[str, ...]:
    return next((one.programs or (one.name,) for one in SERVERS if one.name == kind), ())


def own_chain(root: str) -> frozenset[int]:
    """The pids of this process and of its ancestors in a procfs; empty if it does not show them."""
    chain: set[int] = set()
    try:
        pid = int(os.readlink(f"{root}/self"))
        while pid > 0 and pid not in chain:
            chain.add(pid)
            with open(f"{root}/{pid}/stat", "rb") as file:
                pid = procfs.pid_stat(file.read()).parent
    except (OSError, ValueError):
        pass
    return frozenset(chain)


def container_of(cgroup: str, containers: Iterable[Container]) -> Container | None:
    """The container whose id is in a cgroup's path, for any driver and layout."""
    return next((container for container in containers if container.id in cgroup), None) if cgroup else None


def accounted_cgroup(lines: str) -> str:
    """The cgroup that counts a process' CPU time, of the lines of its ``/proc/<pid>/cgroup``: cpuacct's, else v2's."""
    paths: dict[str, str] = {}
    for line in lines.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        paths |= dict.fromkeys(controllers.split(","), path)
    return paths.get("cpuacct") or paths.get("") or ""


def _own_addresses(root: str) -> set[str]:
    """The addresses of the machine that a procfs shows."""
    return local_addresses(*(_text(f"{root}/1/net/{name}").encode() for name in ("fib_trie", "if_inet6")))


def _place(root: str, pid: int, containers: list[Container]) -> Server:
    container = container_of(_text(f"{root}/{pid}/cgroup"), containers)
    return Server(pid=pid) if container is None else Server(container=container.id)


def _innermost_pid(root: str, pid: int) -> int | None:
    """Its pid in its own pid namespace (``NSpid``, Linux 4.1)."""
    for line in _text(f"{root}/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return pid


def pids_of(root: str) -> list[int]:
    """The processes of a procfs; none if it cannot be read."""
    try:
        return [int(name) for name in os.listdir(root) if name.isdecimal()]
    except OSError:
        return []


def _text(path: str) -> str:
    """A small file of a process; "" if that has ended."""
    return bytes_of(path).decode("utf-8", "replace")
