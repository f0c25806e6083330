"""Hardware as the kernel describes it, where the real node_exporter of Debian cannot be asked: later families, odd
machines, and places where it does not say what the kernel means.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.machine_tree import UUID, MachineTree
from tests.support.nobody import as_nobody, directory_for_all
from tests.support.node_exporter import Exposition
from wattview.exposition import render
from wattview.probes import node, procfs
from wattview.probes.node import bcache, bcachefs, btrfs, filesystem, infiniband, interrupts, mdadm, softirqs, zfs


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


class Reader:
    """One collector's answer about the tree, under any settings."""

    def __init__(self, tree: MachineTree, make_config: ConfigFactory) -> None:
        self._tree, self._make_config = tree, make_config

    def __call__(self, collector: str, *sets: str) -> Exposition:
        settings = self._make_config(*self._tree.settings, *sets)
        return Exposition(render(node.families(self.reading(collector, settings))).decode())

    @staticmethod
    def reading(collector: str, settings: object) -> node.NodeReading:
        return node.NodeProbe(settings).read(collect={collector})  # type: ignore[arg-type]

    def reason(self, collector: str) -> str:
        (collected,) = self.reading(collector, self._make_config(*self._tree.settings)).collectors
        assert not collected.success
        return collected.reason


@pytest.fixture
def read(tree: MachineTree, make_config: ConfigFactory) -> Reader:
    return Reader(tree, make_config)


def by(found: Exposition, name: str, label: str) -> dict[str, float]:
    return {labels[label]: found.value(name, **labels) for labels in found.labels_of(name)}


def test_two_chips_on_one_device_are_told_apart_by_their_own_names(tree: MachineTree, read: Reader) -> None:
    device = "devices/platform/coretemp.0"
    for chip, name in (("hwmon8", "k10temp"), ("hwmon9", "zenpower")):
        tree.write(tree.sysfs / device / "twin" / chip / "name", f"{name}\n")
        tree.write(tree.sysfs / device / "twin" / chip / "temp1_input", f"{chip[-1]}000\n")
        os.symlink("..", tree.sysfs / device / "twin" / chip / "device")
        os.symlink(f"../../{device}/twin/{chip}", tree.sysfs / "class/hwmon" / chip)
    temperatures = by(read("hwmon"), "node_hwmon_temp_celsius", "chip")
    assert temperatures["coretemp_0_twin_k10temp"] == 8
    assert temperatures["coretemp_0_twin_zenpower"] == 9
    (tree.sysfs / device / "twin/hwmon9/name").write_text("k10temp\n")
    temperatures = by(read("hwmon"), "node_hwmon_temp_celsius", "chip")
    assert (temperatures["coretemp_0_twin_hwmon8"], temperatures["coretemp_0_twin_hwmon9"]) == (8, 9)


def test_chips_and_sensors_are_left_out_by_name(read: Reader) -> None:
    chips = {labels["chip"] for labels in read("hwmon").labels_of("node_hwmon_chip_names")}
    fewer = read("hwmon", "node.hwmon_chip_exclude=coretemp")
    assert chips - {labels["chip"] for labels in fewer.labels_of("node_hwmon_chip_names")} == {"platform_coretemp_0"}
    one = read("hwmon", "node.hwmon_sensor_include=^platform_coretemp_0;temp1$")
    assert one.labels_of("node_hwmon_temp_celsius") == [{"chip": "platform_coretemp_0", "sensor": "temp1"}]
    assert "node_hwmon_in_volts" not in one.names


def test_a_gpus_clock_is_found_by_its_label(read: Reader) -> None:
    assert by(read("hwmon"), "node_hwmon_freq_freq_mhz", "sensor") == {"sclk": 214}


