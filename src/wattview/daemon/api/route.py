"""Building blocks of a call of the control API: its table row, its parameters, and its refusals."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, get_type_hints

import msgspec
from starlette.requests import Request

from wattview.client import Problem
from wattview.config import Config
from wattview.decoding import UNREADABLE, why_unreadable

if TYPE_CHECKING:
    from wattview.daemon.api.snapshot import Snapshots
    from wattview.daemon.attribution.publishers.remote_server import RemotePushes
    from wattview.daemon.attribution.workload_processes import ProcessWatch
    from wattview.daemon.events import EventLog
    from wattview.daemon.exporters.health import Health
    from wattview.daemon.grid.grid_store import GridStore
    from wattview.daemon.history.protocol import History
    from wattview.daemon.history.replay import Past
    from wattview.daemon.lab.runner import Runner
    from wattview.daemon.media.server import ManagedRtmp
    from wattview.daemon.results import Results
    from wattview.daemon.sampler import Sampler
    from wattview.daemon.wall.wall import Wall


T = TypeVar("T")

MAX_BODY_BYTES = 1024 * 1024

LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, the limit of most date libraries."""


class Parts(NamedTuple):
    """What the calls have access to."""

    config: Config
    """The effective settings, including the addresses of the managed media server."""
    settings: Config
    """The settings as given to the daemon."""
    sampler: Sampler
    snapshots: Snapshots
    past: Past
    history: History
    runner: Runner
    results: Results
    health: Health
    media_server: ManagedRtmp | None
    """The managed media server if one was needed, whether or not it started."""
    events: EventLog
    stopping: asyncio.Event
    wall: Wall
    processes: ProcessWatch
    pushes: RemotePushes
    grid: GridStore | None = None


async def decoded(request: Request, kind: type[T]) -> T:
    """The body of a call that takes JSON. Raises Refusal."""
    try:
        return msgspec.json.decode(await body_of(request), type=kind)
    except msgspec.ValidationError as error:
        raise Refusal(422, why_unreadable(error)) from None
    except UNREADABLE as error:
        raise Refusal(400, why_unreadable(error)) from None


class Refusal(Exception):
    """A call is refused: HTTP status, reason, and the field concerned."""

    def __init__(self, status: int, error: str, field: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.problem = Problem(error, field)


class Call(NamedTuple, Generic[T]):
    """One call of the API, which its handler answers. ``gives`` is the type of a successful answer; ``query`` describes
    its parameters."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Callable[[Parts, Request], Awaitable[T]]
    gives: Any
    summary: str
    takes: Any = None
    status: int = 200
    query: Mapping[str, str] = MappingProxyType({})
    refusals: Mapping[int, str] = MappingProxyType({})
    media_type: str = "application/json"

    def __call__(self, parts: Parts, request: Request) -> Awaitable[T]:
        return self.handler(parts, request)


def answers(
    method: Literal["GET", "POST", "DELETE"], path: str, *, gives: Any = None, **more: Any
) -> Callable[[Callable[[Parts, Request], Awaitable[T]]], Call[T]]:
    """Makes a call of a handler: its docstring is the summary, and what it returns, unless ``gives`` says so, the type
    of the answer. ``more`` are the other fields of ``Call``. Every body may be refused as no JSON."""
    if more.get("takes") is not None:
        more["refusals"] = {400: "The body is not JSON.", **more["refusals"]}

    def made(handler: Callable[[Parts, Request], Awaitable[T]]) -> Call[T]:
        answer = get_type_hints(handler)["return"] if gives is None else gives
        return Call(method, path, handler, answer, " ".join((handler.__doc__ or "").split()), **more)

    return made


def number(request: Request, name: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
    """A query parameter as a number; ``default`` if missing. Raises Refusal if it is not one."""
    value = number_or_none(request, name, low, high)
    return default if value is None else value


def number_or_none(request: Request, name: str, low: float = -math.inf, high: float = math.inf) -> float | None:
    """The same; None if missing."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f" from {low:g} to {high:g}" if math.isfinite(low) or math.isfinite(high) else ""
        raise Refusal(422, f"{name} is a number{bounds}, not {text!r}", name)
    return value


def unix_seconds(request: Request, name: str) -> float:
    """A query parameter as Unix seconds; NaN if missing. Raises Refusal if it is not a valid time."""
    return number(request, name, math.nan, low=0.0, high=LAST_SECOND)


async def body_of(request: Request) -> bytes:
    """The whole body, up to a size limit. Raises Refusal."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)
