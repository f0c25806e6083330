"""Frame rates are exact, however people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from wattview.frame_rate import exact_rate, nearest_rate, rate_text, written_rate
from wattview.model.run_request import WrongField, run_request


@pytest.mark.parametrize(
    ("written", "exact"),
    [(30, "30"), (25.0, "25"), (23.976, "24000/1001"), (23.98, "24000/1001"), (29.97, "30000/1001"),
     (59.94, "60000/1001"), (119.88, "120000/1001"), (12.5, "25/2"), (14.985, "15000/1001")],
)  # fmt: skip
def test_a_written_frame_rate_means_the_exact_one(written: float, exact: str) -> None:
    assert rate_text(written) == exact
    assert exact_rate(written) == Fraction(exact)


def test_time_stamps_of_whole_milliseconds_give_the_rate_that_was_meant() -> None:
    assert [nearest_rate(fps) for fps in (29.9976, 29.9712, 23.9755, 25.0, 12.5)] == [30, 29.97, 23.976, 25, 12.5]


@pytest.mark.parametrize(
    ("written", "fps"), [("60000/1001", 59.94), ("25", 25), (" 29.97 ", 29.97), ("50/2", 25), (59.94, 59.94)]
)
def test_a_request_takes_fractions_and_decimals(written: object, fps: float) -> None:
    found = run_request({"scenarios": [{"name": "a", "fps": written, "renditions": [
        {"resolution": "640x360", "fps": written}]}]})  # fmt: skip
    [one] = found.scenarios
    assert one.renditions is not None
    assert (one.fps, one.renditions[0].fps) == (fps, fps)


@pytest.mark.parametrize(
    "written", ["1/0", "-25", "1e999999999", "nan", "", "0", "241", "1000/1", "½", True, None, [25]]
)
def test_an_invalid_frame_rate_is_refused(written: object) -> None:
    with pytest.raises(WrongField, match=r"scenarios\[0\]\.fps: expected frames per second"):
        run_request({"scenarios": [{"name": "a", "fps": written}]})


def test_an_endless_number_is_not_a_frame_rate() -> None:
    with pytest.raises(ValueError, match="not a frame rate"):
        written_rate("9" * 5000)
