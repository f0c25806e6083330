"""Calls on past values: series by metric, and trends by subject and quantity."""

from __future__ import annotations

import math
from typing import cast

from starlette.requests import Request

from wattview.daemon.api.route import Parts, Refusal, answers, number, unix_seconds
from wattview.daemon.history.protocol import steps
from wattview.daemon.history.trends import KEPT, trends
from wattview.exposition import parse_series
from wattview.model import HistorySeries
from wattview.model.snapshot import Trend, TrendKind, TrendQuantity


@answers(
    "GET",
    "/api/v1/history",
    query={
        "series": 'A series, as metric{label="value"}; labels that are left out match every value.',
        "start": "Unix seconds.",
        "end": "Unix seconds.",
        "step": "Seconds between two points; 0 (default) returns the stored samples.",
    },
    refusals={422: "A parameter is wrong.", 503: "The history does not answer."},
)
async def _history(parts: Parts, request: Request) -> list[HistorySeries]:
    """Past values of every series that matches."""
    selector = request.query_params.get("series", "")
    try:
        parse_series(selector)
    except ValueError as error:
        raise Refusal(422, str(error), "series") from None
    start, end, step = _span(request)
    if step:
        return await parts.history.thinned(selector, start, end, step)
    return await parts.history.samples(selector, start, end)


@answers(
    "GET",
    "/api/v1/trends",
    query={
        "kind": "machine, wall, zone, gpu, container, workload or stream.",
        "quantity": "power, energy, cpu, memory, bandwidth_in and others; each kind has its own.",
        "name": "One subject only: a container's name, a GPU's uuid; repeated for a zone (package, zone), a"
        " stream (app, name) and a workload (kind, name, namespace, pod, container, unit).",
        "start": "Unix seconds.",
        "end": "Unix seconds.",
        "step": "Seconds between two points; 0 (default) returns the stored samples.",
    },
    refusals={422: "A parameter is wrong.", 503: "The history does not answer."},
)
async def _trends(parts: Parts, request: Request) -> list[Trend]:
    """Past values of one quantity of the machine, or of each zone, GPU, container, workload or stream."""
    start, end, step = _span(request)
    kind, quantity = request.query_params.get("kind", ""), request.query_params.get("quantity", "")
    known = {(str(of), str(what)) for of, what in KEPT}
    if (kind, quantity) not in known:
        choices = ", ".join(f"{of} {what}" for of, what in sorted(known))
        raise Refusal(422, f"no such trend: {kind!r} {quantity!r}; there are {choices}", "quantity")
    name = request.query_params.getlist("name")
    return await trends(parts.history, cast(TrendKind, kind), cast(TrendQuantity, quantity), name, start, end, step)


def _span(request: Request) -> tuple[float, float, float]:
    """``start``, ``end`` and ``step`` of a history query."""
    start, end = unix_seconds(request, "start"), unix_seconds(request, "end")
    if math.isnan(start) or math.isnan(end) or end < start:
        raise Refusal(422, "start and end are Unix seconds, and end is not before start", "start")
    step = number(request, "step", 0.0, low=0.0)
    try:
        if step:
            steps(start, end, step)
    except ValueError as error:
        raise Refusal(422, str(error), "step") from None
    return start, end, step


HISTORY_CALLS = (_history, _trends)
