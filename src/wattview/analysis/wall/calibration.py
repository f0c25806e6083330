"""From windows of load to a model of the power at the wall: its terms, coefficients and error.

Leave-one-out cross-validation over the steps selects the terms, as the error on unmeasured loads is what counts. The
interval is a prediction interval for one future moment, from the residuals of the left-out steps. These have two
components: variation between steps (the model is not exactly the machine) and within a step. Their sum has
Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946, p. 110), and the coefficients' own uncertainty is
added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from statistics import fmean, pstdev
from typing import NamedTuple

from wattview.analysis.sweeps.confidence import t_quantile
from wattview.analysis.wall.least_squares import Matrix, Singular, Sums, dot
from wattview.analysis.wall.load_windows import (
    EDGE_SECONDS,
    SETTLE_SECONDS,
    WINDOW_SECONDS,
    InputTimeline,
    LoadWindow,
    MeterPoints,
    Step,
    correlation,
    lag_seconds,
    load_windows,
    readings_of_window,
    repeated,
)
from wattview.analysis.wall.terms import INPUTS, WARM_SECONDS, term_row
from wattview.analysis.windows.energy import NoData
from wattview.model.power.calibration import MachineModel, SeenRange, WallCalibration, WallInputs

CONFIDENCE = 0.95

LEAST_STEPS = 6

STEPS_PER_TERM = 3
"""A term needs this many steps: with fewer, noise looks like a dependency, and the interval is too narrow."""

WORTH = 0.9
"""A term must reduce the leave-one-out error below this share of the error without it."""

GPU_MOVES_WATTS = 10.0
"""GPUs whose power varied less than this were not loaded: they count with the rest of what the machine measures."""


FOLLOWS = 0.5
"""The error must be below this share of the range of the meter's power over the steps."""

LEAST_CHANGE = 0.1
"""The machine's own measurement must vary by this share from the lightest to the heaviest step."""

UNSTEADY = 0.1
"""A step in which the machine's power varied by more than this share was disturbed."""

INEXACT_PERCENT = 3.0


def least_step_seconds(refresh_seconds: float) -> float:
    """Minimum length of a step, so that it has three windows of a meter with that refresh interval."""
    return SETTLE_SECONDS + EDGE_SECONDS + 2.0 * refresh_seconds + 3.0 * max(WINDOW_SECONDS, refresh_seconds)


class MeterFacts(NamedTuple):
    """The meter: its name, its refresh interval (seconds), and the resolution of its watts (0: unknown)."""

    name: str
    refresh_seconds: float
    resolution_watts: float = 0.0


class _Fit(NamedTuple):
    terms: tuple[str, ...]
    warm: int
    """Index into ``WARM_SECONDS``; -1 without that term."""
    coefficients: list[float]
    inverse: Matrix
    residuals: list[list[float]]
    """By step, of the fit to all steps."""
    left_out: list[list[float]]
    """By step, of the fit to the other steps."""

    @property
    def error(self) -> float:
        """Root mean square of the left-out steps' residuals, with equal weight per step."""
        return math.sqrt(fmean(fmean(value * value for value in step) for step in self.left_out))


def calibrate(
    inputs: Sequence[WallInputs], meter: MeterPoints, steps: Sequence[Step], facts: MeterFacts, machine: MachineModel,
    power_source: str, time: float, remarks: Sequence[str] = (),
) -> WallCalibration:  # fmt: skip
    """Fits the model. ``power_source`` "" is a machine that measures nothing itself. Raises NoData with the reason if
    too few steps are usable, or the meter does not follow the load."""
    timeline = InputTimeline(inputs, bool(power_source), WARM_SECONDS)
    meter = repeated(meter, facts.refresh_seconds)
    lag = lag_seconds(timeline, meter, facts.refresh_seconds)
    windows = load_windows(timeline, meter, steps, lag, facts.refresh_seconds)
    groups = [[one for one in windows if one.step == number] for number in range(len(steps))]
    groups = [group for group in groups if group]
    if len(groups) < LEAST_STEPS:
        raise NoData(
            f"{len(groups)} of {len(steps)} steps have readings of the meter, at least {LEAST_STEPS} are needed:"
            " longer steps help, and a meter that answers"
        )
    fit = _best(groups)
    seen = [one.inputs[0] for group in groups for one in group]
    least, most = min(seen), max(seen)
    if most - least < LEAST_CHANGE * most:
        unit = "W" if power_source else "% of its CPU time"
        raise NoData(f"this machine took {least:.1f} to {most:.1f} {unit} in all steps: something else keeps it busy")
    means = [(fmean(one.inputs[0] for one in group), fmean(one.watts for one in group)) for group in groups]
    if fit.error > FOLLOWS * pstdev(watts for _, watts in means) or correlation(means) <= 0.0:
        raise NoData("the meter does not follow the load of this machine: is it this machine's meter?")
    rounding = facts.resolution_watts**2 / 12.0 / readings_of_window(facts.refresh_seconds)
    between, variance, freedom = _variance(fit, rounding)
    mean_windows = fmean(len(group) for group in groups)
    return WallCalibration(
        time=time, meter=facts.name, machine=machine, power_source=power_source, terms=fit.terms,
        coefficients=tuple(fit.coefficients),
        covariance=tuple(tuple(value * between * mean_windows for value in row) for row in fit.inverse),
        warm_seconds=WARM_SECONDS[fit.warm] if fit.warm >= 0 else 0.0,
        residual_watts=math.sqrt(variance), quantile=t_quantile(0.5 + CONFIDENCE / 2, freedom),
        error_watts=fit.error, error_percent=_percent(fit, groups), spans=_spans(groups), lag_seconds=lag,
        refresh_seconds=facts.refresh_seconds, steps=len(groups), windows=len(windows),
        remarks=(*remarks, *_remarks(fit, groups)),
    )  # fmt: skip


