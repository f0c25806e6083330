"""Names that dashboards and alerts rely on, as the programs that WattView stands in for have them at their latest.

Tables of names, written down from: node_exporter's README and release notes up to 1.12.0 (its collectors that Linux has
by default, and what came after Debian's 1.5.0, beside which ``tests/probes/node`` holds the others); dcgm-exporter's
etc/default-counters.csv of 4.x; cAdvisor's are in ``test_containers_metrics`` and ``test_root_cgroup``.
"""

from __future__ import annotations

import pytest

from tests.conftest import ConfigFactory
from tests.support.fake_nvml import FakeGpu, FakeNvml
from tests.support.machine_tree import MachineTree
from wattview.config import Config
from wattview.config.node import NODE_COLLECTOR_LIST
from wattview.probes import node
from wattview.probes.gpu.families import families as gpu_families
from wattview.probes.gpu.probe import GpuProbe

NODE_DEFAULT_COLLECTORS = (
    "arp bcache bcachefs bonding btrfs conntrack cpu cpufreq diskstats dmi edac entropy fibrechannel filefd "
    "filesystem hwmon infiniband ipvs kernel_hung loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os "
    "powersupplyclass pressure rapl schedstat selinux sockstat softnet stat tapestats textfile thermal_zone time "
    "timex udp_queues uname vmstat watchdog xfs zfs"
)

NODE_OPTIONAL_COLLECTORS = (
    "buddyinfo cgroups cpu_vulnerabilities dmmultipath drm ethtool interrupts ksmd lnstat logind meminfo_numa "
    "mountstats network_route pcidevice perf processes qdisc slabinfo softirqs swap sysctl systemd tcpstat wifi xfrm "
    "zoneinfo"
)

NODE_AFTER_1_5_0 = (
    "node_cpu_online node_filesystem_mount_info node_kernel_hung_tasks_total node_nvme_namespace_info "
    "node_nvme_namespace_capacity_bytes node_nvme_namespace_logical_block_size_bytes "
    "node_nvme_namespace_size_bytes node_nvme_namespace_used_bytes node_pressure_irq_stalled_seconds_total "
    "node_softnet_backlog_len node_softnet_cpu_collision_total node_softnet_flow_limit_count_total "
    "node_softnet_received_rps_total node_time_clocksource_available_info node_time_clocksource_current_info "
    "node_watchdog_bootstatus node_watchdog_fw_version node_watchdog_info node_watchdog_nowayout "
    "node_watchdog_timeleft_seconds node_watchdog_timeout_seconds"
)

LATER_FILES = {
    "proc/sys/kernel/hung_task_detect_count": "0\n",
    "proc/pressure/irq": "full avg10=0.00 avg60=0.00 avg300=0.00 total=15\n",
    "sys/class/watchdog/watchdog0/bootstatus": "0\n",
    "sys/class/watchdog/watchdog0/fw_version": "0\n",
    "sys/class/watchdog/watchdog0/identity": "SBSA Generic Watchdog\n",
    "sys/class/watchdog/watchdog0/nowayout": "0\n",
    "sys/class/watchdog/watchdog0/timeleft": "300\n",
    "sys/class/watchdog/watchdog0/timeout": "10\n",
}
"""What a machine needs to have beside ``MachineTree`` for these: files that 1.5.0 does not read."""

DCGM_DEFAULTS = {
    "DCGM_FI_DEV_SM_CLOCK": {"gauge"},
    "DCGM_FI_DEV_MEM_CLOCK": {"gauge"},
    "DCGM_FI_DEV_MEMORY_TEMP": {"gauge"},
    "DCGM_FI_DEV_GPU_TEMP": {"gauge"},
    "DCGM_FI_DEV_POWER_USAGE": {"gauge"},
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": {"counter"},
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": {"counter"},
    "DCGM_FI_DEV_GPU_UTIL": {"gauge"},
    "DCGM_FI_DEV_MEM_COPY_UTIL": {"gauge"},
    "DCGM_FI_DEV_ENC_UTIL": {"gauge"},
    "DCGM_FI_DEV_DEC_UTIL": {"gauge"},
    "DCGM_FI_DEV_XID_ERRORS": {"gauge"},
    "DCGM_FI_DEV_FB_FREE": {"gauge"},
    "DCGM_FI_DEV_FB_USED": {"gauge"},
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": {"counter", "gauge"},  # it was the one, and became the other
    "DCGM_FI_DEV_VGPU_LICENSE_STATUS": {"gauge"},
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": {"counter"},
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": {"counter"},
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": {"gauge"},
}

NOT_OF_THIS_GPU = {"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "DCGM_FI_DEV_VGPU_LICENSE_STATUS", "DCGM_FI_DEV_ENC_UTIL"}
"""What the fake's GPU, which answers as a real one did, does not have: it has no encoder, for one."""


def test_the_collectors_of_node_exporter_are_there_and_on_or_off_as_in_it() -> None:
    assert {entry.name for entry in NODE_COLLECTOR_LIST if entry.default} == set(NODE_DEFAULT_COLLECTORS.split())
    assert {entry.name for entry in NODE_COLLECTOR_LIST if not entry.default} >= set(NODE_OPTIONAL_COLLECTORS.split())


def test_what_came_to_node_exporter_after_debians_is_there(
    tmp_path_factory: pytest.TempPathFactory, make_config: ConfigFactory
) -> None:
    tree = MachineTree(tmp_path_factory.mktemp("machine"))
    for path, text in LATER_FILES.items():
        tree.write(tree.root / path, text)
    given = {family.name for family in node.families(node.NodeProbe(make_config(*tree.settings)).read())}
    assert set(NODE_AFTER_1_5_0.split()) - given == set()


def test_dcgm_exporters_default_counters_are_there_with_their_types() -> None:
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu())).read()
    given = {family.name: family.type for family in gpu_families(reading) if family.samples}
    wanted = {name: kinds for name, kinds in DCGM_DEFAULTS.items() if name not in NOT_OF_THIS_GPU}
    assert {name for name, kinds in wanted.items() if given.get(name) not in kinds} == set()
