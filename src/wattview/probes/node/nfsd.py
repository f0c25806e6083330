"""The kernel's NFS server: its traffic, caches, and calls by version and method (/proc/net/rpc/nfsd)."""

from __future__ import annotations

from collections.abc import Sequence

from wattview.exposition import Family, counter, labels, named, rows
from wattview.probes.node.collector import of_file
from wattview.probes.node.nfs import V2_METHODS, V3_METHODS, rpc_lines

# By the line and the column of it.
_TABLE = rows("""
rc:0 node_nfsd_reply_cache_hits_total Total number of NFSd Reply Cache hits (client lost server response).
rc:1 node_nfsd_reply_cache_misses_total
  Total number of NFSd Reply Cache an operation that requires caching (idempotent).
rc:2 node_nfsd_reply_cache_nocache_total
  Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).
fh:0 node_nfsd_file_handles_stale_total Total number of NFSd stale file handles
io:0 node_nfsd_disk_bytes_read_total Total NFSd bytes read.
io:1 node_nfsd_disk_bytes_written_total Total NFSd bytes written.
th:0 node_nfsd_server_threads Total number of NFSd kernel threads that are running.
ra:0 node_nfsd_read_ahead_cache_size_blocks How large the read ahead cache is in blocks.
ra:11 node_nfsd_read_ahead_cache_not_found_total Total number of NFSd read ahead cache not found.
net:3 node_nfsd_connections_total Total number of NFSd TCP connections.
rpc:0 node_nfsd_server_rpcs_total Total number of NFSd RPCs.
""")

# Operations by their number in the protocol (RFC 7530, section 16), from 3 on.
_V4_OPERATIONS = (
    "Access", "Close", "Commit", "Create", "DelegPurge", "DelegReturn", "GetAttr", "GetFH", "Link", "Lock", "Lockt",
    "Locku", "Lookup", "LookupRoot", "Nverify", "Open", "OpenAttr", "OpenConfirm", "OpenDgrd", "PutFH", "PutPubFH",
    "PutRootFH", "Read", "ReadDir", "ReadLink", "Remove", "Rename", "Renew", "RestoreFH", "SaveFH", "SecInfo",
    "SetAttr", "SetClientID", "SetClientIDConfirm", "Verify", "Write", "RelLockOwner",
)  # fmt: skip
_V4_NOT_SHOWN = frozenset(("PutPubFH", "PutRootFH"))


@of_file("net/rpc/nfsd")
def collector(data: bytes) -> list[Family]:
    """``node_nfsd_*``; no data if the server is not loaded."""
    lines = rpc_lines(data, {"rc": 3, "fh": 1, "io": 2, "th": 1, "net": 4, "rpc": 5})
    # Since Linux 5.4 there is no read-ahead cache, and no line for it.
    found = []
    for row in _TABLE:
        line, _, place = row.source.partition(":")
        if (column := int(place)) < len(lines.get(line, ())):
            found.append(named(row.name, row.help, lines[line][column]))
    packets = counter("node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.")
    packets.add(lines["net"][1], labels(proto="udp")).add(lines["net"][2], labels(proto="tcp"))
    errors = counter("node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.")
    for column, error in ((2, "fmt"), (3, "auth"), (4, "cInt")):
        errors.add(lines["rpc"][column], labels(error=error))
    return [*found, packets, errors, _requests(lines)]


def _requests(lines: dict[str, Sequence[int | None]]) -> Family:
    family = counter("node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.")
    for proto, methods in (("2", V2_METHODS), ("3", V3_METHODS)):
        for method, count in zip(methods, lines.get(f"proc{proto}", ())[1:], strict=False):
            if method != "Null":
                family.add(count, labels(proto=proto, method=method))
    # Numbers 0 to 2 are not operations.
    for method, count in zip(_V4_OPERATIONS, lines.get("proc4ops", ())[4:], strict=False):
        if method not in _V4_NOT_SHOWN:
            family.add(count, labels(proto="4", method=method))
    if lines.get("wdeleg_getattr"):
        family.add(lines["wdeleg_getattr"][0], labels(proto="4", method="WdelegGetattr"))
    return family
