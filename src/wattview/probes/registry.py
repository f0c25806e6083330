"""The list of all probes. To add a probe, add one file, and one entry here.

An entry defines how a probe is made and which exporters show it, each through a pure function from Reading to families.
``keep`` names the families that the embedded history records at every tick: those for the analyses, the graphs and
snapshots of the past. ``facts`` are descriptive and seldom change (a start time, a limit, a codec): recorded on change,
and once a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes import Probe, host, node, store
from wattview.probes.containers import probe as containers
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.docker_stats_families import docker_families
from wattview.probes.gpu import families as gpu_families
from wattview.probes.gpu import probe as gpu
from wattview.probes.meters import wall
from wattview.probes.power import probe as power
from wattview.probes.streams import families as stream_families
from wattview.probes.streams import probe as rtmp_server
from wattview.probes.workloads import families as workload_families
from wattview.probes.workloads import probe as workloads


class ExporterView(NamedTuple):
    """How one exporter (by its key in the settings) shows a Reading. ``detailed``: it shows details, which the probe's
    ``read`` leaves out if told to."""

    exporter: str
    families: Callable[[Any], list[Family]]
    keep: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    detailed: bool = False


def _always(config: Config) -> bool:
    return True


class ProbeEntry(NamedTuple):
    """One probe: its name, its constructor, its views, and whether the settings enable it."""

    name: str
    make: Callable[[Config], Probe[Any]]
    views: tuple[ExporterView, ...]
    used: Callable[[Config], bool] = _always

    def view(self, exporter: str) -> ExporterView | None:
        return next((view for view in self.views if view.exporter == exporter), None)


REGISTRY: tuple[ProbeEntry, ...] = (
    ProbeEntry(
        "power",
        power.PowerProbe,
        (
            ExporterView(
                "rapl",
                power.families,
                frozenset({"wattview_host_power_watts", "wattview_host_energy_joules_total", "rapl_power_watts"}),
                frozenset({"wattview_zone_counted"}),
            ),
        ),
    ),
    ProbeEntry(
        "wall",
        wall.WallProbe,
        (
            ExporterView(
                "rapl",
                wall.families,
                frozenset(
                    {
                        "wattview_wall_power_watts",
                        "wattview_wall_power_error_watts",
                        "wattview_wall_energy_joules_total",
                    }
                ),
            ),
        ),
        wall.used,
    ),
    ProbeEntry(
        "host",
        host.HostProbe,
        (
            ExporterView(
                "rapl",
                host.families,
                frozenset(
                    {
                        "wattview_host_cpu_busy_seconds_total",
                        "wattview_host_cpus",
                        "wattview_host_cpu_percent",
                        "wattview_host_memory_available_bytes",
                        "wattview_host_network_receive_bytes_total",
                        "wattview_host_network_transmit_bytes_total",
                        "wattview_host_load1",
                        "wattview_host_load5",
                        "wattview_host_load15",
                    }
                ),
                frozenset({"wattview_host_memory_total_bytes", "wattview_host_boot_time_seconds"}),
            ),
        ),
    ),
    ProbeEntry(
        "containers",
        containers.ContainersProbe,
        (
            ExporterView(
                "docker",
                docker_families,
                frozenset(
                    {
                        "docker_container_cpu_percent",
                        "docker_container_memory_percent",
                        "docker_container_memory_bytes",
                        "docker_container_network_receive_bytes_per_second",
                        "docker_container_network_transmit_bytes_per_second",
                        "docker_container_block_read_bytes_per_second",
                        "docker_container_block_write_bytes_per_second",
                        "docker_container_processes",
                        "docker_engine_cpu_percent",
                        "docker_engine_memory_percent",
                    }
                ),
                frozenset(
                    {
                        "docker_container_info",
                        "docker_container_state",
                        "docker_container_start_time_seconds",
                        "docker_container_restarts_total",
                        "docker_container_memory_limit_bytes",
                        "docker_engine_info",
                    }
                ),
            ),
            ExporterView("containers", cadvisor_families, detailed=True),
        ),
    ),
    ProbeEntry(
        "workloads",
        workloads.WorkloadsProbe,
        (
            ExporterView(
                "rapl",
                workload_families.families,
                frozenset({"wattview_workload_cpu_seconds_total"}),
                frozenset({"wattview_workload_info"}),
            ),
        ),
        lambda config: config.workloads.enabled,
    ),
    ProbeEntry("node", node.NodeProbe, (ExporterView("node", node.families),)),
    ProbeEntry(
        "streams",
        rtmp_server.RtmpServerProbe,
        (
            ExporterView(
                "nginx_rtmp",
                stream_families.families,
                frozenset(
                    {
                        "nginx_rtmp_streams",
                        "nginx_rtmp_bandwidth_in_bytes",
                        "nginx_rtmp_bandwidth_out_bytes",
                        "nginx_rtmp_stream_bandwidth_in_bytes",
                        "nginx_rtmp_stream_bandwidth_out_bytes",
                        "nginx_rtmp_stream_players",
                        "nginx_rtmp_stream_dropped_frames",
                        "nginx_rtmp_stream_avsync_seconds",
                        "nginx_rtmp_stream_uptime_seconds_total",
                        "nginx_rtmp_connections",
                    }
                ),
                frozenset(
                    {
                        "nginx_rtmp_stream_info",
                        "nginx_rtmp_stream_active",
                        "nginx_rtmp_stream_publishers",
                        "nginx_rtmp_stream_frames_per_second",
                    }
                ),
            ),
        ),
    ),
    ProbeEntry(
        "gpu",
        gpu.GpuProbe,
        (
            ExporterView(
                "gpu",
                gpu_families.families,
                frozenset(
                    {
                        "DCGM_FI_DEV_POWER_USAGE",
                        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
                        "DCGM_FI_DEV_GPU_UTIL",
                        "DCGM_FI_DEV_ENC_UTIL",
                        "DCGM_FI_DEV_DEC_UTIL",
                        "DCGM_FI_DEV_MEM_CLOCK",
                        "wattview_gpu_power_watts",
                        "wattview_gpu_utilization_percent",
                        "wattview_gpu_memory_used_bytes",
                        "wattview_gpu_temperature_celsius",
                        "wattview_gpu_clock_hertz",
                        "wattview_gpu_encoder_sessions",
                        "wattview_gpu_encoder_frames_per_second",
                    }
                ),
                frozenset({"wattview_gpu_power_limit_watts", "wattview_gpu_memory_total_bytes"}),
            ),
            ExporterView(
                "rapl",
                gpu_families.host_families,
                frozenset({"wattview_host_power_watts", "wattview_host_energy_joules_total"}),
            ),
        ),
    ),
    # No exporter needs it: the daemon checks it periodically, and queries go to the store itself.
    ProbeEntry("history", store.StoreProbe, (), store.used),
)
