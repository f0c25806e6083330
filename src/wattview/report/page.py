"""Runs as one self-contained HTML page that can be sent to a colleague: no script, no other file, no network.

Pure: results in, text out. Everything that came from a file is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from wattview.analysis.efficiency_figures import EfficiencyLine, known, lines_of
from wattview.analysis.provenance import made_by
from wattview.analysis.qoe import seen
from wattview.analysis.sweeps.advice import OBJECTIVES, UNITS, pareto_front
from wattview.analysis.sweeps.comparison import Repeats, repeats_of
from wattview.analysis.sweeps.machines import machine_text
from wattview.analysis.sweeps.side_by_side import front_figure
from wattview.analysis.windows.energy import Points
from wattview.model import Estimate, RunResult, ScenarioResult
from wattview.model.quantities import EFFICIENCY, EFFICIENCY_PRICES, QUANTITIES, Quantity
from wattview.report import svg
from wattview.report.curves import curves_sections

COLUMNS = (
    "duration_seconds", "energy_joules", "power_mean_watts", "power_max_watts", "baseline_diff_power_watts",
    "cpu_mean_percent", "qoe_score", "cost_total", "carbon_grams", "vmaf_score",
)  # fmt: skip
"""The quantities in a run's table."""

NO_CURVE = '<p class="dim">No power over time: the history holds none of it for this run.</p>'

STYLE = """
:root { color-scheme: light dark; --fg: #1b1b1b; --bg: #fff; --dim: #5f6368; --rule: #d8dadd; --bar: #0072b2;
  --best: #d55e00; --window: #0072b222; }
@media (prefers-color-scheme: dark) { :root { --fg: #e8e8e8; --bg: #16181c; --dim: #a0a4aa; --rule: #3a3e45;
  --bar: #56b4e9; --best: #e69f00; --window: #56b4e922; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--rule); } h3 { margin-top: 1.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 13rem; }
.dim, caption { color: var(--dim); } .warn { color: var(--best); font-weight: 600; } ul, ol { padding-left: 1.4rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--fg); font-size: 13px; }
svg text.small { font-size: 11px; fill: var(--dim); } .grid { stroke: var(--rule); fill: none; }
.line { fill: none; stroke: var(--bar); stroke-width: 1.5; } .window { fill: var(--window); stroke: var(--bar);
  stroke-dasharray: 3 3; } .bar { fill: var(--bar); } .error { stroke: var(--fg); stroke-width: 1.5; fill: none; }
.dot { fill: var(--bg); stroke: var(--bar); stroke-width: 2; } .best { fill: var(--best); }
.front { fill: none; stroke: var(--best); stroke-dasharray: 5 3; }
.trace { fill: none; stroke-width: 2; }
.trace0 { stroke: var(--bar); } .trace1 { stroke: var(--best); stroke-dasharray: 7 3; }
.trace2 { stroke: #009e73; stroke-dasharray: 2 3; } .trace3 { stroke: #cc79a7; stroke-dasharray: 9 3 2 3; }
.trace4 { stroke: var(--dim); stroke-dasharray: 5 5; } .mark { fill: var(--bg); stroke-dasharray: none; }
@media print { body { max-width: none; } }
""".strip()


