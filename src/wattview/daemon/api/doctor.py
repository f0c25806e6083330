"""Calls on the state of the daemon: the exporters' health, the doctor, and differing settings."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from wattview.config import Config
from wattview.config.loading import flatten
from wattview.daemon import doctor
from wattview.daemon.api.route import Call, Parts, Refusal, body_of
from wattview.model import ExporterHealth, Finding

OF_THE_COMMAND = frozenset({"streams.managed"})
"""Settings that ``wattview up`` and ``wattview run`` pass to the daemon that they start."""


async def _exporters(parts: Parts, request: Request) -> list[ExporterHealth]:
    return list(await parts.health.fetch())


async def _doctor(parts: Parts, request: Request) -> list[Finding]:
    findings = await doctor.examine(parts.config, parts.sampler, parts.media_server, parts.history, parts.health)
    return [*findings, *(parts.grid.findings() if parts.grid is not None else [])]


async def _different_settings(parts: Parts, request: Request) -> list[str]:
    try:
        asked = msgspec.json.decode(await body_of(request), type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise Refusal(422, f"not settings by their dotted keys: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"not JSON: {error}") from None
    except RecursionError:
        raise Refusal(400, "not settings: their lists and objects are too deep in each other") from None
    return differences(parts.settings, asked)


def differences(config: Config, others: dict[str, Any]) -> list[str]:
    """The keys of settings with another value in ``others``, which are as in JSON."""
    own: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(flatten(config)))
    keys = (own.keys() | others.keys()) - OF_THE_COMMAND
    return sorted(key for key in keys if key not in own or key not in others or own[key] != others[key])


DOCTOR_CALLS: tuple[Call, ...] = (
    Call("GET", "/api/v1/exporters", _exporters, list[ExporterHealth], "What `wattview check` prints."),
    Call("GET", "/api/v1/doctor", _doctor, list[Finding], "What `wattview doctor` prints."),
    Call(
        "POST",
        "/api/v1/settings/differences",
        _different_settings,
        list[str],
        "Which settings of the body, by dotted keys, are not those that the daemon runs with.",
        takes=dict[str, Any],
        refusals={400: "The body is not JSON.", 422: "It is not an object."},
    ),
)
