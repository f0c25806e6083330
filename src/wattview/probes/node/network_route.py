"""The routing table, and the number of routes per device, from the kernel over netlink."""

from __future__ import annotations

from collections import Counter

from wattview.exposition import Family, gauge, labels
from wattview.probes.node import netlink
from wattview.probes.node.collector import of_machine

# include/uapi/linux/rtnetlink.h: the origin of a route.
_PROTOCOLS = {
    0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
    12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted", 42: "babel", 186: "bgp", 187: "isis",
    188: "ospf", 189: "rip", 192: "eigrp",
}  # fmt: skip


@of_machine
def collector() -> list[Family]:
    """``node_network_route_info`` and ``node_network_routes``: unicast routes of all tables, always of this machine,
    whatever ``paths.procfs`` is. A multipath route counts once per path."""
    info = gauge("node_network_route_info", "network routing table information")
    counts: Counter[str] = Counter()
    for route in netlink.unicast_routes():
        proto = _PROTOCOLS.get(route.protocol, "unknown")
        for hop in route.hops:
            counts[hop.device] += 1
            info.add(
                1,
                labels(
                    device=hop.device, src=route.source, dest=route.destination, gw=hop.gateway,
                    priority=str(route.priority), proto=proto, weight=hop.weight,
                ),
            )  # fmt: skip
    # The same route may be in several tables.
    info.samples = list(dict.fromkeys(info.samples))
    routes = gauge("node_network_routes", "network routes by interface")
    for device, count in sorted(counts.items()):
        routes.add(count, labels(device=device))
    return [info, routes]
