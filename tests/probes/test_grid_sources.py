"""What each source of the grid's data answers, and what is made of it."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.meter_server import Asked, MeterServer, Told
from wattview.config import Config, ConfigError, GridSettings, load
from wattview.model import GridQuantity, GridSpan
from wattview.model.power.grid import grid_kind
from wattview.probes import SourceError, made
from wattview.probes.grid.csv_file import CsvFile, rows_to_spans
from wattview.probes.grid.entsoe import prices
from wattview.probes.grid.grid_source import MAX_SPANS

START = datetime(2023, 11, 14, 10, 30, tzinfo=UTC).timestamp()
HOUR, HALF = 3600.0, 1800.0

UK = {
    "data": [
        {"from": "2023-11-14T10:30Z", "to": "2023-11-14T11:00Z",
         "intensity": {"forecast": 266, "actual": 263, "index": "moderate"}},
        {"from": "2023-11-14T11:00Z", "to": "2023-11-14T11:30Z",
         "intensity": {"forecast": 240, "actual": None, "index": "moderate"}},
    ]
}  # fmt: skip
UK_REGION = {
    "data": {"regionid": 13, "shortname": "London", "postcode": "SW1", "data": [
        {"from": "2023-11-14T10:30Z", "to": "2023-11-14T11:00Z", "intensity": {"forecast": 91, "index": "low"}},
    ]}
}  # fmt: skip
MAPS = {
    "zone": "DE", "temporalGranularity": "hourly", "history": [
        {"zone": "DE", "carbonIntensity": 302, "datetime": "2023-11-14T09:00:00.000Z",
         "updatedAt": "2023-11-15T01:00:00.000Z", "emissionFactorType": "lifecycle", "isEstimated": False},
        {"zone": "DE", "carbonIntensity": None, "datetime": "2023-11-14T10:00:00.000Z", "isEstimated": True},
    ],
}  # fmt: skip


def series(sequence: int, resolution: str, *points: tuple[int, float]) -> str:
    told = "".join(
        f"<Point><position>{position}</position><price.amount>{price}</price.amount></Point>"
        for position, price in points
    )
    return (
        f"<TimeSeries><mRID>1</mRID><businessType>A62</businessType><currency_Unit.name>EUR</currency_Unit.name>"
        f"<price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
        f"<classificationSequence_AttributeInstanceComponent.position>{sequence}"
        f"</classificationSequence_AttributeInstanceComponent.position><curveType>A03</curveType><Period>"
        f"<timeInterval><start>2023-11-13T23:00Z</start><end>2023-11-14T03:00Z</end></timeInterval>"
        f"<resolution>{resolution}</resolution>{told}</Period></TimeSeries>"
    )


def document(*parts: str) -> bytes:
    space = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Publication_MarketDocument xmlns="{space}">'
        f"<type>A44</type>{''.join(parts)}</Publication_MarketDocument>"
    ).encode()


DAY_AHEAD = document(series(1, "PT60M", (1, 91.2), (2, -4.5), (4, 60.0)), series(2, "PT60M", (1, 1.0), (2, 2.0)))


def asked(make_config: ConfigFactory, told: Any, quantity: GridQuantity = "carbon", **settings: Any) -> list[GridSpan]:
    """What the source of these settings makes of an answer; ``seen`` is what it was asked."""

    def respond(question: Asked) -> Told:
        seen.append(question)
        return told if isinstance(told, Told) else Told(told)

    with MeterServer(respond) as server:
        source = GridSettings(url=server.url, **settings)
        kind = grid_kind(source.kind)
        assert kind is not None
        one = made("wattview.probes.grid", kind.place, source, make_config())
        return asyncio.run(one.spans(START, START + 2 * HOUR))[quantity]


seen: list[Asked] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


def test_great_britain_uses_actual_values_then_forecasts(make_config: ConfigFactory) -> None:
    found = asked(make_config, UK, kind="uk-carbon-intensity")
    assert found == [GridSpan(START, START + HALF, 263), GridSpan(START + HALF, START + HOUR, 240)]
    assert seen[0].path == "/intensity/2023-11-14T10:30Z/2023-11-14T12:30Z"
    assert asked(make_config, UK_REGION, kind="uk-carbon-intensity", zone="SW1") == [GridSpan(START, START + HALF, 91)]
    assert seen[1].path.endswith("/postcode/SW1")


def test_electricity_maps_wants_its_key_in_a_header(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPS_KEY", "s3cret")
    found = asked(make_config, MAPS, kind="electricity-maps", zone="DE", token_env="MAPS_KEY")
    nine = datetime(2023, 11, 14, 9, tzinfo=UTC).timestamp()
    assert found == [GridSpan(nine, nine + HOUR, 302)]
    assert {name.lower(): value for name, value in seen[0].headers.items()}["auth-token"] == "s3cret"
    with pytest.raises(SourceError, match="rejects this key") as refused:
        asked(make_config, Told({}, 401), kind="electricity-maps", zone="DE", token_env="MAPS_KEY")
    with pytest.raises(SourceError, match="needs a key"):
        asked(make_config, MAPS, kind="electricity-maps", zone="DE")
    assert "s3cret" not in str(refused.value)


def test_day_ahead_prices_are_of_the_coupled_auction_and_repeat_what_is_left_out(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Positions 1, 2 and 4 of 4: the third hour is as the second. Twice the price for taxes, and 0.10 for the net."""
    monkeypatch.setenv("ENTSOE", "t0ken")
    caplog.set_level("DEBUG", "wattview")
    more = {"token_env": "ENTSOE", "factor": 2.0, "per_kwh": 0.10}
    found = asked(make_config, Told(DAY_AHEAD), "price", kind="entsoe", zone="de-lu", **more)
    midnight = datetime(2023, 11, 13, 23, tzinfo=UTC).timestamp()
    assert [(span.start - midnight, span.end - midnight) for span in found] == [
        (0, 3600),
        (3600, 10800),
        (10800, 14400),
    ]
    assert [span.value for span in found] == [pytest.approx(v) for v in (0.2824, 0.091, 0.22)]
    assert "in_Domain=10Y1001A1001A82H&" in seen[0].path
    assert "periodStart=202311141000&periodEnd=202311141200" in seen[0].path
    with pytest.raises(SourceError) as refused:
        asked(make_config, Told(b"", 401), "price", kind="entsoe", zone="FR", **more)
    assert "t0ken" not in f"{refused.value}{refused.value.fix}{caplog.text}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "did not answer XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "entities"),
        (document("<Reason><code>999</code><text>No matching data found</text></Reason>"), "No matching data found"),
        (document(series(1, "P1Y", (1, 2.0))), "a resolution of 'P1Y'"),
        (document(series(1, "PT60M", (1, 2.0)).replace("MWH", "GJ")), "a price for each GJ"),
    ],
)
def test_answers_without_prices_give_a_reason(body: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        prices(body, GridSettings(kind="entsoe"))


def test_each_row_of_a_csv_file_is_valid_until_the_next() -> None:
    text = "time,carbon_g_per_kwh,price_per_kwh\n2023-11-14T11:30:00+01:00,400,0.30\n2023-11-14T11:00Z,,0.25\n"
    found = rows_to_spans(text, "grid.csv", GridSettings(kind="csv", file="grid.csv"))
    assert found["carbon"] == [GridSpan(START, START + HALF, 400)]
    assert found["price"] == [GridSpan(START, START + HALF, 0.30), GridSpan(START + HALF, START + HOUR, 0.25)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when,carbon_g_per_kwh\n", "the first line must name time"),
        ("time,carbon_g_per_kwh\n2023-11-14T10:30,400\n", "line 2: .* has no time zone"),
        ("time,carbon_g_per_kwh\n1700000000,many\n", "line 2: could not convert"),
        ("time,carbon_g_per_kwh\n1700000000,nan\n", "line 2: a value is not a number"),
        ("time,carbon_g_per_kwh\n1700000000,99999\n", "99999 is not a possible carbon of a kWh"),
        ("", "the first line must name time"),
    ],
)
def test_an_error_in_a_file_names_its_line(text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        rows_to_spans(text, "grid.csv", GridSettings(kind="csv", file="grid.csv"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kind = "nuclear"', r"cost.grid\[0\].kind: expected one of csv"),
        ('kind = "csv"', r"cost.grid\[0\].file: needed by"),
        ('kind = "csv"\nfile = "x"\nzone = "DE"', r"cost.grid\[0\].zone: a source of kind csv has none"),
    ],
)
def test_invalid_settings_are_reported(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "wattview.toml"
    file.write_text(f"[[cost.grid]]\n{table}\n")
    with pytest.raises(ConfigError, match=said):
        load(file, environ={"HOME": str(tmp_path)})


NOISE = st.text(st.sampled_from('0123456789-:T.Z,\n"ePM<>/x '), max_size=60)


@given(NOISE)
def test_any_text_of_a_file_is_rows_or_a_fault(noise: str) -> None:
    try:
        found = rows_to_spans("time,carbon_g_per_kwh\n" + noise, "x", GridSettings(kind="csv", file="x"))
    except SourceError as error:
        assert error.reason.startswith("x") or "no carbon" in error.reason
    else:
        assert all(span.start < span.end for span in found["carbon"])


@given(st.binary(max_size=40) | NOISE.map(str.encode), st.integers(0, 900))
def test_any_damage_to_a_document_is_prices_or_a_fault(noise: bytes, place: int) -> None:
    try:
        found = prices(DAY_AHEAD[:place] + noise + DAY_AHEAD[place + len(noise) :], GridSettings(kind="entsoe"))
    except SourceError as error:
        assert error.reason
    else:
        assert found == sorted(found)


@pytest.mark.parametrize(
    "text",
    [
        "time,price_per_kwh\ninf,1\n",
        "time,price_per_kwh\nnan,1\n",
        "time,price_per_kwh\n1e308,1\n1.1e308,1\n",
        "time,price_per_kwh\n" + "1,1\n" * (MAX_SPANS + 1),
        "time,price_per_kwh\n1," + "9" * 1_000_000,
        "time," * 500_000,
        "time,price_per_kwh," + "x," * 500_000 + "\n" + "1e300,1\n" * 200_000,
        '"' * 1_000_001,
    ],
    ids=("inf", "nan", "1e308", "rows", "number", "columns", "columns and rows", "quotes"),
)
def test_a_hostile_file_soon_becomes_a_fault_or_is_ignored(text: str) -> None:
    began = time.process_time()
    try:
        assert rows_to_spans(text, "grid.csv", GridSettings(kind="csv", file="grid.csv")) == {"price": []}
    except SourceError as error:
        assert len(str(error)) < 300
    assert time.process_time() - began < 5.0


async def test_special_files_are_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "endless"
    link.symlink_to("/dev/zero")
    for path in (fifo, link, tmp_path):
        source = CsvFile(GridSettings(kind="csv", file=str(path)), Config())
        with pytest.raises(SourceError):
            async with asyncio.timeout(5):
                await source.spans(0.0, 1.0)


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 400_000,
        b"<a/>" * 1_000_000,
        b"<a " + b"b='c' " * 1_000_000,
        b"<![CDATA[" * 100_000,
        b"<a xmlns='" + b"u" * 4_000_000 + b"'>" + b"<b/>" * 200_000,
        b"<a xmlns='" + b"u" * 100_000 + b"'>" + b"<b/>" * 200_000,
        b"<a " + b" ".join(b"a%x=''" % number for number in range(700_000)) + b"/>",
    ],
    ids=("deep", "many", "attributes", "data", "long name space", "name space", "different attributes"),
)
def test_a_hostile_xml_document_soon_becomes_a_fault(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(SourceError):
        prices(b"<x>" + body, GridSettings(kind="entsoe", zone="FR"))
    assert time.process_time() - began < 5.0
