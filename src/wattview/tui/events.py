"""What happened between two snapshots: the log's lines, and which of them are alerts.

A pure function of two snapshots. The log tells what the API shows and nothing that it does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from wattview.model import ExporterHealth, ProbeStatus, Run, Snapshot, Stream

Level = Literal["info", "warning", "error"]


class Event(NamedTuple):
    """One line of the log. ``alert``: worth a toast as well."""

    time: float
    level: Level
    about: str
    text: str
    alert: bool = False


REALTIME = 0.98
"""Below this speed an encoder falls behind; FFmpeg's own figure wavers by a percent or two."""

_PROBE_LEVELS: dict[str, Level] = {"ok": "info", "absent": "info", "unread": "info", "degraded": "warning"}


def changes(before: Snapshot | None, now: Snapshot, budget_watts: float = 0.0) -> Iterator[Event]:
    """The events between two pictures; of the first picture, what is wrong in it. ``budget_watts`` 0: no budget."""
    yield from _probes(before, now)
    yield from _exporters(before, now)
    if before is not None:
        yield from _streams(before, now)
        yield from _containers(before, now)
    yield from _budget(before, now, budget_watts)
    yield from _runs(before.run if before is not None else None, now.run, now.time)


def _probes(before: Snapshot | None, now: Snapshot) -> Iterator[Event]:
    known = {one.probe: one for one in before.probes} if before is not None else {}
    for one in now.probes:
        was = known.get(one.probe)
        if was is not None and (was.state, was.reason) == (one.state, one.reason):
            continue
        if was is None and one.state in ("ok", "unread"):
            continue
        if one.state == "ok" and was is not None and was.state == "unread":
            continue
        yield Event(now.time, _PROBE_LEVELS.get(one.state, "error"), f"source {one.probe}", _state(one))


def _state(one: ProbeStatus) -> str:
    text = "works" if one.state == "ok" else f"{one.state}: {one.reason}" if one.reason else one.state
    return f"{text}; {one.fix}" if one.fix else text


def _exporters(before: Snapshot | None, now: Snapshot) -> Iterator[Event]:
    known = {one.exporter: one for one in before.exporters} if before is not None else {}
    for one in now.exporters:
        was = known.get(one.exporter)
        if (was is None and one.healthy) or (was is not None and was.healthy == one.healthy):
            continue
        level: Level = "info" if one.healthy else "warning"
        yield Event(now.time, level, f"exporter {one.exporter}", _health(one))


def _health(one: ExporterHealth) -> str:
    return f"healthy, {one.sample_count} samples" if one.healthy else f"not healthy: {one.reason or 'no data'}"


def _streams(before: Snapshot, now: Snapshot) -> Iterator[Event]:
    was = {(one.app, one.name): one for one in before.streams}
    here = {(one.app, one.name): one for one in now.streams}
    # Without a reading nobody has vanished: it is the server that is not seen.
    if now.rtmp_server is None or before.rtmp_server is None:
        return
    for key in here.keys() - was.keys():
        yield Event(now.time, "info", f"stream {'/'.join(key)}", f"is live{_what(here[key])}")
    for key in was.keys() - here.keys():
        expected = before.run is not None
        yield Event(
            now.time, "info" if expected else "warning", f"stream {'/'.join(key)}", "has vanished", not expected
        )


def _what(one: Stream) -> str:
    size = f" {one.width}x{one.height}" if one.width and one.height else ""
    return f": {one.video_codec}{size}" if one.video_codec else ""


def _containers(before: Snapshot, now: Snapshot) -> Iterator[Event]:
    if before.engine is None or now.engine is None:
        return
    was = {one.id: one for one in before.containers}
    here = {one.id: one for one in now.containers}
    for key in here.keys() - was.keys():
        yield Event(now.time, "info", f"container {here[key].name}", f"runs: {here[key].image}")
    for key in was.keys() - here.keys():
        yield Event(now.time, "info", f"container {was[key].name}", "has ended")
    for key in was.keys() & here.keys():
        old, new = was[key], here[key]
        if old.health != new.health and new.health is not None:
            level: Level = "error" if new.health == "unhealthy" else "info"
            yield Event(now.time, level, f"container {new.name}", f"is {new.health}", level == "error")
        if old.restarts is not None and new.restarts is not None and new.restarts > old.restarts:
            yield Event(now.time, "warning", f"container {new.name}", f"has restarted ({new.restarts} times)", True)


def _runs(before: Run | None, now: Run | None, moment: float) -> Iterator[Event]:
    if now is not None and (before is None or before.id != now.id):
        yield Event(moment, "info", f"run {now.id}", f"{len(now.scenarios)} scenarios")
    if before is not None and (now is None or now.id != before.id):
        yield Event(moment, "info", f"run {before.id}", "has ended")
    if now is None or now.progress is None:
        return
    was = before.progress if before is not None and before.id == now.id else None
    if was is None or (was.scenario, was.phase) != (now.progress.scenario, now.progress.phase):
        yield Event(moment, "info", f"run {now.id}", f"{now.progress.scenario or ''}: {now.progress.phase}")
    slow = {one.stream: one.speed for one in before.encoders} if before is not None else {}
    for one in now.encoders:
        if one.speed is None or one.speed >= REALTIME or now.progress.phase != "measuring":
            continue
        if (slow.get(one.stream) or 1.0) >= REALTIME:
            text = f"is behind real time: {one.speed:.2f}x"
            yield Event(moment, "warning", f"encoder {one.stream}", text, True)


def _budget(before: Snapshot | None, now: Snapshot, budget_watts: float) -> Iterator[Event]:
    was = before.power.host_watts if before is not None and before.power is not None else None
    watts = now.power.host_watts if now.power is not None else None
    if not budget_watts or watts is None:
        return
    if watts > budget_watts and (was is None or was <= budget_watts):
        yield Event(now.time, "warning", "power", f"{watts:.1f} W is over the budget of {budget_watts:g} W", True)
    elif watts <= budget_watts and was is not None and was > budget_watts:
        yield Event(now.time, "info", "power", f"{watts:.1f} W is within the budget of {budget_watts:g} W again")
