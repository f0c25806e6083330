"""Calls on runs (start, follow, stop), and on windows of commands that clients run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from starlette.requests import Request

from wattview.daemon.api.route import Call, Parts, Refusal, body_of
from wattview.daemon.lab import presets
from wattview.daemon.lab.client_window import ClientWindow, WrongTurn
from wattview.daemon.lab.os_errors import os_error_text
from wattview.daemon.lab.runner import InvalidScenario, NoSuchRun, RunBusy
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import CommandReport, EncoderOffer, RecordingRequest, Run, RunPlan, RunRequest, ScenarioPreset
from wattview.model.run_request import WrongField, run_request

T = TypeVar("T")


async def _scenarios(parts: Parts, request: Request) -> list[ScenarioPreset]:
    return await asyncio.to_thread(presets.available, parts.config.scenarios)


async def _encoders(parts: Parts, request: Request) -> Sequence[EncoderOffer]:
    try:
        return await parts.runner.offers()
    except RunBusy as error:
        raise Refusal(409, str(error)) from None
    except OSError as error:
        raise Refusal(503, os_error_text(error)) from None


async def _start_run(parts: Parts, request: Request) -> Run:
    return _asked_to(parts.runner.start, await _run_request(request))


async def _plan(parts: Parts, request: Request) -> RunPlan:
    return _asked_to(parts.runner.plan, await _run_request(request))


async def _run_request(request: Request) -> RunRequest:
    body = await body_of(request)
    try:
        return run_request(msgspec.json.decode(body))
    except WrongField as error:
        raise Refusal(422, str(error), error.field) from None
    except UNREADABLE as error:
        raise Refusal(400, why_unreadable(error)) from None


def _asked_to(do: Callable[[RunRequest], T], asked: RunRequest) -> T:
    try:
        return do(asked)
    except RunBusy as error:
        raise Refusal(409, str(error)) from None
    except InvalidScenario as error:
        raise Refusal(422, str(error), error.field) from None


async def _runs(parts: Parts, request: Request) -> list[Run]:
    return parts.runner.list()


async def _run(parts: Parts, request: Request) -> Run:
    run = parts.runner.get(request.path_params["id"])
    if run is None:
        raise Refusal(404, f"no run {request.path_params['id']!r}")
    return run


async def _stop_run(parts: Parts, request: Request) -> Run:
    run = await _run(parts, request)
    if run.state != "running":
        raise Refusal(409, f"run {run.id} is not running: it is {run.state}")
    await parts.runner.abort(run.id)
    return await _run(parts, request)


async def _open_window(parts: Parts, request: Request) -> Run:
    return await _in_window(parts, request, ClientWindow.open)


async def _close_window(parts: Parts, request: Request) -> Run:
    return await _in_window(parts, request, ClientWindow.close)


async def _report_command(parts: Parts, request: Request) -> Run:
    body = await body_of(request)
    try:
        report = msgspec.json.decode(body, type=CommandReport)
    except msgspec.ValidationError as error:
        raise Refusal(422, why_unreadable(error)) from None
    except UNREADABLE as error:
        raise Refusal(400, why_unreadable(error)) from None

    async def take(window: ClientWindow) -> None:
        window.report(report)

    return await _in_window(parts, request, take)


async def _record(parts: Parts, request: Request) -> Run:
    body = await body_of(request)
    try:
        asked = msgspec.json.decode(body, type=RecordingRequest)
        return await parts.runner.record_past(asked)
    except msgspec.ValidationError as error:
        raise Refusal(422, why_unreadable(error)) from None
    except UNREADABLE as error:
        raise Refusal(400, why_unreadable(error)) from None
    except RunBusy as error:
        raise Refusal(409, str(error)) from None
    except InvalidScenario as error:
        raise Refusal(422, str(error), error.field) from None
    except OSError as error:
        raise Refusal(503, f"the recording cannot be written: {error.strerror}") from None


async def _in_window(parts: Parts, request: Request, do: Callable[[ClientWindow], Awaitable[None]]) -> Run:
    try:
        await do(parts.runner.client_window(request.path_params["id"]))
    except NoSuchRun as error:
        raise Refusal(404, str(error)) from None
    except WrongTurn as error:
        raise Refusal(409, str(error)) from None
    return await _run(parts, request)


WINDOW_REFUSALS = {404: "There is no such run.", 409: "It has no such window now; the text says why."}

RUN_CALLS: tuple[Call, ...] = (
    Call("GET", "/api/v1/scenarios", _scenarios, list[ScenarioPreset], "Ready-made scenarios."),
    Call(
        "GET",
        "/api/v1/encoders",
        _encoders,
        list[EncoderOffer],
        "The video encoders of the FFmpeg that runs scenarios, and which of them do not work on this machine.",
        refusals={409: "A run is active: nothing is tried meanwhile.", 503: "There is no FFmpeg."},
    ),
    Call(
        "POST",
        "/api/v1/runs",
        _start_run,
        Run,
        "Start a run.",
        takes=RunRequest,
        status=201,
        refusals={400: "The body is not JSON.", 409: "A run is already active.", 422: "A field is wrong; it is named."},
    ),
    Call(
        "POST",
        "/api/v1/plan",
        _plan,
        RunPlan,
        "What a run would do and about how long it would take; nothing is started.",
        takes=RunRequest,
        refusals={400: "The body is not JSON.", 422: "A field is wrong; it is named."},
    ),
    Call("GET", "/api/v1/runs", _runs, list[Run], "Present and past runs, newest first."),
    Call("GET", "/api/v1/runs/{id}", _run, Run, "One run and its progress.", refusals={404: "There is no such run."}),
    Call(
        "DELETE",
        "/api/v1/runs/{id}",
        _stop_run,
        Run,
        "Stop a run; finished scenarios are kept.",
        refusals={404: "There is no such run.", 409: "It is not running."},
    ),
    Call(
        "POST",
        "/api/v1/runs/{id}/window",
        _open_window,
        Run,
        "Open the window of a scenario of the type command, and say every few seconds that its client still runs it.",
        refusals=WINDOW_REFUSALS,
    ),
    Call(
        "DELETE",
        "/api/v1/runs/{id}/window",
        _close_window,
        Run,
        "Close that window: the command has ended.",
        refusals=WINDOW_REFUSALS,
    ),
    Call(
        "POST",
        "/api/v1/recordings",
        _record,
        Run,
        "Make a window of the past a result, with the workloads and streams in it.",
        takes=RecordingRequest,
        status=201,
        refusals={
            400: "The body is not JSON.",
            409: "A run is active.",
            422: "A field is wrong; it is named.",
            503: "The disk does not take it.",
        },
    ),
    Call(
        "POST",
        "/api/v1/runs/{id}/command",
        _report_command,
        Run,
        "Say what the command of the window that was closed took and gave.",
        takes=CommandReport,
        refusals={**WINDOW_REFUSALS, 400: "The body is not JSON.", 422: "A field is wrong."},
    ),
)
