"""An odd line of a kernel file costs itself: whatever it says and wherever it stands, all other figures stand.

The lines are of real machines: an empty one at the end of /proc/meminfo (Ubuntu's 5.4.0-153), the table that Linux 2.4
had above its fields, a disk without a name in a cgroup's io.stat, an array without a size in /proc/mdstat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support import cgroup_tree
from tests.support.machine_tree import PROC, MachineTree
from wattview.config import load
from wattview.exposition import Family
from wattview.probes import procfs
from wattview.probes.containers.cgroups import cgroup
from wattview.probes.containers.cgroups.cgroup import hierarchies, locate, parse_pid_cgroup
from wattview.probes.containers.cgroups.files import CgroupFiles
from wattview.probes.containers.disks import Disks
from wattview.probes.host import HostProbe
from wattview.probes.node import (
    NodeProbe,
    NodeReading,
    bcache,
    bcachefs,
    buddyinfo,
    cgroups,
    cpu,
    diskstats,
    interrupts,
    lnstat,
    mdadm,
    meminfo_numa,
    mountstats,
    pci_ids,
    slabinfo,
    softirqs,
    stat,
    swap,
    tcpstat,
    xfrm,
    xfs,
    zoneinfo,
)

TABLE_OF_LINUX_2_4 = """\
        total:    used:    free:  shared: buffers:  cached:
Mem:  260579328 136073216 124506112        0  4915200 94064640
Swap:        0        0        0
"""
NO_DISK = "(unknown) rbytes=0 wbytes=0 rios=0 wios=0 dbytes=0 dios=0"
ODD = st.sampled_from(
    ["", "   ", "\t", "garbage", "(unknown) Read 0", NO_DISK, *TABLE_OF_LINUX_2_4.splitlines(), "-", "a b c", "odd:",
     "odd: x", "\0", "\ufffd" * 3, "[4/0] [____]", "cpu", "cpuX 1", "some avg10=", "0: -> ?", "nan inf nan"]
)  # fmt: skip
FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

OF_NOW = frozenset(("time", "timex", "filesystem", "qdisc"))
"""Collectors that ask the kernel of this machine, which has another answer each time."""

VALUES = ("sys/kernel/ostype", "sys/kernel/osrelease", "sys/kernel/version", "sys/kernel/hostname", "1/mounts")
"""Files that are one text and no lines, or that nobody here reads."""


def with_line(text: str, line: str, place: int) -> str:
    lines = text.splitlines(keepends=True)
    at = place % (len(lines) + 1)
    return "".join([*lines[:at], line + "\n", *lines[at:]])


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


def samples(families: list[Family]) -> dict[str, float]:
    return {family.name + text: value for family in families for text, value in family.samples}


def figures(reading: NodeReading) -> dict[str, float]:
    return samples([family for one in reading.collectors if one.name not in OF_NOW for family in one.families])


class Node(NamedTuple):
    tree: MachineTree
    probe: NodeProbe
    whole: dict[str, float]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A machine, its collectors, and all that they say of it."""
    tree = MachineTree(tmp_path_factory.mktemp("machine"))
    probe = NodeProbe(load(sets=tree.settings, environ={"HOME": str(tree.procfs.parent)}))
    return Node(tree, probe, figures(probe.read()))


@pytest.mark.parametrize("file", [name for name in PROC if name not in VALUES])
@given(line=ODD, place=st.integers(0, 99))
@FEW
def test_every_other_figure_of_the_node_matches(node: Node, file: str, line: str, place: int) -> None:
    path = node.tree.procfs / file
    path.write_text(with_line(PROC[file], line, place))
    found = figures(node.probe.read())
    path.write_text(PROC[file])
    assert node.whole.items() <= found.items()


