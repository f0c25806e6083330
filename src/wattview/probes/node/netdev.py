"""Traffic, errors and drops of network interfaces."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, counter, labels
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import integer
from wattview.probes.node.collector import Filter

_FIELDS = procfs.NetDev.__struct_fields__[1:]


class Netdev:
    """``node_network_receive_*`` and ``node_network_transmit_*``: the columns of /proc/net/dev by its own names."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/net/dev")
        self._filter = Filter(config.node.net_device_exclude, config.node.net_device_include)
        self._sysfs = f"{config.paths.sysfs}/class/net"
        self._nohandler: dict[str, KernelFile] = {}

    def collect(self) -> list[Family]:
        families = [_statistic(field) for field in _FIELDS]
        nohandler = _statistic("receive_nohandler")
        seen = set()
        for line in procfs.net_dev(self._file.read()):
            if self._filter.ignores(line.device):
                continue
            text = labels(device=line.device)
            for family, field in zip(families, _FIELDS, strict=True):
                family.add(getattr(line, field), text)
            seen.add(line.device)
            nohandler.add(self._unhandled(line.device), text)
        for device in self._nohandler.keys() - seen:
            del self._nohandler[device]
        return [*families, nohandler]

    def _unhandled(self, device: str) -> int | None:
        """Packets that no protocol handled: the one counter that /proc/net/dev lacks."""
        file = self._nohandler.get(device)
        if file is None:
            file = self._nohandler[device] = KernelFile(f"{self._sysfs}/{device}/statistics/rx_nohandler")
        try:
            return integer(file.read(), "rx_nohandler")
        except (OSError, ValueError):
            return None


def _statistic(name: str) -> Family:
    return counter(f"node_network_{name}_total", f"Network device statistic {name}.")
