"""Statistics and capabilities of network drivers, as in ``ethtool``, ``ethtool -i`` and ``ethtool -S``.

Read by ioctl (include/uapi/linux/ethtool.h), which needs no privileges for these requests.
"""

from __future__ import annotations

import array
import errno
import fcntl
import re
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Sequence

from wattview.config import Config
from wattview.exposition import Family, empty_families, gauge, labels, rows
from wattview.probes.lines import odd
from wattview.probes.node.collector import Directories, Filter, NoSource

_SIOCETHTOOL = 0x8946
_GSET, _GDRVINFO, _GSTRINGS, _GSTATS = 0x1, 0x3, 0x1B, 0x1D
_IFREQ = struct.Struct("@16sP16x")
# ethtool_cmd: command, supported, advertising, speed, duplex, port, address, transceiver, autoneg, and unused fields.
_LINK = struct.Struct("=IIIHBBBBB25x")
# ethtool_drvinfo: command; driver, version, firmware, bus, expansion ROM; (…), number of statistics, (…).
_DRIVER = struct.Struct("=I32s32s32s32s32s16xI12x")
_STATISTICS_SET = 1  # ETH_SS_STATS
_NAME_BYTES = 32
_MOST_STATISTICS = 1 << 16

# Bits of enum ethtool_link_mode_bit_indices, as far as this call reports them: megabits per second, duplex, medium.
_SPEEDS = {
    0: (10, "half", "T"), 1: (10, "full", "T"), 2: (100, "half", "T"), 3: (100, "full", "T"),
    4: (1000, "half", "T"), 5: (1000, "full", "T"), 12: (10000, "full", "T"), 17: (1000, "full", "KX"),
    18: (10000, "full", "KX4"), 19: (10000, "full", "KR"), 20: (10000, "full", "R_FEC"), 21: (20000, "full", "MLD2"),
    22: (20000, "full", "KR2"), 23: (40000, "full", "KR4"), 24: (40000, "full", "CR4"), 25: (40000, "full", "SR4"),
    26: (40000, "full", "LR4"), 27: (56000, "full", "KR4"), 28: (56000, "full", "CR4"), 29: (56000, "full", "SR4"),
    30: (56000, "full", "LR4"), 31: (25000, "full", "CR"),
}  # fmt: skip
_PORTS = {7: "TP", 8: "AUI", 9: "MII", 10: "FIBRE", 11: "BNC", 16: "Backplane"}
_LINKS = rows("""
port node_network_supported_port_info Type of ports or PHYs supported by network device
supported node_network_supported_speed_bytes Combination of speeds and features supported by network device
advertised node_network_advertised_speed_bytes Combination of speeds and features offered by network device
autonegotiate node_network_autonegotiate If this port is using autonegotiate
""")
# By the bit.
_SUPPORTED = rows("""
6 node_network_autonegotiate_supported If this port device supports autonegotiate
13 node_network_pause_supported If this port device supports pause frames
14 node_network_asymmetricpause_supported If this port device supports asymmetric pause frames
""")
_ADVERTISED = rows("""
6 node_network_autonegotiate_advertised If this port device offers autonegotiate
13 node_network_pause_advertised If this port device offers pause capability
14 node_network_asymmetricpause_advertised If this port device offers asymmetric pause capability
""")

# Statistics with their own help text.
_KNOWN = {
    "rx_bytes": ("received_bytes_total", "Network interface bytes received"),
    "rx_dropped": ("received_dropped_total", "Number of received frames dropped"),
    "rx_errors": ("received_errors_total", "Number of received frames with errors"),
    "rx_packets": ("received_packets_total", "Network interface packets received"),
    "tx_bytes": ("transmitted_bytes_total", "Network interface bytes sent"),
    "tx_errors": ("transmitted_errors_total", "Number of sent frames with errors"),
    "tx_packets": ("transmitted_packets_total", "Network interface packets sent"),
}
_NOT_IN_A_NAME = re.compile(r"_*[^0-9A-Za-z_]+_*")
_RECEIVED, _TRANSMITTED = re.compile(r"(^|_)rx(_|$)"), re.compile(r"(^|_)tx(_|$)")


