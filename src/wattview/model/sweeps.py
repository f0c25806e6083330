"""Sweeps: curves of several bitrates and how two of them differ, and the power predicted from measured loads."""

from __future__ import annotations

from msgspec import Struct

from wattview.model.results import Estimate


class CurvePoint(Struct, frozen=True, kw_only=True):
    """One bitrate of a curve, as a mean of its repeats. ``prices`` are by name: ``bitrate_bps`` (of one stream, as it
    was encoded where that is known), ``net_watts_per_stream``, ``watts_per_stream`` and ``cost_per_stream_hour``."""

    label: str
    quality: Estimate
    prices: dict[str, Estimate]


class Curve(Struct, frozen=True, kw_only=True):
    """One setting at several bitrates, by rising quality. ``label`` names what its points have in common, as do
    ``power_source`` (None: several, or none) and ``vmaf_model`` (where the quality is VMAF). ``remarks`` are those on
    what its points were measured by."""

    label: str
    points: list[CurvePoint]
    power_source: str | None = None
    vmaf_model: str | None = None
    remarks: dict[str, str] = {}


class CurveDifference(Struct, frozen=True, kw_only=True):
    """How much more of a price the second curve needs for the same quality (Bjøntegaard's difference).

    ``percent`` has its 95 % interval ``low`` to ``high`` where every point was repeated. It is None where it cannot be
    had; ``verdict`` is then the reason. It is a mean over the qualities ``quality_from`` to ``quality_to``, which both
    curves reach: a part ``overlap`` of all that they reach together. ``quality_gain`` is the inverse: the mean
    gain of quality at equal price.
    """

    price: str
    verdict: str
    percent: float | None = None
    low: float | None = None
    high: float | None = None
    differ: bool | None = None
    quality_from: float | None = None
    quality_to: float | None = None
    overlap: float | None = None
    quality_gain: float | None = None


class CurvePair(Struct, frozen=True, kw_only=True):
    """Two curves, by their labels, and the differences of the second from the first, for each price. ``remarks`` are
    warnings about the figures. ``sentence`` is the answer in words: of bitrate and of power, "" where
    neither can be compared."""

    first: str
    second: str
    differences: list[CurveDifference]
    remarks: list[str] = []
    sentence: str = ""


class CurveComparison(Struct, frozen=True, kw_only=True):
    """All curves of the runs and what was asked of them. ``quality`` names the figure on one axis of every curve.

    ``left_out`` says what was measured on other machines than ``machine``; ``reason`` why there are no pairs.
    """

    quality: str
    curves: list[Curve]
    pairs: list[CurvePair]
    reason: str = ""
    machine: str | None = None
    left_out: str = ""


class Load(Struct, frozen=True):
    """What is asked of a machine: concurrent streams, and the pixels of all of them, in millions a second."""

    streams: float
    megapixels: float


class PowerFit(Struct, frozen=True, kw_only=True):
    """``watts = base_watts + watts_per_stream x streams + joules_per_megapixel x megapixels a second``.

    ``terms`` are those of the two that the data can tell apart and that help; the other's coefficient is 0.
    ``error_watts`` is the root of the mean square of the errors on settings that the fit had not seen. ``hull`` are the
    corners of what was measured.
    """

    terms: tuple[str, ...]
    base_watts: float
    watts_per_stream: float
    joules_per_megapixel: float
    error_watts: float
    settings: int
    hull: tuple[Load, ...]


class MeasuredLoad(Struct, frozen=True, kw_only=True):
    """A load that a fit is made of: the mean power of its ``repeats``, and what a fit says of it that has not seen
    it."""

    load: Load
    watts: float
    repeats: int
    left_out_watts: float


class PowerPrediction(Struct, frozen=True, kw_only=True):
    """The host's mean power under a load, ``error_watts`` as in the fit.

    ``extrapolated``: the load lies outside of the measured range, which the error does not cover. ``of`` names
    what the settings of the fit have in common, ``scenarios`` counts them; all were measured on ``machine``, by
    ``power_source``. ``remarks`` are warnings about the figures. ``formula`` is the fit in words, and
    ``spans`` how far the loads reach that were ``measured``.
    """

    load: Load
    watts: float
    error_watts: float
    extrapolated: bool
    fit: PowerFit
    of: str
    scenarios: int
    power_source: str
    machine: str | None = None
    remarks: list[str] = []
    measured: list[MeasuredLoad] = []
    formula: str = ""
    spans: str = ""
