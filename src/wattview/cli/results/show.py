"""``wattview results show``: one run, one line per setting, and remarks on its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from wattview.analysis.efficiency_figures import EfficiencyLine, lines_of
from wattview.analysis.qoe import seen
from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.comparison import Repeats, repeats_of, setting_of
from wattview.cli import terminal as term
from wattview.foreign_text import one_line
from wattview.model import RunResult, ScenarioResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import (
    CURRENCY,
    EFFICIENCY,
    EFFICIENCY_PRICES,
    PER_EXECUTION,
    QUANTITIES,
    Quantity,
    unknown_by_reason,
)
from wattview.model.runs import made_by, without_addresses
from wattview.report.facts import billed_text

COLUMNS = (
    "power_mean_watts", "baseline_diff_power_watts", "power_max_watts", "energy_joules", "cpu_mean_percent",
    "vmaf_score", "qoe_score", "cost_total",
)  # fmt: skip
"""The columns of the first table, always all of them."""

BY_DELIVERED = (*EFFICIENCY, *EFFICIENCY_PRICES)
MORE_COLUMNS = (
    "wall_power_mean_watts", "wall_energy_joules", "psnr_score", "xpsnr_score", "ssim_score", *BY_DELIVERED,
)  # fmt: skip
"""The columns of the second table, if known."""

WITH_ERROR = frozenset(
    {
        "power_mean_watts", "baseline_diff_power_watts", "energy_joules", "vmaf_score", "wall_power_mean_watts",
        "wall_energy_joules", *BY_DELIVERED, *PER_EXECUTION,
    }
)  # fmt: skip
"""Quantities shown with ±; the others have the same relative error, or none."""


class ShownSetting(Struct, frozen=True):
    """The repeats of one setting, or a baseline."""

    name: str
    repeats: Repeats
    net: tuple[EfficiencyLine, ...] = ()

    @property
    def members(self) -> tuple[ScenarioResult, ...]:
        """The valid repeats; if none was in real time, those."""
        return self.repeats.valid or self.repeats.invalid

    @property
    def currency(self) -> str | None:
        return self.members[0].currency

    def value(self, quantity: Quantity) -> tuple[float | None, float | None]:
        """The figure in its unit and its error: of the reading for one measurement, half the interval for repeats."""
        if len(self.members) == 1:
            return _scaled(quantity, quantity.of(self.members[0]), self._error(quantity))
        found = Repeats(self.repeats.setting, self.members).estimate(quantity.name)
        return _scaled(quantity, found.mean, found.half) if found else (None, None)

    def _error(self, quantity: Quantity) -> float | None:
        """For one measurement. What is proportional to the energy has its relative error."""
        one = self.members[0]
        if quantity.proportional and (value := quantity.of(one)) and one.energy_error_joules and one.energy_joules:
            return abs(value) * one.energy_error_joules / one.energy_joules
        return quantity.error_of(one)

    def net_value(self, quantity: Quantity) -> tuple[float | None, float | None]:
        """The same for figures above baseline."""
        if quantity.name not in BY_DELIVERED:
            return None, None
        known = [value for line in self.net if (value := line.value(quantity)) is not None]
        if not known:
            return None, None
        if len(self.members) == 1:
            return known[0], self.net[0].error(quantity)
        if quantity.name == "watts_per_stream" and (found := self.repeats.estimate("net_watts_per_stream")):
            return _scaled(quantity, found.mean, found.half)
        return sum(known) / len(known), None


def lines_of_run(run: RunResult) -> list[ShownSetting]:
    """Repeats of one setting under one name are one line. In the order of the run."""
    efficiency = {id(line.scenario): line for line in lines_of(run.scenarios) if line.net}
    by_name: dict[str, list[ScenarioResult]] = {}
    for one in run.scenarios:
        by_name.setdefault(one.record.setting_name, []).append(one)
    found = []
    for name, scenarios in by_name.items():
        idle = tuple(one for one in scenarios if is_baseline(one.record))
        groups = [Repeats(setting_of(idle[0].record), idle)] if idle else []
        for repeats in [*groups, *repeats_of(scenarios)]:
            members = repeats.valid or repeats.invalid
            net = tuple(efficiency[id(one)] for one in members if id(one) in efficiency)
            found.append(ShownSetting(f"{name} ×{len(members)}" if len(members) > 1 else name, repeats, net))
    return found


def print_result(run: RunResult) -> None:
    term.say(one_line(f"run {run.id} · {run.test_date} · {run.status or 'status unknown'}"))
    if run.error:
        term.say(term.bad(run.error))
        return
    lines = lines_of_run(run)
    term.say(_table([QUANTITIES[name] for name in COLUMNS], lines))
    for columns in (MORE_COLUMNS, PER_EXECUTION):
        more = [
            quantity for quantity in (QUANTITIES[name] for name in columns)
            if any((line.value(quantity)[0], line.net_value(quantity)[0]) != (None, None) for line in lines)
        ]  # fmt: skip
        if more:
            term.say(f"\n{_table(more, lines, net=True)}")
    _print_meaning_of_error(run, lines)
    for remark in run.remarks:
        term.say(term.wrap(remark, ""))
    _print_remarks(run.scenarios)


def _table(columns: Sequence[Quantity], lines: Sequence[ShownSetting], net: bool = False) -> str:
    """``net``: with a second line per setting for its figures above baseline, unless it would be empty."""
    rows = []
    for line in lines:
        values = [line.value(column) for column in columns]
        if not net or any(value is not None for value, _ in values):
            rows.append([line.name, *map(_cell, columns, values)])
        above = [line.net_value(column) for column in columns] if net else []
        if any(value is not None for value, _ in above):
            rows.append(["  above baseline", *map(_cell, columns, above)])
    currency = next((line.currency for line in lines if line.currency), None)
    header = ["Scenario", *(heading(column, currency) for column in columns)]
    return term.table(header, rows, right=frozenset(range(1, len(header))), shorten=0)


def heading(quantity: Quantity, currency: str | None) -> str:
    """With its unit: ``Mean W``, ``Cost EUR``."""
    if quantity.unit != CURRENCY:
        return quantity.title
    title = quantity.words.capitalize() if len(quantity.words) <= len(quantity.title) else quantity.title
    return f"{title} {currency or ''}".rstrip()


def _cell(quantity: Quantity, value: tuple[float | None, float | None]) -> str:
    return term.figure(value[0], quantity.decimals, "", value[1] if quantity.name in WITH_ERROR else None)


def _scaled(quantity: Quantity, value: float | None, error: float | None) -> tuple[float | None, float | None]:
    if value is None:
        return None, None
    return quantity.scaled(value), None if error is None else quantity.scaled(error)


def _print_meaning_of_error(run: RunResult, lines: Sequence[ShownSetting]) -> None:
    if any(len(line.members) > 1 for line in lines):
        term.say(term.quiet("×3 is the mean of three repeats; ± is half of its 95 % interval"))
    if any(one.energy_error_joules for line in lines if len(line.members) == 1 for one in line.members):
        term.say(term.quiet("± of a single measurement bounds the error of interpolation at the ends of its window"))


def _print_remarks(scenarios: Sequence[ScenarioResult]) -> None:
    """Each sentence once, with all scenarios that it applies to."""
    said: dict[str, list[str]] = {}
    for one in scenarios:
        for remark in _remarks(one):
            said.setdefault(remark, []).append(one.record.name)
    for remark, names in said.items():
        who = "every scenario" if len(names) == len(scenarios) > 1 else _merged(scenarios, names)
        term.say(term.wrap(f"{who}: {remark}"))


def _merged(scenarios: Sequence[ScenarioResult], names: Sequence[str]) -> str:
    """The names of scenarios; that of the setting with ``×3`` in place of all its repeats."""
    settings: dict[str, list[str]] = {}
    for one in scenarios:
        settings.setdefault(one.record.setting_name, []).append(one.record.name)
    shown = []
    for setting, members in settings.items():
        own = [name for name in members if name in names]
        shown += [f"{setting} ×{len(members)}"] if own == members and len(members) > 1 else own
    return ", ".join(shown)


def _remarks(one: ScenarioResult) -> Iterable[str]:
    """Remarks on the figures: an estimate, an encoder that fell behind, and every dash's reason."""
    if is_estimate(one.power_source):
        yield "power is an ESTIMATE from CPU use: this machine has no counter"
    if billed := billed_text(one):
        yield f"costs and carbon are {billed}"
    if one.record.realtime is False:
        yield "NOT REAL TIME: the encoder fell behind, its efficiency is not valid"
    yield from one.remarks.values()
    if one.record.playback is not None:
        yield seen(one.record.playback)
    yield from map(without_addresses, one.record.notes or [])
    if made := made_by(one.record):
        yield made
    yield from (f"no {', '.join(figures)}: {reason}" for reason, figures in unknown_by_reason(one.reasons).items())
