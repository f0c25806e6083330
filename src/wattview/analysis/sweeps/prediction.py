"""Predicted power of an unmeasured setting, from runs of the same encoder under other loads.

The settings of one fit may differ only in load: streams, resolution, frame rate and bitrate; and in their source, if
its content is known. Everything else (encoder, preset …) is equal. There is no prediction outside of the measured range
unless extrapolation is requested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.comparison import setting_of, setting_text
from wattview.analysis.sweeps.fit import (
    CONTENT,
    fit_power,
    formula,
    left_out_text,
    measured_loads,
    outside,
    span_text,
    watts_at,
)
from wattview.analysis.sweeps.loads import IDLE, load_of, measured, stream_load
from wattview.analysis.sweeps.machines import of_one_machine
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.remarks import NOT_IDLE
from wattview.model import Load, PowerFit, PowerPrediction, Question, ScenarioRecord, ScenarioResult, Setting
from wattview.model.power_sources import is_estimate


def predict(results: Sequence[ScenarioResult], question: Question) -> PowerPrediction:
    """Raises NoData if there are too few measurements, or the load is outside of their range and ``extrapolate`` is not
    set.

    ``results`` come newest run first.
    """
    load = _load(question)
    known, left_out = of_one_machine(results, question.machine)
    remarks = [left_out] if left_out else []
    (common, chosen), *others = _families(known, question)
    found = _best_fit(common, chosen, known, question)
    if listed := [setting_text(one) for one, _ in others if found.common.source or _any_source(one) != found.common]:
        remarks.append(f"also measured: {', '.join(listed)}")
    if is_estimate(found.power_source):
        remarks.append("the power is an ESTIMATE from CPU use: this machine has no counter")
    if busy := [one.record.name for one in found.used if NOT_IDLE in one.remarks]:
        remarks.append(f"the machine was NOT IDLE in {', '.join(busy)}, where the fit assumes it idle")
    fit = found.fit
    reason = outside(fit, load)
    load, assumed = _assumed(load, fit, [one for one, _ in measured(chosen)])
    if assumed:
        remarks.append(f"assumed, as in {setting_text(common)}: {', '.join(assumed)}")
    if reason and not question.extrapolate:
        raise NoData(f"{reason}: measure it, or request an extrapolation")
    if reason:
        remarks.append(f"EXTRAPOLATED: {reason}; the error does not hold there")
    return PowerPrediction(
        load=load, watts=watts_at(fit, load), error_watts=fit.error_watts, extrapolated=bool(reason), fit=fit,
        of=setting_text(found.common), scenarios=len(found.used), power_source=found.power_source,
        machine=found.used[0].machine, remarks=remarks, measured=measured_loads(measured(found.used), fit),
        formula=formula(fit), spans=span_text(fit), left_out=left_out_text(fit),
    )  # fmt: skip


def _load(question: Question) -> Load:
    """Raises NoData for an invalid resolution or bitrate."""
    if question.bitrates and len(question.bitrates) != len(question.resolutions):
        raise NoData(f"{len(question.bitrates)} bitrates for {len(question.resolutions)} pictures: one for each")
    pictures = [(resolution, question.fps) for resolution in question.resolutions]
    try:
        return stream_load(question.streams, pictures, question.bitrates, question.spatial, question.temporal)
    except ValueError as error:
        raise NoData(str(error)) from None


class _Found(Struct, frozen=True):
    """A fit, the scenarios behind it, and what their settings have in common (``source`` None: of several sources)."""

    fit: PowerFit
    common: Setting
    used: list[ScenarioResult]
    power_source: str


def _best_fit(
    common: Setting, chosen: list[ScenarioResult], known: Sequence[ScenarioResult], question: Question
) -> _Found:
    """The fit to one source's scenarios, or that to those of all sources whose content is known, if its error is
    smaller, or if the question is about another content. Raises NoData if there is none."""
    everything = _of_any_source(known, common)
    wide = _found(_any_source(common), everything, known) if everything else None
    described = question.spatial is not None or question.temporal is not None
    if isinstance(wide, _Found) and described:
        return wide
    narrow = _found(common, chosen, known)
    if isinstance(wide, _Found) and (isinstance(narrow, NoData) or wide.fit.error_watts < narrow.fit.error_watts):
        return wide
    if isinstance(narrow, NoData):
        raise narrow
    return narrow


def _found(common: Setting, chosen: Sequence[ScenarioResult], known: Sequence[ScenarioResult]) -> _Found | NoData:
    source, used = _with_baselines(chosen, known)
    try:
        return _Found(fit_power(measured(used)), common, used, source)
    except NoData as lack:
        return lack


def _any_source(common: Setting) -> Setting:
    return replace(common, source=None)


def _of_any_source(known: Sequence[ScenarioResult], common: Setting) -> list[ScenarioResult]:
    """The scenarios of several sources of known content that differ in nothing else; [] if there is one source only."""
    alike = [
        one
        for one in known
        if (load := load_of(one)) is not None
        and None not in (load.spatial, load.temporal, one.power_mean_watts)
        and _any_source(_common(one.record)) == _any_source(common)
    ]
    return alike if len({one.record.source for one in alike}) > 1 else []


def _assumed(load: Load, fit: PowerFit, chosen: Sequence[Load]) -> tuple[Load, list[str]]:
    """The load with what the question does not say of the content and the fit needs, as text too: between the measured
    pictures next smaller and next larger, linear in the logarithm of their pixel rate."""
    assumed = []
    for name, content in CONTENT.items():
        if name in fit.terms and getattr(load, name) is None:
            value = _between(load, name, [one for one in chosen if getattr(one, name) is not None])
            load = replace(load, **{name: value})
            assumed.append(content.text(value))
    return load, assumed


def _between(load: Load, name: str, chosen: Sequence[Load]) -> float:
    rates: dict[float, list[float]] = {}
    for one in chosen:
        rates.setdefault(math.log(one.megapixels / one.streams), []).append(getattr(one, name))
    points = sorted((rate, sum(values) / len(values)) for rate, values in rates.items())
    at = math.log(load.megapixels / load.streams)
    below = max((point for point in points if point[0] <= at), default=points[0])
    above = min((point for point in points if point[0] >= at), default=points[-1])
    if above[0] == below[0]:
        return below[1]
    return below[1] + (above[1] - below[1]) * (at - below[0]) / (above[0] - below[0])


def fits_of(results: Sequence[ScenarioResult]) -> list[tuple[str, PowerFit]]:
    """Every possible fit over one machine's results, by what its settings have in common."""
    families = _families(results)
    wide = {
        common: _of_any_source(results, common) for common in dict.fromkeys(_any_source(one) for one, _ in families)
    }
    tried = [(setting_text(common), _found(common, chosen, results)) for common, chosen in families]
    tried += [
        (f"{setting_text(common)}, all sources", _found(common, chosen, results))
        for common, chosen in wide.items() if chosen
    ]  # fmt: skip
    return [(of, found.fit) for of, found in tried if isinstance(found, _Found)]


