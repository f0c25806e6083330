"""How efficiency is shown: titles, units and digits, and how sure each figure is. For every reader the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from wattview.model import Efficiency, ScenarioResult


class Shown(Struct, frozen=True):
    """One figure of ``Efficiency``: ``factor`` brings it to ``unit``, which is "" for the currency. One that has
    nothing but energy in it (``proportional``) is as uncertain as the energy."""

    title: str
    field: str
    factor: float
    digits: int
    unit: str
    proportional: bool = True


ENERGY = (
    Shown("per stream", "watts_per_stream", 1.0, 2, "W"),
    Shown("per frame", "joules_per_frame", 1.0, 3, "J"),
    Shown("per megapixel", "joules_per_megapixel", 1.0, 4, "J"),
    Shown("per gigabyte", "joules_per_gigabyte", 1e-3, 2, "kJ"),
    Shown("per viewer-hour", "joules_per_viewer_hour", 1 / 3600, 3, "Wh"),
)
PRICES = (
    Shown("cost/stream-hour", "cost_per_stream_hour", 1.0, 6, "", False),
    Shown("cost/viewer-hour", "cost_per_viewer_hour", 1.0, 6, "", False),
    Shown("CO2e/stream-hour", "carbon_grams_per_stream_hour", 1.0, 2, "g"),
    Shown("SCI/stream-hour", "sci_grams_per_stream_hour", 1.0, 2, "g", False),
)


class Line(Struct, frozen=True):
    """The efficiency of one scenario: of all its power (``net`` is false), or of that above the baseline.

    ``error_share`` is how far the truth may lie from its energy, as a share of it; None where nobody knows.
    """

    scenario: ScenarioResult
    figures: Efficiency
    net: bool
    error_share: float | None

    def has(self, columns: Iterable[Shown]) -> bool:
        """Whether any of these figures is known."""
        return any(getattr(self.figures, column.field) is not None for column in columns)

    def value(self, column: Shown) -> float | None:
        """The figure in the unit in which it is shown."""
        value: float | None = getattr(self.figures, column.field)
        return None if value is None else value * column.factor

    def error(self, column: Shown) -> float | None:
        """How far the truth may lie from ``value``."""
        value = self.value(column)
        if value is None or self.error_share is None or not column.proportional:
            return None
        return abs(value) * self.error_share


def lines_of(results: Sequence[ScenarioResult]) -> Iterator[Line]:
    """Up to two lines for each scenario of one run."""
    for one in results:
        if one.efficiency is not None:
            yield Line(one, one.efficiency, False, _share(one.energy_error_joules, one.energy_joules))
        if one.net_efficiency is not None:
            yield Line(one, one.net_efficiency, True, _share(net_error_joules(one, results), one.net_energy_joules))


def known(columns: Iterable[Shown], lines: Sequence[Line]) -> list[Shown]:
    """The columns in which a figure is known."""
    return [column for column in columns if any(line.has([column]) for line in lines)]


def net_error_joules(one: ScenarioResult, results: Iterable[ScenarioResult]) -> float | None:
    """How far the truth may lie from the energy above the baseline: by the scenario's own error, and the baseline's
    over the same time. Of several baselines of that name the least certain one counts."""
    errors = [
        base.energy_error_joules / base.window_seconds
        for base in results
        if base.record.name == one.baseline and base.energy_error_joules is not None and base.window_seconds
    ]
    if one.energy_error_joules is None or one.window_seconds is None or not errors:
        return None
    return one.energy_error_joules + max(errors) * one.window_seconds


def _share(error: float | None, energy: float | None) -> float | None:
    return error / abs(energy) if error is not None and energy else None
