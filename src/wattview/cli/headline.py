"""The result of a run in two lines: its figures, and the next step."""

from __future__ import annotations

from wattview.analysis.results import is_baseline
from wattview.analysis.windows.remarks import BASELINE_NOT_IDLE, WITHIN_DRIFT
from wattview.cli import terminal as term
from wattview.cli.results.show import ShownSetting, lines_of_run
from wattview.model import RunResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import QUANTITIES

FIGURES = (
    ("power_mean_watts", "{}"), ("baseline_diff_power_watts", "{} above baseline"), ("vmaf_score", "VMAF {}"),
    ("cost_per_stream_hour", "{} a stream-hour"),
)  # fmt: skip


def headline(run: RunResult) -> list[str]:
    """One line of figures for the setting, or for the range of several; one with the interpretation and the next
    command."""
    lines = [line for line in lines_of_run(run) if not is_baseline(line.members[0].record)]
    if run.error or not lines:
        return []
    said = [text for name, words in FIGURES if (text := _figure(lines, name, words))]
    name = lines[0].name if len(lines) == 1 else f"{len(lines)} settings"
    estimate = "ESTIMATE, " if said and any(_estimated(line) for line in lines) else ""
    meaning, command = _next(run, lines)
    return [f"{name}: {estimate}{', '.join(said) or 'no figures'}", f"{meaning}; next: {command}"]


def _figure(lines: list[ShownSetting], name: str, words: str) -> str:
    """For one setting with its ±, for several from the smallest to the largest; "" if unknown."""
    quantity = QUANTITIES[name]
    unit = quantity.unit_in(lines[0].currency)
    known = sorted(
        (pair for line in lines if (pair := line.value(quantity))[0] is not None), key=lambda pair: pair[0] or 0.0
    )
    if not known:
        return ""
    text = term.figure(known[0][0], quantity.decimals, "" if len(known) > 1 else unit, known[0][1])
    if len(known) > 1:
        ends = [term.figure(pair[0], quantity.decimals) for pair in (known[0], known[-1])]
        text = f"{ends[0]} to {ends[1]} {unit}".rstrip()
    return words.format(text)


def _estimated(line: ShownSetting) -> bool:
    return any(is_estimate(one.power_source) for one in line.members)


def _next(run: RunResult, lines: list[ShownSetting]) -> tuple[str, str]:
    """The interpretation of the figures, most serious first, and the next step."""
    members = [one for line in lines for one in line.members]
    if any(one.record.realtime is False for one in members):
        return "NOT REAL TIME: this machine is too slow for this setting", "fewer --streams, or a faster --preset"
    if any(one.power_mean_watts is None for one in members):
        return "power is unknown", "wattview doctor"
    if any(BASELINE_NOT_IDLE in one.remarks for one in members):
        return (
            "the machine was NOT IDLE: the increase over baseline is underestimated",
            "stop other work, and run it again",
        )
    if any(WITHIN_DRIFT in one.remarks for one in members):
        return (
            "the machine drifted by more than the power above baseline",
            "wattview run --baseline 60 --baseline-after",
        )
    estimate = any(_estimated(line) for line in lines)
    meaning = "an ESTIMATE from CPU use, only for comparisons on this machine" if estimate else "measured by a counter"
    if len(lines) > 1:
        return meaning, f"wattview results advise {run.id} --vmaf 90"
    if len(members) == 1:
        return f"{meaning}, once: its variation is unknown", "the same with --repeat 3"
    return meaning, f"wattview results export {run.id} --format html --output report.html"
