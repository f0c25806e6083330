"""The control API: HTTP and JSON on the Unix socket, and on TCP with a token.

``CALLS`` lists all calls with their path, parameters, answer and description. The routes and ``/openapi.json`` are both
made from it. Every error is a ``Problem``.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from wattview import __version__
from wattview.client import Problem
from wattview.daemon.api.doctor import DOCTOR_CALLS
from wattview.daemon.api.history import HISTORY_CALLS
from wattview.daemon.api.results import RESULTS_CALLS
from wattview.daemon.api.route import Call, Parts, Refusal, answers, number, unix_seconds
from wattview.daemon.api.runs import RUN_CALLS
from wattview.daemon.api.wall import WALL_CALLS
from wattview.daemon.attribution.publishers.matching import PushedStream
from wattview.daemon.attribution.publishers.watch import RTMP_PORT
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.lab.client_window import WrongTurn
from wattview.daemon.lab.runner import NoSuchRun, RunBusy
from wattview.foreign_text import wire_json
from wattview.model import Event, Gpu, PowerAccount, Snapshot, StreamEncoder, WorkloadProcesses
from wattview.model.run_request import WrongField

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from wattview.daemon.http.guard import Admission


ACCOUNT_HELP = (
    "How power is divided: marginal (above idle) or attributional (idle included); default: power.account. A past"
    " moment has what was recorded."
)


@answers(
    "GET",
    "/api/v1/snapshot",
    query={"time": "Unix seconds of a past moment; left out: now.", "account": ACCOUNT_HELP},
    refusals={
        404: "The history does not reach to that moment; the text states its extent.",
        422: "The time is not a number, or there is no such account.",
        503: "The history does not answer.",
    },
)
async def _snapshot(parts: Parts, request: Request) -> Snapshot:
    """Everything the dashboard shows, now or at a moment of the history."""
    moment, account = unix_seconds(request, "time"), _account(request)
    if math.isnan(moment):
        return await parts.snapshots.take(account=account)
    try:
        return await parts.past.at(moment)
    except LookupError as error:
        raise Refusal(404, str(error), "time") from None


def _account(request: Request) -> PowerAccount | None:
    """The account that was asked for; None for that of the settings."""
    asked = request.query_params.get("account")
    if not asked:
        return None
    for account in get_args(PowerAccount):
        if asked == account:
            return cast(PowerAccount, account)
    raise Refusal(422, f"expected one of {', '.join(get_args(PowerAccount))}, got {asked!r}", "account")


@answers(
    "GET",
    "/api/v1/live",
    gives=Snapshot,
    query={"interval": "Seconds between two snapshots (default 1).", "account": ACCOUNT_HELP},
    media_type="text/event-stream",
)
async def _live(parts: Parts, request: Request) -> Response:
    """Snapshots as server-sent events."""
    interval, account = number(request, "interval", 1.0, low=0.1, high=3600.0), _account(request)

    async def events() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not parts.stopping.is_set():
            yield b"data: " + wire_json(await parts.snapshots.take(account=account)) + b"\n\n"
            due = max(due + interval, loop.time())
            try:
                await asyncio.wait_for(parts.stopping.wait(), due - loop.time())
            except TimeoutError:
                continue

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@answers(
    "GET",
    "/api/v1/events",
    query={"after": "Only events with a larger id (default 0: all that are kept)."},
    refusals={422: "A parameter is wrong."},
)
async def _events(parts: Parts, request: Request) -> list[Event]:
    """The daemon's event log, oldest first."""
    return parts.events.after(int(number(request, "after", 0.0, low=0.0)))


@answers("GET", "/api/v1/gpus", refusals={503: "There may be GPUs that cannot be read."})
async def _gpus(parts: Parts, request: Request) -> list[Gpu]:
    """The GPUs and the processes on them, not older than a second."""
    found = parts.sampler.known_gpus(await parts.sampler.read_or_none("gpu"))
    if found is None:
        raise Refusal(503, "the GPUs cannot be read")
    return list(found)


@answers(
    "GET",
    "/api/v1/workloads/processes",
    query={"id": "The workload's id, as in the snapshot.", "account": ACCOUNT_HELP},
    refusals={404: "No such workload is running.", 422: "There is no such account."},
)
async def _processes(parts: Parts, request: Request) -> WorkloadProcesses:
    """The processes of a workload now. They are read only for this call."""
    try:
        return await parts.processes.of(request.query_params.get("id", ""), _account(request))
    except LookupError as error:
        raise Refusal(404, str(error), "id") from None


