"""IPVS, the kernel's load balancer: its traffic and its backends."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import counter, gauge

_TOTALS = (
    ("connections_total", "The total number of connections made."),
    ("incoming_packets_total", "The total number of incoming packets."),
    ("outgoing_packets_total", "The total number of outgoing packets."),
    ("incoming_bytes_total", "The total amount of incoming data."),
    ("outgoing_bytes_total", "The total amount of outgoing data."),
)


class Backend(NamedTuple):
    """One real server behind one virtual service, by its label text."""

    text: str
    weight: int
    active: int
    inactive: int


class Ipvs:
    """``node_ipvs_*``; no data where IPVS is not loaded."""

    def __init__(self, config: Config) -> None:
        self._stats = KernelFile(f"{config.paths.procfs}/net/ip_vs_stats")
        self._services = KernelFile(f"{config.paths.procfs}/net/ip_vs")

    def collect(self) -> list[Family]:
        totals = ipvs_totals(self._stats.read())
        found = [
            counter(f"node_ipvs_{name}", help_text, value)
            for (name, help_text), value in zip(_TOTALS, totals, strict=True)
        ]
        active = gauge(
            "node_ipvs_backend_connections_active", "The current active connections by local and remote address."
        )
        inactive = gauge(
            "node_ipvs_backend_connections_inactive", "The current inactive connections by local and remote address."
        )
        weight = gauge("node_ipvs_backend_weight", "The current backend weight by local and remote address.")
        sums: dict[str, list[int]] = {}
        for backend in ipvs_backends(self._services.read()):
            total = sums.setdefault(backend.text, [0, 0, 0])
            for index, value in enumerate(backend[1:]):
                total[index] += value
        for text, values in sums.items():
            for family, value in zip((weight, active, inactive), values, strict=True):
                family.add(value, text)
        return [*found, active, inactive, weight]


def ipvs_totals(data: bytes) -> list[int]:
    """Connections, packets in and out, bytes in and out, out of the third line of /proc/net/ip_vs_stats."""
    lines = data.splitlines()
    fields = lines[2].split() if len(lines) > 2 else []
    if len(fields) != 5:
        raise ValueError("net/ip_vs_stats: its third line does not hold five numbers")
    return [int(field, 16) for field in fields]


def ipvs_backends(data: bytes) -> list[Backend]:
    """The real servers of /proc/net/ip_vs, each with the service line above it."""
    found = []
    local = {"local_address": "", "local_port": "0", "proto": "", "local_mark": ""}
    for line in data.decode("ascii", "replace").splitlines():
        fields = line.split()
        if not fields or fields[0] in ("IP", "Prot") or fields[1:2] == ["RemoteAddress:Port"]:
            continue
        if fields[0] in ("TCP", "UDP", "SCTP") and len(fields) > 1:
            address, port = address_and_port(fields[1])
            local = {"local_address": address, "local_port": port, "proto": fields[0], "local_mark": ""}
        elif fields[0] == "FWM" and len(fields) > 1:
            local = {"local_address": "", "local_port": "0", "proto": "FWM", "local_mark": fields[1]}
        elif fields[0] == "->" and len(fields) >= 6:
            address, port = address_and_port(fields[1])
            text = labels(
                local_address=local["local_address"],
                local_port=local["local_port"],
                remote_address=address,
                remote_port=port,
                proto=local["proto"],
                local_mark=local["local_mark"],
            )
            found.append(Backend(text, int(fields[3]), int(fields[4]), int(fields[5])))
    return found


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
