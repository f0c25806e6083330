"""TCP sockets of a network namespace: who is connected to whom, and how many bytes each has carried.

``/proc/<pid>/net/tcp`` and ``tcp6`` show the namespace that the process lives in, to anybody
(Documentation/networking/proc_net_tcp.rst). Only sock_diag(7) reports how much a socket has carried (``struct
tcp_info``), and only in the caller's own namespace. Formats: include/uapi/linux/{sock_diag,inet_diag,tcp}.h.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from wattview.probes.lines import understood
from wattview.probes.node import netlink

_IPV4_BYTES = 4

ESTABLISHED, _SYN_SENT, _CLOSE_WAIT, LISTEN = 1, 2, 8, 10

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_INET_DIAG_INFO = 2
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE = struct.Struct("=BBBB HH 16s16s I8s IIIII")
_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120


class SocketAddress(NamedTuple):
    """One end of a connection: an address as text, an IPv4 one never in IPv6's form, and a port."""

    address: str
    port: int


class TcpEntry(Struct, frozen=True):
    """One socket of a namespace. ``inode`` is that of ``socket:[…]`` in ``/proc/<pid>/fd``, 0 without a process."""

    here: SocketAddress
    there: SocketAddress
    state: int
    inode: int


class CountedSocket(Struct, frozen=True):
    """One connection of this namespace. ``unread`` bytes wait for their reader here, ``unsent`` for the other side;
    ``acknowledged`` and ``received`` have arrived there and here since it began."""

    here: SocketAddress
    there: SocketAddress
    inode: int
    unread: int
    unsent: int
    acknowledged: int
    received: int


def tcp_table(data: bytes) -> list[TcpEntry]:
    """The sockets of ``net/tcp`` or ``net/tcp6``. Raises ValueError if it is neither."""

    def entry(line: bytes) -> TcpEntry | None:
        fields = line.split()
        if fields[0] == b"sl":
            return None
        return TcpEntry(_endpoint(fields[1]), _endpoint(fields[2]), int(fields[3], 16), int(fields[9]))

    return understood(data.splitlines(), entry, "net/tcp")


def _endpoint(field: bytes) -> SocketAddress:
    address, _, port = field.partition(b":")
    return SocketAddress(_address(address), int(port, 16))


@lru_cache(maxsize=4096)
def _address(field: bytes) -> str:
    """Words of 32 bits in the host's byte order, each printed as one number."""
    words = [int(field[at : at + 8], 16) for at in range(0, len(field), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntoa(packed) if len(packed) == _IPV4_BYTES else plain_address(packed)


def plain_address(address: str | bytes) -> str:
    """An IP address in canonical form: ``::ffff:192.0.2.1`` is ``192.0.2.1``. Raises ValueError if it is not one."""
    found = ipaddress.ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def is_loopback(address: str) -> bool:
    """Whether an address is a loopback address."""
    return address.startswith("127.") or address == "::1"


def endpoint_of(text: str) -> SocketAddress | None:
    """An address as a server writes it, ``192.0.2.1``, ``192.0.2.1:5000``, ``::1`` or ``[::1]:5000``; port 0 if it has
    none, and None if it is not an IP address."""
    address, colon, port = text.rpartition(":")
    candidates = [(text.strip("[]"), "0")]
    if colon and port.isdecimal() and (address.count(":") == 0 or address.endswith("]")):
        candidates.insert(0, (address.strip("[]"), port))
    for host, number in candidates:
        try:
            return SocketAddress(plain_address(host.partition("%")[0]), int(number))
        except ValueError:
            continue
    return None


_LOCAL = re.compile(rb"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


def local_addresses(fib_trie: bytes, if_inet6: bytes) -> set[str]:
    """The addresses of a namespace, by its ``net/fib_trie`` and ``net/if_inet6``."""
    found = {address.decode() for address in _LOCAL.findall(fib_trie)}
    for line in if_inet6.split(b"\n"):
        digits = line.partition(b" ")[0]
        if re.fullmatch(rb"[0-9a-f]{32}", digits):
            found.add(plain_address(bytes.fromhex(digits.decode())))
    return found


def counted_sockets() -> list[CountedSocket]:
    """The connections of this namespace with their bytes. Raises OSError if the kernel does not provide them.
    Blocks."""
    try:
        return [*_counted(socket.AF_INET), *_counted(socket.AF_INET6)]
    except (ValueError, struct.error) as error:
        raise OSError(str(error)) from error


def _counted(family: int) -> Iterator[CountedSocket]:
    states = 1 << ESTABLISHED | 1 << _SYN_SENT | 1 << _CLOSE_WAIT
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), states)
    size = 4 if family == socket.AF_INET else 16
    for body in netlink.dump(_SOCK_DIAG_BY_FAMILY, request, _NETLINK_SOCK_DIAG):
        _, _, _, _, sport, dport, source, target, _, _, _, unread, unsent, _, inode = _MESSAGE.unpack_from(body)
        # Before Linux 4.1 the counters are missing.
        info = dict(netlink.attributes(body[_MESSAGE.size :])).get(_INET_DIAG_INFO, b"")
        if len(info) < _BYTES_AT + _BYTES.size:
            raise OSError("the kernel does not count a connection's bytes")
        acknowledged, received = _BYTES.unpack_from(info, _BYTES_AT)
        here = SocketAddress(plain_address(source[:size]), socket.ntohs(sport))
        there = SocketAddress(plain_address(target[:size]), socket.ntohs(dport))
        yield CountedSocket(here, there, inode, unread, unsent, acknowledged, received)
