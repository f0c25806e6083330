"""Calls on the state of the daemon: the exporters' health, the doctor, and differing settings."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from wattview.config import Config
from wattview.config.loading import flatten
from wattview.daemon import doctor
from wattview.daemon.api.route import Call, Parts, answers, decoded
from wattview.model import ExporterHealth, Finding

OF_THE_COMMAND = frozenset({"streams.managed"})
"""Settings that ``wattview up`` and ``wattview run`` pass to the daemon that they start."""


@answers("GET", "/api/v1/exporters")
async def _exporters(parts: Parts, request: Request) -> list[ExporterHealth]:
    """What `wattview check` prints."""
    return list(await parts.health.fetch())


@answers("GET", "/api/v1/doctor")
async def _doctor(parts: Parts, request: Request) -> list[Finding]:
    """What `wattview doctor` prints."""
    findings = await doctor.examine(parts.config, parts.sampler, parts.media_server, parts.history, parts.health)
    return [*findings, *(parts.grid.findings() if parts.grid is not None else [])]


@answers(
    "POST",
    "/api/v1/settings/differences",
    takes=dict[str, Any],
    refusals={422: "It is not an object."},
)
async def _different_settings(parts: Parts, request: Request) -> list[str]:
    """Which settings of the body, by dotted keys, are not those that the daemon runs with."""
    return differences(parts.settings, await decoded(request, dict[str, Any]))


def differences(config: Config, others: dict[str, Any]) -> list[str]:
    """The keys of settings with another value in ``others``, which are as in JSON."""
    own: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(flatten(config)))
    ignored = set(OF_THE_COMMAND)
    if not (own.get("streams.rtmp_url") and others.get("streams.rtmp_url")):
        ignored.add("streams.rtmp_url")  # none is set: which one it is follows from streams.managed
    keys = (own.keys() | others.keys()) - ignored
    return sorted(key for key in keys if key not in own or key not in others or own[key] != others[key])


DOCTOR_CALLS: tuple[Call[Any], ...] = (_exporters, _doctor, _different_settings)
