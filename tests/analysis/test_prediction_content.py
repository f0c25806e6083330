"""What the fit of power makes of bitrate and content: it finds a law that is there, and no law that is not."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import pytest

from tests.support.scenario_results import baseline, result
from wattview.analysis.sweeps.fit import fit_power, formula, left_out_text, outside, watts_at
from wattview.analysis.sweeps.loads import IDLE, measured
from wattview.analysis.sweeps.prediction import Question, fits_of, predict
from wattview.analysis.windows.energy import NoData
from wattview.model import Load, PowerFit, ScenarioResult

SIZES = ("640x360", "1280x720", "1920x1080")
RATES = ("800k", "2500k", "8M")
SOURCES = {"talk.mp4": (40.0, 5.0), "match.mp4": (75.0, 30.0), "game.mp4": (95.0, 12.0)}
"""Mean SI and TI."""


def pixel_rate(size: str) -> float:
    width, _, height = size.partition("x")
    return int(width) * int(height) * 30 / 1e6


def truth(streams: int, size: str, rate: str, si: float, ti: float) -> float:
    """20 W idle, 2 W a stream, and for each megapixel 0.08 J, 0.02 J more for each doubling of its bits from 0.1 on,
    0.0004 J for each unit of SI and 0.002 J of TI."""
    megapixels = pixel_rate(size)
    bits = float(rate[:-1]) * {"k": 1e-3, "M": 1}[rate[-1]]
    joules = 0.08 + 0.02 * math.log2(bits / megapixels / 0.1) + 0.0004 * si + 0.002 * ti
    return 20 + streams * (2 + megapixels * joules)


def sweep(
    sources: dict[str, tuple[float, float]] = SOURCES, noise: float = 0.0, known: bool = True
) -> list[ScenarioResult]:
    chance, found = random.Random(4), [baseline(20.0)]
    for source, (si, ti) in sources.items():
        for size in SIZES:
            for rate, streams in zip(RATES, (1, 2, 4), strict=True):
                for count in {1, streams}:
                    content = {"spatial_information_mean": si, "temporal_information_mean": ti} if known else {}
                    watts = truth(count, size, rate, si, ti) + chance.gauss(0, noise)
                    found.append(result(watts, streams=count, resolution=size, bitrate=rate, source=source, **content))
    return found


def test_a_fit_recovers_a_known_law_of_bitrate_and_content() -> None:
    question = Question(streams=2, bitrates=("4M",), spatial=60.0, temporal=20.0)
    found = predict(sweep(), question)
    assert found.fit.terms == ("streams", "megapixels", "bits_per_pixel", "spatial", "temporal")
    assert found.watts == pytest.approx(truth(2, "1280x720", "4M", 60.0, 20.0))
    assert found.fit.content_joules == pytest.approx({"bits_per_pixel": 0.02, "spatial": 0.0004, "temporal": 0.002})
    assert found.error_watts == pytest.approx(0.0, abs=1e-4)
    assert found.fit.error_by_load_watts > 1.0
    assert (found.left_out, found.fit.left_out, found.extrapolated) == ("", {}, False)
    assert "× log2(bits per pixel / 0.1) + 0.00040 × SI + 0.00200 × TI) W × megapixels" in found.formula
    assert "0.013 to 1.157 bits per pixel, SI 40 to 95, TI 5 to 30" in found.spans


def test_noise_hides_neither_the_law_nor_its_own_size() -> None:
    """At 0.3 W of noise the fit on streams and pixels alone misses by ten times as much."""
    fit = fit_power(measured(sweep(noise=0.3)))
    assert {"bits_per_pixel", "temporal"} <= set(fit.terms)
    assert 0.2 < fit.error_watts < 0.5
    assert fit.error_by_load_watts is not None
    assert fit.error_watts < 0.1 * fit.error_by_load_watts


def test_figures_that_never_change_are_left_out_and_change_nothing() -> None:
    """One source at one bit depth of 0.1 bits per pixel: the fit is that of streams and pixels, to the last digit."""
    chance = random.Random(1)
    plain = [(IDLE, 20.0)] + [
        (Load(float(streams), streams * pixel_rate(size)),
         20 + streams * (2 + 0.1 * pixel_rate(size)) + chance.gauss(0, 1))
        for streams in (1, 2, 4) for size in SIZES
    ]  # fmt: skip
    full = [(Load(*_two(load), 0.1, 45.0, 12.0) if load.streams else load, watts) for load, watts in plain]
    bare, same = fit_power(plain), fit_power(full)
    assert (same.terms, same.error_watts, same.base_watts) == (bare.terms, bare.error_watts, bare.base_watts)
    assert same.left_out == dict.fromkeys(("bits_per_pixel", "spatial", "temporal"), "equal in all loads")
    assert left_out_text(bare).startswith("not in the fit: bits per pixel (not known of every load), SI (not known")


def _two(load: Load) -> tuple[float, float]:
    return load.streams, load.megapixels


def test_irrelevant_figures_do_not_worsen_the_fit() -> None:
    """Bitrates and contents drawn by lot, in 40 worlds where power follows streams and pixels: the error of what the
    fit predicts is on average that of the fit without them."""
    worse = []
    for seed in range(40):
        chance = random.Random(seed)
        points = [(IDLE, 20.0)] + [
            (Load(float(streams), streams * pixel_rate(size), chance.uniform(0.02, 0.3), chance.uniform(20, 90),
                  chance.uniform(2, 40)), 20 + streams * (2 + 0.1 * pixel_rate(size)) + chance.gauss(0, 1))
            for streams in (1, 2, 4) for size in SIZES
        ]  # fmt: skip
        fit = fit_power(points)
        bare = fit_power([(Load(*_two(load)), watts) for load, watts in points])
        assert fit.error_watts <= bare.error_watts
        truths = [20 + load.streams * 2 + 0.1 * load.megapixels for load, _ in points]
        worse.append(_miss(fit, points, truths) / _miss(bare, points, truths))
    assert sum(worse) / len(worse) < 1.25


def _miss(fit: PowerFit, points: list[tuple[Load, float]], truths: list[float]) -> float:
    squares = [(watts_at(fit, load) - true) ** 2 for (load, _), true in zip(points, truths, strict=True)]
    return math.sqrt(sum(squares) / len(squares))


def test_contents_of_several_sources_share_one_fit_only_where_they_are_known() -> None:
    wide = predict(sweep(), Question(streams=2, bitrates=("4M",), source="talk.mp4"))
    assert wide.scenarios == len(sweep())
    assert wide.watts == pytest.approx(truth(2, "1280x720", "4M", *SOURCES["talk.mp4"]))
    assert wide.remarks == ["assumed, as in libx264 veryfast talk.mp4: SI 40, TI 5"]
    narrow = predict(sweep(known=False), Question(streams=2, bitrates=("4M",), source="talk.mp4"))
    assert narrow.scenarios < wide.scenarios
    assert narrow.watts == pytest.approx(wide.watts)
    assert narrow.of == "libx264 veryfast talk.mp4"
    assert "SI (not known of every load)" in narrow.left_out
    with pytest.raises(NoData, match=r"nothing was measured of other\.mp4"):
        predict(sweep(), Question(streams=2, source="other.mp4"))
    assert [of for of, _ in fits_of(sweep())][-1] == "libx264 veryfast, all sources"
    assert len(fits_of(sweep(known=False))) == 3


def test_omitted_fields_are_taken_from_measured_settings_and_reported() -> None:
    one = sweep({"talk.mp4": SOURCES["talk.mp4"]})
    found = predict(one, Question(streams=1, resolutions=("1280x720",)))
    assert found.load.bits_per_pixel == pytest.approx((0.8 + 2 * 2.5 + 2 * 8) / 5 / 27.648, rel=1e-3)
    assert found.remarks == ["assumed, as in libx264 veryfast talk.mp4: 0.158 bits per pixel"]
    between = predict(one, Question(streams=1, resolutions=("960x540",)))
    low, high = (predict(one, Question(streams=1, resolutions=(size,))).load.bits_per_pixel for size in SIZES[:2])
    assert high < between.load.bits_per_pixel < low


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"bitrates": ("60M",)}, r"2\.170 bits per pixel: outside of the measured range \(0\.013 to 1\.157"),
     ({"spatial": 10.0, "temporal": 20.0}, r"SI 10: outside of the measured range \(SI 40 to 95\)"),
     ({"spatial": 50.0, "temporal": 60.0}, "TI 60: outside")],
)  # fmt: skip
def test_contents_beyond_those_measured_are_refused_or_marked(asked: dict[str, object], said: str) -> None:
    with pytest.raises(NoData, match=said):
        predict(sweep(), Question(streams=2, **asked))
    found = predict(sweep(), Question(streams=2, **asked, extrapolate=True))
    assert found.extrapolated is True
    assert any(remark.startswith("EXTRAPOLATED: ") for remark in found.remarks)


def test_a_bitrate_that_never_varied_predicts_no_other() -> None:
    points = [(IDLE, 20.0)] + [(Load(float(n), n * 27.648, 0.09), 20.0 + 5 * n) for n in (1, 2, 3)]
    assert outside(fit_power(points), Load(2.0, 2 * 27.648, 0.3)).startswith("0.300 bits per pixel: outside")
    assert outside(fit_power(points), Load(2.0, 2 * 27.648, 0.09)) == ""
    assert outside(fit_power(points), Load(2.0, 2 * 27.648)) == ""


def test_there_is_one_bitrate_per_picture_or_none() -> None:
    with pytest.raises(NoData, match="2 bitrates for 1 pictures"):
        predict(sweep(), Question(streams=2, bitrates=("2M", "1M")))
    with pytest.raises(NoData, match="not a bitrate"):
        predict(sweep(), Question(streams=2, bitrates=("fast",)))
    ladder = Question(streams=2, resolutions=SIZES[:2], bitrates=("800k", "2500k"), spatial=75.0, temporal=30.0)
    both = sum(truth(2, size, rate, 75.0, 30.0) - 24 for size, rate in zip(SIZES, ("800k", "2500k"), strict=False))
    assert predict(sweep(), ladder).watts == pytest.approx(24 + both)


def test_more_bits_that_take_less_power_are_noise() -> None:
    points = [(IDLE, 20.0)] + [
        (Load(float(n), n * 27.648, bits), 20 + 3 * n - n * math.log2(bits))
        for n in (1, 2, 4) for bits in (0.05, 0.1, 0.2)
    ]  # fmt: skip
    fit = fit_power(points)
    assert "bits_per_pixel" not in fit.terms
    assert fit.left_out["bits_per_pixel"] == "it does not lower the error"
    assert "log2" not in formula(fit)


def test_a_bitrate_sweep_with_a_baseline_can_be_fitted() -> None:
    """Nothing is said of other loads: there the power of a stream and of its pixels cannot be told apart."""
    points = [baseline(20.0)] + [
        result(truth(1, "1280x720", rate, 0, 0), streams=1, bitrate=rate) for rate in ("500k", "1M", "2M", "4M", "8M")
    ]  # fmt: skip
    found = predict(points, Question(streams=1, bitrates=("3M",)))
    assert found.watts == pytest.approx(truth(1, "1280x720", "3M", 0, 0), abs=1e-3)
    assert found.measured[0].left_out_watts is None
    assert all(one.left_out_watts == pytest.approx(one.watts, abs=1e-3) for one in found.measured[1:])
    for other in (Question(streams=2, bitrates=("6M",)), Question(streams=1, resolutions=("1920x1080",))):
        with pytest.raises(NoData, match="outside of the measured range"):
            predict(points, other)


ENCODING_WORK = Path(__file__).parents[1] / "support" / "encoding_work.csv"
"""CPU seconds for each second of video that x264 (veryfast, one thread) took for three films and two
test pictures, of SI 21 to 66 and TI 7 to 25: user time of ``ffmpeg -benchmark``, the least of three."""


def encoding_work(*known: str) -> list[tuple[Load, float]]:
    points = [(IDLE, 0.0)]
    for row in csv.DictReader(ENCODING_WORK.read_text("ascii").splitlines()):
        megapixels = pixel_rate(row["size"]) * int(row["fps"]) / 30
        content = {
            "bits_per_pixel": float(row["kbps"]) / 1000 / megapixels,
            "spatial": float(row["si"]),
            "temporal": float(row["ti"]),
        }
        load = Load(1.0, megapixels, **{name: content[name] for name in known})
        points.append((load, float(row["cpu_seconds"])))
    return points


def test_bitrate_and_content_lower_the_error_on_a_real_encoder() -> None:
    errors = [fit_power(encoding_work(*known)).error_watts for known in (
        (), ("bits_per_pixel",), ("spatial", "temporal"), ("bits_per_pixel", "spatial", "temporal")
    )]  # fmt: skip
    by_load, with_bitrate, with_content, with_both = errors
    assert with_both < 0.5 * by_load
    assert with_both < 0.7 * min(with_bitrate, with_content)
    assert max(with_bitrate, with_content) < 0.9 * by_load
