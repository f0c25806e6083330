"""Means of repeats with their uncertainty, and comparison of two settings or two runs.

Scenarios are repeats of each other if the encoders were given the same options (``setting_of``), whatever the
scenarios' names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.baseline_noise import NET, NetValue, net_difference, net_estimate, net_value
from wattview.analysis.sweeps.confidence import (
    AskedTest,
    difference,
    estimate,
    judged_together,
    level_text,
    tests_text,
)
from wattview.analysis.sweeps.machines import machine_text
from wattview.analysis.windows.remarks import UNKNOWN_MODEL, together, vmaf_models
from wattview.model import (
    Comparison,
    Difference,
    Estimate,
    Group,
    Pair,
    RunComparison,
    RunResult,
    ScenarioRecord,
    ScenarioResult,
    Setting,
)
from wattview.model.quantities import OF_RESULTS, QUANTITIES, counted
from wattview.model.run_request import bitrate_text, bits_per_second

IDLE = "idle machine"
"""Subject of the difference between two runs' baselines."""


class Repeats(Struct, frozen=True):
    """The scenarios of one setting on one machine: those that count, and those that have not done its work."""

    setting: Setting
    valid: tuple[ScenarioResult, ...]
    invalid: tuple[ScenarioResult, ...] = ()
    machine: str | None = None

    def values(self, name: str) -> list[float]:
        """The figure of each repeat that has it; VMAF only by ``vmaf_model``, costs only as ``billed_at``."""
        return [value for result in self.valid if (value := self.value(result, name)) is not None]

    def value(self, result: ScenarioResult, name: str) -> float | None:
        """The figure of one repeat as in ``values``; None if it lacks it, or has it of another kind."""
        quantity = QUANTITIES[name]
        other_model = quantity.of_vmaf and result.record.vmaf_model != self.vmaf_model
        other_bill = quantity.billed and result.billed_at != self.billed_at
        return None if other_model or other_bill else quantity.of(result)

    @property
    def vmaf_model(self) -> str | None:
        """Model of the first repeat with a VMAF: scores of two models do not mix."""
        return next((one.record.vmaf_model for one in self.valid if one.record.vmaf_score is not None), None)

    @property
    def vmaf_models(self) -> set[str]:
        """All models of the repeats with a VMAF, as text."""
        return vmaf_models(self.valid)

    @property
    def billed_at(self) -> str:
        """Which energy the first repeat's costs are of: that at the wall, or the machine's."""
        return self.valid[0].billed_at if self.valid else "machine"

    @property
    def power_sources(self) -> set[str]:
        """All power sources of the repeats."""
        return {result.power_source for result in self.valid if result.power_source}

    @property
    def power_source(self) -> str | None:
        """Their power source; None if unknown, or if there are several."""
        sources = self.power_sources
        return sources.pop() if len(sources) == 1 else None

    def by_source(self) -> list[Repeats]:
        """The repeats split by power source, since figures of two sources do not mix. Repeats of unknown power, and
        those that do not count, stay with the first."""
        others = sorted(self.power_sources)[1:]
        if not others:
            return [self]
        kept = tuple(one for one in self.valid if one.power_source not in others)
        parts = [tuple(one for one in self.valid if one.power_source == source) for source in others]
        return [replace(self, valid=kept), *(replace(self, valid=part, invalid=()) for part in parts)]

    @property
    def label(self) -> str:
        return setting_text(self.setting)

    @property
    def left_out(self) -> str:
        """``1 failed, 2 not real time``; "" if all count."""
        faults = Counter(one.record.fault for one in self.invalid)
        return ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))

    @property
    def of_many_executions(self) -> bool:
        """Whether a window holds several executions of a command: its totals are then of as many as fitted into it."""
        return any(one.record.command is not None and one.record.command.executions > 1 for one in self.valid)

    def net_values(self, name: str) -> list[NetValue] | None:
        """A figure above baseline with what was subtracted; None for other figures, and if that is unknown."""
        if name not in NET:
            return None
        quantity = QUANTITIES[name]
        found = [net_value(result, name, value) for result in self.valid if (value := quantity.of(result)) is not None]
        known = [one for one in found if one is not None]
        return known if known and len(known) == len(found) else None

    def estimate(self, name: str) -> Estimate | None:
        """Mean of a figure with its interval; None if no repeat has it."""
        net, values = self.net_values(name), self.values(name)
        return net_estimate(net) if net else estimate(values) if values else None

    def less(self, other: Repeats, name: str) -> Difference:
        """Mean of a figure less that of another setting. Raises NoData if either lacks it."""
        mine, others = self.net_values(name), other.net_values(name)
        return net_difference(mine, others) if mine and others else difference(self.values(name), other.values(name))

    def group(self) -> Group:
        figures = {one.name: found for one in OF_RESULTS if (found := self.estimate(one.name)) is not None}
        remarks = together(self.valid)
        model = self.vmaf_model or UNKNOWN_MODEL
        if others := ", ".join(sorted(self.vmaf_models - {model})):
            remarks["VMAF models"] = f"VMAF is of {model} alone: scores of {others} are not mixed with it"
        return Group(
            label=self.label, setting=self.setting, figures=figures, repeats=len(self.valid),
            invalid=len(self.invalid), left_out=self.left_out, power_source=self.power_source, machine=self.machine,
            vmaf_model=self.vmaf_model, remarks=remarks,
        )  # fmt: skip


