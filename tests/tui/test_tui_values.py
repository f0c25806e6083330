"""How values are written, and what graphs make of them."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from tests.support.dashboard import container, snapshot
from wattview import foreign_text
from wattview.model import HostReading, StreamEncoder
from wattview.model.snapshot import Trend
from wattview.tui import text
from wattview.tui.ascii import ascii_text, needs_ascii
from wattview.tui.plots.dots import DOTS, canvas_of, runs, stack
from wattview.tui.plots.graph import scale_top
from wattview.tui.screens.stream import encoder_words
from wattview.tui.time_travel.power_range import mean_of_counters, summary, value_at
from wattview.tui.time_travel.trend_buffers import TrendBuffers, bridged, buckets, energy_between, joined, snapped
from wattview.tui.widgets.column import Column, aligned, lay_out
from wattview.tui.widgets.machine import rest_parts

FINITE = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "—"), (math.nan, "—"), (0.0, "0.0"), (-0.04, "0.0"), (42.04, "42.0"), (-3.25, "-3.2"), (1e6, "1000000.0")],
)
def test_a_number_is_written_and_the_unknown_is_a_dash(value: float | None, expected: str) -> None:
    assert text.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "—"), (0.0, "0.0"), (3.2, "+3.2"), (-3.2, "-3.2"), (0.04, "0.0")]
)
def test_a_difference_is_shown_with_its_sign(value: float | None, expected: str) -> None:
    assert text.signed(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "—"), (0, "0:00"), (59.9, "0:59"), (754, "12:34"), (3600, "1:00:00"), (90061, "1d 01:01"), (-5, "0:00")],
)
def test_a_span(seconds: float | None, expected: str) -> None:
    assert text.span(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (59.6, "1 min"), (88, "1 min 28 s"), (7500, "2 h 5 min"), (7200, "2 h")]
)
def test_a_time_in_words(seconds: float, expected: str) -> None:
    assert text.about(seconds) == expected


def test_units_are_what_the_columns_say() -> None:
    assert text.mbit(312_500.0) == "2.50"
    assert text.mib(200 << 20) == "200"
    assert text.gib(3 << 29) == "1.5"


@given(st.text(), st.integers(0, 40))
def test_a_cell_is_exactly_as_wide_as_its_column(content: str, width: int) -> None:
    cell = aligned(content, width, left=True)
    assert cell_len(cell) == width
    assert all(character.isprintable() or unicodedata.category(character) == "Zs" for character in cell)


@given(st.text())
def test_no_text_moves_the_terminal(content: str) -> None:
    kept = foreign_text.clean(content)
    assert len(kept) == len(content)
    assert all(character == "\n" or unicodedata.category(character) not in ("Cc", "Cs") for character in kept)


@given(st.one_of(st.none(), st.floats(-1, 2)), st.integers(1, 60))
def test_a_bar_has_the_requested_width_and_unknown_differs_from_empty(fraction: float | None, width: int) -> None:
    bar = text.bar(fraction, width)
    assert len(bar) == width
    assert (fraction is None) == ("·" in bar)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=50))
def test_a_sparkline_has_one_character_per_value_and_a_blank_for_unknown(values: list[float | None]) -> None:
    spark = text.spark(values)
    assert len(spark) == len(values)
    assert [character == " " for character in spark] == [value is None for value in values]


@given(st.text())
def test_an_ascii_replacement_has_the_width_of_the_original(content: str) -> None:
    plain = ascii_text(content)
    assert plain.isascii()
    assert cell_len(plain) == sum(cell_len(character) for character in content)


def test_consoles_without_unicode_are_known() -> None:
    assert needs_ascii({"TERM": "linux"})
    assert needs_ascii({"TERM": "vt220"})


# graphs


@given(st.lists(st.tuples(st.floats(0, 99.9), st.floats(0, 1e6)), max_size=200), st.integers(1, 80))
def test_buckets_neither_lose_nor_invent_points(points: list[tuple[float, float]], columns: int) -> None:
    values = buckets(points, 0.0, 100.0, columns)
    assert len(values) == columns
    filled = {min(columns - 1, int(moment * columns / 100.0)) for moment, _ in points}
    assert {index for index, value in enumerate(values) if value is not None} == filled
    low, high = min((v for _, v in points), default=0.0), max((v for _, v in points), default=0.0)
    assert all(value is None or low - 1e-6 <= value <= high + 1e-6 for value in values)


def test_stored_points_beside_live_ones_leave_no_gaps() -> None:
    stored = [(float(at), 1.0) for at in range(0, 60, 5)]
    live = [(float(at), 2.0) for at in range(58, 100)]
    assert joined([*stored, *live], 0.0, 100.0, 100, 1.0) == [1.0] * 58 + [2.0] * 42


def test_missing_samples_stay_gaps_at_any_interval() -> None:
    points = [(float(at), 1.0) for at in (*range(0, 30, 5), 50, *range(70, 80), *range(90, 100))]
    drawn = joined(points, 0.0, 100.0, 100, 1.0)
    missing = {at for at, value in enumerate(drawn) if value is None}
    assert missing == {*range(26, 50), *range(51, 70), *range(80, 90)}


def test_a_slow_clock_is_bridged_and_missing_data_is_a_gap() -> None:
    none: list[float | None] = [None]
    assert bridged([1.0, *none * 2, 2.0, *none * 3, 3.0], 2) == pytest.approx(
        [1.0, 4 / 3, 5 / 3, 2.0, None, None, None, 3.0]
    )
    assert bridged([None, 1.0, None], 5) == [None, 1.0, None], "nothing is made up before the first or after the last"


@given(st.floats(1e9, 2e9), st.integers(1, 7 * 86400), st.integers(2, 400))
def test_a_snapped_window_contains_its_end_and_moves_by_whole_columns(end: float, seconds: int, columns: int) -> None:
    start, last = snapped(end - seconds, end, columns)
    width = seconds / columns
    assert end < last + 1e-3
    assert last - end <= width + 1e-3
    assert last - start == pytest.approx(seconds, rel=1e-6, abs=1e-3)
    assert abs(last / width - round(last / width)) < 1e-3


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=50))
def test_the_scale_covers_every_value_and_ignores_small_changes(values: list[float]) -> None:
    top = 1.0
    for value in values:
        before, top = top, scale_top(value, top, 1.0)
        assert top >= value
        assert top == before or value > before or max(value, 1.0) <= before / 3


@given(st.lists(st.lists(st.floats(0, 20), min_size=4, max_size=4), min_size=2, max_size=30))
def test_layers_of_a_stack_share_the_height_as_they_share_the_sum(columns: list[list[float]]) -> None:
    rows, top = 10, 80.0
    canvas = canvas_of(rows, (len(columns) + 1) // 2)
    layers: dict[int, list[float | None]] = {index: [column[index] for column in columns] for index in range(4)}
    stack(layers, top, canvas)
    for x, column in enumerate(columns):
        bits = DOTS[0][x % 2] | DOTS[1][x % 2] | DOTS[2][x % 2] | DOTS[3][x % 2]
        drawn = [y for y in range(4 * rows) if canvas.masks[y // 4][x // 2] & bits & DOTS[y % 4][x % 2]]
        height = round(sum(column) / top * 4 * rows)
        assert all(y >= 4 * rows - height for y in drawn), "nothing is drawn above the sum"
        full = round((column[0] + column[1]) / top * 4 * rows) - round(column[0] / top * 4 * rows)
        assert len(drawn) >= full, "the second layer is drawn solid"


def test_a_stack_is_drawn_only_where_all_layers_are_known() -> None:
    canvas = canvas_of(2, 1)
    stack({0: [1.0, 1.0], 1: [1.0, None], 3: [1.0, 1.0]}, 4.0, canvas)
    right = DOTS[0][1] | DOTS[1][1] | DOTS[2][1] | DOTS[3][1]
    assert all(mask & right == 0 for row in canvas.masks for mask in row)
    assert any(mask for row in canvas.masks for mask in row)


def test_blanks_join_the_preceding_run_and_dots_keep_their_tone() -> None:
    assert runs([0, 1, 0, 2, 0], ["", "area", "", "a", "area"], None) == [(" ", ""), ("⠁ ", "area"), ("⠂ ", "a")]
    assert runs([1, 0, 1], ["a", "", "a"], 1) == [("⠁", "a"), (" ", "cursor"), ("⠁", "a")]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"])), min_size=1), st.integers(-1, 20))
def test_runs_hold_every_dot_in_its_place_and_tone(cells: list[tuple[int, str]], cursor: int) -> None:
    masks, tones = [mask for mask, _ in cells], [tone for _, tone in cells]
    told = [(character, tone) for text, tone in runs(masks, tones, cursor) for character in text]
    assert len(told) == len(cells)
    for x, ((character, tone), mask) in enumerate(zip(told, masks, strict=True)):
        assert character == (chr(0x2800 + mask) if mask else " ")
        assert (tone == "cursor") == (x == cursor)
        assert not mask or x == cursor or tone == tones[x]


# energy and power of the past


def test_energy_between_is_linear_between_samples_and_unknown_outside() -> None:
    joules = [(0.0, 100.0), (10.0, 200.0), (20.0, 500.0)]
    assert energy_between(joules, 5.0, 15.0) == 200.0
    assert energy_between(joules, 0.0, 20.0) == 400.0
    assert energy_between(joules, -1.0, 15.0) is None
    assert energy_between(joules, 5.0, 21.0) is None
    assert energy_between([], 0.0, 1.0) is None


def counted(source: str, *points: tuple[float, float]) -> Trend:
    return Trend(kind="machine", quantity="energy", name=(source,), points=list(points))


def test_the_mean_comes_from_a_counter_that_reaches_over_the_range() -> None:
    whole = counted("rapl", (0.0, 0.0), (100.0, 5000.0))
    assert mean_of_counters([whole], 100.0, "rapl") == 50.0
    assert mean_of_counters([counted("rapl", (50.0, 0.0), (100.0, 5000.0))], 100.0, "rapl") is None
    fell = counted("rapl", (0.0, 9.0), (100.0, 3.0))
    assert mean_of_counters([fell], 100.0, "rapl") is None, "a counter that fell has begun anew"
    other = counted("estimated", (0.0, 0.0), (100.0, 1.0))
    assert mean_of_counters([whole, other], 100.0, "rapl") is None, "the source has changed"
    assert mean_of_counters([], 100.0, "rapl") is None


def test_the_mean_of_a_machine_with_gpus_includes_their_power() -> None:
    host, gpus = counted("rapl", (0.0, 0.0), (100.0, 5000.0)), counted("nvml", (0.0, 7e6), (100.0, 7e6 + 2000.0))
    assert mean_of_counters([host, gpus], 100.0, "rapl+nvml") == 70.0
    assert mean_of_counters([host], 100.0, "rapl+nvml") is None, "without the GPUs it would be too little"
    board = counted("hwmon", (0.0, 0.0), (100.0, 9000.0))
    assert mean_of_counters([board, gpus], 100.0, "hwmon") == 90.0, "the board's meter has counted them"


def test_the_mean_over_a_restart_uses_the_counted_energy() -> None:
    """45 W all the time; the daemon began anew at 300 s, and was away from 600 s to 640 s."""
    joules = [(5.0 * at, 9000.0 + 225.0 * at) for at in range(60)]
    joules += [(5.0 * at, 225.0 * (at - 60)) for at in range(60, 121)]
    joules += [(5.0 * at, 13_600.0 + 225.0 * (at - 128)) for at in range(128, 200)]
    assert mean_of_counters([counted("rapl", *joules)], 1000.0, "rapl") == pytest.approx(45.0)
    assert mean_of_counters([counted("rapl", *joules[:100])], 1000.0, "rapl") is None, "half of it is not known"


def test_a_mean_lies_between_minimum_and_maximum() -> None:
    assert summary([(5.0, 50.0), (10.0, 60.0)], 0.0, 10.0, mean=40.0) == (40.0, 40.0, 60.0)
    assert summary([(5.0, 50.0), (10.0, 60.0)], 0.0, 10.0, mean=70.0) == (50.0, 70.0, 70.0)


def test_a_summary_of_nothing_is_unknown() -> None:
    assert summary([], 0.0, 10.0) == (None, None, None)
    assert summary([(5.0, 2.0), (6.0, 4.0), (11.0, 99.0)], 0.0, 10.0) == (2.0, 3.0, 4.0)
    assert summary([(5.0, 2.0)], 0.0, 10.0, mean=3.5) == (2.0, 3.5, 3.5)


def test_the_cursor_reads_the_nearest_value_in_reach() -> None:
    points = [(0.0, 1.0), (10.0, 2.0)]
    assert value_at(points, 6.0, 5.0) == (10.0, 2.0)
    assert value_at(points, 20.0, 5.0) is None
    assert value_at([], 0.0, 5.0) is None


# columns


def columns(*widths_and_ranks: tuple[int, int]) -> list[Column[str]]:
    return [Column(str(index), width, str, rank=rank) for index, (width, rank) in enumerate(widths_and_ranks)]


def test_columns_of_the_highest_rank_go_first_and_the_first_one_never() -> None:
    wanted = columns((10, 9), (5, 0), (5, 2), (5, 1))
    assert [index for index, _, _ in lay_out(wanted, 28)] == [0, 1, 2, 3]
    assert [index for index, _, _ in lay_out(wanted, 27)] == [0, 1, 3]
    assert [index for index, _, _ in lay_out(wanted, 16)] == [0, 1]
    assert [(index, width) for index, _, width in lay_out(wanted, 6)] == [(0, 6)]


def test_a_column_grows_into_spare_width_before_the_last_takes_the_rest() -> None:
    wanted = [Column("a", 5, str), Column("b", 5, str, grow=4), Column("c", 5, str)]
    assert [width for _, _, width in lay_out(wanted, 19, stretch=-1)] == [5, 7, 5]
    assert [width for _, _, width in lay_out(wanted, 30, stretch=-1)] == [5, 9, 14]
    assert [width for _, _, width in lay_out(wanted, 17)] == [5, 5, 5]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), min_size=1, max_size=12), st.integers(1, 250))
def test_columns_never_need_more_than_there_is(wanted: list[tuple[int, int]], width: int) -> None:
    placed = lay_out(columns(*wanted), width)
    assert sum(w + 1 for _, _, w in placed) - 1 <= width
    stretched = lay_out(columns(*wanted), width, stretch=-1)
    assert sum(w + 1 for _, _, w in stretched) - 1 <= width


def test_trends_hold_each_figure_of_each_part_and_no_point_where_it_is_unknown() -> None:
    trends = TrendBuffers()
    for now, percent in ((1.0, 10.0), (2.0, None), (3.0, 30.0)):
        shown = snapshot(0.0, containers=0, streams=1)
        trends.record(replace(shown, time=now, containers=(container(7, cpu_percent=percent, power_watts=now),)))
    key = ("container", container(7).id)
    assert trends[key] == [(1.0, 10.0), (3.0, 30.0)]
    assert trends[*key, "power"] == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert [at for at, _ in trends["stream", "live", "stream0", "players"]] == [1.0, 2.0, 3.0]
    trends.record(replace(snapshot(0.0, containers=0, streams=0), time=4.0))
    assert trends[key] == trends["stream", "live", "stream0"] == [], "what is gone has no trend"
    assert [at for at, _ in trends["power",]] == [1.0, 2.0, 3.0, 4.0]


def test_backfilled_points_precede_live_ones_up_to_the_limit() -> None:
    trends = TrendBuffers()
    trends.seed(("gpu", "a"), [(float(at), 1.0) for at in range(-500, 1)])
    assert [at for at, _ in trends["gpu", "a"]] == list(range(-119, 1)), "seeded before it was seen"
    trends.record(replace(snapshot(0.0, containers=0, streams=1), time=0.0))
    trends.seed(("stream", "live", "stream0"), [(-5.0, 1.0), (0.0, 2.0), (5.0, 3.0)])
    trends.record(replace(snapshot(0.0, containers=0, streams=1), time=1.0))
    assert [at for at, _ in trends["stream", "live", "stream0"]] == [-5.0, 0.0, 1.0]


@pytest.mark.parametrize(("swap", "line"), [(0, "Swap   none"), (None, "Swap   ········ — of — GiB")])
def test_swap_that_is_not_there_is_none_and_unknown_swap_is_a_dash(swap: int | None, line: str) -> None:
    host = HostReading(
        time=0.0, monotonic=0.0, hostname="h", cpus=2, cpu_busy_seconds_total=0.0, cpu_percent=None,
        memory_total_bytes=None, memory_available_bytes=None, swap_total_bytes=swap, swap_free_bytes=swap,
        load1=None, load5=None, load15=None, boot_time=None,
    )  # fmt: skip
    lines = "".join(part if isinstance(part, str) else part[0] for part in rest_parts(host, 38)).splitlines()
    assert lines == ["Memory ········ — of — GiB", line]


def test_a_remote_encoder_is_named_as_far_as_known() -> None:
    far = StreamEncoder(match="remote", host="10.0.0.2", program="ffmpeg")
    assert encoder_words(far) == "ffmpeg on 10.0.0.2, as its daemon says"
    whole = replace(far, pid=7, kind="service", name="push.service")
    assert encoder_words(whole) == "ffmpeg 7 in service push.service on 10.0.0.2, as its daemon says"
