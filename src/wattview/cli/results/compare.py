"""``wattview results compare``: two runs held against each other, with intervals where their repeats allow them."""

from __future__ import annotations

import click

from wattview.analysis.sweeps.comparison import compare_runs
from wattview.cli import terminal as term
from wattview.cli.terminal import json_text
from wattview.foreign_text import one_line
from wattview.model import Difference, Estimate, Group, Pair, RunResult
from wattview.model.quantities import QUANTITIES

FIGURES = (
    ("mean power", "power_mean_watts"),
    ("max power", "power_max_watts"),
    ("above baseline", "baseline_diff_power_watts"),
    ("per stream", "watts_per_stream"),
    ("per stream above baseline", "net_watts_per_stream"),
    ("energy", "energy_joules"),
    ("per frame", "joules_per_frame"),
    ("per megapixel", "joules_per_megapixel"),
    ("CPU", "cpu_mean_percent"),
    ("VMAF", "vmaf_score"),
    ("PSNR", "psnr_score"),
    ("XPSNR", "xpsnr_score"),
    ("SSIM", "ssim_score"),
    ("QoE", "qoe_score"),
    ("first picture", "start_delay_seconds"),
    ("end-to-end delay", "end_to_end_delay_seconds"),
    ("cost", "cost_total"),
    ("cost of a stream-hour", "cost_per_stream_hour"),
    ("carbon of a stream-hour", "carbon_grams_per_stream_hour"),
)
"""Title and quantity of the lines of a comparison."""

NO_INTERVAL = (
    "too few repeats for intervals: a setting has to be measured twice or more in both runs; measure with: wattview run"
    " --repeat 3"
)


def print_comparison(first: RunResult, second: RunResult, as_json: bool = False) -> None:
    """Setting by setting. What stands on one side only is said. Raises click.ClickException for a file without any."""
    for run in (first, second):
        if run.error:
            raise click.ClickException(f"run {run.id}: {run.error}")
    found = compare_runs(first, second)
    if as_json:
        term.say(json_text(found))
        return
    term.say(f"A is run {found.first} ({first.test_date}), B is run {found.second} ({second.test_date})")
    if found.baseline_watts is not None:
        gap = found.baseline_watts
        term.say(f"idle machine, B − A: {gap.difference:+.2f} W{_interval(gap, 2, ' W')}: {gap.verdict}")
    if found.remark:
        term.say(term.wrap(found.remark, ""))
    for pair in found.pairs:
        term.say()
        _print_pair(pair)
    if found.correction:
        term.say("\n" + term.quiet(term.wrap(found.correction, "")))
    for run_id, labels in ((found.first, found.only_first), (found.second, found.only_second)):
        for label in labels:
            term.say(f"\nonly in {run_id}: {one_line(label)}")
    if not found.pairs:
        term.say("\nthe runs have no setting in common")


def _print_pair(pair: Pair) -> None:
    same = pair.first.label == pair.second.label
    first, second = one_line(pair.first.label), one_line(pair.second.label)
    term.say(term.strong(first if same else f"A: {first}\nB: {second}"))
    term.say(term.quiet(f"A {_count(pair.first)}; B {_count(pair.second)}"))
    if pair.differences:
        known = any(gap.low is not None for gap in pair.differences.values())
        columns = 7 if known else 5
        header = ["FIGURE", "A", "B", "B − A", "", "INTERVAL", ""][:columns]
        rows = [_row(pair, *line)[:columns] for line in FIGURES if line[1] in pair.differences]
        term.say(term.table(header, rows, right=frozenset({1, 2, 3, 4, 5} & set(range(columns)))))
        if not known:
            term.say(term.wrap(NO_INTERVAL))
    else:
        term.say(term.wrap("no figure is known on both sides"))
    if pair.remark:
        term.say(term.wrap(pair.remark))


def _row(pair: Pair, title: str, figure: str) -> list[str]:
    digits, unit = QUANTITIES[figure].decimals, QUANTITIES[figure].unit_in(None)
    gap, base = pair.differences[figure], pair.first.figures[figure].mean
    return [
        title,
        _mean(pair.first.figures[figure], digits, unit),
        _mean(pair.second.figures[figure], digits, unit),
        f"{gap.difference:+.{digits}f} {unit}".rstrip(),
        f"{100 * gap.difference / abs(base):+.1f} %" if base else "",
        _interval(gap, digits) or term.UNKNOWN,
        gap.verdict.partition(":")[0],
    ]


def _mean(estimate: Estimate, digits: int, unit: str) -> str:
    half = "" if estimate.low is None or estimate.high is None else f" ±{(estimate.high - estimate.low) / 2:.{digits}f}"
    return f"{estimate.mean:.{digits}f}{half} {unit}".rstrip()


def _interval(gap: Difference, digits: int, unit: str = "") -> str:
    """`` (+1.20 to +1.80 W)`` with a unit, ``+1.20 to +1.80`` without; nothing where there is none."""
    if gap.low is None or gap.high is None:
        return ""
    text = f"{gap.low:+.{digits}f} to {gap.high:+.{digits}f}"
    return f" ({text}{unit})" if unit else text


def _count(group: Group) -> str:
    many = "once" if group.repeats == 1 else f"{group.repeats} times"
    late = f", and {group.invalid} not in real time, left out" if group.invalid else ""
    return f"measured {many}{late}"