def setting_of(record: ScenarioRecord) -> Setting:
    """The options of the encoders, in canonical form."""
    if record.type in ("command", "recording"):
        return Setting(name=record.setting_name)
    return Setting(
        streams=record.streams, resolution=record.resolution, fps=record.fps, bitrate=_rates(record.bitrate),
        outputs=tuple(record.outputs or ()), encoder=record.encoder, preset=record.preset, source=record.source,
        encoder_args=record.encoder_args, rate_control=record.rate_control, crf=record.crf,
        gop_seconds=record.gop_seconds,
        buffer_seconds=record.buffer_seconds, audio=_rates(record.audio), viewers=record.viewers, pushed=record.pushed,
        protocol=_protocol(record.pushed_to), bit_depth=record.bit_depth if record.bit_depth != 8 else None,
    )  # fmt: skip


def _protocol(address: str | None) -> str | None:
    """``SRT``; None for RTMP, the usual one."""
    scheme = (address or "").partition("://")[0].upper()
    return None if scheme in ("", "RTMP", "RTMPS") else scheme


def _rates(text: str | None) -> str | None:
    """Bit rates in canonical form: ``2.5M`` becomes ``2500k``, and equal rates of all streams become one. Text that is
    no bitrate is kept."""
    if text is None:
        return None
    try:
        rates = [bitrate_text(bits_per_second(part.strip())) for part in text.split(",")]
    except ValueError:
        return text
    return rates[0] if len(set(rates)) == 1 else ",".join(rates)


def setting_text(setting: Setting) -> str:
    """``4 x 1280x720 30 fps 2500k libx264 veryfast``; defaults are omitted."""
    rendition = ", ".join(output.resolution for output in setting.outputs) or setting.resolution
    parts = (
        setting.name,
        f"{setting.streams} x" if setting.streams else None,
        rendition,
        f"{setting.fps:g} fps" if setting.fps else None,
        f"{setting.bit_depth} bits" if setting.bit_depth else None,
        setting.bitrate if setting.crf is None else f"CRF {setting.crf}",
        setting.rate_control if setting.rate_control == "cbr" else None,
        setting.encoder,
        setting.preset,
        setting.encoder_args,
        f"GOP {setting.gop_seconds:g} s" if setting.gop_seconds not in (None, 2.0) else None,
        f"buffer {setting.buffer_seconds:g} s" if setting.buffer_seconds not in (None, 2.0) else None,
        "no audio" if setting.audio == "none" else None,
        f"audio {setting.audio}" if setting.audio not in (None, "none", "128k", "aac") else None,
        setting.source if setting.source not in (None, "testsrc2") else None,
        counted(setting.viewers, "viewer") if setting.viewers else None,
        f"over {setting.protocol}" if setting.protocol else None,
        "not pushed" if setting.pushed is False else None,
    )
    return " ".join(part for part in parts if part) or "unknown setting"


