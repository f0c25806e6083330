"""Calls on results files: analysis, reports, comparison, advice."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from wattview.analysis.sweeps.advice import WORDS, AdviceTarget, advise
from wattview.analysis.sweeps.comparison import compare_runs
from wattview.analysis.sweeps.prediction import predict
from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.analysis.sweeps.side_by_side import measurements, side_by_side
from wattview.analysis.windows.energy import NoData
from wattview.daemon.api.route import Call, Parts, Refusal, answers, number, number_or_none
from wattview.daemon.history.power_curves import power_curves
from wattview.model import (
    MEDIA_TYPES,
    Advice,
    CurveComparison,
    Measurements,
    PowerPrediction,
    Question,
    RunComparison,
    RunResult,
    ScenarioResult,
    SideBySide,
)
from wattview.model.sweeps import DEFAULT_FPS, DEFAULT_RESOLUTION
from wattview.report.html_page import html_report
from wattview.report.result_rows import csv_text

MAX_RUNS = 1000
MAX_STREAMS = 100_000
MAX_CONTENT = 1000
"""Of SI and TI: eight bits give at most some hundreds."""


RUNS = "Run ids, separated by commas (default: all)."

REPORT_VMAF = "VMAF that is good enough, for the report's verdict (default 90, if VMAF was measured)."

WHICH = {
    "machine": "Part of a machine's name: only its results (default: the newest run's machine).",
    "runs": RUNS,
}
"""Parameters of every call that takes several runs."""


@answers("GET", "/api/v1/results", query={"limit": "At most this many (default 50)."})
async def _results(parts: Parts, request: Request) -> list[RunResult]:
    """Analysed results files, newest first."""
    return await parts.results.all(int(number(request, "limit", 50, low=1, high=MAX_RUNS)))


@answers("GET", "/api/v1/result-ids")
async def _ids(parts: Parts, request: Request) -> list[str]:
    """The ids of all results files, newest first."""
    return await parts.results.ids()


@answers("GET", "/api/v1/results/{id}", refusals={404: "There is no such file."})
async def _result(parts: Parts, request: Request) -> RunResult:
    """One analysed results file."""
    return await _file(parts, request.path_params["id"])


async def _file(parts: Parts, run_id: str, name: str = "") -> RunResult:
    found = await parts.results.get(run_id)
    if found is None:
        raise Refusal(404, f"no results file {run_id!r} in {parts.config.paths.results}", name)
    return found


@answers(
    "GET",
    "/api/v1/results/{id}/report",
    gives=str,
    query={"vmaf": REPORT_VMAF},
    refusals={404: "There is no such file.", 422: "A parameter is wrong."},
    media_type=MEDIA_TYPES["html"],
)
async def _report(parts: Parts, request: Request) -> Response:
    """One run as a page of HTML with its pictures inside."""
    target = _report_target(request)
    run = await _result(parts, request)
    curves = await power_curves(parts.config, parts.history.samples, [run])
    page = await asyncio.to_thread(html_report, [run], curves, target)
    return Response(page, media_type=MEDIA_TYPES["html"])


@answers(
    "GET",
    "/api/v1/compare",
    query={
        "a": "The id of a run.",
        "b": "The id of another.",
        "together": "Number of comparisons that are read together; tests are corrected for all of them (default 1).",
    },
    refusals={404: "There is no such file.", 422: "A parameter or a file is wrong."},
)
async def _compare(parts: Parts, request: Request) -> RunComparison:
    """Two runs compared, b minus a, with intervals and tests if their repeats allow them."""
    first, second = await _asked_run(parts, request, "a"), await _asked_run(parts, request, "b")
    return compare_runs(first, second, int(number(request, "together", 1, low=1, high=MAX_RUNS)))


async def _asked_run(parts: Parts, request: Request, name: str) -> RunResult:
    """The run named by a query parameter."""
    run_id = request.query_params.get(name, "")
    if not run_id:
        raise Refusal(422, f"{name} is the id of a run", name)
    return await _usable(parts, run_id, name)


async def _usable(parts: Parts, run_id: str, name: str) -> RunResult:
    found = await _file(parts, run_id, name)
    if found.error:
        raise Refusal(422, f"run {run_id}: {found.error}", name)
    return found


@answers(
    "GET",
    "/api/v1/advice",
    query={
        "vmaf": "VMAF that is good enough.",
        "qoe": "QoE score (1 to 5) that is good enough.",
        "streams": "Concurrent streams needed.",
        "objective": "What to minimise: energy (default), power, cost or carbon.",
        "most": "Upper limit of the objective.",
        **WHICH,
    },
    refusals={404: "There is no such file.", 422: "A parameter is wrong, or the power is not comparable."},
)
async def _advice(parts: Parts, request: Request) -> Advice:
    """The cheapest measured setting that is good enough, and by how much it beats the others."""
    word = request.query_params.get("objective") or "energy"
    if word not in WORDS:
        raise Refusal(422, f"objective is one of {', '.join(WORDS)}, not {word!r}", "objective")
    streams = number_or_none(request, "streams")
    target = AdviceTarget(
        vmaf_at_least=number_or_none(request, "vmaf"), qoe_at_least=number_or_none(request, "qoe"),
        most=number_or_none(request, "most"),
        streams_at_least=None if streams is None else math.ceil(streams),
    )  # fmt: skip
    with _said():
        return advise(await _scenarios(parts, request), _checked(target), WORDS[word], _text(request, "machine"))


def _checked(target: AdviceTarget) -> AdviceTarget:
    if wrong := target.wrong():
        field = wrong[0].removesuffix("_at_least")
        raise Refusal(422, f"{field} is {wrong[1]}, not {getattr(target, wrong[0]):g}", field)
    return target


def _report_target(request: Request) -> AdviceTarget | None:
    """The target of the report's verdict, if the call gives one."""
    vmaf = number_or_none(request, "vmaf")
    return None if vmaf is None else _checked(AdviceTarget(vmaf_at_least=vmaf))


