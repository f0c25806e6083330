"""A day of many workloads as one result: read in pieces, its energy to the joule, and within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wattview.analysis.windows.parts import (
    OUTSIDE_POWER,
    STREAM_POWER,
    WORKLOAD_ENERGY,
    WORKLOAD_POWER,
    recorded_parts,
)
from wattview.daemon.history import sqlite
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.lab import recording
from wattview.daemon.lab.recording import parts_of

START, STEP, COUNT = 1_700_000_000.0, 5.0, 2000
END = START + STEP * COUNT


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    """Three hours of workloads at different powers, of which one begins, one ends and one begins anew in the middle."""
    found = SqliteHistory(tmp_path / "history.sqlite", retention_seconds=1e9)
    moments = []
    for number in range(COUNT + 1):
        values = {name: number * STEP * watts for name, watts in (("steady", 3.0), ("idle", 0.0))}
        values["varying"] = sum(divmod(number, 7)) * 11.0 + number
        if number > COUNT // 2 + 1:
            values["late"] = (number - COUNT // 2) * 10.0
        if number < COUNT // 3:
            values["early"] = number * 20.0
        values["anew"] = float(number if number < 1600 else number - 1590)
        keys = [(f'{WORKLOAD_ENERGY}{{kind="container",name="{name}"}}', value) for name, value in values.items()]
        moments.append((START + number * STEP, keys))
    await found.append_all(moments)
    yield found
    await found.close()


async def test_omitted_series_lose_no_energy(history: SqliteHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = START + 2.5, END - 1.0
    whole = recorded_parts(await history.samples(WORKLOAD_ENERGY, start, end), [], start, end)
    monkeypatch.setattr(recording, "KEPT_SAMPLES", 300)
    monkeypatch.setattr(recording, "PIECE_SECONDS", 1000.0)
    parts, lack = await parts_of(history, start, end)
    assert lack == ""
    joules = {part.name: part.energy_joules for part in parts}
    for part in whole:
        expected = None if part.energy_joules is None else pytest.approx(part.energy_joules, abs=1e-6)
        assert joules[part.name] == expected, part.name
    assert joules["anew"] is None, "its energy before is unknown"


async def test_a_long_window_without_idle_power_loses_no_energy_between_its_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples every 7 s, which is no divisor of a piece."""
    labels = 'includes_idle="true"'
    powers = {
        f"{OUTSIDE_POWER}{{{labels}}}": 1.0,
        f'{WORKLOAD_POWER}{{kind="process",name="steady",{labels}}}': 10.0,
        f'{STREAM_POWER}{{app="live",stream="cam",{labels}}}': 4.0,
    }
    history = SqliteHistory(tmp_path / "history.sqlite", retention_seconds=1e9)
    monkeypatch.setattr(recording, "PIECE_SECONDS", 1000.0)
    await history.append_all([(START + 7.0 * number, list(powers.items())) for number in range(1001)])
    parts, lack = await parts_of(history, START, START + 7000.0)
    await history.close()
    assert "includes it" in lack
    assert {one.name: one.energy_joules for one in parts} == {
        "steady": pytest.approx(70_000.0),
        "live/cam": pytest.approx(28_000.0),
    }
    assert all(one.includes_idle for one in parts)


async def test_what_would_take_all_memory_is_refused(history: SqliteHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_POINTS", 6_000)
    for ask in (history.samples(WORKLOAD_ENERGY, START, END), history.thinned(WORKLOAD_ENERGY, START, END, STEP)):
        with pytest.raises(HistoryError, match="samples; request a shorter time"):
            await ask
    parts, lack = await parts_of(history, START, END)
    assert {part.name for part in parts} >= {"steady", "varying"}, lack
