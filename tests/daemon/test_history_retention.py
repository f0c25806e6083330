"""What the embedded history keeps, for how long, and that no clock can make it forget."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.embedded_history import DAY, HOUR, NOW, WEEK, count
from wattview.daemon.history.sqlite import SqliteHistory


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    history = SqliteHistory(tmp_path / "history.sqlite", WEEK)
    yield history
    await history.close()


async def test_samples_older_than_the_retention_go_and_their_series_with_them(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, retention_seconds=3600)
    for at in range(0, 3 * 86400, 600):
        container = f'container{{name="c{at // 86400}"}}'
        await history.append(NOW + at, [("a", at), (container, 1)])
    [series] = await history.samples("a", NOW, NOW + 3 * 86400)
    assert series.points[0][0] >= NOW + 3 * 86400 - 600 - 3600
    assert len(series.points) == 7
    for at in range(5 * 86400, 5 * 86400 + 7200, 600):
        await history.append(NOW + at, [("a", 1)])
    history = await restarted(history, NOW + 6 * 86400)
    await history.close()
    with sqlite3.connect(path) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM series")]
        layouts = connection.execute("SELECT count(*) FROM layouts").fetchone()[0]
    assert keys == ["a"]
    assert layouts <= 3


async def restarted(history: SqliteHistory, at: float) -> SqliteHistory:
    """The same history in another daemon, that has begun to write."""
    await history.close()
    again = SqliteHistory(history.path, retention_seconds=3600)
    await again.append(at, [("a", 1)])
    return again


async def test_one_jump_of_the_clock_deletes_no_sample(history: SqliteHistory) -> None:
    for at in range(0, 1000, 5):
        await history.append(NOW + at, [("a", at)])
    await history.append(NOW + 20 * 365 * 86400, [("a", 0)])
    await history.append(NOW + 1000, [("a", 1000)])
    [series] = await history.samples("a", NOW, NOW + 1000)
    assert len(series.points) == 201


async def record(history: SqliteHistory, start: float, seconds: int, step: int = 60) -> None:
    for at in range(0, seconds, step):
        await history.append(start + at, [("a", at)])


@pytest.mark.parametrize("days", [3, 30, -3, -30, 3650])
async def test_setting_the_clock_far_ahead_deletes_no_recent_samples(tmp_path: Path, days: int) -> None:
    history = SqliteHistory(tmp_path / "history.sqlite", retention_seconds=6 * HOUR)
    await record(history, NOW, HOUR)
    await record(history, NOW + days * DAY, 4 * HOUR)
    assert await count(history, NOW - 1, NOW + HOUR) == 60
    history = await restarted_with(history, 6 * HOUR)
    await record(history, NOW + HOUR, HOUR // 2)
    assert await count(history, NOW - 1, NOW + HOUR - 61) == 60, "set right again, and the daemon anew"
    assert await count(history, NOW + days * DAY - 1, NOW + days * DAY + 4 * HOUR) == 240
    await record(history, NOW + HOUR + HOUR // 2, 8 * HOUR)
    assert await count(history, NOW - 1, NOW + HOUR - 1) == 0, "more than the retention was recorded after it"
    assert await count(history, NOW + days * DAY - 1, NOW + days * DAY + 4 * HOUR) == 0
    await history.close()


async def restarted_with(history: SqliteHistory, retention: float) -> SqliteHistory:
    await history.close()
    return SqliteHistory(history.path, retention)


async def test_a_machine_that_was_off_for_a_month_finds_its_history_again(tmp_path: Path) -> None:
    history = SqliteHistory(tmp_path / "history.sqlite", retention_seconds=DAY)
    await record(history, NOW, HOUR)
    history = await restarted_with(history, DAY)
    await record(history, NOW + 30 * DAY, HOUR)
    assert await count(history, NOW, NOW + HOUR) == 60
    await history.close()


async def test_an_older_history_is_divided_into_spans(tmp_path: Path) -> None:
    """A form that knew no spans, with a row of a clock that had jumped: it must not age all others."""
    history = SqliteHistory(tmp_path / "history.sqlite", retention_seconds=2 * HOUR)
    await record(history, NOW, HOUR)
    await history.append(NOW + 20 * 365 * DAY, [("a", 1)])
    await history.close()
    with sqlite3.connect(history.path) as file:
        file.execute("DROP TABLE spans")
    history = SqliteHistory(history.path, retention_seconds=2 * HOUR)
    await record(history, NOW + HOUR, HOUR // 2)
    assert await count(history, NOW, NOW + HOUR - 61) == 60
    await history.close()


JUMPS = st.lists(st.integers(-100 * DAY, 100 * DAY), max_size=6)
ONWARD = st.lists(st.integers(0, 100 * DAY), max_size=6)


async def rows_after(directory: Path, jumps: list[int], hours: int) -> tuple[int, int]:
    """Rows a minute apart, an hour between two jumps: how many were written, and how many are kept."""
    history = SqliteHistory(directory / "h.sqlite", retention_seconds=hours * HOUR)
    now = NOW
    for jump in [*jumps, 0]:
        now += jump
        await record(history, now, HOUR)
        now += HOUR
    await history.close()
    with sqlite3.connect(history.path) as file:
        return 60 * (len(jumps) + 1), int(file.execute("SELECT count(*) FROM ticks").fetchone()[0])


@given(JUMPS, st.integers(1, 5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_the_clock_jumps_each_jump_costs_no_more_than_a_quarter_of_an_hour(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int], hours: int
) -> None:
    written, kept = await rows_after(tmp_path_factory.mktemp("history"), jumps, hours)
    assert kept >= min(written, 60 * hours - 15 * len(jumps)) - 1


@given(ONWARD, st.integers(1, 5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_the_clock_jumps_onward_little_more_than_the_retention_is_kept(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int], hours: int
) -> None:
    written, kept = await rows_after(tmp_path_factory.mktemp("history"), jumps, hours)
    assert kept <= min(written, 60 * hours + 25)


async def test_series_that_come_and_go_all_day_leave_with_their_samples(tmp_path: Path) -> None:
    """Two containers each five seconds, kept for ten minutes: neither file nor process keeps the others' names."""
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, 600.0)
    for at in range(2_000):
        names = [f'container{{name="c{2 * at + place}"}}' for place in range(10)]
        await history.append(NOW + 5.0 * at, [(name, float(at)) for name in names])
    assert len(history._ids) < 2_000
    [series] = await history.samples('container{name="c3995"}', NOW, NOW + 20_000)
    assert len(series.points) >= 2
    await history.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM series").fetchone()[0] < 1_000
        assert connection.execute("SELECT count(*) FROM layouts").fetchone()[0] < 1_000