def _families(
    results: Sequence[ScenarioResult], question: Question | None = None
) -> list[tuple[Setting, list[ScenarioResult]]]:
    """Scenarios of known load and power by what they have in common, those with the most distinct loads first.

    With a question, only those that match it; raises NoData if there are none.
    """
    found: dict[Setting, list[ScenarioResult]] = {}
    for result in results:
        if load_of(result) in (None, IDLE) or result.power_mean_watts is None:
            continue
        common = _common(result.record)
        if question is None or _matches(common, question):
            found.setdefault(common, []).append(result)
    if question is not None and not found:
        asked = " ".join(part for part in (question.encoder, question.preset, question.source) if part)
        raise NoData(f"nothing was measured{f' of {asked}' if asked else ''} with its streams, picture and power known")
    return sorted(found.items(), key=lambda pair: _distinct([load for load, _ in measured(pair[1])]), reverse=True)


def _distinct(loads: Sequence[Load]) -> tuple[int, int]:
    return len({(load.streams, load.megapixels) for load in loads}), len(set(loads))


def _matches(common: Setting, question: Question) -> bool:
    return (
        question.encoder in ("", common.encoder)
        and question.preset in ("", common.preset)
        and question.source in ("", common.source)
    )


def _common(record: ScenarioRecord) -> Setting:
    """What the settings of one fit have in common."""
    return replace(setting_of(record), streams=None, resolution=None, fps=None, bitrate=None, outputs=())


def _with_baselines(
    chosen: Sequence[ScenarioResult], known: Sequence[ScenarioResult]
) -> tuple[str, list[ScenarioResult]]:
    """The results and baselines that share the first one's power source, and that source: two sources measure different
    things."""
    source = chosen[0].power_source or ""
    baselines = [one for one in known if is_baseline(one.record) and one.power_mean_watts is not None]
    return source, [one for one in (*chosen, *baselines) if (one.power_source or "") == source]
