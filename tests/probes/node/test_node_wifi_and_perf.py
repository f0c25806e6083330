"""Wireless networks, from messages laid out as the kernel does; performance counters, from this machine's kernel."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.nobody import as_nobody
from tests.support.node_exporter import Exposition, RealNodeExporter
from wattview.exposition import Family, render
from wattview.probes import node
from wattview.probes.node import perf, wifi


def attribute(number: int, value: bytes) -> bytes:
    """A netlink attribute: length, number, value, filled up to four bytes."""
    return struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


# The station of node_exporter's fixtures (collector/fixtures/wifi/wlan0/stationinfo.json) and what it expects of it.
MAC = bytes.fromhex("aabbccddeeff")
STATION = attribute(3, u32(3)) + attribute(6, MAC) + attribute(21, b"".join((
    attribute(1, u32(400)),  # inactive, ms
    attribute(2, u32(7)), attribute(3, u32(8)),  # the old counts of bytes, 32 bits
    attribute(23, struct.pack("=Q", 1 << 33)), attribute(24, struct.pack("=Q", (1 << 33) + 1)),
    attribute(7, struct.pack("=b", -52)),
    attribute(8, attribute(1, struct.pack("=H", 1640))), attribute(14, attribute(5, u32(2560))),
    attribute(9, u32(15695)), attribute(10, u32(20)), attribute(11, u32(10)), attribute(12, u32(1)),
    attribute(16, u32(30)), attribute(18, u32(2)),
)))  # fmt: skip


def station(message: bytes) -> dict[str, float]:
    families = [Family(f"node_wifi_station_{name}", kind, text) for name, kind, text, *_ in wifi._STATION]
    wifi.station_samples(families, "wlan0", message)
    return {family.name.removeprefix("node_wifi_station_"): value for family in families for _, value in family.samples}


def test_a_station_is_reported_in_base_units() -> None:
    assert station(STATION) == {
        "connected_seconds_total": 30,
        "inactive_seconds": 0.4,
        "receive_bits_per_second": 256_000_000,
        "transmit_bits_per_second": 164_000_000,
        "receive_bytes_total": 1 << 33,
        "transmit_bytes_total": (1 << 33) + 1,
        "signal_dbm": -52,
        "transmit_retries_total": 10,
        "transmit_failed_total": 1,
        "beacon_loss_total": 2,
        "transmitted_packets_total": 20,
        "received_packets_total": 15695,
    }


def test_a_figure_that_a_driver_does_not_report_has_no_sample() -> None:
    assert station(attribute(6, MAC) + attribute(21, attribute(7, struct.pack("=b", -9)))) == {"signal_dbm": -9}


def test_an_interface_has_a_name_and_a_frequency() -> None:
    named = attribute(3, u32(2)) + attribute(4, b"wlan0\0")
    assert wifi.interface(named + attribute(38, u32(2412))) == wifi.WirelessInterface(2, "wlan0", 2_412_000_000)
    assert wifi.interface(named) == wifi.WirelessInterface(2, "wlan0", None)
    assert wifi.interface(attribute(3, u32(3))) is None


@pytest.mark.parametrize(("status", "mode"), [(0, "client"), (1, "client"), (2, "ad-hoc"), (9, "unknown")])
def test_the_joined_network_is_reported_with_its_name(status: int, mode: str) -> None:
    elements = bytes((1, 2, 0x82, 0x84, 0, 7)) + b"Example" + bytes((3, 1, 6))
    network = attribute(1, bytes.fromhex("001122334455")) + attribute(6, elements)
    assert wifi.joined_network(attribute(47, network + attribute(9, u32(status)))) == {
        "bssid": "00:11:22:33:44:55",
        "ssid": "Example",
        "mode": mode,
    }
    assert wifi.joined_network(attribute(47, network)) is None


PARSERS: list[Callable[[bytes], object]] = [
    wifi.interface, wifi.joined_network, wifi.ssid, station, wifi.bits_per_second,
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=80) | st.lists(st.integers(0, 50).flatmap(
    lambda number: st.binary(max_size=9).map(lambda value: attribute(number, value))
)).map(b"".join))  # fmt: skip
def test_a_message_of_nonsense_gives_values_or_a_ValueError(parser: Callable[[bytes], object], data: bytes) -> None:
    try:
        parser(data)
    except ValueError as error:
        assert str(error)


def said(probe: node.NodeProbe) -> Exposition:
    reading = probe.read({"perf"})
    assert reading.faults == ()
    return Exposition(render(node.families(reading)).decode())


def test_the_real_one_counts_the_same_things(make_config: ConfigFactory) -> None:
    ours = said(node.NodeProbe(make_config("node.enable=perf")))
    with RealNodeExporter(("perf",)) as exporter:
        real = exporter.scrape()
    theirs = {series for series in real.values if series[0].startswith("node_perf_")}
    assert {series for series in ours.values if series[0].startswith("node_perf_")} == theirs
    shared = {name for name, _ in theirs}
    assert {name: ours.types[name] for name in shared} == {name: real.types[name] for name in shared}
    assert {name: ours.help[name] for name in shared} == {name: real.help[name] for name in shared}


def page_faults(exposition: Exposition) -> float:
    return sum(value for (name, _), value in exposition.values.items() if name == "node_perf_minor_faults_total")


def test_each_newly_touched_page_is_a_page_fault(make_config: ConfigFactory) -> None:
    probe = node.NodeProbe(make_config("node.enable=perf"))
    before = page_faults(said(probe))
    pages = 2000
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as memory:
        # One page at a time, however large those that the kernel would rather give.
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            memory[page * mmap.PAGESIZE] = 1
        assert page_faults(said(probe)) - before >= pages


def test_cpus_can_be_chosen(make_config: ConfigFactory) -> None:
    found = said(node.NodeProbe(make_config("node.enable=perf", "node.perf_cpus=0")))
    assert {labels["cpu"] for labels in found.labels_of("node_perf_page_faults_total")} == {"0"}


def test_an_invalid_cpu_list_is_a_fault_of_this_collector(make_config: ConfigFactory) -> None:
    (fault,) = node.NodeProbe(make_config("node.enable=perf", "node.perf_cpus=all")).read({"perf", "uname"}).faults
    assert fault.part == "perf"


def test_a_refusal_names_its_fix_and_is_retried(make_config: ConfigFactory) -> None:
    probe = node.NodeProbe(make_config("node.enable=perf"))
    with as_nobody():
        (fault,) = probe.read({"perf"}).faults
    assert "kernel.perf_event_paranoid=0" in fault.reason
    assert said(probe).labels_of("node_perf_page_faults_total")


@pytest.mark.parametrize(
    ("value", "enabled", "running", "shown"),
    [(100, 8, 8, 100), (100, 8, 2, 400), (0, 8, 0, None), (0, 0, 0, 0)],
)
def test_a_multiplexed_perf_event_is_scaled(value: int, enabled: int, running: int, shown: float | None) -> None:
    assert perf.scaled(struct.pack("=QQQ", value, enabled, running)) == shown
