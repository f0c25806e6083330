"""What the daemon tells Prometheus of itself: which exporters it serves, how its runs do, and its prices."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import free_port
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.prometheus import program
from wattview.config import Cost, Tariff
from wattview.daemon.exporters.discovery import target_groups
from wattview.daemon.exporters.run_families import price_families, run_families
from wattview.exposition import Family, render
from wattview.model import EncoderStatus, Run, RunProgress, RunState, Scenario


def sample(families: list[Family], name: str) -> dict[str, float]:
    return {text: value for family in families if family.name == name for text, value in family.samples}


def a_run(state: RunState, encoders: list[EncoderStatus] | None = None) -> Run:
    progress = RunProgress(
        phase="measuring", scenario="1x 720p", scenario_index=0, scenario_count=1, fraction=0.5, elapsed_seconds=5,
        remaining_seconds=5,
    )  # fmt: skip
    return Run(
        id="20261124_101500", state=state, scenarios=[Scenario(name="1x 720p")], started=0.0,
        progress=progress, encoders=encoders or [],
    )  # fmt: skip


HEALTH = free_port()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    sets = ("endpoints.gpu.enabled=false", "cost.budget_per_hour=0.25", "cost.currency=EUR", "power.sources=estimated")
    sets += (f"endpoints.health.port={HEALTH}", "daemon.also_scrape=dcgm-exporter:9401,something:1234")
    with running_daemon(tmp_path_factory.mktemp("discovery"), *sets) as running:
        yield running


def test_every_exporter_that_is_served_is_discovered_and_answers(daemon: DaemonProcess) -> None:
    groups = httpx.get(f"http://127.0.0.1:{HEALTH}/discovery", trust_env=False).json()
    jobs = {group["labels"]["job"]: group["targets"] for group in groups}
    assert jobs.pop("dcgm-exporter") == ["127.0.0.1:9401"], "ours is switched off, and another stands in its place"
    assert jobs.pop("something") == ["127.0.0.1:1234"]
    assert set(jobs) == {*daemon.exporters(), "exporter-health-checker"}
    for targets in jobs.values():
        assert httpx.get(f"http://{targets[0]}/health", trust_env=False).status_code == 200


def test_targets_are_at_the_address_that_the_asker_used(daemon: DaemonProcess) -> None:
    asked_as = {"Host": f"encoder-7.example:{HEALTH}"}
    groups = httpx.get(f"http://127.0.0.1:{HEALTH}/discovery", headers=asked_as, trust_env=False).json()
    assert all(group["targets"][0].startswith("encoder-7.example:") for group in groups)
    host = daemon.snapshot().host
    assert host is not None
    assert {group["labels"]["host"] for group in groups} == {host.hostname}


def test_only_the_health_exporter_has_discovery(daemon: DaemonProcess) -> None:
    url = daemon.exporters()["rapl-exporter"].url
    assert httpx.get(f"{url}/discovery", trust_env=False).status_code == 404


def test_instances_of_two_hosts_differ_though_both_are_reached_on_loopback() -> None:
    one, other = (target_groups([("rapl-exporter", 9500)], "127.0.0.1", name)[0] for name in ("a", "b"))
    assert one.targets == other.targets == ["127.0.0.1:9500"]
    assert one.labels == {"job": "rapl-exporter", "host": "a", "instance": "a:9500"}
    assert other.labels["instance"] == "b:9500"


def test_an_ipv6_address_is_bracketed() -> None:
    assert target_groups([("x", 1)], "2001:db8::7", None)[0].targets == ["[2001:db8::7]:1"]


def test_an_idle_daemon_shows_its_prices_and_that_nothing_runs(daemon: DaemonProcess) -> None:
    text = daemon.metrics("rapl-exporter")
    values = {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }
    assert values["wattview_run_active", ()] == 0
    assert values["wattview_runs_total", (("state", "failed"),)] == 0
    assert values["wattview_budget_per_hour", (("currency", "EUR"),)] == 0.25
    assert values["wattview_price_energy_per_kwh", (("currency", "EUR"),)] == 0.12
    assert ("wattview_carbon_grams_per_kwh", ()) not in values, "it is not set, and so it is no sample"


def test_runs_are_counted_by_how_they_ended() -> None:
    families = run_families([a_run("done"), a_run("failed"), a_run("done"), a_run("interrupted")])
    assert sample(families, "wattview_runs_total") == {
        '{state="done"}': 2, '{state="aborted"}': 0, '{state="failed"}': 1, '{state="interrupted"}': 1,
    }  # fmt: skip
    assert sample(families, "wattview_run_active") == {"": 0}
    assert sample(families, "wattview_run_phase") == {}


def test_an_encoders_speed_is_shown_while_it_runs_if_reported() -> None:
    slow = EncoderStatus(stream="wv_1", speed=0.81, fps=24.3, dropped_frames=7)
    silent = EncoderStatus(stream="wv_2")
    families = run_families([a_run("running", [slow, silent]), a_run("done")])
    assert sample(families, "wattview_encoder_speed_ratio") == {'{stream="wv_1"}': 0.81}
    assert sample(families, "wattview_encoder_dropped_frames_total") == {'{stream="wv_1"}': 7}
    assert sample(families, "wattview_run_active") == {"": 1}
    assert sample(families, "wattview_run_phase") == {'{scenario="1x 720p",phase="measuring"}': 1}


def test_the_price_is_that_of_the_hour() -> None:
    night = Tariff(start="22:00", end="06:00", energy_per_kwh=0.08)
    cost = Cost(energy_per_kwh=0.30, timezone="UTC", tariff=(night,))
    noon, midnight = 12 * 3600.0, 23.5 * 3600.0
    assert sample(price_families(cost, noon), "wattview_price_energy_per_kwh") == {'{currency="USD"}': 0.30}
    assert sample(price_families(cost, midnight), "wattview_price_energy_per_kwh") == {'{currency="USD"}': 0.08}


def test_promtool_accepts_these_names(tmp_path: Path) -> None:
    running = a_run("running", [EncoderStatus(stream="wv_1", speed=1.0, fps=30, dropped_frames=0)])
    text = render([*run_families([running]), *price_families(Cost(budget_per_hour=1, carbon_g_per_kwh=400), 0.0)])
    said = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (said.returncode, said.stderr) == (0, b"")
