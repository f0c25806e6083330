"""What the machine draws when it does nothing: seen while it rests, never extrapolated from afar.

Power does not rise in a straight line with utilisation: many servers draw half of their idle power more at a tenth of
the load (SPECpower_ssj2008), others sleep deeply and take a step to wake up. A line through what a busy machine draws
says nothing of it at rest, however well it fits. So idle power is known where the machine was seen at rest: in a
baseline window, or in half minutes of at most ``REST`` utilisation. What the little use in them took is subtracted, as
the curve above rest bends, and bounded: from 0 to u power rises by no more than the share ``√(u / v)`` of what it rises
to a busier v, whatever the curve. That bound is the error, with the spread of the half minutes. Where it would be large
there is no answer. The same holds for a GPU, with its own utilisation.

All times are of a monotonic clock: a wall clock that is set changes nothing.
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
"""The largest utilisation at which a machine is at rest. A step of its power below the least that was seen stays
unseen."""

HALF_MINUTE = 30.0
"""What is gathered into one observation: a shorter interval may be low by chance."""

BANDS = (0.0025, 0.005, 0.01, REST, 0.05, 0.1, 0.2, 0.4, 1.0)
"""Upper edges of the utilisations that are kept apart: those near rest must not be lost among the others."""

KEPT = 32
"""Observations of each band: what is newer takes the place of the oldest."""

KEPT_SECONDS = 24 * 3600.0
"""For how long an observation and a baseline count: machines are changed, and rooms get warmer."""

MIN_OBSERVATIONS = 4

MAX_ERROR = 0.2
"""The largest error that is stated, as a part of idle power. Beyond it idle power is not known."""

FULL_LOAD = 3.0
"""What full load is taken to draw, in idle powers, until the machine has been seen busier than at rest."""

STEEPEST = 0.5
"""The exponent of the steepest power curve: √u. SPECpower's servers have 0.5 to 0.9 up to a tenth of the load."""

BUSIER = 4.0
"""How many times the utilisation at rest one has to be that tells what it takes."""


class Idle(Struct, frozen=True):
    """Idle power in watts and how it is known: set by hand, what the estimate itself assumes, from a baseline window,
    or from the machine at rest, less what its use took (``regression``). The truth lies within ``error_watts`` with
    95 %; None where it is given."""

    watts: float
    method: IdleMethod
    error_watts: float | None = None


class Observation(NamedTuple):
    """Half a minute or more, by its end. ``error_watts`` is that of the mean power, where it is known."""

    time: float
    utilisation: float
    watts: float
    error_watts: float = 0.0


class IdleModel(Struct, frozen=True):
    """What was learnt of idle power so far. A value: ``add`` gives the next one. Times are of a monotonic clock.

    ``bands`` has observations by utilisation (``BANDS``), oldest first. ``gathered`` is the next one: seconds, the sum
    of utilisation over them, and joules. ``window`` is the last baseline.
    """

    time: float = 0.0
    bands: tuple[tuple[Observation, ...], ...] = ((),) * len(BANDS)
    gathered: tuple[float, float, float] = (0.0, 0.0, 0.0)
    window: Observation | None = None

    def add(self, time: float, seconds: float, utilisation: float, watts: float) -> IdleModel:
        """With one more interval: its end and length, its utilisation (0 to 1), and its mean power."""
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
        """With a baseline window, unless something else was running in it."""
        if utilisation > REST:
            return self
        return replace(self, time=max(time, self.time), window=Observation(time, utilisation, watts, error_watts))

    def idle(self) -> Idle:
        """The best answer there is. Raises NoData, with the reason, where there is none."""
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
                f"the power at rest leaves it too uncertain, {best.watts:.1f} ±{best.error_watts:.1f} W;"
                " run a baseline while nothing else runs, or set power.idle_watts"
            )
        return best

    def _recent(self, band: Sequence[Observation]) -> list[Observation]:
        return [one for one in band if self.time - one.time < KEPT_SECONDS]

    def _moved(self, seconds: float) -> IdleModel:
        """The same on a clock that shows so much more: the monotonic clock begins anew when the machine does."""
        window = None if self.window is None else self.window._replace(time=self.window.time + seconds)
        bands = tuple(tuple(one._replace(time=one.time + seconds) for one in band) for band in self.bands)
        return replace(self, time=self.time + seconds, bands=bands, window=window)


def _resting(bands: Sequence[Sequence[Observation]]) -> list[Observation]:
    """The observations at the least use, as many as it takes; none where there are too few at rest."""
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
        f"the machine was never at rest: its use was {100 * min(seen):.0f} % or more, and from above {100 * REST:.0f} %"
        " its power at 0 % is unknown; run a baseline while nothing else runs, or set power.idle_watts"
    )


def _mean(band: Sequence[Observation]) -> Observation:
    return Observation(band[-1].time, fmean(one.utilisation for one in band), fmean(one.watts for one in band))


def _spread(band: Sequence[Observation]) -> float:
    """How far from their mean the power at rest may lie: that of one more observation, and the farthest of them. It
    wanders with warmth, discs and fans, so that the error of the mean would be too small."""
    watts = [one.watts for one in band]
    mean, count = fmean(watts), len(watts)
    one_more = t_quantile(0.975, count - 1) * math.sqrt(variance(watts) * (1.0 + 1.0 / count))
    return max(one_more, *(abs(value - mean) for value in watts))


def _less_use(rest: Observation, spread: float, bands: Iterable[Sequence[Observation]], method: IdleMethod) -> Idle:
    """Idle power from the power at rest: less what the use took most likely, within what it can have taken."""
    busier = [_mean(band) for band in bands if len(band) >= MIN_OBSERVATIONS]
    busier = [one for one in busier if rest.utilisation and one.utilisation >= BUSIER * rest.utilisation]
    # How much above rest the busier one may be, noise and all.
    first, more = (busier[0], spread) if busier else (Observation(0.0, 1.0, FULL_LOAD * rest.watts), 0.0)
    share = rest.utilisation / first.utilisation
    rise = max(first.watts - rest.watts, 0.0)
    likely = rise * _part(share ** _bend(rest, busier))
    most = (rise + more) * _part(share**STEEPEST)
    return Idle(max(rest.watts - likely, 0.0), method, spread + max(likely, most - likely))


def _part(share: float) -> float:
    """What rest took for each watt that a busier use took beyond it, where it took that share of the busier one's."""
    return share / (1.0 - share)


def _bend(rest: Observation, busier: Sequence[Observation]) -> float:
    """The exponent of the power curve above rest, as two busier utilisations show it; between straight and steepest."""
    first = busier[0] if busier else None
    second = next((one for one in busier if first is not None and one.utilisation >= 2 * first.utilisation), None)
    if first is None or second is None or not second.watts > first.watts > rest.watts:
        return (1.0 + STEEPEST) / 2
    rises = (second.watts - rest.watts) / (first.watts - rest.watts)
    uses = (second.utilisation - rest.utilisation) / (first.utilisation - rest.utilisation)
    return min(max(math.log(rises) / math.log(uses), STEEPEST), 1.0)
