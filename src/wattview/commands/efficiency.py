"""Energy, cost and carbon by what was delivered, as a table: of all power, and of that above the baseline."""

from __future__ import annotations

from typing import NamedTuple

from wattview import terminal as term
from wattview.model import Efficiency, RunResult, ScenarioResult

Column = tuple[str, str, float, int, str]
"""Title, field of ``Efficiency``, factor to the unit that is shown, digits, and unit ("" is the currency)."""

ENERGY: tuple[Column, ...] = (
    ("PER STREAM", "watts_per_stream", 1.0, 2, "W"),
    ("PER FRAME", "joules_per_frame", 1.0, 3, "J"),
    ("PER MEGAPIXEL", "joules_per_megapixel", 1.0, 4, "J"),
    ("PER GIGABYTE", "joules_per_gigabyte", 1e-3, 2, "kJ"),
    ("PER VIEWER-HOUR", "joules_per_viewer_hour", 1 / 3600, 3, "Wh"),
)
PRICES: tuple[Column, ...] = (
    ("COST/STREAM-HOUR", "cost_per_stream_hour", 1.0, 6, ""),
    ("COST/VIEWER-HOUR", "cost_per_viewer_hour", 1.0, 6, ""),
    ("CO2E/STREAM-HOUR", "carbon_grams_per_stream_hour", 1.0, 2, "g"),
    ("SCI/STREAM-HOUR", "sci_grams_per_stream_hour", 1.0, 2, "g"),
)

PROPORTIONAL = frozenset({*(field for _, field, *_ in ENERGY), "carbon_grams_per_stream_hour"})
"""The figures that are as uncertain as the energy, because there is nothing else in them."""


class _Line(NamedTuple):
    name: str
    figures: Efficiency
    share: float | None
    currency: str | None


def efficiency_tables(result: RunResult) -> list[str]:
    """Energy, then prices: up to two lines a scenario, and only the lines and columns in which a figure is known."""
    lines: list[_Line] = []
    for one in result.scenarios:
        if one.efficiency is not None:
            share = _share(one.energy_error_joules, one.energy_joules)
            lines.append(_Line(one.record.name, one.efficiency, share, one.currency))
        if one.net_efficiency is not None:
            share = _share(net_error_joules(one, result), one.net_energy_joules)
            lines.append(_Line("  above the baseline", one.net_efficiency, share, one.currency))
    return [table for columns in (ENERGY, PRICES) if (table := _table(columns, lines))]


def _table(columns: tuple[Column, ...], lines: list[_Line]) -> str:
    shown = [column for column in columns if any(getattr(line.figures, column[1]) is not None for line in lines)]
    rows = [
        [line.name, *(_cell(line, column) for column in shown)]
        for line in lines
        if any(getattr(line.figures, column[1]) is not None for column in shown)
    ]
    header = ["", *(column[0] for column in shown)]
    return term.table(header, rows, right=frozenset(range(1, len(header)))) if rows else ""


def net_error_joules(one: ScenarioResult, result: RunResult) -> float | None:
    """How far the truth may lie from the energy above the baseline: by the scenario's own error, and the baseline's
    over the same time. Of several baselines of that name the least certain one counts."""
    errors = [
        base.energy_error_joules / base.duration_seconds
        for base in result.scenarios
        if base.record.name == one.baseline and base.energy_error_joules is not None and base.duration_seconds
    ]
    if one.energy_error_joules is None or one.duration_seconds is None or not errors:
        return None
    return one.energy_error_joules + max(errors) * one.duration_seconds


def _share(error: float | None, energy: float | None) -> float | None:
    return error / abs(energy) if error is not None and energy else None


def _cell(line: _Line, column: Column) -> str:
    _, field, factor, digits, unit = column
    value: float | None = getattr(line.figures, field)
    if value is None:
        return term.UNKNOWN
    error = abs(value) * factor * line.share if line.share is not None and field in PROPORTIONAL else None
    return term.figure(value * factor, digits, unit or line.currency or "", error)