def test_a_thermal_zone_that_is_off_has_no_sample(tree: MachineTree, read: Reader) -> None:
    (tree.sysfs / "class/thermal/thermal_zone0/mode").write_text("disabled\n")
    assert read("thermal_zone").labels_of("node_thermal_zone_temp") == []
    (tree.sysfs / "class/thermal/thermal_zone0/mode").write_text("enabled\n")
    assert by(read("thermal_zone"), "node_thermal_zone_temp", "type") == {"bcm2835_thermal": 49.925}


def test_missing_sensors_are_no_data_and_not_a_fault(tree: MachineTree, read: Reader) -> None:
    shutil.rmtree(tree.sysfs / "class/hwmon")
    assert read.reason("hwmon") == "no hardware sensors"


def test_root_only_energy_is_no_data_with_a_reason(make_config: ConfigFactory) -> None:
    with directory_for_all() as directory:
        tree = MachineTree(directory)
        for path in tree.sysfs.rglob("energy_uj"):
            path.chmod(0o400)
        with as_nobody():
            (collected,) = node.NodeProbe(make_config(*tree.settings)).read(collect={"rapl"}).collectors
    assert not collected.success
    assert "readable by root only" in collected.reason


def test_errors_without_a_row_are_counted_as_unknown(read: Reader) -> None:
    found = read("edac")
    assert by(found, "node_edac_csrow_correctable_errors_total", "csrow") == {"0": 3, "unknown": 2}
    assert by(found, "node_edac_csrow_uncorrectable_errors_total", "csrow") == {"0": 4, "unknown": 6}
    assert by(found, "node_edac_channel_correctable_errors_total", "dimm_label") == {"mc0_csrow0_channel0": 2}


def test_a_disks_serial_number_is_the_one_on_its_label(tree: MachineTree, read: Reader) -> None:
    for given, wanted in (
        ("E:ID_SERIAL=long\n", "long"),
        ("E:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\n", "short"),
        ("E:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\nE:SCSI_IDENT_SERIAL=label\n", "label"),
    ):
        (tree.udev / "b8:0").write_text(given)
        (disk,) = [labels for labels in read("diskstats").labels_of("node_disk_info") if labels["device"] == "sda"]
        assert disk["serial"] == wanted
        assert disk["rotational"] == "1"


def test_disks_are_chosen_by_name(read: Reader) -> None:
    name = "node_disk_reads_completed_total"
    assert set(by(read("diskstats"), name, "device")) == {"sda", "dm-0", "nvme0n1"}
    assert set(by(read("diskstats", "node.disk_device_include=^sda"), name, "device")) == {"sda", "sda1"}


def test_a_namespace_of_large_blocks_is_as_large_as_it_is(tree: MachineTree, read: Reader) -> None:
    for file, text in (
        ("size", "2000"),
        ("nuse", "10"),
        ("queue/logical_block_size", "4096"),
        ("ana_state", "optimized"),
    ):
        tree.write(tree.sysfs / "class/nvme/nvme0/nvme0c0n1" / file, f"{text}\n")
    found = read("nvme")
    place = {"device": "nvme0", "nsid": "1"}
    assert found.value("node_nvme_namespace_size_bytes", **place) == 2000 * 512
    assert found.value("node_nvme_namespace_capacity_bytes", **place) == 2000 * 512
    assert found.value("node_nvme_namespace_used_bytes", **place) == 10 * 4096
    assert found.value("node_nvme_namespace_logical_block_size_bytes", **place) == 4096
    assert found.value("node_nvme_namespace_info", **place, ana_state="optimized") == 1


def test_arrays_say_how_many_disks_they_should_have_and_lack(tree: MachineTree, read: Reader) -> None:
    tree.write(tree.sysfs / "block/md6/md/raid_disks", "2\n")
    tree.write(tree.sysfs / "block/md6/md/degraded", "1\n")
    tree.write(tree.sysfs / "block/md10/md/raid_disks", "2\n")
    found = read("mdadm")
    assert by(found, "node_md_raid_disks", "device") == {"md6": 2, "md10": 2}
    assert by(found, "node_md_degraded", "device") == {"md6": 1, "md10": 0}


