"""The estimate of a machine that measures nothing, by its calibration: a virtual machine of a known instance type."""

from __future__ import annotations

from msgspec.structs import replace

from wattview.analysis.wall.terms import INPUTS, SQUARE_WATTS
from wattview.analysis.wall.wall_model import estimate
from wattview.config import Config
from wattview.model.power.calibration import WallCalibration


def with_calibrated_estimate(config: Config, calibration: WallCalibration | None) -> Config:
    """The settings with the calibration's watts per CPU, idle and fully used, unless set: the estimate is then this
    machine's own, not a published figure for its processor's family.

    Unchanged if the calibration uses measured power, or is of a machine with GPUs, whose power is added separately.
    """
    if calibration is None or calibration.power_source or calibration.machine.gpus or not calibration.machine.cpus:
        return config
    idle, full = (_watts(calibration, percent) / calibration.machine.cpus for percent in (0.0, 100.0))
    if not 0.0 < idle < full:
        return config
    power = config.power
    if power.estimate_idle_watts_per_cpu is None:
        power = replace(power, estimate_idle_watts_per_cpu=idle)
    if power.estimate_max_watts_per_cpu is None:
        power = replace(power, estimate_max_watts_per_cpu=full)
    return replace(config, power=power)


def _watts(calibration: WallCalibration, cpu_percent: float) -> float:
    """Power at the wall after some minutes at that CPU use."""
    inputs = {"seen": cpu_percent, "gpu": 0.0, "cpu": cpu_percent, "square": cpu_percent**2 / SQUARE_WATTS}
    return estimate(calibration, [inputs[name] for name in INPUTS], cpu_percent).watts
