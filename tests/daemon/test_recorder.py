"""What the recorder promises: readings taken after a mark, peaks that are kept, a failing history that is said once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.powercap import Constant, PowercapTree, Spikes, machine
from tests.support.wall import uncalibrated
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.recorder import PEAK, Recorder
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.sampler import Sampler
from wattview.probes.registry import REGISTRY

JOULES = 'wattview_host_energy_joules_total{source="rapl"}'


@pytest.fixture
async def sampler(make_config: ConfigFactory, tmp_path: Path) -> AsyncIterator[Sampler]:
    """The power of a simulated machine, read by the clock."""
    began = time.monotonic()
    tree = PowercapTree(tmp_path / "sys", machine(Constant(40)))
    power = next(entry for entry in REGISTRY if entry.name == "power")
    sampler = Sampler(make_config(f"paths.sysfs={tmp_path / 'sys'}"), [power])
    sampler.start()
    tree.write(time.monotonic() - began)
    yield sampler
    sampler.close()
    tree.close()


def recorder_of(
    sampler: Sampler, history: SqliteHistory, make_config: ConfigFactory, state: Path, interval_seconds: float = 60
) -> Recorder:
    attributor = Attributor(make_config(), sampler, lambda: None)
    return Recorder(sampler, history, attributor, uncalibrated(state), interval_seconds)


async def test_readings_after_a_mark_cover_it(sampler: Sampler, make_config: ConfigFactory, tmp_path: Path) -> None:
    history = SqliteHistory(tmp_path / "history.sqlite", 3600)
    recorder = Recorder(
        sampler, history, Attributor(make_config(), sampler, lambda: None), uncalibrated(tmp_path), interval_seconds=60
    )
    for _ in range(5):
        called = time.time()
        await recorder.mark()
        (series,) = await history.samples(JOULES, called - 5, time.time() + 5)
        assert series.points[-1][0] >= called
    await history.close()


async def test_a_tick_keeps_the_largest_power_since_the_last_one(make_config: ConfigFactory, tmp_path: Path) -> None:
    config = make_config(f"paths.sysfs={tmp_path / 'sys'}")
    history = SqliteHistory(tmp_path / "history.sqlite", 3600)
    tree = PowercapTree(tmp_path / "sys", machine(Spikes(20.0, 200.0, 60.0, 0.4)))
    tree.write(59.3)
    began = time.monotonic() - 59.3
    sampler = Sampler(config, [next(entry for entry in REGISTRY if entry.name == "power")])
    sampler.start()
    recorder = recorder_of(sampler, history, make_config, tmp_path)
    for marked in (61.4, 62.6):
        while time.monotonic() - began < marked:
            tree.write(time.monotonic() - began)
            await asyncio.sleep(0.01)
        await recorder.mark()
    sampler.close()
    tree.close()
    (series,) = await history.samples(PEAK, time.time() - 60, time.time() + 60)
    first, *later = [watts for _, watts in series.points]
    assert first > 150, "of the spike more than a second ago"
    assert later, "a machine that goes on is measured"
    assert all(watts < 60 for watts in later), "a peak is told once"
    await history.close()


async def test_a_failing_and_a_recovered_history_are_reported_once_each(
    sampler: Sampler,
    make_config: ConfigFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wattview.history")
    history = SqliteHistory(tmp_path / "history.sqlite", 3600)
    recorder = Recorder(
        sampler, history, Attributor(make_config(), sampler, lambda: None), uncalibrated(tmp_path), interval_seconds=60
    )

    async def full(rows: object) -> None:
        raise HistoryError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(history, "append_all", full)
        await recorder.mark()
        await recorder.mark()
    await recorder.mark()
    assert [record.getMessage() for record in caplog.records] == [
        "the history cannot be written: the disk is full",
        "the history can be written again",
    ]
    await history.close()


async def test_nothing_ends_the_recording_silently(
    sampler: Sampler, make_config: ConfigFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO, "wattview.history")
    history = SqliteHistory(tmp_path / "history.sqlite", 3600)
    recorder = Recorder(
        sampler,
        history,
        Attributor(make_config(), sampler, lambda: None),
        uncalibrated(tmp_path),
        interval_seconds=0.05,
    )
    append = history.append_all
    failed = asyncio.Event()

    async def unforeseen(rows: object) -> None:
        failed.set()
        raise KeyError("what nobody thought of")

    monkeypatch.setattr(history, "append_all", unforeseen)
    recorder.start()
    await failed.wait()
    monkeypatch.setattr(history, "append_all", append)
    await recorder.mark()
    await recorder.close()
    await history.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the history cannot be written: KeyError: 'what nobody thought of'",
        "the history can be written again",
    ]


async def test_setting_the_clock_back_stops_nothing(
    sampler: Sampler, make_config: ConfigFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three days back: marks are covered at once, facts are written again in a minute and shares of the power too."""
    history = SqliteHistory(tmp_path / "history.sqlite", 86400)
    attributor = Attributor(make_config(), sampler, lambda: None)
    recorder = Recorder(sampler, history, attributor, uncalibrated(tmp_path), interval_seconds=60)
    shares = iter([(5000.0, [("share", 1.0)]), (100.0, [("share", 2.0)]), (100.0, [("share", 2.0)])])
    monkeypatch.setattr(attributor, "kept", lambda: next(shares))
    await recorder.mark()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3 * 86400)
    began = time.monotonic()
    await recorder.mark()
    assert time.monotonic() - began < 1.9, "a mark must not wait for a reading of the future"
    await recorder.mark()
    assert [(at, value) for series in await history.samples("share", 0, 6000) for at, value in series.points] == [
        (100.0, 2.0),
        (5000.0, 1.0),
    ]
    [series] = await history.samples(JOULES, now() - 3 * 86400 - 60, now() - 3 * 86400 + 60)
    assert len(series.points) == 2
    await history.close()