def repeats_of(results: Iterable[ScenarioResult]) -> list[Repeats]:
    """The scenarios by machine and setting, in order of first appearance, without the baselines."""
    found: dict[tuple[str | None, Setting], tuple[list[ScenarioResult], list[ScenarioResult]]] = {}
    for result in results:
        if not is_baseline(result.record):
            valid, invalid = found.setdefault((result.machine, setting_of(result.record)), ([], []))
            (invalid if result.record.fault else valid).append(result)
    return [
        Repeats(setting, tuple(valid), tuple(invalid), machine)
        for (machine, setting), (valid, invalid) in found.items()
    ]


def compare(first: Repeats, second: Repeats, labels: tuple[str, str] | None = None) -> Comparison:
    """The first less the second, for every figure that both have.

    Figures of different power sources (an estimate and a measurement) or VMAF models are not compared, nor are costs at
    the wall and of the machine; the length of the windows is not an outcome.
    """
    comparable = first.power_source is not None and first.power_source == second.power_source
    figures = {}
    for quantity in OF_RESULTS:
        name = quantity.name
        if name == "duration_seconds" or (quantity.of_vmaf and first.vmaf_model != second.vmaf_model):
            continue
        if quantity.billed and first.billed_at != second.billed_at:
            continue
        if quantity.total and (first.of_many_executions or second.of_many_executions):
            continue
        if first.values(name) and second.values(name) and (comparable or not quantity.of_power):
            figures[name] = first.less(second, name)
    one, other = labels or (first.label, second.label)
    return Comparison(first=one, second=other, figures=figures)


def compare_runs(first: RunResult, second: RunResult, together: int = 1) -> RunComparison:
    """The second run less the first; one of ``together`` comparisons that are read at the same time."""
    paired, left, right = in_pairs(repeats_of(first.scenarios), repeats_of(second.scenarios))
    pairs = [_pair(one, other) for one, other in paired]
    idle = _baselines(first.scenarios, second.scenarios)
    gaps = judged([pair.differences for pair in pairs], {} if idle is None else {IDLE: idle}, together=together)
    pairs = [replace(pair, differences=found) for pair, found in zip(pairs, gaps, strict=False)]
    return RunComparison(
        first=first.id, second=second.id, pairs=pairs, only_first=[repeats.label for repeats in left],
        only_second=[repeats.label for repeats in right], baseline_watts=gaps[-1].get(IDLE),
        remark=_machines(first.scenarios, second.scenarios), correction=correction_text(gaps),
    )  # fmt: skip


def in_pairs(
    first: Sequence[Repeats], second: Sequence[Repeats]
) -> tuple[list[tuple[Repeats, Repeats]], list[Repeats], list[Repeats]]:
    """Pairs of settings of two runs, and the settings left over in the first and in the second.

    Equal settings are paired; then settings of equal name; and if one is left on either side, these two, as they are
    probably what the runs were made to compare.
    """
    left, right = list(first), list(second)
    pairs = []
    for told_by in (lambda repeats: repeats.setting, _name):
        for repeats in list(left):
            match = next((other for other in right if told_by(other) == told_by(repeats)), None)
            if match is not None:
                left.remove(repeats)
                right.remove(match)
                pairs.append((repeats, match))
    if len(left) == len(right) == 1:
        pairs.append((left.pop(), right.pop()))
    return pairs, left, right


