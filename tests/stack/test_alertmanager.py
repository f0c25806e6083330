"""A real Alertmanager with the stack's configuration: what silences what, with the labels that the rules give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import free_port
from tests.support.stack import COMPOSE, eventually, running

RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((COMPOSE / "prometheus/rules/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


def alert(name: str, **labels: str) -> dict[str, Any]:
    """As the rule of that name sends it, with the labels of its series."""
    own = {key: text for key, text in RULES[name]["labels"].items() if "{{" not in text}
    return {"labels": {"alertname": name, **own, **labels}}


Silenced = Callable[..., set[str]]


@pytest.fixture
def silenced(tmp_path: Path) -> Iterator[Silenced]:
    """Sends alerts; gives the names of those that Alertmanager keeps to itself."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    (tmp_path / "data").mkdir()

    def send(*alerts: dict[str, Any]) -> set[str]:
        now = datetime.now(UTC).isoformat()
        sent = httpx.post(f"{url}/api/v2/alerts", json=[{**one, "startsAt": now} for one in alerts], trust_env=False)
        assert sent.status_code == 200, sent.text

        def known() -> list[Any]:
            found = httpx.get(f"{url}/api/v2/alerts", trust_env=False).json()
            settled = all(one["status"]["state"] != "unprocessed" for one in found)
            return found if settled and len(found) == len(alerts) else []

        found = eventually(known, "Alertmanager has judged them all", 30)
        assert all(
            one["status"]["state"] == ("suppressed" if one["status"]["inhibitedBy"] else "active") for one in found
        )
        return {one["labels"]["alertname"] for one in found if one["status"]["inhibitedBy"]}

    with running(
        tmp_path, "prometheus-alertmanager", f"--config.file={COMPOSE / 'alertmanager/alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ready=f"{url}/-/ready",
    ):  # fmt: skip
        yield send


def test_a_critical_alert_silences_its_warning_on_the_same_host_and_thing(silenced: Silenced) -> None:
    assert silenced(
        alert("PackagePowerHigh", host="a"), alert("PackagePowerCritical", host="a"),
        alert("GpuPowerHigh", host="a", gpu="0"), alert("GpuPowerCritical", host="a", gpu="0"),
        alert("DiskFilling", host="a", mountpoint="/"), alert("DiskNearlyFull", host="a", mountpoint="/"),
    ) == {"PackagePowerHigh", "GpuPowerHigh", "DiskFilling"}  # fmt: skip


def test_alerts_of_another_host_gpu_or_disk_are_not_silenced(silenced: Silenced) -> None:
    assert silenced(
        alert("PackagePowerHigh", host="a"), alert("PackagePowerCritical", host="b"),
        alert("GpuPowerHigh", host="a", gpu="0"), alert("GpuPowerCritical", host="a", gpu="1"),
        alert("DiskFilling", host="a", mountpoint="/"), alert("DiskNearlyFull", host="a", mountpoint="/srv"),
    ) == set()  # fmt: skip


def test_an_exporter_that_is_down_silences_its_own_health_and_no_other_s(silenced: Silenced) -> None:
    assert silenced(
        alert("ExporterDown", host="a", job="cadvisor", instance="a:8080"),
        alert("ExporterUnhealthy", host="a", exporter="cadvisor", job="cadvisor"),
        alert("ExporterWithoutData", host="a", exporter="dcgm-exporter", job="dcgm-exporter"),
        alert("StreamVanished", host="a", app="live", stream="news"),
        alert("PackagePowerCritical", host="a"), alert("RunFailed", host="a", state="failed"),
        alert("DiskNearlyFull", host="a", mountpoint="/"), alert("BudgetExceeded", host="a", currency="EUR"),
    ) == {"ExporterUnhealthy"}  # fmt: skip


def test_a_down_rtmp_exporter_silences_its_stream_alerts(silenced: Silenced) -> None:
    assert silenced(
        alert("ExporterDown", host="a", job="nginx-rtmp-exporter", instance="a:9728"),
        alert("StreamVanished", host="a", app="live", stream="news"), alert("GpuPowerCritical", host="a", gpu="0"),
    ) == {"StreamVanished"}  # fmt: skip


def test_a_stream_vanished_on_another_host_is_not_silenced(silenced: Silenced) -> None:
    down = alert("ExporterDown", host="a", job="nginx-rtmp-exporter", instance="a:9728")
    assert silenced(down, alert("StreamVanished", host="b", app="live", stream="news")) == set()


def test_a_rule_s_own_labels_are_those_that_silencing_compares() -> None:
    """The health checker's series carry its own job; the alert has that of the exporter which is meant."""
    for name in ("ExporterUnhealthy", "ExporterWithoutData"):
        assert RULES[name]["labels"]["job"] == "{{ $labels.exporter }}"
