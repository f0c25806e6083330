"""Processes of a procfs with network namespaces, sockets and command lines, in the kernel's own formats."""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.support import cgroup_tree

ESTABLISHED, LISTEN = "01", "0A"


class SocketTree:
    """``process`` adds one, ``listen`` and ``connect`` give them sockets; ``write`` puts all of it below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._namespaces: dict[int, str] = {}
        self._addresses: dict[str, Sequence[str]] = {"host": ("127.0.0.1", "192.0.2.10")}
        self._sockets: defaultdict[str, list[tuple[str, str, str, int]]] = defaultdict(list)
        self._files: defaultdict[int, dict[str, str]] = defaultdict(dict)
        self._inode = 1000

    def namespace(self, name: str, *addresses: str) -> str:
        self._addresses[name] = ("127.0.0.1", *addresses)
        return name

    def process(
        self,
        pid: int,
        command: str,
        *,
        namespace: str = "host",
        parent: int = 1,
        cgroup: str = "0::/\n",
        group: int = 0,
    ) -> int:
        """A process whose command line is ``command``'s words."""
        words = command.split()
        cgroup_tree.process(self.root, pid, name=words[0][:15], cgroup=f"{cgroup}\n", parent=parent)
        stat = self.root / str(pid) / "stat"
        head, _, tail = stat.read_text().rpartition(")")
        fields = tail.split()
        fields[2] = str(group or pid)
        stat.write_text(f"{head}) {' '.join(fields)}\n")
        files = {"cmdline": "\0".join(words) + "\0", "comm": f"{words[0][:15]}\n", "status": f"NSpid:\t{pid}\n"}
        cgroup_tree.write(self.root / str(pid), files)
        self._namespaces[pid] = namespace
        return pid

    def listen(self, pid: int, port: int, address: str = "0.0.0.0") -> None:
        self._socket(pid, self._namespaces[pid], (address, port), ("0.0.0.0", 0), LISTEN)

    def socket(self, pid: int, here: tuple[str, int], there: tuple[str, int]) -> None:
        """One end of a connection."""
        self._socket(pid, self._namespaces[pid], here, there, ESTABLISHED)

    def connect(self, pid: int, here: tuple[str, int], server: int, there: tuple[str, int]) -> None:
        """Both ends of a connection, no address translated."""
        self.socket(pid, here, there)
        self.socket(server, there, here)

    def pipe(self, writer: int, reader: int) -> None:
        self._inode += 1
        self._files[writer]["1"] = self._files[reader]["0"] = f"pipe:[{self._inode}]"

    def _socket(self, pid: int, namespace: str, here: tuple[str, int], there: tuple[str, int], state: str) -> None:
        self._inode += 1
        self._sockets[namespace].append((_hex(here), _hex(there), state, self._inode))
        self._files[pid][str(len(self._files[pid]) + 3)] = f"socket:[{self._inode}]"

    def write(self, *, readable: bool = True) -> str:
        """``readable`` false: as a process without CAP_SYS_PTRACE sees it, no open file of anybody."""
        for pid, namespace in self._namespaces.items():
            lines = [
                f"  {at}: {here} {there} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 20 4"
                for at, (here, there, state, inode) in enumerate(self._sockets[namespace])
            ]
            trie = "".join(f"     |-- {address}\n        /32 host LOCAL\n" for address in self._addresses[namespace])
            net = {"net/tcp": "\n".join(["  sl  local_address rem_address   st", *lines, ""]), "net/fib_trie": trie}
            directory = cgroup_tree.write(self.root / str(pid), net)
            (directory / "ns").mkdir(exist_ok=True)
            (directory / "ns/net").symlink_to(f"net:[{4026531840 + sorted(self._addresses).index(namespace)}]")
            (directory / "fd").mkdir(exist_ok=True)
            for number, link in self._files[pid].items():
                (directory / "fd" / number).symlink_to(link)
            if not readable:
                (directory / "fd").chmod(0)
        return str(self.root)


def _hex(end: tuple[str, int]) -> str:
    (word,) = struct.unpack("=I", ipaddress.IPv4Address(end[0]).packed)
    return f"{word:08X}:{end[1]:04X}"
