"""The kernel's neighbour table, queueing disciplines, routes and TCP sockets, over netlink.

Formats: include/uapi/linux/{netlink,rtnetlink,neighbour,pkt_sched,gen_stats,inet_diag}.h. Numbers are in the host's
byte order.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

_NETLINK_ROUTE, _NETLINK_SOCK_DIAG = 0, 4
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_RTM_GETROUTE, _RTM_GETNEIGH, _RTM_GETQDISC = 26, 30, 38
_SOCK_DIAG_BY_FAMILY = 20
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NDMSG = struct.Struct("=BxxxiHBB")
_TCMSG = struct.Struct("=BxxxiIII")
_RTMSG = struct.Struct("=BBBBBBBBI")
_RTNEXTHOP = struct.Struct("=HBBi")
_RTN_UNICAST = 1
# inet_diag_req_v2: family, protocol, extensions, states; the socket is a wildcard.
_INET_DIAG_REQUEST = struct.Struct("=BBBxI48x")
# inet_diag_msg: family, state; the socket's identity; expiry, the two queues.
_INET_DIAG_MESSAGE = struct.Struct("=BB2x48xIII")
_EVERY_TCP_STATE = 0xFFF
_TIMEOUT_SECONDS = 2.0
# The kernel limits one answer of a dump to 32 kB (netlink_dump in net/netlink/af_netlink.c).
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


class Hop(NamedTuple):
    """Next hop of a route; ``weight`` is empty for a single-path route."""

    device: str
    gateway: str
    weight: str = ""


class Route(NamedTuple):
    """A route: addresses as text, ``destination`` with its prefix or ``default``."""

    destination: str
    source: str
    priority: int
    protocol: int
    hops: tuple[Hop, ...]


class TcpSocket(NamedTuple):
    """A TCP socket's state and the bytes in its queues (connections, for a listening one)."""

    state: int
    receive_queue: int
    send_queue: int


def ipv4_neighbours() -> list[Neighbour]:
    """The IPv4 neighbour table. Raises OSError or ValueError."""
    found = []
    names = _DeviceNames()
    for body in dump(_RTM_GETNEIGH, struct.pack("=B11x", socket.AF_INET)):
        if len(body) < _NDMSG.size:
            raise ValueError("netlink: a neighbour message is too short")
        _, index, state, _, _ = _NDMSG.unpack_from(body)
        found.append(Neighbour(names[index], state))
    return found


def qdiscs() -> list[Qdisc]:
    """The queueing disciplines of all devices. Raises OSError or ValueError."""
    names = _DeviceNames()
    return [qdisc(body, names) for body in dump(_RTM_GETQDISC, struct.pack("=B19x", socket.AF_UNSPEC))]


def qdisc(body: bytes, names: dict[int, str]) -> Qdisc:
    """One RTM_NEWQDISC message without its header; ``names`` maps an index to a device's name."""
    if len(body) < _TCMSG.size:
        raise ValueError("netlink: a qdisc message is too short")
    _, index, _, parent, _ = _TCMSG.unpack_from(body)
    kind, numbers = "", [0] * 7
    for code, value in attributes(body[_TCMSG.size :]):
        if code == 1:  # TCA_KIND
            kind = value.split(b"\0", 1)[0].decode("utf-8", "replace")
        elif code == 3 and len(value) >= 36:  # TCA_STATS, the old form: 32-bit counters
            total, packets, drops, overlimits, _, _, length, backlog = struct.unpack_from("=QIIIIIII", value)
            numbers = [total, packets, drops, numbers[3], overlimits, length, backlog]
        elif code == 7:  # TCA_STATS2
            for inner, data in attributes(value):
                if inner == 1 and len(data) >= 12:  # TCA_STATS_BASIC
                    numbers[0], numbers[1] = struct.unpack_from("=QI", data)
                elif inner == 3 and len(data) >= 20:  # TCA_STATS_QUEUE
                    numbers[5], numbers[6], numbers[2], numbers[3], numbers[4] = struct.unpack_from("=IIIII", data)
    return Qdisc(names[index], kind, parent, *numbers)


