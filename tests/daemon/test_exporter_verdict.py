"""One verdict on each exporter: what is expected of it is there or has a reason, and it is WattView that answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import free_port
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.strangers import node_exporter, web_server
from tests.support.wire import Wire, head
from wattview import __version__
from wattview.config.loading import flatten, load
from wattview.daemon.api.doctor import differences
from wattview.daemon.exporters.entries import EXPORTERS
from wattview.daemon.exporters.expected import Expected, SelfReport, judge, state_by_sources
from wattview.model import ProbeState, ProbeStatus

BY_NAME = {exporter.name: exporter for exporter in EXPORTERS}

RELIED_ON = {
    "rapl-exporter": ["rapl_power_watts", "rapl_energy_joules_total", "wattview_build_info", "wattview_probe_success",
                      "wattview_host_power_watts", "wattview_host_energy_joules_total"],
    "docker-stats-exporter": ["docker_engine_cpu_percent", "docker_engine_memory_percent",
                              "docker_container_cpu_percent", "docker_container_memory_percent"],
    "node-exporter": ["node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_load1", "node_uname_info"],
    "cadvisor": ["container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "machine_cpu_cores"],
    "nginx-rtmp-exporter": ["nginx_rtmp_connections", "nginx_rtmp_streams", "nginx_rtmp_bandwidth_in_bytes",
                            "nginx_rtmp_bandwidth_out_bytes", "nginx_rtmp_stream_bandwidth_in_bytes"],
    "results-exporter": ["scenario_duration_seconds", "scenario_power_mean_watts", "scenario_power_max_watts",
                         "scenario_energy_joules", "scenario_cpu_mean_percent", "scenario_baseline_diff_power_watts"],
    "qoe-exporter": ["qoe_score", "quality_vmaf", "quality_psnr", "quality_ssim"],
    "cost-exporter": ["cost_exporter_alive", "cost_total_load_aware", "cost_energy_load_aware",
                      "cost_compute_load_aware"],
    "dcgm-exporter": ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_FB_USED"],
    "exporter-health-checker": ["exporter_health_status", "exporter_reachable", "exporter_metric_count",
                                "exporter_sample_count", "exporter_has_data"],
}  # fmt: skip
"""What other programs rely on, at the least."""

EXPECTED = Expected(("always",), {"power": ("watts", "joules"), "host": ()}, {"streams": ("bandwidth",)})


def probe(name: str, state: ProbeState, reason: str = "") -> ProbeStatus:
    return ProbeStatus(probe=name, state=state, reason=reason)


@pytest.mark.parametrize("name", RELIED_ON)
def test_what_others_rely_on_is_expected(name: str) -> None:
    expected = BY_NAME[name].expected
    everything = {*expected.always, *sum(expected.needs.values(), ()), *sum(expected.wherever.values(), ())}
    assert set(RELIED_ON[name]) <= everything


@pytest.mark.parametrize(
    ("shown", "probes", "gaps", "healthy", "said"),
    [
        ({"always", "watts", "joules"}, [probe("power", "ok")], {}, True, ""),
        ({"always", "watts"}, [probe("power", "ok")], {}, False, "expected and missing: joules"),
        ({"watts", "joules"}, [probe("power", "ok")], {}, False, "expected and missing: always"),
        ({"always"}, [probe("power", "absent", "no RAPL")], {}, True, "absent: no RAPL"),
        ({"always"}, [probe("power", "refused", "root only")], {}, False, "refused: root only"),
        ({"always", "watts", "joules"}, [probe("power", "broken", "it hangs")], {}, False, "broken: it hangs"),
        ({"always", "watts", "joules"}, [probe("host", "broken", "no /proc")], {}, False, "broken: no /proc"),
        ({"always", "watts", "joules"}, [probe("other", "broken", "not mine")], {}, True, ""),
        ({"always", "watts"}, [probe("power", "ok")], {"joules": "no counter"}, True, "no joules: no counter"),
        ({"always", "watts"}, [probe("power", "degraded", "zone 1 is gone")], {}, False,
         "expected and missing: joules (power degraded: zone 1 is gone)"),
        ({"always", "watts", "joules", "streams"}, [probe("power", "ok")], {}, False,
         "expected and missing: bandwidth"),
    ],
)  # fmt: skip
def test_an_expected_metric_is_there_or_has_a_reason(
    shown: set[str], probes: list[ProbeStatus], gaps: dict[str, str], healthy: bool, said: str
) -> None:
    verdict = judge(EXPECTED, EXPECTED.missing(shown), probes, gaps)
    assert (verdict.healthy, verdict.reason) == (healthy, said)


def test_the_state_by_sources_alone_has_the_same_words() -> None:
    assert state_by_sources(EXPECTED, [probe("power", "ok"), probe("host", "absent")]) == "healthy"
    assert state_by_sources(EXPECTED, [probe("power", "absent")]) == "no source"
    assert state_by_sources(EXPECTED, [probe("power", "broken"), probe("host", "ok")]) == "unhealthy"


def wattview(*arguments: str) -> tuple[int, Any]:
    done = subprocess.run([sys.executable, "-m", "wattview", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if "--json" in arguments else done.stdout


def by_name(rows: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


@pytest.mark.parametrize(("left_out", "state"), [("", "healthy"), ("nginx_rtmp_streams", "unhealthy")])
def test_check_names_the_metric_that_is_missing(tmp_path: Path, left_out: str, state: str) -> None:
    metrics = {"wattview_probe_success", "wattview_probe_duration_seconds", "nginx_rtmp_connections",
               "nginx_rtmp_streams", "nginx_rtmp_bandwidth_in_bytes", "nginx_rtmp_bandwidth_out_bytes"}  # fmt: skip
    text = "".join(f"{name} 1\n" for name in metrics - {left_out}).encode()
    report = msgspec.json.encode(
        SelfReport(
            exporter="nginx-rtmp-exporter", version="1", pid=1, status="healthy", probes=(probe("streams", "ok"),)
        )
    )

    def script(request: str) -> Iterator[bytes]:
        yield head() + (report if "/health" in request else text)

    with Wire(script) as wire:
        others = [f"--set=endpoints.{one.key}.enabled=false" for one in EXPORTERS if one.key != "nginx_rtmp"]
        port = f"--set=endpoints.nginx_rtmp.port={httpx.URL(wire.url).port}"
        status, [row] = wattview("check", "--json", port, *others, f"--set=paths.state={tmp_path}")
    assert (row["state"], row["missing"]) == (state, [left_out] if left_out else [])
    assert (left_out in row["reason"], status) == (True, int(state == "unhealthy"))


def test_a_port_taken_by_another_program_is_reported_with_its_owner(tmp_path: Path) -> None:
    first, second, third = free_port(), free_port(), free_port()
    with web_server(first, second) as pid, node_exporter(third):
        ports = (f"endpoints.rapl.port={first}", f"endpoints.docker.port={second}", f"endpoints.node.port={third}")
        with running_daemon(tmp_path, *ports) as daemon:
            status, rows = wattview("check", "--json", *daemon.arguments)
            said = by_name(rows, "exporter")
            from_within = daemon.exporters()
            states = daemon.metrics("exporter-health-checker")
            examined, findings = wattview("doctor", "--json", *daemon.arguments)
    assert (status, examined) == (1, 1)
    for name, port in (("rapl-exporter", first), ("docker-stats-exporter", second)):
        for reason in (said[name]["reason"], from_within[name].reason):
            assert f"port {port} is taken by another program, SimpleHTTP/" in reason
            assert f"(process {pid}, python" in reason
    assert "taken by another program, node_exporter" in said["node-exporter"]["reason"]
    assert {name: row["state"] for name, row in said.items()} == {name: one.state for name, one in from_within.items()}
    for one in from_within.values():
        assert f'wattview_exporter_state{{exporter="{one.exporter}",state="{one.state}"}} 1' in states
    row = by_name(findings, "source")["exporters"]
    assert row["state"] == "broken"
    assert "rapl-exporter, docker-stats-exporter: 2 ports are taken by another program" in row["detail"]


def test_ten_ports_of_another_daemon_are_one_line(tmp_path: Path) -> None:
    ports = {exporter.key: free_port() for exporter in EXPORTERS}
    sets = [f"endpoints.{key}.port={port}" for key, port in ports.items()]
    (tmp_path / "one").mkdir()
    with running_daemon(tmp_path / "one", *sets) as first:
        mine = [f"paths.state={tmp_path}/two", f"daemon.control_socket={tmp_path}/two.sock", *sets]
        status, findings = wattview("doctor", "--json", *(f"--set={text}" for text in mine))
        (tmp_path / "three").mkdir()
        with running_daemon(tmp_path / "three", *sets) as late:
            checked, rows = wattview("check", "--json", *late.arguments)
            log = late.log
    line = by_name(findings, "source")["exporters"]
    assert (status, line["state"], checked) == (1, "broken", 1)
    whose = f"another WattView (version {__version__}, process {first.process.pid})"
    assert f"10 ports are taken by {whose}" in line["detail"]
    assert {row["taken_by"] for row in rows} == {whose}
    assert log.count("not served, as another program has the port") == 1


def test_doctor_says_which_settings_the_daemon_does_not_share(daemon_with_settings: DaemonProcess) -> None:
    mine = [*daemon_with_settings.arguments, "--set", "cost.energy_per_kwh=0.5", "--set", "docker.host=unix:///nowhere"]
    _, same = wattview("doctor", "--json", *daemon_with_settings.arguments)
    assert "settings" not in by_name(same, "source")
    _, findings = wattview("doctor", "--json", *mine)
    told = by_name(findings, "source")["settings"]
    assert told["detail"].endswith("yours differ in cost.energy_per_kwh, docker.host")
    assert "--alone" in told["fix"]
    _, own = wattview("doctor", "--json", "--alone", *mine)
    assert "/nowhere" in by_name(own, "source")["containers"]["detail"]
    assert "settings" not in by_name(own, "source")


def test_no_results_yet_names_the_folder(daemon_with_settings: DaemonProcess) -> None:
    folder = str(daemon_with_settings.state / "results")
    exporters = daemon_with_settings.exporters()
    for name in ("results-exporter", "qoe-exporter", "cost-exporter"):
        page = httpx.get(f"{exporters[name].url}/health", trust_env=False).json()
        assert page["probes"][0]["reason"] == f"no results yet in {folder}"
        assert (page["status"], exporters[name].state) == ("no source", "no source")
        assert folder in exporters[name].reason
    [row] = [one for one in daemon_with_settings.api.get("/api/v1/doctor").json() if one["source"] == "results"]
    assert row["detail"] == f"{folder} can be written; no results yet"


@pytest.fixture(scope="module")
def daemon_with_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    with running_daemon(tmp_path_factory.mktemp("settings")) as daemon:
        yield daemon


def test_the_address_of_the_managed_server_is_not_reported_as_a_differing_setting() -> None:
    daemon, caller = load(sets=["streams.managed=auto"], environ={}), load(environ={})
    others = msgspec.json.decode(msgspec.json.encode(flatten(caller)))
    assert differences(daemon, others) == []
    assert differences(daemon, others | {"streams.rtmp_url": "rtmp://10.0.0.1/live"}) == ["streams.rtmp_url"]
