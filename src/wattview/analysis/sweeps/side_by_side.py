"""Several runs at once, for the results screen: their settings, the Pareto front, and any number of settings side by
side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.advice import OBJECTIVES, UNITS, pareto_front
from wattview.analysis.sweeps.comparison import (
    Repeats,
    billed_text,
    compare,
    correction_text,
    judged,
    models_text,
    repeats_of,
    setting_of,
    setting_text,
)
from wattview.analysis.sweeps.machines import machine_text
from wattview.analysis.windows.energy import NoData
from wattview.model import Group, Measured, Measurements, RunResult, ScenarioResult, SideBySide

NET = "net_watts_per_stream"


def measurements(runs: Iterable[RunResult]) -> Measurements:
    """Every setting of every run with the intervals of its repeats there, in the order of the runs.

    Each machine, power source and VMAF model has its own front: an estimate does not beat a measurement.
    """
    found: list[Measured] = []
    meters: list[tuple[str | None, ...]] = []
    for run in runs:
        numbers = {id(scenario): number for number, scenario in enumerate(run.scenarios)}
        for repeats in repeats_of(run.scenarios):
            members = sorted(numbers[id(one)] for one in (*repeats.valid, *repeats.invalid))
            found.append(Measured(run=run.id, scenarios=tuple(members), group=repeats.group()))
            meters.append((repeats.machine, repeats.power_source, repeats.vmaf_model))
    figure = front_figure([one.group for one in found])
    points: dict[tuple[str | None, ...], list[tuple[int, float, float]]] = {}
    for at, (one, meter) in enumerate(zip(found, meters, strict=True)):
        price, worth = one.group.figures.get(figure), one.group.figures.get("vmaf_score")
        if price is not None and worth is not None and one.group.power_source is not None and price.mean > 0:
            points.setdefault(meter, []).append((at, price.mean, worth.mean))
    for known in points.values():
        for place in pareto_front([(price, worth) for _, price, worth in known]):
            at = known[place][0]
            found[at] = replace(found[at], on_front=True)
    return Measurements(measured=found, figure=figure, title=OBJECTIVES[figure], unit=UNITS[figure])


def front_figure(groups: Sequence[Group]) -> str:
    """The price axis of the front: power above baseline per stream if two settings have it, else mean power."""
    return NET if sum(NET in group.figures for group in groups) > 1 else "power_mean_watts"


def side_by_side(columns: Sequence[Sequence[ScenarioResult]]) -> SideBySide:
    """Each column's repeats as one, and every column less the first.

    Raises NoData if the scenarios of one column are not repeats of each other.
    """
    found = [_column(scenarios) for scenarios in columns]
    first = found[0]
    differences, remarks = [], []
    for other in found[1:]:
        differences.append(compare(other, first).figures)
        one, two = first.power_source, other.power_source
        remark = ""
        if one is None or one != two:
            remark = f"power is not compared: it came from {_of(one)} and from {_of(two)}"
        elif first.billed_at != other.billed_at:
            remark = f"costs and carbon are not compared: {billed_text(first)} and {billed_text(other)}"
        elif first.machine != other.machine:
            remark = f"measured on two machines: {machine_text(first.machine)}, and {machine_text(other.machine)}"
        remarks.append("; ".join(part for part in (remark, models_text(first, other)) if part))
    gaps = judged(differences)
    shown = [_group(repeats) for repeats in found]
    return SideBySide(columns=shown, differences=gaps[:-1], remarks=remarks, correction=correction_text(gaps))


def _column(scenarios: Sequence[ScenarioResult]) -> Repeats:
    """A scenario that has not done its work counts if it is alone in its column: the user chose to see it."""
    settings = {setting_of(one.record) for one in scenarios}
    if len({one.machine for one in scenarios}) > 1:
        raise NoData("these are not repeats of each other: they were measured on different machines")
    if len(settings) != 1:
        names = " and ".join(sorted(setting_text(setting) for setting in settings))
        raise NoData(f"these are not repeats of each other: {names}")
    kept = tuple(one for one in scenarios if not one.record.fault)
    rest = tuple(one for one in scenarios if one.record.fault)
    return Repeats(settings.pop(), kept or rest, rest if kept else (), scenarios[0].machine)


def _group(repeats: Repeats) -> Group:
    record = repeats.valid[0].record
    group = repeats.group()
    return replace(group, label=record.name) if is_baseline(record) else group


def _of(source: str | None) -> str:
    return source or "no source"
