"""Metric families on port 9500 beside power: runs and their encoders, and the whole machine's power and cost.

The former are for alerts (a run failed, an encoder fell behind real time). The latter are the snapshot's figures, so
that rules, dashboards and the fleet need not add anything up. Pure functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from wattview.analysis.pricing.hourly import HourlyCost, rates
from wattview.config import Cost
from wattview.exposition import Family, counter, empty_families, families_of, gauge, labels, rows
from wattview.model import GridPrices, MachinePower, Run, RunState

_ENCODER = rows("""
speed wattview_encoder_speed_ratio Speed of a running encoder; 1 is real time.
fps wattview_encoder_frames_per_second Frames that a running encoder finishes each second.
dropped_frames wattview_encoder_dropped_frames_total Frames that a running encoder has dropped.
""")


def run_families(runs: Iterable[Run]) -> list[Family]:
    """All runs of the journal, including the current one."""
    ended: Counter[RunState] = Counter()
    current: Run | None = None
    for run in runs:
        if run.state == "running":
            current = run
        else:
            ended[run.state] += 1
    total = counter("wattview_runs_total", "Scenario runs that have ended, by state.")
    for state in get_args(RunState):
        if state != "running":
            total.add(ended[state], labels(state=state))
    return [
        total,
        gauge("wattview_run_active", "1 while a scenario run is active, else 0.", int(current is not None)),
        _phase(current),
        *families_of(_ENCODER, [(labels(stream=one.stream), one) for one in (current.encoders if current else [])]),
    ]


def _phase(run: Run | None) -> Family:
    family = gauge("wattview_run_phase", "The phase of the active run, as labels; always 1.")
    if run is not None and run.progress is not None:
        family.add(1, labels(scenario=run.progress.scenario or "", phase=run.progress.phase))
    return family


def machine_families(machine: MachinePower | None) -> list[Family]:
    """Power of the whole machine. Unknown figures have no samples."""
    watts = gauge("wattview_machine_power_watts", "Power of the host, and of GPUs that its source does not see.")
    error = gauge("wattview_machine_power_error_watts", "Bound on the reading error of that power.")
    if machine is not None:
        watts.add(machine.watts, labels(source=machine.source))
        error.add(None if machine.watts is None else machine.error_watts, labels(source=machine.source))
    return [watts, error]


_HOURLY = rows("""
energy wattview_energy_cost_per_hour Cost per hour of the machine's energy, at its current power.
compute wattview_compute_cost_per_hour Cost per hour of the machine's busy CPUs and GPUs.
carbon_grams wattview_carbon_grams_per_hour CO2 equivalent of the machine's energy, an hour.
embodied_grams wattview_embodied_carbon_grams_per_hour The machine's embodied CO2 equivalent, an hour of it.
stale wattview_grid_stale 1 if a price or intensity of the grid is the last known one.
""")


def hourly_families(hourly: HourlyCost, currency: str) -> list[Family]:
    """Cost of the machine's power and computing time."""
    families = empty_families(_HOURLY)
    for name in ("energy", "compute"):
        families[name].add(getattr(hourly, name), labels(currency=currency))
    for name in ("carbon_grams", "embodied_grams"):
        families[name].add(getattr(hourly, name))
    families["stale"].add(1 if hourly.stale else None)
    return list(families.values())


def price_families(cost: Cost, time: float, known: GridPrices | None = None) -> list[Family]:
    """The configured prices at that moment. A budget or carbon intensity of 0 is unset: no sample."""
    currency = labels(currency=cost.currency)
    price, intensity = rates(time, cost, known)
    budget, grams = cost.budget_per_hour or None, intensity.value if intensity is not None else None
    return [
        gauge("wattview_price_energy_per_kwh", "Price of a kilowatt-hour now.", price.value, currency),
        gauge("wattview_price_cpu_per_hour", "Price of one CPU, fully used for an hour.", cost.cpu_per_hour, currency),
        gauge("wattview_pue_ratio", "Power usage effectiveness (PUE) of the site.", cost.pue),
        gauge("wattview_budget_per_hour", "Budget of this host per hour, energy and compute.", budget, currency),
        gauge("wattview_carbon_grams_per_kwh", "CO2 equivalent of a kilowatt-hour of this grid.", grams),
    ]
