"""The times that ``wattview record`` takes."""

from __future__ import annotations

from datetime import datetime

import click
import pytest

from wattview.cli.measure.record import moment_of, seconds_of

NOW = datetime(2026, 11, 30, 15, 30)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2h", 7200)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "ten", "10 m", "-5m", "1d"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 90s"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [("14:00", datetime(2026, 11, 30, 14)), ("20:00", datetime(2026, 11, 29, 20)),
     ("2026-11-28T20:00", datetime(2026, 11, 28, 20)), ("15:30:00", NOW)],
)  # fmt: skip
def test_a_time_of_day_means_its_last_past_occurrence(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW) == moment.timestamp()


@pytest.mark.parametrize("text", ["25:00", "evening", ""])
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 20:00"):
        moment_of(text, NOW)


@pytest.mark.parametrize("text", ["0", "0m", "24h1s", "9999h"])
def test_a_window_without_length_or_longer_than_a_day_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="more than 0, at most 24h00m"):
        seconds_of(text)
