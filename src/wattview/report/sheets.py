"""Tables of a report: one row per setting (the mean of its repeats) and per baseline.

Titles, units and digits come from the catalogue (``model.quantities``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wattview.analysis.efficiency_figures import EfficiencyLine, known, lines_of
from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.comparison import Repeats, setting_of
from wattview.analysis.sweeps.confidence import estimate
from wattview.model import RunResult, ScenarioResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import EFFICIENCY, EFFICIENCY_PRICES, PER_EXECUTION, QUANTITIES, Quantity
from wattview.report.template_data import Sheet, SheetCell, SheetLine

ALWAYS = frozenset((
    "duration_seconds", "energy_joules", "power_mean_watts", "power_max_watts", "baseline_diff_power_watts",
    "cpu_mean_percent", "vmaf_score", "qoe_score", "cost_total", "carbon_grams",
))  # fmt: skip
"""Quantities that have a column even if no value is known: a dash explains why. Others need a value."""

SHEETS = (
    ("Energy and power", (
        "duration_seconds", "energy_joules", "power_mean_watts", "power_max_watts", "baseline_diff_power_watts",
        "cpu_mean_percent", "gpu_energy_joules", "wall_power_mean_watts", "wall_energy_joules",
    )),
    ("Picture quality", (
        "vmaf_score", "vmaf_percentile_1", "psnr_score", "xpsnr_score", "ssim_score", "cambi_score",
        "spatial_information", "temporal_information", "qoe_score",
    )),
    ("Playback", (
        "start_delay_seconds", "stalls", "stalled_seconds", "received_frames_ratio", "end_to_end_delay_seconds",
    )),
    ("One execution of a command", PER_EXECUTION),
    ("Cost and carbon", ("cost_total", "cost_energy", "cost_compute", "cost_egress", "carbon_grams")),
)  # fmt: skip

SPREAD = (
    "± is the 95 % confidence interval of the mean of repeats; for a single measurement, the error of the energy."
    " A dash is an unknown figure: the remarks give the reason."
)
MOST_NAMES = 3
MOST_COLUMNS = 6


def sheets_of(
    runs: Sequence[RunResult], machine: str | None, groups: Sequence[Repeats], short: Mapping[str, str]
) -> Iterator[Sheet]:
    """For one machine. ``short`` has the words that tell a label from the others."""
    rows = [(group.valid[0].record.setting_name, group) for group in _baselines(runs, machine)]
    # A setting none of whose repeats counts shows the figures of these, marked as such.
    rows += [
        (short[one.label], one if one.valid else Repeats(one.setting, one.invalid, (), one.machine)) for one in groups
    ]
    for title, names in SHEETS:
        quantities = [
            QUANTITIES[name] for name in names
            if name in ALWAYS or any(group.estimate(name) is not None for _, group in rows)
        ]  # fmt: skip
        sheet = _sheet(title, quantities, rows)
        if sheet.lines:
            yield sheet
    yield from _efficiency(runs, groups, short)


def _baselines(runs: Sequence[RunResult], machine: str | None) -> list[Repeats]:
    found: dict[str, list[ScenarioResult]] = {}
    for one in (one for run in runs for one in run.scenarios):
        if one.machine == machine and is_baseline(one.record):
            found.setdefault(one.record.setting_name, []).append(one)
    groups = [Repeats(setting_of(own[0].record), tuple(own), (), machine) for own in found.values()]
    return [part for group in groups for part in group.by_source()]


def _sheet(title: str, quantities: Sequence[Quantity], rows: Sequence[tuple[str, Repeats]]) -> Sheet:
    first = title == SHEETS[0][0]
    heads = _heads(quantities)
    sources = {is_estimate(one.power_source) for _, group in rows for one in group.valid if one.power_source}
    mixed = len(sources) > 1
    lines = []
    for label, group in rows:
        cells = [_figure(group, quantity) for quantity in quantities]
        if not first and not any(cell.text for cell in cells):
            continue
        count = [SheetCell(_count(group))]
        lines.append(
            SheetLine(label, tuple([*count, *cells] if first else cells), _names(group, label) if first else "",
                 tuple(_warnings(group, mixed)) if first else ())
        )  # fmt: skip
    return Sheet(title, tuple(["Repeats", *heads] if first else heads), tuple(lines), note=SPREAD if first else "")


def _count(group: Repeats) -> str:
    return f"{len(group.valid)} (+ {group.left_out})" if group.left_out else f"{len(group.valid)}"


def _heads(quantities: Sequence[Quantity]) -> list[str]:
    """The titles without the units, which every figure has; with them where only they tell two apart."""
    short = [one.title.removesuffix(f" {one.unit}") if one.unit else one.title for one in quantities]
    return [one.title if short.count(head) > 1 else head for one, head in zip(quantities, short, strict=True)]


def _names(group: Repeats, label: str) -> str:
    """Names of its scenarios in the results files, if they differ from the label."""
    names = dict.fromkeys(one.record.setting_name for one in group.valid)
    shown = [name for name in names if name != label]
    return ", ".join(shown[:MOST_NAMES]) + (", …" if len(shown) > MOST_NAMES else "")


def _warnings(group: Repeats, mixed: bool) -> Iterator[str]:
    """``mixed``: some power was measured, so estimates must be marked."""
    yield from dict.fromkeys(one.record.fault for one in group.valid if one.record.fault)
    sources = {one.power_source or "" for one in group.valid}
    if mixed and any(map(is_estimate, sources)):
        yield "power estimated"
    yield from dict.fromkeys(name for one in group.valid for name in one.remarks)


def _figure(group: Repeats, quantity: Quantity) -> SheetCell:
    found = group.estimate(quantity.name)
    if found is None:
        reasons = (one.reasons.get(quantity.name) for one in group.valid)
        return SheetCell("", next((reason for reason in reasons if reason), "unknown"))
    error = found.half
    if found.count == 1:
        error = next((error for one in group.valid if (error := quantity.error_of(one)) is not None), None)
    return _written(quantity, found.mean, error, group.valid[0].currency)


def _written(quantity: Quantity, value: float, error: float | None, currency: str | None) -> SheetCell:
    """``25.00 ± 2.50 W``, from the API's unit; an error that rounds to 0 is left out."""
    sign = "+" if quantity.signed else ""
    spread = f"{quantity.scaled(error or 0.0):.{quantity.decimals}f}"
    around = f" ± {spread}" if float(spread) else ""
    text = f"{quantity.scaled(value):{sign}z.{quantity.decimals}f}{around} {quantity.unit_in(currency)}"
    return SheetCell(text.rstrip())


