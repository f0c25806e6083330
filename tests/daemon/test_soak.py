"""Daemon and dashboard stay as they are on a machine whose figures all move: the soak, in two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.soak import Sample, Soaked, soak


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_daemon_and_dashboard_stay_flat(tmp_path: Path) -> None:
    """Fifteen times as fast as real: 26 minutes of ticks, scrapes and screens, of which the first ten warm up.

    What fills up by events and not by ticks (the log of the last 1,000) is not full by then: 10 MB are left to it. The
    footer's old keys, the last thing that was found growing, were 20 MB in that time.
    """
    for one in soak(tmp_path, seconds=105, speed=15):
        assert len(one.samples) >= 12
        assert one.grown(may_grow_megabytes=10.0) == []


def made(megabytes: list[float]) -> Soaked:
    samples = [
        Sample(seconds=60.0 * at, resident_megabytes=one, open_files=9, threads=3, cpu_seconds=at, history_megabytes=1)
        for at, one in enumerate(megabytes)
    ]
    return Soaked(name="daemon", samples=samples)


def test_what_grows_by_a_megabyte_a_minute_is_told_and_one_peak_is_not() -> None:
    assert made([60.0 + at for at in range(60)]).grown() == ["daemon: resident_megabytes grew from 67.0 to 112.0"]
    assert made([60.0] * 30 + [200.0] + [60.0] * 29).grown() == []
    assert made([60.0, 61.0] * 30).grown() == []
