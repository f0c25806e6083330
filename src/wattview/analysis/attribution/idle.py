"""Idle power: measured while the machine is at rest, never extrapolated from higher load.

Power is not linear in utilisation: at a tenth of full load many servers draw 50 % more than when idle
(SPECpower_ssj2008), and others jump when they leave a deep sleep state. A regression over a busy machine's power
therefore says nothing about idle power, however good its fit. Idle power is known only if the machine was seen at rest:
in a baseline window, or in half minutes with at most ``REST`` utilisation. The power of that small load is subtracted,
following the bend of the curve above rest, and bounded: from 0 to u, power rises by at most the share ``√(u / v)`` of
its rise to a higher utilisation v. That bound, with the spread of the half minutes, is the error. If the error is
large, there is no answer. A GPU is treated the same way, by its own utilisation.

All times are monotonic, so that setting the wall clock changes nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.sweeps.confidence import t_quantile, variance
from wattview.analysis.windows.energy import NoData
from wattview.model.power import IdleMethod

REST = 0.02
"""Largest utilisation at which a machine counts as at rest. A step in power below the lowest utilisation seen goes
unnoticed."""

HALF_MINUTE = 30.0
"""Length of one observation in seconds: a shorter interval may be low by chance."""

BANDS = (0.0025, 0.005, 0.01, REST, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Upper edges of the utilisation bands, narrow near rest so that rare observations there are kept."""

KEPT = 32
"""Observations kept per band; new ones replace the oldest."""

KEPT_SECONDS = 24 * 3600.0
"""How long observations and baselines stay valid, in seconds: machines are changed, and rooms get warmer."""

MIN_OBSERVATIONS = 4

MAX_ERROR = 0.2
"""Largest error, as a share of idle power. Beyond it idle power is unknown."""

FULL_LOAD = 3.0
"""Assumed power at full load, as a multiple of idle power, until the machine has been seen busier than at rest."""

STEEPEST = 0.5
"""Exponent of the steepest power curve: √u. SPECpower's servers have 0.5 to 0.9 up to a tenth of the load."""

BUSIER = 4.0
"""A busier observation must have at least this multiple of the utilisation at rest."""


class Idle(Struct, frozen=True):
    """Idle power in watts and its origin: ``setting``, the assumption of the estimate, a baseline window, or
    ``regression``: the machine at rest, less the power of its remaining load.

    The truth lies within ``error_watts`` with 95 % confidence; None for an idle power that was set or assumed.
    """

    watts: float
    method: IdleMethod
    error_watts: float | None = None


class Observation(NamedTuple):
    """At least half a minute, stamped with its end. ``error_watts`` is the error of the mean power; None if unknown."""

    time: float
    utilisation: float
    watts: float
    error_watts: float = 0.0


class IdleModel(Struct, frozen=True):
    """What is known about idle power so far. Immutable: ``add`` returns the next model. Times are monotonic.

    ``bands`` holds the observations by utilisation (``BANDS``), oldest first. ``gathered`` is the observation in
    progress: seconds, utilisation integrated over them, and joules. ``window`` is the last baseline.
    """

    time: float = 0.0
    bands: tuple[tuple[Observation, ...], ...] = ((),) * len(BANDS)
    gathered: tuple[float, float, float] = (0.0, 0.0, 0.0)
    window: Observation | None = None

    def add(self, time: float, seconds: float, utilisation: float, watts: float) -> IdleModel:
        """The model with one more interval: its end, length, utilisation (0 to 1) and mean power."""
        if time < self.time:
            return self._moved(time - seconds - self.time).add(time, seconds, utilisation, watts)
        length, use, joules = self.gathered if time - self.time < seconds + HALF_MINUTE else (0.0, 0.0, 0.0)
        length, use, joules = length + seconds, use + utilisation * seconds, joules + watts * seconds
        if length < HALF_MINUTE:
            return replace(self, time=time, gathered=(length, use, joules))
        one = Observation(time, min(use / length, 1.0), joules / length)
        at = bisect_left(BANDS, one.utilisation)
        band = (*self.bands[at][-KEPT + 1 :], one)
        return replace(self, time=time, gathered=(0.0, 0.0, 0.0), bands=(*self.bands[:at], band, *self.bands[at + 1 :]))

    def add_baseline(self, time: float, utilisation: float, watts: float, error_watts: float = 0.0) -> IdleModel:
        """The model with a baseline window, unless something else was running in it."""
        if utilisation > REST:
            return self
        return replace(self, time=max(time, self.time), window=Observation(time, utilisation, watts, error_watts))

    def idle(self) -> Idle:
        """The best available idle power. Raises NoData with the reason if there is none."""
        bands = [self._recent(band) for band in self.bands]
        resting = _resting(bands)
        found = []
        if self.window is not None and self.time - self.window.time < KEPT_SECONDS:
            found.append(_less_use(self.window, self.window.error_watts, bands, "baseline"))
        if resting:
            found.append(_less_use(_mean(resting), _spread(resting), bands, "regression"))
        if not found:
            raise NoData(_never_at_rest(bands))
        best = min(found, key=lambda one: one.error_watts or 0.0)
        if (best.error_watts or 0.0) > MAX_ERROR * best.watts:
            raise NoData(
                f"the power at rest is too uncertain, {best.watts:.1f} ±{best.error_watts:.1f} W;"
                " run a baseline while nothing else runs, or set power.idle_watts"
            )
        return best

    def _recent(self, band: Sequence[Observation]) -> list[Observation]:
        return [one for one in band if self.time - one.time < KEPT_SECONDS]

    def _moved(self, seconds: float) -> IdleModel:
        """The model with all times shifted by ``seconds``: the monotonic clock restarts with the machine."""
        window = None if self.window is None else self.window._replace(time=self.window.time + seconds)
        bands = tuple(tuple(one._replace(time=one.time + seconds) for one in band) for band in self.bands)
        return replace(self, time=self.time + seconds, bands=bands, window=window)


