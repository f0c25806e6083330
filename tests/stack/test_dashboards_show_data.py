"""Every query of every panel finds data, after a real scenario, in a real store with the stack's rules and alerts."""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import free_port
from tests.stack.public_dashboards import CADVISOR_EXPORTER, DOCKER_MONITORING, NODE_EXPORTER_FULL
from tests.support.daemon import DaemonProcess, knows_idle, running_daemon
from tests.support.docker_engine import Engine, docker_engine
from tests.support.node_exporter import RealNodeExporter
from tests.support.prometheus import serve_metrics
from tests.support.stack import COMPOSE, Store, alerting, eventually, running, victoria_metrics
from tests.support.streams import Publisher
from wattview.exposition import render
from wattview.model import Gpu, GpusReading
from wattview.probes.gpu.families import families as gpu_families

__all__ = ["docker_engine"]

pytestmark = pytest.mark.slow

SCENARIO = {"name": "a small stream", "streams": 1, "resolution": "320x180", "bitrate": "300k", "duration": 10,
            "warmup": 2, "cooldown": 1, "preset": "ultrafast"}  # fmt: skip


class Query(NamedTuple):
    page: str
    panel: str
    expression: str
    instant: bool

    def filled_in(self, span: str) -> str:
        """As Grafana sends it with every variable on "All"."""
        text = self.expression.replace("$__range", span).replace("$__rate_interval", "20s")
        return re.sub(r"\$\w+", ".*", text)


def queries() -> list[Query]:
    boards = [json.loads(path.read_text()) for path in sorted((COMPOSE / "grafana/dashboards").glob("*.json"))]
    return [
        Query(board["title"], panel["title"], target["expr"], target["instant"])
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets") or []
    ]


def variables() -> list[tuple[str, str]]:
    """Each variable's query, as the (series, label) that Grafana asks the store for."""
    found = []
    for path in sorted((COMPOSE / "grafana/dashboards").glob("*.json")):
        for variable in json.loads(path.read_text())["templating"]["list"]:
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
            assert match is not None, variable["query"]
            found.append((match[1].replace("$host", ".*"), match[2]))
    return sorted(set(found))


class Filled(NamedTuple):
    store: Store
    alertmanager: str
    began: float
    daemon: DaemonProcess

    def numbers(self, query: Query) -> list[float]:
        text = query.filled_in(f"{math.ceil(time.time() - self.began)}s")
        if query.instant:
            return [float(one["value"][1]) for one in self.store.query(text)]
        series = self.store.range(text, self.began, time.time())
        return [float(value) for one in series for _, value in one["values"]]


@contextmanager
def a_gpu_exporter() -> Iterator[str]:
    """A machine with a GPU: what our own exporter makes of a reading; gives its address."""
    gpu = Gpu(index=0, uuid="GPU-1", name="Test GPU", pci_bus_id="0000:01:00.0", driver_version="1", power_watts=70.0)
    text = render(gpu_families(GpusReading(time=0.0, monotonic=0.0, gpus=(gpu,), hostname="h"))).decode()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = serve_metrics(lambda: text)
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run_a_scenario(daemon: DaemonProcess, **changes: Any) -> str:
    """Its final state."""
    request = {"scenarios": [{**SCENARIO, **changes}], "baseline": 0 if changes else 12}
    made = daemon.api.post("/api/v1/runs", json=request)
    assert made.status_code == 201, made.text

    def ended() -> str:
        state = daemon.api.get(f"/api/v1/runs/{made.json()['id']}").json()["state"]
        return "" if state == "running" else str(state)

    return eventually(ended, "the run ends", 90)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, docker_engine: Engine) -> Iterator[Filled]:
    directory = tmp_path_factory.mktemp("stack")
    sysfs, health = directory / "sys", free_port()
    docker_engine.client.create_network("wv-dash", driver="bridge")
    container = docker_engine.run("transcoder", "sh", "-c", "while :; do sleep 0.2; done", network="wv-dash")
    settings = (
        f"paths.sysfs={sysfs}", f"docker.host={docker_engine.host}", f"endpoints.health.port={health}",
        "streams.managed=always", "cost.carbon_g_per_kwh=400", "cost.budget_per_hour=100",
        "scenarios.quality_seconds=2",
    )  # fmt: skip
    with running(directory, sys.executable, "-m", "tests.support.powercap", str(sysfs), "--watts-from-cpu",
                 env={"PYTHONPATH": ":".join(sys.path)}), a_gpu_exporter() as gpu:  # fmt: skip
        eventually(lambda: (sysfs / "class/powercap/intel-rapl:0").exists(), "the simulated RAPL")
        knows_idle(directory / "state", 12.0 * 1.15)  # the simulated package and its DRAM
        targets = f'- targets: ["{gpu}"]\n  labels: {{job: dcgm-exporter, host: gpu-host}}\n'
        with (
            running_daemon(directory, *settings) as daemon,
            victoria_metrics(directory, health, targets) as store,
            alerting(directory, store) as alertmanager,
        ):
            began = time.time()
            assert run_a_scenario(daemon) == "done"
            eventually(lambda: store.query("cost_total_load_aware and on (scenario) quality_vmaf"), "results", 30)
            with Publisher(f"{daemon.snapshot().rtmp_url}/news"):
                eventually(lambda: store.query("host:power_watts_per_stream"), "a live stream", 30)
                yield Filled(store, alertmanager, began, daemon)
    docker_engine.remove(container)
    docker_engine.client.remove_network("wv-dash")


