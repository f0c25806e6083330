"""Plots with axes: ticks, lines, points, windows, band and labels are where the values say, and cover nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from wattview.axis import labelled, ticks, time_ticks
from wattview.tui.ascii import ascii_text
from wattview.tui.plots.bars import BarAxis, BarRow, draw_bars, extent, interval_bar
from wattview.tui.plots.plot import SHADED, Axis, Caption, Chart, Lines, NamedSpan, PlotLine, draw
from wattview.tui.results.values import Value

FINITE = st.floats(-1e9, 1e9)
PLACES = st.lists(st.tuples(FINITE, FINITE), max_size=12)
VALUES = st.builds(Value, st.none() | FINITE, st.none() | st.floats(0, 1e9))


def text_of(lines: Lines) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def toned(lines: Lines, tone: str) -> str:
    return "".join(text for line in lines for text, name in line if name == tone)


def place(lines: list[str], mark: str) -> tuple[int, int]:
    """The row and column of the only such mark."""
    found = [(y, x) for y, line in enumerate(lines) for x, character in enumerate(line) if character == mark]
    assert len(found) == 1, found
    return found[0]


# ticks


@given(FINITE, st.floats(0, 1e9), st.integers(2, 12))
def test_ticks_are_round_and_span_the_range(low: float, span: float, wanted: int) -> None:
    marks = ticks(low, low + span, wanted)
    assert len(marks) >= 2
    assert marks == sorted(set(marks))
    slack = 1e-6 * max(abs(low), span, 1e-6)
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0.0", "0.5", "1.0"]),
        ([0.0, 10000.0, 20000.0], ["0", "10k", "20k"]),
        ([0.0, 500.0, 1000.0], ["0", "500", "1000"]),
        ([0.0, 0.0002, 0.0004], ["0.0000", "0.0002", "0.0004"]),
        ([0.0, 2e6, 4e6], ["0", "2M", "4M"]),
    ],
)
def test_labels_of_one_axis_have_equally_many_decimals(values: list[float], texts: list[str]) -> None:
    assert [text for _, text in labelled(values)] == texts


@given(st.floats(1e9, 2e9), st.floats(2, 7 * 86400), st.integers(1, 20))
def test_time_ticks_are_inside_the_axis_on_whole_steps(start: float, span: float, wanted: int) -> None:
    found = time_ticks(start, start + span, wanted)
    assert len(found) <= wanted + 1
    assert all(start <= moment <= start + span for moment, _ in found)
    steps = {round(right - left) for (left, _), (right, _) in pairwise(found)}
    assert len(steps) <= 1


# the field


@given(
    PLACES, PLACES, st.text(max_size=60), st.integers(0, 150), st.integers(0, 40), st.booleans(),
    st.lists(st.tuples(FINITE, FINITE), max_size=3),
)  # fmt: skip
@example([], [(2.225073858507203e-309, 0.0)], "", 24, 8, True, [(0.0, 1.0)])
@example([], [(0.0, 0.0)], "𠀀", 24, 8, False, [(0.0, 1.0)])
@example([], [(0.0, 0.0), (9.0, 0.0)], "𠀀" * 9, 60, 12, False, [(0.0, 9.0), (4.1, 9.0), (4.7, 9.0)])
@settings(max_examples=60, deadline=None)
def test_a_plot_never_exceeds_its_size(
    line: list[tuple[float, float]], dots: list[tuple[float, float]], text: str, width: int, height: int, zero: bool,
    windows: list[tuple[float, float]],
) -> None:  # fmt: skip
    chart = Chart(
        Axis("streams"), Axis("W"),
        [PlotLine(line, name=text, letter="A"), PlotLine(dots, "point", mark="○", joined=False)],
        [NamedSpan(*sorted(ends), text) for ends in windows], [Caption(*dot, text) for dot in dots],
        [(x, y - 1, y + 1) for x, y in sorted(line)], zero=zero, empty="no data",
    )  # fmt: skip
    lines = draw(chart, width, height)
    assert len(lines) <= max(height, 0)
    assert all(cell_len(one) <= width for one in text_of(lines))


def test_points_are_drawn_at_their_coordinates() -> None:
    dots = [PlotLine([(0.0, 0.0)], mark="a"), PlotLine([(10.0, 10.0)], mark="b"), PlotLine([(5.0, 5.0)], mark="c")]
    lines = text_of(draw(Chart(Axis("x", (0, 10)), Axis("y", (0, 10)), dots), 46, 26))
    bottom, left = place(lines, "a")
    top, right = place(lines, "b")
    assert place(lines, "c") == (pytest.approx((bottom + top) / 2, abs=0.5), pytest.approx((left + right) / 2, abs=0.5))
    assert lines[top].startswith("10┼")
    assert lines[bottom].startswith(" 0┼")
    assert lines[bottom + 2].split() == ["0", "5", "10"]


def test_points_alone_have_their_axes_too() -> None:
    chart = Chart(
        Axis("W", (0, 4)), Axis("VMAF", (0, 4)), [PlotLine([(1, 2), (3, 4)], "point", mark="o", joined=False)]
    )
    lines = text_of(draw(chart, 60, 14))
    assert "0" in lines[-2].split()
    assert any(line.startswith("4┼") for line in lines)


def test_a_peak_is_seen_however_many_points_there_are() -> None:
    points = [(float(at), 40.0) for at in range(20000)]
    points[12345] = (12345.0, 90.0)
    lines = text_of(draw(Chart(Axis("s"), Axis("W", (0, 100)), [PlotLine(points)]), 80, 20))
    assert any("⠀" < mark <= "⣿" for mark in "".join(lines[2:4])), "near the top"


def test_the_front_is_joined_and_its_labels_do_not_overlap() -> None:
    front = [(2.0, 78.0), (4.0, 88.0), (8.0, 92.0)]
    names = ["ultrafast", "veryfast", "medium"]
    chart = Chart(Axis("W"), Axis("VMAF"), [PlotLine(front, mark="●")],
                  labels=[Caption(*dot, name) for dot, name in zip(front, names, strict=True)])  # fmt: skip
    lines = text_of(draw(chart, 80, 22))
    picture = "\n".join(lines)
    assert picture.count("●") == 3
    assert all(name in picture for name in names)
    assert any("⠀" < mark <= "⣿" for mark in picture), "joined"


def test_the_line_of_a_fit_has_its_band_around_it() -> None:
    ends = [(0.0, 30.0), (4.0, 70.0)]
    chart = Chart(Axis("streams", whole=True), Axis("W"), [PlotLine(ends)], band=[(x, y - 8, y + 8) for x, y in ends])
    lines = draw(chart, 80, 20)
    assert len(toned(lines, "band")) > 40
    assert text_of(lines)[-2].split() == ["0", "1", "2", "3", "4"], "there is no half a stream"


def test_windows_are_named_above_the_field_and_shaded_in_it() -> None:
    line = [(float(at), 40.0) for at in range(100)]
    windows = [NamedSpan(10, 40, "baseline"), NamedSpan(60, 90, "x264 1080p")]
    lines = draw(Chart(Axis("s", (0, 100)), Axis("W"), [PlotLine(line)], windows), 80, 16)
    assert "├─" in text_of(lines)[1]
    assert "baseline" in text_of(lines)[1]
    assert "x264 1080p" in text_of(lines)[1]
    shaded = [sum(len(text) for text, tone in line if tone.endswith(SHADED)) for line in lines[2:-3]]
    assert set(shaded) == {shaded[0]}
    assert 0.5 < shaded[0] / 77 < 0.7


def test_points_far_apart_are_not_joined() -> None:
    points = [(0.0, 1.0), (1.0, 1.0), (9.0, 1.0), (10.0, 1.0)]

    def drawn(gap: float) -> int:
        lines = text_of(draw(Chart(Axis("s"), Axis("W", (0, 2)), [PlotLine(points, gap=gap)]), 60, 10))
        return sum("⠀" < mark <= "⣿" for line in lines for mark in line)

    assert drawn(2.0) < drawn(20.0) / 3


def test_a_scale_fits_the_data_or_begins_at_zero() -> None:
    chart = Chart(Axis("s"), Axis("W"), [PlotLine([(0.0, 40.0), (1.0, 45.0)])])
    assert not any(line.startswith(" 0") for line in text_of(draw(chart, 60, 16)))
    assert any(line.startswith(" 0┼") for line in text_of(draw(chart._replace(zero=True), 60, 16)))


def test_a_legend_says_how_many_it_leaves_out_and_covers_nothing() -> None:
    traces = [
        PlotLine([(0.0, at), (1.0, at)], name=f"a zone with a long name {at}", letter="ABCDEFGH"[at]) for at in range(8)
    ]
    lines = text_of(draw(Chart(Axis("s"), Axis("W"), traces), 60, 14))
    assert "… 7 more" in lines[1] or "… 6 more" in lines[1]
    assert len(lines) == 14


def test_every_point_is_there_also_where_all_are_equal() -> None:
    picture = "\n".join(text_of(draw(Chart(Axis("x"), Axis("y"), [PlotLine([(40.0, 92.0)], mark="●")]), 60, 12)))
    assert "●" in picture


def test_a_plot_in_ascii_has_only_ascii() -> None:
    chart = Chart(Axis("s"), Axis("W"), [PlotLine([(0.0, 1.0), (1.0, 2.0)], mark="●")], [NamedSpan(0, 1, "a")],
                  band=[(0.0, 0.5, 1.5), (1.0, 1.5, 2.5)])  # fmt: skip
    assert ascii_text("".join(text_of(draw(chart, 60, 14)))).isascii()
    assert "?" not in ascii_text("".join(text_of(draw(chart, 60, 14))))


# bars


@given(st.lists(VALUES, min_size=1, max_size=8), st.integers(0, 120))
def test_a_bar_is_exactly_as_wide_as_its_column(values: list[Value], width: int) -> None:
    low, high = extent(values)
    assert low <= 0 <= high
    axis = BarAxis(low, high, width)
    assert cell_len(axis.head("W")) == width
    for value in values:
        assert cell_len(interval_bar(value, axis)) == width


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Value(5.0), "▄▄▄▄▄    ┊"),
        (Value(5.0, 0.1), "▄▄▄▄▄    ┊"),
        (Value(6.0, 2.0), "▄▄▄▄▒▒┼─┤┊"),
        (Value(None), "┊        ┊"),
        (Value(10.0), "▄" * 10),
    ],
)
def test_a_bar_shows_the_certain_part_and_the_possible_rest(value: Value, expected: str) -> None:
    assert interval_bar(value, BarAxis(0.0, 10.0, 10)) == expected


def test_a_negative_bar_grows_to_the_left_of_zero() -> None:
    assert interval_bar(Value(-5.0), BarAxis(-10.0, 10.0, 20)) == "     ▄▄▄▄▄┊         "


def test_bars_share_one_axis_with_its_unit() -> None:
    rows = [BarRow("ultrafast", "34.0 W", Value(34.0), "series0"), BarRow("slow", "48.0 W", Value(48.0), "series1")]
    head, first, second = text_of(draw_bars(rows, "W", 80))
    assert head.split() == ["0", "W", "10", "20", "30", "40"]
    assert 0.6 < first.count("▄") / second.count("▄") < 0.8
