"""An analysed results file as metric families: what the results, QoE and cost exporters serve.

A figure that is unknown is no sample. Two scenarios of one name in a file are told apart by their place: the second is
``name (2)``, so that no series appears twice in an answer.

The contract's families are of the newest file and know a scenario by its name alone: one series for each, whatever run
it was. ``runs_families`` are the same figures with the label ``run``, under names of our own, for the newest files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from wattview.exposition import Family, labels
from wattview.model import RunResult, ScenarioResult
from wattview.model.quantities import CURRENCY, Quantity, exported

MAX_SCENARIOS = 500
"""How many scenarios the contract's families show of the newest file, and ``runs_families`` of all runs, whole runs
only: a bound for the store that keeps the series."""


def scenario_labels(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """The value of the label ``scenario`` of each, all different."""
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
        families.append(
            Family("wattview_results_info", "gauge", "The results file that is shown.", [(run_labels, 1.0)])
        )
        count = len(run.scenarios)
        families += [
            Family("wattview_results_scenarios", "gauge", "Scenarios in the results file.").add(count + run.left_out),
            Family("wattview_results_shown_scenarios", "gauge", "Those that the exporters show: its first ones.").add(
                min(count, MAX_SCENARIOS)
            ),
        ]
    return families


def qoe_families(run: RunResult | None) -> list[Family]:
    """Port 9503: the score and the picture's quality, as the file has it."""
    return _newest("qoe", run)


def cost_families(run: RunResult | None) -> list[Family]:
    """Port 9504: costs in the currency of the settings, and carbon where the grid's intensity is set."""
    alive = Family("cost_exporter_alive", "gauge", "1 while the cost exporter answers.", [("", 1.0)])
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
    """The figures of several runs, newest first, each by ``{run,scenario}`` (costs: and ``currency``)."""
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
    family = Family(name, "gauge", quantity.help)
    for text, one in zip(texts, scenarios, strict=True):
        family.add(quantity.of(one), text)
    return family
