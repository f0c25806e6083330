"""Linear regression of power on streams and pixels, over the measured settings.

``watts = base + per_stream x streams + per_megapixel x megapixels a second``, by least squares. Leave-one-out
cross-validation over the settings selects the terms; its error is the error of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wattview.analysis.efficiency import pixels
from wattview.analysis.results import is_baseline
from wattview.analysis.windows.energy import NoData
from wattview.model import Load, MeasuredLoad, PowerFit, ScenarioResult

TERMS: tuple[tuple[str, ...], ...] = ((), ("streams",), ("megapixels",), ("streams", "megapixels"))
"""The candidate models, simplest first. Constant power is one of them; if it fits best, there is no prediction."""

MIN_SETTINGS = 3

IDLE = Load(0.0, 0.0)


def load_of(result: ScenarioResult) -> Load | None:
    """Load of a scenario; None if the record does not say. A baseline has no streams."""
    record = result.record
    if is_baseline(record):
        return IDLE
    if record.streams is None or record.realtime is False:
        return None
    outputs = [(output.resolution, float(output.fps)) for output in record.outputs or []]
    if not outputs and record.resolution is not None and record.fps is not None:
        outputs = [(record.resolution, record.fps)]
    try:
        return stream_load(record.streams, outputs)
    except ValueError:
        return None


def stream_load(streams: int, outputs: Sequence[tuple[str, float]]) -> Load:
    """Load of that many streams with these ``(resolution, frames per second)`` each. Raises ValueError for an invalid
    resolution."""
    if not outputs:
        raise ValueError("no picture")
    return Load(float(streams), streams * sum(pixels(resolution) * fps for resolution, fps in outputs) / 1e6)


def measured(results: Iterable[ScenarioResult]) -> list[tuple[Load, float]]:
    """The measured loads and their mean power."""
    return [
        (found, result.power_mean_watts)
        for result in results
        if result.power_mean_watts is not None and (found := load_of(result)) is not None
    ]


def watts_at(fit: PowerFit, load: Load) -> float:
    """The fitted power at any load, inside or outside of the measured range."""
    return fit.base_watts + fit.watts_per_stream * load.streams + fit.joules_per_megapixel * load.megapixels


def formula(fit: PowerFit) -> str:
    """The fit as text: ``20.00 W + 3.000 W × streams + 0.1000 W × megapixels a second``."""
    terms = [f"{fit.base_watts:.2f} W"]
    if "streams" in fit.terms:
        terms.append(f"{fit.watts_per_stream:.3f} W × streams")
    if "megapixels" in fit.terms:
        terms.append(f"{fit.joules_per_megapixel:.4f} W × megapixels a second")
    return " + ".join(terms).replace("+ -", "− ")


def outside(fit: PowerFit, load: Load) -> str:
    """Why a load has no prediction: it lies outside of the measured range. "" if it lies within."""
    if _inside(fit.hull, load):
        return ""
    return (
        f"{load.streams:g} streams with {load.megapixels:.1f} megapixels a second are outside of the measured range"
        f" ({span_text(fit.hull)})"
    )


def fit_power(points: Sequence[tuple[Load, float]]) -> PowerFit:
    """The model with the smallest leave-one-out error. Raises NoData if too few settings were measured.

    All repeats of a setting are left out together, so the error is that of an unmeasured setting.
    """
    settings = sorted({(load.streams, load.megapixels) for load, _ in points})
    if len(settings) < MIN_SETTINGS:
        raise NoData(f"{len(settings)} different settings were measured, at least {MIN_SETTINGS} are needed")
    best: tuple[float, tuple[str, ...], list[float]] | None = None
    for terms in TERMS:
        try:
            error = _left_out_error(points, [Load(*setting) for setting in settings], terms)
            coefficients = _least_squares(points, terms)
        except NoData:
            continue
        if any(coefficient < 0 for coefficient in coefficients[1:]):
            continue  # more streams or pixels cannot take less power: such a fit is noise
        if best is None or error < best[0] * (1 - 1e-9):
            best = (error, terms, coefficients)
    if best is None or not best[1]:
        raise NoData("the measured power does not depend on streams or pixels: no fit is better than the mean")
    error, terms, coefficients = best
    by_term = dict(zip(terms, coefficients[1:], strict=True))
    return PowerFit(
        terms=terms, base_watts=coefficients[0], watts_per_stream=by_term.get("streams", 0.0),
        joules_per_megapixel=by_term.get("megapixels", 0.0), error_watts=error, settings=len(settings),
        hull=tuple(Load(*corner) for corner in _hull(settings)),
    )  # fmt: skip


def measured_loads(points: Sequence[tuple[Load, float]], fit: PowerFit) -> list[MeasuredLoad]:
    """The loads behind the fit, lightest first, each with its leave-one-out prediction."""
    found = []
    for load in sorted({load for load, _ in points}, key=lambda load: (load.streams, load.megapixels)):
        watts = [one for other, one in points if other == load]
        found.append(
            MeasuredLoad(load=load, watts=sum(watts) / len(watts), repeats=len(watts),
                         left_out_watts=_unseen(points, load, fit.terms))
        )  # fmt: skip
    return found


def _unseen(points: Sequence[tuple[Load, float]], load: Load, terms: tuple[str, ...]) -> float:
    """Prediction for a load by a fit to all others. Raises NoData if these do not determine one."""
    return _value(_least_squares([point for point in points if point[0] != load], terms), load, terms)


def _left_out_error(points: Sequence[tuple[Load, float]], loads: Sequence[Load], terms: tuple[str, ...]) -> float:
    squares: list[float] = []
    for load in loads:
        said = _unseen(points, load, terms)
        squares += [(watts - said) ** 2 for other, watts in points if other == load]
    return math.sqrt(sum(squares) / len(squares))


def _value(coefficients: Sequence[float], load: Load, terms: tuple[str, ...]) -> float:
    return sum(c * x for c, x in zip(coefficients, _row(load, terms), strict=True))


def _row(load: Load, terms: tuple[str, ...]) -> list[float]:
    return [1.0, *(getattr(load, term) for term in terms)]


def _least_squares(points: Sequence[tuple[Load, float]], terms: tuple[str, ...]) -> list[float]:
    """Coefficients by the normal equations, columns scaled to 1. Raises NoData if the system is singular."""
    rows = [_row(load, terms) for load, _ in points]
    size = len(terms) + 1
    scales = [max((abs(row[at]) for row in rows), default=0.0) for at in range(size)]
    if len(rows) < size or not all(scales):
        raise NoData("too few settings for this model")
    rows = [[value / scale for value, scale in zip(row, scales, strict=True)] for row in rows]
    matrix = [
        [*(sum(row[i] * row[j] for row in rows) for j in range(size)),
         sum(row[i] * watts for row, (_, watts) in zip(rows, points, strict=True))]
        for i in range(size)
    ]  # fmt: skip
    for column in range(size):
        pivot = max(range(column, size), key=lambda at: abs(matrix[at][column]))
        if abs(matrix[pivot][column]) < 1e-9 * len(rows):
            raise NoData("the settings cannot separate the terms")
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for at in range(size):
            if at != column:
                factor = matrix[at][column] / matrix[column][column]
                matrix[at] = [a - factor * b for a, b in zip(matrix[at], matrix[column], strict=True)]
    return [matrix[at][size] / matrix[at][at] / scales[at] for at in range(size)]


def _hull(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the convex hull, anticlockwise (Andrew's monotone chain). ``points`` are sorted."""
    if len(points) < 3:
        return list(points)

    def chain(ordered: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        corners: list[tuple[float, float]] = []
        for point in ordered:
            while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
                corners.pop()
            corners.append(point)
        return corners[:-1]

    return chain(points) + chain(reversed(points))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _inside(hull: Sequence[Load], load: Load) -> bool:
    """Whether a load lies in the hull or on its edge, with a tolerance of a thousandth of its extent."""
    wide = max(corner.streams for corner in hull) - min(corner.streams for corner in hull) or 1.0
    high = max(corner.megapixels for corner in hull) - min(corner.megapixels for corner in hull) or 1.0
    corners = [(corner.streams / wide, corner.megapixels / high) for corner in hull]
    point = (load.streams / wide, load.megapixels / high)
    slack = 1e-3
    for axis in (0, 1):
        values = [corner[axis] for corner in corners]
        if not min(values) - slack <= point[axis] <= max(values) + slack:
            return False
    edges = zip(corners, [*corners[1:], corners[0]], strict=True)
    return all(_turn(a, b, point) >= -slack * math.dist(a, b) for a, b in edges)


def span_text(hull: Sequence[Load]) -> str:
    """``0 to 4 streams, 0.0 to 248.8 megapixels a second``."""
    streams = [corner.streams for corner in hull]
    megapixels = [corner.megapixels for corner in hull]
    return (
        f"{min(streams):g} to {max(streams):g} streams,"
        f" {min(megapixels):.1f} to {max(megapixels):.1f} megapixels a second"
    )
