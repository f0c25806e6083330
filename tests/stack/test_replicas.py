"""A pair of Prometheus that scrape the same daemons into one store: everything is as with one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from tests.support.prometheus import victoria_metrics
from tests.support.store import fleet
from wattview.daemon.history.prometheus import PrometheusHistory
from wattview.fleet import FleetStore, HostDetails, HostRow
from wattview.promql import Store

REMOTE = """
wattview_stream_server_power_watts{host="ingest",app="live",stream="far"} 0.5
wattview_stream_encoder_info{host="ingest",app="live",stream="far",match="remote"} 1
wattview_stream_server_power_watts{host="ingest",app="live",stream="lost"} 0.5
wattview_stream_encoder_info{host="ingest",app="live",stream="lost",match="remote"} 1
wattview_stream_power_watts{host="ingest",app="live",stream="near"} 7
wattview_stream_encoder_power_watts{host="ingest",app="live",stream="near"} 6
wattview_stream_server_power_watts{host="ingest",app="live",stream="near"} 1
wattview_stream_encoder_power_watts{host="studio",app="live",stream="far"} 11
wattview_stream_encoder_power_watts{host="other",app="live",stream="lost"} 9
wattview_stream_server_power_watts{host="other",app="live",stream="lost"} 1
"""
"""A studio's daemon watches the ingest's server; another host has a stream of an equal name on a server of its own."""

SERIES = {
    'up{job="rapl-exporter",instance="a:9500"': 1.0,
    'up{job="cadvisor",instance="a:8080"': 0.0,
    'wattview_machine_power_watts{source="rapl"': 45.0,
    'wattview_host_energy_joules_total{source="rapl"': 1000.0,
    'nginx_rtmp_streams{job="nginx-rtmp-exporter"': 2.0,
    'nginx_rtmp_stream_players{app="live",stream="one"': 3.0,
    'nginx_rtmp_stream_players{app="live",stream="two"': 4.0,
    'docker_container_cpu_percent{name="web"': 50.0,
    'docker_container_cpu_percent{name="db"': 10.0,
    'exporter_health_status{exporter="rapl-exporter"': 1.0,
    'exporter_health_status{exporter="cadvisor"': 0.0,
    'wattview_energy_cost_per_hour{currency="EUR"': 0.01,
    'wattview_compute_cost_per_hour{currency="EUR"': 0.5,
    'wattview_run_phase{scenario="one",phase="measuring"': 1.0,
    'wattview_stream_power_watts{app="live",stream="one"': 20.0,
    'wattview_container_power_watts{name="web"': 10.0,
}


def samples(now: float, *replicas: str) -> Iterator[str]:
    """The last half minute as each replica has seen it, at moments of its own."""
    for number, replica in enumerate(replicas or ("",)):
        label = f',{replica}="{number}"' if replica else ""
        for series, value in SERIES.items():
            for age in range(30, 0, -5):
                yield f'{series},host="a"{label}}} {value} {int((now - age - number) * 1000)}'


async def everything(
    directory: Path, now: float, *replicas: str
) -> tuple[list[HostRow], HostDetails, list[str], float]:
    async with victoria_metrics(directory, []) as url:
        async with httpx.AsyncClient(trust_env=False) as http:
            text = "\n".join(samples(now, *replicas))
            assert (await http.post(f"{url}/api/v1/import/prometheus", content=text)).status_code == 204
            await http.get(f"{url}/internal/force_flush")
        rows = [replace(row, seen_seconds=0.0) for row in await fleet(url)]
        store, history, raw = FleetStore(url), PrometheusHistory(url), Store(url)
        details = await store.details("a", now - 20, now - 10, 5)
        names = [one.name for one in await history.samples("wattview_host_energy_joules_total", now - 20, now)]
        [power] = await raw.instant("sum(max by (host) (wattview_machine_power_watts))", now - 5)
        for one in (store, history, raw):
            await one.close()
    return rows, details, names, power.points[0][1]


async def test_a_stream_gets_its_watts_from_its_encoders_host(tmp_path: Path) -> None:
    now = time.time()
    lines = [f"{line} {int((now - age) * 1000)}" for line in REMOTE.split("\n") if line for age in range(30, 0, -5)]
    async with victoria_metrics(tmp_path, []) as url:
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"{url}/api/v1/import/prometheus", content="\n".join(lines))).status_code == 204
            await http.get(f"{url}/internal/force_flush")
        store = FleetStore(url)
        details = await store.details("ingest", now - 20, now, 5)
        await store.close()
    assert {one.stream: one.power_watts for one in details.streams} == {"far": 11.5, "near": 7.0}


@pytest.mark.parametrize("label", ["prometheus_replica", "replica", "__replica__"])
async def test_two_replicas_of_a_host_count_as_one(tmp_path_factory: pytest.TempPathFactory, label: str) -> None:
    now = time.time()
    single = await everything(tmp_path_factory.mktemp("one"), now)
    [row] = single[0]
    assert (row.power_watts, row.players, row.containers, row.streams) == (45.0, 7, 2, 2)
    assert (row.exporters, row.exporters_healthy, row.targets, row.targets_up) == (2, 1, 2, 1)
    assert single[2] == ['wattview_host_energy_joules_total{host="a",source="rapl"}']
    assert await everything(tmp_path_factory.mktemp("pair"), now, label, label) == single
