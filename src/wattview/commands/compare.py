"""``wattview results compare``: two runs held against each other."""

from __future__ import annotations

import click

from wattview import terminal as term
from wattview.model import RunResult

COMPARED = (
    ("energy", "energy_joules", 1, "J"),
    ("mean power", "power_mean_watts", 2, "W"),
    ("max power", "power_max_watts", 2, "W"),
    ("CPU", "cpu_mean_percent", 1, "%"),
    ("QoE", "qoe_score", 2, ""),
    ("cost", "cost_total", 6, ""),
)


def print_comparison(a: RunResult, b: RunResult) -> None:
    """Scenario by scenario, by name; what stands on one side only is said."""
    left = {one.record.name: one for one in a.scenarios}
    right = {one.record.name: one for one in b.scenarios}
    rows = []
    for name in [*left, *(name for name in right if name not in left)]:
        if name not in left or name not in right:
            only = a.id if name in left else b.id
            rows.append([name, f"only in {only}", "", "", "", ""])
            continue
        for title, field, digits, unit in COMPARED:
            one, other = getattr(left[name], field), getattr(right[name], field)
            known = one is not None and other is not None
            change = term.figure(other - one if known else None, digits, unit)
            percent = term.figure((other - one) / one * 100 if known and one else None, 1, "%")
            rows.append(
                [name, title, term.figure(one, digits, unit), term.figure(other, digits, unit), change, percent]
            )
    header = ["SCENARIO", "FIGURE", a.id, b.id, "DIFFERENCE", ""]
    click.echo(term.table(header, rows, right=frozenset({2, 3, 4, 5})))
