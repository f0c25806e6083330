"""Energy of a measured command: its share of the energy of the window around it. Pure functions."""

from __future__ import annotations

from wattview.model import PerExecution, ScenarioResult


def per_execution(
    result: ScenarioResult, net_joules: float | None, baseline: ScenarioResult | None
) -> tuple[PerExecution | None, str]:
    """Mean energy per execution, and why it is unknown, or "".

    The command gets the share of the energy above baseline that its CPU time has of the CPU time above baseline; the
    rest belongs to whatever else became busy in the window. None for a scenario without a command.
    """
    command = result.record.command
    if command is None or command.executions < 1:
        return None, ""
    joules, lack = _own_joules(result, command.cpu_seconds, net_joules, baseline)
    share = None if joules is None or not result.energy_joules else joules / result.energy_joules
    times = command.executions
    return PerExecution(
        seconds=command.seconds / times,
        cpu_seconds=_by(command.cpu_seconds, times),
        gpu_seconds=_by(command.gpu_seconds, times),
        machine_joules=_by(result.energy_joules, times),
        joules=_by(joules, times),
        cost=_part(result.cost_energy, share, times),
        carbon_grams=_part(result.carbon_grams, share, times),
    ), lack


def _own_joules(
    result: ScenarioResult, cpu_seconds: float | None, net_joules: float | None, baseline: ScenarioResult | None
) -> tuple[float | None, str]:
    if net_joules is None or baseline is None:
        return None, result.reasons.get("energy_joules") or "there is no baseline to subtract"
    if cpu_seconds is None:
        return None, "its CPU time is not known"
    if result.cpu_seconds is None or baseline.cpu_seconds is None or not baseline.window_seconds:
        return None, result.reasons.get("cpu_seconds") or "the CPU time of the baseline is not known"
    idle = baseline.cpu_seconds / baseline.window_seconds * (result.window_seconds or 0.0)
    above = max(result.cpu_seconds - idle, cpu_seconds)
    return (net_joules * cpu_seconds / above if above > 0 else 0.0), ""


def _by(amount: float | None, times: int) -> float | None:
    return None if amount is None else amount / times


def _part(amount: float | None, share: float | None, times: int) -> float | None:
    return None if amount is None or share is None else amount * share / times
