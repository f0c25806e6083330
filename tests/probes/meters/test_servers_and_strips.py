"""BMCs by Redfish and IPMI, power strips by SNMP, and what a Prometheus knows."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import meter_answers as real
from tests.support.meter_server import Asked, MeterServer, Told, served
from tests.support.pdu_agent import agent
from tests.support.played_bmc import PlayedBmc, device, power_reading
from tests.support.wall_probe import read
from wattview.probes import SourceError
from wattview.probes.meters import ipmi

SESSIONS = "/redfish/v1/SessionService/Sessions"


def redfish(tmp_path: Path, pages: dict[str, Any], **more: Any) -> float | None:
    with MeterServer(served(pages)) as server:
        return read(tmp_path, kind="redfish", url=server.url, **more).power.watts


def test_a_bmc_reports_power_through_whichever_resource_it_has(tmp_path: Path) -> None:
    assert redfish(tmp_path, real.redfish_environment()) == 374, "the drives are in the server"
    assert redfish(tmp_path, real.redfish_environment(), outlets=["Drives"]) == 60
    assert redfish(tmp_path, real.redfish_supplies()) == 377.5
    assert redfish(tmp_path, real.redfish_power("Self")) == 244, "and not its CPUs' beside it"


def test_a_silent_power_supply_makes_the_sum_unknown(tmp_path: Path) -> None:
    assert redfish(tmp_path, real.redfish_supplies(second=None)) is None


def test_several_chassis_are_added_only_if_configured(tmp_path: Path) -> None:
    pages = real.redfish_power("NodeA", "NodeB")
    with pytest.raises(SourceError, match="several chassis measure their power: NodeA, NodeB"):
        redfish(tmp_path, pages)
    assert redfish(tmp_path, pages, outlets=["NodeA", "NodeB"]) == 488


def test_a_bmc_that_requires_a_session_gets_one_that_is_closed_again(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:calvin")
    pages = real.redfish_environment()

    def respond(asked: Asked) -> Told:
        if asked.method == "POST" and asked.path == SESSIONS:
            right = json.loads(asked.body) == {"UserName": "root", "Password": "calvin"}
            headers = {"X-Auth-Token": "t0ken", "Location": f"{SESSIONS}/7"}
            return Told({}, 201, headers) if right else Told({}, 401)
        if asked.headers.get("X-Auth-Token") != "t0ken":
            return Told({}, 401)
        return Told({}, 204) if asked.method == "DELETE" else served(pages)(asked)

    with MeterServer(respond) as server:
        assert read(tmp_path, kind="redfish", url=server.url, token_file=str(secret)).power.watts == 374
        assert [asked.path for asked in server.asked if asked.method == "DELETE"] == [f"{SESSIONS}/7"]
        secret.write_text("root:wrong")
        with pytest.raises(SourceError, match="requires another user and password") as refused:
            read(tmp_path, kind="redfish", url=server.url, token_file=str(secret))
    assert "wrong" not in str(refused.value)


def test_the_ipmi_device_is_queried_for_the_dcmi_power_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device(tmp_path)
    bmc = PlayedBmc(power_reading(214), late=True)
    monkeypatch.setattr(fcntl, "ioctl", bmc.ioctl)
    assert read(tmp_path, kind="ipmi").power.watts == 214
    assert bmc.asked[0] == (0x2C, 0x02, b"\xdc\x01\x00\x00")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\xc1", "does not know DCMI"),
        (b"\xd4", "does not allow power readings"),
        (b"\xc0", "answered 0xc0"),
        (b"", "answered nothing"),
        (b"\x00\xdc\x01", "3 bytes are not a DCMI power reading"),
        (power_reading(214, active=False), "switched its power measurement off"),
    ],
)
def test_a_bmc_that_does_not_measure_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str
) -> None:
    device(tmp_path)
    monkeypatch.setattr(fcntl, "ioctl", PlayedBmc(answer).ioctl)
    with pytest.raises(SourceError, match=said):
        read(tmp_path, kind="ipmi")


def test_a_machine_without_ipmi_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as absent:
        read(tmp_path, kind="ipmi")
    assert absent.value.fix == "modprobe ipmi_si ipmi_devintf"


APC = {
    "318.1.1.26.4.3.1.5.1": 145, "318.1.1.26.4.3.1.9.1": 31_415,
    "318.1.1.26.9.4.3.1.7.1": 0, "318.1.1.26.9.4.3.1.7.2": 212, "318.1.1.26.9.4.3.1.7.3": 105,
}  # fmt: skip
RARITAN = {
    "13742.6.3.3.4.1.7.1.1.1": 1, "13742.6.3.3.4.1.7.1.1.5": 1, "13742.6.3.3.4.1.7.1.1.8": 0,
    "13742.6.5.2.3.1.4.1.1.1": 31, "13742.6.5.2.3.1.4.1.1.5": 7125, "13742.6.5.2.3.1.4.1.1.8": 884_123,
}  # fmt: skip
EATON = {"534.6.6.7.3.5.1.4.0.1": 830, "534.6.6.7.3.5.1.5.0.1": 99_000, "534.6.6.7.6.5.1.3.0.4": 118}
SENTRY = {"1718.4.1.3.3.1.3.1.1": 640, "1718.4.1.3.3.1.3.1.2": 320, "1718.4.1.3.3.1.10.1.1": 5}


@pytest.mark.parametrize(
    ("rows", "outlets", "watts"),
    [
        (APC, [], 1450),
        (APC, ["2", "3"], 317),
        (RARITAN, [], 712.5),
        (EATON, [], 830),
        (EATON, ["4"], 118),
        (SENTRY, [], 960),
    ],
)
def test_a_power_strip_reports_its_power_by_its_makers_mib(
    tmp_path: Path, rows: dict[str, int], outlets: list[str], watts: float
) -> None:
    with agent(rows) as url:
        assert read(tmp_path, kind="snmp", url=url, outlets=outlets).power.watts == watts


def test_a_strip_without_a_meter_differs_from_one_that_does_not_answer(tmp_path: Path) -> None:
    with agent({"318.1.1.12.1.1.0": 1}) as url, pytest.raises(SourceError, match="measures its power by none of"):
        read(tmp_path, kind="snmp", url=url)


def test_version_3_logs_in_with_a_password_that_is_shown_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("monitor:open sesame")
    with agent(APC, "", "monitor", "open sesame") as url:
        assert read(tmp_path, kind="snmp", url=url, token_file=str(secret)).power.watts == 1450
        secret.write_text("monitor:close sesame")
        with pytest.raises(SourceError) as refused:
            read(tmp_path, kind="snmp", url=url, token_file=str(secret))
    assert "sesame" not in f"{refused.value}{refused.value.fix}"


def test_a_promql_meter_reads_its_expression(tmp_path: Path) -> None:
    answers = {
        "plug_watts": [["0", "91.5"]],
        "plug_joules": [["0", "5000"]],
        "several": [["0", "1"], ["0", "2"]],
    }

    def respond(asked: Asked) -> Told:
        query = next((name for name in answers if f"query={name}" in asked.body.decode()), "")
        series = [
            {"metric": {"n": str(place)}, "value": [1_700_000_000, value]}
            for place, (_, value) in enumerate(answers.get(query, []))
        ]
        return Told({"status": "success", "data": {"resultType": "vector", "result": series}})

    with MeterServer(respond) as server:
        meter = {"kind": "promql", "url": server.url}
        power = read(tmp_path, **meter, query="plug_watts", energy_query="plug_joules").power
        assert (power.watts, power.joules_total) == (91.5, 0.0)
        with pytest.raises(SourceError, match="gives 2 series instead of one"):
            read(tmp_path, **meter, query="several")
        with pytest.raises(SourceError, match="gives 0 series"):
            read(tmp_path, **meter, query="nothing")


@given(st.binary(max_size=24) | st.binary(max_size=20).map(lambda rest: b"\x00\xdc" + rest))
def test_any_bytes_of_a_bmc_are_a_reading_or_a_fault(answer: bytes) -> None:
    try:
        watts = ipmi.power_reading(answer).watts
    except SourceError as error:
        assert error.reason
    else:
        assert watts == int.from_bytes(answer[2:4], "little")
