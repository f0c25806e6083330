"""What the machine draws when it does nothing: measured while it runs, never assumed.

Best is a baseline window, in which nothing was asked of the machine. Else it is the intercept of power on utilisation
over the last hours, by a local linear regression at zero (W. S. Cleveland, "Robust Locally Weighted Regression and
Smoothing Scatterplots", 1979): power does not rise in a straight line, so that the intervals near idle count most.
Power is never below idle, so that the lowest power of half a minute bounds both from above. Until the utilisation has
varied enough there is no answer. The same holds for a GPU, with its own utilisation.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.windows.energy import NoData

HALF_LIFE_SECONDS = 3600.0
LOWEST_SECONDS = 30.0
"""The lowest power is a mean over this long: one short interval may be low by chance."""

KEPT_HOURS = 24
"""For how long the lowest power and a baseline count: machines are changed, and rooms get warmer."""

MAX_BASELINE_UTILISATION = 0.05
BANDWIDTH = 0.1
MIN_INTERVALS = 20.0
AT_REST = 0.01
"""A mean utilisation this small needs no line: the mean power is idle power."""

MIN_SPREAD = 0.2
"""The least standard deviation of the utilisation, as a part of its mean: a line is not drawn further than it holds."""

MAX_ERROR = 0.1
"""The largest standard error of the intercept, as a part of it."""

IdleMethod = Literal["baseline", "regression"]


class Idle(Struct, frozen=True):
    """Idle power in watts, how it was found, and its standard error where the method has one."""

    watts: float
    method: IdleMethod
    error_watts: float | None = None


class IdleModel(Struct, frozen=True):
    """What was learnt of idle power so far. A value: ``add`` gives the next one. Times are Unix seconds.

    The sums are those of a weighted least-squares line; weights halve every ``HALF_LIFE_SECONDS``. ``lowest`` is by
    hour. ``half_minute`` is the energy and the length of what is being gathered for it. ``baseline``: when, and watts.
    """

    time: float = 0.0
    weight: float = 0.0
    weight_squared: float = 0.0
    u: float = 0.0
    p: float = 0.0
    uu: float = 0.0
    up: float = 0.0
    pp: float = 0.0
    lowest: tuple[tuple[int, float], ...] = ()
    half_minute: tuple[float, float] = (0.0, 0.0)
    baseline: tuple[float, float] | None = None

    def add(self, time: float, seconds: float, utilisation: float, watts: float) -> IdleModel:
        """With one more interval: its end and length, its utilisation (0 to 1), and its mean power."""
        decay = 0.5 ** (max(time - self.time, 0.0) / HALF_LIFE_SECONDS) if self.weight else 0.0
        weight = seconds * (BANDWIDTH / (BANDWIDTH + utilisation)) ** 2
        joules, length = self.half_minute[0] + watts * seconds, self.half_minute[1] + seconds
        lowest = self.lowest
        if length >= LOWEST_SECONDS:
            lowest = _with_lowest(lowest, int(time // 3600), joules / length)
            joules = length = 0.0
        return replace(
            self,
            time=time,
            weight=self.weight * decay + weight,
            weight_squared=self.weight_squared * decay**2 + weight**2,
            u=self.u * decay + weight * utilisation,
            p=self.p * decay + weight * watts,
            uu=self.uu * decay + weight * utilisation**2,
            up=self.up * decay + weight * utilisation * watts,
            pp=self.pp * decay + weight * watts**2,
            lowest=lowest,
            half_minute=(joules, length),
        )

    def add_baseline(self, time: float, utilisation: float, watts: float) -> IdleModel:
        """With a baseline window, unless something else was running in it."""
        if utilisation > MAX_BASELINE_UTILISATION:
            return self
        return replace(self, baseline=(time, watts))

    def idle(self) -> Idle:
        """The best answer there is. Raises NoData, with the reason, where there is none yet."""
        lowest = min((watts for _, watts in self.lowest), default=math.inf)
        if self.baseline is not None and self.time - self.baseline[0] < KEPT_HOURS * 3600:
            return Idle(min(self.baseline[1], lowest), "baseline")
        watts, error = self._intercept()
        if not self.lowest:
            raise NoData(f"power has been seen for less than {LOWEST_SECONDS:.0f} s")
        return Idle(min(watts, lowest), "regression", error)

    def _intercept(self) -> tuple[float, float]:
        """Power at zero utilisation and its standard error."""
        count = self.weight**2 / self.weight_squared if self.weight else 0.0
        if count < MIN_INTERVALS:
            raise NoData(f"too few intervals so far ({count:.0f} of {MIN_INTERVALS:.0f})")
        mean_u, mean_p = self.u / self.weight, self.p / self.weight
        var_u = max(self.uu / self.weight - mean_u**2, 0.0)
        var_p = max(self.pp / self.weight - mean_p**2, 0.0)
        steady = mean_p, math.sqrt(var_p / count)
        if var_u < (MIN_SPREAD * mean_u) ** 2 or not var_u:
            if mean_u <= AT_REST:
                return steady
            raise NoData("utilisation has not varied enough so far")
        slope = (self.up / self.weight - mean_u * mean_p) / var_u
        intercept = mean_p - slope * mean_u
        residual = max(var_p - slope**2 * var_u, 0.0) * count / (count - 2)
        error = math.sqrt(residual * (1 / count + mean_u**2 / (count * var_u)))
        if slope >= 0 and intercept > 0 and error <= MAX_ERROR * intercept:
            return intercept, error
        if mean_u <= AT_REST:
            return steady
        raise NoData("power does not follow utilisation closely enough so far")


def _with_lowest(lowest: tuple[tuple[int, float], ...], hour: int, watts: float) -> tuple[tuple[int, float], ...]:
    kept = [pair for pair in lowest if hour - KEPT_HOURS < pair[0] <= hour]
    if kept and kept[-1][0] == hour:
        return (*kept[:-1], (hour, min(kept[-1][1], watts)))
    return (*kept, (hour, watts))
