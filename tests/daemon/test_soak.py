"""Daemon and dashboards stay as they are on a machine whose figures all move: an hour's soak, in three minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.soak import MAY_RISE, Sample, Soaked, soak


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_daemon_and_dashboards_stay_flat(tmp_path: Path) -> None:
    """Twenty times as fast as real: an hour of ticks, scrapes and visits, of which the first ten minutes warm up.

    8 MB are left to caches that have a size and are not full by then. The leaks that there were took 1.8 MB a minute.
    """
    for one in soak(tmp_path, seconds=180, speed=20, web=True):
        assert len(one.samples) >= 30
        rises = {figure: one.rise(figure) for figure in MAY_RISE}
        assert rises["resident_megabytes"] < 8.0, one.row()
        assert [line for line in one.risen() if "resident" not in line] == []


def made(megabytes: list[float]) -> Soaked:
    samples = [
        Sample(seconds=60.0 * at, resident_megabytes=one, open_files=9, threads=3, cpu_seconds=at, history_megabytes=1)
        for at, one in enumerate(megabytes)
    ]
    return Soaked(name="daemon", samples=samples)


def test_a_steady_rise_is_reported_but_not_a_peak_or_the_start() -> None:
    assert made([60.0 + at / 10 for at in range(60)]).risen() == ["daemon: resident_megabytes rose by 2.9 in 0.5 h"]
    assert made([60.0] * 50 + [200.0] + [60.0] * 9).risen() == []
    assert made([30.0 + at for at in range(30)] + [60.0] * 30).risen() == []
    assert made([60.0, 61.0] * 30).risen() == []
