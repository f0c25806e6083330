"""Wireless networks and their stations, over generic netlink (include/uapi/linux/nl80211.h)."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from wattview.exposition import Family, FamilyType, gauge, labels
from wattview.probes.node.collector import NoSource, of_machine
from wattview.probes.node.netlink import attributes, dump

_NETLINK_GENERIC = 16
_GENERIC_HEADER = struct.Struct("=BBxx")
# The family that lists all others (include/uapi/linux/genetlink.h).
_CONTROL, _GET_FAMILY = 0x10, 3
_GET_INTERFACE, _GET_STATION, _GET_SCAN = 5, 17, 32
_ATTR_IFINDEX, _ATTR_IFNAME, _ATTR_MAC, _ATTR_STA_INFO, _ATTR_FREQUENCY, _ATTR_BSS = 3, 4, 6, 21, 38, 47
# Bit rates in 100 kbit/s, in 16 bits or (newer, and faster networks) in 32.
_RATE_16, _RATE_32 = 1, 5
# Of a network in the scan results: its address, its information elements, and our status.
_BSS_ADDRESS, _BSS_ELEMENTS, _BSS_STATUS = 1, 6, 9
_MODES = {0: "client", 1: "client", 2: "ad-hoc"}


def unsigned(value: bytes) -> float:
    return int.from_bytes(value, sys.byteorder)


def _milliseconds(value: bytes) -> float:
    return unsigned(value) / 1000


def _signed(value: bytes) -> float:
    return int.from_bytes(value, sys.byteorder, signed=True)


def bits_per_second(value: bytes) -> float | None:
    """A nested rate; None if it has neither form."""
    rate = dict(attributes(value))
    known = rate.get(_RATE_32) or rate.get(_RATE_16)
    return None if known is None else unsigned(known) * 100_000


# Name, type, help, attributes of NL80211_STA_INFO in order of preference, description.
_STATION: tuple[tuple[str, FamilyType, str, tuple[int, ...], Callable[[bytes], float | None]], ...] = (
    (
        "connected_seconds_total", "counter",
        "The total number of seconds a station has been connected to an access point.", (16,), unsigned,
    ),
    (
        "inactive_seconds", "gauge",
        "The number of seconds since any wireless activity has occurred on a station.", (1,), _milliseconds,
    ),
    (
        "receive_bits_per_second", "gauge", "The current WiFi receive bitrate of a station, in bits per second.",
        (14,), bits_per_second,
    ),
    (
        "transmit_bits_per_second", "gauge", "The current WiFi transmit bitrate of a station, in bits per second.",
        (8,), bits_per_second,
    ),
    ("receive_bytes_total", "counter", "The total number of bytes received by a WiFi station.", (23, 2), unsigned),
    (
        "transmit_bytes_total", "counter", "The total number of bytes transmitted by a WiFi station.",
        (24, 3), unsigned,
    ),
    ("signal_dbm", "gauge", "The current WiFi signal strength, in decibel-milliwatts (dBm).", (7,), _signed),
    (
        "transmit_retries_total", "counter",
        "The total number of times a station has had to retry while sending a packet.", (11,), unsigned,
    ),
    (
        "transmit_failed_total", "counter", "The total number of times a station has failed to send a packet.",
        (12,), unsigned,
    ),
    (
        "beacon_loss_total", "counter", "The total number of times a station has detected a beacon loss.",
        (18,), unsigned,
    ),
    (
        "transmitted_packets_total", "counter", "The total number of packets transmitted by a station.",
        (10,), unsigned,
    ),
    ("received_packets_total", "counter", "The total number of packets received by a station.", (9,), unsigned),
)  # fmt: skip


class WirelessInterface(NamedTuple):
    """An interface of a wireless driver, with its number; ``hertz`` is None if it is not tuned."""

    number: int
    name: str
    hertz: int | None


@of_machine
def collector() -> list[Family]:
    """``node_wifi_*{device}``; no data without a wireless driver. Interfaces of this machine, in the daemon's network
    namespace."""
    number = _family_number("nl80211")
    frequency = gauge(
        "node_wifi_interface_frequency_hertz", "The current frequency a WiFi interface is operating at, in hertz."
    )
    info = gauge(
        "node_wifi_station_info",
        "Labeled WiFi interface station information as provided by the operating system.",
    )
    families = [Family(f"node_wifi_station_{name}", kind, help_text) for name, kind, help_text, *_ in _STATION]
    for one in filter(None, map(interface, _ask(number, _GET_INTERFACE))):
        frequency.add(one.hertz, labels(device=one.name))
        for network in filter(None, map(joined_network, _ask(number, _GET_SCAN, one.number))):
            info.add(1, labels(device=one.name, **network))
        for message in _ask(number, _GET_STATION, one.number):
            station_samples(families, one.name, message)
    return [frequency, info, *families]


def interface(message: bytes) -> WirelessInterface | None:
    """The interface in an answer to GET_INTERFACE; None for one without a name (a radio's own, as for P2P)."""
    said = dict(attributes(message))
    name = said.get(_ATTR_IFNAME, b"").split(b"\0", 1)[0].decode("utf-8", "replace")
    if not name or _ATTR_IFINDEX not in said:
        return None
    megahertz = said.get(_ATTR_FREQUENCY)
    return WirelessInterface(
        int(unsigned(said[_ATTR_IFINDEX])), name, None if megahertz is None else int(unsigned(megahertz)) * 1_000_000
    )


def joined_network(message: bytes) -> dict[str, str] | None:
    """Labels of the network in an answer to GET_SCAN; None if it is not joined."""
    network = dict(attributes(dict(attributes(message)).get(_ATTR_BSS, b"")))
    if _BSS_STATUS not in network:
        return None
    return {
        "bssid": _address(network.get(_BSS_ADDRESS, b"")),
        "ssid": ssid(network.get(_BSS_ELEMENTS, b"")),
        "mode": _MODES.get(int(unsigned(network[_BSS_STATUS])), "unknown"),
    }


def ssid(elements: bytes) -> str:
    """The network's name from IEEE 802.11 information elements (number, length, content); the name is element 0."""
    at = 0
    while at + 2 <= len(elements):
        number, length = elements[at], elements[at + 1]
        if number == 0:
            return elements[at + 2 : at + 2 + length].decode("utf-8", "replace")
        at += 2 + length
    return ""


def station_samples(families: list[Family], device: str, message: bytes) -> None:
    """Adds the values of an answer to GET_STATION; missing values are left out."""
    said = dict(attributes(message))
    station = dict(attributes(said.get(_ATTR_STA_INFO, b"")))
    text = labels(device=device, mac_address=_address(said.get(_ATTR_MAC, b"")))
    for family, (*_, numbers, meaning) in zip(families, _STATION, strict=True):
        value = next((station[number] for number in numbers if number in station), None)
        family.add(None if value is None else meaning(value), text)


def _family_number(wanted: str) -> int:
    """The number of a generic netlink family. Raises NoData if there is none of that name."""
    for message in _answers(dump(_CONTROL, _GENERIC_HEADER.pack(_GET_FAMILY, 1), _NETLINK_GENERIC)):
        said = dict(attributes(message))
        if said.get(2, b"").rstrip(b"\0") == wanted.encode() and 1 in said:
            return int(unsigned(said[1]))
    raise NoSource("no driver of wireless networks is loaded")


def _ask(number: int, command: int, index: int | None = None) -> list[bytes]:
    """The answers to one nl80211 request, about one interface or all; empty if an interface does not support it, or is
    down or gone."""
    of_interface = b"" if index is None else struct.pack("=HHI", 8, _ATTR_IFINDEX, index)
    try:
        return list(_answers(dump(number, _GENERIC_HEADER.pack(command, 0) + of_interface, _NETLINK_GENERIC)))
    except OSError as error:
        if index is not None and error.errno in (errno.EOPNOTSUPP, errno.ENODEV, errno.ENETDOWN, errno.EINVAL):
            return []
        raise


def _answers(messages: Iterator[bytes]) -> Iterator[bytes]:
    return (message[_GENERIC_HEADER.size :] for message in messages)


def _address(value: bytes) -> str:
    return value.hex(":")
