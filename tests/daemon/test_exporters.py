"""The ten exporters of a real daemon, judged from outside: formats, absent sources, health, landing pages."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.support.daemon import DaemonProcess, running_daemon
from wattview.daemon.exporters.entries import EXPORTERS
from wattview.model import ExporterHealth

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"

OTHERS = [exporter.name for exporter in EXPORTERS if exporter.key != "health"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("exporters")
    with running_daemon(
        directory, f"docker.host=unix://{directory}/no-docker.sock", "streams.nginx_rtmp_url=http://127.0.0.1:9/stat"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def health(daemon: DaemonProcess) -> dict[str, ExporterHealth]:
    return daemon.exporters()


def test_all_ten_exporters_answer(health: dict[str, ExporterHealth]) -> None:
    assert list(health) == [*OTHERS, "exporter-health-checker"]
    assert [one.exporter for one in health.values() if not one.reachable] == []


def test_the_checker_reports_its_own_health_as_the_daemon_does(daemon: DaemonProcess) -> None:
    checker = daemon.exporters()["exporter-health-checker"]
    text = httpx.get(f"{checker.url}/metrics", trust_env=False, timeout=30).text
    assert (checker.healthy, checker.has_data) == (True, True)
    assert checker.metric_count == sum(line.startswith("# TYPE") for line in text.splitlines())
    assert {line for line in text.splitlines() if line.startswith("exporter_reachable")} == {
        f'exporter_reachable{{exporter="{name}"}} 1' for name in [*OTHERS, checker.exporter]
    }
    assert checker.sample_count == sum(not line.startswith("#") for line in text.splitlines())


def test_check_finds_every_exporter_on_automatic_ports(daemon: DaemonProcess) -> None:
    command = [sys.executable, "-m", "wattview", "check", "--json", *daemon.arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert {one["exporter"]: one["healthy"] for one in json.loads(result.stdout)} == dict.fromkeys(
        [one.name for one in EXPORTERS], True
    )
    assert result.returncode == 0


def test_an_exporter_without_its_source_is_healthy_and_says_why(health: dict[str, ExporterHealth]) -> None:
    docker = health["docker-stats-exporter"]
    assert (docker.healthy, docker.has_data) == (True, False)
    assert "absent" in docker.reason
    node = health["node-exporter"]
    assert (node.healthy, node.has_data, node.reason) == (True, True, "")


@pytest.mark.parametrize("name", OTHERS)
def test_both_formats_are_what_their_parsers_expect(health: dict[str, ExporterHealth], name: str) -> None:
    url = f"{health[name].url}/metrics"
    plain = httpx.get(url, trust_env=False, timeout=30)
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    list(parse_text(plain.text))
    openmetrics = httpx.get(url, headers={"Accept": PROMETHEUS}, trust_env=False, timeout=30)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    list(parse_openmetrics(openmetrics.text))


@pytest.mark.parametrize("name", OTHERS)
def test_no_series_appears_twice(health: dict[str, ExporterHealth], name: str) -> None:
    text = httpx.get(f"{health[name].url}/metrics", trust_env=False, timeout=30).text
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


@pytest.mark.parametrize("name", OTHERS)
def test_promtool_accepts_our_own_names(health: dict[str, ExporterHealth], name: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not installed; run: make test"
    text = httpx.get(f"{health[name].url}/metrics", trust_env=False, timeout=30).text
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    said = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("wattview_")]
    assert said == []


def test_an_absent_source_has_no_sample_rather_than_a_zero(daemon: DaemonProcess) -> None:
    text = daemon.metrics("docker-stats-exporter")
    assert 'wattview_probe_success{probe="containers"} 0' in text
    assert [line for line in text.splitlines() if line.startswith("docker_")] == []


def test_every_probe_that_was_read_is_shown_on_9500(daemon: DaemonProcess) -> None:
    daemon.snapshot()
    text = daemon.metrics("rapl-exporter")
    for probe in ("power", "host", "containers", "node", "streams", "gpu"):
        assert f'wattview_probe_success{{probe="{probe}"}}' in text
    assert "wattview_build_info{" in text


def test_text_is_compressed_on_request(health: dict[str, ExporterHealth]) -> None:
    request = httpx.Request("GET", f"{health['node-exporter'].url}/metrics", headers={"Accept-Encoding": "gzip"})
    with httpx.Client(trust_env=False) as client:
        answer = client.send(request, stream=True)
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert b"node_cpu_seconds_total" in gzip.decompress(raw)


def test_one_collector_can_be_asked_for_and_an_unknown_one_is_refused(health: dict[str, ExporterHealth]) -> None:
    url = f"{health['node-exporter'].url}/metrics"
    some = httpx.get(url, params={"collect[]": ["loadavg", "uname"]}, trust_env=False).text
    names = {line.split()[2] for line in some.splitlines() if line.startswith("# TYPE node_")}
    assert {"node_load1", "node_uname_info"} <= names
    assert "node_cpu_seconds_total" not in names
    without = httpx.get(url, params={"exclude[]": "loadavg"}, trust_env=False).text
    assert "node_load1" not in without
    assert "node_cpu_seconds_total" in without
    unknown = httpx.get(url, params={"collect[]": "astrology"}, trust_env=False)
    assert unknown.status_code == 400
    assert "astrology" in unknown.text


@pytest.mark.parametrize("name", OTHERS)
def test_each_exporter_has_health_and_a_landing_page(
    daemon: DaemonProcess, health: dict[str, ExporterHealth], name: str
) -> None:
    base = health[name].url
    state = httpx.get(f"{base}/health", trust_env=False)
    assert state.status_code == 200
    assert state.json()["exporter"] == name
    assert state.json()["pid"] == int(daemon.socket.with_name("wattview.sock.lock").read_text())
    page = httpx.get(base, trust_env=False)
    assert 'href="/metrics"' in page.text
    assert name in page.text
    assert httpx.get(f"{base}/nothing", trust_env=False).status_code == 404
    assert httpx.post(f"{base}/metrics", trust_env=False).status_code == 405


def test_the_control_api_is_not_on_an_exporters_port(health: dict[str, ExporterHealth]) -> None:
    for one in health.values():
        assert httpx.get(f"{one.url}/api/v1/snapshot", trust_env=False).status_code == 404


def test_a_taken_port_affects_only_that_exporter(tmp_path_factory: pytest.TempPathFactory) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_daemon(tmp_path_factory.mktemp("taken"), f"endpoints.node.port={port}") as daemon:
            health = daemon.exporters()
            assert not health["node-exporter"].healthy
            assert f"port {port} is taken by another program" in health["node-exporter"].reason
            assert health["rapl-exporter"].healthy
            assert "endpoints.node.port" in daemon.log
