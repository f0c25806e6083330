"""How sure a figure above the baseline is: the noise of a baseline is in every repeat that it was subtracted from.

``net = scale × (power - baseline)``. Of the repeats' own noise the spread tells, as of any figure. The baseline's is
common to all repeats that share it, so that no spread of theirs can tell of it: it is estimated from the baselines of
one run, which differ by nothing else, and the mean takes it by how much of each baseline is in it. Between two settings
of one run it cancels, where both stand on the same baselines.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple

from msgspec.structs import replace

from wattview.analysis.sweeps.confidence import CONFIDENCE, ROUNDING, Component, difference, estimate, variance
from wattview.model import Difference, Estimate, ScenarioResult

NET = frozenset({"baseline_diff_power_watts", "net_energy_joules", "net_watts_per_stream"})

TOO_FEW_BASELINES = "too few baselines: their noise is known from two or more in a run (--baseline-after)"


class NetValue(NamedTuple):
    """One repeat: its figure, what one watt of its baseline does to it, that baseline, and all of its run's."""

    value: float
    scale: float
    baseline_watts: float
    run: tuple[float, ...]


def net_value(result: ScenarioResult, name: str, value: float) -> NetValue | None:
    """None where the result does not say what was subtracted."""
    if result.baseline_watts is None or result.baseline_diff_power_watts is None:
        return None
    if result.baseline_diff_power_watts:
        scale = value / result.baseline_diff_power_watts
    else:
        scale = {"net_energy_joules": result.window_seconds or 0.0,
                 "net_watts_per_stream": 1 / (result.record.streams or 1)}.get(name, 1.0)  # fmt: skip
    return NetValue(value, scale, result.baseline_watts, result.baselines_watts or (result.baseline_watts,))


def net_estimate(side: Sequence[NetValue], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of repeats. Its interval holds the noise of their baselines; where that is not known there is none."""
    shared = _shared(side, ())
    if shared is not None:
        return estimate(_repeats(side), confidence, shared)
    means = _by_baseline(side)
    if len(means) > 1:
        return replace(estimate(means, confidence), count=len(side))
    return replace(estimate(_repeats(side), confidence), low=None, high=None)


def net_difference(first: Sequence[NetValue], second: Sequence[NetValue], confidence: float = CONFIDENCE) -> Difference:
    """The mean of the first less that of the second."""
    shared = _shared(first, second)
    if shared is not None or min(len(first), len(second)) < 2:
        return difference(_repeats(first), _repeats(second), confidence, shared)
    means, others = _by_baseline(first), _by_baseline(second)
    if min(len(means), len(others)) > 1 and not {_baseline(one) for one in first} & {_baseline(one) for one in second}:
        return difference(means, others, confidence)
    gap = fmean(one.value for one in first) - fmean(one.value for one in second)
    return Difference(difference=gap, differ=None, verdict=TOO_FEW_BASELINES)


def _repeats(side: Sequence[NetValue]) -> list[float]:
    """The figures with the mean of their run's baselines subtracted instead: they vary by the repeats' own noise. Their
    mean is that of the figures."""
    values = [one.value + one.scale * (one.baseline_watts - fmean(one.run)) for one in side]
    shift = fmean(one.value for one in side) - fmean(values)
    return [value + shift for value in values]


def _by_baseline(side: Sequence[NetValue]) -> list[float]:
    """The mean of the repeats on each baseline: these have no noise in common."""
    found: dict[Hashable, list[float]] = {}
    for one in side:
        found.setdefault(_baseline(one), []).append(one.value)
    return [fmean(values) for values in found.values()]


def _baseline(one: NetValue) -> Hashable:
    return one.run, one.baseline_watts


def _shared(first: Sequence[NetValue], second: Sequence[NetValue]) -> Component | None:
    """The variance that baselines add to the difference of two means, or to one mean. None: no run has two of them."""
    parts: dict[Hashable, float] = {}
    for side, sign in ((first, 1.0), (second, -1.0)):
        for one in side:
            parts[_baseline(one)] = parts.get(_baseline(one), 0.0) + sign * one.scale / len(side)
    squares = sum(part**2 for part in parts.values())
    if squares <= ROUNDING * max(one.scale**2 for one in first):
        return Component(0.0, math.inf)
    runs = {one.run for one in (*first, *second) if len(one.run) > 1}
    freedom = sum(len(run) - 1 for run in runs)
    if not freedom:
        return None
    return Component(squares * sum(variance(run) * (len(run) - 1) for run in runs) / freedom, freedom)
