"""Sweeps: RD curves and their differences, and power predicted from measured loads."""

from __future__ import annotations

from msgspec import Struct

from wattview.model.results import Estimate


class CurvePoint(Struct, frozen=True, kw_only=True):
    """One bitrate of a curve, the mean of its repeats. ``prices`` are by name: ``bitrate_bps`` (of one stream, as
    encoded if known), ``net_watts_per_stream``, ``watts_per_stream`` and ``cost_per_stream_hour``."""

    label: str
    quality: Estimate
    prices: dict[str, Estimate]


class Curve(Struct, frozen=True, kw_only=True):
    """One setting at several bitrates, by rising quality. ``label`` names what its points have in common, as do
    ``power_source`` (None: several, or none), ``billed_at`` (``wall`` or ``machine``: the energy that costs are of) and
    ``vmaf_model`` (if the quality is VMAF). ``remarks`` are those on its points."""

    label: str
    points: list[CurvePoint]
    power_source: str | None = None
    billed_at: str | None = None
    vmaf_model: str | None = None
    remarks: dict[str, str] = {}


class CurveDifference(Struct, frozen=True, kw_only=True):
    """How much more of a price the second curve needs at equal quality (Bjøntegaard's difference).

    ``percent`` has a 95 % interval ``low`` to ``high`` if every point was repeated. It is None, with the reason in
    ``verdict``, if there is no result. It is a mean over the qualities ``quality_from`` to ``quality_to`` that both
    curves reach: a part ``overlap`` of their combined range. ``quality_gain`` is the inverse: the mean gain of quality
    at equal price.
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
    """Two curves, by their labels, and the differences of the second from the first, per price. ``remarks`` are
    warnings about the figures. ``sentence`` is the result as text, for bitrate and for power; "" if neither can be
    compared."""

    first: str
    second: str
    differences: list[CurveDifference]
    remarks: list[str] = []
    sentence: str = ""


class CurveComparison(Struct, frozen=True, kw_only=True):
    """All curves of the runs and the requested comparisons. ``quality`` names the quality axis of every curve.

    ``left_out`` says what was measured on other machines than ``machine``; ``reason`` why there are no pairs.
    """

    quality: str
    curves: list[Curve]
    pairs: list[CurvePair]
    reason: str = ""
    machine: str | None = None
    left_out: str = ""


class Load(Struct, frozen=True):
    """Load of a machine: concurrent streams, and the pixel rate of all of them, in megapixels per second.

    ``bits_per_pixel`` is the target bitrate by the pixel rate, the geometric mean over all pixels; ``spatial`` and
    ``temporal`` are the source's mean SI and TI (ITU-T P.910). None is unknown.
    """

    streams: float
    megapixels: float
    bits_per_pixel: float | None = None
    spatial: float | None = None
    temporal: float | None = None


DEFAULT_RESOLUTION, DEFAULT_FPS = "1280x720", 30.0


class Question(Struct, frozen=True, kw_only=True):
    """The setting to predict: a number of streams, each with a picture of each of these ``resolutions`` (a ladder has
    several) and a bitrate for each; () assumes those of the measured settings. ``source`` names a measured source,
    whose content is assumed; ``spatial`` and ``temporal`` (mean SI and TI) describe any other. ``encoder`` and
    ``preset`` select measurements ("" selects all); ``extrapolate`` allows an answer outside of the measured range."""

    streams: int
    resolutions: tuple[str, ...] = (DEFAULT_RESOLUTION,)
    fps: float = DEFAULT_FPS
    bitrates: tuple[str, ...] = ()
    source: str = ""
    spatial: float | None = None
    temporal: float | None = None
    encoder: str = ""
    preset: str = ""
    machine: str = ""
    extrapolate: bool = False


class PowerFit(Struct, frozen=True, kw_only=True):
    """``watts = base_watts + watts_per_stream x streams + joules_per_megapixel x megapixels a second``, where
    ``content_joules`` add to each megapixel: so much for each doubling of the bits per pixel above 0.1
    (``bits_per_pixel``), for each unit of SI (``spatial``) and of TI (``temporal``).

    ``terms`` are those that the data can separate and that lower the error; the others' coefficients are 0, and
    ``left_out`` says why. ``error_watts`` is the root mean square error of the leave-one-out check,
    ``error_by_load_watts`` that of the best fit on streams and pixels alone (None if there is none). ``hull`` are the
    corners of the measured range of streams and pixels, ``ranges`` the lowest and the highest of each known figure of
    the content.
    """

    terms: tuple[str, ...]
    base_watts: float
    watts_per_stream: float
    joules_per_megapixel: float
    error_watts: float
    settings: int
    hull: tuple[Load, ...]
    content_joules: dict[str, float] = {}
    left_out: dict[str, str] = {}
    error_by_load_watts: float | None = None
    ranges: dict[str, tuple[float, float]] = {}

    @property
    def by_load(self) -> str:
        """What the error would be without bitrate and content, in parentheses; "" if that is not known."""
        if not self.content_joules or self.error_by_load_watts is None:
            return ""
        return f" ({self.error_by_load_watts:.2f} W from streams and pixels only)"


class MeasuredLoad(Struct, frozen=True, kw_only=True):
    """A measured load: the mean power of its ``repeats``, and its leave-one-out prediction: None for the idle
    machine if there is no fit without it. ``words`` is the load as text."""

    load: Load
    watts: float
    repeats: int
    left_out_watts: float | None
    words: str = ""


class PowerPrediction(Struct, frozen=True, kw_only=True):
    """Mean power of the host under a load, ``error_watts`` as in the fit.

    ``extrapolated``: the load is outside of the measured range, where the error does not hold. ``of`` names what the
    settings of the fit have in common, ``scenarios`` counts them; all were measured on ``machine``, by
    ``power_source``. ``remarks`` are warnings about the figures. ``formula`` is the fit as text, ``spans`` the measured
    range as text, and ``left_out`` which figures of the content are not in the fit, and why.
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
    left_out: str = ""
