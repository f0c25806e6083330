"""Bytes in the queues of all UDP sockets."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import NoSource, of_files


@of_files("net/udp", "net/udp6")
def collector(*files: KernelFile) -> list[Family]:
    """``node_udp_queues{queue,ip}``, from /proc/net/udp and udp6."""
    family = gauge("node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.")
    for version, file in zip(("v4", "v6"), files, strict=True):
        try:
            transmit, receive = queue_totals(file.read())
        except FileNotFoundError:
            continue
        family.add(transmit, labels(queue="tx", ip=version))
        family.add(receive, labels(queue="rx", ip=version))
    if not family.samples:
        raise NoSource("this kernel has no UDP")
    return [family]


def queue_totals(data: bytes) -> tuple[int, int]:
    """(bytes to send, bytes received and not yet read) of all sockets in a /proc/net/udp file."""

    def queues(line: bytes) -> tuple[int, int] | None:
        fields = line.split(None, 5)
        if fields[0] == b"sl":
            return None
        sending, _, received = fields[4].partition(b":")
        return int(sending, 16), int(received, 16)

    found = understood(data.splitlines(), queues, "net/udp")
    return sum(sending for sending, _ in found), sum(received for _, received in found)
