"""What a call of the control API is made of: its row of the table, what it may ask for, and how it says no."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from starlette.requests import Request

from wattview.client import Problem
from wattview.config import Config

if TYPE_CHECKING:
    from wattview.daemon.api.snapshot import Snapshots
    from wattview.daemon.events import EventLog
    from wattview.daemon.exporters.health import Health
    from wattview.daemon.history.protocol import History
    from wattview.daemon.history.replay import Past
    from wattview.daemon.lab.runner import Runner
    from wattview.daemon.media.server import ManagedRtmp
    from wattview.daemon.results import Results
    from wattview.daemon.sampler import Sampler


MAX_BODY_BYTES = 1024 * 1024

LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, which is as far as the dates of most programs go."""


class Parts(NamedTuple):
    """What the API speaks for."""

    config: Config
    """Those in force: the addresses of the private media server stand in them."""
    settings: Config
    """As the daemon was given them."""
    sampler: Sampler
    snapshots: Snapshots
    past: Past
    history: History
    runner: Runner
    results: Results
    health: Health
    media_server: ManagedRtmp | None
    """The private nginx-rtmp where one was wanted, whether it came up or not."""
    events: EventLog
    stopping: asyncio.Event


class Refusal(Exception):
    """A call that is answered with an error: the HTTP status, what is wrong, and the field that is."""

    def __init__(self, status: int, error: str, field: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.problem = Problem(error, field)


class Call(NamedTuple):
    """One call of the API. ``gives`` is the type of a good answer; ``query`` maps parameter names to what they mean."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Callable[[Parts, Request], Awaitable[Any]]
    gives: Any
    summary: str
    query: Mapping[str, str] = MappingProxyType({})
    takes: Any = None
    status: int = 200
    refusals: Mapping[int, str] = MappingProxyType({})
    media_type: str = "application/json"


def number(request: Request, name: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A query parameter as a number, ``default`` where it is not given. Raises Refusal for what is none."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f" from {low:g} to {high:g}" if math.isfinite(low) or math.isfinite(high) else ""
        raise Refusal(422, f"{name} is a number{bounds}, not {text!r}", name)
    return value


def unix_seconds(request: Request, name: str) -> float:
    """A query parameter as a moment that a calendar has; NaN where it is not given. Raises Refusal for what is none."""
    return number(request, name, math.nan, low=0.0, high=LAST_SECOND)


async def body_of(request: Request) -> bytes:
    """The whole body, where it is of a reasonable size. Raises Refusal."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)
