"""What happened between two snapshots: streams and containers that come and go, encoders that fall behind, power over
its budget. A pure function; the states of sources, exporters and runs are told where they change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from wattview.model import EventLevel, Run, Snapshot, Stream


class Change(NamedTuple):
    """One event between two snapshots. ``alert``: somebody should be told now."""

    level: EventLevel
    about: str
    text: str
    alert: bool = False


def known(before: Snapshot | None, now: Snapshot) -> Snapshot:
    """``now``, with the last known part where a source did not answer: what to compare the next snapshot with."""
    if before is None:
        return now
    if now.engine is None:
        now = replace(now, engine=before.engine, containers=before.containers)
    if now.rtmp_server is None:
        now = replace(now, rtmp_server=before.rtmp_server, streams=before.streams)
    if now.power is None:
        now = replace(now, power=before.power)
    return now


def changes(before: Snapshot | None, now: Snapshot, budget_watts: float = 0.0) -> Iterator[Change]:
    """The events between two pictures; of the first, whether power is over budget. ``budget_watts`` 0: no budget."""
    if before is not None:
        yield from _streams(before, now)
        yield from _containers(before, now)
    yield from _budget(before, now, budget_watts)
    yield from _encoders(before.run if before is not None else None, now.run)


def _streams(before: Snapshot, now: Snapshot) -> Iterator[Change]:
    was = {(one.app, one.name): one for one in before.streams}
    here = {(one.app, one.name): one for one in now.streams}
    # Without a reading nobody has vanished: it is the server that is not seen.
    if now.rtmp_server is None or before.rtmp_server is None:
        return
    for key in sorted(here.keys() - was.keys()):
        yield Change("info", f"stream {'/'.join(key)}", f"is live{_what(here[key])}")
    for key in sorted(was.keys() - here.keys()):
        expected = before.run is not None
        yield Change("info" if expected else "warning", f"stream {'/'.join(key)}", "has vanished", not expected)


def _what(one: Stream) -> str:
    size = f" {one.width}x{one.height}" if one.width and one.height else ""
    return f": {one.video_codec}{size}" if one.video_codec else ""


def _containers(before: Snapshot, now: Snapshot) -> Iterator[Change]:
    if before.engine is None or now.engine is None:
        return
    was = {one.id: one for one in before.containers}
    here = {one.id: one for one in now.containers}
    for key in here.keys() - was.keys():
        yield Change("info", f"container {here[key].name}", f"runs: {here[key].image}")
    for key in was.keys() - here.keys():
        yield Change("info", f"container {was[key].name}", "has ended")
    for key in was.keys() & here.keys():
        old, new = was[key], here[key]
        if old.health != new.health and new.health is not None:
            level: EventLevel = "error" if new.health == "unhealthy" else "info"
            yield Change(level, f"container {new.name}", f"is {new.health}", level == "error")
        if old.restarts is not None and new.restarts is not None and new.restarts > old.restarts:
            yield Change("warning", f"container {new.name}", f"has restarted ({new.restarts} times)", True)


def _encoders(before: Run | None, now: Run | None) -> Iterator[Change]:
    """An encoder that falls behind real time while it is measured is told once, and again when it has caught up."""
    if now is None or not _measuring(now):
        return
    told = before if before is not None and before.id == now.id and _measuring(before) else None
    slow = {one.stream for one in told.encoders if one.behind} if told is not None else set()
    for one in now.encoders:
        if one.behind and one.stream not in slow:
            yield Change("warning", f"encoder {one.stream}", f"is behind real time: {one.speed:.2f}x", True)
        elif one.stream in slow and one.speed is not None and not one.behind:
            yield Change("info", f"encoder {one.stream}", "is in real time again")


def _measuring(run: Run) -> bool:
    return run.progress is not None and run.progress.phase == "measuring"


def _budget(before: Snapshot | None, now: Snapshot, budget_watts: float) -> Iterator[Change]:
    was = before.power.host_watts if before is not None and before.power is not None else None
    watts = now.power.host_watts if now.power is not None else None
    if not budget_watts or watts is None:
        return
    if watts > budget_watts and (was is None or was <= budget_watts):
        yield Change("warning", "power", f"{watts:.1f} W is over the budget of {budget_watts:g} W", True)
    elif watts <= budget_watts and was is not None and was > budget_watts:
        yield Change("info", "power", f"{watts:.1f} W is within the budget of {budget_watts:g} W again")
