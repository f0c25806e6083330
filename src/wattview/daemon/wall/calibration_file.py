"""The calibration in the state directory: reading, validation, writing, deletion. Everything here blocks."""

from __future__ import annotations

import contextlib
import logging
import math
from pathlib import Path

import msgspec

from wattview import whole_file
from wattview.analysis.wall.terms import TERMS
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model.power.calibration import CALIBRATION_VERSION, WallCalibration

log = logging.getLogger("wattview.wall")

FILE_NAME = "wall-calibration.json"
MAX_BYTES = 1 << 20


def problem(calibration: WallCalibration) -> str:
    """Why it cannot be used; "" if it can."""
    size = len(calibration.terms)
    if calibration.version > CALIBRATION_VERSION:
        return f"it is of version {calibration.version}, a newer WattView's; this one reads {CALIBRATION_VERSION}"
    if unknown := sorted(set(calibration.terms) - set(TERMS)):
        return f"it has terms that this WattView does not know: {', '.join(unknown)}"
    covariance = calibration.covariance
    if not size or len(calibration.coefficients) != size or [len(row) for row in covariance] != [size] * size:
        return "its coefficients do not match its terms"
    if "warm" in calibration.terms and not calibration.warm_seconds > 0.0:
        return "warm_seconds is missing"
    figures = (*calibration.coefficients, *(value for row in covariance for value in row))
    if not all(map(math.isfinite, (*figures, calibration.residual_watts, calibration.quantile))):
        return "one of its figures is not finite"
    if calibration.residual_watts < 0.0 or calibration.quantile <= 0.0:
        return "its error is below 0"
    return ""


def load(state: Path) -> WallCalibration | None:
    """None if there is none. An unreadable one is logged, and left alone."""
    path = state / FILE_NAME
    try:
        found = msgspec.json.decode(whole_file.read(path, MAX_BYTES), type=WallCalibration)
    except FileNotFoundError:
        return None
    except (OSError, *UNREADABLE) as error:
        log.warning("the calibration cannot be read: %s: %s; make a new one: wattview calibrate", path,
                    why_unreadable(error) if not isinstance(error, OSError) else error.strerror)  # fmt: skip
        return None
    if reason := problem(found):
        log.warning("the calibration in %s cannot be used: %s; make a new one: wattview calibrate", path, reason)
        return None
    return found


def save(state: Path, calibration: WallCalibration) -> None:
    """Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode(calibration), indent=2)
    whole_file.write(state / FILE_NAME, text)


def forget(state: Path) -> None:
    """Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (state / FILE_NAME).unlink()