def _best(groups: Sequence[Sequence[LoadWindow]]) -> _Fit:
    """The simplest model that no larger one clearly beats. Raises NoData if none can be fitted."""
    best: _Fit | None = None
    for terms, warm in _models(groups):
        if best is not None and STEPS_PER_TERM * len(terms) > len(groups):
            continue
        try:
            fit = _fitted(groups, terms, warm)
        except Singular:
            continue
        if best is None or fit.error < best.error * WORTH ** max(0, len(fit.terms) - len(best.terms)):
            best = fit
    if best is None:
        raise NoData("the machine's own power did not change from step to step: nothing can be fitted to it")
    return best


def _models(groups: Sequence[Sequence[LoadWindow]]) -> Iterator[tuple[tuple[str, ...], int]]:
    """All models, simplest first."""
    gpu = [one.inputs[INPUTS.index("gpu")] for group in groups for one in group]
    fixed = ("base", "seen", *(("gpu",) if max(gpu) - min(gpu) >= GPU_MOVES_WATTS else ()))
    found = []
    for square, cpu, warm in product((False, True), (False, True), range(-1, len(WARM_SECONDS))):
        more = [name for name, wanted in (("square", square), ("cpu", cpu), ("warm", warm >= 0)) if wanted]
        found.append(((*fixed, *more), warm))
    yield from sorted(found, key=lambda one: len(one[0]))


def _fitted(groups: Sequence[Sequence[LoadWindow]], terms: tuple[str, ...], warm: int) -> _Fit:
    rows = [[term_row(terms, one.inputs, one.warmths[warm] if warm >= 0 else 0.0) for one in group] for group in groups]
    parts = []
    whole = Sums(len(terms))
    for group, lines in zip(groups, rows, strict=True):
        part = Sums(len(terms))
        for one, line in zip(group, lines, strict=True):
            part.add(line, one.watts, 1.0 / len(group))
        parts.append(part)
        whole = whole.plus(part)
    coefficients, inverse = whole.solve()
    residuals, left_out = [], []
    for group, lines, part in zip(groups, rows, parts, strict=True):
        others, _ = whole.plus(part, -1.0).solve()
        residuals.append([one.watts - dot(coefficients, line) for one, line in zip(group, lines, strict=True)])
        left_out.append([one.watts - dot(others, line) for one, line in zip(group, lines, strict=True)])
    return _Fit(terms, warm, coefficients, inverse, residuals, left_out)


def _variance(fit: _Fit, rounding: float) -> tuple[float, float, float]:
    """The variance of a step's mean and of a window, and its degrees of freedom.

    A residual times the left-out residual has the mean of the error's variance. ``rounding`` is the variance of the
    meter's rounding, which does not belong to the machine.
    """
    steps, size = len(fit.residuals), len(fit.coefficients)
    between = fmean(
        max(0.0, fmean(mine) * fmean(others)) for mine, others in zip(fit.residuals, fit.left_out, strict=True)
    )
    inside = [(len(mine), mine, others) for mine, others in zip(fit.residuals, fit.left_out, strict=True)]
    spare = sum(count - 1 for count, _, _ in inside)
    squares = sum(
        (a - fmean(mine)) * (b - fmean(others)) for _, mine, others in inside for a, b in zip(mine, others, strict=True)
    )
    within = max(0.0, squares / spare - rounding) if spare else 0.0
    share = 1.0 - steps / sum(count for count, _, _ in inside)
    total = between + share * within
    if total <= 0.0:
        return 0.0, 0.0, float(steps - size)
    parts = between**2 / (steps - size) + ((share * within) ** 2 / spare if spare else 0.0)
    return between, total, total**2 / parts


def _remarks(fit: _Fit, groups: Sequence[Sequence[LoadWindow]]) -> Iterator[str]:
    """Limitations of this calibration."""
    for group in groups:
        seen = [one.inputs[0] for one in group]
        middle = fmean(seen)
        if len(seen) > 1 and max(seen) - min(seen) > UNSTEADY * middle:
            yield f"step {group[0].step + 1} was not steady: {min(seen):.1f} to {max(seen):.1f}, something else ran too"
    if (percent := _percent(fit, groups)) > INEXACT_PERCENT:
        yield f"the mean error is {percent:.1f} %: wall power does not follow what this machine measures"


def _percent(fit: _Fit, groups: Sequence[Sequence[LoadWindow]]) -> float:
    return 100.0 * fmean(
        abs(value) / one.watts
        for group, values in zip(groups, fit.left_out, strict=True)
        for one, value in zip(group, values, strict=True)
        if one.watts > 0.0
    )


def _spans(groups: Sequence[Sequence[LoadWindow]]) -> dict[str, SeenRange]:
    rows = [one.inputs for group in groups for one in group]
    columns = dict(zip(INPUTS, zip(*rows, strict=True), strict=True))
    return {name: SeenRange(min(columns[name]), max(columns[name])) for name in ("seen", "gpu", "cpu")}