def _efficiency(runs: Sequence[RunResult], groups: Sequence[Repeats], short: Mapping[str, str]) -> Iterator[Sheet]:
    """Work per unit of energy: of total power, and of power above baseline."""
    lines: dict[int, list[EfficiencyLine]] = {}
    for run in runs:
        for line in lines_of(run.scenarios):
            lines.setdefault(id(line.scenario), []).append(line)
    found = []
    for group in groups:
        for net in (False, True):
            own = [line for one in group.valid or group.invalid for line in lines.get(id(one), ()) if line.net is net]
            if own:
                found.append((group, "above baseline" if net else short[group.label], own))
    for title, columns in _efficiency_columns([line for _, _, own in found for line in own]):
        yield Sheet(
            title,
            tuple(_heads(columns)),
            tuple(
                SheetLine(label, tuple(_efficiency_figure(group, own, column) for column in columns), part=own[0].net)
                for group, label, own in found
                if any(line.has(columns) for line in own)
            ),
        )


def _efficiency_columns(lines: Sequence[EfficiencyLine]) -> list[tuple[str, list[Quantity]]]:
    """The known columns, as one table if it fits."""
    energy, prices = known(EFFICIENCY, lines), known(EFFICIENCY_PRICES, lines)
    if len(energy) + len(prices) <= MOST_COLUMNS:
        return [("Efficiency", [*energy, *prices])] if energy or prices else []
    parts = (("Efficiency", energy), ("Cost and carbon by the hour", prices))
    return [(title, columns) for title, columns in parts if columns]


def _efficiency_figure(group: Repeats, lines: Sequence[EfficiencyLine], column: Quantity) -> SheetCell:
    values = [value for line in lines if (value := getattr(line.figures, column.name)) is not None]
    if not values:
        return SheetCell("", "unknown")
    mean = estimate(values)
    if mean.count == 1:
        error = lines[0].error(column)
        return _written(column, mean.mean, None if error is None else error / column.scale, _currency(lines))
    if lines[0].net:
        return _written(column, mean.mean, _net_share(group, column) * abs(mean.mean), _currency(lines))
    return _written(column, mean.mean, mean.half, _currency(lines))


def _currency(lines: Sequence[EfficiencyLine]) -> str | None:
    return lines[0].scenario.currency


def _net_share(group: Repeats, column: Quantity) -> float:
    """Relative error of the energy above baseline, noise of the baseline included; 0 for figures with another error."""
    net = group.estimate("net_watts_per_stream")
    half = net.half if net is not None else None
    return half / abs(net.mean) if net is not None and half and net.mean and column.proportional else 0.0
