"""Hardware that this machine has not: the real node_exporter and our collectors read the same tree of files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ConfigFactory
from tests.support.machine_tree import CACHE_SET, MachineTree
from tests.support.node_exporter import Exposition, RealNodeExporter, Series
from wattview.exposition import render
from wattview.probes import node

# Labels and families of node_exporter after 1.5.0, which is what Debian has.
LATER_LABELS = {
    "node_drm_card_info": {"chip"},
    **{
        f"node_mountstats_nfs_transport_{name}": {"transport"}
        for name in (
            "bind_total",
            "connect_total",
            "idle_time_seconds",
            "sends_total",
            "receives_total",
            "bad_transaction_ids_total",
            "backlog_queue_total",
            "maximum_rpc_slots",
            "sending_queue_total",
            "pending_queue_total",
        )
    },
    "node_disk_info": {"rotational"},
    "node_network_info": {"adminstate"},
    "node_nvme_info": {"cntlid"},
}

# What 1.5.0 reads otherwise than the kernel writes it: these columns two places too early (later versions do not),
# and microseconds as nanoseconds.
READ_WRONGLY = {
    *(("node_nfsd_requests_total", frozenset({("proto", "4"), ("method", method)}))
      for method in ("Verify", "Write", "RelLockOwner")),
    ("node_bcache_btree_read_average_duration_seconds", frozenset({("uuid", CACHE_SET)})),
}  # fmt: skip

CPUINFO = "".join(
    f"processor\t: {cpu}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: Intel(R) Core(TM) "
    "i7-8650U CPU @ 1.90GHz\nstepping\t: 10\nmicrocode\t: 0xb4\ncpu MHz\t\t: 799.998\ncache size\t: 8192 KB\n"
    f"physical id\t: 0\nsiblings\t: 2\ncore id\t\t: {cpu}\ncpu cores\t: 2\nfpu\t\t: yes\n"
    "flags\t\t: fpu vme aes avx avx2 constant_tsc\n"
    "bugs\t\t: cpu_meltdown spectre_v1 spectre_v2 spec_store_bypass l1tf mds swapgs\n\n"
    for cpu in (0, 1)
)

EVENTS = "52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 1 2 3 4 5 6 7"
OF_NFS = f"""\tage:\t13968
\tcaps:\tcaps=0xfff7,wtmult=512,dtsize=32768,bsize=0,namlen=255
\tevents:\t{EVENTS}
\tbytes:\t1207640230 1 2 3 1210214218 4 295483 5
\tRPC iostats version: 1.0  p/v: 100003/4 (nfs)
"""
OPERATIONS = """\tper-op statistics
\t        NULL: 0 0 0 0 0 0 0 0
\t        READ: 1298 1299 1 207680 1210292152 6 79386 79407
\t       WRITE: 2927395019 2927395020 7 526931094212 362996810236 1844674391 1667369447 1953587717 3
"""
MOUNTSTATS = f"""device rootfs mounted on / with fstype rootfs
device proc mounted on /proc with fstype proc
device 192.168.1.1:/srv/test mounted on /mnt/nfs/test with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.0,rsize=1048576,proto=tcp
{OF_NFS}\txprt:\ttcp 832 0 1 0 11 6428 6429 8 12154 9 24 26 5726
{OPERATIONS}
device 192.168.1.1:/srv/test mounted on /mnt/nfs/test-dupe with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.0,rsize=1048576,proto=tcp
{OF_NFS}\txprt:\ttcp 832 0 1 0 11 6428 6429 8 12154 9 24 26 5726
{OPERATIONS}
device 192.168.1.1:/srv/old mounted on /mnt/nfs/old with fstype nfs statvers=1.1
\topts:\trw,vers=3,proto=udp
{OF_NFS}\txprt:\tudp 832 0 6428 6427 1 4711 5 2 12 18
{OPERATIONS}
device tmpfs mounted on /run with fstype tmpfs
"""
MOUNTINFO = """1 1 0:5 / / rw - rootfs rootfs rw
2 1 0:6 / /proc rw - proc proc rw
3 1 0:59 / /mnt/nfs/test rw shared:218 - nfs4 192.168.1.1:/srv/test rw,vers=4.0,addr=192.168.1.1,clientaddr=192.168.1.5
4 1 0:59 / /mnt/nfs/test-dupe rw shared:218 - nfs4 192.168.1.1:/srv/test rw,vers=4.0,addr=192.168.1.1
5 1 0:60 / /mnt/nfs/old rw - nfs 192.168.1.1:/srv/old rw,vers=3,mountaddr=192.168.1.9,addr=192.168.1.1
6 1 0:7 / /run rw - tmpfs tmpfs rw
"""

# A graphics card of AMD's.
CARDS = {
    "class/drm/card0/device/uevent": "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:687F\n",
    "class/drm/card0/device/gpu_busy_percent": "4\n",
    "class/drm/card0/device/mem_info_gtt_total": "8573157376\n",
    "class/drm/card0/device/mem_info_gtt_used": "144560128\n",
    "class/drm/card0/device/mem_info_vis_vram_total": "8573157376\n",
    "class/drm/card0/device/mem_info_vis_vram_used": "1490378752\n",
    "class/drm/card0/device/mem_info_vram_total": "8573157376\n",
    "class/drm/card0/device/mem_info_vram_used": "1490378752\n",
    "class/drm/card0/device/mem_info_vram_vendor": "samsung\n",
    "class/drm/card0/device/power_dpm_force_performance_level": "manual\n",
    "class/drm/card0/device/unique_id": "0123456789abcdef\n",
    "class/drm/card0-DP-1/status": "connected\n",
}

# What each of the two is told to show beyond its defaults.
SETTINGS = (
    "node.enable=drm,ksmd,mountstats", "node.bcache_priority_stats=true", "node.stat_softirq=true",
    "node.netclass_ignore_invalid_speed=true",
    "node.cpu_flags_include=^(aes|avx.?|constant_tsc)$", "node.cpu_bugs_include=^(cpu_meltdown|spectre_.*|mds)$",
)  # fmt: skip
ARGUMENTS = (
    "--collector.bcache.priorityStats", "--collector.stat.softirq", "--collector.netclass.ignore-invalid-speed",
    "--collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$",
    "--collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$",
)  # fmt: skip

# What the kernel does not say of a transport over UDP, and 1.5.0 says is 0.
OF_NO_CONNECTION = {
    (f"node_mountstats_nfs_transport_{name}",
     frozenset({("export", "192.168.1.1:/srv/old"), ("protocol", "udp"), ("mountaddr", "192.168.1.1")}))
    for name in ("connect_total", "idle_time_seconds")
}  # fmt: skip

# Collectors that look at the real machine whatever tree they are given.
OF_THIS_MACHINE = {"arp", "filesystem", "time", "timex", "uname", "os", "selinux"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> MachineTree:
    tree = MachineTree(tmp_path_factory.mktemp("machine"))
    tree.write(tree.procfs / "cpuinfo", CPUINFO)
    for name, text in {"self/mountstats": MOUNTSTATS, "self/mountinfo": MOUNTINFO}.items():
        tree.write(tree.procfs / name, text)
    # As the kernel has it: a link to the process.
    (tree.procfs / "self").rename(tree.procfs / "10")
    (tree.procfs / "self").symlink_to("10")
    for name, text in CARDS.items():
        tree.write(tree.sysfs / name, text)
    tree.write(tree.sysfs / "devices/virtual/net/lo/speed", "-1\n")
    return tree


@pytest.fixture(scope="module")
def real(tree: MachineTree) -> Iterator[Exposition]:
    off = [f"--no-collector.{name}" for name in sorted(OF_THIS_MACHINE)]
    with RealNodeExporter(("drm", "ksmd", "mountstats"), [*tree.arguments, *ARGUMENTS, *off]) as exporter:
        yield exporter.scrape()


@pytest.fixture
def ours(tree: MachineTree, make_config: ConfigFactory) -> Exposition:
    probe = node.NodeProbe(make_config(*tree.settings, *SETTINGS))
    return Exposition(render(node.families(probe.read(exclude=OF_THIS_MACHINE))).decode())


def comparable(exposition: Exposition) -> dict[Series, float]:
    """Series without what the two are known to say differently: themselves, and labels that came later."""
    return {
        (name, frozenset(pair for pair in labels if pair[0] not in LATER_LABELS.get(name, set()))): value
        for (name, labels), value in exposition.values.items()
        if name.startswith("node_")
        and name not in ("node_exporter_build_info", "node_scrape_collector_duration_seconds")
    }


def test_every_series_of_the_real_one_is_here_with_its_value(real: Exposition, ours: Exposition) -> None:
    theirs, mine = comparable(real), comparable(ours)
    assert len(theirs) > 700
    assert {series for series in theirs if series not in mine} == OF_NO_CONNECTION
    different = {
        series: (value, mine[series])
        for series, value in theirs.items()
        if series in mine and mine[series] != pytest.approx(value, rel=1e-12, abs=0) and series not in READ_WRONGLY
    }
    assert different == {}


def test_what_is_here_beyond_it_came_with_later_versions(real: Exposition, ours: Exposition) -> None:
    theirs, mine = comparable(real), comparable(ours)
    beyond = {name for name, _ in mine.keys() - theirs.keys()}
    assert beyond == {
        "node_cpu_frequency_hertz",
        "node_ksmd_general_profit_bytes",
        "node_btrfs_commit_seconds_total",
        "node_btrfs_commits_total",
        "node_btrfs_last_commit_seconds",
        "node_btrfs_max_commit_seconds",
        "node_cpu_scaling_governor",
        "node_edac_channel_correctable_errors_total",
        "node_edac_channel_uncorrectable_errors_total",
        "node_hwmon_freq_freq_mhz",
        "node_hwmon_sensor_label",
        "node_scrape_collector_success",
        "node_nfsd_requests_total",  # SetClientID and SetClientIDConfirm
        "node_mountstats_nfs_mountpoint_info",
        "node_mountstats_nfs_operations_errors_total",
        "node_softnet_backlog_len",
        "node_softnet_cpu_collision_total",
        "node_softnet_flow_limit_count_total",
        "node_softnet_received_rps_total",
        "node_zfs_arc_memory_available_bytes",
        "node_zfs_zpool_state",
    }


def test_types_and_help_are_the_same(real: Exposition, ours: Exposition) -> None:
    shared = {name for name, _ in comparable(real)} & ours.names
    assert {name: ours.types[name] for name in shared} == {name: real.types[name] for name in shared}
    # "cpu thread" became "CPU thread"; ksmd's became the kernel's own.
    same = {name for name in shared if not name.startswith("node_ksmd_")}
    assert {name: ours.help[name].lower() for name in same} == {name: real.help[name].lower() for name in same}


def test_every_collector_of_this_machine_succeeds(real: Exposition, ours: Exposition) -> None:
    failed = {name for name, success in ours.collectors().items() if not success}
    assert failed == {"bcachefs", "kernel_hung", "watchdog"}
    assert {name for name, success in real.collectors().items() if not success} == set()
