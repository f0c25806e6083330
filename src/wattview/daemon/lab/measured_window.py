"""One measured window: marked in the history, recorded from edge to edge, and written into the run's folder."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wattview.daemon.lab.scenario_record import MeasuredWindow
from wattview.daemon.lab.window_trail import Meters, WindowTrail
from wattview.model import Playback, RecordedPart

log = logging.getLogger("wattview.run")

T = TypeVar("T")

Load = Callable[[], Awaitable[tuple[float | None, float | None]]]
"""Watts of the host and percent of the machine's CPU time, now."""


PartsOf = Callable[[float, float], Awaitable[tuple[list[RecordedPart], str]]]
"""The workloads and streams of a window (Unix seconds), and why they are not known, or ""."""


async def no_parts(start: float, end: float) -> tuple[list[RecordedPart], str]:
    return [], ""


@dataclass(frozen=True)
class Surroundings:
    """What a run needs from the daemon.

    ``rtmp_url`` returns the address that streams are pushed to, None without a server. ``mark`` is awaited at the start
    and at the end of every measured window and records a point of the history at that moment. ``power_source`` names
    the source of the watts. ``load`` is for warm-ups that wait until the machine is steady. ``meters`` records a
    window; without it a run's figures come from the history. ``pushes_to`` describes where streams are pushed, if there
    is a server. ``parts`` gives the workloads and streams of a recorded window.
    """

    rtmp_url: Callable[[], Awaitable[str | None]]
    mark: Callable[[], Awaitable[None]]
    power_source: Callable[[], str | None]
    load: Load | None = None
    meters: Meters | None = None
    pushes_to: str = ""
    parts: PartsOf = no_parts


Hold = Callable[[WindowTrail, float], Awaitable[None]]
"""Lets what is measured run, and reads the trail periodically; the window started at that monotonic time."""


async def recorded_window(
    around: Surroundings,
    folder: Path,
    place: int,
    notes: list[str],
    opened: Callable[[], None],
    hold: Hold,
    closed: Callable[[], Playback | None],
) -> MeasuredWindow:
    """A window from ``opened`` to the end of ``hold``; ``closed`` is called at its end and returns the viewers'
    playback.

    The history's marks are outside of it, so that its ends are between two points. ``notes`` gets the problems. Raises
    OSError if the trail cannot be written, and what ``hold`` raises.
    """
    await _marked(around, "start", notes)
    trail = WindowTrail(around.meters)
    start_time, start = await trail.open(), time.monotonic()
    opened()
    await trail.opened()
    await hold(trail, start)
    end_time, end = await trail.close(), time.monotonic()
    playback, clock_set = closed(), trail.clock_set
    if clock_set:
        notes.append(f"the clock was set by {clock_set:+.1f} s in the window, whose times are by the clock before")
    await trail.closed()
    await _marked(around, "end", notes)
    await undisturbed(asyncio.to_thread(trail.write, folder, place))
    return MeasuredWindow(
        start_time=start_time, end_time=end_time, seconds=end - start, warmup_seconds=0.0, playback=playback,
        clock_set=bool(clock_set), notes=tuple(notes),
    )  # fmt: skip


async def parts_in(window: MeasuredWindow, around: Surroundings) -> tuple[list[RecordedPart] | None, str]:
    """Like ``PartsOf``; the history's times are by the wall clock, as it was set."""
    if window.clock_set:
        return None, "the energy of workloads and streams is unknown: the clock was set"
    return await around.parts(window.start_time, window.end_time)


async def _marked(around: Surroundings, which: str, notes: list[str]) -> None:
    try:
        await around.mark()
    except Exception as error:
        log.exception("the %s of the window", which)
        notes.append(f"no history sample at the {which} of the window: {error}")


async def undisturbed(work: Awaitable[T]) -> T:
    """Awaits work that must not be interrupted; a cancellation takes effect after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
