"""Connection tracking: entries, their limit, and counters summed over all CPUs."""

from __future__ import annotations

from wattview.exposition import Family, gauge, rows
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer, understood
from wattview.probes.node.collector import of_files

# By the column of /proc/net/stat/nf_conntrack. They are counters, but node_exporter exports them as gauges.
_COLUMNS = rows("""
2 node_nf_conntrack_stat_found Number of searched entries which were successful.
4 node_nf_conntrack_stat_invalid Number of packets seen which can not be tracked.
5 node_nf_conntrack_stat_ignore Number of packets seen which are already connected to a conntrack entry.
8 node_nf_conntrack_stat_insert Number of entries inserted into the list.
9 node_nf_conntrack_stat_insert_failed Number of entries for which list insertion was attempted but failed.
10 node_nf_conntrack_stat_drop Number of packets dropped due to conntrack failure.
11 node_nf_conntrack_stat_early_drop
  Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.
16 node_nf_conntrack_stat_search_restart
  Number of conntrack table lookups which had to be restarted due to hashtable resizes.
""")
_ENTRIES = "Number of currently allocated flow entries for connection tracking."
_LIMIT = "Maximum size of connection tracking table."


@of_files("sys/net/netfilter/nf_conntrack_count", "sys/net/netfilter/nf_conntrack_max", "net/stat/nf_conntrack")
def collector(count: KernelFile, most: KernelFile, stat: KernelFile) -> list[Family]:
    """``node_nf_conntrack_*``; no data if the module is not loaded."""
    totals = conntrack_totals(stat.read())
    return [
        gauge("node_nf_conntrack_entries", _ENTRIES, integer(count.read(), "nf_conntrack_count")),
        gauge("node_nf_conntrack_entries_limit", _LIMIT, integer(most.read(), "nf_conntrack_max")),
        *(gauge(row.name, row.help, totals[int(row.source)]) for row in _COLUMNS),
    ]


def conntrack_totals(data: bytes) -> list[int]:
    """Each column of /proc/net/stat/nf_conntrack (hexadecimal, one line per CPU), summed."""

    def cpu(line: bytes) -> list[int] | None:
        fields = line.split()
        if fields[0] == b"entries":
            return None
        return [int(fields[column], 16) for column in range(17)]

    by_cpu = understood(data.splitlines(), cpu, "net/stat/nf_conntrack")
    return [sum(column) for column in zip(*by_cpu, strict=True)] or [0] * 17
