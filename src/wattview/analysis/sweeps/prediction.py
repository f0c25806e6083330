"""Predicted power of an unmeasured setting, from runs of the same encoder under other loads.

The settings of one fit may differ in load alone: streams, resolution, frame rate, and with these the bitrate.
Everything else (encoder, preset, source …) is equal. There is no prediction outside of the measured range unless
extrapolation is requested.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.comparison import setting_of, setting_text
from wattview.analysis.sweeps.fit import (
    IDLE,
    fit_power,
    formula,
    load_of,
    measured,
    measured_loads,
    outside,
    span_text,
    stream_load,
    watts_at,
)
from wattview.analysis.sweeps.machines import of_one_machine
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.remarks import NOT_IDLE
from wattview.model import PowerFit, PowerPrediction, ScenarioRecord, ScenarioResult, Setting

DEFAULT_RESOLUTION, DEFAULT_FPS = "1280x720", 30.0


class Question(Struct, frozen=True, kw_only=True):
    """The setting to predict: a number of streams, each with a picture of each of these ``resolutions`` (a ladder has
    several). ``encoder`` and ``preset`` select measurements ("" selects all); ``extrapolate`` allows an answer outside
    of the measured range."""

    streams: int
    resolutions: tuple[str, ...] = (DEFAULT_RESOLUTION,)
    fps: float = DEFAULT_FPS
    encoder: str = ""
    preset: str = ""
    machine: str = ""
    extrapolate: bool = False


def predict(results: Sequence[ScenarioResult], question: Question) -> PowerPrediction:
    """Raises NoData if there are too few measurements, or the load is outside of their range and ``extrapolate`` is not
    set.

    ``results`` come newest run first.
    """
    try:
        load = stream_load(question.streams, [(resolution, question.fps) for resolution in question.resolutions])
    except ValueError as error:
        raise NoData(str(error)) from None
    known, left_out = of_one_machine(results, question.machine)
    remarks = [left_out] if left_out else []
    (common, chosen), *others = _families(known, question)
    if others:
        remarks.append(f"also measured: {', '.join(setting_text(other) for other, _ in others)}")
    source, used = _with_baselines(chosen, known)
    if "estimated" in source:
        remarks.append("the power is an ESTIMATE from CPU use: this machine has no counter")
    if busy := [one.record.name for one in used if NOT_IDLE in one.remarks]:
        remarks.append(f"the machine was NOT IDLE in {', '.join(busy)}, where the fit assumes it idle")
    points = measured(used)
    fit = fit_power(points)
    reason = outside(fit, load)
    if reason and not question.extrapolate:
        raise NoData(f"{reason}: measure it, or request an extrapolation")
    if reason:
        remarks.append(f"EXTRAPOLATED: {reason}; the error does not hold there")
    return PowerPrediction(
        load=load, watts=watts_at(fit, load), error_watts=fit.error_watts, extrapolated=bool(reason), fit=fit,
        of=setting_text(common), scenarios=len(used), power_source=source, machine=used[0].machine, remarks=remarks,
        measured=measured_loads(points, fit), formula=formula(fit), spans=span_text(fit.hull),
    )  # fmt: skip


def fits_of(results: Sequence[ScenarioResult]) -> list[tuple[str, PowerFit]]:
    """Every possible fit over one machine's results, by what its settings have in common."""
    found = []
    for common, chosen in _families(results):
        try:
            found.append((setting_text(common), fit_power(measured(_with_baselines(chosen, results)[1]))))
        except NoData:
            continue
    return found


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
        if question is None or (question.encoder in ("", common.encoder) and question.preset in ("", common.preset)):
            found.setdefault(common, []).append(result)
    if question is not None and not found:
        asked = " ".join(part for part in (question.encoder, question.preset) if part)
        raise NoData(f"nothing was measured{f' of {asked}' if asked else ''} with its streams, picture and power known")
    return sorted(found.items(), key=lambda pair: -len({load_of(result) for result in pair[1]}))


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
