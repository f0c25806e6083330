"""Whether a server really accepts a stream pushed over TCP, according to the kernel's statistics.

FFmpeg connects in a separate thread and does not report it: a server that never answers the handshake looks like a slow
one. The kernel counts each connection's bytes (sock_diag(7), ``struct tcp_info``) and, if the server is on this
machine, the bytes it has not read yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from wattview.daemon.lab.encoding.destination import Transport
from wattview.probes.tcp_sockets import counted_sockets


class PushConnection(Struct, frozen=True):
    """One TCP connection: bytes acknowledged by the peer's kernel, bytes received, and bytes queued: here, and if the
    peer is on this machine, unread there."""

    acknowledged_bytes: int
    received_bytes: int
    waiting_bytes: int

    def is_answered(self, transport: Transport) -> bool:
        """Whether the server has answered the handshake, or the requests before the first picture."""
        return self.received_bytes >= transport.answer_bytes

    def is_published(self, transport: Transport, url: str) -> bool:
        """Whether pictures are sent, which starts when the server has accepted the stream."""
        before = (transport.bytes_to_start or 0) + transport.addresses * len(url)
        return self.is_answered(transport) and self.acknowledged_bytes >= before


def connections_of(pid: int) -> list[PushConnection]:
    """The TCP connections of a session leader, its session and all its descendants. Raises OSError if the kernel does
    not provide them. Blocks."""
    inodes = {inode for one in _family(pid) for inode in _socket_inodes(one)}
    if not inodes:
        return []
    sockets = counted_sockets()
    unread = {(one.here, one.there): one.unread for one in sockets}
    return [
        PushConnection(one.acknowledged, one.received, one.unsent + unread.get((one.there, one.here), 0))
        for one in sockets
        if one.inode in inodes
    ]


def _family(leader: int) -> set[int]:
    """Their pids. A process may disappear at any time."""
    import psutil

    family = {leader}
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader:
                family |= {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    return family


def _socket_inodes(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                kind, _, inode = os.readlink(file).partition(":[")
                if kind == "socket":
                    yield int(inode.rstrip("]"))
