"""The kernel's neighbour table and queueing disciplines, asked for over a routing netlink socket.

Formats: include/uapi/linux/{netlink,rtnetlink,neighbour,pkt_sched,gen_stats}.h. Numbers are in the host's byte order.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_NETLINK_ROUTE = 0
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_RTM_GETNEIGH, _RTM_GETQDISC = 30, 38
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NDMSG = struct.Struct("=BxxxiHBB")
_TCMSG = struct.Struct("=BxxxiIII")
_TIMEOUT_SECONDS = 2.0
# The kernel puts no more than 32 kB of a dump into one answer (netlink_dump in net/netlink/af_netlink.c).
_MOST_BYTES = 1 << 15


class Neighbour(NamedTuple):
    """One neighbour: its device and its NUD_ state bits."""

    device: str
    state: int


class Qdisc(NamedTuple):
    """One queueing discipline and its statistics; ``parent`` is TC_H_ROOT (0xffffffff) for a device's own."""

    device: str
    kind: str
    parent: int
    bytes: int
    packets: int
    drops: int
    requeues: int
    overlimits: int
    queue_length: int
    backlog: int


def ipv4_neighbours() -> list[Neighbour]:
    """The IPv4 neighbour table. Raises OSError or ValueError."""
    found = []
    names = _DeviceNames()
    for body in _dump(_RTM_GETNEIGH, struct.pack("=B11x", socket.AF_INET)):
        if len(body) < _NDMSG.size:
            raise ValueError("netlink: a neighbour message is too short")
        _, index, state, _, _ = _NDMSG.unpack_from(body)
        found.append(Neighbour(names[index], state))
    return found


def qdiscs() -> list[Qdisc]:
    """The queueing disciplines of all devices. Raises OSError or ValueError."""
    names = _DeviceNames()
    return [qdisc(body, names) for body in _dump(_RTM_GETQDISC, struct.pack("=B19x", socket.AF_UNSPEC))]


def qdisc(body: bytes, names: dict[int, str]) -> Qdisc:
    """One RTM_NEWQDISC message without its header; ``names`` gives a device's name by its index."""
    if len(body) < _TCMSG.size:
        raise ValueError("netlink: a qdisc message is too short")
    _, index, _, parent, _ = _TCMSG.unpack_from(body)
    kind, numbers = "", [0] * 7
    for code, value in _attributes(body[_TCMSG.size :]):
        if code == 1:  # TCA_KIND
            kind = value.split(b"\0", 1)[0].decode("utf-8", "replace")
        elif code == 3 and len(value) >= 36:  # TCA_STATS, the old form: 32-bit counters
            total, packets, drops, overlimits, _, _, length, backlog = struct.unpack_from("=QIIIIIII", value)
            numbers = [total, packets, drops, numbers[3], overlimits, length, backlog]
        elif code == 7:  # TCA_STATS2
            for inner, data in _attributes(value):
                if inner == 1 and len(data) >= 12:  # TCA_STATS_BASIC
                    numbers[0], numbers[1] = struct.unpack_from("=QI", data)
                elif inner == 3 and len(data) >= 20:  # TCA_STATS_QUEUE
                    numbers[5], numbers[6], numbers[2], numbers[3], numbers[4] = struct.unpack_from("=IIIII", data)
    return Qdisc(names[index], kind, parent, *numbers)


def _dump(request: int, body: bytes) -> Iterator[bytes]:
    """The messages that answer a dump request, without their headers."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(_TIMEOUT_SECONDS)
        netlink.send(_HEADER.pack(_HEADER.size + len(body), request, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + body)
        while True:
            data = netlink.recv(_MOST_BYTES)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if length < _HEADER.size or at + length > len(data):
                    raise ValueError("netlink: a message is cut short")
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", data, at + _HEADER.size)
                    raise OSError(-code, os.strerror(-code))
                yield data[at + _HEADER.size : at + length]
                at += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            raise ValueError("netlink: an attribute is cut short")
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


class _DeviceNames(dict[int, str]):
    """Names of devices by index, looked up once each; the index itself for one that has just gone."""

    def __missing__(self, index: int) -> str:
        try:
            name = socket.if_indextoname(index)
        except OSError:
            name = str(index)
        self[index] = name
        return name
