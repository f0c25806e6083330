"""Collectors that are off unless somebody switches them on, and that came after Debian's node_exporter.

The values are those that node_exporter's own tests expect of the same files (collector/fixtures).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.machine_tree import MachineTree
from tests.support.node_exporter import Exposition
from wattview.config.node import NODE_COLLECTOR_LIST
from wattview.exposition import Family, render
from wattview.probes import node
from wattview.probes.node import ethtool, mountstats, netlink, pci_ids, pcidevice, tcpstat, xfrm

Collect = Callable[..., Exposition]


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


@pytest.fixture
def collect(tree: MachineTree, make_config: ConfigFactory) -> Collect:
    """What one collector, switched on, says of the tree."""

    def collected(name: str, *settings: str) -> Exposition:
        probe = node.NodeProbe(make_config(*tree.settings, f"node.enable={name}", *settings))
        reading = probe.read({name})
        assert reading.faults == ()
        return Exposition(render(node.families(reading)).decode())

    return collected


def test_every_collector_can_be_switched_on(make_config: ConfigFactory) -> None:
    optional = {entry.name for entry in NODE_COLLECTOR_LIST if not entry.default}
    assert set(node.NodeProbe(make_config(f"node.enable={','.join(sorted(optional))}")).names) >= optional


def test_a_multipath_device_and_each_of_its_paths_are_reported(collect: Collect) -> None:
    found = collect("dmmultipath")
    device = {"device": "mpathA", "sysfs_name": "dm-5"}
    assert found.value("node_dmmultipath_device_info", **device, uuid="mpath-3600508b1001c1234567890abcdef1234") == 1
    assert found.value("node_dmmultipath_device_active", **device) == 1
    assert found.value("node_dmmultipath_device_size_bytes", **device) == 53687091200
    assert found.value("node_dmmultipath_device_paths", **device) == 4
    assert found.value("node_dmmultipath_device_paths_active", **device) == 3
    assert found.value("node_dmmultipath_device_paths_failed", **device) == 1
    assert found.value("node_dmmultipath_path_state", device="mpathA", path="sdk", state="offline") == 1
    # The logical volume beside it is none.
    assert {labels["device"] for labels in found.labels_of("node_dmmultipath_device_info")} == {"mpathA"}


def test_a_lost_multipath_path_counts_as_failed(tree: MachineTree, collect: Collect) -> None:
    (tree.sysfs / "block/sdj/device/state").unlink()
    found = collect("dmmultipath")
    assert found.value("node_dmmultipath_device_paths_active", device="mpathA", sysfs_name="dm-5") == 2
    assert found.value("node_dmmultipath_path_state", device="mpathA", path="sdj", state="unknown") == 1


def test_ksm_reports_a_negative_profit(collect: Collect) -> None:
    assert collect("ksmd").value("node_ksmd_general_profit_bytes") == -4096


def test_swap_is_reported_in_bytes_by_device(tree: MachineTree, collect: Collect) -> None:
    tree.write(
        tree.procfs / "swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/zram0                              partition\t8388604\t\t76\t\t100\n"
        "/swap\\040file                           file\t\t1024\t\t0\t\t-2\n",
    )
    found = collect("swap")
    assert found.value("node_swap_size_bytes", device="/dev/zram0", type="partition") == 8589930496
    assert found.value("node_swap_used_bytes", device="/dev/zram0", type="partition") == 77824
    assert found.value("node_swap_priority", device="/dev/zram0", type="partition") == 100
    assert found.value("node_swap_priority", device="/swap\\040file", type="file") == -2


XFRM = """XfrmInError             \t1
XfrmInBufferError       \t2
XfrmInHdrError          \t4
XfrmInNoStates          \t3
XfrmInStateSeqError     \t6000
XfrmFwdHdrError         \t6654
XfrmAcquireError        \t24532
"""


def test_ipsec_errors_are_counted_by_reason(tree: MachineTree, collect: Collect) -> None:
    tree.write(tree.procfs / "net/xfrm_stat", XFRM)
    found = collect("xfrm")
    assert found.value("node_xfrm_in_hdr_error_packets_total") == 4
    assert found.value("node_xfrm_in_state_seq_error_packets_total") == 6000
    assert found.value("node_xfrm_acquire_error_packets_total") == 24532
    assert found.types["node_xfrm_fwd_hdr_error_packets_total"] == "counter"
    # A line that this kernel has not is no 0.
    assert ("node_xfrm_out_error_packets_total", frozenset()) not in found.values


@pytest.mark.parametrize(
    ("text", "state", "mitigation"),
    [
        ("Not affected\n", "not affected", ""),
        ("Mitigation: Clear CPU buffers; SMT vulnerable\n", "mitigation", "Clear CPU buffers; SMT vulnerable"),
        ("Vulnerable: No microcode\n", "vulnerable", "No microcode"),
        ("Vulnerable\n", "vulnerable", ""),
        ("KVM: Mitigation: VMX disabled\n", "mitigation", "VMX disabled"),
        ("Unknown: Dependent on hypervisor status\n", "unknown", "Dependent on hypervisor status"),
    ],
)
def test_a_vulnerability_is_in_one_state(
    tree: MachineTree, collect: Collect, text: str, state: str, mitigation: str
) -> None:
    tree.write(tree.sysfs / "devices/system/cpu/vulnerabilities/mds", text)
    tree.write(tree.sysfs / "devices/system/cpu/vulnerabilities/odd", "what?\n")
    (labels,) = collect("cpu_vulnerabilities").labels_of("node_cpu_vulnerabilities_info")
    assert labels == {"codename": "mds", "state": state} | ({"mitigation": mitigation} if mitigation else {})


def test_a_card_of_another_driver_is_skipped_and_a_card_has_its_chips_name(tree: MachineTree, collect: Collect) -> None:
    device = tree.sysfs / "devices/pci0000:00/0000:00:03.1/0000:09:00.0"
    tree.write(device / "uevent", "DRIVER=amdgpu\n")
    tree.write(device / "gpu_busy_percent", "4\n")
    tree.write(tree.sysfs / "class/drm/card1/device/uevent", "DRIVER=i915\n")
    card = tree.sysfs / "class/drm/card0"
    card.mkdir()
    (card / "device").symlink_to(device)
    found = collect("drm")
    (labels,) = found.labels_of("node_drm_card_info")
    assert (labels["card"], labels["chip"]) == ("card0", "0000:00:03_1_0000:09:00_0")
    assert found.value("node_drm_gpu_busy_percent", card="card0") == 4
    assert not found.labels_of("node_drm_memory_vram_used_bytes")


def pci_device(tree: MachineTree, path: str, **files: str) -> None:
    device = tree.sysfs / "devices/pci0000:00" / path
    for name, text in files.items():
        tree.write(device / name, text + "\n")
    link = tree.sysfs / "bus/pci/devices" / device.name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(device)


NVME = {
    "class": "0x010802", "vendor": "0xc0a9", "device": "0x540a", "subsystem_vendor": "0xc0a9",
    "subsystem_device": "0x5021", "revision": "0x01", "numa_node": "-1", "max_link_speed": "16.0 GT/s PCIe",
    "current_link_speed": "8.0 GT/s PCIe", "max_link_width": "4", "current_link_width": "4", "power_state": "D0",
    "d3cold_allowed": "1", "sriov_numvfs": "0",
}  # fmt: skip
PCI_IDS = """# a comment
1022  Advanced Micro Devices, Inc. [AMD]
\t1634  Renoir/Cezanne PCIe GPP Bridge
c0a9  Micron/Crucial Technology
\t540a  P2 [Nick P2] / P3 / P3 Plus NVMe PCIe SSD (DRAM-less)
\t\tc0a9 5021  PS5021-E21 PCIe4 NVMe Controller (DRAM-less)
C 01  Mass storage controller
\t08  Non-Volatile memory controller
\t\t02  NVM Express
C 06  Bridge
"""


def test_a_pci_device_is_reported_with_its_parent_and_its_link(tree: MachineTree, collect: Collect) -> None:
    pci_device(tree, "0000:00:02.1", **{"class": "0x060400"}, vendor="0x1022", device="0x1634")
    pci_device(tree, "0000:00:02.1/0000:01:00.0", **NVME)
    tree.write(tree.root / "pci.ids", PCI_IDS)
    found = collect("pcidevice", "node.pcidevice_names=true", f"node.pcidevice_ids_file={tree.root}/pci.ids")
    place = {"segment": "0000", "bus": "01", "device": "00", "function": "0"}
    (info,) = [labels for labels in found.labels_of("node_pcidevice_info") if labels["bus"] == "01"]
    assert info == place | {
        "parent_segment": "0000", "parent_bus": "00", "parent_device": "02", "parent_function": "1",
        "class_id": "0x010802", "vendor_id": "0xc0a9", "device_id": "0x540a", "subsystem_vendor_id": "0xc0a9",
        "subsystem_device_id": "0x5021", "revision": "0x01", "vendor_name": "Micron/Crucial Technology",
        "device_name": "P2 [Nick P2] / P3 / P3 Plus NVMe PCIe SSD (DRAM-less)",
        "subsystem_vendor_name": "Micron/Crucial Technology",
        "subsystem_device_name": "PS5021-E21 PCIe4 NVMe Controller (DRAM-less)", "class_name": "NVM Express",
    }  # fmt: skip
    assert found.value("node_pcidevice_max_link_transfers_per_second", **place) == 16e9
    assert found.value("node_pcidevice_current_link_transfers_per_second", **place) == 8e9
    assert found.value("node_pcidevice_current_link_width", **place) == 4
    assert found.value("node_pcidevice_power_state", **place, state="D0") == 1
    assert found.value("node_pcidevice_power_state", **place, state="D3cold") == 0
    assert found.value("node_pcidevice_sriov_numvfs", **place) == 0
    # -1 is no NUMA node, and the bridge tells no link.
    assert not found.labels_of("node_pcidevice_numa_node")
    assert [labels["bus"] for labels in found.labels_of("node_pcidevice_max_link_width")] == ["01"]
    (bridge,) = [labels for labels in found.labels_of("node_pcidevice_info") if labels["bus"] == "00"]
    assert (bridge["parent_bus"], bridge["class_name"]) == ("*", "Bridge")


@pytest.mark.parametrize(("text", "speed"), [("2.5 GT/s PCIe", 2.5e9), ("Unknown", None), ("Unknown speed", None)])
def test_a_pci_links_speed_is_in_transfers_per_second(text: str, speed: float | None) -> None:
    assert pcidevice.transfers_per_second(text) == speed


def test_connections_of_another_machines_tree_come_from_its_files(tree: MachineTree, collect: Collect) -> None:
    line = "   {n}: 0100007F:0016 00000000:0000 {state} {queues} 00:00000000 00000000     0        0 2740 1 x 100 0\n"
    heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    of_ipv4 = (("0A", "00000000:00000001"), ("01", "00000015:00000002"), ("01", "00000000:00000000"))
    tree.write(
        tree.procfs / "net/tcp",
        heading + "".join(line.format(n=n, state=state, queues=queues) for n, (state, queues) in enumerate(of_ipv4)),
    )
    tree.write(tree.procfs / "net/tcp6", heading + line.format(n=0, state="06", queues="00000001:00000000"))
    found = collect("tcpstat")
    states = {
        labels["state"]: found.value("node_tcp_connection_states", **labels)
        for labels in found.labels_of("node_tcp_connection_states")
    }
    assert states == {"listen": 1, "established": 2, "time_wait": 1, "rx_queued_bytes": 3, "tx_queued_bytes": 22}


def test_an_unlisted_tcp_state_is_unknown() -> None:
    assert tcpstat.by_state([netlink.TcpSocket(77, 0, 0)])["unknown"] == 1


@pytest.mark.parametrize(
    ("statistic", "name"),
    [
        # node_exporter's own table (ethtool_linux_test.go).
        ("rx_errors", "received_errors_total"),
        ("Queue[0] AllocFails", "queue_0_allocfails"),
        ("Tx LPI entry count", "transmitted_lpi_entry_count"),
        ("port.VF_admin_queue_requests", "port_vf_admin_queue_requests"),
        ("[3]: tx_bytes", "3_transmitted_bytes"),
        ("     err", "err"),
        ("port_rx_dropped", "port_received_dropped"),
    ],
)
def test_a_driver_statistic_gets_a_valid_metric_name(statistic: str, name: str) -> None:
    assert ethtool.family_name(ethtool.sanitized(statistic))[0] == f"node_ethtool_{name}"


def test_the_capabilities_of_a_port_are_decoded_from_its_bits() -> None:
    # supported: TP, MII, 10/100/1000/10000baseT, autonegotiation, pause; advertised: the same without half duplex.
    links = ethtool.Links()
    links.add("eth0", 0x32EF, 0x32EA, 1)
    found = {family.name + text: value for family in links.families for text, value in family.samples}
    assert found['node_network_supported_port_info{device="eth0",type="TP"}'] == 1
    assert found['node_network_supported_port_info{device="eth0",type="MII"}'] == 1
    speed = 'node_network_{kind}_speed_bytes{{device="eth0",duplex="{duplex}",mode="{mode}"}}'
    assert found[speed.format(kind="supported", duplex="full", mode="10000baseT")] == 1.25e9
    assert found[speed.format(kind="supported", duplex="half", mode="10baseT")] == 1.25e6
    assert speed.format(kind="advertised", duplex="half", mode="10baseT") not in found
    assert found['node_network_autonegotiate_supported{device="eth0"}'] == 1
    assert found['node_network_pause_advertised{device="eth0"}'] == 1
    assert found['node_network_asymmetricpause_supported{device="eth0"}'] == 0
    assert found['node_network_autonegotiate{device="eth0"}'] == 1


def mount(*lines: str) -> dict[str, float]:
    text = "device a:/x mounted on /x with fstype nfs4 statvers=1.1\n" + "\n".join(lines)
    families: list[Family] = mountstats.mount_families(mountstats.nfs_mounts(text.encode()))
    return {family.name + text: value for family in families for text, value in family.samples}


def test_a_negative_time_is_not_a_sample() -> None:
    # The kernel's own output, of prometheus/node_exporter's fixtures.
    found = mount(
        "\txprt:\ttcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726",
        "\t      WRITE: 2927395007 2927394995 0 526931094212 362996810236 18446743919241604546 1667369447 1953587717",
    )
    write = '{export="a:/x",protocol="tcp",mountaddr="",operation="WRITE"}'
    assert found[f"node_mountstats_nfs_operations_response_time_seconds_total{write}"] == 1667369.447
    assert f"node_mountstats_nfs_operations_queue_time_seconds_total{write}" not in found


def test_the_connections_of_a_mount_are_distinguished() -> None:
    found = mount(
        "\txprt:\ttcp 832 0 1 0 11 100 99 0 1 0 24 26 57", "\txprt:\ttcp 833 0 2 0 12 200 199 0 1 0 24 26 57",
        "\txprt:\trdma 0 0 1 0 5 300 299 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    )  # fmt: skip
    sends = {key: value for key, value in found.items() if "transport_sends_total" in key}
    text = '{{export="a:/x",protocol="{protocol}",mountaddr="",transport="{number}"}}'
    assert {
        f"node_mountstats_nfs_transport_sends_total{text.format(protocol='tcp', number=number)}": (number + 1) * 100
        for number in range(3)
    }.items() <= sends.items()


def test_an_unnamed_pci_class_is_shown_by_its_number() -> None:
    names = pci_ids.parsed(PCI_IDS).names({"class": 0xFF0000, "vendor": 0x1022, "device": 0x1})
    assert names["class_name"] == "0xff0000"
    assert names["subsystem_vendor_name"] == ""
    assert (names["vendor_name"], names["device_name"]) == ("Advanced Micro Devices, Inc. [AMD]", "0x0001")


def test_a_file_of_another_kind_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="xfrm_stat: has none of the expected lines"):
        xfrm.xfrm_families(b"a 1\n")
