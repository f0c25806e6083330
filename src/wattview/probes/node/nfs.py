"""The NFS client: its calls, by version and method (/proc/net/rpc/nfs)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from wattview.exposition import Family, counter, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file

V2_METHODS = (
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create", "Remove",
    "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
)  # fmt: skip
V3_METHODS = (
    "Null", "GetAttr", "SetAttr", "Lookup", "Access", "ReadLink", "Read", "Write", "Create", "MkDir", "SymLink",
    "MkNod", "Remove", "RmDir", "Rename", "Link", "ReadDir", "ReadDirPlus", "FsStat", "FsInfo", "PathConf", "Commit",
)  # fmt: skip
# Columns in the order of the kernel's enum NFSPROC4_CLNT_* (include/linux/nfs4.h).
_V4_METHODS = (
    "Null", "Read", "Write", "Commit", "Open", "OpenConfirm", "OpenNoattr", "OpenDowngrade", "Close", "Setattr",
    "FsInfo", "Renew", "SetClientID", "SetClientIDConfirm", "Lock", "Lockt", "Locku", "Access", "Getattr", "Lookup",
    "LookupRoot", "Remove", "Rename", "Link", "Symlink", "Create", "Pathconf", "StatFs", "ReadLink", "ReadDir",
    "ServerCaps", "DelegReturn", "GetACL", "SetACL", "FsLocations", "ReleaseLockowner", "Secinfo", "FsidPresent",
    "ExchangeID", "CreateSession", "DestroySession", "Sequence", "GetLeaseTime", "ReclaimComplete", "LayoutGet",
    "GetDeviceInfo", "LayoutCommit", "LayoutReturn", "SecinfoNoName", "TestStateID", "FreeStateID", "GetDeviceList",
    "BindConnToSession", "DestroyClientID", "Seek", "Allocate", "DeAllocate", "LayoutStats", "Clone",
)  # fmt: skip
_METHODS = {"2": V2_METHODS, "3": V3_METHODS, "4": _V4_METHODS}


@of_file("net/rpc/nfs")
def collector(data: bytes) -> list[Family]:
    """``node_nfs_*``; no data if the client is not loaded. A method that the kernel does not know reads 0."""
    lines = rpc_lines(data, {"net": 4, "rpc": 3})
    packets = counter("node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.")
    _, udp, tcp, connections, *_ = lines["net"]
    packets.add(udp, labels(protocol="udp")).add(tcp, labels(protocol="tcp"))
    calls, retransmissions, refreshes, *_ = lines["rpc"]
    requests = counter("node_nfs_requests_total", "Number of NFS procedures invoked.")
    for version, methods in _METHODS.items():
        counts = lines.get(f"proc{version}", ())[1:]
        for method, count in zip_longest(methods, counts[: len(methods)], fillvalue=0):
            requests.add(count, labels(proto=version, method=str(method)))
    return [
        packets,
        counter("node_nfs_connections_total", "Total number of NFSd TCP connections.", connections),
        counter("node_nfs_rpcs_total", "Total number of RPCs performed.", calls),
        counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed.", retransmissions),
        counter(
            "node_nfs_rpc_authentication_refreshes_total",
            "Number of RPC authentication refreshes performed.",
            refreshes,
        ),
        requests,
    ]


def rpc_lines(data: bytes, columns: dict[str, int]) -> dict[str, Sequence[int | None]]:
    """``name number number …`` lines of /proc/net/rpc files.

    A line in ``columns`` that is missing or too short becomes that many None.
    """

    def numbers(line: str) -> tuple[str, list[int]]:
        name, *fields = line.split() or [""]
        # The thread histogram, all zeros since Linux 2.6.36, has fractions.
        values = [int(field) for field in (fields[:2] if name == "th" else fields)]
        if not name.isidentifier() or len(values) < columns.get(name, 1):
            raise ValueError("too few numbers")
        return name, values

    found: dict[str, Sequence[int | None]] = {name: (None,) * count for name, count in columns.items()}
    found.update(understood(data.decode("ascii", "replace").splitlines(), numbers, "net/rpc"))
    return found
