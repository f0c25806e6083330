"""Details of a row of the results in a few lines, with the reason for every missing figure."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.model import Group, RunResult, ScenarioResult
from wattview.model.power.meters import WALL_WORDS
from wattview.model.quantities import QUANTITIES, unknown_by_reason
from wattview.model.runs import made_by, without_addresses
from wattview.tui.results.rows import ResultRow, name_of, notes
from wattview.tui.results.values import Value, spoken, written
from wattview.tui.text import UNKNOWN, span
from wattview.tui.widgets.pane import Parts

NOT_IDLE = "not idle"
"""The API's name of the remark on a baseline during which the machine had other work."""


def details(row: ResultRow | None, page: str = "Energy") -> Parts:
    """``page``: what comes first, and so is visible in a small window."""
    if row is None:
        return [""]
    one = row.first
    if one is None:
        return [(f"{row.run.path}: ", "bold"), (row.run.error or "it could not be read", "$text-error")]

    def say(name: str, before: str = "") -> str:
        value = row.value(name)
        return f"{before}{spoken(QUANTITIES[name], value, row.currency)}" if value.value is not None else ""

    against = f" against {one.baseline}" if one.baseline and one.baseline != one.record.name else ""
    seconds = row.value("duration_seconds").value
    energy = [
        f"{say('energy_joules') or UNKNOWN} in {span(seconds)}", say("power_mean_watts", "mean "),
        say("power_max_watts", "max "), f"{say('baseline_diff_power_watts')}{against}" if against else "",
    ]  # fmt: skip
    prices = ((name, row.value(name).value) for name in ("cost_energy", "cost_compute", "cost_egress"))
    of = ", ".join(
        f"{name.removeprefix('cost_')} {written(QUANTITIES[name], value)}"
        for name, value in prices
        if value is not None
    )
    cost = [say("cost_total") + (f" ({of})" if of else ""), say("carbon_grams", "carbon ")]
    quality = [say("vmaf_score", "VMAF "), say("psnr_score", "PSNR "), say("xpsnr_score", "XPSNR "),
               say("ssim_score", "SSIM "),
               say("qoe_score", "QoE "), say("stalls", "stalls "), say("start_delay_seconds", "first picture after "),
               f"QoE from {one.qoe_method}" if one.qoe_method else ""]  # fmt: skip
    parts: Parts = [
        (name_of(row), "bold $primary"), f"  {_setting(row, one)}", _repeats(row),
        (f"  ! {notes(row)}" if notes(row) else "", "bold $text-warning"), "\n",
    ]  # fmt: skip
    lines: dict[str, Parts] = {
        "Energy": [("Energy  ", "$muted"), _list(energy), "; ", _source(row, one), "\n"],
        "Cost": [("Cost    ", "$muted"), _list(cost), "\n"],
        "Quality": [("Quality ", "$muted"), _list(quality), "\n"],
    }
    for name in sorted(lines, key=lambda name: name != page):
        parts += lines[name]
    reasons = "; ".join(f"{', '.join(figures)}: {reason}" for reason, figures in unknown_by_reason(one.reasons).items())
    noted = (without_addresses(note) for one in row.scenarios for note in one.record.notes or [])
    remarks = "; ".join(dict.fromkeys([*row.remarks.values(), *noted]))
    if remarks:
        parts += [("Notes   ", "$muted"), (remarks, "$text-warning"), "\n"]
    if made := made_by(one.record):
        parts += [("Made    ", "$muted"), made, "\n"]
    if reasons:
        parts += [("Missing ", "$muted"), reasons]
    return parts


def _list(texts: Iterable[str]) -> str:
    return ", ".join(text for text in texts if text) or UNKNOWN


def _source(row: ResultRow, one: ScenarioResult) -> str | tuple[str, str]:
    if row.estimated:
        return ("ESTIMATE from CPU use", "bold $text-warning")
    wall = f", wall {WALL_WORDS[one.wall_source]}" if one.wall_source else ""
    return f"by {one.power_source}{wall}" if one.power_source else f"no power source{wall}"


def _repeats(row: ResultRow) -> str:
    """The meaning of ± here."""
    if row.group is None or len(row.numbers) < 2:
        return ""
    late = f" ({row.group.left_out}: left out)" if row.group.left_out else ""
    if row.group.repeats < 2:
        return f"  measured {len(row.numbers)} times{late}"
    return f"  measured {len(row.numbers)} times{late}; ± is the 95 % interval"


def _setting(row: ResultRow, one: ScenarioResult) -> str:
    if row.group is not None:
        return row.group.label
    record = one.record
    texts = (
        f"{record.streams} x" if record.streams else "",
        record.resolution or "",
        f"{record.fps:g} fps" if record.fps else "",
        record.bitrate or "",
        record.encoder or "",
        record.preset or "",
        record.encoder_args or "",
    )
    return " ".join(text for text in texts if text)


def group_count(group: Group | None) -> str:
    """``measured 3 times, and 1 not real time, left out``."""
    if group is None:
        return "not measured"
    many = "once" if group.repeats == 1 else f"{group.repeats} times"
    return f"measured {many}" + (f", and {group.left_out}, left out" if group.left_out else "")


def run_details(run: RunResult | None) -> Parts:
    if run is None:
        return [""]
    parts: Parts = [(f"Run {run.id or run.path}", "bold $primary"), f"  {run.test_date}\n"]
    if run.error:
        return [*parts, (run.error, "$text-error")]
    parts += [("File    ", "$muted"), run.path, "\n", ("History ", "$muted"), run.history or UNKNOWN, "\n"]
    for one in run.scenarios:
        if one.record.type == "baseline":
            idle = Value(one.power_mean_watts, one.power_error_watts)
            parts += [(f"{one.record.name} ", "$muted"), spoken(QUANTITIES["power_mean_watts"], idle, ""), "   "]
    parts += [f"\n{remark}" for remark in run.remarks]
    behind = [name for one in run.scenarios if one.record.realtime is False and (name := one.record.name)]
    if behind:
        parts.append((f"\nNOT REAL TIME: {', '.join(behind)}", "$text-warning"))
    parts += [
        (f"\n{one.record.name}: {one.remarks[NOT_IDLE]}", "$text-warning")
        for one in run.scenarios if NOT_IDLE in one.remarks
    ]  # fmt: skip
    return parts