@answers(
    "GET",
    "/api/v1/curves",
    query={
        "first": "Reference curves by name, such as libx264 or slow (default: any).",
        "second": "Curves to compare, by name.",
        "quality": "vmaf (default), psnr or ssim.",
        **WHICH,
    },
    refusals={404: "There is no such file.", 422: "A parameter is wrong, or there is no such curve."},
)
async def _curves(parts: Parts, request: Request) -> CurveComparison:
    """Settings over their bitrates, and Bjøntegaard's differences (BD-rate, BD-energy) between two encoders."""
    with _said():
        return compare_curves(
            await _scenarios(parts, request), first=_text(request, "first"), second=_text(request, "second"),
            quality=_text(request, "quality") or "vmaf", machine=_text(request, "machine"),
        )  # fmt: skip


@answers(
    "GET",
    "/api/v1/prediction",
    query={
        "streams": "Concurrent streams.",
        "resolution": f"Picture size (default {DEFAULT_RESOLUTION}); several, separated by commas, for a ladder.",
        "fps": f"Frames a second (default {DEFAULT_FPS:g}).",
        "bitrate": "Video bitrate, such as 2500k, one for each rendition (default: as in the measured settings).",
        "source": "Content: as this measured source.",
        "si": "Content: its mean SI (ITU-T P.910).",
        "ti": "Content: its mean TI.",
        "encoder": "Only results of this encoder.",
        "preset": "Only results of this preset.",
        "extrapolate": "true extrapolates outside the measured range; the answer is marked.",
        **WHICH,
    },
    refusals={404: "There is no such file.", 422: "A parameter is wrong, or not enough was measured."},
)
async def _prediction(parts: Parts, request: Request) -> PowerPrediction:
    """The power of a setting between those that were measured, from a fit on streams, pixels, bitrate and content."""
    streams = number_or_none(request, "streams", 1, MAX_STREAMS)
    if streams is None or streams != int(streams):
        raise Refusal(422, "streams is a whole number of concurrent streams", "streams")
    resolutions = [one for one in _text(request, "resolution").split(",") if one] or [DEFAULT_RESOLUTION]
    question = Question(
        streams=int(streams), resolutions=tuple(resolutions), fps=number(request, "fps", DEFAULT_FPS, low=1, high=240),
        bitrates=tuple(one for one in _text(request, "bitrate").split(",") if one), source=_text(request, "source"),
        spatial=number_or_none(request, "si", 0, MAX_CONTENT), temporal=number_or_none(request, "ti", 0, MAX_CONTENT),
        encoder=_text(request, "encoder"), preset=_text(request, "preset"), machine=_text(request, "machine"),
        extrapolate=_text(request, "extrapolate") in ("1", "true"),
    )  # fmt: skip
    with _said():
        return predict(await _scenarios(parts, request), question)


