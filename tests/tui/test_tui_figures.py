"""Wishes as they are typed, and figures as they are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sweep import sweep
from wattview.model import Difference
from wattview.model.quantities import OF_RESULTS, QUANTITIES
from wattview.tui.results.advice import asked
from wattview.tui.results.comparison import Line, cell, of_rows, percent, sentence
from wattview.tui.results.rows import rows_of
from wattview.tui.results.values import Value, around, of_scenario, written

FINITE = st.floats(-1e9, 1e9)
VALUES = st.builds(Value, st.none() | FINITE, st.none() | st.floats(0, 1e9))


@given(st.dictionaries(st.sampled_from(["vmaf", "qoe", "streams", "most"]), st.text(max_size=12)))
def test_a_field_is_a_number_in_its_bounds_or_named(fields: dict[str, str]) -> None:
    wish, wrong = asked(fields)
    if wrong:
        assert wish == (None, None, None, None)
        assert wrong.startswith(("VMAF ≥", "QoE ≥", "Streams", "At most"))
        return
    assert all(value is None or math.isfinite(value) for value in wish)
    assert wish.streams is None or (isinstance(wish.streams, int) and wish.streams >= 1)


def test_a_field_is_what_was_typed() -> None:
    assert asked({"vmaf": "92,5", "streams": " 4 ", "qoe": ""}) == ((92.5, None, 4, None), "")


def test_every_quantity_has_a_path_in_a_result() -> None:
    one = sweep().scenarios[1]
    known = {one_of.name for one_of in OF_RESULTS if of_scenario(one, one_of.name).value is not None}
    assert {one_of.name for one_of in OF_RESULTS} - known == {
        "gpu_energy_joules", "xpsnr_score", "cambi_score", "wall_energy_joules",
        "spatial_information", "spatial_information_mean", "temporal_information", "temporal_information_mean",
        "wall_power_mean_watts",
        *(one_of.name for one_of in OF_RESULTS if one_of.path.startswith("per_execution.")),
    }  # fmt: skip


def test_a_figure_is_shown_in_its_unit_with_sign_and_error() -> None:
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
        (-0.5, 0.004, ""),
    ],
)
def test_a_difference_as_a_share(difference: float, base: float | None, expected: str) -> None:
    assert percent(QUANTITIES["power_mean_watts"], difference, base) == expected


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
