"""ARP entries by device and state, from the kernel's neighbour table (netlink), else from /proc/net/arp."""

from __future__ import annotations

from collections import Counter

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node import netlink
from wattview.probes.node.collector import Filter

# include/uapi/linux/neighbour.h
_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x80: "permanent",
}
_NOARP = 0x40


class Arp:
    """``node_arp_*``. The table in /proc has no states, and is the only source if ``paths.procfs`` is another tree."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/net/arp")
        self._own_kernel = config.paths.procfs == "/proc"
        self._filter = Filter(config.node.arp_device_exclude, config.node.arp_device_include)

    def collect(self) -> list[Family]:
        entries = gauge("node_arp_entries", "ARP entries by device")
        states = gauge("node_arp_states", "ARP states by device")
        found = self._neighbours() if self._own_kernel else None
        if found is None:
            by_device = Counter(arp_devices(self._file.read()))
        else:
            by_device = Counter(device for device, _ in found)
            for (device, state), count in sorted(Counter(found).items()):
                if not self._filter.ignores(device):
                    states.add(count, labels(device=device, state=state))
        for device, count in sorted(by_device.items()):
            if not self._filter.ignores(device):
                entries.add(count, labels(device=device))
        return [entries, states]

    @staticmethod
    def _neighbours() -> list[tuple[str, str]] | None:
        """(device, state) of each IPv4 neighbour that /proc/net/arp would list; None if netlink is refused."""
        try:
            return [
                (neighbour.device, _STATES.get(neighbour.state, "unknown"))
                for neighbour in netlink.ipv4_neighbours()
                if not neighbour.state & _NOARP
            ]
        except (OSError, ValueError):
            return None


def arp_devices(data: bytes) -> list[str]:
    """The device of each line of /proc/net/arp."""

    def device(line: bytes) -> str | None:
        if line.startswith(b"IP address"):
            return None
        return line.split()[5].decode("utf-8", "replace")

    return understood(data.splitlines(), device, "net/arp")
