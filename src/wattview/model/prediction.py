"""Power of settings that nobody has measured, from those that were."""

from __future__ import annotations

from msgspec import Struct


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

    ``extrapolated``: the load lies outside of what was measured, and the error says nothing about that. ``of`` names
    what the settings of the fit have in common, ``scenarios`` counts them; all were measured on ``machine``, by
    ``power_source``. ``remarks`` are what must be known beside the figures. ``formula`` is the fit in words, and
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
