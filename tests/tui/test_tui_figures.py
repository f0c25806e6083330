"""Bars with intervals, the scatter's field, wishes as they are typed, and figures as they are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.support.sweep import sweep
from wattview.model import Difference
from wattview.model.quantities import OF_RESULTS, QUANTITIES
from wattview.tui.plots.bars import extent, interval_bar
from wattview.tui.results.advice import asked
from wattview.tui.results.comparison import Line, cell, of_rows, percent, sentence
from wattview.tui.results.rows import rows_of
from wattview.tui.results.scatter import GUTTER, Marker, picture, ticks
from wattview.tui.results.values import Value, around, of_scenario, written

FINITE = st.floats(-1e9, 1e9)
VALUES = st.builds(Value, st.none() | FINITE, st.none() | st.floats(0, 1e9))


@given(st.lists(VALUES, min_size=1, max_size=8), st.integers(0, 120))
def test_a_bar_is_exactly_as_wide_as_its_column(values: list[Value], width: int) -> None:
    low, high = extent(values)
    assert low <= 0 <= high
    for value in values:
        assert cell_len(interval_bar(value, low, high, width)) == width


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Value(5.0), "█████     "),
        (Value(5.0, 0.1), "█████     "),
        (Value(6.0, 2.0), "████▒▒┼─┤ "),
        (Value(None), " " * 10),
        (Value(10.0), "█" * 10),
    ],
)
def test_a_bar_shows_what_is_sure_and_what_may_be_added(value: Value, expected: str) -> None:
    assert interval_bar(value, 0.0, 10.0, 10) == expected


def test_a_negative_bar_grows_to_the_left_of_zero() -> None:
    assert interval_bar(Value(-5.0), -10.0, 10.0, 20) == " " * 5 + "█" * 5 + " " * 10


DOTS = st.lists(
    st.builds(Marker, st.integers(0, 5), st.text(max_size=60), FINITE, FINITE, st.sampled_from(["", "rapl"]),
              st.booleans(), st.sampled_from(["", "A"]), st.sampled_from(["", "marked"])),
    max_size=12,
)  # fmt: skip


@given(DOTS, st.integers(0, 5), st.integers(0, 150), st.integers(0, 40))
def test_the_scatter_never_leaves_its_field(dots: list[Marker], cursor: int, width: int, height: int) -> None:
    lines = picture(dots, cursor, width, height, "no data")
    assert len(lines) <= max(height, 0)
    for line in lines:
        assert cell_len("".join(text for text, _ in line)) <= width


def test_points_stand_where_the_axes_say() -> None:
    lines = ["".join(text for text, _ in line) for line in picture(
        [Marker(1, "a", 0.0, 0.0, "rapl"), Marker(2, "b", 10.0, 10.0, "rapl"), Marker(3, "c", 10.0, 0.0)],
        None, GUTTER + 21, 13,
    )]  # fmt: skip
    assert lines[0][GUTTER:].endswith("●")
    assert lines[10][GUTTER] == "●"
    assert lines[10].endswith(" ○")
    assert lines[5][GUTTER + 10] == "·", "the front is joined"
    assert lines[0].startswith("    10 ┤")
    assert lines[12].split() == ["0", "5", "10"] or lines[12].split()[0] == "0"


def test_a_curve_is_a_line_between_its_letters_as_they_are_given() -> None:
    """It goes up and to the right, and then straight back to the left."""
    dots = [Marker((at,), "", x, y, "A", mark="A") for at, (x, y) in enumerate([(0.0, 0.0), (10.0, 5.0), (0.0, 10.0)])]
    lines = ["".join(text for text, _ in line)[GUTTER:] for line in picture(dots, None, GUTTER + 21, 13)]
    assert [line.find("A") for line in lines[:11] if "A" in line] == [0, 20, 0]
    middle = [at for at, mark in enumerate(lines[8]) if mark != " "]
    assert 6 <= min(middle) <= max(middle) <= 10, "a straight line passes there"
    assert all("⠀" < mark <= "⣿" for at, mark in enumerate(lines[8]) if at in middle)


def test_every_point_is_there_also_where_all_are_equal() -> None:
    lines = picture([Marker(1, "only", 40.0, 92.0, "rapl")], 1, 60, 12)
    text = "\n".join("".join(part for part, _ in line) for line in lines)
    assert "●" in text
    assert "only" in text


@given(FINITE, st.floats(0, 1e9), st.integers(2, 12))
def test_ticks_are_round_and_span_the_range(low: float, span: float, wanted: int) -> None:
    marks = ticks(low, low + span, wanted)
    assert len(marks) >= 2
    assert marks == sorted(set(marks))
    slack = 1e-6 * max(abs(low), span, 1e-6)
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack


@given(st.dictionaries(st.sampled_from(["vmaf", "qoe", "streams", "most"]), st.text(max_size=12)))
def test_a_wish_is_a_number_in_its_bounds_or_named(fields: dict[str, str]) -> None:
    wish, wrong = asked(fields)
    if wrong:
        assert wish == (None, None, None, None)
        assert wrong.startswith(("VMAF ≥", "QoE ≥", "Streams", "At most"))
        return
    assert all(value is None or math.isfinite(value) for value in wish)
    assert wish.streams is None or (isinstance(wish.streams, int) and wish.streams >= 1)


def test_a_wish_is_what_was_typed() -> None:
    assert asked({"vmaf": "92,5", "streams": " 4 ", "qoe": ""}) == ((92.5, None, 4, None), "")


def test_every_figure_is_one_that_a_result_has() -> None:
    one = sweep().scenarios[1]
    known = {one_of.name for one_of in OF_RESULTS if of_scenario(one, one_of.name).value is not None}
    assert {one_of.name for one_of in OF_RESULTS} - known == {
        "gpu_energy_joules", "xpsnr_score", "wall_energy_joules", "wall_power_mean_watts",
    }  # fmt: skip


def test_a_figure_is_written_in_its_unit_with_its_sign_and_its_spread() -> None:
    assert written(QUANTITIES["joules_per_viewer_hour"], 7200.0) == "2.000"
    assert written(QUANTITIES["baseline_diff_power_watts"], 3.0) == "+3.00"
    assert written(QUANTITIES["stalls"], None) == "—"
    assert around(QUANTITIES["energy_joules"], 3.14) == "±3.1"
    assert around(QUANTITIES["energy_joules"], 0.01) == "", "a spread that rounds to nothing is not said"


def test_repeats_are_one_row_only_with_the_daemons_grouping() -> None:
    run = sweep()
    assert len(rows_of([run])) == 13
    assert [row.numbers for row in rows_of([run], ())][:3] == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("difference", "base", "expected"),
    [
        (1.0, 10.0, "+10.0 %"),
        (0.0, 0.0, "same"),
        (0.0, 7.0, "same"),
        (5.0, None, ""),
        (990.0, 10.0, "100.0 x"),
        (-5.0, -10.0, "-50.0 %"),
    ],
)
def test_a_difference_as_a_share(difference: float, base: float | None, expected: str) -> None:
    assert percent(difference, base) == expected


def test_the_verdict_is_the_daemons_own_words() -> None:
    rows = rows_of([sweep()])[1:3]
    [block] = of_rows(rows, None)
    line = Line(0, block, QUANTITIES["power_mean_watts"])
    assert sentence(line, 1) == "B: not compared", "nothing is said before the daemon has"
    gap = Difference(
        difference=4.0, low=3.5, high=4.5, differ=True, verdict="significant: p < 0.0001", confidence=0.975
    )
    said = block._replace(differences=[{"power_mean_watts": gap}])
    assert sentence(line._replace(block=said), 1) == (
        "B less A: +4.00 W (+11.8 %), 97.5 % interval +3.50 to +4.50 W: significant: p < 0.0001"
    )
    assert cell(line._replace(block=said), 1).endswith("≠")
