"""Sockets by protocol and state, and their memory."""

from __future__ import annotations

from wattview.exposition import Family, gauge
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_files

_STATES = frozenset(("inuse", "orphan", "tw", "alloc", "mem", "memory"))


@of_files("net/sockstat", "net/sockstat6")
def collector(*files: KernelFile) -> list[Family]:
    """``node_sockstat_*``, from /proc/net/sockstat and sockstat6; without one of them in the kernel, its lines are
    missing."""
    found = []
    for file in files:
        try:
            data = file.read()
        except FileNotFoundError:
            continue
        for protocol, states in sockstat(data).items():
            if protocol == "sockets":
                found.append(gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.", states.get("used")))
                continue
            # The kernel counts this one in pages.
            if "mem" in states:
                states["mem_bytes"] = states["mem"] * procfs.PAGE_BYTES
            for state, value in states.items():
                if state in _STATES or state == "mem_bytes":
                    help_text = f"Number of {protocol} sockets in state {state}."
                    found.append(gauge(f"node_sockstat_{protocol}_{state}", help_text, value))
    return found


def sockstat(data: bytes) -> dict[str, dict[str, int]]:
    """``{"TCP": {"inuse": 6, …}, …}`` out of ``TCP: inuse 6 orphan 0 …``."""

    def sockets(line: str) -> tuple[str, dict[str, int]]:
        protocol, colon, rest = line.partition(":")
        fields = rest.split()
        if not colon or not protocol.isidentifier():
            raise ValueError("not a protocol")
        return protocol, {name: int(value) for name, value in zip(fields[::2], fields[1::2], strict=True)}

    return dict(understood(data.decode("ascii", "replace").splitlines(), sockets, "net/sockstat"))
