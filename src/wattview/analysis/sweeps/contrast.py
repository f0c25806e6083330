"""The candidate's figure less the bound on it, over all repeats: the quantity that the gate tests.

Repeats that were measured in turn are compared in pairs of neighbours: heat, a clock that slows down and a neighbour's
load affect both of a pair, and cancel out. Whether they are paired follows from the order of measurement, never from
the values.
"""

from __future__ import annotations

from typing import NamedTuple

from wattview.analysis.sweeps.baseline_noise import (
    NetValue,
    net_difference,
    net_paired_difference,
    net_value,
)
from wattview.analysis.sweeps.comparison import Repeats
from wattview.analysis.sweeps.confidence import difference, paired_difference, variance
from wattview.model import Difference, ScenarioResult


class Contrast(NamedTuple):
    """``gap`` is the mean difference, ``spread`` the variance of one repeat of both sides together, and ``shared`` the
    variance that more repeats do not reduce."""

    gap: Difference
    repeats: int
    spread: float
    shared: float
    paired: bool


def contrast(candidate: Repeats, baseline: Repeats, name: str, factor: float, shift: float) -> Contrast:
    """``candidate - (factor * baseline + shift)`` of a figure that both have."""
    return _paired(candidate, baseline, name, factor, shift) or _unpaired(candidate, baseline, name, factor, shift)


def in_turn(first: Repeats, second: Repeats) -> list[tuple[ScenarioResult, ScenarioResult]]:
    """The repeats in pairs of neighbours, without those that do not count; empty if they did not take turns, as in
    ABAB or ABBA, on one machine."""
    if first.machine != second.machine:
        return []
    mine, others = (*first.valid, *first.invalid), (*second.valid, *second.invalid)
    timed = [(one.record.start_time or 0.0, one, side) for side, all_of in enumerate((mine, others)) for one in all_of]
    starts = {start for start, _, _ in timed}
    if 0.0 in starts or len(starts) < len(timed):
        return []
    timed.sort(key=lambda each: each[0])
    pairs = []
    for (_, one, side), (_, other, opposite) in zip(timed[::2], timed[1::2], strict=False):
        if side == opposite:
            return []
        if not one.record.fault and not other.record.fault:
            pairs.append((one, other) if side == 0 else (other, one))
    return pairs


def _paired(candidate: Repeats, baseline: Repeats, name: str, factor: float, shift: float) -> Contrast | None:
    found = [
        (one, value, other, limit)
        for one, other in in_turn(candidate, baseline)
        if (value := candidate.value(one, name)) is not None and (limit := baseline.value(other, name)) is not None
    ]
    if len(found) < 2:
        return None
    gaps = [value - (factor * limit + shift) for _, value, _, limit in found]
    size = max(max(abs(value), abs(limit)) for _, value, _, limit in found)
    if candidate.net_values(name) is None or baseline.net_values(name) is None:
        return Contrast(paired_difference(gaps, size), len(gaps), variance(gaps), 0.0, paired=True)
    nets = []
    for (one, value, other, limit), gap in zip(found, gaps, strict=True):
        net, net_limit = net_value(one, name, value), net_value(other, name, limit)
        if net is None or net_limit is None or net[2:] != net_limit[2:]:
            return None
        nets.append(NetValue(gap, net.scale - factor * net_limit.scale, net.baseline_watts, net.run))
    whole = net_paired_difference(nets, size)
    return Contrast(whole, len(gaps), variance(gaps), _shared(whole, variance(gaps) / len(gaps)), paired=True)


def _unpaired(candidate: Repeats, baseline: Repeats, name: str, factor: float, shift: float) -> Contrast:
    values = candidate.values(name)
    limits = [factor * value + shift for value in baseline.values(name)]
    net, net_others = candidate.net_values(name), baseline.net_values(name)
    if net and net_others:
        scaled = [one._replace(value=factor * one.value + shift, scale=factor * one.scale) for one in net_others]
        gap = net_difference(net, scaled)
    else:
        gap = difference(values, limits)
    repeats = min(len(values), len(limits))
    if gap.standard_error is None:
        return Contrast(gap, repeats, 0.0, 0.0, paired=False)
    parts = [variance(values), variance(limits)]
    shared = _shared(gap, parts[0] / len(values) + parts[1] / len(limits)) if net and net_others else 0.0
    return Contrast(gap, repeats, sum(parts), shared, paired=False)


def _shared(gap: Difference, of_repeats: float) -> float:
    return 0.0 if gap.standard_error is None else max(0.0, gap.standard_error**2 - of_repeats)