class Ethtool:
    """``node_ethtool_*{device}`` and a port's capabilities under ``node_network_*``; this machine's devices, by the
    names in ``paths.sysfs``."""

    def __init__(self, config: Config) -> None:
        self._devices = Directories(f"{config.paths.sysfs}/class/net")
        self._filter = Filter(config.node.ethtool_device_exclude, config.node.ethtool_device_include)
        self._metrics = Filter(include=config.node.ethtool_metrics_include)

    def collect(self) -> list[Family]:
        devices = [device for device in self._devices.found() if not self._filter.ignores(device)]
        if not devices:
            raise NoSource("no network device is here that the filters let through")
        help_text = (
            "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, "
            "firmware_version, version."
        )
        info = gauge("node_ethtool_info", help_text)
        links = Links()
        statistics: dict[str, Family] = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
            for device in devices:
                link = _ask(asked, device, _LINK.pack(_GSET, *[0] * 8))
                if link is not None:
                    _, supported, advertised, _, _, _, _, _, negotiates = _LINK.unpack(link)
                    links.add(device, supported, advertised, negotiates)
                driver = _ask(asked, device, _DRIVER.pack(_GDRVINFO, *[b""] * 5, 0))
                if driver is None:
                    continue
                _, name, version, firmware, bus, rom, count = _DRIVER.unpack(driver)
                info.add(
                    1,
                    labels(
                        bus_info=_text(bus), device=device, driver=_text(name), expansion_rom_version=_text(rom),
                        firmware_version=_text(firmware), version=_text(version),
                    ),
                )  # fmt: skip
                if 0 < count <= _MOST_STATISTICS:
                    self._statistics(statistics, device, _statistics_of(asked, device, count))
        return [info, *links.families, *(statistics[name] for name in sorted(statistics))]

    def _statistics(self, families: dict[str, Family], device: str, counts: Sequence[tuple[str, int]]) -> None:
        names = [sanitized(statistic) for statistic, _ in counts]
        known = [family_name(name) for name in names]
        times = Counter(name for name, _ in known)
        for name, (family, help_text), (_, count) in zip(names, known, counts, strict=True):
            if name and not (self._metrics.includes and self._metrics.ignores(name)):
                if times[family] > 1:
                    # Two statistics with one name: neither is exported, rather than one under the other's name.
                    odd(f"ethtool {device}", family)
                    continue
                found = families.setdefault(family, Family(family, "untyped", help_text))
                found.add(count, labels(device=device))


class Links:
    """Adds the ports' capabilities to ``families``."""

    def __init__(self) -> None:
        self._links = empty_families(_LINKS)
        self._supported, self._advertised = empty_families(_SUPPORTED), empty_families(_ADVERTISED)

    def add(self, device: str, supported: int, advertised: int, negotiates: int) -> None:
        for bit, port in _PORTS.items():
            if supported >> bit & 1:
                self._links["port"].add(1, labels(device=device, type=port))
        for name, modes, capabilities in (
            ("supported", supported, self._supported),
            ("advertised", advertised, self._advertised),
        ):
            for bit, (megabits, duplex, medium) in _SPEEDS.items():
                if modes >> bit & 1:
                    text = labels(device=device, duplex=duplex, mode=f"{megabits}base{medium}")
                    self._links[name].add(megabits * 125000, text)
            for place, family in capabilities.items():
                family.add(modes >> int(place) & 1, labels(device=device))
        self._links["autonegotiate"].add(negotiates, labels(device=device))

    @property
    def families(self) -> Iterator[Family]:
        for families in (self._links, self._supported, self._advertised):
            yield from families.values()


def sanitized(statistic: str) -> str:
    """A driver's name for a statistic, with characters that are invalid in metric names replaced by ``_``."""
    return _NOT_IN_A_NAME.sub("_", statistic)


def family_name(statistic: str) -> tuple[str, str]:
    """(name, help) of the family for a sanitized statistic: ``port_rx_dropped`` is received, ``tx_…`` transmitted."""
    known = _KNOWN.get(statistic)
    if known is not None:
        return f"node_ethtool_{known[0]}", known[1]
    name = _TRANSMITTED.sub(r"\1transmitted\2", _RECEIVED.sub(r"\1received\2", statistic.lower().lstrip("_")))
    return f"node_ethtool_{name}", f"Network interface {statistic}"


def _statistics_of(asked: socket.socket, device: str, count: int) -> list[tuple[str, int]]:
    """(name, value) of each statistic of a device; none if the driver has none."""
    names = _ask(asked, device, struct.pack("=III", _GSTRINGS, _STATISTICS_SET, count), count * _NAME_BYTES)
    values = _ask(asked, device, struct.pack("=II", _GSTATS, count), count * 8)
    if names is None or values is None:
        return []
    # Never more than requested, whatever the driver reports now.
    count = min(count, struct.unpack_from("=8xI", names)[0], struct.unpack_from("=4xI", values)[0])
    texts = [_text(names[12 + at * _NAME_BYTES : 12 + (at + 1) * _NAME_BYTES]) for at in range(count)]
    return list(zip(texts, struct.unpack_from(f"={count}Q", values, 8), strict=True))


def _ask(asked: socket.socket, device: str, request: bytes, more: int = 0) -> bytes | None:
    """The kernel's answer, which replaces the request in the buffer; None if the driver does not support it, or the
    device is gone."""
    buffer = array.array("B", request + bytes(more))
    address, _ = buffer.buffer_info()
    try:
        fcntl.ioctl(asked, _SIOCETHTOOL, bytearray(_IFREQ.pack(device.encode()[:15], address)))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL, errno.EPERM):
            return None
        raise
    return buffer.tobytes()


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
