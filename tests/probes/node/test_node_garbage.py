"""Whatever a kernel file holds: a collector gives families, or fails alone and says what was wrong."""

from __future__ import annotations

import collections
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.machine_tree import PROC, MachineTree
from tests.support.node_exporter import Exposition
from wattview.exposition import render
from wattview.probes.node import (
    NodeProbe,
    arp,
    bcache,
    bcachefs,
    buddyinfo,
    conntrack,
    cpu,
    cpu_vulnerabilities,
    diskstats,
    ethtool,
    families,
    infiniband,
    interrupts,
    ipvs,
    lnstat,
    mdadm,
    meminfo_numa,
    mountstats,
    netlink,
    netstat,
    nfs,
    os_release,
    pci_ids,
    pcidevice,
    schedstat,
    slabinfo,
    sockstat,
    softirqs,
    softnet,
    stat,
    swap,
    systemd,
    tcpstat,
    udp_queues,
    xfrm,
    xfs,
    zfs,
    zoneinfo,
)

OF_BYTES: list[Callable[[bytes], object]] = [
    arp.arp_devices,
    buddyinfo.buddyinfo,
    conntrack.conntrack_totals,
    cpu.cpuinfo_families,
    diskstats.udev_properties,
    interrupts.interrupts,
    ipvs.ipvs_totals,
    ipvs.ipvs_backends,
    mdadm.mdstat,
    meminfo_numa.node_meminfo,
    meminfo_numa.node_numastat,
    netstat.table_pairs,
    lambda data: netlink.qdisc(data, collections.defaultdict(str)),
    lambda data: nfs.rpc_lines(data, {"net": 4}),
    schedstat.schedstat,
    slabinfo.slabinfo,
    sockstat.sockstat,
    softirqs.softirqs,
    softnet.softnet_stat,
    stat.softirqs_total,
    swap.swaps,
    tcpstat.tcp_lines,
    xfrm.xfrm_families,
    netlink.tcp_socket,
    lambda data: netlink.route(data, collections.defaultdict(str)),
    lambda data: lnstat.per_cpu(data, "net/stat/x"),
    lambda data: mountstats.mount_families(mountstats.nfs_mounts(data)),
    mountstats.server_addresses,
    udp_queues.queue_totals,
    zoneinfo.zoneinfo,
]
OF_TEXT: list[Callable[[str], object]] = [
    bcache.dehumanized,
    bcache.priority_stats,
    bcache.writeback_rate,
    bcachefs.human_bytes,
    bcachefs.io_done,
    bcachefs.io_errors,
    bcachefs.since_creation,
    bcachefs.table,
    cpu.cpu_list,
    cpu_vulnerabilities.vulnerability,
    lambda text: ethtool.family_name(ethtool.sanitized(text)),
    pci_ids.parsed,
    pcidevice.transfers_per_second,
    systemd.version_number,
    infiniband.bytes_per_second,
    infiniband.number_before_colon,
    os_release.os_release,
    xfs.xfs_stats,
    zfs.dataset_name,
    lambda text: list(zfs.kstat(text, ("3", "4"))),
    zfs.pool_io,
]

# Words of kernel files in any order.
WORDS = (
    "md0", "active", "raid1", "sda1[0]", "[2/2]", "[UU]", "12 blocks", "(1/2)", "resync", ":", "net", "rpc", "proc4",
    "CPU0", "CPU1", "0x1f", "deadbeef", "9" * 40, "1.5", "nan", "inf", "kB", "Node 0, zone", "DMA", "pages free", "-1",
    "3-1", "1-3", ",", "TCP", "->", "C0A80016:0CEA", "[::1]:0050", "name type data", "nread", "rw", "ig", "version 15",
    "slabinfo - version: 2.1", "domain0", "cpu0", "processor", "cpu MHz", "E:A=1", "NAME='x", "k", "M", "\n", "\t", "=",
    "\0", "é", "0-99999999999",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join) | st.text(max_size=80)


@pytest.mark.parametrize("parser", OF_BYTES, ids=lambda parser: f"{parser.__module__[20:]}.{parser.__name__}")
@given(data=st.binary(max_size=120) | TEXT.map(lambda text: text.encode("utf-8", "surrogateescape")))
def test_a_parser_of_bytes_gives_values_or_a_ValueError(parser: Callable[[bytes], object], data: bytes) -> None:
    try:
        parser(data)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("parser", OF_TEXT, ids=lambda parser: f"{parser.__module__[20:]}.{parser.__name__}")
@given(text=TEXT)
def test_a_parser_of_text_gives_values_or_a_ValueError(parser: Callable[[str], object], text: str) -> None:
    try:
        parser(text)
    except ValueError as error:
        assert str(error)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) or 1)]


def noise(data: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(len(data))


def words(data: bytes, chance: random.Random) -> bytes:
    return b" ".join(chance.choices([b"-", b"word", b"1", b"0x", b"\n", b":", *data.split()[:9]], k=40))


def one_number(data: bytes, chance: random.Random) -> bytes:
    """One number made a word."""
    pieces = data.split(b" ")
    at = [index for index, piece in enumerate(pieces) if piece.strip().isdigit()]
    if at:
        pieces[chance.choice(at)] = b"many"
    return b" ".join(pieces)


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


@pytest.mark.parametrize("damage", [cut, noise, words, one_number])
def test_one_damaged_file_only_affects_the_collectors_that_read_it(
    tree: MachineTree, make_config: ConfigFactory, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    chance = random.Random(4711)
    probe = NodeProbe(make_config(*tree.settings, "node.cpu_info=true"))
    whole = {collected.name for collected in probe.read().collectors if collected.success}
    for name in PROC:
        path = tree.procfs / name
        data = path.read_bytes()
        path.write_bytes(damage(data, chance))
        reading = probe.read()
        Exposition(render(families(reading)).decode())
        lost = whole - {collected.name for collected in reading.collectors if collected.success}
        assert len(lost) <= 2, f"{name} took {lost} along"
        for fault in reading.faults:
            assert fault.reason.startswith(("ValueError: ", "UnicodeDecodeError: ")), f"{name}: {fault}"
        path.write_bytes(data)
    assert {collected.name for collected in probe.read().collectors if collected.success} == whole


@pytest.mark.parametrize("damage", [cut, noise, words, one_number])
@pytest.mark.parametrize("seed", range(5))
def test_a_machine_whose_every_attribute_is_damaged_is_still_scraped(
    tree: MachineTree, make_config: ConfigFactory, damage: Callable[[bytes, random.Random], bytes], seed: int
) -> None:
    chance = random.Random(seed)
    for folder in (tree.sysfs, tree.udev):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                path.write_bytes(damage(path.read_bytes(), chance))
    reading = NodeProbe(make_config(*tree.settings)).read()
    found = Exposition(render(families(reading)).decode())
    assert found.collectors()["meminfo"] == 1
    for fault in reading.faults:
        assert fault.reason.startswith("ValueError: "), fault
