"""What the machine draws when it does nothing: measured while it runs, never assumed.

Best is a baseline window, in which nothing was asked of the machine. Else it is the intercept of power on CPU
utilisation over the last hours; power rises steeply over the first busy cores, so that a straight line through busy
hours meets the axis too high, and the lowest power that was seen bounds it from above. Until the utilisation has varied
enough for a line, that bound alone is the answer. Which of the three it is, is said.
"""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

HALF_LIFE_SECONDS = 3600.0
LOWEST_HOURS = 24
BASELINE_HOURS = 24
MAX_BASELINE_UTILISATION = 0.05
MIN_WEIGHT = 60.0
MIN_SPREAD = 0.02
MAX_ERROR_SHARE = 0.1

Method = Literal["baseline", "regression", "lowest"]


class Idle(Struct, frozen=True):
    """Idle power in watts, how it was found, and its standard error where the method has one."""

    watts: float
    method: Method
    error_watts: float | None = None


class IdleModel(Struct, frozen=True):
    """What was learnt of idle power so far. A value: ``add`` gives the next one. Times are Unix seconds.

    The sums are those of a weighted least-squares line; weights halve every ``HALF_LIFE_SECONDS``.
    """

    time: float = -math.inf
    weight: float = 0.0
    weight_squared: float = 0.0
    u: float = 0.0
    p: float = 0.0
    uu: float = 0.0
    up: float = 0.0
    pp: float = 0.0
    lowest: tuple[tuple[int, float], ...] = ()
    baseline: tuple[float, float] | None = None

    def add(self, time: float, utilisation: float, watts: float) -> IdleModel:
        """With one more interval: its end, the share of all CPU time that was busy (0 to 1), and its mean power."""
        decay = 0.5 ** (max(time - self.time, 0.0) / HALF_LIFE_SECONDS) if self.weight else 0.0
        hour = int(time // 3600)
        kept = [pair for pair in self.lowest if hour - LOWEST_HOURS < pair[0] <= hour]
        if kept and kept[-1][0] == hour:
            kept[-1] = (hour, min(kept[-1][1], watts))
        else:
            kept.append((hour, watts))
        return replace(
            self,
            time=time,
            weight=self.weight * decay + 1.0,
            weight_squared=self.weight_squared * decay**2 + 1.0,
            u=self.u * decay + utilisation,
            p=self.p * decay + watts,
            uu=self.uu * decay + utilisation**2,
            up=self.up * decay + utilisation * watts,
            pp=self.pp * decay + watts**2,
            lowest=tuple(kept),
        )

    def add_baseline(self, time: float, utilisation: float, watts: float) -> IdleModel:
        """With a baseline window, unless something else was running in it."""
        if utilisation > MAX_BASELINE_UTILISATION:
            return self
        return replace(self, baseline=(time, watts))

    def idle(self) -> Idle | None:
        """The best answer there is; None before the first interval."""
        if self.baseline is not None and self.time - self.baseline[0] < BASELINE_HOURS * 3600:
            return Idle(self.baseline[1], "baseline")
        if not self.lowest:
            return None
        lowest = min(watts for _, watts in self.lowest)
        line = self._line()
        if line is not None and line[0] < lowest:
            return Idle(line[0], "regression", line[1])
        return Idle(lowest, "lowest")

    def _line(self) -> tuple[float, float] | None:
        """The intercept and its standard error, None where the data do not carry a line."""
        if self.weight < MIN_WEIGHT:
            return None
        mean_u, mean_p = self.u / self.weight, self.p / self.weight
        var_u = self.uu / self.weight - mean_u**2
        if var_u < MIN_SPREAD**2:
            return None
        slope = (self.up / self.weight - mean_u * mean_p) / var_u
        intercept = mean_p - slope * mean_u
        count = self.weight**2 / self.weight_squared
        residual = max(self.pp / self.weight - mean_p**2 - slope**2 * var_u, 0.0) * count / (count - 2)
        error = math.sqrt(residual * (1 / count + mean_u**2 / (count * var_u)))
        if slope <= 0 or intercept <= 0 or error > MAX_ERROR_SHARE * intercept:
            return None
        return intercept, error
