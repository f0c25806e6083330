"""Shelly and Tasmota: what their answers mean, how one logs in to them, and that nobody waits for them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import meter_answers as real
from tests.support.meter_server import Asked, MeterServer, Told, digested, served
from tests.support.wall_probe import read, wall
from wattview.probes import SourceError
from wattview.probes.meters.wall import families

STATUS_8 = "/cm?cmnd=Status%208"


def watts(tmp_path: Path, pages: dict[str, Any], kind: str, **more: Any) -> float | None:
    with MeterServer(served(pages)) as server:
        return read(tmp_path, kind=kind, url=server.url, **more).power.watts


def test_a_shelly_of_any_generation_reports_its_power(tmp_path: Path) -> None:
    plug = {"/shelly": real.SHELLY_PLUG_S, "/status": real.shelly_gen1_status()}
    phases = {"/shelly": real.SHELLY_3EM, "/status": real.shelly_3em_status()}
    plus = {"/shelly": real.SHELLY_PLUS, "/rpc/Shelly.GetStatus": real.shelly_plus_status()}
    pro = {"/shelly": real.SHELLY_PLUS, "/rpc/Shelly.GetStatus": real.shelly_pro_3em_status()}
    assert watts(tmp_path, plug, "shelly") == 21.32
    assert watts(tmp_path, phases, "shelly") == pytest.approx(227.94)
    assert watts(tmp_path, phases, "shelly", outlets=["0", "2"]) == pytest.approx(206.60)
    assert watts(tmp_path, plus, "shelly") == 103.4
    assert watts(tmp_path, plus, "shelly", outlets=["0"]) == 103.4
    assert watts(tmp_path, pro, "shelly") == 243.6
    assert watts(tmp_path, pro, "shelly", outlets=["a", "b"]) == pytest.approx(243.6)


def test_a_switch_without_a_meter_is_none(tmp_path: Path) -> None:
    """A Shelly 1 shows the watts that its owner typed in."""
    status = real.shelly_gen1_status() | {"meters": [{"power": 60.0, "is_valid": True}]}
    pages = {"/shelly": {"type": "SHSW-1", "mac": "1"}, "/status": status}
    with MeterServer(served(pages)) as server, pytest.raises(SourceError, match="does not measure power"):
        read(tmp_path, kind="shelly", url=server.url)


def test_tasmota_reports_its_power_by_channel(tmp_path: Path) -> None:
    assert watts(tmp_path, {STATUS_8: real.tasmota_status()}, "tasmota") == 45
    two = {STATUS_8: real.tasmota_status([40, 12], [10.5, 2.25])}
    assert watts(tmp_path, two, "tasmota") == 52
    assert watts(tmp_path, two, "tasmota", outlets=["2"]) == 12


def test_energy_has_the_unit_of_its_device(tmp_path: Path) -> None:
    """Watt-minutes, watt-hours, kilowatt-hours: one more of each is 60, 3600 and 3.6 million joules."""
    grown: dict[str, Any] = {"more": 0}

    def respond(asked: Asked) -> Told:
        pages = {
            "/shelly": real.SHELLY_PLUG_S,
            "/status": real.shelly_gen1_status(20_000.0, 160_245 + 300 * grown["more"]),
            STATUS_8: real.tasmota_status(20_000, 101.243 + 0.005 * grown["more"]),
        }
        grown["more"] += asked.path != "/shelly"
        return served(pages)(asked)

    for kind in ("shelly", "tasmota"):
        with (
            MeterServer(respond) as server,
            wall(tmp_path, {"kind": kind, "url": server.url, "interval": "500ms"}) as probe,
        ):
            first = probe.read().power.joules_total
            until = time.monotonic() + 10
            while (joules := probe.read().power.joules_total or 0) < 17_000 and time.monotonic() < until:
                threading.Event().wait(0.05)
            assert first == 0
            assert 17_000 <= joules <= 60_000


def test_a_password_is_sent_as_the_device_wants_it_and_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("admin:blue bird&1\n")
    caplog.set_level("DEBUG", "wattview")
    pages = {"/shelly": real.SHELLY_PLUS, "/rpc/Shelly.GetStatus": real.shelly_plus_status()}
    with MeterServer(digested(pages, "admin", "blue bird&1", free=("/shelly",))) as server:
        reading = read(tmp_path, kind="shelly", url=server.url, token_file=str(secret))
        assert reading.power.watts == 103.4
        assert not any("Basic" in asked.headers.get("Authorization", "") for asked in server.asked)
        secret.write_text("admin:wrong")
        with pytest.raises(SourceError, match="requires another user and password") as refused:
            read(tmp_path, kind="shelly", url=server.url, token_file=str(secret))
    asked_for = f"{STATUS_8}&user=admin&password=blue%20bird%261"
    monkeypatch.setenv("PLUG", "admin:blue bird&1")
    with MeterServer(served({asked_for: real.tasmota_status(), STATUS_8: {"WARNING": "Need user=<u>"}})) as server:
        reading = read(tmp_path, kind="tasmota", url=server.url, token_env="PLUG")
        with pytest.raises(SourceError, match="Need user"):
            read(tmp_path, kind="tasmota", url=server.url)
    assert reading.power.watts == 45
    assert "blue" not in f"{caplog.text}{reading}{refused.value}"


def test_a_hanging_meter_delays_nothing_and_affects_no_other_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattview.probes.meters.wall.FIRST_SECONDS", 2.0)
    pages = {"/shelly": real.SHELLY_PLUG_S, "/status": real.shelly_gen1_status()}
    with MeterServer(served(pages)) as good, MeterServer(served({})) as bad:
        bad.silent.set()
        meters = [
            {"kind": "shelly", "name": "a", "url": good.url, "supply": True},
            {"kind": "tasmota", "name": "b", "url": bad.url, "supply": True},
        ]
        with wall(tmp_path, *meters) as probe:
            began = time.monotonic()
            reading = probe.read()
            assert time.monotonic() - began < 0.1
    assert [meter.watts for meter in reading.power.meters] == [21.32, None]
    assert reading.power.watts is None, "a supply that is not known is missing from the sum"
    assert reading.power.reason == "b has not answered yet"


def test_supplies_are_added_up_and_machines_behind_one_meter_are_told_apart(tmp_path: Path) -> None:
    pages = {"/shelly": real.SHELLY_PLUG_S, "/status": real.shelly_gen1_status(100.0)}
    with MeterServer(served(pages)) as server:
        one = {"kind": "shelly", "url": server.url}
        with wall(tmp_path, one | {"name": "a", "supply": True}, one | {"name": "b", "supply": True}) as probe:
            assert probe.read().power.watts == 200
        with wall(tmp_path, one | {"machines": 3}) as probe:
            power = probe.read().power
            assert power.watts is None
            assert "3 machines are behind shelly" in power.reason
            assert power.meters[0].watts == 100
        with wall(tmp_path, one | {"machines": 4, "share": 0.25}) as probe:
            assert probe.read().power.watts == 25
            shown = {family.name: family.samples for family in families(probe.read())}
    assert shown["wattview_wall_power_watts"] == [('{source="meter"}', 25.0)]
    assert shown["wattview_meter_power_watts"] == [('{meter="shelly",kind="shelly"}', 100.0)]


@pytest.mark.parametrize(
    ("meter", "said"),
    [
        ({"kind": "shely"}, "power.meters[0].kind: expected one of"),
        ({"kind": "shelly"}, "power.meters[0].url: needed by a meter of kind shelly"),
        ({"kind": "shelly", "url": "http://admin:pw1@h"}, "user and password do not belong here"),
        ({"kind": "shelly", "url": "http://h", "interval": "1ms"}, "power.meters[0].interval: expected"),
        ({"kind": "shelly", "url": "http://h", "query": "x"}, "power.meters[0].query: a meter of kind shelly has none"),
    ],
)
def test_invalid_settings_are_reported_in_one_line(tmp_path: Path, meter: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error, wall(tmp_path, meter):
        pass
    assert said in str(error.value)
    assert "pw1" not in str(error.value)
