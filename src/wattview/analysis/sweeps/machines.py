"""Results of one machine: prices of settings are compared only if the same machine measured them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wattview.analysis.windows.energy import NoData
from wattview.model import ScenarioResult

UNNAMED = "an unnamed machine"


def machine_text(machine: str | None) -> str:
    """A machine as text."""
    return machine or UNNAMED


def of_one_machine(results: Sequence[ScenarioResult], wanted: str = "") -> tuple[list[ScenarioResult], str]:
    """The results of one machine, and a sentence on what was left out ("" if nothing was).

    ``wanted`` is a machine's name or a part of it; by default the machine of the first result counts (results come
    newest first). Raises NoData if no machine, or more than one, matches.
    """
    counts = Counter(result.machine for result in results)
    if not counts:
        return [], ""
    chosen = _named(list(counts), wanted) if wanted else results[0].machine
    others = {machine: count for machine, count in counts.items() if machine != chosen}
    said = ""
    if others:
        listed = "; ".join(f"{count} of {machine_text(machine)}" for machine, count in others.items())
        said = f"only scenarios of {machine_text(chosen)} were used, not {listed}: machines cannot be compared"
    return [result for result in results if result.machine == chosen], said


def _named(machines: Sequence[str | None], wanted: str) -> str | None:
    found = [machine for machine in machines if wanted.casefold() in machine_text(machine).casefold()]
    exact = [machine for machine in found if machine_text(machine) == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    what = "no machine" if not found else "more than one machine"
    known = "; ".join(machine_text(machine) for machine in machines)
    raise NoData(f"{what} is called {wanted!r}; measured were: {known}")
