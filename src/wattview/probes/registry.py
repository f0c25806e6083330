"""The one list of all probes. To add a probe is to add one file, and one entry here.

An entry says how a probe is made and which exporters show it, each through a pure function from Reading to families.
``keep`` names the families that the embedded history keeps: what the analyses and the dashboard's graphs need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes import Probe, containers, containers_metrics, gpu, host, node, power, rtmp_server


class View(NamedTuple):
    """How one exporter (by its key in the settings) shows a Reading."""

    exporter: str
    families: Callable[[Any], list[Family]]
    keep: frozenset[str] = frozenset()


class ProbeEntry(NamedTuple):
    """One probe: its name, how it is made from the settings, and its views."""

    name: str
    make: Callable[[Config], Probe[Any]]
    views: tuple[View, ...]

    def view(self, exporter: str) -> View | None:
        return next((view for view in self.views if view.exporter == exporter), None)


REGISTRY: tuple[ProbeEntry, ...] = (
    ProbeEntry(
        "power",
        power.PowerProbe,
        (
            View(
                "rapl",
                power.families,
                frozenset({"wattview_host_power_watts", "wattview_host_energy_joules_total", "rapl_power_watts"}),
            ),
        ),
    ),
    ProbeEntry(
        "host",
        host.HostProbe,
        (View("rapl", host.families, frozenset({"wattview_host_cpu_busy_seconds_total", "wattview_host_cpus"})),),
    ),
    ProbeEntry(
        "containers",
        containers.ContainersProbe,
        (
            View(
                "docker",
                containers_metrics.docker_families,
                frozenset(
                    {"docker_container_cpu_percent", "docker_container_memory_percent", "docker_engine_cpu_percent"}
                ),
            ),
            View("containers", containers_metrics.cadvisor_families),
        ),
    ),
    ProbeEntry("node", node.NodeProbe, (View("node", node.families),)),
    ProbeEntry(
        "streams",
        rtmp_server.RtmpServerProbe,
        (
            View(
                "nginx_rtmp",
                rtmp_server.families,
                frozenset(
                    {
                        "nginx_rtmp_streams",
                        "nginx_rtmp_bandwidth_in_bytes",
                        "nginx_rtmp_bandwidth_out_bytes",
                        "nginx_rtmp_stream_bandwidth_in_bytes",
                        "nginx_rtmp_stream_bandwidth_out_bytes",
                    }
                ),
            ),
        ),
    ),
    ProbeEntry(
        "gpu",
        gpu.GpuProbe,
        (
            View(
                "gpu",
                gpu.families,
                frozenset({"DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_GPU_UTIL"}),
            ),
            View(
                "rapl",
                gpu.host_families,
                frozenset({"wattview_host_power_watts", "wattview_host_energy_joules_total"}),
            ),
        ),
    ),
)
