"""The rows of the results screen: the scenarios of runs, with repeats of one setting combined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wattview.model import Group, Measured, RunResult, ScenarioResult
from wattview.model.power_sources import is_estimate
from wattview.tui.results.values import Value, of_group, of_scenario

RowKey = tuple[str, tuple[int, ...]]
"""A run's id and the indices of its scenarios: a column of a comparison in the control API."""


class ResultRow(NamedTuple):
    """``numbers`` are the indices of the row's scenarios in the run; empty if the file could not be read, with the
    reason in ``run.error``. ``group`` is the mean of the repeats, None for a baseline."""

    run: RunResult
    numbers: tuple[int, ...] = ()
    group: Group | None = None
    on_front: bool = False

    @property
    def key(self) -> RowKey:
        return self.run.id, self.numbers

    @property
    def scenarios(self) -> list[ScenarioResult]:
        return [self.run.scenarios[number] for number in self.numbers]

    @property
    def first(self) -> ScenarioResult | None:
        return self.scenarios[0] if self.numbers else None

    @property
    def estimated(self) -> bool:
        return any(is_estimate(one.power_source) for one in self.scenarios)

    @property
    def remarks(self) -> dict[str, str]:
        """The daemon's remarks on its figures, by their short names; for repeats, those on the group."""
        if self.group is not None and self.group.repeats and len(self.numbers) > 1:
            return self.group.remarks
        return self.first.remarks if self.first is not None else {}

    @property
    def currency(self) -> str:
        return next((one.currency for one in self.scenarios if one.currency), "")

    def value(self, name: str) -> Value:
        """The figure that the API calls ``name``. Repeats that fell behind real time are not in a mean."""
        if not self.numbers:
            return Value()
        if self.group is not None and self.group.repeats and len(self.numbers) > 1:
            return of_group(self.group, name)
        one = self.scenarios[0]
        if name in ("baseline_diff_power_watts", "net_energy_joules") and one.baseline == one.record.name:
            return Value()  # a baseline compared with itself is meaningless
        return of_scenario(one, name)


def rows_of(runs: Iterable[RunResult], measured: Sequence[Measured] = ()) -> list[ResultRow]:
    """One row per scenario, in the order of the runs; repeats within a run are one row, in the place of the first."""
    groups = {(one.run, number): one for one in measured for number in one.scenarios}
    rows = []
    for run in runs:
        if run.error is not None and not run.scenarios:
            rows.append(ResultRow(run))
        for number in range(len(run.scenarios)):
            one = groups.get((run.id, number))
            if one is None or max(one.scenarios) >= len(run.scenarios):
                rows.append(ResultRow(run, (number,)))
            elif number == one.scenarios[0]:
                rows.append(ResultRow(run, one.scenarios, one.group, one.on_front))
    return rows


def name_of(row: ResultRow) -> str:
    """``! quick ×3``: its name, the number of repeats, and whether it has done its work."""
    if row.first is None:
        return "(unreadable file)"
    record = row.first.record
    several = f" ×{len(row.numbers)}" if len(row.numbers) > 1 else ""
    behind = "! " if all(one.record.fault for one in row.scenarios) else ""
    return f"{behind}{record.setting_name if several else record.name}{several}"


def notes(row: ResultRow) -> str:
    """Warnings about the figures, in short words."""
    if row.first is None:
        return "error"
    words = []
    if row.estimated:
        words.append("estimated")
    behind = sum(one.record.realtime is False for one in row.scenarios)
    if behind:
        words.append("not real time" if behind == len(row.numbers) else f"{behind} of {len(row.numbers)} not real time")
    ended = ["failed" if one.record.fault == "failed" else one.record.status or "done" for one in row.scenarios]
    if bad := [word for word in ended if word != "done"]:
        words.append(f"{len(bad)} failed" if len(row.numbers) > 1 else bad[0])
    if row.run.status not in (None, "done"):
        words.append(f"run {row.run.status}")
    words += row.remarks
    return ", ".join(words)


def run_notes(run: RunResult) -> str:
    """The same for a whole run."""
    words = ["estimated"] if any(is_estimate(one.power_source) for one in run.scenarios) else []
    if behind := sum(one.record.realtime is False for one in run.scenarios):
        words.append(f"{behind} not real time")
    names = dict.fromkeys(name for one in run.scenarios for name in one.remarks)
    words += [name for name in names if not name.startswith("baseline")]
    return ", ".join(words)
