"""Meters are looked for when somebody asks, and recognised by what they answer."""

from __future__ import annotations

import time

import pytest
from click.testing import CliRunner

from tests.support import meter_answers as real
from tests.support.meter_server import MeterServer, Told, served
from wattview.cli import main
from wattview.probes.meters import meter_search
from wattview.probes.meters.meter_search import find_meters, hosts_of

REDFISH = {"@odata.id": "/redfish/v1/", "RedfishVersion": "1.18.0", "Product": "iDRAC9", "Id": "RootService"}


@pytest.mark.parametrize(
    ("pages", "kind", "words"),
    [
        ({"/shelly": real.SHELLY_3EM}, "shelly", "a Shelly SHEM-3, with a password"),
        ({"/shelly": real.SHELLY_PLUS}, "shelly", "a Shelly SNPL-00112EU"),
        ({"/cm?cmnd=Status%208": real.tasmota_status()}, "tasmota", "Tasmota"),
        ({"/cm?cmnd=Status%208": {"StatusSNS": {"Time": "x"}}}, "tasmota", "Tasmota, without a power meter"),
        ({"/redfish/v1/": REDFISH}, "redfish", "a Redfish service iDRAC9"),
    ],
)
async def test_each_kind_is_known_by_its_answer(pages: dict[str, object], kind: str, words: str) -> None:
    with MeterServer(served(pages)) as server:
        place = server.url.removeprefix("http://")
        looked: list[int] = []
        [found] = [one async for one in find_meters(place, lambda: looked.append(1))]
    assert (found.kind, found.url, found.words) == (kind, server.url, words)
    assert looked == [1]


async def test_other_web_servers_are_not_mistaken_for_meters() -> None:
    answers = [
        Told({"mac": "x"}),
        Told(["a", "list"]),
        Told(b"<html>hello</html>"),
        Told({}, 500),
        Told(b"{" * 400_000),
    ]
    for answer in answers:
        with MeterServer(lambda asked, answer=answer: answer) as server:
            assert [one async for one in find_meters(server.url.removeprefix("http://"))] == []


async def test_a_network_where_nobody_answers_takes_no_longer_than_its_time_outs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter_search, "SECONDS", 0.3)
    with MeterServer(served({})) as server:
        server.silent.set()
        began = time.monotonic()
        port = server.url.rpartition(":")[2]
        assert [one async for one in find_meters(f"127.0.0.0/28:{port}")] == []
    assert time.monotonic() - began < 5


def test_an_invalid_or_too_large_network_is_refused() -> None:
    assert hosts_of("192.0.2.7") == (["192.0.2.7"], 0)
    assert len(hosts_of("192.0.2.0/28")[0]) == 14
    assert hosts_of("2001:db8::/126")[0][0] == "[2001:db8::1]"
    for wrong in ("10.0.0.0/8", "rack 3", "192.0.2.0/28:http", ""):
        with pytest.raises(ValueError, match=r"expected|at most"):
            hosts_of(wrong)


def test_the_doctor_prints_what_to_write_into_the_settings() -> None:
    with MeterServer(served({"/shelly": real.SHELLY_PLUS})) as server:
        printed = CliRunner().invoke(main, ["doctor", "--meters", server.url.removeprefix("http://")])
        assert printed.exit_code == 0, printed.output
        assert f'kind = "shelly", url = "{server.url}"' in printed.output
    refused = CliRunner().invoke(main, ["doctor", "--meters", "10.0.0.0/8"])
    assert refused.exit_code == 2
    assert "look in at most 1,024 at a time" in refused.output
