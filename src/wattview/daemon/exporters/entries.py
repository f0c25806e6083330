"""The list of the ten exporters. To add one, add its port to the settings (``config.tables.Endpoints``), and one entry
here.

An entry defines its families, what is expected of it (``expected.py``), and why an expected metric may legitimately be
missing. At least the metrics that other programs rely on are expected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from wattview.daemon.exporters import gaps
from wattview.daemon.exporters.expected import Expected
from wattview.daemon.exporters.scrape import (
    Scrape,
    analysed_families,
    analysed_statuses,
    health_families,
    power_families,
    source_families,
    source_statuses,
)
from wattview.exposition import Family
from wattview.model import ProbeStatus
from wattview.model.quantities import exported


class Exporter(NamedTuple):
    """One exporter: its key in the settings, its public name, what it shows, and what is expected of it. ``statuses``
    are the states of its sources; ``gaps`` explains missing expected metrics."""

    key: str
    name: str
    shows: str
    expected: Expected
    families: Callable[[Scrape], Awaitable[list[Family]]] = source_families
    statuses: Callable[[Scrape], Awaitable[list[ProbeStatus]]] = source_statuses
    gaps: Callable[[Scrape], Awaitable[dict[str, str]]] = gaps.no_gaps


PROBES = "wattview_probe_success wattview_probe_duration_seconds"


def _expected(always: str, needs: Mapping[str, str], wherever: Mapping[str, str] | None = None) -> Expected:
    """By the names of the metrics, with spaces between."""
    of_others = {metric: tuple(names.split()) for metric, names in (wherever or {}).items()}
    return Expected(tuple(always.split()), {source: tuple(names.split()) for source, names in needs.items()}, of_others)


def _of_results(key: str, shows: str, *always: str, history: bool) -> Exporter:
    """The catalogue's figures on this exporter; ``always`` are its metrics without a results file. ``history``: figures
    come from there."""
    needs = {"results": tuple(one.metric for one in exported(key))} | ({"history": ()} if history else {})
    expected = Expected((*always, "wattview_probe_success"), needs)
    return Exporter(key, f"{key}-exporter", shows, expected, analysed_families, analysed_statuses, gaps.result_gaps)


EXPORTERS: tuple[Exporter, ...] = (
    Exporter(
        "rapl",
        "rapl-exporter",
        "power and energy of this machine, its packages, containers and streams",
        _expected(
            f"wattview_build_info wattview_runs_total wattview_price_energy_per_kwh {PROBES}",
            {
                "power": "rapl_power_watts rapl_energy_joules_total wattview_host_power_watts "
                "wattview_host_energy_joules_total",
                "host": "wattview_host_cpu_busy_seconds_total wattview_host_cpus wattview_host_memory_total_bytes",
                "gpu": "",
            },
        ),
        power_families,
        gaps=gaps.power_gaps,
    ),
    Exporter(
        "docker",
        "docker-stats-exporter",
        "CPU and memory of the container engine and its containers",
        _expected(
            PROBES,
            {"containers": "docker_engine_cpu_percent docker_engine_memory_percent docker_engine_info"},
            {"docker_container_state": "docker_container_cpu_percent docker_container_memory_percent"},
        ),
        gaps=gaps.engine_gaps,
    ),
    Exporter(
        "node",
        "node-exporter",
        "this machine, by node_exporter's names",
        _expected(
            "wattview_probe_success",
            {
                "node": "node_scrape_collector_success node_scrape_collector_duration_seconds "
                + " ".join(metric for metrics in gaps.COLLECTED.values() for metric in metrics)
            },
        ),
        gaps=gaps.node_gaps,
    ),
    Exporter(
        "containers",
        "cadvisor",
        "containers, by cAdvisor's names",
        _expected(
            PROBES,
            {"containers": "cadvisor_version_info machine_cpu_cores machine_memory_bytes"},
            {
                "container_last_seen": "container_cpu_usage_seconds_total container_memory_usage_bytes "
                "container_memory_working_set_bytes"
            },
        ),
    ),
    Exporter(
        "nginx_rtmp",
        "nginx-rtmp-exporter",
        "the RTMP server and its live streams",
        _expected(
            PROBES,
            {
                "streams": "nginx_rtmp_connections nginx_rtmp_streams nginx_rtmp_bandwidth_in_bytes "
                "nginx_rtmp_bandwidth_out_bytes"
            },
            {"nginx_rtmp_stream_info": "nginx_rtmp_stream_bandwidth_in_bytes nginx_rtmp_stream_bandwidth_out_bytes"},
        ),
    ),
    _of_results("results", "energy, power and CPU of the scenarios of the latest results file", history=True),
    _of_results("qoe", "quality of the scenarios of the latest results file", history=False),
    _of_results("cost", "cost of the scenarios of the latest results file", "cost_exporter_alive", history=True),
    Exporter(
        "gpu",
        "dcgm-exporter",
        "NVIDIA GPUs, by dcgm-exporter's names",
        _expected(PROBES, {"gpu": " ".join(gaps.GPU_METRICS)}),
        gaps=gaps.gpu_gaps,
    ),
    Exporter(
        "health",
        "exporter-health-checker",
        "whether each of the other exporters answers, and with what",
        _expected(
            "exporter_health_status exporter_reachable exporter_metric_count exporter_sample_count exporter_has_data "
            "process_cpu_seconds_total process_resident_memory_bytes python_info",
            {},
        ),
        health_families,
    ),
)
