"""The real daemon beside a plug: its wall power on every page, in a run's figures, and a meter that hangs on none."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import meter_answers as real
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.meter_server import Asked, MeterServer, Told, served
from tests.support.powercap import simulated_rapl
from wattview.model import RunResult

BASELINE = {"name": "idle", "type": "baseline", "duration": 5.0, "warmup": 0.0, "cooldown": 0.0}
WATTS = 90.0
PRICE = 0.40
"""Of the grid's file, which goes before the settings' 0.30."""


def plug(began: float) -> MeterServer:
    """90 W, of which 45 reach the processor."""

    def respond(asked: Asked) -> Told:
        watt_hours = round(100.0 + WATTS * (time.monotonic() - began) / 3600, 3)
        pages = {
            "/shelly": real.SHELLY_PLUS,
            "/rpc/Shelly.GetStatus": real.shelly_plus_status(WATTS, watt_hours),
        }
        return served(pages)(asked)

    return MeterServer(respond)


def samples(daemon: DaemonProcess) -> dict[str, float]:
    families = text_string_to_metric_families(daemon.metrics("rapl-exporter"))
    return {
        one.name + "".join(f" {value}" for value in one.labels.values()): one.value
        for family in families
        for one in family.samples
    }


@pytest.mark.slow
def test_the_wall_is_measured_shown_and_billed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("admin:blue bird")
    config, grid = tmp_path / "wattview.toml", tmp_path / "grid.csv"
    now = time.time() // 3600 * 3600
    grid.write_text("time,carbon_g_per_kwh,price_per_kwh\n" + "".join(f"{now + at},500,0.40\n" for at in (0, 3600)))
    with simulated_rapl(tmp_path / "sys", curve="constant:45") as sysfs, plug(time.monotonic()) as meter:
        config.write_text(
            f'[[power.meters]]\nkind = "shelly"\nname = "rack"\nurl = "{meter.url}"\ninterval = "500ms"\n'
            f'token_file = "{secret}"\n[[cost.grid]]\nkind = "csv"\nfile = "{grid}"\n'
        )
        sets = (f"paths.sysfs={sysfs}", "cost.energy_per_kwh=0.30", "cost.embodied_kg=1000")
        with running_daemon(tmp_path, *sets, command=("daemon", "--config", str(config))) as daemon:
            while daemon.snapshot().wall is None:  # the meter's first value, without which the window has no start
                time.sleep(0.1)
            run = daemon.api.post("/api/v1/runs", json={"scenarios": [BASELINE]}).json()["id"]
            while daemon.api.get(f"/api/v1/runs/{run}").json()["state"] == "running":
                time.sleep(0.2)
            result = msgspec.json.decode(daemon.api.get(f"/api/v1/results/{run}").content, type=RunResult)
            snapshot, shown = daemon.snapshot(), samples(daemon)
            doctor = daemon.api.get("/api/v1/doctor").text
            meter.silent.set()
            began = time.monotonic()
            httpx.get(f"{daemon.exporters()['rapl-exporter'].url}/metrics", trust_env=False, timeout=30)
            scrape_seconds = time.monotonic() - began
            since = f"start={time.time() - 60:.0f}&end={time.time():.0f}"
            trend = daemon.api.get(f"/api/v1/trends?kind=wall&quantity=power&{since}").text
    [one] = result.scenarios
    assert one.power_mean_watts == pytest.approx(49.5, rel=0.03)
    assert one.wall_power_mean_watts == pytest.approx(WATTS, rel=0.02), one.reasons
    assert one.wall_energy_joules is not None
    assert one.cost_energy == pytest.approx(one.wall_energy_joules / 3.6e6 * PRICE)
    assert one.carbon_grams == pytest.approx(one.wall_energy_joules / 3.6e6 * 500)
    assert snapshot.wall is not None
    assert snapshot.carbon_grams_per_hour == pytest.approx(WATTS / 1000 * 500)
    assert snapshot.embodied_grams_per_hour == pytest.approx(28.5, rel=0.01)
    assert shown["wattview_carbon_grams_per_kwh"] == 500
    assert "grid csv" in doctor
    assert (snapshot.wall.watts, snapshot.wall.source) == (WATTS, "meter")
    assert snapshot.energy_cost_per_hour == pytest.approx(WATTS / 1000 * PRICE)
    assert shown["wattview_wall_power_watts meter"] == WATTS
    assert shown["wattview_energy_cost_per_hour USD"] == pytest.approx(WATTS / 1000 * PRICE)
    assert 300 < shown["wattview_wall_energy_joules_total meter"] < 90_000
    assert "rack (a Shelly plug or energy meter): 90.0 W" in doctor
    assert "90.0" in trend
    assert scrape_seconds < 2
    assert "source wall: broken" not in daemon.log
    assert "blue bird" not in f"{daemon.log}{doctor}{snapshot}{trend}"
