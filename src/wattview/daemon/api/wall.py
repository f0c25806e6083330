"""Calls on the calibration of the power at the wall: its data, and the one in force."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request

from wattview.daemon.api.route import Call, Parts, Refusal, answers, decoded, unix_seconds
from wattview.daemon.wall.wall import CalibrationRefused
from wattview.model.power.calibration import CalibrationOffer, WallCalibration, WallSamples

MISSING = "this machine has no calibration; make one with: wattview calibrate"


@answers(
    "GET",
    "/api/v1/wall/samples",
    query={"after": "Unix seconds (default: all that is kept).", "meter": "A meter's name (default: the wall)."},
    refusals={422: "A parameter is wrong."},
)
async def _samples(parts: Parts, request: Request) -> WallSamples:
    """What was seen of the machine's own power and of its meter: what a calibration is made of."""
    after = unix_seconds(request, "after")
    await parts.snapshots.take()
    return parts.wall.samples(0.0 if math.isnan(after) else after, request.query_params.get("meter", ""))


@answers("GET", "/api/v1/calibration", refusals={404: "There is none."})
async def _calibration(parts: Parts, request: Request) -> WallCalibration:
    """The calibration in force."""
    found = parts.wall.calibration
    if found is None:
        raise Refusal(404, MISSING)
    return found


@answers(
    "POST",
    "/api/v1/calibration",
    takes=CalibrationOffer,
    refusals={
        409: "It was made on another model of machine.",
        422: "It cannot be used; the error says why.",
        503: "It cannot be written.",
    },
)
async def _adopt(parts: Parts, request: Request) -> WallCalibration:
    """Keep a calibration and go by it."""
    offer = await decoded(request, CalibrationOffer)
    try:
        return await parts.wall.adopt(offer)
    except CalibrationRefused as error:
        raise Refusal(409 if error.other_model else 422, str(error)) from None
    except OSError as error:
        raise Refusal(503, f"the calibration cannot be kept: {error.strerror}") from None


@answers("DELETE", "/api/v1/calibration", refusals={404: "There is none.", 503: "Its file cannot be removed."})
async def _forget(parts: Parts, request: Request) -> WallCalibration:
    """Forget the calibration in force, which is returned."""
    found = await _calibration(parts, request)
    try:
        await parts.wall.forget()
    except OSError as error:
        raise Refusal(503, f"the calibration cannot be removed: {error.strerror}") from None
    return found


WALL_CALLS: tuple[Call[Any], ...] = (_samples, _calibration, _adopt, _forget)
