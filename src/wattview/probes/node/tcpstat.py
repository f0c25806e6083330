"""TCP connections by state, and the bytes in their queues, from socket diagnosis, else /proc/net/tcp."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node import netlink
from wattview.probes.node.netlink import TcpSocket

# include/net/tcp_states.h
_STATES = {
    1: "established", 2: "syn_sent", 3: "syn_recv", 4: "fin_wait1", 5: "fin_wait2", 6: "time_wait", 7: "close",
    8: "close_wait", 9: "last_ack", 10: "listen", 11: "closing",
}  # fmt: skip


class Tcpstat:
    """``node_tcp_connection_states{state}``; ``rx_queued_bytes`` and ``tx_queued_bytes`` are among its states."""

    def __init__(self, config: Config) -> None:
        self._files = [KernelFile(f"{config.paths.procfs}/net/{name}", 65536) for name in ("tcp", "tcp6")]
        self._own_kernel = config.paths.procfs == "/proc"

    def collect(self) -> list[Family]:
        sockets = self._from_kernel()
        found = self._from_files() if sockets is None else sockets
        family = gauge("node_tcp_connection_states", "Number of connection states.")
        for state, value in by_state(found).items():
            family.add(value, labels(state=state))
        return [family]

    def _from_kernel(self) -> list[TcpSocket] | None:
        """The sockets of this machine; None if netlink is refused, or another machine's files are read."""
        if not self._own_kernel:
            return None
        try:
            return netlink.tcp_sockets()
        except (OSError, ValueError):
            return None

    def _from_files(self) -> list[TcpSocket]:
        of_ipv4, of_ipv6 = self._files
        found = tcp_lines(of_ipv4.read())
        try:
            return found + tcp_lines(of_ipv6.read())
        except FileNotFoundError:
            # A kernel without IPv6.
            return found


def by_state(sockets: Iterable[TcpSocket]) -> dict[str, int]:
    """Number of sockets in each state, and the sums of their queues."""
    states: Counter[str] = Counter()
    received = sent = 0
    for state, receive_queue, send_queue in sockets:
        states[_STATES.get(state, "unknown")] += 1
        received += receive_queue
        sent += send_queue
    return {**dict(sorted(states.items())), "rx_queued_bytes": received, "tx_queued_bytes": sent}


def tcp_lines(data: bytes) -> list[TcpSocket]:
    """The sockets of /proc/net/tcp or tcp6 (Documentation/networking/proc_net_tcp.rst)."""

    def tcp_socket(line: bytes) -> TcpSocket | None:
        fields = line.split()
        if fields[0] == b"sl":
            return None
        sent, colon, received = fields[4].partition(b":")
        if not colon:
            raise ValueError("no queues")
        return TcpSocket(int(fields[3], 16), int(received, 16), int(sent, 16))

    return understood(data.splitlines(), tcp_socket, "net/tcp")
