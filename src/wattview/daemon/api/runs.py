"""Calls on runs (start, follow, stop), and on windows of commands that clients run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request

from wattview.daemon.api.route import Call, Parts, Refusal, answers, decoded
from wattview.daemon.lab import presets
from wattview.daemon.lab.client_window import ClientWindow
from wattview.daemon.lab.os_errors import os_error_text
from wattview.model import CommandReport, EncoderOffer, RecordingRequest, Run, RunPlan, RunRequest, ScenarioPreset
from wattview.model.run_request import run_request

WINDOW_REFUSALS = {404: "There is no such run.", 409: "The run has no such window now; the error says why."}


@answers("GET", "/api/v1/scenarios")
async def _scenarios(parts: Parts, request: Request) -> list[ScenarioPreset]:
    """Ready-made scenarios."""
    return await asyncio.to_thread(presets.available, parts.config.scenarios, parts.runner.judging_speed)


@answers(
    "GET",
    "/api/v1/encoders",
    gives=list[EncoderOffer],
    refusals={409: "A run is active; encoders are not tested meanwhile.", 503: "There is no FFmpeg."},
)
async def _encoders(parts: Parts, request: Request) -> Sequence[EncoderOffer]:
    """The video encoders of the FFmpeg that runs scenarios, and which of them do not work on this machine."""
    try:
        return await parts.runner.offers()
    except OSError as error:
        raise Refusal(503, os_error_text(error)) from None


@answers(
    "POST",
    "/api/v1/runs",
    takes=RunRequest,
    status=201,
    refusals={409: "A run is already active.", 422: "A field is wrong; it is named."},
)
async def _start_run(parts: Parts, request: Request) -> Run:
    """Start a run."""
    return await parts.runner.accept(run_request(await decoded(request, object)))


@answers(
    "POST",
    "/api/v1/plan",
    takes=RunRequest,
    refusals={422: "A field is wrong; it is named."},
)
async def _plan(parts: Parts, request: Request) -> RunPlan:
    """What a run would do and about how long it would take; nothing is started."""
    return parts.runner.plan(run_request(await decoded(request, object)))


@answers("GET", "/api/v1/runs")
async def _runs(parts: Parts, request: Request) -> list[Run]:
    """Present and past runs, newest first."""
    return parts.runner.list()


@answers("GET", "/api/v1/runs/{id}", refusals={404: "There is no such run."})
async def _run(parts: Parts, request: Request) -> Run:
    """One run and its progress."""
    run = parts.runner.get(request.path_params["id"])
    if run is None:
        raise Refusal(404, f"no run {request.path_params['id']!r}")
    return run


@answers("DELETE", "/api/v1/runs/{id}", refusals={404: "There is no such run.", 409: "It is not running."})
async def _stop_run(parts: Parts, request: Request) -> Run:
    """Stop a run; finished scenarios are kept."""
    run = await _run(parts, request)
    if run.state != "running":
        raise Refusal(409, f"run {run.id} is not running: it is {run.state}")
    await parts.runner.abort(run.id)
    return await _run(parts, request)


@answers("POST", "/api/v1/runs/{id}/window", refusals=WINDOW_REFUSALS)
async def _open_window(parts: Parts, request: Request) -> Run:
    """Open the window of a scenario of the type command, and say every few seconds that its client still runs it."""
    return await _in_window(parts, request, ClientWindow.open)


@answers("DELETE", "/api/v1/runs/{id}/window", refusals=WINDOW_REFUSALS)
async def _close_window(parts: Parts, request: Request) -> Run:
    """Close that window: the command has ended."""
    return await _in_window(parts, request, ClientWindow.close)


@answers(
    "POST",
    "/api/v1/runs/{id}/command",
    takes=CommandReport,
    refusals={**WINDOW_REFUSALS, 422: "A field is wrong."},
)
async def _report_command(parts: Parts, request: Request) -> Run:
    """Say what the command of the window that was closed took and gave."""
    report = await decoded(request, CommandReport)

    async def take(window: ClientWindow) -> None:
        window.report(report)

    return await _in_window(parts, request, take)


@answers(
    "POST",
    "/api/v1/recordings",
    takes=RecordingRequest,
    status=201,
    refusals={
        409: "A run is active.",
        422: "A field is wrong; it is named.",
        503: "The result cannot be written.",
    },
)
async def _record(parts: Parts, request: Request) -> Run:
    """Make a window of the past a result, with the workloads and streams in it."""
    asked = await decoded(request, RecordingRequest)
    try:
        return await parts.runner.record_past(asked)
    except OSError as error:
        raise Refusal(503, f"the recording cannot be written: {error.strerror}") from None


async def _in_window(parts: Parts, request: Request, do: Callable[[ClientWindow], Awaitable[None]]) -> Run:
    await do(parts.runner.client_window(request.path_params["id"]))
    return await _run(parts, request)


RUN_CALLS: tuple[Call[Any], ...] = (
    _scenarios, _encoders, _start_run, _plan, _runs, _run, _stop_run, _open_window, _close_window, _record,
    _report_command,
)  # fmt: skip
