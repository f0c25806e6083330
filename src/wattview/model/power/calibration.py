"""Power at the wall without a meter: a calibration computes it from the machine's own counters.

A calibration is stored in the daemon's state directory, and can be exchanged between machines of one model as a JSON
file.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

CALIBRATION_VERSION = 1
"""Version of the file format. Newer versions are refused."""


class WallInputs(NamedTuple):
    """The machine's activity in the ``seconds`` before ``time`` (Unix seconds). ``host_watts`` is the mean power by the
    host's source, ``gpu_watts`` that of the GPUs beside it (0 without any), and ``cpu_percent`` is of the whole machine
    (0 to 100)."""

    time: float
    seconds: float
    host_watts: float
    gpu_watts: float
    cpu_percent: float


class MachineModel(Struct, frozen=True, kw_only=True):
    """What two machines must have in common to exchange a calibration. ``product`` and ``board`` are the firmware's
    vendor and name (DMI), ``gpus`` the models in the order of their slots. ``instance_type`` is a cloud provider's name
    for this kind of virtual machine, "" if unknown; ``virtual``: it is a virtual machine."""

    cpu: str
    cpus: int
    product: str = ""
    board: str = ""
    gpus: tuple[str, ...] = ()
    virtual: bool = False
    instance_type: str = ""


class SeenRange(NamedTuple):
    """Minimum and maximum of an input in the calibration."""

    low: float
    high: float


class WallCalibration(Struct, frozen=True, kw_only=True):
    """A model of the power at the wall: ``watts = coefficients · terms``, over the machine's own counters.

    ``time`` is when it was made (Unix seconds), ``meter`` with which meter. ``power_source`` is the host's source that
    it was fitted to (``rapl``), "" if the machine measures nothing and CPU use replaces it. ``warm_seconds`` is the
    time constant of the term ``warm``. ``covariance`` is that of the coefficients, ``residual_watts`` the standard
    deviation around the model, and ``quantile`` Student's t of 95 % at its degrees of freedom: together they give the
    prediction interval. ``error_watts`` (root mean square) and ``error_percent`` (mean absolute) are leave-one-out
    errors over the steps. ``spans`` are the ranges of the inputs. ``lag_seconds`` was the meter's lag. ``imported``:
    from another machine; its intervals are then wider. ``forced``: from another model.
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
    """Data for a calibration since a moment: the ``inputs``, and the meter's new values as (Unix seconds, watts).
    ``refresh_seconds`` and ``resolution_watts`` are the meter's, if known. ``power_source`` is the host's, "" if it is
    not a measurement. ``reason`` says why the meter has no data."""

    machine: MachineModel
    power_source: str
    inputs: list[WallInputs]
    meter: list[tuple[float, float]]
    refresh_seconds: float | None = None
    resolution_watts: float | None = None
    reason: str = ""


class CalibrationOffer(Struct, frozen=True, kw_only=True):
    """A calibration for the daemon to store. ``imported``: it was made on another machine. ``force`` accepts one from
    another model of machine. ``instance_type`` is the provider's name for this virtual machine."""

    calibration: WallCalibration
    imported: bool = False
    force: bool = False
    instance_type: str = ""
