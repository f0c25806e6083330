"""An analysed results file as metric families, for the results, QoE and cost exporters.

Unknown figures have no samples. Scenarios with the same name in a file are numbered: the second is ``name (2)``, so
that no series repeats.

The public families show the newest file and identify a scenario by its name alone: one series each, whatever the run.
``runs_families`` are the same figures with the label ``run``, under our own names, for the newest files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from wattview.exposition import Family, gauge, labels
from wattview.model import RunResult, ScenarioResult
from wattview.model.quantities import CURRENCY, Quantity, exported

MAX_SCENARIOS = 500
"""Number of scenarios in the public families of the newest file, and in ``runs_families`` over all (whole) runs: a
bound for the store's series."""


def scenario_labels(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """The value of the label ``scenario`` for each, all different."""
    found: list[str] = []
    names = {scenario.record.name for scenario in scenarios}
    counts: Counter[str] = Counter()
    for scenario in scenarios:
        name = scenario.record.name
        counts[name] += 1
        label = name if counts[name] == 1 else f"{name} ({counts[name]})"
        while counts[name] > 1 and label in names:
            counts[name] += 1
            label = f"{name} ({counts[name]})"
        names.add(label)
        found.append(label)
    return found


def results_families(run: RunResult | None) -> list[Family]:
    """Port 9502: duration, power, energy, CPU and the difference from the baseline."""
    families = _newest("results", run)
    if run is not None:
        run_labels = labels(run=run.id, status=run.status or "", history=run.history)
        count = len(run.scenarios)
        shown = min(count, MAX_SCENARIOS)
        families += [
            gauge("wattview_results_info", "The results file that is shown.", 1.0, run_labels),
            gauge("wattview_results_scenarios", "Scenarios in the results file.", count + run.left_out),
            gauge("wattview_results_shown_scenarios", "Scenarios of the results file that the exporters show.", shown),
        ]
    return families


def qoe_families(run: RunResult | None) -> list[Family]:
    """Port 9503: the scores in the file."""
    return _newest("qoe", run)


def cost_families(run: RunResult | None) -> list[Family]:
    """Port 9504: costs in the configured currency, and carbon if the grid's intensity is set."""
    alive = gauge("cost_exporter_alive", "1 while the cost exporter answers.", 1.0)
    return [alive, *_newest("cost", run)]


FAMILIES: Mapping[str, Callable[[RunResult | None], list[Family]]] = {
    "results": results_families,
    "qoe": qoe_families,
    "cost": cost_families,
}
"""By the exporter's key."""


def _newest(exporter: str, run: RunResult | None) -> list[Family]:
    scenarios = run.scenarios[:MAX_SCENARIOS] if run is not None else []
    names = scenario_labels(scenarios)
    plain = [labels(scenario=name) for name in names]
    priced = [labels(scenario=name, currency=one.currency or "") for name, one in zip(names, scenarios, strict=True)]
    return [
        _family(quantity.metric, quantity, priced if quantity.unit == CURRENCY else plain, scenarios)
        for quantity in exported(exporter)
    ]


def runs_families(exporter: str, runs: Sequence[RunResult]) -> list[Family]:
    """The figures of several runs, newest first, each by ``{run,scenario}`` (costs: also ``currency``)."""
    shown: list[tuple[str, ScenarioResult]] = []
    for run in runs:
        if len(shown) + len(run.scenarios) > MAX_SCENARIOS:
            break
        for name, one in zip(scenario_labels(run.scenarios), run.scenarios, strict=True):
            money = {"currency": one.currency or ""} if exporter == "cost" else {}
            shown.append((labels(run=run.id, scenario=name, **money), one))
    texts, those = [text for text, _ in shown], [one for _, one in shown]
    return [_family(quantity.run_metric, quantity, texts, those) for quantity in exported(exporter)]


def _family(name: str, quantity: Quantity, texts: Sequence[str], scenarios: Sequence[ScenarioResult]) -> Family:
    family = gauge(name, quantity.help)
    for text, one in zip(texts, scenarios, strict=True):
        family.add(quantity.of(one), text)
    return family
