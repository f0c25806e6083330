"""Linear regression of power on streams, pixels and what the pixels hold, over the measured settings.

``watts = base + per_stream x streams + per_megapixel x megapixels a second``, by least squares, where the energy of a
megapixel may rise with the logarithm of its bits (an encoder's work does, at one preset) and with the SI and TI of its
source. Leave-one-out cross-validation over the settings selects the terms; its error is the error of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from msgspec import Struct

from wattview.analysis.sweeps.loads import IDLE
from wattview.analysis.wall.least_squares import Singular, dot, inverted
from wattview.analysis.windows.energy import NoData
from wattview.model import Load, MeasuredLoad, PowerFit
from wattview.model.quantities import POWER

LOAD_TERMS: tuple[tuple[str, ...], ...] = ((), ("streams",), ("megapixels",), ("streams", "megapixels"))
"""The candidate models, simplest first. Constant power is one of them; if it fits best, there is no prediction."""

REFERENCE_BITS_PER_PIXEL = 0.1


class ContentTerm(Struct, frozen=True):
    """A figure of what the pixels hold: the energy of a megapixel is linear in ``term`` of it."""

    words: str
    symbol: str
    digits: int
    term: Callable[[float], float]
    rises: bool = False
    """More of it cannot take less power: a fit that says so is noise."""

    def text(self, *values: float) -> str:
        """``0.080 to 0.120 bits per pixel``, ``SI 45``."""
        numbers = " to ".join(dict.fromkeys(f"{value:.{self.digits}f}" for value in values))
        return f"{self.words} {numbers}" if self.words.isupper() else f"{numbers} {self.words}"


CONTENT: dict[str, ContentTerm] = {
    "bits_per_pixel": ContentTerm("bits per pixel", f"log2(bits per pixel / {REFERENCE_BITS_PER_PIXEL:g})", 3,
                                  lambda value: math.log2(value / REFERENCE_BITS_PER_PIXEL), rises=True),
    "spatial": ContentTerm("SI", "SI", 0, lambda value: value),
    "temporal": ContentTerm("TI", "TI", 0, lambda value: value),
}  # fmt: skip
"""By the fields of ``Load``."""

COLUMNS = ("base", "streams", "megapixels", *CONTENT)

MIN_SETTINGS = 3

MIN_GAIN = 0.05
"""Each further term of the content must lower the error by this part: of a few settings, noise lowers it by less."""

EXACT = 1e-7
"""Errors below this part of the power are rounding."""


def watts_at(fit: PowerFit, load: Load) -> float:
    """The fitted power at any load, inside or outside of the measured range.

    Raises NoData if a figure of the content that the fit needs is unknown.
    """
    return sum(c * x for c, x in zip(_coefficients(fit), _row(load, fit.terms), strict=True))


def _coefficients(fit: PowerFit) -> list[float]:
    known = {"streams": fit.watts_per_stream, "megapixels": fit.joules_per_megapixel, **fit.content_joules}
    return [fit.base_watts, *(known[term] for term in fit.terms)]


def formula(fit: PowerFit) -> str:
    """The fit as text: ``20.00 W + 3.000 W × streams + 0.1000 W × megapixels a second``."""
    unit = POWER.unit
    terms = [POWER.text(fit.base_watts)]
    if "streams" in fit.terms:
        terms.append(f"{fit.watts_per_stream:.3f} {unit} × streams")
    if "megapixels" in fit.terms:
        joules = f"{fit.joules_per_megapixel:.4f}"
        content = [f" + {joule:.5f} × {CONTENT[name].symbol}" for name, joule in fit.content_joules.items()]
        terms.append(f"({joules}{''.join(content)})" if content else joules)
        terms[-1] += f" {unit} × megapixels a second"
    return " + ".join(terms).replace("+ -", "− ")


def outside(fit: PowerFit, load: Load) -> str:
    """Why a load has no prediction: it lies outside of the measured range. "" if it lies within."""
    if not _inside(fit.hull, load):
        return (
            f"{load.streams:g} streams with {load.megapixels:.1f} megapixels a second are outside of the measured"
            f" range ({span_text(fit)})"
        )
    for name, (low, high) in fit.ranges.items():
        value, slack = getattr(load, name), 1e-3 * ((high - low) or high)
        if value is not None and not low - slack <= value <= high + slack:
            return f"{CONTENT[name].text(value)}: outside of the measured range ({CONTENT[name].text(low, high)})"
    return ""


def span_text(fit: PowerFit) -> str:
    """The measured range as text: that of streams and pixels is the hull's. Content that never changed is not in it."""
    streams = [corner.streams for corner in fit.hull]
    megapixels = [corner.megapixels for corner in fit.hull]
    parts = [
        f"{min(streams):g} to {max(streams):g} streams",
        f"{min(megapixels):.1f} to {max(megapixels):.1f} megapixels a second",
        *(CONTENT[name].text(low, high) for name, (low, high) in fit.ranges.items() if low < high),
    ]
    return ", ".join(parts)