def judged(
    columns: Sequence[Mapping[str, Difference]], beside: Mapping[str, Difference] | None = None, together: int = 1
) -> list[dict[str, Difference]]:
    """Differences that are shown together, by figure, with corrected tests and intervals; those of ``beside``, which
    belong to no setting, come last."""
    shown = [*columns, beside or {}]
    asked = [
        AskedTest("power" if name == IDLE else QUANTITIES[name].family, at, gap)
        for at, gaps in enumerate(shown) for name, gap in gaps.items()
    ]  # fmt: skip
    answers = iter(judged_together(asked, together=together))
    return [{name: next(answers) for name in gaps} for gaps in shown]


def correction_text(columns: Iterable[Mapping[str, Difference]]) -> str:
    """The number of tests that a comparison's verdicts and intervals are corrected for; "" without tests."""
    families = {
        gap.family: gap for gaps in columns for gap in gaps.values() if gap.standard_error is not None
    }  # fmt: skip
    if not families:
        return ""
    listed = ", ".join(
        f"{name}: {tests_text(gap.judged_together)}, {level_text(gap.confidence)} intervals"
        for name, gap in families.items()
    )
    return f"all tests hold together at the 5 % level (Bonferroni-corrected): {listed}"


def _name(repeats: Repeats) -> str:
    record = (*repeats.valid, *repeats.invalid)[0].record
    return record.setting_name


def _pair(first: Repeats, second: Repeats) -> Pair:
    one, other = first.group(), second.group()
    remark = ""
    if "power_mean_watts" in one.figures and "power_mean_watts" in other.figures:
        sources = [group.power_source or "several sources" for group in (one, other)]
        if one.power_source != other.power_source or one.power_source is None:
            remark = f"power is not compared: it came from {sources[0]} and from {sources[1]}"
        elif first.billed_at != second.billed_at:
            remark = f"costs and carbon are not compared: {billed_text(first)} and {billed_text(second)}"
    remark = "; ".join(part for part in (remark, models_text(first, second)) if part)
    return Pair(first=one, second=other, differences=compare(second, first).figures, remark=remark)


def models_text(first: Repeats, second: Repeats) -> str:
    """Why VMAF is not compared: it is of two models. "" if it is compared, or there is none."""
    if not (first.vmaf_models and second.vmaf_models) or first.vmaf_model == second.vmaf_model:
        return ""
    one, two = (repeats.vmaf_model or UNKNOWN_MODEL for repeats in (first, second))
    return f"VMAF and QoE are not compared: they are of {one} and of {two}"


def billed_text(repeats: Repeats) -> str:
    """``one is of the energy at the wall``, and the like."""
    return f"one is of {'the wall' if repeats.billed_at == 'wall' else repeats.power_source or 'unknown energy'}"


def _machines(first: Sequence[ScenarioResult], second: Sequence[ScenarioResult]) -> str:
    """A note if the two runs are from two machines, whose difference is then part of the result."""
    machines = [{result.machine for result in results} for results in (first, second)]
    if not all(machines) or machines[0] == machines[1]:
        return ""
    one, other = (" and ".join(sorted(map(machine_text, of))) for of in machines)
    return f"the runs are of two machines, so the difference between the machines is included: {one}, and {other}"


def _baselines(first: Sequence[ScenarioResult], second: Sequence[ScenarioResult]) -> Difference | None:
    """How much more the idle machine drew in the second run."""
    watts: list[list[float]] = []
    sources: list[set[str | None]] = []
    for results in (first, second):
        known = [one for one in results if is_baseline(one.record) and one.power_mean_watts is not None]
        watts.append([one.power_mean_watts for one in known if one.power_mean_watts is not None])
        sources.append({one.power_source for one in known})
    if not all(watts) or sources[0] != sources[1] or len(sources[0]) != 1:
        return None
    return difference(watts[1], watts[0])
