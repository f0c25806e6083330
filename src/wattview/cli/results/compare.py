"""``wattview results compare``: two runs side by side, with intervals if they have repeats."""

from __future__ import annotations

import click

from wattview.analysis.sweeps.comparison import compare_runs
from wattview.cli import terminal as term
from wattview.foreign_text import one_line
from wattview.model import Difference, Group, Pair, RunResult
from wattview.model.quantities import QUANTITIES, Quantity

FIGURES = (
    "power_mean_watts", "power_max_watts", "baseline_diff_power_watts", "watts_per_stream", "net_watts_per_stream",
    "energy_joules", "joules_per_frame", "joules_per_megapixel", "cpu_mean_percent", "vmaf_score", "psnr_score",
    "xpsnr_score", "ssim_score", "qoe_score", "start_delay_seconds", "end_to_end_delay_seconds", "cost_total",
    "cost_per_stream_hour", "carbon_grams_per_stream_hour",
)  # fmt: skip
"""The lines of a comparison, if known; the JSON has every figure."""

NO_INTERVAL = (
    "too few repeats for intervals: a setting has to be measured twice or more in both runs; measure with: wattview run"
    " --repeat 3"
)


def print_comparison(first: RunResult, second: RunResult, as_json: bool = False) -> None:
    """Prints setting by setting, including those of one run only. Raises click.ClickException for a file without
    any."""
    for run in (first, second):
        if run.error:
            raise click.ClickException(f"run {run.id}: {run.error}")
    found = compare_runs(first, second)
    if as_json:
        term.say(term.json_text(found))
        return
    term.say(f"A is run {found.first} ({first.test_date}), B is run {found.second} ({second.test_date})")
    if found.baseline_watts is not None:
        gap = found.baseline_watts
        interval = _interval(gap, QUANTITIES["power_mean_watts"])
        around = f" ({interval} W)" if interval else ""
        term.say(f"idle machine, B − A: {gap.difference:+z.2f} W{around}: {gap.verdict}")
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
        rows = [_row(pair, QUANTITIES[name])[:columns] for name in FIGURES if name in pair.differences]
        term.say(term.table(header, rows, right=frozenset({1, 2, 3, 4, 5} & set(range(columns)))))
        if not known:
            term.say(term.wrap(NO_INTERVAL))
    else:
        term.say(term.wrap("no figure is known in both runs"))
    if pair.remark:
        term.say(term.wrap(pair.remark))


def _row(pair: Pair, figure: Quantity) -> list[str]:
    gap = pair.differences[figure.name]
    first, second = (side.figures[figure.name] for side in (pair.first, pair.second))
    return [
        figure.words,
        term.quantity(figure, first.mean, first.half),
        term.quantity(figure, second.mean, second.half),
        f"{figure.scaled(gap.difference):+z.{figure.decimals}f} {figure.unit_in(None)}".rstrip(),
        f"{100 * gap.difference / abs(first.mean):+z.1f} %" if figure.shows(first.mean) else "",
        _interval(gap, figure) or term.UNKNOWN,
        gap.verdict.partition(":")[0],
    ]


def _interval(gap: Difference, figure: Quantity) -> str:
    """``+1.20 to +1.80``; "" if there is none."""
    if gap.low is None or gap.high is None:
        return ""
    return " to ".join(f"{figure.scaled(end):+z.{figure.decimals}f}" for end in (gap.low, gap.high))


def _count(group: Group) -> str:
    many = "once" if group.repeats == 1 else f"{group.repeats} times"
    return f"measured {many}" + (f", and {group.left_out}, left out" if group.left_out else "")
