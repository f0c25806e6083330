"""What a real daemon answers, written once more by prometheus_client: the same samples, types and help; and what its
exporters say of the daemon's own process, against the kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.machine_tree import MachineTree
from wattview.daemon.exporters.endpoints import EXPORTERS
from wattview.exposition import OPENMETRICS, TEXT
from wattview.model import ExporterHealth

OF_A_DAEMON = [
    "process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes",
    "process_start_time_seconds", "process_virtual_memory_bytes", "python_gc_collections_total",
    "python_gc_objects_collected_total", "python_gc_objects_uncollectable_total", "python_info",
]  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("renderer")
    tree = MachineTree(directory / "machine")
    text = r'odd{path="a\\b",said="\"no\"",lines="one\ntwo",name="Zürich ☃"} 1' + "\n"
    tree.write(directory / "texts" / "odd.prom", text)
    settings = [*tree.settings, f"node.textfile_directory={directory}/texts", "power.sources=estimated"]
    with running_daemon(directory, *settings) as running:
        yield running


@pytest.fixture(scope="module")
def exporters(daemon: DaemonProcess) -> dict[str, ExporterHealth]:
    return daemon.exporters()


class Parsed(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> list[Metric]:
        return self.metrics


def lines(text: str) -> list[object]:
    """Every line, in order: a comment as it is, a sample as its name, its labels as they are written but sorted, as
    prometheus_client sorts them, and its value."""
    found: list[object] = []
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        name, _, labels = series.partition("{")
        pairs = sorted(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', labels))
        found.append(line.rstrip() if line.startswith("#") else (name, pairs, float(value)))
    return found


def written_by_prometheus_client(metrics: list[Metric], openmetrics: bool) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Parsed(metrics))
    return (generate_openmetrics if openmetrics else generate_latest)(registry).decode()


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
@pytest.mark.parametrize("name", [exporter.name for exporter in EXPORTERS])
def test_prometheus_client_writes_every_exporter_as_we_do(
    exporters: dict[str, ExporterHealth], name: str, openmetrics: bool
) -> None:
    accept = OPENMETRICS if openmetrics else TEXT
    ours = httpx.get(f"{exporters[name].url}/metrics", headers={"Accept": accept}, trust_env=False, timeout=30).text
    metrics = list((parse_openmetrics if openmetrics else parse_text)(ours))
    assert metrics
    assert lines(ours) == lines(written_by_prometheus_client(metrics, openmetrics))


def test_a_name_with_quotes_and_lines_goes_through_unchanged(exporters: dict[str, ExporterHealth]) -> None:
    text = httpx.get(f"{exporters['node-exporter'].url}/metrics", trust_env=False, timeout=30).text
    (odd,) = (metric for metric in parse_text(text) if metric.name == "odd")
    assert odd.samples[0].labels == {"path": r"a\b", "said": '"no"', "lines": "one\ntwo", "name": "Zürich ☃"}


def test_the_daemons_own_process_is_on_9600_as_the_kernel_has_it(daemon: DaemonProcess) -> None:
    metrics = {metric.name: metric for metric in parse_text(daemon.metrics("exporter-health-checker"))}
    samples = {sample.name: sample.value for metric in metrics.values() for sample in metric.samples}
    assert set(OF_A_DAEMON) <= set(samples)
    folder = Path(f"/proc/{daemon.process.pid}")
    assert samples["process_open_fds"] == pytest.approx(len(os.listdir(folder / "fd")), abs=10)
    resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert samples["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.2)
    spent = [int(ticks) for ticks in (folder / "stat").read_text().rpartition(")")[2].split()[11:13]]
    assert 0 < samples["process_cpu_seconds_total"] < (sum(spent) + 0.5) / os.sysconf("SC_CLK_TCK")
    assert metrics["process_cpu_seconds"].type == "counter"
    assert metrics["python_info"].samples[0].labels["implementation"] == "CPython"