@pytest.mark.timeout(300)
def test_every_query_of_every_panel_finds_data(filled: Filled) -> None:
    empty = [query for query in queries() if not filled.numbers(query)]
    # A recording rule may have one more evaluation to go.
    time_left = time.monotonic() + 15
    while empty and time.monotonic() < time_left:
        time.sleep(1)
        empty = [query for query in empty if not filled.numbers(query)]
    assert not empty, "\n".join(f"{query.page} / {query.panel}: {query.filled_in('1m')}" for query in empty)
    for query in queries():
        assert all(map(math.isfinite, filled.numbers(query))), query


@pytest.mark.parametrize(("series", "label"), variables())
def test_every_variable_has_values(filled: Filled, series: str, label: str) -> None:
    def values() -> set[str]:
        return {one["metric"][label] for one in filled.store.query(series)} - {""}

    # VictoriaMetrics finds a series that is new by its labels some seconds later than those that it had.
    assert eventually(values, f"values of {label}", 15)


def test_the_rules_say_what_the_daemon_says(filled: Filled) -> None:
    """One number in many places: the store's power and cost are those of the daemon's own answer."""
    snapshot = filled.daemon.snapshot()
    assert snapshot.power is not None
    assert snapshot.power.host_joules_total is not None
    span = time.time() - filled.began
    measured = filled.store.query(f"avg_over_time(host:power_watts[{span:.0f}s])")
    joules = filled.store.value(f"increase(wattview_host_energy_joules_total[{span:.0f}s])")
    assert float(measured[0]["value"][1]) == pytest.approx(joules / span, rel=0.15)
    # The rules are evaluated one after another, and the power goes on meanwhile: their means agree.
    cost, watts = (
        filled.store.value(f"avg_over_time({rule}[{span:.0f}s])")
        for rule in ("host:energy_cost_per_hour", "host:power_watts")
    )
    assert cost / watts * 1000 == pytest.approx(0.12, rel=0.05)


def test_node_exporter_full_finds_what_it_finds_with_the_real_one(filled: Filled) -> None:
    ours = names(filled.store, "node-exporter")
    with RealNodeExporter() as real:
        theirs = {name for name, _ in real.scrape().values}
    asked = set(NODE_EXPORTER_FULL)
    assert not (asked & theirs) - ours
    assert len(asked & ours) > 150


def test_the_cadvisor_dashboard_finds_its_metrics(filled: Filled) -> None:
    missing = set(CADVISOR_EXPORTER) - names(filled.store, "cadvisor")
    # This machine's block devices may count nothing for a container that has not touched them.
    assert missing <= {"container_fs_reads_bytes_total", "container_fs_writes_bytes_total"}
    labels = filled.store.query('container_memory_rss{name="transcoder"}')[0]["metric"]
    assert labels["image"]


@pytest.mark.parametrize("expression", DOCKER_MONITORING)
def test_docker_monitoring_finds_the_containers(filled: Filled, expression: str) -> None:
    found = eventually(lambda: filled.store.query(expression), expression, 20)
    if expression.startswith("irate"):
        assert "transcoder" in {one["metric"]["name"] for one in found}


def names(store: Store, job: str) -> set[str]:
    return {one["metric"]["__name__"] for one in store.query(f'{{job="{job}"}}')}


def test_a_run_that_fails_becomes_an_alert(filled: Filled) -> None:
    media = filled.daemon.state / "media"
    media.mkdir(exist_ok=True)
    (media / "noise.mp4").write_bytes(bytes(range(256)) * 64)
    assert run_a_scenario(filled.daemon, name="noise", source="noise.mp4", quality=False) == "failed"

    def fired() -> list[dict[str, str]]:
        found = httpx.get(f"{filled.alertmanager}/api/v2/alerts", trust_env=False).json()
        return [one["labels"] for one in found if one["labels"]["alertname"] == "RunFailed"]

    labels = eventually(fired, "Alertmanager hears of the failed run", 30)[0]
    host = filled.daemon.snapshot().host
    assert host is not None
    assert (labels["state"], labels["host"], labels["severity"]) == ("failed", host.hostname, "warning")