def left_out_text(fit: PowerFit) -> str:
    """Which figures of the content are not in the fit, and why; "" if all are."""
    if not fit.left_out:
        return ""
    said = (f"{CONTENT[name].words} ({reason})" for name, reason in fit.left_out.items())
    return f"not in the fit: {', '.join(said)}"


class _Fitted(Struct, frozen=True):
    error: float
    terms: tuple[str, ...]
    coefficients: list[float]


def fit_power(points: Sequence[tuple[Load, float]]) -> PowerFit:
    """The model with the smallest leave-one-out error. Raises NoData if too few settings were measured.

    All repeats of a setting are left out together, so the error is that of an unmeasured setting.
    """
    loads = sorted({load for load, _ in points}, key=_order)
    pairs = sorted({(load.streams, load.megapixels) for load in loads})
    if len(loads) < MIN_SETTINGS or (len(pairs) < MIN_SETTINGS and IDLE not in loads):
        count = len(pairs) if len(loads) >= MIN_SETTINGS else len(loads)
        raise NoData(f"{count} different settings were measured, at least {MIN_SETTINGS} are needed")
    sums = _Sums(points)
    usable, left_out = _usable(loads)
    best = by_load = _best([_tried(sums, loads, terms) for terms in LOAD_TERMS])
    for extra in range(1, len(usable) + 1):
        found = _best([
            _tried(sums, loads, (*terms, *content))
            for terms in LOAD_TERMS if "megapixels" in terms for content in combinations(usable, extra)
        ])  # fmt: skip
        if found is not None and (best is None or _better(found, best, sums.scales[-1])):
            best = found
    if best is None or not best.terms:
        raise NoData("the measured power does not depend on streams or pixels: no fit is better than the mean")
    by_term = dict(zip(best.terms, best.coefficients[1:], strict=True))
    return PowerFit(
        terms=best.terms, base_watts=best.coefficients[0], watts_per_stream=by_term.get("streams", 0.0),
        joules_per_megapixel=by_term.get("megapixels", 0.0), error_watts=best.error, settings=len(loads),
        hull=tuple(Load(*corner) for corner in _hull(pairs)),
        content_joules={name: by_term[name] for name in usable if name in by_term},
        left_out=left_out | {name: "it does not lower the error" for name in usable if name not in by_term},
        error_by_load_watts=by_load.error if by_load is not None and by_load.terms else None,
        ranges=_ranges(loads),
    )  # fmt: skip


def _better(found: _Fitted, best: _Fitted, watts: float) -> bool:
    more = sum(term in CONTENT for term in found.terms) - sum(term in CONTENT for term in best.terms)
    return best.error > EXACT * watts and found.error < best.error * (1 - MIN_GAIN * more)


def _best(tried: Iterable[_Fitted | None]) -> _Fitted | None:
    """That of the smallest error; of equal ones the first."""
    best: _Fitted | None = None
    for one in tried:
        if one is not None and (best is None or one.error < best.error * (1 - 1e-9)):
            best = one
    return best


def _tried(sums: _Sums, loads: Sequence[Load], terms: tuple[str, ...]) -> _Fitted | None:
    """A model's fit and leave-one-out error; None if the settings do not determine one, or it is noise."""
    try:
        coefficients = sums.least_squares(terms)
        fitted = _Fitted(sums.left_out_error(terms), terms, coefficients)
    except NoData:
        return None
    by_term = dict(zip(terms, coefficients[1:], strict=True))
    rising = ("streams", *(name for name, content in CONTENT.items() if content.rises))
    if any(by_term.get(term, 0.0) < 0 for term in rising):
        return None
    # More pixels cannot take less power, whatever they hold.
    pixels = [at for at, term in enumerate(terms, start=1) if term != "streams"]
    if any(sum(coefficients[at] * _row(load, terms)[at] for at in pixels) < 0 for load in loads):
        return None
    return fitted


def _usable(loads: Sequence[Load]) -> tuple[list[str], dict[str, str]]:
    """The figures of the content that can be terms, and why the others cannot."""
    usable: list[str] = []
    left_out: dict[str, str] = {}
    for name in CONTENT:
        values = _contents(loads, name)
        if None in values or not values:
            left_out[name] = "not known of every load"
        elif len(set(values)) == 1:
            left_out[name] = "equal in all loads"
        else:
            usable.append(name)
    return usable, left_out