PARSERS: dict[str, tuple[Callable[[bytes], Iterable[object]], str]] = {
    "buddyinfo": (buddyinfo.buddyinfo, "Node 0, zone DMA 1 0 1\nNode 0, zone Normal 4 5 6\n"),
    "cgroups": (cgroups.proc_cgroups, "#subsys_name hierarchy num_cgroups enabled\ncpu 3 71 1\nmemory 0 1 0\n"),
    "cpuinfo": (
        lambda data: samples(cpu.cpuinfo_families(data)).items(),
        "processor\t: 0\nphysical id\t: 0\ncpu MHz\t\t: 1000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 7\n\n",
    ),
    "interrupts": (
        interrupts.interrupts,
        "  CPU0 CPU1\n  0: 18 0 IR-IO-APIC timer\nNMI: 47 5031 Non-maskable\nERR: 0\n",
    ),
    "slabinfo": (
        lambda data: slabinfo.slabinfo(data).items(),
        "slabinfo - version: 2.1\n# name <active_objs>\next4_inode 1 2 3 4 5 : tunables\ndentry 6 7 8 9 10 : x\n",
    ),
    "softirqs": (lambda data: softirqs.softirqs(data).items(), "  CPU0 CPU1\n  HI: 1 2\n  TIMER: 3 4\n"),
    "zoneinfo": (
        lambda data: [(zone, field) for _, zone, fields, _ in zoneinfo.zoneinfo(data) for field in fields.items()],
        "Node 0, zone DMA\n  pages free 3840\n        min 33\n  nr_free_pages 9\n        protection: (0, 1)\n"
        "Node 0, zone   Normal\n  pages free     1\n        low      2\n",
    ),
    "node meminfo": (meminfo_numa.node_meminfo, "Node 0 MemTotal: 16 kB\nNode 0 HugePages_Total: 3\n"),
    "node numastat": (meminfo_numa.node_numastat, "numa_hit 5\nnuma_miss 0\n"),
    "xfs": (lambda data: xfs.xfs_stats(data.decode()).items(), "extent_alloc 1 2 3 4\nrw 7 8\nxpc 1\n"),
    "bcache": (
        lambda data: bcache.writeback_rate(data.decode()).items(),
        "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\n",
    ),
    "bcache priorities": (
        lambda data: bcache.priority_stats(data.decode()).items(),
        "Unused:         99%\nMetadata:       0%\nAverage:        10473\n",
    ),
    "softirqs of stat": (
        lambda data: samples([stat.softirqs_total(data)]).items(),
        "ctxt 900\nsoftirq 36 1 2 3 4 5 6 7 8 0 0\n",
    ),
    "lnstat": (
        lambda data: lnstat.per_cpu(data, "net/stat/x"),
        "entries  in_hit in_slow_tot in_slow_mc\n00000014  00000000 0000000d 00000000\n"
        "00000014  00000001 0000000f 00000002\n",
    ),
    "mountstats": (
        mountstats.nfs_mounts,
        "device a:/x mounted on /x with fstype nfs4 statvers=1.1\n\tage:\t7\n\tbytes:\t1 2 3 4 5 6 7 8\n"
        "\txprt:\ttcp 832 0 1 0 11 6 6 0 1 0 2 2 5\n\tper-op statistics\n\t  READ: 1 2 3 4 5 6 7 8\n",
    ),
    "mountinfo of NFS": (
        lambda data: mountstats.server_addresses(data).items(),
        "3 1 0:59 / /x rw - nfs4 a:/x rw,addr=192.168.1.1\n4 1 0:60 / /y rw - nfs b:/y rw,addr=::1\n",
    ),
    "pci.ids": (
        lambda data: pci_ids.parsed(data.decode()).devices.items(),
        "1022  AMD\n\t1634  Bridge\n\t1635  Other\nc0a9  Micron\n\t540a  P2\n",
    ),
    "swaps": (swap.swaps, "Filename Type Size Used Priority\n/dev/a partition 8 0 -2\n/b file 9 1 -3\n"),
    "tcp": (
        tcpstat.tcp_lines,
        "  sl  local_address rem_address   st tx_queue rx_queue tr\n"
        "   0: 0100007F:0016 00000000:0000 0A 00000000:00000001 00:00000000\n"
        "   1: 0100007F:0016 0100007F:D431 01 00000015:00000000 00:00000000\n",
    ),
    "xfrm": (lambda data: samples(xfrm.xfrm_families(data)).items(), "XfrmInError \t1\nXfrmFwdHdrError \t2\n"),
    "bcachefs io_done": (
        lambda data: bcachefs.io_done(data.decode()),
        "read:\n  btree : 4\n  user : 7\nwrite:\n  sb : 9\n",
    ),
    "bcachefs errors": (lambda data: bcachefs.errors(data.decode()).items(), "btree_node_read_err 5 170\nother 1 2\n"),
    "bcachefs table": (lambda data: bcachefs.table(data.decode()).items(), "type a b\nlz4: 5k 1M 2k\nzstd: 1k 2k 3k\n"),
    "udev": (lambda data: diskstats.udev_properties(data).items(), "S:disk/by-id/x\nE:ID_MODEL=a b\nE:ID_BUS=ata\n"),
}
"""Files that the tree has not: their parsers, and a piece of each."""