def html_report(runs: Sequence[RunResult], curves: Mapping[str, Points] | None = None) -> str:
    """One page for these runs. ``curves`` holds power over time by the run's id, for those whose history is at hand."""
    scenarios = [scenario for run in runs for scenario in run.scenarios]
    groups = [group for group in repeats_of(scenarios) if group.valid]
    counts = ((len(runs), "run"), (len(scenarios), "scenario"), (len(groups), "setting"))
    counted = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
    body = [
        "<h1>WattView report</h1>",
        f'<p class="dim">{counted}.</p>',
    ]
    machines = list(dict.fromkeys(group.machine for group in groups))
    for machine in machines:
        if len(machines) > 1:
            body.append(f"<h2>Measured on {escape(machine_text(machine))}</h2>")
        here = [group for group in groups if group.machine == machine]
        body += [*_settings(here), *_front(here)]
        body += curves_sections([scenario for scenario in scenarios if scenario.machine == machine])
    for run in runs:
        body += _run(run, (curves or {}).get(run.id, ()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>WattView report</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _settings(groups: Sequence[Repeats]) -> list[str]:
    """Mean power by setting, with its interval over the repeats."""
    found = []
    for repeats in groups:
        group = repeats.group()
        power = group.figures.get("power_mean_watts")
        if power is not None:
            estimated = " (estimate)" if "estimated" in (group.power_source or "") else ""
            count = f"{power.count} repeats" if power.count > 1 else "once"
            found.append(svg.Bar(group.label, power.mean, power.low, power.high, f"{count}{estimated}"))
    if not found:
        return []
    return [
        "<h2>Power by setting</h2>",
        svg.bars(found, "W"),
        '<p class="dim">Mean power of the host; the bars are 95 % confidence intervals over the repeats, each by'
        " itself. Whether two settings differ is tested by <code>wattview results compare</code>, not by bars that"
        " overlap. A setting that was measured once has none.</p>",
    ]


def _front(groups: Sequence[Repeats]) -> list[str]:
    """Quality against power, where both are known of at least two settings, by one meter and one VMAF model: the first
    setting's."""
    meters = [(repeats.group().power_source, repeats.vmaf_model) for repeats in groups]
    groups = [repeats for repeats, meter in zip(groups, meters, strict=True) if meter == meters[0]]
    figure = front_figure([repeats.group() for repeats in groups])
    title = f"{OBJECTIVES[figure]}, {UNITS[figure]}"
    dots = []
    for repeats in groups:
        power, quality = _mean(repeats, figure), _mean(repeats, "vmaf_score")
        if power is not None and quality is not None and power > 0:
            dots.append(svg.Dot(repeats.label, power, quality))
    if len(dots) < 2:
        return []
    front = pareto_front([(dot.x, dot.y) for dot in dots])
    items = [
        f"<li>{escape(dot.label)}: {dot.x:.3g} W, VMAF {dot.y:.2f}"
        f"{' <strong>on the front</strong>' if at in front else ''}</li>"
        for at, dot in enumerate(dots)
    ]
    return [
        "<h2>Quality and power</h2>",
        svg.scatter(dots, front, title, "VMAF"),
        '<p class="dim">Filled points: no other measured setting is both better and cheaper.</p>',
        f"<ol>{''.join(items)}</ol>",
    ]


def _mean(repeats: Repeats, figure: str) -> float | None:
    found: Estimate | None = repeats.group().figures.get(figure)
    return None if found is None else found.mean


def _run(run: RunResult, curve: Points) -> list[str]:
    out = [f"<h2>Run {escape(run.id or run.path)}</h2>"]
    facts = [run.test_date, run.status or "", f"history: {run.history}" if run.history else ""]
    out.append(f'<p class="dim">{escape(" · ".join(fact for fact in facts if fact))}</p>')
    if run.error:
        return [*out, f'<p class="warn">{escape(run.error)}</p>']
    windows = [
        (record.start_time, record.end_time, record.name)
        for record in (scenario.record for scenario in run.scenarios)
        if record.start_time is not None and record.end_time is not None
    ]
    out.append(svg.lines(curve, windows, "W") or NO_CURVE)
    out.append(_table(run.scenarios))
    out += _efficiency(run.scenarios)
    out += [f"<p>{escape(remark)}.</p>" for remark in run.remarks]
    remarks = [item for scenario in run.scenarios for item in _remarks(scenario)]
    if remarks:
        out.append(f"<h3>Remarks</h3><ul>{''.join(f'<li>{item}</li>' for item in remarks)}</ul>")
    return out


def _table(scenarios: Iterable[ScenarioResult]) -> str:
    quantities = [QUANTITIES[name] for name in COLUMNS]
    titles = "".join(f"<th>{escape(quantity.title)}</th>" for quantity in quantities)
    rows = []
    for scenario in scenarios:
        cells = "".join(f"<td>{_cell(scenario, quantity)}</td>" for quantity in quantities)
        rows.append(f"<tr><td>{escape(scenario.record.name)}{_badge(scenario)}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>Scenario</th>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _efficiency(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """What was delivered for the energy: of all power, and of that above the baseline."""
    lines = list(lines_of(scenarios))
    columns = known((*EFFICIENCY, *EFFICIENCY_PRICES), lines)
    if not columns:
        return []
    titles = "".join(f"<th>{escape(column.title)}</th>" for column in columns)
    rows = []
    for line in lines:
        cells = "".join(f"<td>{_efficiency_cell(line, column)}</td>" for column in columns)
        name = '<span class="dim">above baseline</span>' if line.net else escape(line.scenario.record.name)
        rows.append(f"<tr><td>{name}</td>{cells}</tr>")
    return [
        "<h3>Efficiency</h3>",
        f'<div class="scroll"><table><thead><tr><th>Scenario</th>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>",
    ]


def _efficiency_cell(line: EfficiencyLine, column: Quantity) -> str:
    value, error = line.value(column), line.error(column)
    if value is None:
        return "–"
    spread = f"{error or 0.0:.{column.decimals}f}"
    around = f" ± {spread}" if float(spread) else ""
    return f"{value:.{column.decimals}f}{around} {escape(column.unit_in(line.scenario.currency))}".rstrip()


def _cell(scenario: ScenarioResult, quantity: Quantity) -> str:
    value = quantity.of(scenario)
    if value is None:
        return f'<span title="{escape(scenario.reasons.get(quantity.name, "unknown"), quote=True)}">–</span>'
    sign = "+" if quantity.signed else ""
    unit = escape(quantity.unit_in(scenario.currency))
    return f"{quantity.scaled(value):{sign}.{quantity.decimals}f} {unit}".rstrip()


def _badge(scenario: ScenarioResult) -> str:
    marks = []
    if scenario.record.realtime is False:
        marks.append("not real time")
    if "estimated" in (scenario.power_source or ""):
        marks.append("power estimated")
    marks += scenario.remarks
    return f' <span class="warn">({escape(", ".join(marks))})</span>' if marks else ""


def _remarks(scenario: ScenarioResult) -> list[str]:
    name = f"<strong>{escape(scenario.record.name)}</strong>"
    found = [f"{name}: {escape(note)}" for note in scenario.record.notes or []]
    found[:0] = [f"{name}: {escape(remark)}" for remark in scenario.remarks.values()]
    found += [f"{name}: {escape(made)}"] if (made := made_by(scenario.record)) else []
    if scenario.record.playback is not None:
        found.insert(0, f"{name}: {escape(seen(scenario.record.playback))}")
    if scenario.energy_joules and scenario.energy_error_joules and scenario.energy_error_joules > 1e-3:
        share = 100 * scenario.energy_error_joules / scenario.energy_joules
        found.append(f"{name}: energy ± {scenario.energy_error_joules:.1f} J ({share:.1f} %) from its ends' samples")
    by_reason: dict[str, list[str]] = {}
    for figure, reason in scenario.reasons.items():
        by_reason.setdefault(reason, []).append(figure)
    found += [f"{name}: no {escape(', '.join(figures))}: {escape(reason)}" for reason, figures in by_reason.items()]
    return found
