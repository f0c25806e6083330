"""Prometheus in VictoriaMetrics' place: the stack's own configuration finds, scrapes, computes, alerts and answers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.conftest import free_port
from tests.support.daemon import running_daemon
from tests.support.stack import COMPOSE, Store, eventually, running
from tests.support.store import fleet


@pytest.mark.slow
async def test_prometheus_takes_the_place_of_victoriametrics(tmp_path: Path) -> None:
    health, port, alerts = free_port(), free_port(), free_port()
    (tmp_path / "alertmanager").mkdir()
    text = (COMPOSE / "prometheus/prometheus.yml").read_text()
    for there, here in (
        ("127.0.0.1:9600", f"127.0.0.1:{health}"),
        ("127.0.0.1:9093", f"127.0.0.1:{alerts}"),
        ("/etc/wattview/rules", str(COMPOSE / "prometheus/rules")),
        ("_interval: 5s", "_interval: 1s"),
        ("scrape_timeout: 4s", "scrape_timeout: 1s"),
        ("refresh_interval: 10s", "refresh_interval: 1s"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    (tmp_path / "prometheus.yml").write_text(text)
    url, alertmanager = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{alerts}"
    settings = (f"endpoints.health.port={health}", "power.sources=estimated", "docker.host=unix:///nowhere/docker.sock")
    with (
        running_daemon(tmp_path, *settings) as daemon,
        running(tmp_path, "prometheus-alertmanager", f"--config.file={COMPOSE / 'alertmanager/alertmanager.yml'}",
                f"--storage.path={tmp_path / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{alerts}",
                "--cluster.listen-address=", ready=f"{alertmanager}/-/ready"),
        running(tmp_path, "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error", ready=f"{url}/-/ready"),
    ):  # fmt: skip
        store = Store(url)
        eventually(lambda: store.value("count(up == 1)") == 10, "ten targets", 30)
        watts = eventually(lambda: store.value("host:power_watts"), "the rules", 30)
        assert watts == pytest.approx(store.value("wattview_host_power_watts"), rel=0.5)
        eventually(lambda: store.value("host:cost_per_hour"), "the cost", 30)
        [row] = await fleet(url)
        host = daemon.snapshot().host
        assert host is not None
        assert (row.host, row.targets, row.targets_up) == (host.hostname, 10, 10)
        assert row.power_watts is not None
        assert row.seen_seconds < 5

        media = daemon.state / "media"
        media.mkdir(exist_ok=True)
        (media / "noise.mp4").write_bytes(bytes(range(256)) * 64)
        scenario = {"name": "noise", "source": "noise.mp4", "quality": False, "duration": 2, "warmup": 0, "cooldown": 0}
        assert daemon.api.post("/api/v1/runs", json={"scenarios": [scenario]}).status_code == 201

        def fired() -> set[str]:
            found = httpx.get(f"{alertmanager}/api/v2/alerts", trust_env=False).json()
            return {one["labels"]["alertname"] for one in found} & {"RunFailed"}

        eventually(fired, "Alertmanager hears of the failed run", 30)