@pytest.mark.parametrize("file", PARSERS)
@given(line=ODD, place=st.integers(0, 9))
@FEW
def test_every_other_line_of_it_is_read(file: str, line: str, place: int) -> None:
    parse, text = PARSERS[file]
    found = list(parse(with_line(text, line, place).encode()))
    assert all(item in found for item in parse(text.encode()))


def cgroup_files(root: Path, version: int) -> CgroupFiles:
    mounted = hierarchies(str(root))
    assert mounted is not None
    place = locate(mounted, cgroup_tree.ID, {})
    assert place is not None
    return CgroupFiles(place, version, Disks(str(root)))


def cgroup_file_names(version: int) -> list[str]:
    if version == 2:
        return ["cpu.stat", "cpu.weight", "cpu.max", "memory.current", "memory.peak", "memory.swap.current",
                "memory.stat", "memory.events", "memory.max", "io.stat", "pids.current", "pids.max", "cpu.pressure",
                "io.pressure"]  # fmt: skip
    return ["cpuacct/cpuacct.usage_percpu", "cpuacct/cpuacct.stat", "cpu/cpu.stat", "cpu/cpu.shares",
            "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "memory/memory.usage_in_bytes", "memory/memory.stat",
            "memory/memory.failcnt", "memory/memory.oom_control", "memory/memory.limit_in_bytes",
            "blkio/blkio.throttle.io_service_bytes_recursive", "blkio/blkio.throttle.io_serviced_recursive",
            "pids/pids.current"]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "file"), [(version, name) for version in (1, 2) for name in cgroup_file_names(version)]
)
@given(line=ODD, place=st.integers(0, 99))
@FEW
def test_every_other_figure_of_a_container_matches(
    tmp_path: Path, version: int, file: str, line: str, place: int
) -> None:
    where = f"/docker/{cgroup_tree.ID}"
    if version == 2:
        cgroup_tree.v2_mount(tmp_path)
        cgroup_tree.v2_cgroup(tmp_path, where)
        path = tmp_path / f"fs/cgroup{where}" / file
    else:
        if not (tmp_path / "fs").exists():
            cgroup_tree.v1_mounts(tmp_path, joined=False)
        cgroup_tree.v1_cgroup(tmp_path, where)
        controller, _, name = file.partition("/")
        path = tmp_path / f"fs/cgroup/{controller}{where}" / name
    whole, no_faults = cgroup_files(tmp_path, version).read()
    assert no_faults == []
    path.write_text(with_line(path.read_text(), line, place))
    assert cgroup_files(tmp_path, version).read() == (whole, [])


@given(line=ODD, place=st.integers(0, 99), file=st.sampled_from(["stat", "meminfo", "loadavg", "net/dev"]))
@settings(FEW, max_examples=60)
def test_every_other_figure_of_the_host_matches(
    tree: MachineTree, make_config: ConfigFactory, line: str, place: int, file: str
) -> None:
    path = tree.procfs / file
    config = make_config(*tree.settings)
    path.write_text(PROC[file])
    whole = HostProbe(config).read()
    path.write_text(with_line(PROC[file], line, place))
    found = HostProbe(config).read()
    assert found.faults == ()
    same = {"time": whole.time, "monotonic": whole.monotonic}
    assert msgspec.structs.replace(found, **same) == whole


