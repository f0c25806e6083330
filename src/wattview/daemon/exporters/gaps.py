"""Reasons for missing expected metrics although their sources work, by metric.

Each function takes a scrape and uses the latest readings; only results files are read.
"""

from __future__ import annotations

from collections.abc import Mapping

from wattview.daemon.exporters.scrape import Scrape
from wattview.model import ContainersReading, Gpu, GpusReading, PowerReading, Reading, RunResult
from wattview.model.power_sources import power_source
from wattview.model.quantities import Quantity, exported
from wattview.probes.node import enabled_names

COLLECTED: Mapping[str, tuple[str, ...]] = {
    "cpu": ("node_cpu_seconds_total",),
    "filesystem": ("node_filesystem_size_bytes", "node_filesystem_avail_bytes"),
    "loadavg": ("node_load1", "node_load5", "node_load15"),
    "meminfo": ("node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"),
    "netdev": ("node_network_receive_bytes_total", "node_network_transmit_bytes_total"),
    "stat": ("node_boot_time_seconds", "node_context_switches_total"),
    "time": ("node_time_seconds",),
    "uname": ("node_uname_info",),
}
"""What not every Linux has, by node_exporter's collector."""

_GPU_FIELDS = {
    "DCGM_FI_DEV_GPU_UTIL": "utilization_percent",
    "DCGM_FI_DEV_POWER_USAGE": "power_watts",
    "DCGM_FI_DEV_GPU_TEMP": "temperature_celsius",
    "DCGM_FI_DEV_FB_USED": "memory_used_bytes",
}
GPU_METRICS = tuple(_GPU_FIELDS)


async def no_gaps(scrape: Scrape) -> dict[str, str]:
    return {}


async def power_gaps(scrape: Scrape) -> dict[str, str]:
    """RAPL zones, if power comes from another source."""
    reading = _latest(scrape, "power")
    if not isinstance(reading, PowerReading) or reading.zones:
        return {}
    entry = power_source(reading.source)
    why = f"power comes from {entry.found if entry is not None else reading.source}"
    return dict.fromkeys(("rapl_power_watts", "rapl_energy_joules_total"), why)


async def engine_gaps(scrape: Scrape) -> dict[str, str]:
    """The engine's own resource use, if its processes are not visible."""
    reading = _latest(scrape, "containers")
    if not isinstance(reading, ContainersReading) or reading.engine.memory_bytes is not None:
        return {}
    why = "the engine's own processes are not on this machine, or cannot be seen from here"
    return dict.fromkeys(("docker_engine_cpu_percent", "docker_engine_memory_percent"), why)


async def node_gaps(scrape: Scrape) -> dict[str, str]:
    """Metrics of collectors that the settings disable."""
    enabled = enabled_names(scrape.shown.config)
    return {
        metric: f"collector {collector} is switched off"
        for collector, metrics in COLLECTED.items()
        if collector not in enabled
        for metric in metrics
    }


async def gpu_gaps(scrape: Scrape) -> dict[str, str]:
    """Metrics that no NVIDIA GPU of this machine reports."""
    reading = _latest(scrape, "gpu")
    if not isinstance(reading, GpusReading):
        return {}
    cards = [gpu for gpu in reading.gpus if gpu.vendor == "nvidia"]
    why = "no NVIDIA GPU of this machine reports it" if cards else "this machine has no NVIDIA GPU"
    return {metric: why for metric, field in _GPU_FIELDS.items() if not any(_tells(gpu, field) for gpu in cards)}


async def result_gaps(scrape: Scrape) -> dict[str, str]:
    """Figures that no scenario of the newest results file has. A store without any WattView data is not an accepted
    reason: it is the wrong store, or does not scrape us."""
    latest = await scrape.shown.results.latest()
    store = scrape.shown.sampler.sources.get("history")
    if latest is None or latest.error:
        return {}
    if store is not None and store.status.state == "degraded" and scrape.key != "qoe":
        return {}
    return {
        quantity.metric: _why(quantity, latest)
        for quantity in exported(scrape.key)
        if all(quantity.of(one) is None for one in latest.scenarios)
    }


def _why(quantity: Quantity, latest: RunResult) -> str:
    for one in latest.scenarios:
        reason = one.reasons.get(quantity.path) or one.inapplicable.get(quantity.path)
        if reason:
            return reason
    return f"no scenario of {latest.id} has it"


def _latest(scrape: Scrape, source: str) -> Reading | None:
    return scrape.shown.sampler.sources[source].latest


def _tells(gpu: Gpu, field: str) -> bool:
    return getattr(gpu, field) is not None
