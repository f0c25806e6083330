"""Calls on the calibration of the power at the wall: its data, and the one in force."""

from __future__ import annotations

import math

import msgspec
from starlette.requests import Request

from wattview.daemon.api.route import Call, Parts, Refusal, body_of, unix_seconds
from wattview.daemon.wall.wall import CalibrationRefused
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model.power.calibration import CalibrationOffer, WallCalibration, WallSamples

MISSING = "this machine has no calibration; make one with: wattview calibrate"


async def _samples(parts: Parts, request: Request) -> WallSamples:
    after = unix_seconds(request, "after")
    await parts.snapshots.take()
    return parts.wall.samples(0.0 if math.isnan(after) else after, request.query_params.get("meter", ""))


async def _calibration(parts: Parts, request: Request) -> WallCalibration:
    found = parts.wall.calibration
    if found is None:
        raise Refusal(404, MISSING)
    return found


async def _adopt(parts: Parts, request: Request) -> WallCalibration:
    try:
        offer = msgspec.json.decode(await body_of(request), type=CalibrationOffer)
    except msgspec.ValidationError as error:
        raise Refusal(422, f"not a calibration: {error}") from None
    except UNREADABLE as error:
        raise Refusal(400, why_unreadable(error)) from None
    try:
        return await parts.wall.adopt(offer)
    except CalibrationRefused as error:
        raise Refusal(409 if error.other_model else 422, str(error)) from None
    except OSError as error:
        raise Refusal(503, f"the calibration cannot be kept: {error.strerror}") from None


async def _forget(parts: Parts, request: Request) -> WallCalibration:
    found = await _calibration(parts, request)
    try:
        await parts.wall.forget()
    except OSError as error:
        raise Refusal(503, f"the calibration cannot be removed: {error.strerror}") from None
    return found


WALL_CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/api/v1/wall/samples",
        _samples,
        WallSamples,
        "What was seen of the machine's own power and of its meter: what a calibration is made of.",
        query={"after": "Unix seconds (default: all that is kept).", "meter": "A meter's name (default: the wall)."},
        refusals={422: "A parameter is wrong."},
    ),
    Call(
        "GET",
        "/api/v1/calibration",
        _calibration,
        WallCalibration,
        "The calibration in force.",
        refusals={404: "There is none."},
    ),
    Call(
        "POST",
        "/api/v1/calibration",
        _adopt,
        WallCalibration,
        "Keep a calibration and go by it.",
        takes=CalibrationOffer,
        refusals={
            400: "The body is not JSON.",
            409: "It was made on another model of machine.",
            422: "It cannot be used; the text says why.",
            503: "It cannot be written.",
        },
    ),
    Call(
        "DELETE",
        "/api/v1/calibration",
        _forget,
        WallCalibration,
        "Forget the calibration in force, which is returned.",
        refusals={404: "There is none.", 503: "Its file cannot be removed."},
    ),
)
