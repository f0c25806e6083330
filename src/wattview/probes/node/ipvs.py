"""IPVS, the kernel's load balancer: its traffic and its backends."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import NamedTuple

from wattview.exposition import Family, counter, described, families_of, labels, rows
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_files

_TOTALS = described("""
node_ipvs_connections_total The total number of connections made.
node_ipvs_incoming_packets_total The total number of incoming packets.
node_ipvs_outgoing_packets_total The total number of outgoing packets.
node_ipvs_incoming_bytes_total The total amount of incoming data.
node_ipvs_outgoing_bytes_total The total amount of outgoing data.
""")
_BACKENDS = rows("""
active node_ipvs_backend_connections_active The current active connections by local and remote address.
inactive node_ipvs_backend_connections_inactive The current inactive connections by local and remote address.
weight node_ipvs_backend_weight The current backend weight by local and remote address.
""")


class Backend(NamedTuple):
    """One real server of one virtual service, by its label text."""

    text: str
    weight: int
    active: int
    inactive: int


class _Service(NamedTuple):
    proto: str
    address: str = ""
    port: str = "0"
    mark: str = ""


_PROTOCOLS = ("TCP", "UDP", "SCTP", "FWM")
_FIVE_NUMBERS = re.compile(rb"^[ \t]*[0-9A-F]+(?:[ \t]+[0-9A-F]+){4}[ \t]*$", re.MULTILINE)


@of_files("net/ip_vs_stats", "net/ip_vs")
def collector(stats: KernelFile, services: KernelFile) -> list[Family]:
    """``node_ipvs_*``; no data if IPVS is not loaded."""
    totals = ipvs_totals(stats.read())
    found = [counter(name, text, value) for (name, text), value in zip(_TOTALS, totals, strict=True)]
    sums: dict[str, Counter[str]] = {}
    for backend in ipvs_backends(services.read()):
        total = sums.setdefault(backend.text, Counter())
        total.update(active=backend.active, inactive=backend.inactive, weight=backend.weight)
    return [*found, *families_of(_BACKENDS, sums.items(), Counter.__getitem__)]


def ipvs_totals(data: bytes) -> list[int]:
    """Connections, packets in and out, bytes in and out, from the first line of numbers in /proc/net/ip_vs_stats."""
    match = _FIVE_NUMBERS.search(data)
    if match is None:
        raise ValueError("net/ip_vs_stats: has no line of five numbers")
    return [int(field, 16) for field in match[0].split()]


def ipvs_backends(data: bytes) -> list[Backend]:
    """The real servers of /proc/net/ip_vs, each with the service line above it."""
    service: _Service | None = None

    def backend(line: str) -> Backend | None:
        nonlocal service
        fields = line.split()
        if fields[0] in _PROTOCOLS:
            # After an unknown line, the following real servers belong to no known service.
            service = None
            service = _service(fields)
        if fields[0] != "->" or fields[1] == "RemoteAddress:Port":
            return None
        if service is None:
            raise ValueError("a server without a service")
        address, port = address_and_port(fields[1])
        text = labels(
            local_address=service.address,
            local_port=service.port,
            remote_address=address,
            remote_port=port,
            proto=service.proto,
            local_mark=service.mark,
        )
        return Backend(text, int(fields[3]), int(fields[4]), int(fields[5]))

    return understood(data.decode("ascii", "replace").splitlines(), backend, "net/ip_vs")


def _service(fields: list[str]) -> _Service:
    if fields[0] == "FWM":
        return _Service("FWM", mark=fields[1])
    return _Service(fields[0], *address_and_port(fields[1]))


def address_and_port(text: str) -> tuple[str, str]:
    """``C0A80016:0CEA`` or ``[2620:0000::1]:0050`` as (address, port). Raises ValueError."""
    address, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"net/ip_vs: not an address and a port: {text!r}")
    if address.startswith("["):
        return str(ipaddress.ip_address(address.strip("[]"))), str(int(port, 16))
    packed = bytes.fromhex(address)
    if len(packed) not in (4, 16):
        raise ValueError(f"net/ip_vs: not an address: {address!r}")
    return str(ipaddress.ip_address(packed)), str(int(port, 16))
