"""Whether a server really accepts a pushed stream, according to the kernel's TCP statistics.

FFmpeg connects in a separate thread and does not report it: a server that never answers the handshake looks like a slow
one. The kernel counts each connection's bytes (sock_diag(7), ``struct tcp_info``) and, if the server is on this
machine, the bytes it has not read yet.

Formats: include/uapi/linux/{sock_diag,inet_diag,tcp}.h. RTMP's handshake: Adobe, "RTMP 1.0 Specification", 5.2.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from wattview.probes.node import netlink

HANDSHAKE_BYTES = 1 + 1536 + 1536
"""Per side: C0, C1, C2 and S0, S1, S2."""

COMMAND_BYTES = 2048
"""Upper bound for connect, createStream and publish without the address, which occurs in them up to four times."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_INET_DIAG_INFO = 2
_TCP_ESTABLISHED, _TCP_SYN_SENT, _TCP_CLOSE_WAIT = 1, 2, 8
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE = struct.Struct("=BBBB HH 16s16s I8s IIIII")
_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120


def plain_address(url: str) -> str:
    """An RTMP server's address without secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class PushConnection(Struct, frozen=True):
    """One TCP connection: bytes acknowledged by the peer's kernel, bytes received, and bytes queued: here, and if the
    peer is on this machine, unread there."""

    acknowledged_bytes: int
    received_bytes: int
    waiting_bytes: int

    def is_answered(self) -> bool:
        """Whether the server has answered RTMP's handshake."""
        return self.received_bytes >= HANDSHAKE_BYTES

    def is_published(self, url: str) -> bool:
        """Whether pictures are sent, which starts when the server has accepted the stream."""
        return self.is_answered() and self.acknowledged_bytes >= HANDSHAKE_BYTES + COMMAND_BYTES + 4 * len(url)


class _Socket(Struct, frozen=True):
    here: tuple[bytes, int]
    there: tuple[bytes, int]
    inode: int
    unread: int
    unsent: int
    acknowledged: int
    received: int


def connections_of(pid: int) -> list[PushConnection]:
    """The TCP connections of a session leader, its session and all its descendants. Raises OSError if the kernel does
    not provide them. Blocks."""
    inodes = {inode for one in _family(pid) for inode in _socket_inodes(one)}
    if not inodes:
        return []
    try:
        sockets = [*_sockets(socket.AF_INET), *_sockets(socket.AF_INET6)]
    except (ValueError, struct.error) as error:
        raise OSError(str(error)) from error
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


def _sockets(family: int) -> Iterator[_Socket]:
    states = 1 << _TCP_ESTABLISHED | 1 << _TCP_SYN_SENT | 1 << _TCP_CLOSE_WAIT
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), states)
    for body in netlink.dump(_SOCK_DIAG_BY_FAMILY, request, _NETLINK_SOCK_DIAG):
        _, _, _, _, sport, dport, source, target, _, _, _, unread, unsent, _, inode = _MESSAGE.unpack_from(body)
        # Before Linux 4.1 the counters are missing.
        info = dict(netlink.attributes(body[_MESSAGE.size :])).get(_INET_DIAG_INFO, b"")
        if len(info) < _BYTES_AT + _BYTES.size:
            raise OSError("the kernel does not count a connection's bytes")
        acknowledged, received = _BYTES.unpack_from(info, _BYTES_AT)
        yield _Socket((source, sport), (target, dport), inode, unread, unsent, acknowledged, received)