@answers(
    "GET",
    "/api/v1/streams/encoder",
    query={
        "app": "The stream's app on the other machine's server.",
        "stream": "Its name.",
        "address": "The publisher's address as that server sees it, with its port if known.",
        "port": "The server's port (default 1935).",
        "account": ACCOUNT_HELP,
    },
    refusals={404: "No process of this machine is known to be its publisher.", 422: "A parameter is wrong."},
)
async def _remote_encoder(parts: Parts, request: Request) -> StreamEncoder:
    """The encoder on this machine of a stream on another machine's server. The search runs only for this call."""
    app, name, address = (request.query_params.get(one, "") for one in ("app", "stream", "address"))
    port = int(number(request, "port", RTMP_PORT, low=1, high=65535))
    try:
        return await parts.pushes.encoder(PushedStream(app, name, address), port, _account(request))
    except LookupError as error:
        raise Refusal(404, str(error), "address") from None


CALLS: tuple[Call[Any], ...] = (
    _snapshot, _live, _gpus, _processes, _remote_encoder, *HISTORY_CALLS, *RUN_CALLS, *RESULTS_CALLS, *DOCTOR_CALLS,
    *WALL_CALLS, _events,
)  # fmt: skip


REFUSED: Mapping[type[Exception], int] = {
    HistoryError: 503, NoSuchRun: 404, RunBusy: 409, WrongField: 422, WrongTurn: 409,
}  # fmt: skip
"""What a call cannot do, by its status. Such an error may name a field."""


def make_api(parts: Parts) -> ASGIApp:
    """The application. Authorisation is the server's task."""

    def route(path: str) -> Route:
        calls = {call.method: call for call in CALLS if call.path == path}

        async def endpoint(request: Request) -> Response:
            call = calls["GET" if request.method == "HEAD" else request.method]  # type: ignore[index]
            answer = await call.handler(parts, request)
            return answer if isinstance(answer, Response) else _json(answer, call.status)

        return Route(path, endpoint, methods=list(calls))

    async def description(request: Request) -> Response:
        return _json(openapi(secured=request.client is not None))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return _json(error.problem, error.status)

    async def failed(request: Request, error: Exception) -> Response:
        return _json(
            Problem(str(error), getattr(error, "field", "")),
            next(REFUSED[kind] for kind in type(error).__mro__ if kind in REFUSED),
        )

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _json(Problem(f"{request.method} {request.url.path}: {error.detail}"), error.status_code)

    app = Starlette(
        routes=[Route("/openapi.json", description), *(route(path) for path in dict.fromkeys(c.path for c in CALLS))],
        exception_handlers={Refusal: refused, HTTPException: http_error, **dict.fromkeys(REFUSED, failed)},
    )
    app.router.redirect_slashes = False  # it would redirect to whatever name is in the Host header
    return app


def problem_answer(answer: Admission) -> Response:
    """A refusal before a call, in the same form as errors of calls."""
    return _json(Problem(answer.text), answer.status, dict(answer.headers))


def openapi(secured: bool = False) -> dict[str, Any]:
    """The OpenAPI 3.1 description, from ``CALLS`` and the structs themselves."""
    types = [kind for call in CALLS for kind in (call.gives, call.takes) if kind is not None] + [Problem]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        responses: dict[str, Any] = {
            str(call.status): {
                "description": call.summary,
                "content": {call.media_type: {"schema": schema_of[repr(call.gives)]}},
            }
        }
        for status, meaning in call.refusals.items():
            responses[str(status)] = {
                "description": meaning,
                "content": {"application/json": {"schema": schema_of[repr(Problem)]}},
            }
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", call.path)
        ] + [
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
            for name, meaning in call.query.items()
        ]
        operation: dict[str, Any] = {"summary": call.summary, "parameters": parameters, "responses": responses}
        if call.takes is not None:
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": schema_of[repr(call.takes)]}},
            }
        paths.setdefault(call.path, {})[call.method.lower()] = operation
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "WattView control API", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }
    if secured:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(wire_json(value), status, headers, media_type="application/json")