def test_a_checking_or_waiting_array_reports_its_progress() -> None:
    text = (
        b"Personalities : [raid1]\n"
        b"md0 : active raid1 sdb1[1] sda1[0]\n      100 blocks [2/2] [UU]\n"
        b"      [==>..]  check = 20.0% (20/100) finish=1min speed=1K/sec\n\n"
        b"md1 : active (auto-read-only) raid1 sdd1[1] sdc1[0]\n      200 blocks [2/2] [UU]\n      \tresync=PENDING\n\n"
        b"unused devices: <none>\n"
    )
    assert [(array.device, array.state, array.synced) for array in mdadm.mdstat(text)] == [
        ("md0", "check", 20),
        ("md1", "resync", 0),
    ]


def test_bcachefs_is_read_completely(tree: MachineTree, read: Reader) -> None:
    root = tree.sysfs / "fs/bcachefs" / UUID
    for file, text in {
        "btree_cache_size": "1.5G\n",
        "compression_stats": "type      compressed  uncompressed  average extent size\nlz4:      542k  1.5M  112k\n",
        "errors": "btree_node_read_err  5  1700000000\n",
        "counters/btree_node_read": "since mount:   1\nsince filesystem creation:  67.5k\n",
        "btree_write_stats": "           nr     size\ninitial:   19088  108k\n",
        "dev-0/label": "ssd.fast\n",
        "dev-0/state": "[rw] ro evacuating spare\n",
        "dev-0/bucket_size": "512k\n",
        "dev-0/nbuckets": "4096\n",
        "dev-0/durability": "1\n",
        "dev-0/io_done": "read:\n  btree : 4411097088\n  user : 7\nwrite:\n  btree : 9\n",
        "dev-0/io_errors": (
            "IO errors since filesystem creation\n  read:    197346\n  write:   0\nIO errors since 8 y ago\n  read: 5\n"
        ),
    }.items():
        tree.write(root / file, text)
    found = read("bcachefs")
    place = {"uuid": UUID, "device": "0"}
    assert found.value("node_bcachefs_btree_cache_size_bytes", uuid=UUID) == 1.5 * 2**30
    assert found.value("node_bcachefs_compression_compressed_bytes", uuid=UUID, algorithm="lz4") == 542 * 1024
    assert found.value("node_bcachefs_compression_uncompressed_bytes", uuid=UUID, algorithm="lz4") == 1.5 * 2**20
    assert found.value("node_bcachefs_errors_total", uuid=UUID, error_type="btree_node_read_err") == 5
    assert found.value("node_bcachefs_btree_node_read_total", uuid=UUID) == 67.5 * 1024
    assert found.value("node_bcachefs_btree_writes_total", uuid=UUID, type="initial") == 19088
    assert found.value("node_bcachefs_btree_write_average_size_bytes", uuid=UUID, type="initial") == 108 * 1024
    assert found.value("node_bcachefs_device_info", **place, label="ssd.fast", state="[rw] ro evacuating spare") == 1
    assert found.value("node_bcachefs_device_bucket_size_bytes", **place) == 512 * 1024
    assert found.value("node_bcachefs_device_buckets", **place) == 4096
    done = "node_bcachefs_device_io_done_bytes_total"
    assert found.value(done, **place, operation="read", data_type="btree") == 4411097088
    assert found.value(done, **place, operation="write", data_type="btree") == 9
    assert by(found, "node_bcachefs_device_io_errors_total", "type") == {"read": 197346, "write": 0}
    assert found.types["node_bcachefs_device_io_errors_total"] == "counter"


@pytest.mark.parametrize(
    ("text", "size"), [("405", 405), ("542k", 555008), ("1.5G", 1610612736), (" 322M\n", 337641472)]
)
def test_sizes_of_bcachefs(text: str, size: int) -> None:
    assert bcachefs.human_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("1.5k", 1524), ("20.4G", (20 + 400 / 1024) * 2**30), ("-3M", -3 * 2**20)]
)
def test_sizes_of_bcache(text: str, number: float) -> None:
    assert bcache.dehumanized(text) == pytest.approx(number)


