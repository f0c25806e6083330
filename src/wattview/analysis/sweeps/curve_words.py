"""One sentence on the difference of two curves, for the command line, the API and the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattview.model import CurveDifference
from wattview.model.quantities import QUANTITIES

PRICES = {
    name: QUANTITIES[name].words
    for name in ("bitrate_bps", "net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour")
}
"""Names of the prices."""

NO_CURVES = (
    "no setting was measured at several bitrates, with its quality: measure each encoder at three bitrates or more, in"
    " a suite of scenarios that differ in their bitrate"
)
NO_PAIRS = "no two curves have the same streams and pictures, so none can be compared"

ANSWERED = ("bitrate_bps", "net_watts_per_stream", "watts_per_stream")
"""Prices that the sentence may name: gross power per stream only if power above baseline is unknown."""


def sentence(first: str, second: str, differences: Sequence[CurveDifference], quality: str) -> str:
    """``libx265 needs 31 % (28 to 35) less bitrate and 2.10 times (2.02 to 2.19) the power … as libx264``.

    ``first`` and ``second`` are the curves' labels; words that they have in common are left out.
    """
    known = [one for name in ANSWERED for one in differences if one.price == name and one.percent is not None]
    if any(one.price == "net_watts_per_stream" for one in known):
        known = [one for one in known if one.price != "watts_per_stream"]
    if not known:
        return ""
    needs = " and ".join(_needed(one) for one in known)
    return f"{_own(second, first)} needs {needs} for the same {quality.upper()} as {_own(first, second)}"


def _own(label: str, other: str) -> str:
    """The words of a label that the other does not have; all of them if that leaves none."""
    label = label.removesuffix(" not pushed")  # a remark says so
    words = other.split()
    return " ".join(word for word in label.split() if word not in words) or label


def _needed(one: CurveDifference) -> str:
    assert one.percent is not None
    price = PRICES[one.price]
    if one.differ is False:
        unsure = f"({one.low:+.1f} to {one.high:+.1f} %: not significant)"
        return f"{_share(one.percent)} % {'less' if one.percent < 0 else 'more'} {price} {unsure}"
    if abs(one.percent) < 0.05:
        return f"as much {price}"
    if one.percent >= 100:
        return f"{_times(one.percent)} times{_interval(one, _times)} the {price}"
    return f"{_share(one.percent)} %{_interval(one, _share)} {'less' if one.percent < 0 else 'more'} {price}"


def _interval(one: CurveDifference, form: Callable[[float], str]) -> str:
    if one.low is None or one.high is None:
        return ""
    low, high = sorted((one.low, one.high), key=abs)
    return f" ({form(low)} to {form(high)})"


def _times(percent: float) -> str:
    return f"{1 + percent / 100:.2f}"


def _share(percent: float) -> str:
    return f"{abs(percent):.0f}" if abs(percent) >= 10 else f"{abs(percent):.1f}"
