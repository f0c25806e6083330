"""Queueing disciplines: each interface's backlog and drops."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.probes.node import netlink
from wattview.probes.node.collector import Filter

_ROOT = 0xFFFFFFFF

# Field of netlink.Qdisc, name, help.
_TABLE = rows("""
bytes node_qdisc_bytes_total  Number of bytes sent.
packets node_qdisc_packets_total  Number of packets sent.
drops node_qdisc_drops_total  Number of packets dropped.
requeues node_qdisc_requeues_total  Number of packets dequeued, not transmitted, and requeued.
overlimits node_qdisc_overlimits_total  Number of overlimit packets.
queue_length node_qdisc_current_queue_length  Number of packets currently in queue to be sent.
backlog node_qdisc_backlog  Number of bytes currently in queue to be sent.
""")


class Qdiscs:
    """``node_qdisc_*{device,kind}``, for each interface's root discipline, which includes its children."""

    def __init__(self, config: Config) -> None:
        self._filter = Filter(config.node.qdisc_device_exclude, config.node.qdisc_device_include)

    def collect(self) -> list[Family]:
        shown = [one for one in netlink.qdiscs() if one.parent == _ROOT and not self._filter.ignores(one.device)]
        return families_of(_TABLE, [(labels(device=one.device, kind=one.kind), one) for one in shown])