def test_bcache_reads_take_microseconds_and_not_nanoseconds(read: Reader) -> None:
    (seconds,) = by(read("bcache"), "node_bcache_btree_read_average_duration_seconds", "uuid").values()
    assert seconds == pytest.approx(1305e-6)


@pytest.mark.parametrize(
    ("mode", "devices", "ratio"),
    [("single", 1, 1), ("raid0", 3, 1), ("dup", 1, 2), ("raid1", 2, 2), ("raid10", 4, 2), ("raid1c3", 3, 3),
     ("raid1c4", 4, 4), ("raid5", 3, 1.5), ("raid6", 4, 2), ("raid5", 1, 0), ("later", 2, 0)],
)  # fmt: skip
def test_bytes_on_disk_for_each_byte_of_btrfs_data(mode: str, devices: int, ratio: float) -> None:
    assert btrfs.allocation_ratio(mode, devices) == ratio


def test_a_dataset_may_have_spaces_in_its_name(tree: MachineTree, read: Reader) -> None:
    path = tree.procfs / "spl/kstat/zfs/poolz1/objset-1"
    path.write_text(path.read_text().replace("poolz1/home", "poolz1/my media"))
    assert by(read("zfs"), "node_zfs_zpool_dataset_nwritten", "dataset") == {"poolz1/my media": 6206}
    assert zfs.dataset_name("") == ""


def test_infiniband_data_is_counted_in_words_of_four_bytes(tree: MachineTree, read: Reader) -> None:
    tree.write(tree.sysfs / "class/infiniband/mlx4_0/ports/1/hw_counters/out_of_sequence", "17\n")
    found = read("infiniband")
    place = {"device": "mlx4_0", "port": "1"}
    assert found.value("node_infiniband_port_data_received_bytes_total", **place) == 4 * 4631917
    assert found.value("node_infiniband_rate_bytes_per_second", **place) == 5e9
    assert found.value("node_infiniband_state_id", **place) == 4
    assert "node_infiniband_port_errors_received_total" not in found.names, "an N/A is no sample"
    assert infiniband.bytes_per_second("2.5 Gb/sec (1X SDR)") == 312500000


def test_watchdogs(tree: MachineTree, read: Reader) -> None:
    for file, text in (("timeout", "60"), ("timeleft", "300"), ("identity", "Software Watchdog"), ("state", "active")):
        tree.write(tree.sysfs / "class/watchdog/watchdog0" / file, f"{text}\n")
    found = read("watchdog")
    assert found.value("node_watchdog_timeout_seconds", name="watchdog0") == 60
    assert found.value("node_watchdog_timeleft_seconds", name="watchdog0") == 300
    assert "node_watchdog_bootstatus" not in found.names
    info = {"name": "watchdog0", "identity": "Software Watchdog", "state": "active"}
    assert found.labels_of("node_watchdog_info") == [info]


def test_hung_tasks_are_counted(tree: MachineTree, read: Reader) -> None:
    assert "hung_task_detect_count" in read.reason("kernel_hung")
    tree.write(tree.procfs / "sys/kernel/hung_task_detect_count", "3\n")
    assert read("kernel_hung").value("node_kernel_hung_tasks_total") == 3


def test_interrupts_are_counted_by_the_cpus_that_have_a_column() -> None:
    text = (
        b"           CPU0       CPU2       \n"
        b"  0:         18          1   IO-APIC   2-edge      timer\n"
        b"NMI:         47          0   Non-maskable interrupts\n"
        b"ERR:          0\n"
    )
    assert interrupts.interrupts(text) == [
        interrupts.Interrupt("0", "IO-APIC", "2-edge timer", {"0": 18, "2": 1}),
        interrupts.Interrupt("NMI", "Non-maskable interrupts", "", {"0": 47, "2": 0}),
    ]


