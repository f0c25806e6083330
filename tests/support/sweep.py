"""A run whose settings were measured three times, as the daemon analyses one, and the daemon's answers about runs.

The answers are the product's own analysis of the scripted runs: what the dashboard shows of them is what the daemon
would have said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import WORDS, AdviceTarget, advise
from wattview.analysis.sweeps.comparison import compare_runs
from wattview.analysis.sweeps.prediction import Question, predict
from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.analysis.sweeps.side_by_side import measurements, side_by_side
from wattview.analysis.windows.remarks import remarked
from wattview.model import (
    Efficiency,
    Output,
    Playback,
    RunResult,
    ScenarioRecord,
    ScenarioResult,
)

NOW = 1_750_000_000.0
SETTINGS = {"ultrafast": (34.0, 78.0), "veryfast": (38.0, 88.0), "medium": (46.0, 92.0), "wasteful": (48.0, 85.0)}
"""Watts and VMAF by the name of a setting; one is beaten in both."""


def sweep(run_id: str = "20250615_150000", *, more_watts: float = 0.0, repeats: int = 3) -> RunResult:
    """A baseline of 30 W, then every setting three times, which differ by 0.2 W and 0.1 VMAF from each other."""
    idle = ScenarioRecord(name="baseline", type="baseline", duration=30.0, start_time=NOW - 5000, end_time=NOW - 4970)
    scenarios = [
        ScenarioResult(record=idle, duration_seconds=30.0, window_seconds=30.0,
                       energy_joules=900.0, energy_error_joules=6.0,
                       power_mean_watts=30.0, power_max_watts=31.0, power_source="rapl", currency="USD",
                       reasons={"qoe_score": "no VMAF was measured"})
    ]  # fmt: skip
    for repeat in range(1, repeats + 1):
        for name, (watts, vmaf) in SETTINGS.items():
            shift = 0.2 * (repeat - 2)
            scenarios.append(_measured(name, repeat, watts + more_watts + shift, vmaf + shift / 2, len(scenarios)))
    return RunResult(
        id=run_id, path=f"/results/test_results_{run_id}.json", test_date="2025-06-15T15:00:00", status="done",
        history="sqlite", scenarios=remarked(compared_with_baseline(scenarios)),
    )  # fmt: skip


def _measured(name: str, repeat: int, watts: float, vmaf: float, place: int) -> ScenarioResult:
    start = NOW - 4900 + 70 * place
    record = ScenarioRecord(
        name=f"{name} #{repeat}", setting=name, repeat=repeat, bitrate="2500k", resolution="1280x720", fps=30,
        duration=60.0, start_time=start, end_time=start + 60, outputs=[Output(resolution="1280x720", fps=30)],
        vmaf_score=vmaf, vmaf_harmonic_mean=vmaf - 0.4, vmaf_percentile_1=vmaf - 9, vmaf_minimum=vmaf - 15,
        psnr_score=36.5, ssim_score=0.97, type="streams", streams=2, preset=name if name != "wasteful" else "slow",
        encoder="libx264", realtime=True, status="done", viewers=2,
        playback=Playback(viewers=4, start_delay_seconds=1.8, stalls=0, stalled_seconds=0.0, received_frames_ratio=1.0,
                          end_to_end_delay_seconds=0.9),
    )  # fmt: skip
    joules = watts * 60
    return ScenarioResult(
        record=record, duration_seconds=60.0, window_seconds=60.0,
        energy_joules=joules, energy_error_joules=3.0, power_mean_watts=watts,
        power_max_watts=watts + 5, power_source="rapl", cpu_seconds=120.0, cpu_mean_percent=25.0,
        efficiency=Efficiency(
            watts_per_stream=watts / 2, joules_per_frame=joules / 3600, joules_per_megapixel=joules / 3318,
            joules_per_gigabyte=joules / 0.04, joules_per_viewer_hour=watts * 900, cost_per_stream_hour=watts * 0.01,
            cost_per_viewer_hour=watts * 0.005, carbon_grams_per_stream_hour=watts * 0.19,
            sci_grams_per_stream_hour=watts * 0.21,
        ),
        qoe_score=round(1 + (vmaf - 20) / 20, 3), qoe_method="VMAF on the ACR scale",
        cost_energy=joules / 3.6e6 * 0.12, cost_compute=0.0167, cost_total=joules / 3.6e6 * 0.12 + 0.0167,
        cost_egress=0.0, carbon_grams=joules / 3.6e6 * 380, currency="USD",
    )  # fmt: skip


def encoders(run_id: str = "20250616_150000", *, repeats: int = 3, run_of: Sequence[int] = (1, 2, 4)) -> RunResult:
    """A baseline of 30 W; two encoders at four bitrates: the second needs 0.69 of the first's, and 2.1 times the power
    above the baseline, for the same VMAF (repeats scatter by 0.02 VMAF and 0.02 W); then the first encoder with so many
    streams at once, 10 W each, whose quality nobody measured."""
    scenarios = [sweep().scenarios[0]]
    for repeat in range(1, repeats + 1):
        shift = 0.02 * (repeat - 2)
        for encoder, rate_factor, power_factor in (("libx264", 1.0, 1.0), ("libx265", 0.69, 2.1)):
            for rate, vmaf, net in ((1000, 70.0, 4.0), (2000, 80.0, 5.0), (4000, 88.0, 6.2), (8000, 94.0, 7.9)):
                watts = 30.0 + net * power_factor + shift
                one = _measured(encoder, repeat, watts, vmaf + shift, len(scenarios))
                scenarios.append(
                    _of(one, f"{encoder} {rate}k", bitrate=f"{rate * rate_factor:g}k", encoder=encoder, streams=1,
                        preset="fast", viewers=None)
                )  # fmt: skip
        for streams in run_of:
            one = _measured("streams", repeat, 30.0 + 10.0 * streams + shift, 0.0, len(scenarios))
            scenarios.append(
                _of(one, f"{streams} streams", streams=streams, preset="medium", viewers=None, vmaf_score=None)
            )
    return RunResult(
        id=run_id, path=f"/results/test_results_{run_id}.json", test_date="2025-06-16T15:00:00", status="done",
        history="sqlite", scenarios=remarked(compared_with_baseline(scenarios)),
    )  # fmt: skip


def _of(one: ScenarioResult, name: str, **changes: Any) -> ScenarioResult:
    """The same measurement of another setting."""
    repeated = f"{name} #{one.record.repeat}"
    record = msgspec.structs.replace(one.record, name=repeated, setting=name, **changes)
    efficiency = msgspec.structs.replace(
        one.efficiency, watts_per_stream=(one.power_mean_watts or 0.0) / (record.streams or 1)
    )
    return msgspec.structs.replace(one, record=record, efficiency=efficiency)


def _runs(daemon: Any, request: Any) -> Sequence[RunResult]:
    named = [one for one in request.query_params.get("runs", "").split(",") if one]
    return [run for run in daemon.results if (run.id in named if named else True)]


def _measurements(daemon: Any, request: Any) -> Any:
    return measurements(_runs(daemon, request))


def _side_by_side(daemon: Any, request: Any) -> Any:
    runs = {run.id: run for run in daemon.results}
    columns = []
    for text in request.query_params.getlist("of"):
        run_id, _, numbers = text.partition(":")
        columns.append([runs[run_id].scenarios[int(number)] for number in numbers.split(",")])
    return side_by_side(columns)


def _compare(daemon: Any, request: Any) -> Any:
    runs = {run.id: run for run in daemon.results}
    return compare_runs(runs[request.query_params["a"]], runs[request.query_params["b"]])


def _advice(daemon: Any, request: Any) -> Any:
    asked = request.query_params
    wish = {name: float(asked[name]) if name in asked else None for name in ("vmaf", "qoe", "most")}
    target = AdviceTarget(
        vmaf_at_least=wish["vmaf"], qoe_at_least=wish["qoe"], most=wish["most"],
        streams_at_least=int(asked["streams"]) if "streams" in asked else None,
    )  # fmt: skip
    everything = [scenario for run in _runs(daemon, request) for scenario in run.scenarios]
    return advise(everything, target, WORDS[asked["objective"]], asked.get("machine", ""))


def _curves(daemon: Any, request: Any) -> Any:
    asked = request.query_params
    everything = [scenario for run in _runs(daemon, request) for scenario in run.scenarios]
    return compare_curves(everything, first=asked["first"], second=asked["second"], quality=asked["quality"])


def _prediction(daemon: Any, request: Any) -> Any:
    asked = request.query_params
    everything = [scenario for run in _runs(daemon, request) for scenario in run.scenarios]
    question = Question(
        streams=int(asked["streams"]), resolutions=tuple(asked["resolution"].split(",")), fps=float(asked["fps"]),
        encoder=asked["encoder"], preset=asked["preset"], extrapolate=asked["extrapolate"] == "true",
    )  # fmt: skip
    return predict(everything, question)


def _export(daemon: Any, request: Any) -> Any:
    ids = [run.id for run in _runs(daemon, request)]
    return msgspec.Raw(msgspec.json.encode([request.query_params["format"], ids]))


RESULTS_ANSWERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "/api/v1/measurements": _measurements,
    "/api/v1/side-by-side": _side_by_side,
    "/api/v1/compare": _compare,
    "/api/v1/advice": _advice,
    "/api/v1/curves": _curves,
    "/api/v1/prediction": _prediction,
    "/api/v1/export": _export,
}
"""By path: what a scripted daemon with ``results`` answers to a request."""