def _resting(bands: Sequence[Sequence[Observation]]) -> list[Observation]:
    """The observations at the lowest utilisation, as many as needed; none if too few are at rest."""
    found: list[Observation] = []
    for band in bands[: BANDS.index(REST) + 1]:
        found += band
        if len(found) >= MIN_OBSERVATIONS:
            return found
    return []


def _never_at_rest(bands: Sequence[Sequence[Observation]]) -> str:
    seen = [one.utilisation for band in bands for one in band]
    resting = sum(1 for use in seen if use <= REST)
    if resting or not seen:
        return f"too few observations at rest so far ({resting} of {MIN_OBSERVATIONS} half minutes)"
    return (
        f"the machine was never at rest: its utilisation was {100 * min(seen):.0f} % or more, and above"
        f" {100 * REST:.0f} % idle power cannot be inferred; run a baseline while nothing else runs,"
        " or set power.idle_watts"
    )


def _mean(band: Sequence[Observation]) -> Observation:
    return Observation(band[-1].time, fmean(one.utilisation for one in band), fmean(one.watts for one in band))


def _spread(band: Sequence[Observation]) -> float:
    """Uncertainty of the power at rest: that of one more observation, or the largest deviation if greater. Power at
    rest wanders with temperature, discs and fans, so the standard error of the mean would be too small."""
    watts = [one.watts for one in band]
    mean, count = fmean(watts), len(watts)
    one_more = t_quantile(0.975, count - 1) * math.sqrt(variance(watts) * (1.0 + 1.0 / count))
    return max(one_more, *(abs(value - mean) for value in watts))


def _less_use(rest: Observation, spread: float, bands: Iterable[Sequence[Observation]], method: IdleMethod) -> Idle:
    """Idle power: power at rest less the most likely power of its load, within the bounds of what that load can have
    drawn."""
    busier = [_mean(band) for band in bands if len(band) >= MIN_OBSERVATIONS]
    busier = [one for one in busier if rest.utilisation and one.utilisation >= BUSIER * rest.utilisation]
    # Upper bound of the busier observation's rise above rest, noise included.
    first, more = (busier[0], spread) if busier else (Observation(0.0, 1.0, FULL_LOAD * rest.watts), 0.0)
    share = rest.utilisation / first.utilisation
    rise = max(first.watts - rest.watts, 0.0)
    likely = rise * _part(share ** _bend(rest, busier))
    most = (rise + more) * _part(share**STEEPEST)
    return Idle(max(rest.watts - likely, 0.0), method, spread + max(likely, most - likely))


def _part(share: float) -> float:
    """Ratio of rest's power to the further rise at the busier utilisation, if rest took ``share`` of the busier one's
    power."""
    return share / (1.0 - share)


def _bend(rest: Observation, busier: Sequence[Observation]) -> float:
    """Exponent of the power curve above rest, from two busier utilisations; between linear and the steepest curve."""
    first = busier[0] if busier else None
    second = next((one for one in busier if first is not None and one.utilisation >= 2 * first.utilisation), None)
    if first is None or second is None or not second.watts > first.watts > rest.watts:
        return (1.0 + STEEPEST) / 2
    rises = (second.watts - rest.watts) / (first.watts - rest.watts)
    uses = (second.utilisation - rest.utilisation) / (first.utilisation - rest.utilisation)
    return min(max(math.log(rises) / math.log(uses), STEEPEST), 1.0)
