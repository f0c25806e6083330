"""Energy priced by the hour it was used in."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.analysis_cases import START, evidence, line, record
from wattview.analysis.pricing import tariff
from wattview.analysis.results import analyse
from wattview.config import ConfigError, Cost, Tariff, load

BERLIN = ZoneInfo("Europe/Berlin")
PRICES = Cost(
    energy_per_kwh=0.30,
    timezone="Europe/Berlin",
    tariff=(
        Tariff(energy_per_kwh=0.10, start="22:00", end="06:00"),
        Tariff(energy_per_kwh=0.20, days=("sat", "sun")),
    ),
)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2025-01-06T12:00", 0.30), ("2025-01-06T21:59", 0.30), ("2025-01-06T22:00", 0.10), ("2025-01-07T05:59", 0.10),
        ("2025-01-07T06:00", 0.30), ("2025-01-11T12:00", 0.20), ("2025-01-11T23:00", 0.10), ("2025-07-07T06:00", 0.30),
    ],
)  # fmt: skip
def test_the_first_row_that_applies_gives_the_price(at: str, price: float) -> None:
    assert tariff.price_at(moment(at), PRICES) == price


def test_a_row_past_midnight_belongs_to_the_day_on_which_it_began() -> None:
    friday = Cost(
        timezone="Europe/Berlin", tariff=(Tariff(energy_per_kwh=1.0, start="22:00", end="06:00", days=("fri",)),)
    )
    assert tariff.price_at(moment("2025-01-10T23:00"), friday) == 1.0
    assert tariff.price_at(moment("2025-01-11T05:00"), friday) == 1.0
    assert tariff.price_at(moment("2025-01-10T05:00"), friday) == 0.12
    assert tariff.price_at(moment("2025-01-11T23:00"), friday) == 0.12


def test_a_window_is_cut_where_the_price_changes() -> None:
    found = tariff.slices(moment("2025-01-06T21:00"), moment("2025-01-07T07:00"), PRICES)
    assert found == [
        (moment("2025-01-06T21:00"), moment("2025-01-06T22:00"), 0.30),
        (moment("2025-01-06T22:00"), moment("2025-01-07T00:00"), 0.10),
        (moment("2025-01-07T00:00"), moment("2025-01-07T06:00"), 0.10),
        (moment("2025-01-07T06:00"), moment("2025-01-07T07:00"), 0.30),
    ]


def test_a_night_tariff_applies_across_midnight() -> None:
    cost = tariff.energy_cost(
        lambda start, end: 1000.0 * (end - start), moment("2025-01-06T21:00"), moment("2025-01-07T07:00"), PRICES
    )
    assert cost == pytest.approx(2 * 0.30 + 8 * 0.10)


def test_the_night_in_which_the_clock_is_put_forward_is_an_hour_shorter() -> None:
    weekdays = Cost(energy_per_kwh=0.0, timezone="Europe/Berlin", tariff=(Tariff(energy_per_kwh=1.0, end="06:00"),))
    cost = tariff.energy_cost(
        lambda start, end: 1000.0 * (end - start), moment("2025-03-30T00:00"), moment("2025-03-31T00:00"), weekdays
    )
    assert cost == pytest.approx(5.0)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
@pytest.mark.parametrize("clock", ["00:30", "01:30", "02:00", "02:15", "02:30", "03:00"])
def test_a_year_costs_the_sum_of_its_minutes(zone: str, clock: str) -> None:
    """The clock is put back and forward in it, also by half an hour (Lord Howe) and at times of its own (Casablanca);
    the price changes before, in and after the hour that is there twice or not at all."""
    prices = Cost(energy_per_kwh=1.0, timezone=zone, tariff=(Tariff(energy_per_kwh=5.0, start=clock, end="12:00"),))
    changes = [moment(f"2025-{day}T00:00") for day in ("03-09", "03-30", "04-06", "02-23", "10-05", "10-26", "11-02")]
    for start in changes:
        end = start + 36 * 3600.0
        minutes = [tariff.price_at(start + 60.0 * at + 30.0, prices) for at in range(36 * 60)]
        cost = tariff.energy_cost(lambda one, other: 1000.0 * (other - one), start, end, prices)
        assert cost == pytest.approx(sum(minutes) / 60.0, rel=1e-9)


def test_the_hour_that_the_clock_repeats_has_its_prices_twice() -> None:
    """In Berlin 02:00 to 03:00 of 26 October 2025 is there twice, and from 02:30 on the price is 1 a kilowatt-hour."""
    prices = Cost(
        energy_per_kwh=0.0, timezone="Europe/Berlin", tariff=(Tariff(energy_per_kwh=1.0, start="02:30", end="03:00"),)
    )
    start = moment("2025-10-26T01:00")
    assert tariff.energy_cost(lambda one, other: 1000.0 * (other - one), start, start + 4 * 3600, prices) == 1.0
    assert [
        (round((left - start) / 60), round((right - start) / 60), price)
        for left, right, price in tariff.slices(start, start + 4 * 3600, prices)
        if price
    ] == [(90, 120, 1.0), (150, 180, 1.0)]


@given(st.floats(0, 1e6), st.floats(1, 1e6))
def test_the_parts_are_the_whole(offset: float, length: float) -> None:
    start = START + offset
    parts = tariff.slices(start, start + length, PRICES)
    assert (parts[0][0], parts[-1][1]) == (start, start + length)
    assert all(left[1] == right[0] for left, right in pairwise(parts))


def test_a_scenario_across_a_change_of_price() -> None:
    """START is 2023-11-14 22:13:20 UTC; the price changes 30 s into a minute at 50 W."""
    prices = Cost(
        energy_per_kwh=0.36, timezone="UTC",
        tariff=(Tariff(energy_per_kwh=0.72, start="22:13", end="22:14"),), pue=1.0,
    )  # fmt: skip
    rapl = line('wattview_host_energy_joules_total{source="rapl"}', 50.0)
    result = analyse(record(), evidence(rapl), prices)
    assert result.cost_energy == pytest.approx((40 * 50 * 0.72 + 20 * 50 * 0.36) / 3.6e6)


def test_a_tariff_comes_from_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "wattview.toml"
    path.write_text(
        '[cost]\ntimezone = "Europe/Berlin"\n[[cost.tariff]]\nenergy_per_kwh = 0.1\nstart = "22:00"\nend = "06:00"\n'
        'days = ["mon", "fri"]\n'
    )
    [row] = load(path, environ={"HOME": "/"}).cost.tariff
    assert (row.energy_per_kwh, row.start, row.days) == (0.1, "22:00", ("mon", "fri"))
    for wrong, said in (
        ('start = "24:30"', r"cost\.tariff\[0\]\.start: .*got '24:30'"),
        ('end = "6"', r"cost\.tariff\[0\]\.end: .*got '6'"),
        ('days = ["monday"]', r"cost\.tariff\[0\]\.days\[0\]: expected one of mon, tue, .*got 'monday'"),
    ):
        path.write_text(f"[[cost.tariff]]\nenergy_per_kwh = 0.1\n{wrong}\n")
        with pytest.raises(ConfigError, match=said):
            load(path, environ={"HOME": "/"})
    with pytest.raises(ConfigError, match=r"cost\.timezone: expected a name such as Europe/Berlin"):
        load(sets=["cost.timezone=Mars/Olympus"], environ={"HOME": "/"})