def _contents(loads: Sequence[Load], name: str) -> list[float | None]:
    return [getattr(load, name) for load in loads if load.megapixels]


def _ranges(loads: Sequence[Load]) -> dict[str, tuple[float, float]]:
    """Of each figure that is known of every load."""
    found = {}
    for name in CONTENT:
        values = _contents(loads, name)
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            found[name] = (min(known), max(known))
    return found


def measured_loads(points: Sequence[tuple[Load, float]], fit: PowerFit) -> list[MeasuredLoad]:
    """The loads behind the fit, lightest first, each with its leave-one-out prediction."""
    sums = _Sums(points)
    found = []
    for load in sorted({load for load, _ in points}, key=_order):
        watts = [one for other, one in points if other == load]
        found.append(
            MeasuredLoad(load=load, watts=sum(watts) / len(watts), repeats=len(watts),
                         left_out_watts=sums.without(load, fit.terms), words=_load_text(load))
        )  # fmt: skip
    return found


def _load_text(load: Load) -> str:
    known = [content.text(value) for name, content in CONTENT.items() if (value := getattr(load, name)) is not None]
    return ", ".join([f"{load.streams:g} streams", f"{load.megapixels:.1f} megapixels a second", *known])


def _order(load: Load) -> tuple[float, ...]:
    return load.streams, load.megapixels, load.bits_per_pixel or 0.0, load.spatial or 0.0, load.temporal or 0.0


def _row(load: Load, terms: tuple[str, ...]) -> list[float]:
    return [1.0, *(_term(load, term) for term in terms)]


def _term(load: Load, term: str) -> float:
    value: float | None = getattr(load, term)
    if term not in CONTENT:
        return value or 0.0
    if not load.megapixels:
        return 0.0
    if value is None:
        raise NoData(f"{CONTENT[term].words} must be given: the measured power depends on it")
    return load.megapixels * CONTENT[term].term(value)


class _Sums:
    """Sums of products of all columns and of the power, in all and for each load: every model, with and without each
    load, is solved from these. Columns are scaled to 1; the last is the power's."""

    def __init__(self, points: Sequence[tuple[Load, float]]) -> None:
        self._points: dict[Load, list[list[float]]] = {}
        rows = [[*_known_row(load), watts] for load, watts in points]
        self.scales = [max(abs(row[at]) for row in rows) or 1.0 for at in range(len(COLUMNS) + 1)]
        for (load, _), row in zip(points, rows, strict=True):
            scaled = [value / scale for value, scale in zip(row, self.scales, strict=True)]
            self._points.setdefault(load, []).append(scaled)
        self._of = {load: _products(rows) for load, rows in self._points.items()}
        self._all = _products([row for rows in self._points.values() for row in rows])

    def least_squares(self, terms: tuple[str, ...], without: Load | None = None) -> list[float]:
        """Coefficients by the normal equations. Raises NoData if the system is singular."""
        at = [0, *(COLUMNS.index(term) for term in terms)]
        of = self._of[without] if without is not None else None
        *moments, power = (
            [self._all[i][j] - (of[i][j] if of is not None else 0.0) for i in at] for j in (*at, len(COLUMNS))
        )
        try:
            inverse = inverted(moments)
        except Singular:
            raise NoData("the settings cannot separate the terms") from None
        return [dot(row, power) * self.scales[-1] / self.scales[i] for row, i in zip(inverse, at, strict=True)]

    def without(self, load: Load, terms: tuple[str, ...]) -> float | None:
        """Prediction for a load by a fit to all others; None for the idle machine if it is needed for one: nobody asks
        for its power. Raises NoData if the others do not determine a fit."""
        try:
            coefficients = self.least_squares(terms, load)
        except NoData:
            if load == IDLE:
                return None
            raise
        return sum(c * x for c, x in zip(coefficients, _row(load, terms), strict=True))

    def left_out_error(self, terms: tuple[str, ...]) -> float:
        squares: list[float] = []
        for load, rows in self._points.items():
            said = self.without(load, terms)
            if said is not None:
                squares += [(row[-1] * self.scales[-1] - said) ** 2 for row in rows]
        return math.sqrt(sum(squares) / len(squares))


def _known_row(load: Load) -> list[float]:
    """All columns; an unknown one is 0, and in no model."""
    return [1.0, *(0.0 if getattr(load, term) is None else _term(load, term) for term in COLUMNS[1:])]


def _products(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    size = len(COLUMNS) + 1
    return [[math.fsum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size - 1)]


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
