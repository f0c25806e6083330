"""Efficiency as table rows: of total power and of power above baseline, with the error of each figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from wattview.model import Efficiency, ScenarioResult
from wattview.model.quantities import QUANTITIES, Quantity


class EfficiencyLine(Struct, frozen=True):
    """The efficiency of one scenario: of its total power (``net`` is false), or of the power above baseline.

    ``error_share`` is the relative error of the energy; None if unknown.
    """

    scenario: ScenarioResult
    figures: Efficiency
    net: bool
    error_share: float | None

    def value(self, quantity: Quantity) -> float | None:
        """The quantity in its unit; None if unknown."""
        value: float | None = getattr(self.figures, quantity.name)
        return None if value is None else quantity.scaled(value)

    def error(self, quantity: Quantity) -> float | None:
        """The error of ``value``."""
        value = self.value(quantity)
        if value is None or self.error_share is None or not quantity.proportional:
            return None
        return abs(value) * self.error_share

    def has(self, quantities: Iterable[Quantity]) -> bool:
        """Whether any of them is known."""
        return any(self.value(quantity) is not None for quantity in quantities)


def lines_of(results: Sequence[ScenarioResult]) -> Iterator[EfficiencyLine]:
    """Up to two rows for each scenario of one run."""
    for one in results:
        if one.efficiency is not None:
            yield EfficiencyLine(one, one.efficiency, False, _share(one.energy_error_joules, one.energy_joules))
        if one.net_efficiency is not None:
            yield EfficiencyLine(
                one, one.net_efficiency, True, _share(net_error_joules(one, results), one.net_energy_joules)
            )


def known(names: Iterable[str], lines: Sequence[EfficiencyLine]) -> list[Quantity]:
    """The quantities that at least one row has."""
    return [quantity for name in names if any(line.has([quantity := QUANTITIES[name]]) for line in lines)]


def net_error_joules(one: ScenarioResult, results: Iterable[ScenarioResult]) -> float | None:
    """Error of the energy above baseline: the scenario's own, and the baseline's over the same time. Of several
    baselines with that name the least certain one counts."""
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
