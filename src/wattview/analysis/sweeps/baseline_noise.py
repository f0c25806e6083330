"""Uncertainty of figures above baseline, to which the noise of the baseline contributes.

``net = scale × (power - baseline)``. The repeats' own noise shows in their spread. Noise of a baseline is common to all
repeats that share it and does not show there; it is estimated from the baselines of one run, which are repeats of each
other, and enters the mean by the weight of each baseline. In the difference of two settings of one run it cancels if
both use the same baselines.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple

from msgspec.structs import replace

from wattview.analysis.sweeps.confidence import (
    ROUNDING,
    Component,
    difference,
    estimate,
    paired_difference,
    variance,
)
from wattview.model import Difference, Estimate, ScenarioResult

NET = frozenset({"baseline_diff_power_watts", "net_energy_joules", "net_watts_per_stream"})

TOO_FEW_BASELINES = "too few baselines: a run needs at least two to estimate their noise (--baseline-after)"


class NetValue(NamedTuple):
    """One repeat: its figure, the figure's derivative by the baseline's power, that baseline, and all baselines of its
    run."""

    value: float
    scale: float
    baseline_watts: float
    run: tuple[float, ...]


def net_value(result: ScenarioResult, name: str, value: float) -> NetValue | None:
    """None if the result does not say what was subtracted."""
    if result.baseline_watts is None or result.baseline_diff_power_watts is None:
        return None
    if result.baseline_diff_power_watts:
        scale = value / result.baseline_diff_power_watts
    else:
        scale = {"net_energy_joules": result.window_seconds or 0.0,
                 "net_watts_per_stream": 1 / (result.record.streams or 1)}.get(name, 1.0)  # fmt: skip
    return NetValue(value, scale, result.baseline_watts, result.baselines_watts or (result.baseline_watts,))


def net_estimate(side: Sequence[NetValue]) -> Estimate:
    """Mean of repeats. Its interval includes the noise of their baselines; if that is unknown there is no interval."""
    shared = _shared(side, ())
    if shared is not None:
        return estimate(_repeats(side), shared=shared)
    means = _by_baseline(side)
    if len(means) > 1:
        return replace(estimate(means), count=len(side))
    return replace(estimate(_repeats(side)), low=None, high=None)


def net_difference(first: Sequence[NetValue], second: Sequence[NetValue]) -> Difference:
    """Mean of the first less mean of the second."""
    shared = _shared(first, second)
    if shared is not None or min(len(first), len(second)) < 2:
        return difference(_repeats(first), _repeats(second), shared=shared)
    means, others = _by_baseline(first), _by_baseline(second)
    if min(len(means), len(others)) > 1 and not {_baseline(one) for one in first} & {_baseline(one) for one in second}:
        return difference(means, others)
    gap = fmean(one.value for one in first) - fmean(one.value for one in second)
    return Difference(difference=gap, differ=None, verdict=TOO_FEW_BASELINES)


def net_paired_difference(gaps: Sequence[NetValue], size: float) -> Difference:
    """Mean of the differences of pairs, each with what the noise of its baseline leaves in it."""
    shared = _shared(gaps, ())
    if shared is None:
        return Difference(difference=fmean(one.value for one in gaps), differ=None, verdict=TOO_FEW_BASELINES)
    return paired_difference(_repeats(gaps), size, shared=shared)


def _repeats(side: Sequence[NetValue]) -> list[float]:
    """The figures with the mean of their run's baselines subtracted instead, so that only the repeats' own noise
    remains. Their mean is unchanged."""
    values = [one.value + one.scale * (one.baseline_watts - fmean(one.run)) for one in side]
    shift = fmean(one.value for one in side) - fmean(values)
    return [value + shift for value in values]


def _by_baseline(side: Sequence[NetValue]) -> list[float]:
    """Mean of the repeats on each baseline: these means have no noise in common."""
    found: dict[Hashable, list[float]] = {}
    for one in side:
        found.setdefault(_baseline(one), []).append(one.value)
    return [fmean(values) for values in found.values()]


def _baseline(one: NetValue) -> Hashable:
    return one.run, one.baseline_watts


def _shared(first: Sequence[NetValue], second: Sequence[NetValue]) -> Component | None:
    """Variance that baselines add to the difference of two means, or to one mean. None: no run has two baselines."""
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
