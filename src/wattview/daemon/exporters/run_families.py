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
from wattview.exposition import Family, labels
from wattview.model import EncoderStatus, GridPrices, MachinePower, Run, RunState

_ENCODER: tuple[tuple[str, str, str], ...] = (
    ("wattview_encoder_speed_ratio", "speed", "Speed of a running encoder; 1 is real time."),
    ("wattview_encoder_frames_per_second", "fps", "Frames that a running encoder finishes each second."),
)


def run_families(runs: Iterable[Run]) -> list[Family]:
    """All runs of the journal, including the current one."""
    ended: Counter[RunState] = Counter()
    current: Run | None = None
    for run in runs:
        if run.state == "running":
            current = run
        else:
            ended[run.state] += 1
    total = Family("wattview_runs_total", "counter", "Scenario runs that have ended, by how.")
    for state in get_args(RunState):
        if state != "running":
            total.add(ended[state], labels(state=state))
    return [
        total,
        Family("wattview_run_active", "gauge", "1 while a scenario run is active, else 0.").add(
            int(current is not None)
        ),
        _phase(current),
        *_encoders(current.encoders if current is not None else []),
    ]


def _phase(run: Run | None) -> Family:
    family = Family("wattview_run_phase", "gauge", "The phase of the active run, as labels; always 1.")
    if run is not None and run.progress is not None:
        family.add(1, labels(scenario=run.progress.scenario or "", phase=run.progress.phase))
    return family


def _encoders(statuses: Iterable[EncoderStatus]) -> list[Family]:
    families = [Family(name, "gauge", help_text) for name, _, help_text in _ENCODER]
    dropped = Family("wattview_encoder_dropped_frames_total", "counter", "Frames that a running encoder has dropped.")
    for status in statuses:
        text = labels(stream=status.stream)
        for family, (_, field, _) in zip(families, _ENCODER, strict=True):
            family.add(getattr(status, field), text)
        dropped.add(status.dropped_frames, text)
    return [*families, dropped]


def machine_families(machine: MachinePower | None) -> list[Family]:
    """Power of the whole machine. Unknown figures have no samples."""
    watts = Family("wattview_machine_power_watts", "gauge", "Power of the host and of the GPUs that it does not hold.")
    error = Family(
        "wattview_machine_power_error_watts", "gauge", "How far that power may be from what the meter counted."
    )
    if machine is not None:
        watts.add(machine.watts, labels(source=machine.source))
        error.add(None if machine.watts is None else machine.error_watts, labels(source=machine.source))
    return [watts, error]


def hourly_families(hourly: HourlyCost, currency: str) -> list[Family]:
    """Cost of the machine's power and computing time."""
    text = labels(currency=currency)
    return [
        Family("wattview_energy_cost_per_hour", "gauge", "What the machine's energy costs an hour at this rate.").add(
            hourly.energy, text
        ),
        Family("wattview_compute_cost_per_hour", "gauge", "What its busy CPUs and GPUs cost an hour.").add(
            hourly.compute, text
        ),
        Family("wattview_carbon_grams_per_hour", "gauge", "CO2 equivalent of the machine's energy, an hour.").add(
            hourly.carbon_grams
        ),
        Family(
            "wattview_embodied_carbon_grams_per_hour", "gauge", "The machine's embodied CO2 equivalent, an hour of it."
        ).add(hourly.embodied_grams),
        Family("wattview_grid_stale", "gauge", "1 if a price or intensity of the grid is the last known one.").add(
            1 if hourly.stale else None
        ),
    ]


def price_families(cost: Cost, time: float, known: GridPrices | None = None) -> list[Family]:
    """The configured prices at that moment. A budget or carbon intensity of 0 is unset: no sample."""
    currency = labels(currency=cost.currency)
    price, intensity = rates(time, cost, known)
    return [
        Family("wattview_price_energy_per_kwh", "gauge", "Price of a kilowatt-hour now.").add(price.value, currency),
        Family("wattview_price_cpu_per_hour", "gauge", "Price of one CPU, fully used for an hour.").add(
            cost.cpu_per_hour, currency
        ),
        Family("wattview_pue_ratio", "gauge", "Energy of the building by energy of its machines (PUE).").add(cost.pue),
        Family("wattview_budget_per_hour", "gauge", "What this host may cost an hour, energy and CPU together.").add(
            cost.budget_per_hour or None, currency
        ),
        Family("wattview_carbon_grams_per_kwh", "gauge", "CO2 equivalent of a kilowatt-hour of this grid.").add(
            intensity.value if intensity is not None else None
        ),
    ]