def test_softirqs_of_this_machine_are_those_of_proc_stat(make_config: ConfigFactory) -> None:
    probe = node.NodeProbe(make_config("node.enable=softirqs"))
    found = Exposition(render(node.families(probe.read(collect={"softirqs"}))).decode())
    name = "node_softirqs_functions_total"
    kinds = {labels["type"] for labels in found.labels_of(name)}
    assert {"TIMER", "NET_RX", "SCHED", "RCU"} <= kinds
    assert len(found.labels_of(name)) == len(kinds) * len({labels["cpu"] for labels in found.labels_of(name)})
    with open("/proc/stat", encoding="ascii") as file:
        (line,) = [line for line in file if line.startswith("softirq ")]
    total = sum(found.value(name, **labels) for labels in found.labels_of(name))
    assert total == pytest.approx(int(line.split()[1]), rel=0.01)


def test_softirqs_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="softirqs"):
        softirqs.softirqs(b"  CPU0\n 1 2 3\n")


def test_settings_are_numbers_by_index_or_by_the_names_given(tree: MachineTree, read: Reader) -> None:
    tree.write(tree.procfs / "sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
    tree.write(tree.procfs / "sys/kernel/core_pattern", "|/usr/lib/crash %p\n")
    on = "node.enable=sysctl"
    plain = read("sysctl", on, "node.sysctl=net.ipv4.tcp_rmem")
    assert by(plain, "node_sysctl_net_ipv4_tcp_rmem", "index") == {"0": 4096, "1": 131072, "2": 6291456}
    named = read("sysctl", on, "node.sysctl=net.ipv4.tcp_rmem:min,default,max")
    assert named.value("node_sysctl_net_ipv4_tcp_rmem_default") == 131072
    texts = read("sysctl", on, "node.sysctl_info=kernel.core_pattern")
    assert [labels["value"] for labels in texts.labels_of("node_sysctl_info")] == ["|/usr/lib/crash", "%p"]


@pytest.mark.parametrize(
    ("setting", "content", "reason"),
    [
        ("vm.x:a,b", "1\n", "has 1 values, and 2 names were given"),
        ("vm.x", "text\n", "invalid literal"),
        ("vm.x", "\n", "has no value"),
        ("vm.missing", "", "No such file"),
    ],
)
def test_a_setting_that_cannot_be_shown_says_why(
    tree: MachineTree, make_config: ConfigFactory, setting: str, content: str, reason: str
) -> None:
    tree.write(tree.procfs / "sys/vm/x", content)
    settings = make_config(*tree.settings, "node.enable=sysctl", f"node.sysctl={setting}")
    (collected,) = node.NodeProbe(settings).read(collect={"sysctl"}).collectors
    assert reason in collected.reason


def test_the_end_of_support_is_a_time(tree: MachineTree, read: Reader) -> None:
    tree.write(
        tree.root / "etc/os-release",
        'NAME="Fedora Linux"\nVERSION_ID=39.2.1\nID=fedora\nSUPPORT_END=2024-11-12\nODD=it\'s\n# VERSION=1\n',
    )
    found = read("os")
    assert found.labels_of("node_os_info") == [{"id": "fedora", "name": "Fedora Linux", "version_id": "39.2.1"}]
    assert found.value("node_os_version", id="fedora", name="Fedora Linux") == 39.2
    assert found.value("node_os_support_end_timestamp_seconds") == 1731369600


def test_a_read_only_filesystem_is_recognised_by_whole_words() -> None:
    (mount,) = procfs.mountinfo(b"29 1 8:1 / / rw,errors=remount-ro - ext4 /dev/sda1 rw,errors=remount-ro\n")
    key = (mount.source, mount.mount_point, mount.fs_type)
    families = filesystem.space_families({key: mount}, {"/": filesystem.Space()})
    (readonly,) = [family for family in families if family.name == "node_filesystem_readonly"]
    assert [value for _, value in readonly.samples] == [0]