async def _scenarios(parts: Parts, request: Request) -> list[ScenarioResult]:
    """Scenarios of the runs in the query, else of all, newest first."""
    runs = await _named(parts, request)
    return [scenario for run in runs for scenario in run.scenarios]


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Refuses, with the reason, what these results cannot answer."""
    try:
        yield
    except NoData as lack:
        raise Refusal(422, lack.reason, "runs") from None


async def _named(parts: Parts, request: Request) -> list[RunResult]:
    """The runs named in the call, else all."""
    named = [run_id for run_id in request.query_params.get("runs", "").split(",") if run_id]
    return [await _usable(parts, run_id, "runs") for run_id in named] or await parts.results.all(MAX_RUNS)


@answers(
    "GET",
    "/api/v1/measurements",
    query={"runs": RUNS},
    refusals={404: "There is no such file.", 422: "A file is wrong."},
)
async def _measurements(parts: Parts, request: Request) -> Measurements:
    """Every setting that the runs have measured, with the intervals of its repeats, and the front of quality
    against power."""
    return measurements(await _named(parts, request))


@answers(
    "GET",
    "/api/v1/side-by-side",
    query={"of": "A run and the numbers of a scenario's repeats there, RUN:1,2,3; once for each column."},
    refusals={404: "There is no such file.", 422: "A parameter or a file is wrong."},
)
async def _side_by_side(parts: Parts, request: Request) -> SideBySide:
    """Scenarios side by side, each minus the first, with intervals and tests if repeats allow them."""
    columns = [await _column(parts, text) for text in request.query_params.getlist("of")]
    if not columns:
        raise Refusal(422, "of is what to compare, once for each column, such as 20261124_101500:1,2,3", "of")
    try:
        return side_by_side(columns)
    except NoData as lack:
        raise Refusal(422, lack.reason, "of") from None


async def _column(parts: Parts, text: str) -> list[ScenarioResult]:
    """``RUN:1,2,3``: scenarios of a run by their indices, from 0."""
    run_id, _, numbers = text.partition(":")
    run = await _usable(parts, run_id, "of")
    asked = numbers.split(",")
    if not all(one.isascii() and one.isdecimal() and len(one) <= 4 for one in asked):
        raise Refusal(422, f"of is a run and numbers of its scenarios, such as 20261124_101500:1,2, not {text!r}", "of")
    if missing := [one for one in asked if int(one) >= len(run.scenarios)]:
        raise Refusal(422, f"run {run_id} has {len(run.scenarios)} scenarios, and no number {missing[0]}", "of")
    return [run.scenarios[int(one)] for one in dict.fromkeys(asked)]


@answers(
    "GET",
    "/api/v1/export",
    gives=str,
    query={
        "format": f"One of {', '.join(MEDIA_TYPES)}; json by default.",
        "runs": RUNS,
        "vmaf": REPORT_VMAF,
    },
    refusals={404: "There is no such file.", 422: "A parameter or a file is wrong."},
    media_type="application/octet-stream",
)
async def _export(parts: Parts, request: Request) -> Response:
    """Runs as a file: what `wattview results export` writes."""
    kind = request.query_params.get("format") or "json"
    if kind not in MEDIA_TYPES:
        raise Refusal(422, f"format is one of {', '.join(MEDIA_TYPES)}, not {kind!r}", "format")
    target = _report_target(request)
    runs = await _named(parts, request)
    if kind == "html":
        curves = await power_curves(parts.config, parts.history.samples, runs)
        text = await asyncio.to_thread(html_report, runs, curves, target)
    elif kind == "csv":
        text = await asyncio.to_thread(csv_text, runs)
    else:
        text = msgspec.json.format(msgspec.json.encode(runs), indent=2).decode() + "\n"
    return Response(text, media_type=MEDIA_TYPES[kind])


def _text(request: Request, name: str) -> str:
    return request.query_params.get(name, "").strip()


RESULTS_CALLS: tuple[Call[Any], ...] = (
    _results, _ids, _result, _report, _compare, _measurements, _side_by_side, _export, _advice, _curves, _prediction,
)  # fmt: skip
