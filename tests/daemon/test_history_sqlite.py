"""The embedded history: what was appended comes back, old samples go, and a bad file costs only itself."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.embedded_history import NOW, WEEK, history_of, many
from wattview.daemon.history.protocol import HistoryError, steps, thin, trimmed
from wattview.daemon.history.sqlite import SqliteHistory

ENERGY = 'wattview_host_energy_joules_total{source="rapl"}'


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    history = SqliteHistory(tmp_path / "state" / "history.sqlite", WEEK)
    yield history
    await history.close()


async def test_a_window_includes_one_neighbour_on_either_side(history: SqliteHistory) -> None:
    for at in range(0, 60, 5):
        await history.append(NOW + at, [(ENERGY, 1000.5 + at), ("wattview_host_cpus", 4)])
    [series] = await history.samples("wattview_host_energy_joules_total", NOW + 11, NOW + 22)
    assert series.name == ENERGY
    assert series.points == [(NOW + at, 1000.5 + at) for at in (10, 15, 20, 25)]


async def test_a_sample_far_outside_the_window_is_not_a_neighbour(history: SqliteHistory) -> None:
    await history.append(NOW, [("a", 1)])
    await history.append(NOW + 100, [("a", 2)])
    await history.append(NOW + 200, [("a", 3)])
    [series] = await history.samples("a", NOW + 99, NOW + 101)
    assert series.points == [(NOW + 100, 2.0)]
    assert await history.samples("a", NOW + 300, NOW + 301) == []


async def test_a_selector_matches_the_series_that_have_its_labels(history: SqliteHistory) -> None:
    odd = 'stream_watts{app="live",stream="a \\"b\\"\\n✓,}"}'
    await history.append(NOW, [('watts{a="1",b="2"}', 1), ('watts{a="1"}', 2), ("watts_total", 3), (odd, 4)])

    async def names(selector: str) -> list[str]:
        return [series.name for series in await history.samples(selector, NOW, NOW)]

    assert await names("watts") == ['watts{a="1",b="2"}', 'watts{a="1"}']
    assert await names('watts{b="2"}') == ['watts{a="1",b="2"}']
    assert await names('watts{a="1",b=""}') == ['watts{a="1"}']
    assert await names('stream_watts{stream="a \\"b\\"\\n✓,}"}') == [odd]
    assert await names("nothing") == []
    with pytest.raises(ValueError, match="not a series name"):
        await names("rate(watts[5m])")


async def test_two_appends_of_the_same_moment_are_both_kept(history: SqliteHistory) -> None:
    await history.append(NOW, [("a", 1), ("b", 1)])
    await history.append(NOW, [("a", 2)])
    [series] = await history.samples("a", NOW, NOW + 1)
    assert [value for _, value in series.points] == [1.0, 2.0]
    assert series.points[1][0] == pytest.approx(NOW, abs=1e-5)


async def test_an_infinite_value_is_not_a_sample(history: SqliteHistory) -> None:
    await history.append(NOW, [("a", float("nan")), ("b", float("inf")), ("c", 0.0)])
    await history.append(NOW + 1, [("a", float("nan"))])
    assert await history.samples("a", NOW - 5, NOW + 5) == []
    assert await history.samples("b", NOW - 5, NOW + 5) == []
    assert [series.points for series in await history.samples("c", NOW, NOW)] == [[(NOW, 0.0)]]


async def test_a_graph_holds_the_last_value_at_or_before_each_step(history: SqliteHistory) -> None:
    for at in range(0, 600, 5):
        await history.append(NOW + at, [("a", at), ("b", -at)] if at < 300 else [("a", at)])
        await history.append(NOW + at + 1, [("mark", 1)])
    [series] = await history.thinned("a", NOW, NOW + 599, 60)
    assert series.points == [(NOW + at, float(at)) for at in range(0, 600, 60)]
    [ended] = await history.thinned("b", NOW, NOW + 599, 60)
    assert [at - NOW for at, _ in ended.points] == [0, 60, 120, 180, 240, 300]
    [fine] = await history.thinned("a", NOW + 0.5, NOW + 9.5, 1)
    assert [value for _, value in fine.points] == [0.0] * 5 + [5.0] * 5


async def test_a_graph_of_too_many_points_is_refused(history: SqliteHistory) -> None:
    with pytest.raises(ValueError, match="at most 20000 steps"):
        await history.thinned("a", NOW, NOW + 86400, 1)
    with pytest.raises(ValueError, match="step of more than 0"):
        await history.thinned("a", NOW, NOW + 60, 0)
    with pytest.raises(ValueError, match="start first"):
        await history.thinned("a", NOW, NOW - 60, 1)


async def test_one_day_of_fifty_series_takes_less_than_9_megabytes(tmp_path: Path) -> None:
    """Two hours are written, at the real rate and with values that do not compress; twelve times that is a day."""
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, WEEK)
    keys = [f'wattview_container_energy_joules_total{{name="container-{number}"}}' for number in range(50)]
    for tick in range(1440):
        await history.append(NOW + 5 * tick, [(key, tick * 7.123 + at / 3) for at, key in enumerate(keys)])
    await history.close()
    assert path.stat().st_size * 12 < 9_000_000
    assert not path.with_name(path.name + "-wal").exists()


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    for run in range(3):
        history = SqliteHistory(path, WEEK)
        await history.append(NOW + run, [("a", run), ("b", 1)])
        await history.close()
    history = SqliteHistory(path, WEEK)
    [series] = await history.samples("a", NOW, NOW + 3)
    await history.close()
    assert [value for _, value in series.points] == [0, 1, 2]


async def test_reading_and_writing_are_concurrent(history: SqliteHistory) -> None:
    async def write() -> None:
        for at in range(200):
            await history.append(NOW + at, [("a", at)])

    async def read() -> int:
        longest = 0
        for _ in range(50):
            found = await history.samples("a", NOW, NOW + 200)
            length = len(found[0].points) if found else 0
            assert length >= longest
            longest = length
        return longest

    await asyncio.gather(write(), read(), read())
    assert await read() == 200


async def test_concurrent_starts_create_one_new_file(tmp_path: Path) -> None:
    for attempt in range(20):
        history = SqliteHistory(tmp_path / f"{attempt}.sqlite", WEEK)
        await asyncio.gather(history.append(NOW, [("a", 1)]), history.samples("a", NOW, NOW))
        await history.close()


async def test_after_close_every_call_says_so(history: SqliteHistory) -> None:
    await history.append(NOW, [("a", 1)])
    await history.close()
    await history.close()
    with pytest.raises(HistoryError, match="is closed"):
        await history.append(NOW, [("a", 1)])


# the pure parts

POINTS = st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e9, 1e9)), max_size=20).map(sorted)


@given(POINTS, st.floats(0, 1000), st.floats(0, 500))
def test_trimming_keeps_the_window_and_at_most_one_neighbour_each(
    points: list[tuple[float, float]], start: float, length: float
) -> None:
    end = start + length
    kept = trimmed(points, start, end)
    inside = [point for point in points if start <= point[0] <= end]
    before = [point for point in points if point[0] < start]
    after = [point for point in points if point[0] > end]
    assert kept == before[-1:] + inside + after[:1]


@given(POINTS, st.floats(0, 900), st.floats(0.5, 50), st.floats(1, 100))
def test_thinning_gives_the_last_value_before_each_step(
    points: list[tuple[float, float]], start: float, step: float, lookback: float
) -> None:
    times = steps(start, start + 10 * step, step)
    assert len(times) == 11
    thinned = dict(thin(points, times, lookback))
    for time in times:
        near = [value for at, value in points if at <= time and time - at < lookback]
        assert thinned.get(time) == (near[-1] if near else None)


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.dictionaries(st.sampled_from("abcde"), st.floats(-1e300, 1e300))),
        min_size=1, max_size=15,
    )
)  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_appended_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, ticks: list[tuple[int, dict[str, float]]]
) -> None:
    history = history_of(tmp_path_factory.mktemp("history") / "h.sqlite")
    kept = {float(NOW + at): values for at, values in ticks}
    for at, values in kept.items():
        await history.append(at, values.items())
    for key in "abcde":
        expected = [(at, values[key]) for at, values in sorted(kept.items()) if key in values]
        found = await history.samples(key, NOW, NOW + 3000)
        assert (found[0].points if found else []) == expected
    await history.close()


# long rows


async def test_a_long_row_round_trips_in_less_space(tmp_path: Path) -> None:
    sizes = {}
    for count in (100, 1000):
        history = SqliteHistory(tmp_path / f"{count}.sqlite", 1e9)
        rows = [many(count, tick) for tick in range(50)]
        for tick, row in enumerate(rows):
            await history.append(1000.0 + tick, row)
        found = await history.samples("rate", 1000.0, 1049.0)
        assert {one.name: [value for _, value in one.points] for one in found} == {
            name: [row[place][1] for row in rows] for place, (name, _) in enumerate(rows[0])
        }
        thinned = await history.thinned('rate{name="c2"}', 1010.0, 1020.0, 5.0)
        assert thinned[0].points == [(t, (2 * (t - 1000)) % 97.3) for t in (1010.0, 1015.0, 1020.0)]
        await history.close()
        with sqlite3.connect(tmp_path / f"{count}.sqlite") as file:
            sizes[count] = file.execute("SELECT avg(length(data)) FROM ticks").fetchone()[0]
    assert sizes[100] == 800
    assert sizes[1000] < 0.75 * 8000


async def test_a_history_of_the_first_format_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    history = SqliteHistory(path, 1e9)
    await history.append(1000.0, many(10, 3.0))
    await history.close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 1")
        long = b"".join(struct.pack("<d", value) for _, value in many(200, 7.0))
        (series,) = zip(*file.execute("SELECT id FROM series ORDER BY id"), strict=True)
        numbers = [*series, *range(100, 100 + 200 - len(series))]
        file.execute("INSERT INTO layouts VALUES (99, 0, ?)", (struct.pack("<200I", *numbers),))
        file.execute("INSERT INTO ticks VALUES (1001000000, 99, ?)", (long,))
    history = SqliteHistory(path, 1e9)
    await history.append(1002.0, many(500, 5.0))
    (one,) = await history.samples('rate{name="c2"}', 1000.0, 1002.0)
    assert one.points == [(1000.0, 6.0), (1001.0, 14.0), (1002.0, 10.0)]
    await history.close()
