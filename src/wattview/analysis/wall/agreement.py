"""Whether a calibration still fits: compared with the meter, if there is one, minute by minute."""

from __future__ import annotations

from collections import deque
from statistics import fmean
from typing import NamedTuple

MINUTE_SECONDS = 60.0
"""Means are compared over this time, so that a meter's lag and refresh interval do not matter."""

MINUTES = 15
MISSED, WELL = 12, 4
"""Number of minutes that miss the interval, of the last ones: from the first on, the calibration no longer fits; up to
the second, it fits again. By chance 1 in 20 misses."""


class Minute(NamedTuple):
    """The means of one minute: the meter's watts, the model's, and their permitted difference."""

    metered: float
    calibrated: float
    error: float

    @property
    def misses(self) -> bool:
        return abs(self.metered - self.calibrated) > self.error


class Agreement:
    """Takes readings of both sides as they come, in Unix seconds."""

    def __init__(self) -> None:
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._start: float | None = None
        self._metered: list[float] = []
        self._calibrated: list[tuple[float, float]] = []
        self._meter_error = 0.0
        self._misfits = False

    def add_meter(self, watts: float, error: float | None) -> None:
        self._metered.append(watts)
        self._meter_error = error or 0.0

    def add_model(self, time: float, watts: float, error: float | None) -> Minute | None:
        """Returns the last minute if the calibration has just stopped fitting."""
        if error is not None:
            self._calibrated.append((watts, error))
        if self._start is None or not 0.0 <= time - self._start <= 2 * MINUTE_SECONDS:
            self._begin(time)
        elif time - self._start >= MINUTE_SECONDS:
            if self._metered and self._calibrated:
                error = fmean(one for _, one in self._calibrated) + self._meter_error
                watts = fmean(one for one, _ in self._calibrated)
                self._minutes.append(Minute(fmean(self._metered), watts, error))
            self._begin(time)
            return self._judge()
        return None

    def _begin(self, time: float) -> None:
        self._start = time
        self._metered, self._calibrated = [], []

    def _judge(self) -> Minute | None:
        missed = sum(minute.misses for minute in self._minutes)
        if self._misfits:
            self._misfits = missed > WELL
        elif missed >= MISSED:
            self._misfits = True
            return self._minutes[-1]
        return None