def unicast_routes() -> list[Route]:
    """The unicast routes of IPv4 and IPv6, of all tables. Raises OSError or ValueError."""
    names = _DeviceNames()
    routes = (route(body, names) for body in dump(_RTM_GETROUTE, _RTMSG.pack(socket.AF_UNSPEC, *[0] * 8)))
    return [found for found in routes if found is not None]


def route(body: bytes, names: dict[int, str]) -> Route | None:
    """One RTM_NEWROUTE message without its header; None if it is not unicast."""
    if len(body) < _RTMSG.size:
        raise ValueError("netlink: a route message is too short")
    _, length, _, _, _, protocol, _, kind, _ = _RTMSG.unpack_from(body)
    if kind != _RTN_UNICAST:
        return None
    destination, source, gateway, priority, device = "", "", "", 0, ""
    hops: list[Hop] = []
    for code, value in attributes(body[_RTMSG.size :]):
        if code == 1:  # RTA_DST
            destination = str(ipaddress.ip_network((_address(value), length), strict=False))
        elif code == 4:  # RTA_OIF
            device = names[_number(value)]
        elif code == 5:  # RTA_GATEWAY
            gateway = str(_address(value))
        elif code == 6:  # RTA_PRIORITY
            priority = _number(value)
        elif code == 7:  # RTA_PREFSRC
            source = str(_address(value))
        elif code == 9:  # RTA_MULTIPATH
            hops = list(_hops(value, names))
    return Route(destination if length else "default", source, priority, protocol, (*hops,) or (Hop(device, gateway),))


def _hops(data: bytes, names: dict[int, str]) -> Iterator[Hop]:
    at = 0
    while at + _RTNEXTHOP.size <= len(data):
        length, _, hops, index = _RTNEXTHOP.unpack_from(data, at)
        if length < _RTNEXTHOP.size or at + length > len(data):
            raise ValueError("netlink: a next hop is cut short")
        found = dict(attributes(data[at + _RTNEXTHOP.size : at + length]))
        gateway = str(_address(found[5])) if 5 in found else ""
        yield Hop(names[index], gateway, str(hops + 1))
        at += (length + 3) & ~3


def _address(value: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(value)


def _number(value: bytes) -> int:
    if len(value) != 4:
        raise ValueError("netlink: a number is not of four bytes")
    return int.from_bytes(value, sys.byteorder)


def tcp_sockets() -> list[TcpSocket]:
    """All TCP sockets of IPv4, and of IPv6 if the kernel supports it. Raises OSError or ValueError."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = _INET_DIAG_REQUEST.pack(family, socket.IPPROTO_TCP, 0, _EVERY_TCP_STATE)
        found += [tcp_socket(body) for body in dump(_SOCK_DIAG_BY_FAMILY, request, _NETLINK_SOCK_DIAG)]
    return found


def tcp_socket(body: bytes) -> TcpSocket:
    """One socket diagnosis answer without its header."""
    if len(body) < _INET_DIAG_MESSAGE.size:
        raise ValueError("netlink: a socket's message is too short")
    _, state, _, receive_queue, send_queue = _INET_DIAG_MESSAGE.unpack_from(body)
    return TcpSocket(state, receive_queue, send_queue)


def dump(request: int, body: bytes, protocol: int = _NETLINK_ROUTE) -> Iterator[bytes]:
    """The messages that answer a dump request, without their headers."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as netlink:
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


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, value) of each attribute of a message. Raises ValueError."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            raise ValueError("netlink: an attribute is cut short")
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


class _DeviceNames(dict[int, str]):
    """Names of devices by index, looked up once each; the index itself for a device that is gone."""

    def __missing__(self, index: int) -> str:
        try:
            name = socket.if_indextoname(index)
        except OSError:
            name = str(index)
        self[index] = name
        return name