def test_a_table_above_the_fields_of_meminfo_is_left_out() -> None:
    text = TABLE_OF_LINUX_2_4 + PROC["meminfo"] + "\n"
    assert procfs.meminfo(text.encode()) == procfs.meminfo(PROC["meminfo"].encode())


def test_two_processors_are_told_apart_without_an_empty_line_between_them() -> None:
    block = "processor\t: {n}\nphysical id\t: 0\ncore id\t: {n}\n\ncpu MHz\t\t: 100{n}.5\n"
    _, frequency = cpu.cpuinfo_families((block.format(n=0) + block.format(n=1)).encode())
    assert [value for _, value in frequency.samples] == [1000.5e6, 1001.5e6]


def test_an_invalid_ipvs_service_only_loses_its_own_servers(tree: MachineTree, make_config: ConfigFactory) -> None:
    path = tree.procfs / "net/ip_vs"
    probe = NodeProbe(make_config(*tree.settings))
    whole = figures(probe.read({"ipvs"}))
    path.write_text(path.read_text().replace("UDP  C0A80039:0035", "UDP  ?"))
    found = figures(probe.read({"ipvs"}))
    lost = {series for series in whole if 'proto="UDP"' in series}
    assert lost
    assert found == {series: value for series, value in whole.items() if series not in lost}


def test_a_disk_without_a_name_only_loses_its_own_row() -> None:
    v2 = f"8:0 rbytes=1 wbytes=2 rios=1 wios=1\n{NO_DISK}\n8:16 rbytes=3 wbytes=4 rios=1 wios=1\n"
    found = cgroup_tree_io(v2.encode())
    assert found == {(8, 0): (1, 2), (8, 16): (3, 4)}


def cgroup_tree_io(data: bytes) -> dict[tuple[int, int], tuple[int, int]]:
    return {device: (row["rbytes"], row["wbytes"]) for device, row in cgroup.io_stat(data).items()}


def test_an_odd_line_of_proc_pid_cgroup_is_skipped() -> None:
    text = b"12:memory:/docker/x\n\nodd\n:::\n0::/docker/x\n"
    assert parse_pid_cgroup(text) == {"memory": "/docker/x", "": "/docker/x"}


def test_an_array_without_a_size_keeps_its_disks() -> None:
    # prometheus/node_exporter#3198: external metadata, all disks gone.
    text = (
        b"Personalities : [raid5]\n"
        b"md127 : inactive sda[1](S) sdb[0](S)\n      6402 blocks super external:imsm\n\n"
        b"md126 : active raid5 super 1.2 level 5, 64k chunk, algorithm 2 [4/0] [____]\n\n"
        b"md125 : inactive sdc[1](S)\n      3201 blocks super external:imsm\n\nunused devices: <none>\n"
    )
    below = text.replace(b"raid5 super", b"raid5 sdd[0](F)\n      super")
    assert mdadm.mdstat(below)[1] == mdadm.mdstat(text)[1]._replace(failed=1)
    first, broken, last = mdadm.mdstat(text)
    assert (broken.device, broken.active, broken.required, broken.blocks, broken.synced) == ("md126", 0, 4, None, None)
    assert [(one.device, one.state, one.blocks, one.spare) for one in (first, last)] == [
        ("md127", "inactive", 6402, 2),
        ("md125", "inactive", 3201, 1),
    ]


def test_an_array_that_is_reshaped_has_as_many_disks_as_it_will_have(
    tree: MachineTree, make_config: ConfigFactory
) -> None:
    tree.write(tree.sysfs / "block/md6/md/raid_disks", "6 (5)\n")
    tree.write(tree.sysfs / "block/md6/md/degraded", "1\n")
    found = figures(NodeProbe(make_config(*tree.settings)).read({"mdadm"}))
    assert found['node_md_raid_disks{device="md6"}'] == 6
    assert found['node_md_degraded{device="md6"}'] == 1
