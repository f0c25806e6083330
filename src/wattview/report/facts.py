"""Conditions of the measurement: date, machine, power source, FFmpeg versions, prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wattview.analysis.sweeps.machines import machine_text
from wattview.model import RunResult, ScenarioResult
from wattview.model.power.meters import WALL_WORDS
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import counted
from wattview.model.runs import tool_text


def facts(runs: Sequence[RunResult], scenarios: Sequence[ScenarioResult]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names and values; unknown ones are left out."""
    records = [one.record for one in scenarios]
    known: tuple[tuple[str, Iterable[str | None]], ...] = (
        ("Date", (run.test_date.replace("T", " ", 1) for run in runs)),
        ("Machine", (machine_text(one.machine) for one in scenarios)),
        ("Power source", (one.power_source for one in scenarios)),
        ("Costs and carbon", (billed_text(one) for one in scenarios)),
        ("Idle power", (_accounts(one) for one in scenarios)),
        ("Encoded by", (tool_text(record.encoder_tool) for record in records)),
        ("Judged by", (tool_text(record.quality_tool) for record in records)),
        ("VMAF model", (record.vmaf_model for record in records)),
        ("Pushed to", (record.pushed_to for record in records)),
        ("Prices", (run.prices for run in runs)),
    )
    for name, values in known:
        if found := tuple(dict.fromkeys(value for value in values if value)):
            yield name, found


def _accounts(result: ScenarioResult) -> str | None:
    """Which account of idle power each figure is by; None where there is no baseline, and so only one."""
    if result.net_efficiency is None:
        return None
    return "included (attributional account), except in figures above baseline (marginal account)"


def billed_text(result: ScenarioResult) -> str | None:
    """Which energy costs and carbon are of; None where that is the machine's own source."""
    return f"of the energy at the wall, {WALL_WORDS[result.wall_source]}" if result.wall_source else None


def estimate_text(scenarios: Sequence[ScenarioResult]) -> str:
    """A notice that power is an estimate; "" if all of it was measured."""
    measured = [one for one in scenarios if one.power_source]
    guessed = [one for one in measured if is_estimate(one.power_source)]
    if not guessed:
        return ""
    of_what = "" if len(guessed) == len(measured) else f" of {len(guessed)} of {counted(len(measured), 'scenario')}"
    return (
        f"The power{of_what} was estimated from CPU use and the CPU's model, and not measured. Energy, cost and carbon"
        " follow from it. Use it to compare settings on this machine, not to compare machines."
    )
