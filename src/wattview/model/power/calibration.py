"""Power at the wall without a meter: a calibration computes it from what the machine's own counters say.

A calibration is kept in the daemon's state directory, and travels between machines of one model as a JSON file.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

CALIBRATION_VERSION = 1
"""Of the form of the file. A file of a later form is refused."""


class WallInputs(NamedTuple):
    """What the machine did in the ``seconds`` that ended at ``time`` (Unix seconds). ``host_watts`` is the mean power
    by the host's source, ``gpu_watts`` that of the GPUs beside it (0 where it has none), and ``cpu_percent`` of the
    whole machine (0 to 100)."""

    time: float
    seconds: float
    host_watts: float
    gpu_watts: float
    cpu_percent: float


class MachineModel(Struct, frozen=True, kw_only=True):
    """What two machines have in common whose calibration may be exchanged. ``product`` and ``board`` are the firmware's
    vendor and name (DMI), ``gpus`` the models in the order of their slots. ``instance_type`` is what a cloud's provider
    calls a virtual machine of this kind, "" where that is not known; ``virtual`` that it is one."""

    cpu: str
    cpus: int
    product: str = ""
    board: str = ""
    gpus: tuple[str, ...] = ()
    virtual: bool = False
    instance_type: str = ""


class SeenRange(NamedTuple):
    """From the least to the most of an input that the calibration has seen."""

    low: float
    high: float


class WallCalibration(Struct, frozen=True, kw_only=True):
    """A model of the wall: ``watts = coefficients · terms``, of the machine's own counters.

    ``time`` is when it was made (Unix seconds), ``meter`` with which. ``power_source`` is the host's source that it
    was fitted to (``rapl``), "" where the machine measures nothing and CPU use stands in its place. ``warm_seconds`` is
    the time constant of the term ``warm``. ``covariance`` is that of the coefficients, ``residual_watts`` the standard
    deviation around the model, and ``quantile`` Student's t of 95 % at its degrees of freedom: together they give the
    prediction interval. ``error_watts`` (root mean square) and ``error_percent`` (mean of the absolute) are those of
    steps that were left out of the fit in turn. ``spans`` are the inputs that were seen. ``lag_seconds`` is how late
    the meter was. ``imported``: made on another machine; its intervals are then wider. ``forced``: of another model.
    """

    version: int = CALIBRATION_VERSION
    time: float
    meter: str
    machine: MachineModel
    power_source: str
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    warm_seconds: float = 0.0
    residual_watts: float
    quantile: float
    error_watts: float
    error_percent: float
    spans: dict[str, SeenRange]
    lag_seconds: float = 0.0
    refresh_seconds: float = 0.0
    steps: int
    windows: int
    remarks: tuple[str, ...] = ()
    imported: bool = False
    forced: bool = False


class WallSamples(Struct, frozen=True, kw_only=True):
    """What a calibration is made of, since a moment: the ``inputs``, and the new values of the meter as (Unix seconds,
    watts). ``refresh_seconds`` and ``resolution_watts`` are the meter's as far as they are known. ``power_source`` is
    the host's, "" where it is no measurement. ``reason`` says why there is nothing of the meter."""

    machine: MachineModel
    power_source: str
    inputs: list[WallInputs]
    meter: list[tuple[float, float]]
    refresh_seconds: float | None = None
    resolution_watts: float | None = None
    reason: str = ""


class CalibrationOffer(Struct, frozen=True, kw_only=True):
    """A calibration that the daemon is to keep. ``imported``: it was made on another machine. ``force`` takes one of
    another model of machine. ``instance_type`` is what the provider calls this virtual machine."""

    calibration: WallCalibration
    imported: bool = False
    force: bool = False
    instance_type: str = ""
