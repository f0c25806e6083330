"""The energy of a command on a machine of 10 W idle and 2 J for each CPU second: its own part, and no more."""

from __future__ import annotations

import pytest

from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.comparison import compare, repeats_of
from wattview.model import CommandRecord, ScenarioRecord, ScenarioResult

IDLE_WATTS, JOULES_PER_CPU_SECOND = 10.0, 2.0


def window(name: str, seconds: float, busy: float, **fields: object) -> ScenarioResult:
    """What was measured in so many seconds in which so much CPU time was used."""
    joules = IDLE_WATTS * seconds + JOULES_PER_CPU_SECOND * busy
    record = ScenarioRecord(name=name, start_time=1000.0, end_time=1000.0 + seconds, **fields)  # type: ignore[arg-type]
    return ScenarioResult(
        record=record, window_seconds=seconds, energy_joules=joules, power_mean_watts=joules / seconds,
        cpu_seconds=busy, power_source="rapl", cost_energy=joules * 1e-6, carbon_grams=joules * 1e-4, currency="EUR",
    )  # fmt: skip


def command(cpu_seconds: float | None, executions: int = 1, seconds: float = 10.0) -> CommandRecord:
    return CommandRecord(text="make", executions=executions, seconds=seconds, cpu_seconds=cpu_seconds)


def measured(*results: ScenarioResult) -> ScenarioResult:
    return compared_with_baseline(results)[-1]


@pytest.mark.parametrize("neighbour", [0.0, 3.0, 30.0])
@pytest.mark.parametrize("background", [0.0, 1.0])
def test_a_command_gets_the_energy_of_its_own_cpu_time(neighbour: float, background: float) -> None:
    idle = window("baseline", 20.0, background * 2.0, type="baseline")
    busy = 5.0 + neighbour + background
    one = measured(idle, window("make", 10.0, busy, type="command", command=command(5.0))).per_execution
    assert one is not None
    assert one.joules == pytest.approx(5.0 * JOULES_PER_CPU_SECOND)
    assert one.machine_joules == pytest.approx(100.0 + 2.0 * busy)
    assert one.cost == pytest.approx(one.joules * 1e-6)
    assert one.carbon_grams == pytest.approx(one.joules * 1e-4)


def test_a_short_command_is_shown_by_one_of_its_executions() -> None:
    idle = window("baseline", 20.0, 0.0, type="baseline")
    one = measured(idle, window("ls", 2.0, 1.0, type="command", command=command(1.0, executions=8, seconds=1.6)))
    assert one.per_execution is not None
    assert one.per_execution.seconds == pytest.approx(0.2)
    assert one.per_execution.cpu_seconds == pytest.approx(0.125)
    assert one.per_execution.joules == pytest.approx(0.25)
    assert one.energy_joules == pytest.approx(22.0), "that is of the whole window"


def test_without_a_baseline_its_own_energy_is_unknown_and_says_so() -> None:
    one = measured(window("make", 10.0, 5.0, type="command", command=command(5.0)))
    assert one.per_execution is not None
    assert (one.per_execution.joules, one.per_execution.cost) == (None, None)
    assert one.per_execution.machine_joules == pytest.approx(110.0)
    assert one.reasons["joules_per_execution"] == "there is no baseline to subtract"


def test_without_its_cpu_time_its_own_energy_is_unknown() -> None:
    idle = window("baseline", 20.0, 0.0, type="baseline")
    one = measured(idle, window("make", 10.0, 5.0, type="command", command=command(None)))
    assert one.per_execution is not None
    assert one.per_execution.joules is None
    assert one.reasons["joules_per_execution"] == "its CPU time is not known"


def test_commands_of_one_name_are_repeats_and_executions_are_not_added() -> None:
    idle = window("baseline", 20.0, 0.0, type="baseline")

    def of(executions: int, seconds: float) -> ScenarioResult:
        taken = command(0.5 * executions, executions, 0.5 * executions)
        return measured(idle, window("ls", seconds, 0.5 * executions, type="command", command=taken))

    [first] = repeats_of([of(4, 2.0), of(4, 2.0)])
    [second] = repeats_of([of(40, 20.0), of(40, 20.0)])
    assert first.label == "ls"
    found = compare(first, second).figures
    assert found["joules_per_execution"].difference == pytest.approx(0.0, abs=1e-9)
    assert "energy_joules" not in found, "one window is ten times as long as the other"
